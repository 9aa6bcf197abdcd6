//! Sweeps of real trainings: no trial is lost, trained twice or decided twice when the server or a worker is killed; a trial that diverges is a
//! result; one that a rule stopped continues exactly.

use scenarios::watch::{count, speck, with};
use scenarios::{Client, Lab, wait_for};
use serde_json::{Value, json};
use wire::RunState;
use wire::sweep::preview::SweepPreview;
use wire::sweep::record::{DecisionKind, Sweep, SweepDecision, SweepState, SweepView, TrialState};

use crate::headless::{closed_pipe, folder};
use crate::resume::{check_same, restarting};

fn start(owner: &Client, spec: &Value) -> Sweep {
    owner.post("/sweeps", spec).read()
}

fn view(owner: &Client, id: i64) -> SweepView {
    owner.get(&format!("/sweeps/{id}")).read()
}

fn decisions(owner: &Client, id: i64) -> Vec<SweepDecision> {
    owner.get(&format!("/sweeps/{id}/decisions")).read()
}

fn wait(owner: &Client, id: i64, what: &str, is_so: impl Fn(&SweepView) -> bool) -> SweepView {
    wait_for(what, 60, || Some(view(owner, id)).filter(&is_so))
}

fn command(owner: &Client, sweep: &Sweep, command: Value) -> Sweep {
    let request = json!({ "revision": sweep.revision, "command": command });
    owner.post(&format!("/sweeps/{}/commands", sweep.id), &request).read()
}

/// A grid over learning rates.
fn rates(base: Value, rates: &[f64]) -> Value {
    let parameters = json!({ "optimizer.learning_rate": { "choices": rates } });
    json!({ "name": "rates", "sampler": "grid", "base": base, "space": { "parameters": parameters } })
}

#[test]
fn six_trials_are_trained_once_each_although_server_and_worker_are_killed_and_one_diverges() {
    let mut lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    // With this weight decay, a learning rate of 10 multiplies the weights by -99 at each step.
    let base = with(restarting(&owner.add_corpus("walk"), 800), &[("optimizer.weight_decay", json!(10.0))]);
    let id = start(&owner, &rates(base, &[0.01, 0.005, 10.0, 0.003, 0.002, 0.001])).id;

    wait(&owner, id, "the first trial to train", |view| view.sweep.counts.running == 1);
    lab.kill_server();
    lab.start();
    let owner = lab.owner();
    lab.device();
    let training = wait(&owner, id, "the fourth trial to train", |view| {
        view.trials.len() == 4 && view.trials[3].state == TrialState::Running
    });
    let killed = training.trials[3].run.as_ref().unwrap().to_string();
    owner.wait_step(&killed, 30, 150);
    lab.kill_worker();
    lab.kill_server();
    lab.start();
    let owner = lab.owner();
    lab.device();

    let ended = wait(&owner, id, "the sweep to finish", |view| view.sweep.state == SweepState::Finished);
    let counts = ended.sweep.counts;
    assert_eq!((ended.trials.len(), counts.finished, counts.failed), (6, 5, 1), "{ended:#?}");
    let mut runs: Vec<String> = ended.trials.iter().map(|trial| trial.run.as_ref().unwrap().to_string()).collect();
    for (number, (trial, run)) in ended.trials.iter().zip(&runs).enumerate() {
        assert_eq!((trial.number, trial.attempt), (number as u64, 1));
        let journal = owner.journal(run);
        assert_eq!(count(&journal, "started"), 1, "{run} began once");
        if trial.state == TrialState::Finished {
            owner.check_complete(run, "loss.train", 800);
            assert_eq!((trial.last_step, count(&journal, "finished")), (Some(800), 1));
        }
    }
    runs.sort();
    runs.dedup();
    let all: Vec<Value> = owner.get("/runs").read();
    assert_eq!((runs.len(), all.len()), (6, 6), "each trial has a run, and each run a trial");
    let diverged = &ended.trials[2];
    assert_eq!(diverged.state, TrialState::Failed);
    assert!(diverged.reason.as_ref().unwrap().starts_with("It diverged at step "), "{diverged:?}");
    let decided = decisions(&owner, id);
    assert_eq!(
        decided.iter().map(|one| (one.kind, one.trial)).collect::<Vec<_>>(),
        [(DecisionKind::Diverged, Some(2))]
    );
    assert!(ended.sweep.best.is_some_and(|best| best.trial != 2));
}

#[test]
fn a_trial_that_a_rule_stopped_is_resumed_and_ends_as_if_it_had_never_been_stopped() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let base = with(restarting(&owner.add_corpus("walk"), 4_000), &[("intervals.eval_every", json!(50))]);
    let mut spec = rates(base.clone(), &[0.01, 1e-6]);
    spec["stopping"] = json!({ "rule": "asha", "eta": 2, "min_fraction": 0.1 });
    let id = start(&owner, &spec).id;
    let ended = wait(&owner, id, "the sweep to finish", |view| view.sweep.state == SweepState::Finished);
    let stopped = &ended.trials[1];
    assert_eq!((ended.trials[0].state, stopped.state), (TrialState::Finished, TrialState::Stopped), "{ended:#?}");
    let run = stopped.run.as_ref().unwrap().to_string();
    assert!(owner.summary(&run).step < 4_000);
    let decided = decisions(&owner, id);
    let of_kind = |kind: DecisionKind| decided.iter().filter(move |one| one.kind == kind).collect::<Vec<_>>();
    let continued = of_kind(DecisionKind::Continued);
    assert!(!continued.is_empty() && continued.iter().all(|one| one.trial == Some(0)), "{decided:?}");
    let [decision] = of_kind(DecisionKind::Stopped)[..] else { panic!("{decided:?}") };
    assert_eq!((decision.kind, decision.trial, decision.by.as_str()), (DecisionKind::Stopped, Some(1), "ASHA, eta 2"));
    assert!(decision.value > decision.threshold && decision.sentence.contains("is not among the best"), "{decision:?}");
    assert_eq!(stopped.reason.as_ref(), Some(&decision.sentence));

    let running = command(&owner, &ended.sweep, json!({ "kind": "resume_trial", "trial": 1 }));
    assert_eq!(running.state, SweepState::Running);
    let ended = wait(&owner, id, "the trial to finish", |view| view.sweep.state == SweepState::Finished);
    assert_eq!((ended.trials[1].state, ended.trials[1].is_exempt), (TrialState::Finished, true));
    let after = decisions(&owner, id);
    assert_eq!(after[..decided.len()], decided, "the decision stays on record");
    assert_eq!(after[decided.len()..].iter().map(|one| one.kind).collect::<Vec<_>>(), [DecisionKind::Command]);
    let reference = owner.start_run(&with(base, &[("optimizer.learning_rate", json!(1e-6))]));
    owner.wait_state(&reference, 60, RunState::Finished);
    check_same(&owner, &run, &reference);
}

#[test]
fn a_sweep_is_paused_and_extended_and_its_trials_wait_one_at_a_time() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let corpus = owner.add_corpus("walk");
    let mut spec = rates(speck(&corpus, 1_000), &[0.01, 0.005, 0.003, 0.002, 0.001]);
    (spec["trials"], spec["at_once"]) = (json!(2), json!(4));
    let id = start(&owner, &spec).id;
    let begun = wait(&owner, id, "a trial", |view| !view.trials.is_empty());
    assert!(begun.sweep.counts.queued <= 1, "{begun:?}");
    let sweep = view(&owner, id).sweep;
    let paused = command(&owner, &sweep, json!({ "kind": "pause" }));
    let extended = command(&owner, &paused, json!({ "kind": "extend", "trials": 3 }));
    assert_eq!((extended.state, extended.trials), (SweepState::Paused, 5));
    let created = view(&owner, id).trials.len();
    wait(&owner, id, "its trials to end", |view| view.sweep.counts.unfinished() == 0);
    assert_eq!(view(&owner, id).trials.len(), created, "a paused sweep starts no trial");
    command(&owner, &extended, json!({ "kind": "resume" }));
    let ended = wait(&owner, id, "the sweep to finish", |view| {
        assert!(view.sweep.counts.queued <= 1, "{view:?}");
        view.sweep.state == SweepState::Finished
    });
    assert_eq!(ended.sweep.counts.finished, 5, "{ended:#?}");
    let more = json!({ "revision": ended.sweep.revision, "command": { "kind": "extend", "trials": 1 } });
    let refused = owner.post(&format!("/sweeps/{id}/commands"), &more);
    refused.refused(422, "plan_invalid", &["the grid has 5 trials"]);
}

#[test]
fn the_command_line_trains_a_sweep_without_a_server_and_exports_it() {
    let mut lab = folder();
    let corpus = "walk";
    let spec = lab.data().join("rates.toml");
    let overrides = speck(corpus, 60)["overrides"].as_object().unwrap().clone();
    let overrides: String = overrides.iter().map(|(path, value)| format!("\"{path}\" = {value}\n")).collect();
    let text = format!(
        "name = \"rates\"\nsampler = \"grid\"\n[base]\npreset = \"tiny\"\ncorpus = \"{corpus}\"\nsteps = 60\n[base.overrides]\n{overrides}\
         [space.parameters]\n\"optimizer.learning_rate\" = {{ choices = [0.01, 0.003, 0.001] }}\n"
    );
    std::fs::write(&spec, text).unwrap();
    let (spec, table) = (spec.to_str().unwrap(), lab.data().join("rates.csv"));
    let previewed = lab.run("sweep", &[spec, "--preview"]);
    let preview: SweepPreview = serde_json::from_slice(&previewed.stdout).unwrap();
    assert_eq!(preview.trials, 3, "{previewed:?}");
    let said = String::from_utf8_lossy(&previewed.stderr).into_owned();
    assert!(said.contains("Kindling is running"), "{said}");
    let unread = lab.command("sweep", &[spec, "--preview"]).stdout(closed_pipe()).output().unwrap();
    let said = String::from_utf8_lossy(&unread.stderr).into_owned();
    assert!(unread.status.success() && !said.contains("panicked") && !said.contains("kindling: "), "{said}");
    let ended = lab.run("sweep", &[spec, "--to", table.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    assert!(said.contains("Sweep 1: 3 trials finished, 0 stopped, 0 failed. Best loss.valid: "), "{said}");
    assert_eq!(std::fs::read_to_string(&table).unwrap().lines().count(), 4);
    let parquet = lab.data().join("rates.parquet");
    let exported = lab.run("export", &["sweep", "1", "--to", parquet.to_str().unwrap()]);
    assert!(exported.status.success(), "{exported:?}");
    assert!(std::fs::read(&parquet).unwrap().starts_with(b"PAR1"));
    lab.start();
    let owner = lab.owner();
    assert_eq!(view(&owner, 1).sweep.state, SweepState::Finished);
    let detached = lab.run("sweep", &[spec, "--detach"]);
    assert_eq!(String::from_utf8_lossy(&detached.stdout).trim(), "2", "{detached:?}");
    wait(&owner, 2, "the second sweep to finish", |view| view.sweep.state == SweepState::Finished);
}
