//! The texts. Both parts have the same kinds of text, but not the same ones: another seed of the generators, and other files of this
//! repository for source code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use engine::data::generators;
use engine::train::bench;
use testing::Random;
use wire::CorpusId;

use crate::Outcome;

/// Separates documents in a file of text.
const END: &str = "<|endoftext|>";
/// Length of the passage that is both in the training and in the validation text, characters.
const LEAKED_CHARS: usize = 3000;
/// Characters of the documents that are repeated, and how often. Windows begin at any token, and their text is the same where two begin at the
/// same place of two copies: of thousands of windows of so short a text, many do.
const REPEATED: (usize, usize) = (40_000, 100);
/// Documents of a text that is read in many epochs.
const FEW: usize = 20;

/// Runs that thresholds are fitted on, or others that the report is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Part {
    Fit,
    Report,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fit" => Ok(Self::Fit),
            "report" => Ok(Self::Report),
            _ => Err(format!("--part {text}: enter fit or report")),
        }
    }
}

impl Part {
    /// Folder of its runs, below that of the command.
    pub(crate) fn folder(self, of: &Path) -> PathBuf {
        of.join(if self == Self::Fit { "fit" } else { "report" })
    }

    fn generator_seed(self) -> u64 {
        if self == Self::Fit { 101 } else { 1 }
    }
}

/// Makes the datasets of a part that do not exist yet. Returns their folder.
pub(crate) fn make(folder: &Path, part: Part) -> Outcome<PathBuf> {
    let corpora = part.folder(folder).join("corpora");
    fs::create_dir_all(&corpora)?;
    let seed = part.generator_seed();
    for generator in ["tales", "induction", "modular-addition"] {
        generators::generate(&corpora, &generator.parse()?, generator, seed, &mut |_, _, _| true)?;
    }
    let mut random = Random::new(seed);
    let (tales, code) = (documents(&corpora.join("tales"))?, sources(part)?);
    import(&corpora, "code", &code)?;
    for (name, texts) in [("tales", &tales), ("code", &code)] {
        import(
            &corpora,
            &format!("{name}-shuffled"),
            &texts.iter().map(|text| shuffled(text, &mut random)).collect::<Vec<_>>(),
        )?;
        import(&corpora, &format!("{name}-leaked"), &[leaked(texts)])?;
        import(&corpora, &format!("{name}-repeated"), &repeated(texts))?;
        import(
            &corpora,
            &format!("{name}-few"),
            &[clipped(&texts[..FEW.min(texts.len())].join("\n"), 4 * LEAKED_CHARS)],
        )?;
    }
    Ok(corpora)
}

fn import(corpora: &Path, id: &str, texts: &[String]) -> Outcome<()> {
    let id: CorpusId = id.parse()?;
    if corpora.join(id.as_str()).exists() {
        return Ok(());
    }
    let file = corpora.with_file_name(format!("{id}.txt"));
    fs::write(&file, texts.join(END))?;
    bench::import_text(corpora, &id, &file)?;
    Ok(fs::remove_file(file)?)
}

/// The documents of a dataset on disk.
fn documents(folder: &Path) -> Outcome<Vec<String>> {
    let text = fs::read_to_string(folder.join("text.bin"))?;
    let ends = fs::read(folder.join("documents.bin"))?;
    let ends = ends.as_chunks::<8>().0.iter().map(|end| u64::from_le_bytes(*end) as usize);
    let mut start = 0;
    Ok(ends.map(|end| text[std::mem::replace(&mut start, end)..end].to_owned()).collect())
}

/// The Rust files of this repository, every second one for each part, in ASCII.
fn sources(part: Part) -> Outcome<Vec<String>> {
    let mut files = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut files)?;
    let first = usize::from(part == Part::Fit);
    let ascii = |path: &PathBuf| {
        let text = fs::read_to_string(path)?.replace(END, "");
        Ok(text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect())
    };
    files.iter().skip(first).step_by(2).map(ascii).collect()
}

fn collect(folder: &Path, files: &mut BTreeSet<PathBuf>) -> Outcome<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(path);
        }
    }
    Ok(())
}

/// The same characters in random order: its tokens have the same vocabulary and the same frequencies.
fn shuffled(text: &str, random: &mut Random) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for last in (1..chars.len()).rev() {
        chars.swap(last, random.below(last as u64 + 1) as usize);
    }
    chars.into_iter().collect()
}

/// One document whose first half is text, and whose second half repeats one passage of it. The last tenth of a single document is its
/// validation split, so the passage is both in the training and in the validation text.
fn leaked(texts: &[String]) -> String {
    let text = clipped(&texts.join("\n"), 100 * LEAKED_CHARS);
    let passage = clipped(&text, LEAKED_CHARS);
    let copies = text.chars().count().div_ceil(LEAKED_CHARS);
    text + &passage.repeat(copies)
}

/// The first documents, again and again, as a crawl that keeps duplicates.
fn repeated(texts: &[String]) -> Vec<String> {
    let (chars, copies) = REPEATED;
    let ends = texts.iter().scan(0, |end, text| {
        *end += text.len();
        Some(*end)
    });
    let count = ends.take_while(|end| *end < chars).count().max(1).min(texts.len());
    (0..copies).flat_map(|_| texts[..count].to_vec()).collect()
}

fn clipped(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}
