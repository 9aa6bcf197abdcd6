//! Values shortened to a size: first entries at the end of the longest lists are left out, then characters at the end of the longest texts.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What was left out of a list or a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// JSON pointer of the list or text.
    pub field: String,
    /// Entries or characters that are kept.
    pub shown: usize,
    /// Entries or characters before.
    pub of: usize,
}

/// Texts of at most this length are not shortened, characters.
const SHORTEST_TEXT: usize = 64;

/// Fraction of the remaining size that is used, so that few repetitions are needed.
const SHARE: f64 = 0.97;

/// A list or a text that can be cut.
struct Candidate {
    pointer: String,
    length: usize,
    bytes: usize,
}

/// The value in at most `most` bytes of JSON, and what was left out, in the order of the fields.
pub fn shrink(mut value: Value, most: usize) -> (Value, Vec<Cut>) {
    let mut cuts: BTreeMap<String, Cut> = BTreeMap::new();
    loop {
        let (mut lists, mut texts) = (vec![], vec![]);
        let bytes = measure(&value, &mut String::new(), &mut lists, &mut texts);
        if bytes <= most {
            return (value, cuts.into_values().filter(|cut| cut.shown < cut.of).collect());
        }
        let excess = bytes - most;
        let Some(chosen) = choose(lists, excess).or_else(|| longest(texts)) else {
            // Only fields remain, and they do not fit.
            return (json!({}), vec![Cut { field: String::new(), shown: 0, of: bytes }]);
        };
        let kept = kept(&chosen, excess);
        cut(value.pointer_mut(&chosen.pointer), kept);
        let Candidate { pointer, length, .. } = chosen;
        // Cuts inside entries that are left out are not reported.
        cuts.retain(|field, _| !is_cut_away(field, &pointer, kept));
        let cut = cuts.entry(pointer.clone()).or_insert(Cut { field: pointer, shown: length, of: length });
        cut.shown = kept;
    }
}

/// Whether a field is below an entry of a list that is left out.
fn is_cut_away(field: &str, list: &str, kept: usize) -> bool {
    let entry =
        field.strip_prefix(list).and_then(|rest| rest.strip_prefix('/')).and_then(|rest| rest.split('/').next());
    entry.and_then(|entry| entry.parse::<usize>().ok()).is_some_and(|entry| entry >= kept)
}

/// The list with the most entries among those that are large enough, else the largest list.
fn choose(lists: Vec<Candidate>, excess: usize) -> Option<Candidate> {
    let (large, small): (Vec<_>, Vec<_>) = lists.into_iter().partition(|list| list.bytes >= excess / 4);
    let most_entries = large.into_iter().max_by_key(|list| (list.length, list.bytes));
    most_entries.or_else(|| small.into_iter().max_by_key(|list| list.bytes))
}

fn longest(texts: Vec<Candidate>) -> Option<Candidate> {
    texts.into_iter().filter(|text| text.length > SHORTEST_TEXT).max_by_key(|text| text.bytes)
}

/// How many entries or characters are kept: fewer than before, and at least one.
fn kept(chosen: &Candidate, excess: usize) -> usize {
    let Candidate { length, bytes, .. } = *chosen;
    // Entries differ in size, so the caller repeats this until the value fits.
    let share = SHARE * bytes.saturating_sub(excess) as f64 / bytes.max(1) as f64;
    ((length as f64 * share) as usize).clamp(1, length - 1)
}

fn cut(value: Option<&mut Value>, kept: usize) {
    match value {
        Some(Value::Array(items)) => items.truncate(kept),
        Some(Value::String(text)) => {
            // The end of a fence stays.
            let end =
                text.rfind('⟦').filter(|at| text[*at..].starts_with("⟦end")).map_or("", |at| &text[at..]).to_owned();
            let shown: String = text.chars().take(kept.saturating_sub(end.chars().count() + 1)).collect();
            *text = format!("{shown}…{end}");
        }
        _ => {}
    }
}

/// The bytes of a value as JSON; collects its lists and texts that can be cut.
fn measure(value: &Value, at: &mut String, lists: &mut Vec<Candidate>, texts: &mut Vec<Candidate>) -> usize {
    match value {
        Value::Array(items) => {
            let mut bytes = 2;
            for (index, item) in items.iter().enumerate() {
                bytes += 1 + below(at, &index.to_string(), |at| measure(item, at, lists, texts));
            }
            if items.len() > 1 {
                lists.push(Candidate { pointer: at.clone(), length: items.len(), bytes });
            }
            bytes
        }
        Value::Object(fields) => {
            let mut bytes = 2;
            for (name, value) in fields {
                bytes += 2 + text_bytes(name) + below(at, &escaped(name), |at| measure(value, at, lists, texts));
            }
            bytes
        }
        Value::String(text) => {
            let bytes = text_bytes(text);
            texts.push(Candidate { pointer: at.clone(), length: text.chars().count(), bytes });
            bytes
        }
        other => other.to_string().len(),
    }
}

/// Measures with a longer pointer.
fn below(at: &mut String, name: &str, measure: impl FnOnce(&mut String) -> usize) -> usize {
    let length = at.len();
    at.push('/');
    at.push_str(name);
    let bytes = measure(at);
    at.truncate(length);
    bytes
}

/// A name as a part of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn text_bytes(text: &str) -> usize {
    serde_json::to_string(text).map_or(text.len() + 2, |json| json.len())
}

#[cfg(test)]
mod tests {
    use testing::{Random, seeds};

    use super::*;

    #[test]
    fn the_long_list_is_cut_and_the_rest_stays() {
        let value = json!({ "name": "a", "points": (0..1000).collect::<Vec<u32>>(), "few": [1, 2, 3] });
        let (small, cuts) = shrink(value.clone(), 500);
        assert!(small.to_string().len() <= 500);
        let shown = small["points"].as_array().unwrap().len();
        assert!(shown > 90, "{shown}");
        assert_eq!(cuts, [Cut { field: "/points".into(), shown, of: 1000 }]);
        assert_eq!((&small["name"], &small["few"]), (&json!("a"), &json!([1, 2, 3])));
        assert_eq!(shrink(value.clone(), 100_000), (value, vec![]));
    }

    #[test]
    fn a_long_text_is_cut_before_the_end_of_its_fence() {
        let (small, cuts) = shrink(json!({ "text": format!("⟦data text⟧{}⟦end⟧", "x".repeat(5000)) }), 1000);
        let text = small["text"].as_str().unwrap();
        assert!(text.starts_with("⟦data text⟧xx") && text.ends_with("x…⟦end⟧"), "{text}");
        assert_eq!((cuts[0].field.as_str(), cuts[0].of), ("/text", 5016));
    }

    fn value(random: &mut Random, depth: u32) -> Value {
        match random.below(if depth > 4 { 3 } else { 5 }) {
            0 => json!(random.uniform()),
            1 => json!("x\"é\n".repeat(random.below(200) as usize)),
            2 => Value::Null,
            3 => (0..random.below(40)).map(|_| value(random, depth + 1)).collect(),
            _ => {
                let field = |random: &mut Random| (format!("a/{}~", random.below(99)), value(random, depth + 1));
                Value::Object((0..random.below(8)).map(|_| field(random)).collect())
            }
        }
    }

    #[test]
    fn every_value_fits_after_it_is_cut() {
        for seed in seeds(0..60) {
            let mut random = Random::new(seed);
            let whole = value(&mut random, 0);
            for most in [20, 300, 2_000, 13_000] {
                let (small, cuts) = shrink(whole.clone(), most);
                assert!(small.to_string().len() <= most, "{most}: {small}");
                assert_eq!(small == whole, cuts.is_empty(), "{most}: {cuts:?}");
            }
        }
    }
}
