//! Corpora: import, tokenization, storage, reading, and damaged files.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use engine::DataError;
use engine::data::corpus;
use engine::data::dataset::{Dataset, prepare};
use engine::data::generators;
use engine::data::import::{Files, ISSUES_FILE, import_files, preview_files};
use engine::data::repeats::Repeats;
use engine::kernels::random::Counter;
use wire::data::corpus::{CorpusInfo, Source};
use wire::data::import::{ImportOptions, Reason};
use wire::data::tokenizer::Tokenizer;
use wire::id::CorpusId;

/// A temporary folder.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let folder = std::env::temp_dir().join(format!(
            "kindling-data-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn id(text: &str) -> CorpusId {
    text.parse().unwrap()
}

fn quietly(_: u64, _: Option<u64>, _: &'static str) -> bool {
    true
}

fn files_source() -> Source {
    Source::Files { names: vec![] }
}

fn import(corpora: &Path, name: &str, parts: &[(&str, &[u8])], field: Option<&str>) -> Result<CorpusInfo, DataError> {
    let options = ImportOptions { field: field.map(str::to_owned), ..ImportOptions::default() };
    import_with(corpora, name, parts, &options)
}

fn import_with(
    corpora: &Path,
    name: &str,
    parts: &[(&str, &[u8])],
    options: &ImportOptions,
) -> Result<CorpusInfo, DataError> {
    let from = Folder::new();
    let place = |(place, (name, bytes)): (usize, &(&str, &[u8]))| {
        let path = from.0.join(place.to_string());
        fs::write(&path, bytes).unwrap();
        ((*name).to_owned(), path)
    };
    let files: Vec<(String, PathBuf)> = parts.iter().enumerate().map(place).collect();
    let from = Files { files: &files, options, max_text_bytes: 20_000_000 };
    import_files(corpora, &id(name), name, files_source(), from, &mut quietly)
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn tales_are_generated_tokenized_and_read_with_their_entropy_floor() {
    let folder = Folder::new();
    let info = generators::generate(&folder.0, &id("tales"), "tales", 1, &mut quietly).unwrap();
    assert_eq!(info.documents, 10_000);
    assert!((0.08..0.12).contains(&info.valid_share));
    assert_eq!(
        generators::generate(&folder.0, &id("tales"), "tales", 1, &mut quietly).unwrap(),
        info,
        "generated once"
    );
    assert!(matches!(
        generators::generate(&folder.0, &id("tales"), "tales", 2, &mut quietly),
        Err(DataError::CorpusExists { .. })
    ));
    let documents = corpus::documents(&folder.0, &id("tales")).unwrap();
    let nats = |text: &str| generators::surprisal("tales", text).unwrap().iter().map(|(_, nats)| nats).sum::<f64>();
    let all: f64 = documents.iter().map(nats).sum();
    assert!(
        (all - info.entropy_nats.unwrap()).abs() < 1e-6,
        "the parser and the sampler give the corpus the same nats"
    );

    let per_byte = |tokenizer| {
        let made = prepare(&folder.0, &[id("tales")], tokenizer, &mut quietly).unwrap();
        assert!(made.floor_nats.unwrap() < made.unigram_nats);
        made.floor_nats.unwrap() / made.bytes_per_token
    };
    let floors = [Tokenizer::Char, Tokenizer::Byte, Tokenizer::Bpe(512), Tokenizer::Gpt2].map(per_byte);
    assert!(
        floors.iter().all(|floor| (floor - floors[0]).abs() < 1e-12),
        "the floor per byte does not depend on the tokenizer: {floors:?}"
    );

    let data = Dataset::open(&folder.0, &[id("tales")], Tokenizer::Char).unwrap();
    assert_eq!(data.info().vocab as usize, info.alphabet.chars().count() + 1);
    let text: Vec<u32> = data.valid_all(7, 100).flat_map(|batch| batch.inputs).map(|token| token as u32).collect();
    let held_out = data.tokenizer().decode(&text);
    let stories: Vec<&str> = held_out.split_terminator("\n\n").collect();
    assert!(
        stories[..stories.len() - 1].iter().all(|story| generators::surprisal("tales", story).is_some()),
        "whole stories, one after another"
    );
    let listed = corpus::list(&folder.0).unwrap();
    assert_eq!(listed[0].datasets.len(), 4);
    corpus::remove(&folder.0, &id("tales")).unwrap();
    assert!(corpus::list(&folder.0).unwrap().is_empty() && names_in(&folder.0).is_empty());
}

#[test]
fn every_sum_modulo_97_occurs_equally_often() {
    let folder = Folder::new();
    let info = generators::generate(&folder.0, &id("sums"), "modular-addition", 3, &mut quietly).unwrap();
    let rounds = info.documents / (97 * 97);
    assert_eq!((info.documents % (97 * 97), info.text_bytes), (0, 97 * 97 * 8 * rounds));
    assert_eq!(info.alphabet, "+0123456789=");
    assert!((info.valid_share - 0.7).abs() < 0.02, "{}", info.valid_share);
    let documents = corpus::documents(&folder.0, &id("sums")).unwrap();
    let mut all = std::collections::BTreeMap::<&str, u64>::new();
    documents.iter().for_each(|sum| *all.entry(sum).or_default() += 1);
    assert!(all.len() == 97 * 97 && all.values().all(|count| *count == rounds));
    let is_right = |sum: &str| {
        (sum[..2].parse::<u32>().unwrap() + sum[3..5].parse::<u32>().unwrap()) % 97 == sum[6..].parse::<u32>().unwrap()
    };
    assert!(all.keys().all(|sum| is_right(sum)));
    let made = prepare(&folder.0, &[id("sums")], Tokenizer::Char, &mut quietly).unwrap();
    assert!((made.floor_nats.unwrap() - 2.0 * 97f64.ln() / 9.0).abs() < 1e-9, "nine tokens with the end of each");

    prepare(&folder.0, &[id("sums")], Tokenizer::Bpe(354), &mut quietly).unwrap();
    let open = |tokenizer| Dataset::open(&folder.0, &[id("sums")], tokenizer).unwrap();
    let numbers = open(Tokenizer::Bpe(354)).number_tokens().expect("each number is one token");
    assert_eq!(numbers.iter().collect::<std::collections::BTreeSet<_>>().len(), 97);
    assert_eq!(open(Tokenizer::Char).number_tokens(), None, "two letters make a number");
}

#[test]
fn a_single_document_holds_out_its_last_tenth_and_needs_no_end_of_text() {
    let folder = Folder::new();
    let text: String = (0..1000).map(|i| format!("line {i} é\n")).collect();
    let info = import(&folder.0, "one", &[("one.txt", text.as_bytes())], None).unwrap();
    assert!((info.valid_share - 0.1).abs() < 0.001);
    assert_eq!(info.source, Source::Files { names: vec!["one.txt".into()] });
    let made = prepare(&folder.0, &[id("one")], Tokenizer::Char, &mut quietly).unwrap();
    assert_eq!(
        (made.vocab as usize, made.train_tokens + made.valid_tokens),
        (info.alphabet.chars().count(), info.chars)
    );
    assert!(
        made.floor_nats.is_none() && (made.bytes_per_token - info.text_bytes as f64 / info.chars as f64).abs() < 0.01
    );
    let data = Dataset::open(&folder.0, &[id("one")], Tokenizer::Char).unwrap();
    let inputs: Vec<u32> = data.valid_all(3, 50).flat_map(|batch| batch.inputs).map(|token| token as u32).collect();
    let targets: Vec<u32> = data.valid_all(3, 50).flat_map(|batch| batch.targets).map(|token| token as u32).collect();
    assert!(
        text.ends_with(&data.tokenizer().decode(&targets))
            && targets.len() as u64 == made.valid_tokens - 1
            && inputs[1..] == targets[..targets.len() - 1]
    );
    let batch = data.train_batch(1, 5, 0, 4, 32, &[1.0]);
    assert_eq!(batch, data.train_batch(1, 5, 0, 4, 32, &[1.0]));
    for row in 0..4 {
        let (inputs, targets) = (&batch.inputs[row * 32..][..32], &batch.targets[row * 32..][..32]);
        assert!(inputs[1..] == targets[..31]);
        let read = data.tokenizer().decode(&inputs.iter().map(|token| *token as u32).collect::<Vec<_>>());
        assert!(text[..text.len() * 9 / 10 + 9].contains(&read), "from the training side");
    }
    assert_eq!(
        data.train_batch(1, 5, 0, 2, 100_000, &[1.0]).inputs.len(),
        200_000,
        "a window longer than the text wraps around"
    );
}

#[test]
fn several_corpora_share_a_tokenizer_and_are_mixed_by_weight() {
    let folder = Folder::new();
    let line = |i: u64, letters: &[u8]| -> String {
        (0..30).map(|j| letters[(i * 7 + j) as usize % letters.len()] as char).collect::<String>() + "\n"
    };
    let lines = |letters: &[u8]| {
        (0..300).map(|i| serde_json::json!({ "text": line(i, letters) }).to_string() + "\n").collect::<String>()
    };
    import(&folder.0, "abc", &[("abc.jsonl", lines(b"abc").as_bytes())], None).unwrap();
    import(&folder.0, "xyz", &[("xyz.jsonl", lines(b"xyz").as_bytes())], None).unwrap();
    let both = [id("abc"), id("xyz")];
    assert!(matches!(Dataset::open(&folder.0, &both, Tokenizer::Char), Err(DataError::NotPrepared { .. })));
    let made = prepare(&folder.0, &both, Tokenizer::Char, &mut quietly).unwrap();
    assert_eq!(made.vocab, 8, "six letters, the line end and the end of a document");
    let data = Dataset::open(&folder.0, &both, Tokenizer::Char).unwrap();
    let fraction_of_x = |weights: &[f64]| {
        let rows: Vec<i32> = (0..50).flat_map(|step| data.train_batch(2, step, 0, 20, 16, weights).inputs).collect();
        let text = data.tokenizer().decode(&rows.iter().map(|token| *token as u32).collect::<Vec<_>>());
        let of = |letters: &[char]| text.matches(letters).count() as f64;
        of(&['x', 'y', 'z']) / of(&['a', 'b', 'c', 'x', 'y', 'z'])
    };
    assert!((fraction_of_x(&[0.75, 0.25]) - 0.25).abs() < 0.04);
    assert_eq!((fraction_of_x(&[1.0, 0.0]), fraction_of_x(&[0.0, 3.0])), (0.0, 1.0));
    assert_eq!(corpus::list(&folder.0).unwrap().len(), 2, "a mix is not listed as a corpus");
    corpus::remove(&folder.0, &id("abc")).unwrap();
    assert_eq!(names_in(&folder.0), ["xyz"], "the mixes of a corpus are removed with it");
}

#[test]
fn windows_whose_text_came_before_at_another_place_are_counted() {
    let folder = Folder::new();
    let unique: String = (0..6000).map(|i| format!("{i:05} ")).collect();
    let count = |name: &str, text: &str| {
        import(&folder.0, name, &[("text.txt", text.as_bytes())], None).unwrap();
        prepare(&folder.0, &[id(name)], Tokenizer::Byte, &mut quietly).unwrap();
        let data = Dataset::open(&folder.0, &[id(name)], Tokenizer::Byte).unwrap();
        let (mut repeats, mut places, mut texts, mut expected) =
            (Repeats::default(), HashSet::new(), HashSet::new(), 0);
        for step in 0..200 {
            let draw = || data.train_windows(3, step, 0, 16, 256, &[1.0]);
            repeats.add(&data, 16, 256, draw);
            let inputs = data.train_batch(3, step, 0, 16, 256, &[1.0]).inputs;
            for (window, text) in draw().iter().zip(inputs.chunks(256)) {
                expected += u64::from(places.insert(window.start) && !texts.insert(text.to_vec()));
            }
        }
        assert_eq!(repeats.count(), expected, "{name}");
        (expected, 3200 - places.len())
    };
    let (found, drawn_again) = count("unique", &unique);
    assert!(found == 0 && drawn_again > 0, "windows that are drawn again at their place do not count: {drawn_again}");
    let (found, _) = count("twice", &format!("{}{unique}", &unique[..12_000]));
    assert!(found > 20, "{found}");
}

#[test]
fn files_without_anything_usable_are_refused_with_the_place_and_leave_nothing() {
    let folder = Folder::new();
    let check = |file: &str, bytes: &[u8], field: Option<&str>, code: &str, words: &[&str]| {
        let error = import(&folder.0, "bad", &[(file, bytes)], field).unwrap_err();
        let said = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(error.code() == code && words.iter().all(|word| said.contains(word)), "{code}: {said}");
        assert!(names_in(&folder.0).is_empty());
    };
    check("a.txt", b"", None, "text_empty", &["a.txt"]);
    check("a.txt", b"\xef\xbb\xbf", None, "text_empty", &[]);
    check("a.txt", b"abc\0def", None, "text_binary", &["zero byte", "byte 3", "a.txt"]);
    check("a.md", b"caf\xe9!", None, "text_binary", &["invalid byte", "byte 3", "UTF-8", "windows-1252"]);
    let mut late = vec![b'x'; 3_000_000];
    late[2_500_000] = 0xff;
    check("late.txt", &late, None, "text_binary", &["byte 2500000"]);
    check("cut.txt", "é".as_bytes().split_last().unwrap().1, None, "text_binary", &["byte 0"]);
    check("a.jsonl", b"{\"text\": \n{\"text\": \n", None, "records_invalid", &["line 1", "1 more"]);
    check("a.json", b"[1, 2]\n", None, "field_missing", &["line 1"]);
    let object = b"{\"title\": \"x\", \"body\": \"y\", \"n\": 1}";
    check("a.jsonl", object, None, "field_missing", &["\"text\"", "\"body\"", "\"title\""]);
    check("a.jsonl", b"{\"text\": \"x\"}", Some("body"), "field_missing", &["\"body\"", "\"text\""]);
    check("a.txt", b"plain", Some("body"), "field_missing", &["\"body\"", "plain text", ".jsonl"]);
    check("a.jsonl", b"\n\n", None, "text_empty", &[]);
    check("a.jsonl", b"{\"text\": \"x\xff\"}", None, "text_binary", &["byte 11"]);
    let unknown = ImportOptions { encoding: Some("klingon".to_owned()), ..ImportOptions::default() };
    let error = import_with(&folder.0, "bad", &[("a.txt", b"x")], &unknown).unwrap_err();
    assert!(error.code() == "encoding_unknown" && error.to_string().contains("klingon"), "{error}");
    let large = import(&folder.0, "bad", &[("a.txt", &[b'x'; 20_000_001])], None).unwrap_err();
    assert_eq!(large.code(), "too_large");
    assert!(names_in(&folder.0).is_empty());
    assert!(matches!(corpus::read(&folder.0, &id("nope")), Err(DataError::NoCorpus { .. })));
    assert!(matches!(
        generators::generate(&folder.0, &id("x"), "poems", 1, &mut quietly),
        Err(DataError::NoGenerator { .. })
    ));
    assert!(matches!(prepare(&folder.0, &[], Tokenizer::Byte, &mut quietly), Err(DataError::Empty { .. })));
}

#[test]
fn text_is_unchanged_across_block_borders() {
    let folder = Folder::new();
    for shift in 0..4 {
        let text = "x".repeat(shift) + &"🙂é\r\n".repeat(300_000);
        let name = format!("t{shift}");
        import(&folder.0, &name, &[("\u{feff}t.txt", text.as_bytes())], None).unwrap();
        assert!(corpus::documents(&folder.0, &id(&name)).unwrap().get(0) == text);
    }
    let marked = import(&folder.0, "bom", &[("t.txt", "\u{feff}abc".as_bytes())], None).unwrap();
    assert_eq!((marked.chars, marked.alphabet.as_str()), (3, "abc"));
}

/// A folder with good and bad files.
const MIXED: [(&str, &[u8]); 6] = [
    ("a.md", b"first"),
    ("b.txt", b"second"),
    ("deep/c.jsonl", b"{\"text\":\"third\"}\n{broken\n{\"text\":\"fourth\"}"),
    ("deep/.git/x", b"no"),
    ("p.png", b"\x89PNG\0"),
    ("empty.txt", b""),
];

#[test]
fn an_import_takes_what_is_usable_and_lists_the_rest() {
    let folder = Folder::new();
    let info = import(&folder.0, "f", &MIXED, None).unwrap();
    let documents = corpus::documents(&folder.0, &id("f")).unwrap();
    assert_eq!(documents.iter().collect::<Vec<_>>(), ["first", "second", "third", "fourth"]);
    let report = corpus::read(&folder.0, &id("f")).unwrap().import.unwrap();
    assert_eq!(info.import.as_ref(), Some(&report));
    assert_eq!((report.file_count, report.documents, report.skipped), (6, 4, 4));
    let reasons: Vec<Reason> = report.issues.iter().map(|issue| issue.reason).collect();
    assert_eq!(reasons, [Reason::Malformed, Reason::Hidden, Reason::Binary, Reason::Empty]);
    let list = fs::read_to_string(folder.0.join("f").join(ISSUES_FILE)).unwrap();
    assert_eq!(list.lines().count(), 5, "{list}");
    assert!(list.contains("deep/c.jsonl,2,skipped,malformed,"), "{list}");
}

#[test]
fn a_strict_import_is_refused_with_the_list_and_stores_nothing() {
    let folder = Folder::new();
    let strict = ImportOptions { strict: true, ..ImportOptions::default() };
    let Err(DataError::Refused { report }) = import_with(&folder.0, "f", &MIXED, &strict) else {
        panic!("a strict import skipped files");
    };
    assert_eq!((report.skipped, report.issues.len()), (4, 4));
    assert!(names_in(&folder.0).is_empty());
    let repaired: (&str, &[u8]) = ("a.jsonl", b"{\"text\": \"x\", \"n\": NaN}");
    assert!(matches!(import_with(&folder.0, "f", &[repaired], &strict), Err(DataError::Refused { .. })));
    assert_eq!(import_with(&folder.0, "f", &MIXED[..2], &strict).unwrap().documents, 2);
}

#[test]
fn a_preview_says_what_an_import_gives_and_stores_nothing() {
    let from = Folder::new();
    let path = from.0.join("0");
    fs::write(&path, "{\"story\":\"one\",\"n\":1}\n{\"n\":2,\"title\":\"t\"}\n{\"story\":\"two\"}\n").unwrap();
    let files = [("a.jsonl".to_owned(), path)];
    let preview = |options: &ImportOptions| {
        let from = Files { files: &files, options, max_text_bytes: u64::MAX };
        preview_files(from, 1_000_000, &files[0].1.with_extension("csv")).unwrap()
    };
    let report = preview(&ImportOptions::default());
    let fields: Vec<_> = report.fields.iter().map(|field| (field.name.as_str(), field.records)).collect();
    assert_eq!((report.documents, fields), (0, vec![("story", 2), ("title", 1)]), "beyond the first line");
    let report = preview(&ImportOptions { field: Some("story".to_owned()), ..ImportOptions::default() });
    assert_eq!((report.documents, report.first, report.skipped), (2, vec!["one".to_owned(), "two".to_owned()], 1));
    assert!(report.is_complete);
}

#[test]
fn altered_files_are_detected_and_named_without_a_panic() {
    let folder = Folder::new();
    let text = "to be or not to be\n".repeat(200);
    import(&folder.0, "t", &[("t.txt", text.as_bytes())], None).unwrap();
    let kinds = [Tokenizer::Char, Tokenizer::Bpe(300)];
    for kind in kinds {
        prepare(&folder.0, &[id("t")], kind, &mut quietly).unwrap();
    }
    let mut random = Counter::new(testing::seed(9), 0);
    for case in 0..400u64 {
        let kind = kinds[case as usize % 2];
        let shards = folder.0.join("t").join(kind.to_string());
        let names = names_in(&shards);
        let path = shards.join(&names[random.below(names.len() as u64) as usize]);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        match random.below(3) {
            0 => bad.truncate(random.below(good.len() as u64) as usize),
            1 => bad.push(7),
            _ => bad[random.below(good.len() as u64) as usize] ^= 1 << random.below(8),
        }
        fs::write(&path, &bad).unwrap();
        match Dataset::open(&folder.0, &[id("t")], kind) {
            Err(error) => {
                assert!(error.to_string().contains(&shards.display().to_string()) && error.hint().is_some(), "{error}")
            }
            // A changed digit of a loss or letter of the sample in the description does not affect the tokens.
            Ok(data) => {
                assert!(path.ends_with("info.json") && data.train_batch(1, 1, 0, 2, 8, &[1.0]).inputs.len() == 16)
            }
        }
        fs::write(&path, &good).unwrap();
    }
    let cut_off = folder.0.join("t/char/train.bin");
    fs::write(&cut_off, b"xx").unwrap();
    prepare(&folder.0, &[id("t")], Tokenizer::Char, &mut quietly).unwrap();
    assert!(
        Dataset::open(&folder.0, &[id("t")], Tokenizer::Char).is_ok(),
        "a second preparation replaces damaged shards"
    );
    assert_eq!(
        names_in(&folder.0.join("t")),
        ["bpe-300", "char", "documents.bin", "info.json", "skipped.csv", "text.bin"]
    );
    fs::write(folder.0.join("t/documents.bin"), [9; 16]).unwrap();
    assert!(matches!(corpus::documents(&folder.0, &id("t")), Err(DataError::Altered { .. })));
    fs::write(folder.0.join("t/info.json"), b"{").unwrap();
    assert!(matches!(corpus::read(&folder.0, &id("t")), Err(DataError::Altered { .. })));
    assert!(corpus::list(&folder.0).unwrap().is_empty());
}

#[test]
fn tokenization_can_be_cancelled_and_run_twice_at_once() {
    let folder = Folder::new();
    let text: String = (0..200_000).map(|i| format!("{} ", i * i % 7919)).collect();
    import(&folder.0, "t", &[("t.txt", text.as_bytes())], None).unwrap();
    let before = names_in(&folder.0.join("t"));
    let cancelled = prepare(&folder.0, &[id("t")], Tokenizer::Byte, &mut |done, _, _| done == 0);
    assert!(matches!(cancelled, Err(DataError::Cancelled)));
    assert_eq!(names_in(&folder.0.join("t")), before);
    let cancelled = generators::generate(&folder.0, &id("tales"), "tales", 1, &mut |done, _, _| done < 1000);
    assert!(matches!(cancelled, Err(DataError::Cancelled)) && names_in(&folder.0) == ["t"]);
    let all: Vec<_> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| prepare(&folder.0, &[id("t")], Tokenizer::Bpe(400), &mut quietly).unwrap()))
            .collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "training byte pairs is deterministic");
    assert!(
        Dataset::open(&folder.0, &[id("t")], Tokenizer::Bpe(400)).is_ok()
            && names_in(&folder.0.join("t")).len() == before.len() + 1
    );
    let mut seen = vec![];
    prepare(&folder.0, &[id("t")], Tokenizer::Byte, &mut |done, total, unit| {
        seen.push((done, total, unit));
        true
    })
    .unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    assert_eq!(seen.last().unwrap(), &(text.len() as u64, Some(text.len() as u64), "bytes"));
}

#[test]
fn a_text_too_short_to_split_is_refused() {
    let folder = Folder::new();
    import(&folder.0, "t", &[("t.txt", b"abc")], None).unwrap();
    let error = prepare(&folder.0, &[id("t")], Tokenizer::Char, &mut quietly).unwrap_err();
    assert!(matches!(error, DataError::TooShort { .. }) && error.hint().is_some(), "{error}");
    let many = "{\"text\": \"the same line\"}\n".repeat(200);
    import(&folder.0, "same", &[("t.jsonl", many.as_bytes())], None).unwrap();
    let made = prepare(&folder.0, &[id("same")], Tokenizer::Byte, &mut quietly).unwrap();
    assert!(
        made.train_tokens > 0 && made.valid_tokens > 0,
        "equal documents have the same hash; then the end of each is held out"
    );
}
