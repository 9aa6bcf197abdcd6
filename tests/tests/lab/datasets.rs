//! Datasets: uploads in all forms, and training with each tokenizer.

use scenarios::text::{json_lines, sentences};
use scenarios::watch::speck;
use scenarios::{Lab, wait_for};
use serde_json::json;
use wire::RunState;
use wire::data::corpus::{CorpusInfo, DatasetInfo};

#[test]
fn text_markdown_folders_and_json_lines_become_documents() {
    let lab = Lab::bare();
    let owner = lab.owner();
    let text = sentences(3, 4000);
    let plain: CorpusInfo = owner.upload("name=Plain%20Text&filename=a.txt", text.as_bytes()).read();
    assert_eq!((plain.id.as_str(), plain.name.as_str(), plain.documents), ("plain-text", "Plain Text", 1));
    assert_eq!((plain.text_bytes, plain.chars), (text.len() as u64, text.chars().count() as u64));
    assert!(text.starts_with(&plain.sample) && plain.sample.len() >= 500, "{}", plain.sample);

    let markdown: CorpusInfo = owner.upload("filename=Notes.md", format!("# Grüße\n\n{text}").as_bytes()).read();
    assert_eq!((markdown.id.as_str(), markdown.documents), ("notes", 1));
    assert!(markdown.alphabet.contains('ü') && markdown.chars == markdown.text_bytes - 2);

    let parts: Vec<(String, String)> = (0..12).map(|at| (format!("book/part-{at}.txt"), sentences(at, 800))).collect();
    let files: Vec<(&str, &[u8])> = parts.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    let folder: CorpusInfo = owner.upload_form("", &files).read();
    assert_eq!((folder.id.as_str(), folder.documents), ("book", 12));

    let lines = json_lines(5, 6000, "story");
    let chosen: CorpusInfo = owner.upload("name=lines&filename=a.jsonl&field=story", lines.as_bytes()).read();
    assert_eq!(chosen.documents, lines.lines().count() as u64);
    assert!(!chosen.sample.contains("story") && chosen.sample.starts_with(sentences(5, 6000).lines().next().unwrap()));

    let copy: CorpusInfo = owner.upload("name=Plain%20Text&filename=a.txt", text.as_bytes()).read();
    assert_ne!(copy.id, plain.id, "a second dataset with the same name replaces nothing");
    assert_eq!(copy.content_hash, plain.content_hash);
    assert_eq!(owner.get("/corpora").read::<Vec<CorpusInfo>>().len(), 5);
    assert_eq!(owner.delete(&format!("/corpora/{}", copy.id)).status, 204);
    owner.get(&format!("/corpora/{}", copy.id)).refused(404, "not_found", &[]);
}

#[test]
fn a_run_trains_with_every_tokenizer() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let lines = json_lines(5, 60_000, "text");
    let corpus: CorpusInfo = owner.upload("name=lines&filename=a.jsonl", lines.as_bytes()).read();
    let mut runs = vec![];
    for tokenizer in ["byte", "char", "bpe-512", "gpt2"] {
        let mut spec = speck(corpus.id.as_str(), 20);
        spec["tokenizer"] = json!(tokenizer);
        spec["overrides"]["intervals.eval_every"] = json!(0);
        runs.push((tokenizer, owner.start_run(&spec)));
    }
    for (tokenizer, run) in &runs {
        owner.wait_state(run, 90, RunState::Finished);
        owner.check_complete(run, "loss.train", 20);
        let losses = owner.curve(run, "loss.train");
        let view: wire::RunView = owner.get(&format!("/runs/{run}")).read();
        let (first, uniform) = (losses[0].1, view.references.ln_vocab);
        assert!((first - uniform).abs() < 0.5, "{tokenizer}: an untrained model is uniform: {first} {uniform}");
        let sets: CorpusInfo = owner.get(&format!("/corpora/{}", corpus.id)).read();
        let set: &DatasetInfo = sets.datasets.iter().find(|set| set.tokenizer.to_string() == *tokenizer).unwrap();
        assert!(
            set.unigram_nats < uniform && set.train_tokens > set.valid_tokens && set.valid_tokens > 0,
            "{tokenizer}: {set:?}"
        );
        assert_eq!(f64::from(set.vocab).ln(), uniform, "{tokenizer}");
    }
}

#[test]
fn a_dataset_in_use_cannot_be_deleted() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let (one, two) = (owner.add_corpus("one"), owner.add_corpus("two"));
    let mut spec = speck(&one, 1_000_000);
    spec.as_object_mut().unwrap().remove("corpus");
    spec["mix"] = json!({one.as_str(): 1.0, two.as_str(): 3.0});
    let run = owner.start_run(&spec);
    owner.wait_step(&run, 60, 10);
    owner.delete(&format!("/corpora/{two}")).refused(409, "corpus_in_use", &[&run]);
    owner.steer(&run, &json!({"kind": "stop"}));
    wait_for("the dataset to be unused", 10, || (owner.delete(&format!("/corpora/{two}")).status == 204).then_some(()));
}
