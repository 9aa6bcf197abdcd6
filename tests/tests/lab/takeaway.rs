//! A run taken to another lab, and a model taken out and in: the same curves, the same journal, the same course.

use serde_json::{Value, json};
use stories::client::{Answer, Client};
use stories::watch::{holding_at, speck, with};
use stories::{Lab, wait_for};
use wire::{Event, EventRecord, RunState, RunView};

fn import(client: &Client, query: &str, tarball: &[u8]) -> RunView {
    let header = ("content-type", "application/x-tar");
    client.send("POST", &format!("/api/v1/runs/import{query}"), &[header], tarball).read()
}

/// The text that a checkpoint writes.
fn written(client: &Client, run: &str, checkpoint: &str) -> String {
    let ask =
        json!({"run": run, "checkpoint": checkpoint, "prompt": "the ", "tokens": 20, "temperature": 0.8, "seed": 4});
    let answer: Answer = client.post("/complete", &ask);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let lines = answer.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>();
    lines.iter().filter_map(|line| line["text"].as_str()).collect()
}

#[test]
fn a_run_goes_to_another_lab_and_trains_on_there() {
    let home = Lab::bare();
    let owner = home.owner();
    home.device();
    let spec = with(speck(&owner.bring("walk"), 300), &[("keep.every", json!(100)), ("keep.latest", json!(20))]);
    let mut spec = spec;
    spec["tokenizer"] = json!("bpe-300");
    let run = owner.start_run(&holding_at(&spec, &[150]));
    owner.wait_hold(&run, 150);
    owner.steer(&run, &json!({"kind": "set", "field": "rate", "value": 0.003, "reason": "bolder"}));
    owner.steer(&run, &json!({"kind": "rollback", "checkpoint": "0-100"}));
    owner.steer(&run, &json!({"kind": "resume"}));
    // The same way once more.
    owner.wait_hold(&run, 150);
    owner.steer(&run, &json!({"kind": "resume"}));
    owner.wait_state(&run, 60, RunState::Finished);
    let archive = owner.get(&format!("/runs/{run}/archive"));
    assert_eq!(archive.status, 200);

    let away = Lab::bare();
    let guest = away.owner();
    away.device();
    let view = import(&guest, "", &archive.body);
    assert_eq!(
        (view.summary.id.as_str(), view.summary.state, view.summary.step),
        (run.as_str(), RunState::Finished, 300)
    );
    for curve in ["loss.train", "loss.valid", "rate"] {
        assert_eq!(guest.path_curve(&run, curve), owner.path_curve(&run, curve), "{curve}");
        assert_eq!(guest.segment_curve(&run, curve, 0), owner.segment_curve(&run, curve, 0), "the ghost's {curve}");
    }
    let journal = |client: &Client| client.get(&format!("/runs/{run}/events")).read::<Vec<EventRecord>>();
    let (mut told, expected) = (journal(&guest), journal(&owner));
    assert!(matches!(told.pop().unwrap().event, Event::Imported { .. }));
    assert_eq!(told, expected);
    let kept = |client: &Client| client.get(&format!("/runs/{run}/checkpoints")).value();
    assert_eq!(kept(&guest), kept(&owner));
    assert_eq!(written(&guest, &run, "1-200"), written(&owner, &run, "1-200"), "its tokenizer came along");

    // It needs its text to be trained on: the same, under the same name.
    let fork = json!({"parent": {"run": run, "checkpoint": "1-200"}});
    guest.post("/runs", &fork).refused(422, "plan_invalid", &["walk", "not in this lab"]);
    guest.bring("walk");
    let child = guest.start_run(&fork);
    guest.wait_state(&child, 60, RunState::Finished);
    assert_eq!(guest.path_curve(&child, "loss.train"), owner.path_curve(&run, "loss.train"), "to the last bit");
    // Or another, since its tokenizer is its own now.
    let other = guest.bring("other");
    let child = guest.start_run(&json!({"parent": {"run": run, "checkpoint": "1-300"}, "corpus": other, "steps": 320}));
    guest.wait_state(&child, 60, RunState::Finished);
    guest.delete(&format!("/runs/{run}"));
}

#[test]
fn a_model_goes_out_for_transformers_and_comes_back() {
    let mut lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let run = owner.start_run(&with(speck(&owner.bring("walk"), 300), &[("keep.every", json!(100))]));
    owner.wait_state(&run, 60, RunState::Finished);
    let tarball = owner.get(&format!("/runs/{run}/checkpoints/0-300/export"));
    let guest = import(&owner, "?name=guest", &tarball.body);
    let id = guest.summary.id.to_string();
    assert_eq!(
        (guest.summary.state, guest.summary.step, guest.summary.name.as_str()),
        (RunState::Finished, 0, "guest")
    );
    assert_eq!(written(&owner, &id, "0-0"), written(&owner, &run, "0-300"), "the same model, biases of zero or none");
    let child = owner.start_run(&json!({"parent": {"run": id}, "corpus": "walk", "steps": 40}));
    owner.wait_state(&child, 60, RunState::Finished);
    let losses = owner.path_curve(&child, "loss.train");
    let before = owner.path_curve(&run, "loss.train");
    assert!(losses[0].1 < before[0].1 - 0.3, "it goes on from what it knew: {} after {}", losses[0].1, before[0].1);
    let strange = owner.start_run(&with(speck("walk", 30), &[("model.qk_norm", json!(true))]));
    owner.wait_state(&strange, 60, RunState::Finished);
    owner.get(&format!("/runs/{strange}/checkpoints/0-30/export")).refused(422, "model_refused", &["qk_norm off (on)"]);

    // On the command line the lab must be its own.
    let out = tempfile::tempdir().unwrap();
    let to = |name: &str| out.path().join(name).to_str().unwrap().to_owned();
    let export = |lab: &Lab, arguments: &[&str]| lab.run("export", arguments);
    let refused = export(&lab, &["archive", &run, "--to", &to("run.tar")]);
    assert!(
        !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("GET /api/v1/runs"),
        "{refused:?}"
    );
    lab.stop_server();
    let closed = wait_for("the lab to be free", 20, || {
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
