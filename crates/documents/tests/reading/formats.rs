//! Encodings, compression, Parquet, long records and previews.

use std::io::Write;
use std::sync::Arc;

use documents::DocumentsError;
use flate2::write::GzEncoder;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use wire::data::import::{FileKind, ImportOptions};

use crate::folder::{encoding, field, read, read_up_to};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = GzEncoder::new(vec![], flate2::Compression::fast());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// A table with a column of texts, some of them missing, and one of titles.
pub(crate) fn parquet(texts: &[Option<&str>], compression: Compression) -> Vec<u8> {
    let schema = "message rows { OPTIONAL BYTE_ARRAY text (UTF8); REQUIRED BYTE_ARRAY title (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut bytes = vec![];
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).unwrap();
    for part in texts.chunks(100) {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<ByteArray> = part.iter().flatten().map(|text| ByteArray::from(*text)).collect();
        let levels: Vec<i16> = part.iter().map(|text| i16::from(text.is_some())).collect();
        column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let titles: Vec<ByteArray> = part.iter().map(|_| ByteArray::from("title")).collect();
        column.typed::<ByteArrayType>().write_batch(&titles, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    bytes
}

#[test]
fn files_in_other_encodings_are_skipped_or_converted_as_chosen() {
    let text = "Über die Brücke führt ein schmaler Weg, größer als früher.\n";
    let latin = encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
    let utf16 = |mark: &str| format!("{mark}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let (marked, unmarked) = (utf16("\u{feff}"), utf16(""));
    let files: [(&str, &[u8]); 4] =
        [("u.txt", text.as_bytes()), ("l.txt", &latin), ("m.txt", &marked), ("n.txt", &unmarked)];
    let skipping = read(&files, &ImportOptions::default());
    assert_eq!(skipping.documents, [text, text], "a byte order mark leaves no doubt");
    assert_eq!(skipping.listed(), ["l.txt encoding", "n.txt encoding"]);
    assert!(skipping.issues[0].message.contains("windows-1252") && skipping.issues[0].message.contains("byte 0"));
    let encodings: Vec<_> = skipping.report.files.iter().map(|file| file.encoding.as_deref().unwrap()).collect();
    assert_eq!(encodings, ["UTF-8", "probably windows-1252", "UTF-16LE", "probably UTF-16LE"]);
    let detecting = read(&files, &encoding("detect"));
    assert_eq!((detecting.documents.as_slice(), detecting.issues.len()), (&[text; 4].map(str::to_owned)[..], 0));
    let naming = read(&files[..2], &encoding("ISO-8859-1"));
    assert_eq!((naming.documents, naming.issues.len()), (vec![text.to_owned(); 2], 0));
    let unknown = read_up_to(u64::MAX, &files, &encoding("klingon"));
    assert!(matches!(unknown, Err(DocumentsError::NoEncoding { .. })));
}

#[test]
fn records_in_other_encodings_are_converted_too() {
    let lines = encoding_rs::WINDOWS_1252.encode("{\"text\":\"größer\"}\n{\"text\":\"plain\"}\n").0.into_owned();
    let table = encoding_rs::WINDOWS_1252.encode("id;text\n1;größer\n2;plain\n").0.into_owned();
    let wide: Vec<u8> = "\u{feff}id\ttext\n1\tgrößer\n2\tplain\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, bytes) in [("a.jsonl", &lines), ("a.csv", &table)] {
        let found = read(&[(name, bytes)], &ImportOptions::default());
        assert_eq!((found.documents.len(), found.issues[0].reason.code()), (1, "encoding"), "{name}");
        assert_eq!(read(&[(name, bytes)], &encoding("windows-1252")).documents, ["größer", "plain"], "{name}");
    }
    assert_eq!(read(&[("a.tsv", &wide)], &ImportOptions::default()).documents, ["größer", "plain"]);
}

#[test]
fn compressed_files_are_read_as_what_they_hold() {
    let texts = [Some("aaa"), Some("bbb")];
    let table = parquet(&texts, Compression::UNCOMPRESSED);
    for (name, bytes, kind) in [
        ("a.txt", &b"aaa<|endoftext|>bbb"[..], FileKind::Text),
        ("a.jsonl", b"{\"text\":\"aaa\"}\n{\"text\":\"bbb\"}\n", FileKind::JsonLines),
        ("a.json", b"[{\"text\":\"aaa\"},{\"text\":\"bbb\"}]", FileKind::Json),
        ("a.csv", b"text\naaa\nbbb\n", FileKind::Csv),
        ("a.tsv", b"id\ttext\n1\taaa\n2\tbbb\n", FileKind::Tsv),
        ("a.parquet", &table, FileKind::Parquet),
    ] {
        for (ending, compressed) in [(".gz", gzip(bytes)), (".zst", zstd(bytes)), ("", gzip(bytes))] {
            let found = read(&[(&format!("{name}{ending}"), &compressed)], &ImportOptions::default());
            assert_eq!(found.documents, ["aaa", "bbb"], "{name}{ending}: {:?}", found.issues);
            assert_eq!(found.report.files[0].kind, kind, "{name}{ending}");
            assert!(found.report.files[0].compression.is_some());
        }
    }
}

#[test]
fn damaged_compressed_data_keeps_the_records_before_the_damage() {
    let lines: String = (0..20_000).map(|line| format!("{{\"text\":\"line {line} of many\"}}\n")).collect();
    for (name, mut bytes) in [("a.jsonl.gz", gzip(lines.as_bytes())), ("a.jsonl.zst", zstd(lines.as_bytes()))] {
        bytes.truncate(bytes.len() / 2);
        let found = read(&[(name, &bytes), ("b.txt", b"good")], &ImportOptions::default());
        assert_eq!(found.issues.last().unwrap().reason.code(), "compression", "{name}: {:?}", found.issues);
        assert_eq!(found.documents.last().unwrap(), "good");
    }
}

#[test]
fn parquet_tables_are_read_by_column_in_every_compression() {
    let texts: Vec<String> = (0..250).map(|row| format!("row {row}")).collect();
    let rows: Vec<Option<&str>> =
        texts.iter().enumerate().map(|(row, text)| (row % 10 != 3).then_some(text.as_str())).collect();
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::ZSTD(Default::default()),
        Compression::LZ4_RAW,
    ] {
        let bytes = parquet(&rows, compression);
        let found = read(&[("a.parquet", &bytes)], &ImportOptions::default());
        assert_eq!(found.documents, rows.iter().flatten().copied().collect::<Vec<_>>(), "{compression:?}");
        assert_eq!((found.issues.len(), found.issues[0].line), (25, Some(4)));
        let titles = read(&[("a.parquet", &bytes)], &field("title"));
        assert_eq!(titles.documents.len(), 250);
    }
    let bytes = parquet(&rows, Compression::SNAPPY);
    let missing = read(&[("a.parquet", &bytes)], &field("story"));
    assert!(missing.documents.is_empty());
    assert!(missing.issues[0].message.contains("\"title\""), "{}", missing.issues[0].message);
    for length in [3, 20, bytes.len() / 2, bytes.len() - 1] {
        let cut = read(&[("a.parquet", &bytes[..length])], &ImportOptions::default());
        assert_eq!(cut.issues.last().unwrap().reason.code(), "malformed", "{length}: {:?}", cut.issues);
    }
}

#[test]
fn a_record_that_never_ends_loses_only_itself() {
    let long = "x".repeat(70_000_000);
    let lines = format!("{{\"text\":\"a\"}}\n{{\"text\":\"{long}\"}}\n{{\"text\":\"b\"}}\n");
    let list = format!("[{{\"text\":\"a\"}},{{\"text\":\"{long}\"}},{{\"text\":\"b\"}}]");
    for (name, bytes) in [("a.jsonl", lines), ("a.json", list)] {
        let found = read(&[(name, bytes.as_bytes())], &ImportOptions::default());
        assert_eq!((found.documents.len(), found.issues[0].reason.code()), (2, "too_long"), "{name}");
    }
    let table = format!("id,text\n1,a\n2,\"never closed\n{}", "3,b\n".repeat(20_000_000));
    let found = read(&[("a.csv", table.as_bytes())], &ImportOptions::default());
    assert_eq!(
        (found.documents.as_slice(), found.listed()),
        (&["a".to_owned()][..], vec!["a.csv:3 too_long".to_owned()])
    );
    for (name, text, listed) in [
        ("a.json", "[{\"text\":\"a\"},{\"text\":\"b\"", "a.json:1 malformed"),
        ("a.json", "[{\"text\":\"a\"},\n{\"text\": b},\n{\"text\":\"c\"}]", "a.json:2 malformed"),
        ("a.csv", "id,text\n1,a\n2,b,c\n", "a.csv:3 malformed"),
    ] {
        let found = read(&[(name, text.as_bytes())], &ImportOptions::default());
        assert_eq!((found.documents[0].as_str(), found.listed()), ("a", vec![listed.to_owned()]), "{text}");
    }
}

#[test]
fn a_preview_reads_the_beginning_and_blames_no_record_for_its_end() {
    let lines = "{\"text\":\"a line of text\"}\n".repeat(10_000);
    let list = format!("[{}{{\"text\":\"end\"}}]", "{\"text\":\"a line of text\"},\n".repeat(10_000));
    let table = format!("id,text\n{}", "1,\"a line, of text\"\n".repeat(10_000));
    let text = "a line of text<|endoftext|>".repeat(10_000);
    let rows = vec![Some("a line of text"); 10_000];
    let parquet = parquet(&rows, Compression::SNAPPY);
    for (name, bytes) in [
        ("a.jsonl", lines.as_bytes()),
        ("a.json", list.as_bytes()),
        ("a.csv", table.as_bytes()),
        ("a.txt", text.as_bytes()),
        ("a.jsonl.gz", &gzip(lines.as_bytes())),
        ("a.parquet", &parquet),
    ] {
        let found = read_up_to(30_000, &[(name, bytes)], &ImportOptions::default()).unwrap();
        assert!(!found.report.is_complete && found.issues.is_empty(), "{name}: {:?}", found.issues);
        assert!((1_000..2_500).contains(&found.documents.len()), "{name}: {}", found.documents.len());
        let whole = read_up_to(10_000_000, &[(name, bytes)], &ImportOptions::default()).unwrap();
        assert!(whole.report.is_complete && whole.documents.len() >= 10_000, "{name}");
    }
}
