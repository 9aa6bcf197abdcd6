//! Experiments with real trainings: from a hypothesis to a verdict, also when the server is killed, and on the command line.

use std::collections::BTreeSet;
use std::fs;

use scenarios::watch::{kind, speck};
use scenarios::{Client, Lab, pause_ms, wait_for};
use serde_json::{Value, json};
use testing::Random;
use wire::experiment::record::{ExperimentState, ExperimentView, Outcome, Side};
use wire::{RunState, RunView};

/// A learning rate that trains nothing, predicted to give a higher loss.
fn without_learning(corpus: &str, steps: u64) -> Value {
    json!({
        "title": "No learning", "hypothesis": "A learning rate of 1e-7 leaves the loss where it begins.",
        "baseline": { "spec": speck(corpus, steps) },
        "change": { "overrides": { "optimizer.learning_rate": 1e-7 } },
        "prediction": { "difference": 0.5, "probability": 0.9 },
        "rule": { "effect": 0.05, "max_pairs": 6 },
        "budget": { "steps": steps, "device_hours": 1.0 },
    })
}

fn experiment(client: &Client, id: u64) -> ExperimentView {
    client.get(&format!("/experiments/{id}")).read()
}

fn settled(view: &ExperimentView) -> usize {
    view.runs.iter().filter(|run| run.value.is_some()).count()
}

/// The last validation loss of a run, bits/byte.
fn bits_per_byte(client: &Client, run: &str) -> f64 {
    let view: RunView = client.get(&format!("/runs/{run}")).read();
    let last = client.curve(run, "loss.valid").pop().unwrap().1;
    last / (view.references.bytes_per_token.unwrap() * std::f64::consts::LN_2)
}

#[test]
fn an_experiment_reaches_its_verdict_although_the_server_is_killed_in_between() {
    let mut lab = Lab::bare();
    lab.device();
    let corpus = lab.owner().add_corpus("walk");
    let made: ExperimentView = lab.owner().post("/experiments", &without_learning(&corpus, 400)).read();
    let id = made.summary.id;
    let mut random = Random::new(testing::fresh_seed());
    for ended in 1..=3 {
        wait_for("a run to end", 60, || (settled(&experiment(&lab.owner(), id)) >= ended).then_some(()));
        pause_ms(random.below(400));
        lab.kill_server();
        pause_ms(random.below(400));
        lab.start();
    }
    let owner = lab.owner();
    let view = wait_for("the verdict", 120, || {
        Some(experiment(&owner, id)).filter(|view| view.summary.state != ExperimentState::Running)
    });
    let verdict = view.summary.verdict.clone().unwrap_or_else(|| panic!("{:?}", view.summary));
    assert_eq!(verdict.outcome, Outcome::Confirmed, "{verdict:?}");
    let [low, high] = verdict.interval.unwrap();
    assert!(low > 0.0 && verdict.difference.is_some_and(|difference| (low..high).contains(&difference)));

    // Nothing was lost or trained twice: each side of each pair has one run, and the lab has no others.
    let expected: Vec<(u32, Side, u32, u64)> =
        (1..=verdict.pairs).flat_map(|pair| Side::BOTH.map(|side| (pair, side, 1, u64::from(pair)))).collect();
    let found: Vec<_> = view.runs.iter().map(|run| (run.pair, run.side, run.attempt, run.seed)).collect();
    let failures: Vec<_> = view.runs.iter().filter_map(|run| run.failure.as_deref()).collect();
    assert_eq!(found, expected, "{failures:?}");
    let recorded: BTreeSet<String> = view.runs.iter().map(|run| run.run.to_string()).collect();
    let listed: Vec<Value> = owner.get("/runs").read();
    let of_lab: BTreeSet<String> = listed.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(recorded, of_lab);
    for run in &view.runs {
        let (id, value) = (run.run.as_str(), run.value.unwrap());
        assert_eq!(owner.summary(id).state, RunState::Finished);
        assert!((value - bits_per_byte(&owner, id)).abs() < 1e-6, "{run:?}");
        assert!(owner.journal(id).iter().any(|record| kind(record) == "annotated"), "the journal names the experiment");
    }
    let decided = view.events.iter().filter(|event| event.text == verdict.sentence).count();
    assert_eq!(decided, 1, "{:?}", view.events);
    pause_ms(1_000);
    assert_eq!(experiment(&owner, id), view, "it goes on no more");
}

#[test]
fn the_command_line_starts_follows_lists_and_shows_an_experiment() {
    let lab = Lab::bare();
    lab.device();
    let corpus = lab.owner().add_corpus("walk");
    let path = lab.data().with_file_name("experiment.toml");
    let spec = format!(
        "title = \"No learning\"\nhypothesis = \"Nothing is learned.\"\n\
         [baseline.spec]\npreset = \"tiny\"\ncorpus = \"{corpus}\"\nsteps = 60\n\
         [baseline.spec.overrides]\nmodel.layers = 1\nmodel.d_model = 16\nmodel.d_ff = 32\nmodel.seq = 16\n\
         model.heads = 2\nmodel.kv_heads = 2\n\
         [change.overrides]\noptimizer.learning_rate = 1e-7\n[prediction]\ndifference = 0.5\nprobability = 0.9\n\
         [rule]\neffect = 0.02\nmax_pairs = 6\n[budget]\nsteps = 60\ndevice_hours = 1.0\n"
    );
    fs::write(&path, spec).unwrap();
    let text = |arguments: &[&str]| {
        let output = lab.run("experiment", arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let sentence = text(&[path.to_str().unwrap(), "--author", "ada"]);
    assert!(sentence.starts_with("Confirmed after "), "{sentence}");
    let list = text(&["--list"]);
    assert!(list.contains("confirmed") && list.contains("No learning"), "{list}");
    let shown = text(&["--show", "1"]);
    assert!(shown.contains("optimizer.learning_rate") && shown.contains(sentence.trim()), "{shown}");
    let view: ExperimentView = serde_json::from_str(&text(&["--show", "1", "--json"])).unwrap();
    assert_eq!(serde_json::to_value(&view.summary.author).unwrap(), json!({ "person": "ada" }));
    let missing = lab.run("experiment", &["--show", "2"]);
    assert!(!missing.status.success() && String::from_utf8_lossy(&missing.stderr).contains("no experiment 2"));
}
