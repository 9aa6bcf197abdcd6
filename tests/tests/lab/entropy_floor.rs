//! The entropy floor of Tales: the loss of the generator itself, which no model can pass.

use scenarios::watch::{speck, with};
use scenarios::{Lab, wait_for};
use serde_json::json;
use wire::data::corpus::CorpusInfo;
use wire::{RunState, RunView};

#[test]
fn a_short_training_on_tales_ends_between_the_entropy_floor_and_the_unigram_entropy() {
    let lab = Lab::open();
    let owner = lab.owner();
    lab.device();
    wait_for("Tales", 60, || {
        owner.get("/corpora").read::<Vec<CorpusInfo>>().into_iter().find(|info| info.id.as_str() == "tales")
    });
    let spec = with(
        speck("tales", 400),
        &[
            ("model.d_model", json!(32)),
            ("model.d_ff", json!(64)),
            ("model.seq", json!(32)),
            ("batch.size", json!(8)),
            ("optimizer.learning_rate", json!(0.01)),
            ("intervals.eval_batches", json!(20)),
        ],
    );
    let run = owner.start_run(&spec);
    owner.wait_state(&run, 120, RunState::Finished);
    let view: RunView = owner.get(&format!("/runs/{run}")).read();
    let (floor, unigram) = (view.references.floor.unwrap(), view.references.unigram.unwrap());
    let losses = owner.curve(&run, "loss.valid");
    assert!(losses.iter().all(|(_, loss)| *loss > floor), "floor {floor}: {losses:?}");
    let last = losses.last().unwrap().1;
    assert!(
        floor < last && last < unigram && unigram < view.references.ln_vocab,
        "{floor} < {last} < {unigram} < {}",
        view.references.ln_vocab
    );
    let texts: CorpusInfo = owner.get("/corpora/tales").read();
    let nats_per_char = texts.entropy_nats.unwrap() / texts.chars as f64;
    assert!(
        (floor / nats_per_char - 1.0).abs() < 0.05,
        "the validation split is like the whole: {floor} {nats_per_char}"
    );
}
