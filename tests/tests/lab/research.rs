//! A research loop with real trainings: it goes from a poor recipe to a confirmed improvement, also when the server is killed twice.

use std::collections::BTreeSet;
use std::fs;

use scenarios::watch::speck;
use scenarios::{Client, Lab, wait_for};
use serde_json::Value;
use wire::RunState;
use wire::experiment::record::ExperimentView;
use wire::research_loop::record::{LoopRound, LoopState, LoopView, RoundKind, RoundOutcome, kept_changes};
use wire::sweep::record::SweepView;

const RATE: &str = "optimizer.learning_rate";

fn view(client: &Client, id: u64) -> LoopView {
    client.get(&format!("/research-loops/{id}")).read()
}

/// The runs of a round, each of which is a first attempt.
fn runs_of(client: &Client, round: &LoopRound) -> Vec<String> {
    let sweep: Option<SweepView> = round.sweep.map(|id| client.get(&format!("/sweeps/{id}")).read());
    let experiment: Option<ExperimentView> =
        round.experiment.map(|id| client.get(&format!("/experiments/{id}")).read());
    let trials = sweep.into_iter().flat_map(|view| view.trials).map(|trial| {
        assert_eq!(trial.attempt, 1, "{trial:?}");
        trial.run.unwrap().to_string()
    });
    let pairs = experiment.into_iter().flat_map(|view| view.runs).map(|run| {
        assert_eq!(run.attempt, 1, "{run:?}");
        run.run.to_string()
    });
    trials.chain(pairs).collect()
}

fn text(lab: &Lab, arguments: &[&str]) -> String {
    let output = lab.run("research", arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A goal about a recipe whose learning rate is far too low, so that the first change is a large improvement.
fn goal(corpus: &str) -> String {
    let overrides: Vec<String> = speck(corpus, 200)["overrides"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, value)| format!("\"{path}\" = {value}\n"))
        .collect();
    format!(
        "title = \"Low rate\"\n[base]\npreset = \"tiny\"\ncorpus = \"{corpus}\"\nsteps = 200\nseed = 1\n[base.overrides]\n{}\"{RATE}\" = 1e-4\n\
         [parameters]\n\"{RATE}\" = {{ log = [1e-5, 1e-1] }}\n[budget]\ndevice_hours = 1.0\n\
         [screening]\nseeds = 3\n[rule]\ntests = 1\nconfirmation_pairs = 4\n",
        overrides.concat()
    )
}

#[test]
fn a_loop_finds_an_improvement_and_confirms_it_although_the_server_is_killed_twice() {
    let mut lab = Lab::bare();
    lab.device();
    let corpus = lab.owner().add_corpus("walk");
    let path = lab.data().with_file_name("goal.toml");
    fs::write(&path, goal(&corpus)).unwrap();
    let id: u64 = text(&lab, &[path.to_str().unwrap(), "--detach"]).trim().parse().unwrap();
    let owner = lab.owner();
    wait_for("the first proposal", 120, || (view(&owner, id).rounds.len() > 1).then_some(()));
    lab.kill_server();
    lab.start();
    lab.device();
    let owner = lab.owner();
    wait_for("the test of a change", 120, || {
        view(&owner, id).rounds.get(1).is_some_and(|round| round.experiment.is_some()).then_some(())
    });
    lab.kill_server();
    lab.start();
    lab.device();
    let owner = lab.owner();
    let ended = wait_for("the end of the loop", 600, || {
        Some(view(&owner, id)).filter(|view| view.summary.state != LoopState::Running)
    });
    assert_eq!(ended.summary.state, LoopState::Finished, "{:#?}", ended.summary);
    assert_eq!(ended.summary.reason.as_deref(), Some("1 change was tested, the maximum of the goal"));
    let kinds: Vec<RoundKind> = ended.rounds.iter().map(|round| round.kind).collect();
    assert_eq!(kinds, [RoundKind::NoiseFloor, RoundKind::Change, RoundKind::Confirmation], "{:#?}", ended.rounds);
    let outcomes: Vec<RoundOutcome> =
        ended.rounds.iter().map(|round| round.decision.as_ref().unwrap().outcome).collect();
    assert_eq!(outcomes, [RoundOutcome::Measured, RoundOutcome::Kept, RoundOutcome::Confirmed], "{:#?}", ended.rounds);
    let kept = kept_changes(&ended.rounds);
    assert!(kept[RATE].as_f64().unwrap() > 1e-4, "{kept:?}");

    // Nothing was lost, trained twice or decided twice, and the lab has no other runs.
    let runs: Vec<String> = ended.rounds.iter().flat_map(|round| runs_of(&owner, round)).collect();
    let distinct: BTreeSet<String> = runs.iter().cloned().collect();
    let listed: Vec<Value> = owner.get("/runs").read();
    let of_lab: BTreeSet<String> = listed.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((runs.len(), &distinct), (of_lab.len(), &of_lab));
    // The median rule may have stopped screening trials.
    let is_over = |run: &String| matches!(owner.summary(run).state, RunState::Finished | RunState::Stopped);
    assert!(runs.iter().all(is_over));
    for (number, word) in [(1, "measured"), (2, "kept"), (3, "confirmed")] {
        let decided = ended.events.iter().filter(|event| event.text.starts_with(&format!("round {number}: {word}. ")));
        assert_eq!(decided.count(), 1, "{:#?}", ended.events);
    }

    let replayed = text(&lab, &["--replay", &id.to_string()]);
    assert!(replayed.contains("all equal to what is stored"), "{replayed}");
    let shown = text(&lab, &["--show", &id.to_string()]);
    assert!(shown.contains("these changes are kept: optimizer.learning_rate = "), "{shown}");
    assert!(text(&lab, &["--list"]).contains("finished  Low rate"));
    let report = owner.get("/projects/default/report.md").text();
    assert!(report.contains("Research loop") && report.contains("kept"), "{report}");
}
