//! Tags of runs.

use std::collections::BTreeSet;

use crate::error::PlanError;

/// Maximum length of a tag, characters.
pub const TAG_CHARS: usize = 40;
/// Maximum number of tags of one run.
pub const MAX_TAGS: usize = 20;

/// Checks a tag: 1 to 40 characters without spaces, commas and control characters.
///
/// # Errors
/// Any other text.
pub fn check_tag(tag: &str) -> Result<(), PlanError> {
    let is_plain = |c: char| !(c.is_whitespace() || c.is_control() || c == ',');
    if tag.is_empty() || tag.chars().count() > TAG_CHARS || !tag.chars().all(is_plain) {
        let shown: String = tag.chars().take(TAG_CHARS).collect();
        return Err(PlanError::new("tag", format!("{shown:?} is not a valid tag"))
            .hint(format!("enter 1 to {TAG_CHARS} characters without spaces and commas")));
    }
    Ok(())
}

/// The tags of a run as they are stored: in order, each once.
///
/// # Errors
/// An invalid tag, or more than 20.
pub fn checked_tags(tags: &[String]) -> Result<Vec<String>, PlanError> {
    tags.iter().try_for_each(|tag| check_tag(tag))?;
    let tags: BTreeSet<&String> = tags.iter().collect();
    if tags.len() > MAX_TAGS {
        return Err(PlanError::new("tags", format!("{} tags are too many", tags.len()))
            .hint(format!("a run has at most {MAX_TAGS} tags")));
    }
    Ok(tags.into_iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_short_and_without_separators() {
        for (tag, is_valid) in [
            ("baseline", true),
            ("lr/2:é", true),
            ("", false),
            ("a b", false),
            ("a,b", false),
            ("a\u{7}", false),
            (&"x".repeat(40), true),
            (&"x".repeat(41), false),
        ] {
            assert_eq!(check_tag(tag).is_ok(), is_valid, "{tag:?}");
        }
        let many = |count: usize| (0..count).map(|number| format!("t{number}")).collect::<Vec<_>>();
        assert_eq!(checked_tags(&["b".into(), "a".into(), "b".into()]).unwrap(), ["a", "b"]);
        assert!(checked_tags(&many(20)).is_ok() && checked_tags(&many(21)).is_err());
    }
}
