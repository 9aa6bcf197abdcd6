//! A document as one HTML file, in the light or dark theme of the reader's system. It loads nothing and runs no script; a content security
//! policy in the file forbids both, too.

use figure::theme::{Theme, css};
use figure::{Scene, svg_element};

use super::document::{Block, Document, Table, on_one_line};

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLE: &str = "\
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 24px 16px 64px; max-width: 60rem; background: var(--surface); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; overflow-wrap: anywhere; }
h1, h2, h3 { line-height: 1.25; }
h2 { margin-top: 2.5em; padding-bottom: 4px; border-bottom: 1px solid var(--axis-line); }
h3 { margin-top: 2em; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) minmax(0, 1fr); gap: 4px 16px; }
dt { color: var(--ink-soft); }
dd { margin: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 12px 4px 0; overflow-wrap: break-word; text-align: start; vertical-align: top; border-bottom: 1px solid var(--grid); }
th { color: var(--ink-soft); font-weight: 600; }
td { min-width: 3rem; max-width: 36rem; }
figure { margin: 24px 0; }
figure svg { display: block; max-width: 100%; height: auto; }
figcaption { color: var(--ink-soft); font-size: 14px; }
@media print { body { max-width: none; } h2, h3 { break-after: avoid; } figure, tr { break-inside: avoid; } }
";

/// The document as a file.
pub(super) fn write(document: &Document) -> String {
    let title = escaped(&document.title);
    let (light, dark) = (css(Theme::Light), css(Theme::Dark));
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n:root {{\n{light}}}\n@media (prefers-color-scheme: dark) {{ :root {{\n{dark}}} }}\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n"
    );
    for (at, block) in document.blocks.iter().enumerate() {
        text.push_str(&written(block, at));
    }
    text.push_str("</main>\n</body>\n</html>\n");
    text
}

fn written(block: &Block, at: usize) -> String {
    match block {
        Block::Heading(level, heading) => format!("<h{level}>{}</h{level}>\n", escaped(heading)),
        Block::Paragraph(text) => format!("<p dir=\"auto\">{}</p>\n", escaped(text)),
        Block::Facts(facts) => {
            let fact =
                |(label, fact): &(&str, String)| format!("<dt>{label}</dt><dd dir=\"auto\">{}</dd>\n", escaped(fact));
            format!("<dl>\n{}</dl>\n", facts.iter().map(fact).collect::<String>())
        }
        Block::Table(table) => rows(table),
        Block::Figure(scene) => picture(scene, at),
    }
}

/// The table scrolls by itself where it is wider than the page, also with the keyboard.
fn rows(table: &Table) -> String {
    let heads: String = table.heads.iter().map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
    let cell = |cell: &String| format!("<td dir=\"auto\">{}</td>", escaped(cell));
    let row = |row: &Vec<String>| format!("<tr>{}</tr>\n", row.iter().map(cell).collect::<String>());
    let body: String = table.rows.iter().map(row).collect();
    let label = table.heads.join(", ");
    format!(
        "<div class=\"wide\" role=\"group\" aria-label=\"Table: {label}\" tabindex=\"0\"><table>\n\
         <thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n"
    )
}

fn picture(scene: &Scene, at: usize) -> String {
    let element = svg_element(scene, &format!("figure{at}-"));
    format!("<figure>\n{element}<figcaption>{}</figcaption>\n</figure>\n", escaped(&scene.summary))
}

/// Safe inside an element or a quoted attribute, on one line.
fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in on_one_line(text) {
        match letter {
            '&' => line.push_str("&amp;"),
            '<' => line.push_str("&lt;"),
            '>' => line.push_str("&gt;"),
            '"' => line.push_str("&quot;"),
            '\'' => line.push_str("&#39;"),
            letter => line.push(letter),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use figure::{ReliabilityBin, Size, reliability};

    use super::*;

    #[test]
    fn a_file_is_complete_and_texts_of_people_make_no_markup() {
        let mut document = Document { title: "</title><script>x".into(), ..Document::default() };
        document.paragraph("a & \"b\" <img src=//e>");
        document.facts(vec![("Change", "<b>".into())]);
        document.table(&["run"], vec![vec!["<i>\n'".into()]]);
        let bins = [ReliabilityBin { predicted: 0.5, came_true: 1, count: 2 }];
        document.figure(reliability("<u>", &bins, Size::new(200.0, 200.0)));
        let file = write(&document);
        for part in [
            "<h1>&lt;/title&gt;&lt;script&gt;x</h1>",
            "a &amp; &quot;b&quot; &lt;img src=//e&gt;",
            "<dd dir=\"auto\">&lt;b&gt;</dd>",
            "<td dir=\"auto\">&lt;i&gt; &#39;</td>",
            "<title>&lt;u&gt;</title>",
            "@media (prefers-color-scheme: dark)",
            "fill=\"var(--surface)\"",
            "default-src 'none'",
        ] {
            assert!(file.contains(part), "{part} is not in {file}");
        }
        for part in ["<script", "<img", "<b>", "<i>", "<link", "@import", " src=\"", " href=\""] {
            assert!(!file.contains(part), "{part} is in {file}");
        }
        // The name of the format is the only address.
        assert_eq!(file.matches("http://").count(), file.matches("xmlns=\"http://www.w3.org/2000/svg\"").count());
        assert!(!file.contains("https://") && !file.contains("url("), "{file}");
    }
}
