//! Finds phrases that the glossary bans because the field has a term for them.
//!
//! Checks the string literals of the crates whose texts reach the page or a terminal, the files of `public/`, and the documents. A test
//! of `server` checks the API document and `--help`.

use super::sources::{Source, Sources};
use super::{Finding, rust};
use crate::shell::Outcome;

/// The document that lists the phrases, one per line that begins with `- ` after the heading.
pub(super) const GLOSSARY: &str = "docs/GLOSSARY.md";
const HEADING: &str = "## Banned phrases";
/// Crates whose strings users read.
const CRATES: [&str; 4] = ["app/src/", "program/src/", "server/src/", "crates/"];

/// Banned phrases, each with the line on which it begins.
pub(super) fn check(sources: &Sources) -> Outcome<Vec<Finding>> {
    let phrases = banned(sources)?;
    let mut findings = vec![];
    let is_read =
        |file: &&Source| CRATES.iter().any(|start| file.path.starts_with(start)) && file.path.contains("/src/");
    for file in sources.with_extension(&["rs"]).filter(is_read) {
        for literal in rust::strings(rust::tokens(file)?) {
            findings.extend(in_text(&file.path, literal.line, &literal.text, &phrases));
        }
    }
    let public = sources.with_extension(&["css", "html", "svg"]).filter(|file| file.path.starts_with("public/"));
    for file in public.chain(sources.with_extension(&["md"])) {
        let text = file.text.split(HEADING).next().unwrap_or_default();
        findings.extend(in_text(&file.path, 1, text, &phrases));
    }
    Ok(findings)
}

/// The phrases of the glossary, in lower case.
fn banned(sources: &Sources) -> Outcome<Vec<String>> {
    let glossary = sources.file(GLOSSARY).ok_or_else(|| format!("{GLOSSARY} does not exist"))?;
    let list = glossary.text.split(HEADING).nth(1).ok_or_else(|| format!("{GLOSSARY} has no `{HEADING}`"))?;
    let phrases: Vec<String> = list.lines().filter_map(|line| line.strip_prefix("- ")).map(str::to_lowercase).collect();
    if phrases.is_empty() { Err(format!("{GLOSSARY} lists no phrase after `{HEADING}`")) } else { Ok(phrases) }
}

/// Banned phrases in a text whose first line has this number. A phrase may span a line end, and each of its words may have a plural `s`.
fn in_text(path: &str, first_line: usize, text: &str, phrases: &[String]) -> Vec<Finding> {
    let words = words(first_line, text);
    let mut findings = vec![];
    for phrase in phrases {
        let wanted: Vec<&str> = phrase.split_whitespace().collect();
        let is_here = |at: &[(usize, String)]| at.iter().zip(&wanted).all(|((_, word), wanted)| is_word(word, wanted));
        let found = words.windows(wanted.len()).filter(|at| is_here(at));
        findings.extend(found.map(|at| Finding::new(path, at[0].0, format!("\"{phrase}\" is banned by {GLOSSARY}"))));
    }
    findings
}

fn is_word(word: &str, wanted: &str) -> bool {
    word == wanted || word.strip_suffix('s') == Some(wanted)
}

/// The words of a text in lower case with their lines.
fn words(first_line: usize, text: &str) -> Vec<(usize, String)> {
    let numbered = text.split('\n').enumerate();
    let in_line = |(index, line): (usize, &str)| {
        let line = line.to_lowercase();
        let words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '\'');
        words.filter(|word| !word.is_empty()).map(|word| (first_line + index, word.to_owned())).collect::<Vec<_>>()
    };
    numbered.flat_map(in_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# Glossary\n\n## Banned phrases\n- cut by\n- ghost\n";

    fn found(path: &str, text: &str) -> Vec<usize> {
        let findings = check(&Sources::of(&[(GLOSSARY, LIST), (path, text)])).unwrap();
        findings.into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn phrases_are_found_across_lines_and_not_inside_words() {
        assert_eq!(found("docs/guide.md", "Uncut by\nday; it was cut\nby whom?\nGhosts: ghostly."), [2, 4]);
        assert_eq!(found("public/index.html", "<p class=\"ghost\">"), [1]);
        assert_eq!(found("tests/src/lib.rs", "const A: &str = \"a ghost\";"), [0; 0]);
    }

    #[test]
    fn only_strings_outside_of_tests_are_read_in_rust() {
        let text = "/// A ghost.\nfn ghost() { f(\"a \\\n    text cut \\\n by, {x}\"); }\n\
            #[cfg(test)]\nmod tests { const A: &str = \"a ghost\"; }\nview! { <p title=r#\"ghost\"#>\"no\"</p> }";
        assert_eq!(found("app/src/page.rs", text), [2, 7]);
    }
}
