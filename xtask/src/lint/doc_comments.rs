//! Doc comments without content: a short question, or a repetition of the identifier.

use super::{Finding, sources::Sources};
use crate::shell::Outcome;

/// A comment of one of these words has no content.
const QUESTIONS: [&str; 8] = ["how", "what", "when", "where", "which", "who", "whose", "why"];
/// First words of a short question, such as "Why it failed."; a noun phrase names the value instead.
const QUESTION_STARTS: [&str; 5] = ["How", "What", "Which", "Who", "Why"];
/// Maximum length of a short question after its first word, bytes. Longer ones usually have an object.
const QUESTION_CHARS: usize = 25;
/// Words that add no information to an identifier.
const FILLERS: [&str; 9] = ["a", "all", "an", "its", "of", "the", "these", "this", "those"];
/// Keywords before the name of an item.
const BEFORE_NAMES: [&str; 11] =
    ["async", "const", "enum", "fn", "mod", "pub", "static", "struct", "trait", "type", "unsafe"];

/// One-line doc comments that are a short question, or whose words are all in the name below them.
pub(super) fn check(sources: &Sources) -> Outcome<Vec<Finding>> {
    let mut findings = vec![];
    for file in sources.with_extension(&["rs"]) {
        let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
        for (index, line) in lines.iter().enumerate() {
            let (before, after) = (lines[..index].last(), &lines[index + 1..]);
            let Some(comment) = line.strip_prefix("/// ") else { continue };
            if [before, after.first()].into_iter().flatten().any(|line| line.starts_with("///")) {
                continue;
            }
            let below = after.iter().find(|line| !line.starts_with('#')).copied().unwrap_or_default();
            if is_question(comment) || repeats_name(comment, &name_in(below)) {
                findings.push(Finding::new(
                    &file.path,
                    index + 1,
                    format!("`{line}` is a question or repeats the name: {below}"),
                ));
            }
        }
    }
    Ok(findings)
}

fn is_question(comment: &str) -> bool {
    let Some((first, rest)) = comment.strip_suffix('.').and_then(|text| text.split_once(' ')) else { return false };
    QUESTION_STARTS.contains(&first)
        && rest.len() <= QUESTION_CHARS
        && rest.chars().all(|letter| letter.is_ascii_lowercase() || letter == ' ')
}

fn repeats_name(comment: &str, name: &str) -> bool {
    let comment = comment.to_lowercase();
    let words: Vec<&str> =
        comment.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let name_words = words_of(name);
    let is_known =
        |word: &str| FILLERS.contains(&word) || name_words.iter().any(|known| singular(known) == singular(word));
    match words.as_slice() {
        [] => true,
        [only] if QUESTIONS.contains(only) => true,
        words => words.iter().all(|word| is_known(word)),
    }
}

/// The first identifier of a line of Rust that is not a keyword before a name.
fn name_in(line: &str) -> String {
    let words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let mut names = words.filter(|word| !word.is_empty() && !BEFORE_NAMES.contains(word));
    names.find(|word| !(line.contains(&format!("pub({word})")))).unwrap_or_default().to_owned()
}

/// Splits `learning_rate` and `LearningRate` into the words learning and rate.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in name.chars() {
        if letter == '_' || (was_lower && letter.is_uppercase()) {
            words.push(String::new());
        }
        was_lower = letter.is_lowercase();
        words
            .last_mut()
            .into_iter()
            .for_each(|word| word.extend(letter.to_lowercase().filter(|letter| *letter != '_')));
    }
    words.retain(|word| !word.is_empty());
    words
}

fn singular(word: &str) -> &str {
    word.strip_suffix('s').filter(|stem| stem.len() > 2).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_must_add_information_to_the_name() {
        for (comment, line, expected) in [
            ("Which.", "pub device: DeviceId,", true),
            ("The run.", "pub(crate) run: RunId,", true),
            ("Its learning rates.", "    LearningRate,", true),
            ("Steps so far.", "pub steps: u64,", false),
            ("Which run the checkpoint belongs to.", "run: RunId,", false),
            ("All kernels.", "pub const KERNELS: [Kernel; 4] = [", true),
            ("Why it failed.", "message: String,", true),
            ("What failed, with the value.", "message: String,", false),
            ("Loss in nats per token.", "loss: f64,", false),
        ] {
            let found = is_question(comment) || repeats_name(comment, &name_in(line));
            assert_eq!(found, expected, "{comment} {line}");
        }
    }

    #[test]
    fn only_comments_of_one_line_are_checked() {
        let text = [
            "/// Why.",
            "pub why: String,",
            "/// The run.",
            "/// Named by its id.",
            "run: RunId,",
            "/// Step.",
            "#[serde(default)]",
            "step: u64,",
        ]
        .join("\n");
        let lines: Vec<usize> =
            check(&Sources::of(&[("a.rs", &text)])).unwrap().iter().map(|found| found.line).collect();
        assert_eq!(lines, [1, 6]);
    }
}
