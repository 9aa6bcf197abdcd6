//! Runs imported into another lab, and models exported and imported: the same series, journal and losses.

use scenarios::client::{Answer, Client};
use scenarios::watch::{speck, with, with_breakpoints};
use scenarios::{Lab, wait_for};
use serde_json::{Value, json};
use wire::{Event, EventRecord, RunState, RunView};

fn import(client: &Client, query: &str, tarball: &[u8]) -> RunView {
    let header = ("content-type", "application/x-tar");
    client.send("POST", &format!("/api/v1/runs/import{query}"), &[header], tarball).read()
}

/// The text that a checkpoint generates.
fn completion(client: &Client, run: &str, checkpoint: &str) -> String {
    let ask =
        json!({"run": run, "checkpoint": checkpoint, "prompt": "the ", "tokens": 20, "temperature": 0.8, "seed": 4});
    let answer: Answer = client.post("/completions", &ask);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let lines = answer.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>();
    lines.iter().filter_map(|line| line["text"].as_str()).collect()
}

#[test]
fn an_imported_run_is_the_same_and_its_fork_trains_on() {
    let home = Lab::bare();
    let owner = home.owner();
    home.device();
    let spec = with(
        speck(&owner.add_corpus("walk"), 300),
        &[("intervals.checkpoint_every", json!(100)), ("retention.latest", json!(20))],
    );
    let mut spec = spec;
    spec["tokenizer"] = json!("bpe-300");
    let run = owner.start_run(&with_breakpoints(&spec, &[150]));
    owner.wait_paused_at(&run, 150);
    owner.steer(&run, &json!({"kind": "set", "path": "optimizer.learning_rate", "value": 0.003, "reason": "faster"}));
    owner.steer(&run, &json!({"kind": "rollback", "checkpoint": "0-100"}));
    owner.steer(&run, &json!({"kind": "resume"}));
    // The breakpoint is reached again.
    owner.wait_paused_at(&run, 150);
    owner.steer(&run, &json!({"kind": "resume"}));
    owner.wait_state(&run, 60, RunState::Finished);
    let archive = owner.get(&format!("/runs/{run}/archive"));
    assert_eq!(archive.status, 200);

    let other_lab = Lab::bare();
    let importer = other_lab.owner();
    other_lab.device();
    let view = import(&importer, "", &archive.body);
    assert_eq!(
        (view.summary.id.as_str(), view.summary.state, view.summary.step),
        (run.as_str(), RunState::Finished, 300)
    );
    for curve in ["loss.train", "loss.valid", "learning_rate"] {
        assert_eq!(importer.path_curve(&run, curve), owner.path_curve(&run, curve), "{curve}");
        assert_eq!(
            importer.segment_curve(&run, curve, 0),
            owner.segment_curve(&run, curve, 0),
            "{curve} of the abandoned segment"
        );
    }
    let journal = |client: &Client| client.get(&format!("/runs/{run}/events")).read::<Vec<EventRecord>>();
    let (mut imported, expected) = (journal(&importer), journal(&owner));
    assert!(matches!(imported.pop().unwrap().event, Event::Imported { .. }));
    assert_eq!(imported, expected);
    let kept = |client: &Client| client.get(&format!("/runs/{run}/checkpoints")).value();
    assert_eq!(kept(&importer), kept(&owner));
    assert_eq!(
        completion(&importer, &run, "1-200"),
        completion(&owner, &run, "1-200"),
        "the archive has its tokenizer"
    );

    // A fork needs the same dataset under the same id.
    let fork = json!({"parent": {"run": run, "checkpoint": "1-200"}});
    importer.post("/runs", &fork).refused(422, "plan_invalid", &["walk", "not in this lab"]);
    importer.add_corpus("walk");
    let child = importer.start_run(&fork);
    importer.wait_state(&child, 60, RunState::Finished);
    assert_eq!(importer.path_curve(&child, "loss.train"), owner.path_curve(&run, "loss.train"), "bit for bit");
    // Or another dataset, because the imported tokenizer does not depend on it.
    let other = importer.add_corpus("other");
    let child =
        importer.start_run(&json!({"parent": {"run": run, "checkpoint": "1-300"}, "corpus": other, "steps": 320}));
    importer.wait_state(&child, 60, RunState::Finished);
    importer.delete(&format!("/runs/{run}"));
}

#[test]
fn a_model_is_exported_for_transformers_and_imported() {
    let mut lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let run =
        owner.start_run(&with(speck(&owner.add_corpus("walk"), 300), &[("intervals.checkpoint_every", json!(100))]));
    owner.wait_state(&run, 60, RunState::Finished);
    let tarball = owner.get(&format!("/runs/{run}/checkpoints/0-300/export"));
    let imported = import(&owner, "?name=imported", &tarball.body);
    let id = imported.summary.id.to_string();
    assert_eq!(
        (imported.summary.state, imported.summary.step, imported.summary.name.as_str()),
        (RunState::Finished, 0, "imported")
    );
    assert_eq!(
        completion(&owner, &id, "0-0"),
        completion(&owner, &run, "0-300"),
        "the same model, with biases of zero or without"
    );
    let child = owner.start_run(&json!({"parent": {"run": id}, "corpus": "walk", "steps": 40}));
    owner.wait_state(&child, 60, RunState::Finished);
    let losses = owner.path_curve(&child, "loss.train");
    let before = owner.path_curve(&run, "loss.train");
    assert!(
        losses[0].1 < before[0].1 - 0.3,
        "it continues from what it has learned: {} after {}",
        losses[0].1,
        before[0].1
    );
    let strange = owner.start_run(&with(speck("walk", 30), &[("model.qk_norm", json!(true))]));
    owner.wait_state(&strange, 60, RunState::Finished);
    owner.get(&format!("/runs/{strange}/checkpoints/0-30/export")).refused(422, "model_refused", &["qk_norm off (on)"]);

    // The command line needs the folder for itself.
    let out = tempfile::tempdir().unwrap();
    let to = |name: &str| out.path().join(name).to_str().unwrap().to_owned();
    let export = |lab: &Lab, arguments: &[&str]| lab.run("export", arguments);
    let refused = export(&lab, &["archive", &run, "--to", &to("run.tar")]);
    assert!(
        !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("GET /api/v1/runs"),
        "{refused:?}"
    );
    lab.stop_server();
    let closed = wait_for("the folder to be free", 20, || {
        let output = export(&lab, &["archive", &run, "--to", &to("run.tar")]);
        output.status.success().then_some(output)
    });
    assert!(String::from_utf8_lossy(&closed.stdout).contains(&run));
    for arguments in [
        vec!["hf".to_owned(), run.clone(), "0-300".into(), "--to".into(), to("model")],
        vec!["series".to_owned(), run.clone(), "--to".into(), to("run.csv")],
        vec!["series".to_owned(), run.clone(), "--to".into(), to("run.parquet")],
    ] {
        let output = export(&lab, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let read = |name: &str| std::fs::read(out.path().join(name)).unwrap();
    assert!(read("run.parquet").starts_with(b"PAR1") && read("run.csv").starts_with(b"segment,series,step"));
    assert!(tarball.body.windows(64).any(|part| part == &read("model/model.safetensors")[..64]));
    lab.start();
    let again = import(&lab.owner(), "", &read("run.tar"));
    assert_eq!((again.summary.step, again.summary.state), (300, RunState::Finished));
    let none = export(&lab, &["hf", "nobody", "--to", &to("x")]);
    assert!(!none.status.success());
}
