//! The search for runs: words, tags, and comparisons of a column with a value, all of which must hold.

use serde_json::Value;

use super::columns::{Column, text_of};
use crate::error::ParseError;

/// Example of a comparison, for errors.
const EXAMPLE: &str = "a comparison of a column with a value, such as lr>1e-3 or model.layers=6";

/// Comparisons of one search: each is a value that the database reads of every run.
const MAX_CONDITIONS: usize = 40;
const FEWER: &str = "a search with at most 40 comparisons";

/// A parsed search.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunSearch {
    /// Texts that the run contains, in lower case.
    pub words: Vec<String>,
    /// Tags of the run.
    pub tags: Vec<String>,
    /// Id of its parent.
    pub parent: Option<String>,
    pub conditions: Vec<Condition>,
}

/// A comparison of a column with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    pub column: Column,
    pub relation: Relation,
    /// The value, as written.
    pub value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Longer signs first, so that `<=` is not read as `<`.
const RELATIONS: [(&str, Relation); 6] = [
    ("!=", Relation::NotEqual),
    ("<=", Relation::LessOrEqual),
    (">=", Relation::GreaterOrEqual),
    ("=", Relation::Equal),
    ("<", Relation::Less),
    (">", Relation::Greater),
];

impl RunSearch {
    /// Parses the text of a search field.
    ///
    /// # Errors
    /// A comparison without a column or without a value, with the name of no column, or too many of them.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut search = Self::default();
        for term in terms(text) {
            if let Some(tag) = term.strip_prefix("tag:").filter(|tag| !tag.is_empty()) {
                search.tags.push(tag.to_owned());
            } else if let Some(parent) = term.strip_prefix("parent:").filter(|parent| !parent.is_empty()) {
                search.parent = Some(parent.to_owned());
            } else if let Some((column, relation, value)) = split(&term) {
                if column.is_empty() || value.is_empty() {
                    return Err(ParseError::new(&term, EXAMPLE));
                }
                if search.conditions.len() == MAX_CONDITIONS {
                    return Err(ParseError::new(text, FEWER));
                }
                let condition = Condition { column: Column::parse(column)?, relation, value: value.to_owned() };
                search.conditions.push(condition);
            } else {
                search.words.push(term.to_lowercase());
            }
        }
        Ok(search)
    }
}

/// The terms between spaces; spaces around the sign of a comparison do not separate.
fn terms(text: &str) -> Vec<String> {
    let mut terms: Vec<String> = vec![];
    for part in text.split_whitespace() {
        let begins = ["!=", "<", ">", "="].iter().any(|sign| part.starts_with(sign));
        match terms.last_mut() {
            Some(last) if begins || last.ends_with(['<', '>', '=']) => last.push_str(part),
            _ => terms.push(part.to_owned()),
        }
    }
    terms
}

fn split(term: &str) -> Option<(&str, Relation, &str)> {
    let at = term.find(['<', '>', '=']).map(|at| if term[..at].ends_with('!') { at - 1 } else { at })?;
    let (sign, relation) = RELATIONS.iter().find(|(sign, _)| term[at..].starts_with(sign))?;
    Some((&term[..at], *relation, &term[at + sign.len()..]))
}

impl Condition {
    /// Whether a run with this value of the column meets the condition. A run without a value meets none.
    pub fn is_met(&self, value: Option<&Value>) -> bool {
        let Some(value) = value.filter(|value| !value.is_null()) else { return false };
        if let (Some(one), Ok(other)) = (value.as_f64(), self.value.parse::<f64>()) {
            return self.relation.holds(one, other);
        }
        let is_equal = text_of(value).to_lowercase() == self.value.to_lowercase();
        match self.relation {
            Relation::Equal => is_equal,
            Relation::NotEqual => !is_equal,
            _ => false,
        }
    }
}

impl Relation {
    fn holds(self, one: f64, other: f64) -> bool {
        // Stored and typed numbers may differ in the last digits.
        let is_equal = (one - other).abs() <= 1e-9 * one.abs().max(other.abs());
        match self {
            Self::Equal => is_equal,
            Self::NotEqual => !is_equal,
            Self::Less => one < other && !is_equal,
            Self::LessOrEqual => one < other || is_equal,
            Self::Greater => one > other && !is_equal,
            Self::GreaterOrEqual => one > other || is_equal,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_search_has_words_tags_and_conditions() {
        let search = RunSearch::parse("Fox tag:base-1 lr > 1e-3 layers=6 val<=2 parent:a-1 seed != 3 a:b").unwrap();
        assert_eq!((search.words, search.tags), (vec!["fox".into(), "a:b".to_owned()], vec!["base-1".to_owned()]));
        assert_eq!(search.parent.as_deref(), Some("a-1"));
        let read: Vec<_> = search.conditions.iter().map(|one| (one.column.id(), one.relation, &*one.value)).collect();
        let expected = [
            ("optimizer.learning_rate", Relation::Greater, "1e-3"),
            ("model.layers", Relation::Equal, "6"),
            ("metric:loss.valid", Relation::LessOrEqual, "2"),
            ("seed", Relation::NotEqual, "3"),
        ];
        assert_eq!(read, expected.map(|(id, relation, value)| (id.to_owned(), relation, value)));
        assert_eq!(RunSearch::parse("  ").unwrap(), RunSearch::default());
        let many = |count: usize| "a>1 ".repeat(count);
        assert_eq!(RunSearch::parse(&many(40)).unwrap().conditions.len(), 40);
        for text in ["lr>", ">3", "=", "a =", "\0=1", "a\"=1", &many(41)] {
            assert!(RunSearch::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn conditions_compare_numbers_by_value_and_texts_by_equality() {
        for (text, value, is_met) in [
            ("lr=0.001", json!(1e-3), true),
            ("lr>0.001", json!(1e-3), false),
            ("lr>=0.001", json!(1e-3), true),
            ("lr<0.001", json!(9e-4), true),
            ("optimizer.kind=MUON", json!("muon"), true),
            ("optimizer.kind!=muon", json!("adamw"), true),
            ("optimizer.kind>adamw", json!("muon"), false),
            ("model.bias=true", json!(true), true),
            ("lr=abc", json!(1), false),
            ("lr>-1", Value::Null, false),
        ] {
            let search = RunSearch::parse(text).unwrap();
            assert_eq!(search.conditions[0].is_met(Some(&value)), is_met, "{text} of {value}");
            assert!(!search.conditions[0].is_met(None));
        }
    }
}
