//! Spelling, by the dictionary of `typos`, which lists common misspellings with their corrections. A word that it does not list is
//! accepted, so that names and technical terms need no separate list.

use typos_dict::WORD;
use unicase::UniCase;

use super::{Finding, sources::Sources};
use crate::shell::Outcome;

/// Minimum length of a checked word, bytes; shorter words are mostly abbreviations.
const MIN_LENGTH: usize = 4;
/// Words that the dictionary lists and that are correct here.
const ACCEPTED: [&str; 3] = ["arange", "ttest", "typos"];
/// Extensions of the checked files: all that are read except SVG.
const CHECKED: [&str; 9] = ["css", "html", "md", "mjs", "py", "rs", "sql", "toml", "wgsl"];

/// Misspelt words of code, comments and documents. Identifiers are checked word by word.
pub(super) fn check(sources: &Sources) -> Outcome<Vec<Finding>> {
    let mut findings = vec![];
    for file in sources.with_extension(&CHECKED) {
        for (number, line) in file.numbered_lines() {
            let misspelt = words(line).into_iter().filter_map(|word| Some((word, corrections(word)?)));
            findings
                .extend(misspelt.map(|(word, right)| Finding::new(&file.path, number, format!("`{word}`: {right}"))));
        }
    }
    Ok(findings)
}

/// The corrections of a misspelt word; `None` for a word that the dictionary does not list.
fn corrections(word: &str) -> Option<String> {
    let is_accepted = ACCEPTED.iter().any(|accepted| word.eq_ignore_ascii_case(accepted));
    let corrections = WORD.find(&UniCase::ascii(word)).filter(|_| word.len() >= MIN_LENGTH && !is_accepted)?;
    Some(if corrections.is_empty() { "not a word".to_owned() } else { corrections.join(" or ") })
}

/// The words of a line: runs of ASCII letters, split where a lowercase letter is followed by an uppercase one. Runs with other
/// letters or with digits are skipped: they are not English, or a number, a hash or a name.
fn words(line: &str) -> Vec<&str> {
    let runs = line.split(|letter: char| !letter.is_alphanumeric());
    let are_letters = |run: &&str| !run.is_empty() && run.bytes().all(|letter| letter.is_ascii_alphabetic());
    runs.filter(are_letters).flat_map(parts).collect()
}

fn parts(run: &str) -> Vec<&str> {
    let bytes = run.as_bytes();
    let mut starts: Vec<usize> =
        (1..run.len()).filter(|at| bytes[*at].is_ascii_uppercase() && bytes[*at - 1].is_ascii_lowercase()).collect();
    starts.insert(0, 0);
    starts.push(run.len());
    starts.windows(2).map(|edge| &run[edge[0]..edge[1]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspellings_are_found_in_prose_and_in_identifiers() {
        // The words are put together here, so that this file has none of them.
        let text = ["fn rec", "ieveToken() { let teh_", "recie", "ver = 0xteh1; } // naïve Rec", "ieve"].concat();
        let found: Vec<String> =
            check(&Sources::of(&[("a.rs", &text)])).unwrap().into_iter().map(|f| f.message).collect();
        let wrong = ["rec", "ieve"].concat();
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], format!("`{wrong}`: receive"));
    }

    #[test]
    fn words_are_split_at_capitals_and_underscores() {
        assert_eq!(
            words("learningRate=grad_clip; x86 été HTTPServer"),
            ["learning", "Rate", "grad", "clip", "HTTPServer"]
        );
    }
}
