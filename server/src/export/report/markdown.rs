//! A document as Markdown: CommonMark with the tables of GitHub. Pictures are in the file, as data addresses.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use figure::{Scene, Theme, svg};

use super::document::{Block, Document, Table, on_one_line};

/// Letters with a meaning in CommonMark or in tables.
const SPECIAL: &str = "\\`*_{}[]<>#|~&$!";

/// The document as text.
pub(super) fn write(document: &Document) -> String {
    let mut text = format!("# {}\n", escaped(&document.title));
    for block in &document.blocks {
        text.push('\n');
        text.push_str(&written(block));
    }
    text
}

fn written(block: &Block) -> String {
    match block {
        Block::Heading(level, heading) => format!("{} {}\n", "#".repeat(usize::from(*level)), escaped(heading)),
        Block::Paragraph(text) => format!("{}\n", paragraph(text)),
        Block::Facts(facts) => {
            facts.iter().map(|(label, fact)| format!("- **{label}**: {}\n", escaped(fact))).collect()
        }
        Block::Table(table) => rows(table),
        Block::Figure(scene) => picture(scene),
    }
}

fn rows(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let heads = line(table.heads.iter().map(|head| (*head).to_owned()).collect());
    let rule = line(table.heads.iter().map(|_| "---".to_owned()).collect());
    let body: String = table.rows.iter().map(|row| line(row.iter().map(|cell| escaped(cell)).collect())).collect();
    format!("{heads}{rule}{body}")
}

fn picture(scene: &Scene) -> String {
    let (label, summary) = (escaped(&scene.title), escaped(&scene.summary));
    let file = BASE64_STANDARD.encode(svg(scene, Theme::Light));
    format!("![{label}](data:image/svg+xml;base64,{file})\n\n{summary}\n")
}

/// A text as a separate line, whose beginning is escaped so that it does not become a list, a heading or a quote.
fn paragraph(text: &str) -> String {
    let line = escaped(text);
    let digits = line.len() - line.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    match line[digits..].chars().next() {
        Some('-' | '+' | '=') if digits == 0 => format!("\\{line}"),
        Some('.' | ')') if digits > 0 => format!("{}\\{}", &line[..digits], &line[digits..]),
        _ => line,
    }
}

/// A text on one line, with all Markdown syntax escaped.
fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in on_one_line(text) {
        if SPECIAL.contains(letter) {
            line.push('\\');
        }
        line.push(letter);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_people_make_no_markup() {
        for (text, expected) in [
            ("<script>alert(1)</script>", r"\<script\>alert(1)\</script\>"),
            ("a | b\nc", r"a \| b c"),
            ("![x](http://e)", r"\!\[x\](http://e)"),
            ("# big *b* `c` &lt;", r"\# big \*b\* \`c\` \&lt;"),
            ("\u{7}bell ", "bell"),
        ] {
            assert_eq!(escaped(text), expected);
        }
        for (text, expected) in [("- a", r"\- a"), ("12. a", r"12\. a"), ("12 a", "12 a"), ("> a", r"\> a"), ("", "")] {
            assert_eq!(paragraph(text), expected);
        }
    }

    #[test]
    fn a_table_has_one_line_for_each_row() {
        let table = Table { heads: vec!["run", "loss"], rows: vec![vec!["a|b".into(), "2.31".into()]] };
        assert_eq!(rows(&table), "| run | loss |\n| --- | --- |\n| a\\|b | 2.31 |\n");
    }
}
