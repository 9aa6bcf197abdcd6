//! Tiny models of `transformers` (tests/measure/golden_models.py): each imports from its folder, and has the ids, the logits and the greedy
//! tokens that `AutoTokenizer` and `generate` give.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::data::dataset;
use engine::data::tokenizer::TextTokenizer;
use engine::interop::export::Export;
use engine::interop::import;
use engine::model::decoder::Decoder;
use engine::model::params::Weights;
use engine::model::sample::{self, SampleArgs};
use engine::optim::checkpoint::Checkpoint;
use serde::Deserialize;

use crate::stored::keep;

/// Tokens that `generate` was asked for.
const NEW_TOKENS: u32 = 20;
/// How far a logit may be from that of transformers.
const MOST: f32 = 1e-4;

/// What transformers gave for one prompt.
#[derive(Deserialize)]
struct Answer {
    text: String,
    ids: Vec<u32>,
    /// Without those of the post-processor.
    plain: Vec<u32>,
    /// Logits after the last token; empty for some prompts.
    last: Vec<f32>,
    greedy: Vec<u32>,
}

/// An imported model in a lab of its own.
struct Imported {
    lab: tempfile::TempDir,
    saved: Checkpoint,
    tokenizer: TextTokenizer,
    notes: Vec<String>,
}

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/models");
    let mut all: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Every file of a folder and its subfolders, with its path below it.
fn files(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut found = vec![];
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for path in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => open.push(path),
                false => found.push((path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned(), path.clone())),
            }
        }
    }
    found
}

fn answers(folder: &Path) -> Vec<Answer> {
    serde_json::from_slice(&fs::read(folder.join("answers.json")).unwrap()).unwrap()
}

fn imported(folder: &Path) -> Imported {
    let lab = tempfile::tempdir().unwrap();
    let import = import::read(&files(folder)).unwrap_or_else(|error| panic!("{}: {error}", name(folder)));
    let notes = import.notes.clone();
    let (saved, tokenizer) = keep(import, lab.path());
    Imported { lab, saved, tokenizer, notes }
}

impl Imported {
    /// Compares ids, logits and greedy tokens; returns the largest distance of a logit.
    fn check(&self, name: &str, answers: &[Answer]) -> f32 {
        let device = Device::flex();
        let weights = Weights::new(self.saved.specs(), self.saved.weights(&device).unwrap());
        let model = &self.saved.manifest.plan.recipe.model;
        let mut most = 0f32;
        for Answer { text, ids, plain, last, greedy } in answers {
            assert_eq!(&self.tokenizer.encode_prompt(text).0, ids, "{name}: {text:?}");
            assert_eq!(&self.tokenizer.encode(text).unwrap(), plain, "{name}: {text:?} without BOS and EOS");
            let decoder = Decoder::new(model, &weights);
            let row = TensorData::new(ids.iter().map(|id| *id as i32).collect(), [1, ids.len()]);
            let stream = decoder.residual(Tensor::<2, Int>::from_data(row, &device), None);
            let logits = decoder.head(stream.slice_dim(1, ids.len() - 1..ids.len()).reshape([1, model.d_model]));
            let found: Vec<f32> = logits.into_data().try_to_vec().unwrap();
            assert!(last.is_empty() || found.len() == last.len(), "{name}");
            most = found.iter().zip(last).map(|(a, b)| (a - b).abs()).fold(most, f32::max);
            assert!(most <= MOST, "{name}: logits after {text:?} are {most} apart");
            let (start, ends) = (self.tokenizer.start(), self.tokenizer.ends());
            let args = SampleArgs { tokens: NEW_TOKENS, temperature: 0.0, seed: 1, start, ends };
            let continued = sample::sample(model, &weights, ids, args, &device).unwrap();
            // `generate` returns the token that ends a text, and `sample` does not.
            let is_ended = greedy.last().is_some_and(|last| ends.contains(last));
            let expected = &greedy[..greedy.len() - usize::from(is_ended)];
            assert_eq!(continued, expected, "{name}: {text:?} continues");
        }
        most
    }
}

#[test]
fn tiny_models_compute_what_transformers_computes() {
    let folders = folders();
    assert!(folders.len() >= 20);
    for folder in folders {
        let most = imported(&folder).check(&name(&folder), &answers(&folder));
        println!("{}: logits at most {most:.1e} apart", name(&folder));
    }
}

#[test]
fn an_exported_import_computes_the_same_when_imported_again() {
    for folder in folders() {
        let Imported { lab, saved, tokenizer, .. } = imported(&folder);
        let out = lab.path().join("exported");
        Export::new(saved, &tokenizer).unwrap().write_folder(&out).unwrap();
        imported(&out).check(&format!("{}, exported", name(&folder)), &answers(&folder));
    }
}

#[test]
fn what_was_left_out_or_changed_is_reported() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/models");
    for (model, said) in [
        ("llama-sharded-trainer", &["optimizer.pt", "training_args.bin", "onnx/config.json", "ignored"][..]),
        ("gpt2-compiled-float16", &["_orig_mod.", "module.", "stripped"]),
        ("llama-lightning", &["model.", "stripped"]),
        ("gpt2-specials-by-name", &["[UNK]", "left out"]),
        ("llama-flags-without-effect", &["add_eos_token", "post_processor"]),
    ] {
        let notes = imported(&root.join(model)).notes.join("; ");
        assert!(said.iter().all(|word| notes.contains(word)), "{model}: {notes}");
    }
    let notes = imported(&root.join("gpt2")).notes;
    assert!(notes.iter().all(|note| note.contains("answers.json")), "{notes:?}");
}

#[test]
fn documents_of_a_dataset_are_framed_as_prompts_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/models");
    let Imported { lab, tokenizer, saved, .. } = imported(&root.join("llama-bos-and-eos"));
    let (kind, id) = (saved.manifest.plan.tokenizer, "tales".parse().unwrap());
    engine::data::generators::generate(lab.path(), &id, "tales", 1, &mut |_, _, _| true).unwrap();
    dataset::prepare(lab.path(), std::slice::from_ref(&id), kind, &mut |_, _, _| true).unwrap();
    let data = dataset::Dataset::open(lab.path(), std::slice::from_ref(&id), kind).unwrap();
    assert_eq!(tokenizer.frame(), (&[0][..], &[1][..]), "<s> before and </s> after each document");
    let stream: Vec<i32> = data.valid_all(1, 64).take(40).flat_map(|batch| batch.inputs).collect();
    assert_eq!(stream[0], 0);
    let ends: Vec<usize> = (0..stream.len() - 1).filter(|place| stream[*place] == 1).collect();
    assert!(ends.len() > 3 && ends.iter().all(|end| stream[end + 1] == 0), "{ends:?}");
}

#[test]
fn damaged_tokenizers_never_panic() {
    let mut random = engine::kernels::random::Counter::new(testing::seed(23), 5);
    for folder in folders().into_iter().filter(|folder| folder.join("tokenizer.json").exists()) {
        let content = fs::read(folder.join("tokenizer.json")).unwrap();
        let damaged = tempfile::tempdir().unwrap();
        let path = damaged.path().join("tokenizer.json");
        let mut list = files(&folder);
        list.iter_mut().filter(|(name, _)| name == "tokenizer.json").for_each(|(_, place)| place.clone_from(&path));
        for case in 0..12 {
            let mut bytes = content.clone();
            // Most of what decides the structure is at the beginning.
            let length = if case % 2 == 0 { bytes.len() } else { bytes.len().min(1500) };
            let at = random.below(length as u64) as usize;
            bytes[at] = b"0]}\"a,-["[random.below(8) as usize];
            fs::write(&path, bytes).unwrap();
            if let Ok(import) = import::read(&list) {
                import.keep_tokenizer(damaged.path()).unwrap();
                let tokenizer = dataset::open_tokenizer(damaged.path(), &[], import.tokenizer).unwrap();
                tokenizer.encode_prompt("The cat's hat <s> 12 é");
            }
        }
    }
}

/// Writes folders for `tests/measure/golden_models.py verify`.
#[test]
#[ignore = "writes folders into MODELS_OUT, for transformers to load"]
fn exports_for_transformers() {
    let out = PathBuf::from(std::env::var("MODELS_OUT").expect("MODELS_OUT names a folder"));
    for folder in folders() {
        let Imported { lab: _lab, saved, tokenizer, .. } = imported(&folder);
        let exported = out.join(name(&folder));
        Export::new(saved, &tokenizer).unwrap().write_folder(&exported).unwrap();
        fs::copy(folder.join("answers.json"), exported.join("answers.json")).unwrap();
    }
}
