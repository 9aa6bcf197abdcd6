//! Training without a server, on the command line: killed and resumed, a run is the same as one that never stopped; a non-finite loss
//! ends it; what cannot be trained is refused.

use std::fs;
use std::io::PipeWriter;
use std::process::{Child, Command, Stdio};

use scenarios::watch::{count, kind, speck, with};
use scenarios::{Client, Lab, wait_for};
use serde_json::json;
use wire::{Author, Event, RunState, RunSummary};

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
"batch.size" = 2
"intervals.checkpoint_every" = 100
"intervals.eval_every" = 100
"intervals.eval_batches" = 2
"intervals.sample_every" = 0
MORE
"#;

/// Writes a spec beside the lab's folder; returns its path.
fn spec(lab: &Lab, steps: u64, more: &str) -> String {
    let path = lab.data().with_file_name("spec.toml");
    fs::write(&path, SPEC.replace("STEPS", &steps.to_string()).replace("MORE", more)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A folder with a dataset, without server and worker.
pub(crate) fn folder() -> Lab {
    let mut lab = Lab::bare();
    lab.owner().add_corpus("walk");
    lab.device();
    lab.stop_server();
    wait_for("the worker to end", 10, || lab.worker_pid().is_none().then_some(()));
    lab
}

/// A pipe whose reader has gone, as after `| head`.
pub(crate) fn closed_pipe() -> PipeWriter {
    let (_, writer) = std::io::pipe().unwrap();
    writer
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
fn a_killed_training_without_a_server_resumes_exactly() {
    let mut lab = folder();
    let mut training = begin(&mut lab.command("train", &[&spec(&lab, 1_500, "\"breakpoints\" = [50]")]));
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
    assert!(resumed.status.success() && said.contains("breakpoints are skipped"), "{said}");
    let again = lab.run("train", &["--resume", &run]);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("finished"), "{again:?}");

    lab.start();
    let owner = lab.owner();
    assert_eq!(only_run(&owner).state, RunState::Finished);
    owner.check_complete(&run, "loss.train", 1_500);
    let journal = owner.journal(&run);
    assert_eq!(
        (count(&journal, "continued"), count(&journal, "paused")),
        (1, 0),
        "{:?}",
        journal.iter().map(kind).collect::<Vec<_>>()
    );
    lab.device();
    let reference = owner.start_run(&with(speck("walk", 1_500), &[("intervals.checkpoint_every", json!(100))]));
    owner.wait_state(&reference, 60, RunState::Finished);
    assert_eq!(owner.curve(&run, "loss.train"), owner.curve(&reference, "loss.train"));
}

#[test]
fn a_training_goes_on_if_nobody_reads_its_progress() {
    let mut lab = folder();
    let mut training = lab.command("train", &[&spec(&lab, 300, "")]);
    let ended = training.stdout(closed_pipe()).stderr(closed_pipe()).status().unwrap();
    assert!(ended.success(), "{ended}");
    lab.start();
    let run = only_run(&lab.owner());
    assert_eq!((run.state, run.step), (RunState::Finished, 300));
}

#[test]
fn a_non_finite_loss_ends_a_training_without_a_server() {
    let mut lab = folder();
    let high = ["--set", "optimizer.learning_rate=10.0", "--set", "optimizer.weight_decay=10"];
    let ended = lab.run("train", &[&[spec(&lab, 600, "").as_str()], high.as_slice()].concat());
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("stopped:") && said.contains("Lower the learning rate"), "{said}");
    lab.start();
    assert_eq!(only_run(&lab.owner()).state, RunState::Stopped);
}

#[test]
fn checkpoints_are_scored_without_a_server() {
    let mut lab = Lab::bare();
    let owner = lab.owner();
    owner.add_corpus("walk");
    let item = json!({ "prompt": "the river runs over ", "answer": "stones" });
    let task = json!({ "name": "rivers", "kind": "completion", "items": [item] });
    assert_eq!(owner.post("/tasks", &task).status, 201);
    lab.device();
    lab.stop_server();
    wait_for("the worker to end", 10, || lab.worker_pid().is_none().then_some(()));
    let path = spec(&lab, 250, "\"retention.latest\" = 20");
    let refused = lab.run("train", &[&path, "--task", "nothing"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("unknown task nothing; built-in tasks are tales-holder"),
        "{said}"
    );
    let trained = lab.run("train", &[&path, "--task", "rivers=200"]);
    let said = String::from_utf8_lossy(&trained.stderr).into_owned();
    assert!(trained.status.success() && said.contains("checkpoint of step 200, rivers: exact match "), "{said}");
    lab.start();
    let owner = lab.owner();
    let run = only_run(&owner).id;
    let found = owner.get(&format!("/runs/{run}/tasks")).value();
    let steps: Vec<&str> =
        found["results"].as_array().unwrap().iter().map(|one| one["checkpoint"].as_str().unwrap()).collect();
    assert_eq!(steps, ["0-200", "0-250"], "{found}");
    assert_eq!(owner.curve(run.as_str(), "eval/rivers/exact_match").len(), 2);
}

#[test]
fn a_rule_that_may_act_ends_a_training_without_a_server() {
    let mut lab = Lab::bare();
    lab.device();
    let owner = lab.owner();
    let run = owner
        .start_run(&with(speck(&owner.add_corpus("walk"), 100_000), &[("intervals.checkpoint_every", json!(100))]));
    owner.wait_step(&run, 60, 300);
    owner.steer(&run, &json!({ "kind": "pause" }));
    // A learning rate with which the loss of every model explodes.
    owner.steer(&run, &json!({ "kind": "set", "path": "optimizer.learning_rate", "value": 0.5 }));
    owner.steer(&run, &json!({ "kind": "stop" }));
    owner.wait_state(&run, 60, RunState::Stopped);
    lab.stop_server();
    wait_for("the worker to end", 10, || lab.worker_pid().is_none().then_some(()));
    let ended = lab.run("train", &["--resume", &run, "--act", "loss_spike=stop,divergence=pause"]);
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("ended by the rule ") && said.contains(&format!("kindling train --resume {run}")), "{said}");
    lab.start();
    let owner = lab.owner();
    assert_eq!(owner.summary(&run).state, RunState::Stopped);
    let journal = owner.journal(&run);
    assert_eq!(count(&journal, "rules_changed"), 1);
    let stop = journal.iter().rfind(|record| record.event == Event::Stopped).unwrap();
    let Author::Rule(rule) = &stop.author else { panic!("{stop:?}") };
    assert!(said.contains(&format!("rule {rule} ")) && stop.reason.is_some(), "{said}");
}

#[test]
fn what_a_rule_cannot_do_without_a_server_is_refused_before_training() {
    let lab = folder();
    let said = |act: &str, set: &str| {
        let output = lab.run("train", &[&spec(&lab, 50, ""), "--act", act, "--set", set]);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let unknown = said("mood=stop", "model.layers=1");
    assert!(unknown.contains("unknown rule \"mood\""), "{unknown}");
    let none = said("loss_spike=rollback", "intervals.checkpoint_every=0");
    assert!(none.contains("the run saves no checkpoints while it trains"), "{none}");
    let not_finite = said("non_finite=rollback", "model.layers=1");
    assert!(not_finite.contains("the rule non_finite cannot roll back"), "{not_finite}");
}

/// Four runs of different learning rates: each rule is replayed over them, and a fit that they do not determine is refused.
#[test]
fn finished_runs_are_replayed_and_fitted() {
    let lab = folder();
    for (name, rate) in [("first", "0.01"), ("second", "0.003"), ("third", "1e-5"), ("fourth", "1e-6")] {
        let set = [format!("optimizer.learning_rate={rate}"), "intervals.eval_every=10".to_owned()];
        let trained = lab.run("train", &[&spec(&lab, 60, ""), "--name", name, "--set", &set[0], "--set", &set[1]]);
        assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    }
    let answer = |command: &str, args: &[&str]| {
        let output = lab.run(command, args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    };
    let names = "first,second,third,fourth";
    let (is_done, table) = answer("replay", &[names]);
    assert!(
        is_done && table.contains("4 runs, 240 steps") && table.contains("Hyperband, eta 3, 6 brackets"),
        "{table}"
    );
    let (is_done, stops) =
        answer("replay", &[names, "--rule", "median", "--set", "protect=0", "--set", "min_trials=2"]);
    assert!(is_done && stops.contains("fourth at step 20 (it ended in place 4): Its best value"), "{stops}");
    let (is_done, refused) = answer("fit", &["law", names]);
    assert!(!is_done && refused.contains("the fit needs at least 3 model sizes, and has 1"), "{refused}");
    let (is_done, constant) = answer("fit", &["learning-rate", "first"]);
    assert!(!is_done && constant.contains("does not rise by a factor of 16"), "{constant}");
    let (is_done, unknown) = answer("fit", &["isoflop", "fifth"]);
    assert!(!is_done && unknown.contains("no run is named"), "{unknown}");
}

#[test]
fn a_run_is_trained_from_options_alone() {
    let mut lab = folder();
    let small = ["--set", "model.layers=1", "--set", "model.seq=16", "--set", "batch.size=2"];
    let new = ["--preset", "tiny", "--corpus", "walk", "--steps", "20", "--seed", "7", "--name", "small"];
    let trained = lab.run("train", &[new.as_slice(), small.as_slice()].concat());
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    lab.start();
    let run = only_run(&lab.owner());
    assert_eq!((run.state, run.step, run.name.as_str()), (RunState::Finished, 20, "small"));
    let view = lab.owner().get(&format!("/runs/{}", run.id)).value();
    let plan = &view["plan"];
    assert_eq!((&plan["seed"], &plan["recipe"]["model"]["layers"]), (&json!(7), &json!(1)), "{plan}");
}

#[test]
fn what_cannot_be_trained_is_refused_and_creates_nothing() {
    let lab = Lab::bare();
    let nowhere = lab.data().with_file_name("nowhere");
    for (subcommand, arguments, status, named) in [
        ("train", &["no-such-spec.toml"][..], 1, "no-such-spec.toml"),
        ("train", &["--preset", "tiny", "--set", "optimizer.learning_rates=1"], 1, "optimizer.learning_rates"),
        ("train", &["--preset", "tiny", "--set", "model.layers=many"], 1, "many"),
        ("train", &["--preset", "huge"], 1, "one of tiny"),
        ("train", &["--resume", "amber-fox"], 1, "contains no lab"),
        ("train", &[], 2, "--preset"),
        ("train", &["--preset", "tiny", "--set", "model.layers"], 2, "PATH=VALUE"),
        ("train", &["--prest", "tiny"], 2, "'--preset'"),
        ("export", &["archive", "amber-fox", "--to", "x.tar"], 1, "contains no lab"),
        ("token", &[], 1, "contains no lab"),
    ] {
        let refused = lab.run_in(&nowhere, subcommand, arguments);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(status), "{subcommand} {arguments:?}: {said}");
        assert!(said.contains(named), "{subcommand} {arguments:?}: {named:?} is not in: {said}");
        assert!(refused.stdout.is_empty() && !nowhere.exists(), "{subcommand} {arguments:?}");
    }
}
