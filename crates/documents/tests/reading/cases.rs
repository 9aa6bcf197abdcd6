//! Inputs that failed once, after public reports of other programs, with more of their kind beside them.

use wire::data::import::{ImportOptions, LineEnds, Split};

use crate::folder::{Found, case, field, read};

/// Reads one file with the default options.
fn plain(name: &str, bytes: &[u8]) -> Found {
    read(&[(name, bytes)], &ImportOptions::default())
}

#[test]
fn the_end_of_text_marker_separates_documents() {
    let stories = case("01-eot-marker/stories.txt");
    let found = plain("stories.txt", &stories);
    assert_eq!((found.documents.len(), found.issues.len()), (600, 0));
    assert_eq!(found.report.first[..2], ["Once a cat.", "Twice a dog."]);
    for (name, text, expected) in [
        ("a.md", "# One\n<|endoftext|># Two\n", &["# One", "# Two"][..]),
        ("b.txt", "one<|endoftext|>\r\n<|endoftext|>\r\ntwo", &["one", "two"]),
        ("c.jsonl", "{\"text\":\"one<|endoftext|>two\"}\n{\"text\":\"three\"}", &["one", "two", "three"]),
        ("d.csv", "text\n\"one\n<|endoftext|>\ntwo\"\n", &["one", "two"]),
        ("e.txt", "<|endoftext|>", &[]),
        ("f.txt", "a <|endoftext |> b", &["a <|endoftext |> b"]),
    ] {
        assert_eq!(plain(name, text.as_bytes()).documents, expected, "{name}");
    }
}

#[test]
fn other_separators_can_be_chosen() {
    let paras = case("08-line-ends/paras.txt");
    let blank = ImportOptions { split: Split::BlankLines, ..ImportOptions::default() };
    assert!(read(&[("paras.txt", &paras)], &blank).documents.len() > 100);
    assert_eq!(plain("paras.txt", &paras).documents.len(), 1);
    let custom = |separator: &str| ImportOptions { separator: Some(separator.to_owned()), ..ImportOptions::default() };
    for (text, separator, expected) in [
        ("a\n---\nb", "\n---\n", &["a", "b"][..]),
        ("a</s>b</s>", "</s>", &["a", "b"]),
        ("a\u{c}b\u{c}c", "\u{c}", &["a", "b", "c"]),
        ("日本。中国。", "。", &["日本", "中国"]),
        ("a.b<|endoftext|>c", ".", &["a", "b<|endoftext|>c"]),
    ] {
        assert_eq!(read(&[("a.txt", text.as_bytes())], &custom(separator)).documents, expected, "{text:?}");
    }
}

#[test]
fn empty_hidden_and_binary_files_are_skipped_and_named() {
    let (a, c, png) = (case("02-empty-file/a.txt"), case("02-empty-file/c.txt"), case("02-empty-file/mac/pic.png"));
    let files: [(&str, &[u8]); 9] = [
        ("a.txt", &a),
        ("empty.md", b""),
        ("c.txt", &c),
        ("blank.jsonl", &case("02-empty-file/blank.jsonl")),
        ("mac/.DS_Store", b"\0\0\0\x01Bud1"),
        ("mac/pic.png", &png),
        ("spaces.txt", b" \n\t \n"),
        ("paper.pdf", b"%PDF-1.7\nlooks like text"),
        ("head.csv", b"id,text\n"),
    ];
    let found = read(&files, &ImportOptions::default());
    assert_eq!(found.documents.len(), 2);
    let listed = [
        "empty.md empty",
        "blank.jsonl empty",
        "mac/.DS_Store hidden",
        "mac/pic.png binary",
        "spaces.txt empty",
        "paper.pdf binary",
        "head.csv empty",
    ];
    assert_eq!(found.listed(), listed);
    assert_eq!(found.report.files.len(), 9);
}

#[test]
fn one_bad_line_does_not_lose_the_file() {
    let cut = case("03-lone-surrogate/cut.jsonl");
    let found = plain("cut.jsonl", &cut);
    assert_eq!((found.documents.len(), found.listed()), (401, vec!["cut.jsonl:401 malformed".to_owned()]));
    assert_eq!(found.documents[400], "cut \u{fffd}");
    assert!(found.issues[0].message.contains("surrogate"), "{}", found.issues[0].message);
    let good = "{\"text\":\"good\"}\n";
    for (line, documents, message) in [
        ("{\"text\":\"low \\ude00 half\"}", 3, "surrogate"),
        ("{\"text\":\"kept\",\"score\":NaN}", 3, "NaN"),
        ("{\"text\":\"kept\",\"range\":[-Infinity,Infinity]}", 3, "Infinity"),
        ("{\"text\":\"a\ttab\"}", 3, "control"),
        ("{\"text\":\"unclosed}", 2, "not JSON"),
        ("{\"text\":\"\"}", 2, "no text"),
        ("{\"text\":null}", 2, "null"),
        ("{\"text\":5}", 2, "a number"),
        ("{\"story\":\"x\"}", 2, "\"story\""),
        ("{'text':'python'}", 2, "not JSON"),
        ("[]", 2, "no text"),
        ("\u{0}", 2, ""),
    ] {
        let found = plain("a.jsonl", format!("{good}{line}\n{good}").as_bytes());
        if line == "\u{0}" {
            assert_eq!(found.listed(), ["a.jsonl binary"]);
            continue;
        }
        assert_eq!((found.documents.len(), found.issues.len()), (documents, 1), "{line}: {:?}", found.issues);
        assert_eq!(found.issues[0].line, Some(2), "{line}");
        assert!(found.issues[0].message.contains(message), "{line}: {}", found.issues[0].message);
    }
    let latin = [good.as_bytes(), b"{\"text\":\"caf\xe9\"}\n", good.as_bytes()].concat();
    assert_eq!(plain("a.jsonl", &latin).listed(), ["a.jsonl:2 encoding"]);
}

#[test]
fn json_and_tables_are_read_by_field() {
    for (name, file, field_name, expected) in [
        ("array.jsonl", "06-json-array/array.jsonl", "text", &["aaa", "bbb"][..]),
        ("data.json", "06-json-array/data.json", "text", &["aaa", "bbb"]),
        ("one.json", "06-json-array/one.json", "text", &["aaa"]),
        ("pretty.jsonl", "06-json-array/pretty.jsonl", "text", &["aaa"]),
        ("table.csv", "06-json-array/table.csv", "text", &["hello, world", "good \"day\""]),
        ("table.csv", "06-json-array/table.csv", "id", &["1", "2"]),
    ] {
        let bytes = case(file);
        let found = read(&[(name, &bytes)], &field(field_name));
        assert_eq!((found.documents.as_slice(), found.listed()), (&expected.map_owned()[..], vec![]), "{name}");
    }
    for (name, text, field_name, expected) in [
        ("a.json", "{\"data\":[{\"text\":\"a\"},{\"text\":\"b\"}]}", "data.text", &["a", "b"][..]),
        ("b.json", "{\"text\":{\"0\":\"a\",\"1\":\"b\"},\"id\":{\"0\":1}}", "text", &["a", "b"]),
        ("c.json", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n", "text", &["a", "b"]),
        ("d.json", "[\n  {\"text\": \"a, [b]\"},\n  {\"text\": \"\\\"}\"}\n]\n", "text", &["a, [b]", "\"}"]),
        ("e.csv", "\u{feff}Id;Text\r\n1;\"a;\r\nb\"\r\n2;c\r\n", "Text", &["a;\r\nb", "c"]),
        ("f.tsv", "text\tn\na\t1\n\"Hi,\" he said.\t2\n", "text", &["a", "\"Hi,\" he said."]),
        ("g.ndjson", "{\"a\":{\"b\":\"x\"}}", "a.b", &["x"]),
    ] {
        let found = read(&[(name, text.as_bytes())], &field(field_name));
        assert_eq!((found.documents.as_slice(), found.listed()), (&expected.map_owned()[..], vec![]), "{name}");
    }
    let bare = plain("words.json", b"[\"one\", \"two\"]");
    assert_eq!(bare.documents, ["one", "two"]);
}

#[test]
fn a_field_that_does_not_exist_is_named_with_those_that_do() {
    for (name, text) in
        [("a.jsonl", "{\"story\":\"a\",\"n\":1}\n"), ("a.json", "[{\"story\":\"a\"}]"), ("a.csv", "n,story\n1,a\n")]
    {
        let found = read(&[(name, text.as_bytes())], &field("tale"));
        assert!(found.documents.is_empty());
        assert_eq!(found.issues[0].reason.code(), "field", "{name}");
        assert!(found.report.fields.iter().any(|field| field.name == "story"), "{name}: {:?}", found.report.fields);
        for said in ["\"tale\"", "\"story\""] {
            assert!(found.issues[0].message.contains(said), "{name}: {}", found.issues[0].message);
        }
    }
}

#[test]
fn carriage_returns_are_counted_and_normalised_on_request() {
    let lf = ImportOptions { line_ends: LineEnds::Lf, ..ImportOptions::default() };
    for name in ["cr.txt", "crlf.txt"] {
        let bytes = case(&format!("08-line-ends/{name}"));
        let returns = bytes.iter().filter(|byte| **byte == b'\r').count() as u64;
        let kept = plain(name, &bytes);
        assert_eq!(kept.documents[0].as_bytes(), bytes);
        assert_eq!(kept.report.carriage_returns, returns);
        let normalised = read(&[(name, &bytes)], &lf);
        let expected = String::from_utf8(bytes).unwrap().replace("\r\n", "\n").replace('\r', "\n");
        assert_eq!(normalised.documents, [expected]);
    }
    for name in ["cr.jsonl", "crlf.jsonl"] {
        let found = plain(name, &case(&format!("08-line-ends/{name}")));
        assert_eq!((found.documents, found.issues.len()), (vec!["a".to_owned(), "b".to_owned()], 0), "{name}");
    }
    // A pair across two blocks is one line end.
    let long = format!("{}\r\nb", "x".repeat((1 << 20) - 1));
    assert!(read(&[("a.txt", long.as_bytes())], &lf).documents[0] == long.replace('\r', ""));
}

/// Texts as owned ones, for comparisons.
trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for &[&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}
