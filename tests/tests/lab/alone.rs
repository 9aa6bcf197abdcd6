//! Training without a server, on the command line: killed and resumed it is as if nothing had been, and what nobody could answer ends it.

use std::fs;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use stories::watch::{count, kind, speck, with};
use stories::{Client, Lab, wait_for};
use wire::{RunState, RunSummary};

const SPEC: &str = r#"
preset = "tiny"
corpus = "walk"
steps = STEPS
[overrides]
"model.layers" = 1
"model.heads" = 2
"model.kv_heads" = 2
"model.d_model" = 16
"model.d_ff" = 32
"model.seq" = 16
"batch.rows" = 2
"keep.every" = 100
"cadence.eval_every" = 100
"cadence.eval_batches" = 2
"cadence.sample_every" = 0
MORE
"#;

/// Writes a spec beside the lab's folder; gives its path.
fn spec(lab: &Lab, steps: u64, more: &str) -> String {
    let path = lab.data().with_file_name("spec.toml");
    fs::write(&path, SPEC.replace("STEPS", &steps.to_string()).replace("MORE", more)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A folder with a text, and nobody on it.
fn folder() -> Lab {
    let mut lab = Lab::bare();
    lab.owner().bring("walk");
    lab.device();
    lab.stop_server();
    wait_for("the worker's end", 10, || lab.worker_pid().is_none().then_some(()));
    lab
}

fn begin(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn only_run(client: &Client) -> RunSummary {
    let runs: Vec<RunSummary> = client.get("/runs").read();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs.into_iter().next().unwrap()
}

#[test]
fn a_training_without_a_server_is_killed_and_resumed_as_if_nothing_had_been() {
    let mut lab = folder();
    let mut training = begin(&mut lab.command("train", &[&spec(&lab, 1_500, "\"cadence.hold_at\" = [50]")]));
    let saved = lab.data().join("checkpoints");
    let checkpoints = || {
        let runs = fs::read_dir(&saved).ok()?.flatten();
        let kept = runs.flat_map(|run| fs::read_dir(run.path()).into_iter().flatten().flatten()).count();
        (kept >= 2).then_some(())
    };
    wait_for("two checkpoints", 60, checkpoints);
    training.kill().unwrap();
    training.wait().unwrap();
    let run = fs::read_dir(&saved).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    let resumed = lab.run("train", &["--resume", &run]);
    let said = String::from_utf8_lossy(&resumed.stderr).into_owned();
    assert!(resumed.status.success() && said.contains("does not hold"), "{said}");
    let again = lab.run("train", &["--resume", &run]);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("finished"), "{again:?}");

    lab.start();
    let owner = lab.owner();
    assert_eq!(only_run(&owner).state, RunState::Finished);
    owner.check_whole(&run, "loss.train", 1_500);
    let journal = owner.journal(&run);
    assert_eq!(
        (count(&journal, "continued"), count(&journal, "paused")),
        (1, 0),
        "{:?}",
        journal.iter().map(kind).collect::<Vec<_>>()
    );
    lab.device();
    let calm = owner.start_run(&with(speck("walk", 1_500), &[("keep.every", json!(100))]));
    owner.wait_state(&calm, 60, RunState::Finished);
    assert_eq!(owner.curve(&run, "loss.train"), owner.curve(&calm, "loss.train"));
}

#[test]
fn a_number_that_is_none_ends_a_training_that_nobody_watches() {
    let mut lab = folder();
    let nowhere = lab.data().with_file_name("nowhere");
    let refused = lab.run("train", &["no-such-spec.toml", "--data", nowhere.to_str().unwrap()]);
    assert!(!refused.status.success() && !nowhere.exists(), "{refused:?}");
    let refused = lab.run("train", &["--resume", "amber-fox"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no such run"), "{refused:?}");
    let ended = lab.run("train", &[&spec(&lab, 600, "\"optimizer.rate\" = 10.0\n\"optimizer.weight_decay\" = 1e6")]);
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && said.contains("stopped:") && said.contains("lower rate"), "{said}");
    lab.start();
    assert_eq!(only_run(&lab.owner()).state, RunState::Stopped);
}
