//! Random folders of good and bad files: everything good arrives in order, everything else is listed.

use parquet::basic::Compression;
use testing::Random;
use wire::data::import::ImportOptions;

use crate::folder::read;
use crate::formats::parquet;

/// One file with the documents and the issues that it must give.
struct Made {
    name: String,
    bytes: Vec<u8>,
    documents: Vec<String>,
    issues: Vec<String>,
}

/// A text of one to four words, some with quotation marks, commas, line ends and letters of several bytes.
fn text(random: &mut Random) -> String {
    let words = ["cat", "\"dog\"", "a, b", "größer", "中文", "two\nlines", "tab\there", "🙂", "{x}", "[y]", "\\n"];
    let count = 1 + random.below(4);
    (0..count).map(|_| words[random.below(words.len() as u64) as usize]).collect::<Vec<_>>().join(" ")
}

fn good_file(random: &mut Random, place: u64) -> Made {
    let documents: Vec<String> = (0..1 + random.below(5)).map(|_| text(random)).collect();
    let object = |text: &String| serde_json::json!({ "n": 1, "text": text }).to_string();
    let (ending, bytes) = match random.below(6) {
        0 => ("txt", documents.join("\n<|endoftext|>\n").into_bytes()),
        1 => ("jsonl", documents.iter().map(|text| object(text) + "\n").collect::<String>().into_bytes()),
        2 => ("json", format!("[{}]", documents.iter().map(object).collect::<Vec<_>>().join(",\n")).into_bytes()),
        3 => ("csv", table(b',', &documents)),
        4 => ("tsv", table(b'\t', &documents)),
        _ => {
            let rows: Vec<Option<&str>> = documents.iter().map(|text| Some(text.as_str())).collect();
            ("parquet", parquet(&rows, Compression::SNAPPY))
        }
    };
    let (ending, bytes) = match random.below(4) {
        0 => (format!("{ending}.zst"), zstd::encode_all(bytes.as_slice(), 1).unwrap()),
        _ => (ending.to_owned(), bytes),
    };
    Made { name: format!("folder/{place}.{ending}"), bytes, documents, issues: vec![] }
}

fn table(delimiter: u8, texts: &[String]) -> Vec<u8> {
    let mut rows =
        csv::WriterBuilder::new().delimiter(delimiter).quote_style(csv::QuoteStyle::Always).from_writer(vec![]);
    rows.write_record(["id", "text"]).unwrap();
    texts.iter().for_each(|text| rows.write_record(["1", text]).unwrap());
    rows.into_inner().unwrap()
}

fn bad_file(random: &mut Random, place: u64) -> Made {
    let bads: [(&str, &[u8], &str); 8] = [
        ("txt", b"", "empty"),
        ("txt", b"caf\xe9 au lait", "encoding"),
        ("bin", b"text\0and more", "binary"),
        ("png", b"\x89PNG\r\n\x1a\n\0", "binary"),
        ("jsonl", b"\n \n\n", "empty"),
        ("json", b"", "empty"),
        ("csv", b"id,text\n", "empty"),
        ("parquet", b"PAR1 and no table", "malformed"),
    ];
    let (ending, bytes, reason) = bads[random.below(bads.len() as u64) as usize];
    let name = match random.below(8) {
        0 => format!("folder/.hidden-{place}"),
        _ => format!("folder/{place}.{ending}"),
    };
    let reason = if name.contains(".hidden") { "hidden" } else { reason };
    Made { issues: vec![format!("{name} {reason}")], name, bytes: bytes.to_vec(), documents: vec![] }
}

/// JSON Lines of good and bad lines.
fn mixed_file(random: &mut Random, place: u64) -> Made {
    let name = format!("folder/{place}.jsonl");
    let (mut bytes, mut documents, mut issues) = (vec![], vec![], vec![]);
    for line in 1..=2 + random.below(10) {
        let good = text(random);
        let bads: [(&[u8], &str, Option<&str>); 6] = [
            (b"{\"text\": \"cut", "malformed", None),
            (b"{\"other\": \"x\"}", "field", None),
            (b"{\"text\": \"\"}", "empty", None),
            (b"{\"text\": \"\xff\"}", "encoding", None),
            (b"{\"text\": \"half \\ud83d\"}", "malformed", Some("half \u{fffd}")),
            (b"{\"text\": \"kept\", \"n\": NaN}", "malformed", Some("kept")),
        ];
        if line == 1 || random.below(3) > 0 {
            bytes.extend_from_slice(serde_json::json!({ "text": good }).to_string().as_bytes());
            documents.push(good);
        } else {
            let (bad, reason, document) = bads[random.below(bads.len() as u64) as usize];
            bytes.extend_from_slice(bad);
            issues.push(format!("{name}:{line} {reason}"));
            documents.extend(document.map(str::to_owned));
        }
        bytes.extend_from_slice(["\n", "\r\n"][random.below(2) as usize].as_bytes());
    }
    Made { name, bytes, documents, issues }
}

#[test]
fn everything_good_arrives_and_everything_else_is_listed() {
    for seed in testing::seeds(0..300) {
        let mut random = Random::new(seed);
        let made: Vec<Made> = (0..1 + random.below(12))
            .map(|place| match random.below(4) {
                0 => bad_file(&mut random, place),
                1 => mixed_file(&mut random, place),
                _ => good_file(&mut random, place),
            })
            .collect();
        let files: Vec<(&str, &[u8])> = made.iter().map(|file| (file.name.as_str(), file.bytes.as_slice())).collect();
        let found = read(&files, &ImportOptions::default());
        let documents: Vec<&String> = made.iter().flat_map(|file| &file.documents).collect();
        let issues: Vec<&String> = made.iter().flat_map(|file| &file.issues).collect();
        assert_eq!(found.documents.iter().collect::<Vec<_>>(), documents);
        assert_eq!(found.listed().iter().collect::<Vec<_>>(), issues);
        assert_eq!(found.report.file_count, made.len() as u64);
    }
}
