//! What is kept with a run: the same looks, small enough for hundreds of steps.

use wire::sight::{Field, Sight};

/// A sight that alone would be larger than this is not kept, bytes.
const MOST_BYTES: usize = 1 << 20;
/// Patterns of a block larger than this in all are kept of the text's beginning only, bytes.
const MOST_PATTERN_BYTES: usize = 64 << 10;
/// Tokens of that beginning.
const BEGINNING: usize = 64;

/// The sight as it is kept; none where it is too large to keep.
pub fn lighten(sight: Sight) -> Option<Sight> {
    let sight = match sight {
        Sight::Attention { tokens, patterns, heads }
            if tokens.len() > BEGINNING
                && patterns.iter().map(|field| field.cells.len()).sum::<usize>() > MOST_PATTERN_BYTES =>
        {
            let tokens: Vec<String> = tokens.into_iter().take(BEGINNING).collect();
            let patterns = patterns.iter().map(|pattern| beginning(pattern, tokens.len())).collect();
            Sight::Attention { tokens, patterns, heads }
        }
        other => other,
    };
    let bytes = postcard::to_allocvec(&sight).map_or(usize::MAX, |packed| packed.len());
    (bytes <= MOST_BYTES).then_some(sight)
}

/// A pattern's first rows and columns.
fn beginning(pattern: &Field, most: usize) -> Field {
    let columns = pattern.columns as usize;
    let rows = pattern.cells.chunks_exact(columns.max(1)).take(most);
    Field {
        rows: most.min(pattern.rows as usize) as u32,
        columns: most.min(columns) as u32,
        low: pattern.low,
        high: pattern.high,
        cells: rows.flat_map(|row| row.iter().take(most).copied()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use wire::sight::HeadStats;

    use super::*;

    fn attention(seq: usize, heads: usize) -> Sight {
        let values: Vec<f32> = (0..seq * seq).map(|i| (i % seq) as f32 / seq as f32).collect();
        Sight::Attention {
            tokens: vec!["a".into(); seq],
            patterns: vec![Field::within(seq, seq, &values, 0.0, 1.0); heads],
            heads: vec![HeadStats::default(); heads],
        }
    }

    #[test]
    fn large_patterns_keep_their_beginning_and_small_ones_all() {
        let small = attention(64, 4);
        assert_eq!(lighten(small.clone()), Some(small));
        let Some(Sight::Attention { tokens, patterns, heads }) = lighten(attention(128, 12)) else { panic!() };
        assert_eq!((tokens.len(), patterns[0].cells.len(), heads.len()), (64, 64 * 64, 12));
        assert_eq!(patterns[0].value(63, 63), attention_value(63, 128));
        let huge = Sight::Units {
            tokens: vec![],
            activations: Field { cells: vec![0; 2 << 20], ..Field::default() },
            units: vec![],
            of: 0,
            dead: 0.0,
            saturated: 0.0,
            histogram: Default::default(),
        };
        assert_eq!(lighten(huge), None);
    }

    fn attention_value(column: usize, seq: usize) -> Option<f32> {
        Field::within(1, 1, &[column as f32 / seq as f32], 0.0, 1.0).value(0, 0)
    }
}
