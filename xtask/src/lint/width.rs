//! Width of lines. rustfmt wraps code, but not comments, strings and `view!`.

use super::{Finding, sources::Sources};
use crate::shell::Outcome;

/// Maximum width of a line of code, characters; rustfmt wraps at 120 where it can.
const CODE_WIDTH: usize = 140;
/// Maximum width of a line of a document or a comment, characters.
const DOCUMENT_WIDTH: usize = 200;
/// Maximum width of a line with a string or of a style sheet, characters. No formatter wraps these.
const UNWRAPPED_WIDTH: usize = 260;
const CODE: [&str; 5] = ["css", "mjs", "rs", "sql", "wgsl"];

/// Lines that are too wide. A row of a Markdown table cannot be wrapped, so its width is not limited.
pub(super) fn check(sources: &Sources) -> Outcome<Vec<Finding>> {
    let mut findings = vec![];
    for file in sources.with_extension(&CODE).chain(sources.with_extension(&["md"])) {
        for (number, line) in file.numbered_lines() {
            let (width, most) = (line.chars().count(), limit(file.extension(), line));
            if width > most {
                findings.push(Finding::new(&file.path, number, format!("{width} characters, at most {most}")));
            }
        }
    }
    Ok(findings)
}

fn limit(extension: &str, line: &str) -> usize {
    let start = line.trim_start();
    let is_comment = ["//", "/*", "*", "#", "--"].iter().any(|mark| start.starts_with(mark));
    match extension {
        "md" if start.starts_with('|') => usize::MAX,
        "md" => DOCUMENT_WIDTH,
        "css" => UNWRAPPED_WIDTH,
        _ if line.contains('"') || line.contains('`') => UNWRAPPED_WIDTH,
        _ if is_comment => DOCUMENT_WIDTH,
        _ => CODE_WIDTH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_found_by_characters_except_in_tables() {
        let wide = "é".repeat(141);
        let document = format!("{wide}\n| {wide}{wide} |\n{wide}{wide}\n");
        let sources = Sources::of(&[("a.rs", &wide), ("b.rs", &wide[2..]), ("c.md", &document)]);
        let found = check(&sources).unwrap();
        let expected = [
            Finding::new("a.rs", 1, "141 characters, at most 140"),
            Finding::new("c.md", 3, "282 characters, at most 200"),
        ];
        assert_eq!(found, expected);
    }
}
