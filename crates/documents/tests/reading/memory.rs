//! Anonymous memory while large files of each format are read: below 400 MB, whatever the size of the file. Not run by default, because it
//! writes and reads several files of `KINDLING_MEASURE_MB` megabytes (100 unless set):
//!
//! ```sh
//! KINDLING_MEASURE_MB=2000 cargo test --release --workspace --exclude app --exclude xtask --test reading -- --ignored --nocapture
//! ```

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use documents::file::read_file;
use documents::{Intake, Sink, Stopped};
use flate2::write::GzEncoder;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use testing::Random;
use wire::data::import::{ImportOptions, Issue};

/// Longest document, bytes.
const DOCUMENT_BYTES: u64 = 1_000_000;
const LIMIT_BYTES: u64 = 400_000_000;

/// Counts documents.
#[derive(Default)]
struct Counted {
    documents: u64,
    bytes: u64,
}

impl Sink for Counted {
    fn append(&mut self, text: &str) -> Result<(), Stopped> {
        self.bytes += text.len() as u64;
        Ok(())
    }
    fn end_document(&mut self) -> Result<(), Stopped> {
        self.documents += 1;
        Ok(())
    }
    fn issue(&mut self, issue: &Issue) -> Result<(), Stopped> {
        panic!("{issue:?}")
    }
    fn progress(&mut self, _: u64) -> Result<(), Stopped> {
        Ok(())
    }
}

/// Documents of random lengths.
struct Texts(Random);

impl Texts {
    fn next(&mut self) -> String {
        let length = 1 + self.0.below(DOCUMENT_BYTES) as usize;
        let words = ["the ", "cat ", "größer, ", "said \"no\". ", "two\nlines ", "中文 "];
        let mut text = String::with_capacity(length + 16);
        while text.len() < length {
            text.push_str(words[self.0.below(words.len() as u64) as usize]);
        }
        text.push('.');
        text
    }
}

/// Writes documents of `bytes` in all, each as `line` makes it; returns their number.
fn write(to: &mut dyn Write, bytes: u64, separator: &str, line: impl Fn(&str) -> String) -> u64 {
    let (mut texts, mut written, mut documents) = (Texts(Random::new(7)), 0, 0);
    while written < bytes {
        let text = texts.next();
        written += text.len() as u64;
        let between = if documents > 0 { separator } else { "" };
        write!(to, "{between}{}", line(&text)).unwrap();
        documents += 1;
    }
    documents
}

/// A file that is compressed as its name says, complete when it is dropped.
fn create(path: &Path) -> Box<dyn Write> {
    let to = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    match path.extension().and_then(|end| end.to_str()) {
        Some("gz") => Box::new(GzEncoder::new(to, flate2::Compression::fast())),
        Some("zst") => Box::new(zstd::Encoder::new(to, 1).unwrap().auto_finish()),
        _ => Box::new(to),
    }
}

fn write_parquet(path: &Path, bytes: u64) -> u64 {
    let schema = parse_message_type("message rows { REQUIRED BYTE_ARRAY text (UTF8); }").unwrap();
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).set_dictionary_enabled(false);
    let mut writer =
        SerializedFileWriter::new(File::create(path).unwrap(), schema.into(), properties.build().into()).unwrap();
    let (mut texts, mut written, mut documents) = (Texts(Random::new(7)), 0, 0);
    while written < bytes {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        for _ in 0..100 {
            let text = texts.next();
            written += text.len() as u64;
            documents += 1;
            column.typed::<ByteArrayType>().write_batch(&[ByteArray::from(text.into_bytes())], None, None).unwrap();
        }
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    documents
}

fn anonymous_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kilobytes| kilobytes * 1024)
}

/// Runs work and returns the highest anonymous memory meanwhile, sampled every 5 ms.
fn highest_during(work: impl FnOnce()) -> u64 {
    let (is_over, highest) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                highest.fetch_max(anonymous_bytes(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        work();
        is_over.store(true, Ordering::Relaxed);
    });
    highest.into_inner()
}

#[test]
#[ignore = "writes and reads large files"]
fn memory_does_not_grow_with_the_file() {
    let megabytes: u64 = std::env::var("KINDLING_MEASURE_MB").map_or(100, |size| size.parse().unwrap());
    let bytes = megabytes * 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let object = |text: &str| serde_json::json!({ "n": 1, "text": text }).to_string();
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    for name in [
        "a.txt",
        "a.txt.gz",
        "a.jsonl",
        "a.jsonl.gz",
        "a.json",
        "a.json.zst",
        "a.csv",
        "a.csv.zst",
        "a.tsv",
        "a.tsv.gz",
        "a.parquet",
        "latin.txt",
    ] {
        let path = folder.path().join(name);
        let made = match name.trim_end_matches(".gz").trim_end_matches(".zst") {
            "a.txt" => write(&mut create(&path), bytes, "\n<|endoftext|>\n", str::to_owned),
            "a.jsonl" => write(&mut create(&path), bytes, "\n", object),
            "a.json" => {
                let mut to = create(&path);
                to.write_all(b"[").unwrap();
                let made = write(&mut to, bytes, ",\n", object);
                to.write_all(b"]").unwrap();
                made
            }
            "a.csv" => {
                let mut to = create(&path);
                to.write_all(b"n,text\n").unwrap();
                write(&mut to, bytes, "", |text| format!("1,{}\n", quoted(text)))
            }
            "a.tsv" => {
                let mut to = create(&path);
                to.write_all(b"n\ttext\n").unwrap();
                write(&mut to, bytes, "", |text| format!("1\t{}\n", quoted(text)))
            }
            "a.parquet" => write_parquet(&path, bytes),
            _ => {
                let (mut to, mut texts) = (create(&path), Texts(Random::new(7)));
                for _ in 0..bytes / (DOCUMENT_BYTES / 2) {
                    to.write_all(&encoding_rs::WINDOWS_1252.encode(&texts.next().replace("中文", "ß")).0).unwrap();
                }
                1
            }
        };
        let options = ImportOptions { encoding: Some("windows-1252".to_owned()), ..ImportOptions::default() };
        let mut counted = Counted::default();
        let began = Instant::now();
        let highest = highest_during(|| {
            let mut intake = Intake::new(&options, &mut counted).unwrap();
            read_file(&mut intake, name, &path).unwrap();
        });
        let (secs, size) = (began.elapsed().as_secs_f64(), fs::metadata(&path).unwrap().len());
        println!(
            "{name}: {} MB, {} documents, {} MB of text, {:.0} MB anonymous at most, {secs:.1} s",
            size / 1_000_000,
            counted.documents,
            counted.bytes / 1_000_000,
            highest as f64 / 1e6,
        );
        assert_eq!(counted.documents, made, "{name}");
        assert!(highest < LIMIT_BYTES, "{name}: {highest} bytes");
        fs::remove_file(&path).unwrap();
    }
}
