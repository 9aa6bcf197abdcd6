//! Reduces the results of a snapshot, so that a run can store hundreds of them.

use wire::inspect::result::{HeatMap, InspectionResult};

/// Maximum size of one result in a snapshot, bytes; a larger one is left out.
const MAX_BYTES: usize = 1 << 20;
/// Size of all patterns of a block, bytes, above which only the patterns of the first tokens are stored.
const MAX_PATTERN_BYTES: usize = 64 << 10;
const FIRST_TOKENS: usize = 64;

/// The result as a snapshot stores it; `None` if it is too large.
pub fn reduced(result: InspectionResult) -> Option<InspectionResult> {
    let result = match result {
        InspectionResult::Attention { tokens, patterns, heads }
            if tokens.len() > FIRST_TOKENS
                && patterns.iter().map(|pattern| pattern.cells.len()).sum::<usize>() > MAX_PATTERN_BYTES =>
        {
            let tokens: Vec<String> = tokens.into_iter().take(FIRST_TOKENS).collect();
            let patterns = patterns.iter().map(|pattern| first_tokens(pattern, tokens.len())).collect();
            InspectionResult::Attention { tokens, patterns, heads }
        }
        other => other,
    };
    let bytes = postcard::to_allocvec(&result).map_or(usize::MAX, |packed| packed.len());
    (bytes <= MAX_BYTES).then_some(result)
}

/// The first rows and columns of a pattern.
fn first_tokens(pattern: &HeatMap, count: usize) -> HeatMap {
    let columns = pattern.columns as usize;
    let rows = pattern.cells.chunks_exact(columns.max(1)).take(count);
    HeatMap {
        rows: count.min(pattern.rows as usize) as u32,
        columns: count.min(columns) as u32,
        low: pattern.low,
        high: pattern.high,
        cells: rows.flat_map(|row| row.iter().take(count).copied()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use wire::inspect::result::HeadStats;

    use super::*;

    fn attention(seq: usize, heads: usize) -> InspectionResult {
        let values: Vec<f32> = (0..seq * seq).map(|i| (i % seq) as f32 / seq as f32).collect();
        InspectionResult::Attention {
            tokens: vec!["a".into(); seq],
            patterns: vec![HeatMap::within(seq, seq, &values, 0.0, 1.0); heads],
            heads: vec![HeadStats::default(); heads],
        }
    }

    #[test]
    fn large_patterns_are_truncated_to_their_first_tokens() {
        let small = attention(64, 4);
        assert_eq!(reduced(small.clone()), Some(small));
        let Some(InspectionResult::Attention { tokens, patterns, heads }) = reduced(attention(128, 12)) else {
            panic!()
        };
        assert_eq!((tokens.len(), patterns[0].cells.len(), heads.len()), (64, 64 * 64, 12));
        assert_eq!(patterns[0].value(63, 63), attention_value(63, 128));
        let huge = InspectionResult::Neurons {
            tokens: vec![],
            activations: HeatMap { cells: vec![0; 2 << 20], ..HeatMap::default() },
            neurons: vec![],
            total: 0,
            dead: 0.0,
            saturated: 0.0,
            histogram: Default::default(),
        };
        assert_eq!(reduced(huge), None);
    }

    fn attention_value(column: usize, seq: usize) -> Option<f32> {
        HeatMap::within(1, 1, &[column as f32 / seq as f32], 0.0, 1.0).value(0, 0)
    }
}
