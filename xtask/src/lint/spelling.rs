//! Spelling, by the dictionary of the program `typos`: misspellings that people make, each with what was meant. A word
//! that it does not list is taken as right, so that names and terms of the field need no list of their own.

use typos_dict::WORD;
use unicase::UniCase;

use super::{Finding, sources::Sources};
use crate::shell::Outcome;

/// Shorter words are mostly abbreviations.
const SHORTEST: usize = 4;
/// Words that the dictionary lists and that are meant here.
const MEANT: [&str; 2] = ["arange", "typos"];
/// Every kind of file that is read but pictures.
const CHECKED: [&str; 9] = ["css", "html", "md", "mjs", "py", "rs", "sql", "toml", "wgsl"];

/// Misspelt words of code, comments and documents. Identifiers are checked word by word.
pub(super) fn check(sources: &Sources) -> Outcome<Vec<Finding>> {
    let mut findings = vec![];
    for file in sources.with_extension(&CHECKED) {
        for (number, line) in file.numbered_lines() {
            let misspelt = words(line).into_iter().filter_map(|word| Some((word, meant_by(word)?)));
            findings
                .extend(misspelt.map(|(word, meant)| Finding::new(&file.path, number, format!("`{word}`: {meant}"))));
        }
    }
    Ok(findings)
}

/// What was meant by a misspelt word, or none if it is not known as one.
fn meant_by(word: &str) -> Option<String> {
    let is_meant = MEANT.iter().any(|meant| word.eq_ignore_ascii_case(meant));
    let corrections = WORD.find(&UniCase::ascii(word)).filter(|_| word.len() >= SHORTEST && !is_meant)?;
    Some(if corrections.is_empty() { "not a word".to_owned() } else { corrections.join(" or ") })
}

/// The words of a line: runs of ASCII letters, parted where a small letter is followed by a capital. Words with other
/// letters are not English, and a run of letters beside a digit is a number, a hash or a name.
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
    fn words_are_parted_at_capitals_and_underscores() {
        assert_eq!(
            words("learningRate=grad_clip; x86 été HTTPServer"),
            ["learning", "Rate", "grad", "clip", "HTTPServer"]
        );
    }
}
