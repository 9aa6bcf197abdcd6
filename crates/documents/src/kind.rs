//! What a file holds, by its name and its first bytes.

use wire::data::import::FileKind;

/// Beginnings of files that look like text to their end but are not, and of archives, with what they are.
const FOREIGN: [(&[u8], &str); 12] = [
    (b"%PDF-", "a PDF document; save its text"),
    (b"PK\x03\x04", "a ZIP archive, or a document stored as one; unpack it"),
    (b"{\\rtf", "an RTF document; save its text"),
    (b"BZh", "compressed with bzip2; compress it with gzip or zstd"),
    (b"\xfd7zXZ\0", "compressed with xz; compress it with gzip or zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"ARROW1", "an Arrow file; save it as Parquet"),
    (b"SQLite format 3\0", "an SQLite database; export its table as CSV"),
    (b"\x80\x04\x95", "a Python pickle; save it as JSON Lines"),
];

/// Names that operating systems and editors leave in folders.
const LEFT_BEHIND: [&str; 3] = ["thumbs.db", "desktop.ini", "__macosx"];

/// What a file with these first bytes is, if it is none that is read.
pub(crate) fn foreign(head: &[u8]) -> Option<&'static str> {
    FOREIGN.iter().find(|(beginning, _)| head.starts_with(beginning)).map(|(_, what)| *what)
}

/// Whether a file was left behind by an operating system or an editor: `.DS_Store`, `.git/config`, `Thumbs.db`.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| {
        (part.starts_with('.') && !matches!(part, "." | ".."))
            || LEFT_BEHIND.iter().any(|left| part.eq_ignore_ascii_case(left))
    })
}

/// What a file of this name holds; `head` has its first bytes, decompressed, as UTF-8 where it is text.
pub(crate) fn kind_of(name: &str, head: &[u8]) -> FileKind {
    if head.starts_with(b"PAR1") {
        return FileKind::Parquet;
    }
    let extension = name.rsplit('/').next().unwrap_or(name).rsplit_once('.').map(|(_, extension)| extension);
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("jsonl" | "ndjson" | "json") => {
            layout(head, extension.is_some_and(|end| end.eq_ignore_ascii_case("json")))
        }
        Some("csv") => FileKind::Csv,
        Some("tsv" | "tab") => FileKind::Tsv,
        Some("parquet" | "pq") => FileKind::Parquet,
        _ => FileKind::Text,
    }
}

/// Whether JSON has a value on each line. A first line that is no whole value, but begins one that ends on a later line, does not.
fn layout(head: &[u8], is_json: bool) -> FileKind {
    let head = head.trim_ascii_start();
    if head.first() == Some(&b'[') {
        return FileKind::Json;
    }
    let whole = if is_json { FileKind::Json } else { FileKind::JsonLines };
    let Some(end) = head.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else { return whole };
    let first = serde_json::from_slice::<serde::de::IgnoredAny>(&head[..end]);
    let begins_value = || {
        let mut values = serde_json::Deserializer::from_slice(head).into_iter::<serde::de::IgnoredAny>();
        matches!(values.next(), Some(Ok(_)))
    };
    match first {
        Ok(_) if head[end..].trim_ascii().is_empty() => whole,
        Ok(_) => FileKind::JsonLines,
        Err(error) if error.is_eof() && begins_value() => FileKind::Json,
        Err(_) => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_of_json_is_found_in_its_first_lines() {
        for (name, head, kind) in [
            ("a.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n", FileKind::JsonLines),
            ("a.jsonl", "[{\"text\":\"a\"},\n{\"text\":\"b\"}]", FileKind::Json),
            ("a.jsonl", "{\n \"text\": \"a\"\n}\n", FileKind::Json),
            ("a.jsonl", "{\"text\": \"cut", FileKind::JsonLines),
            ("a.jsonl", "{\"text\": \"cut\n{\"text\": \"b\"}\n", FileKind::JsonLines),
            ("a.json", "{\"text\":\"a\"}", FileKind::Json),
            ("a.json", "{\"text\":\"a\"}\n", FileKind::Json),
            ("a.json", "{\"text\":\"a\"}\n{\"text\":\"b\"}", FileKind::JsonLines),
            ("a.jsonl", "{\"text\":\"a\"}\r{\"text\":\"b\"}\r", FileKind::JsonLines),
            ("A.JSON", "\n\n[1]", FileKind::Json),
            ("a.txt", "{\"text\":\"a\"}", FileKind::Text),
            ("deep.csv/a", "x", FileKind::Text),
            ("a.csv", "text\na", FileKind::Csv),
        ] {
            assert_eq!(kind_of(name, head.as_bytes()), kind, "{name} {head:?}");
        }
    }

    #[test]
    fn files_that_systems_leave_behind_are_known_by_name() {
        for name in [".DS_Store", "mac/.DS_Store", "a/.git/config", "pictures/Thumbs.db", "__MACOSX/a.txt", "._a.txt"] {
            assert!(is_hidden(name), "{name}");
        }
        for name in ["a.txt", "../a.txt", "./a.txt", "a/b.c/d", "…"] {
            assert!(!is_hidden(name), "{name}");
        }
    }
}
