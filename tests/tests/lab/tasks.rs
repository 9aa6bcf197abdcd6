//! Evaluation tasks: scores of checkpoints on request and at an interval, as time series of the run.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use scenarios::watch::{count, speck, with};
use scenarios::{Client, Lab, wait_for};
use serde_json::{Value, json};
use wire::RunState;
use wire::task::lab::{RunTasks, TaskInfo};

fn capitals() -> Value {
    let item = |answer: &str| json!({ "prompt": "the river runs over ", "answer": answer });
    json!({ "name": "rivers", "about": "What the river runs over.", "kind": "completion", "items": [item("stones"), item("bridges")] })
}

fn tasks(client: &Client, run: &str) -> RunTasks {
    client.get(&format!("/runs/{run}/tasks")).read()
}

/// Waits until a run has so many scores and none waits.
fn wait_scores(client: &Client, run: &str, scores: usize) -> RunTasks {
    wait_for("the scores", 60, || {
        let found = tasks(client, run);
        assert!(found.failed.is_empty(), "{:?}", found.failed);
        (found.results.len() == scores && found.waiting.is_empty()).then_some(found)
    })
}

#[test]
fn a_checkpoint_is_scored_on_request_and_its_score_is_a_series_of_the_run() {
    let lab = Lab::bare();
    lab.device();
    let owner = lab.owner();
    let corpus = owner.add_corpus("walk");
    let kept = [("intervals.checkpoint_every", json!(20)), ("retention.latest", json!(20))];
    let run = owner.start_run(&with(speck(&corpus, 60), &kept));
    owner.wait_state(&run, 60, RunState::Finished);
    let steerer = Client::with_token(&lab.address(), &lab.token("steer"));
    assert_eq!(steerer.post("/tasks", &capitals()).read::<TaskInfo>().items, 2);
    steerer.post("/tasks", &capitals()).refused(409, "task_exists", &["rivers"]);
    let score = |client: &Client, body: Value| client.post(&format!("/runs/{run}/scores"), &body);

    // The later checkpoint first: the series has both in order.
    for checkpoint in ["0-60", "0-20"] {
        assert_eq!(score(&steerer, json!({ "task": "rivers", "checkpoint": checkpoint })).status, 202);
        wait_scores(&owner, &run, if checkpoint == "0-60" { 1 } else { 2 });
    }
    let found = tasks(&owner, &run);
    let values: Vec<(u64, f64)> = found
        .results
        .iter()
        .map(|stored| (stored.checkpoint.step - 1, stored.result.value("answer_nats_per_token").unwrap()))
        .collect();
    assert_eq!(owner.curve(&run, "eval/rivers/answer_nats_per_token"), values);
    assert!(
        values[1].1 != values[0].1 && (values[0].0, values[1].0) == (19, 59),
        "of two models, in order: {values:?}"
    );
    let journal = owner.journal(&run);
    assert_eq!(count(&journal, "scored"), 2);
    let by = serde_json::to_value(&journal.last().unwrap().author).unwrap();
    assert!(by.to_string().contains("a steer"), "{by}");

    // The command line computes the same from the same files.
    let file = lab.data().with_file_name("rivers.json");
    fs::write(&file, capitals().to_string()).unwrap();
    let arguments = [run.as_str(), "--task", file.to_str().unwrap(), "--checkpoint", "0-20", "--json"];
    let printed = lab.run("evaluate", &arguments);
    let report: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(report["results"][0], serde_json::to_value(&found.results[0].result).unwrap());

    // The table of runs filters by the newest score.
    let row: Value = owner.get("/runs?columns=metric:eval/rivers/answer_nats_per_token").read();
    assert!(row.to_string().contains(&values[1].1.to_string()), "{row}");

    let viewer = Client::with_token(&lab.address(), &lab.token("view"));
    score(&viewer, json!({ "task": "rivers" })).refused(403, "forbidden", &["steer"]);
    assert_eq!(tasks(&viewer, &run), found);
    viewer.post("/tasks", &capitals()).refused(403, "forbidden", &[]);
    score(&steerer, json!({ "task": "nothing" })).refused(404, "not_found", &["nothing", "/tasks"]);
    score(&steerer, json!({ "task": "rivers", "checkpoint": "0-21" })).refused(404, "not_found", &["0-21"]);
    let item = json!({ "prompt": "", "answer": "" });
    let bad = json!({ "name": "bad", "kind": "completion", "items": [item] });
    steerer.post("/tasks", &bad).refused(422, "task_invalid", &["line 1", "empty"]);
    let long = json!({ "name": "unknown", "kind": "completion", "items": [{ "prompt": "the €", "answer": "a" }] });
    assert_eq!(steerer.post("/tasks", &long).status, 201);
    score(&steerer, json!({ "task": "unknown" }));
    let failed = wait_for("the failure", 30, || tasks(&owner, &run).failed.into_iter().next());
    assert_eq!((failed.error.code.as_str(), failed.checkpoint.step), ("task_invalid", 60));
    assert!(failed.error.message.contains('€'), "{failed:?}");
    assert_eq!(steerer.delete("/tasks/rivers").status, 204);
    steerer.delete("/tasks/tales-holder").refused(409, "task_built_in", &[]);
    assert_eq!(tasks(&owner, &run).results.len(), 2, "scores of a deleted task stay");
}

#[test]
fn a_schedule_scores_each_checkpoint_also_when_the_server_is_killed() {
    let mut lab = Lab::bare();
    lab.device();
    let owner = lab.owner();
    let corpus = owner.add_corpus("walk");
    owner.post("/tasks", &capitals());
    let kept = [("intervals.checkpoint_every", json!(20)), ("retention.latest", json!(20))];
    let run = owner.start_run(&with(speck(&corpus, 130), &kept));
    let path = format!("/runs/{run}/tasks");
    owner.json("PUT", &path, &json!([{ "task": "rivers", "every": 0 }])).refused(422, "value_invalid", &["interval"]);
    owner.json("PUT", &path, &json!([{ "task": "nothing", "every": 1 }])).refused(404, "not_found", &["nothing"]);
    assert_eq!(owner.json("PUT", &path, &json!([{ "task": "rivers", "every": 40 }])).status, 200);
    wait_for("a first score", 60, || (!tasks(&owner, &run).results.is_empty()).then_some(()));
    lab.kill_server();
    lab.start();
    owner.wait_state(&run, 60, RunState::Finished);
    let found = wait_scores(&owner, &run, 4);
    let steps: Vec<u64> = found.results.iter().map(|stored| stored.checkpoint.step).collect();
    assert_eq!(steps, [40, 80, 120, 130], "every 40 steps, and the last one");
    assert_eq!(count(&owner.journal(&run), "scored"), 4, "none twice");
}

#[test]
fn a_run_is_created_with_the_tasks_of_its_spec() {
    let lab = Lab::bare();
    lab.device();
    let owner = lab.owner();
    let corpus = owner.add_corpus("walk");
    owner.post("/tasks", &capitals());
    let kept = [("intervals.checkpoint_every", json!(20)), ("retention.latest", json!(20))];
    let spec = |tasks: Value| {
        let mut spec = with(speck(&corpus, 50), &kept);
        spec["tasks"] = tasks;
        spec
    };
    let unknown = spec(json!([{ "task": "nothing", "every": 1 }]));
    owner.post("/runs", &unknown).refused(404, "not_found", &["nothing"]);
    let never = spec(json!([{ "task": "rivers", "every": 0 }]));
    owner.post("/runs", &never).refused(422, "plan_invalid", &["interval"]);
    let run = owner.start_run(&spec(json!([{ "task": "rivers", "every": 40 }])));
    owner.wait_state(&run, 60, RunState::Finished);
    let found = wait_scores(&owner, &run, 2);
    let steps: Vec<u64> = found.results.iter().map(|stored| stored.checkpoint.step).collect();
    assert_eq!(steps, [40, 50], "every 40 steps, and the last one");
    assert_eq!(found.schedules.len(), 1);
}

#[test]
fn a_program_scores_the_exported_checkpoint_only_if_the_server_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("evaluate.sh");
    let script = "#!/bin/sh\ntest -f \"$1/config.json\" && echo \"{\\\"files\\\": $(ls \"$1\" | wc -l)}\"\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let lab = Lab::bare_with(&["--evaluator", &format!("count-files={}", program.display())]);
    lab.device();
    let owner = lab.owner();
    let corpus = owner.add_corpus("walk");
    let run = owner.start_run(&speck(&corpus, 20));
    owner.wait_state(&run, 60, RunState::Finished);
    let new = json!({ "task": "count-files" });
    assert_eq!(owner.post(&format!("/runs/{run}/scores"), &new).status, 202);
    let found = wait_scores(&owner, &run, 1);
    assert!(found.results[0].result.value("files").unwrap() >= 3.0, "{found:?}");
    assert_eq!(owner.curve(&run, "eval/count-files/files").len(), 1);
    let left = fs::read_dir(lab.data().join("incoming")).unwrap().count();
    assert_eq!(left, 0, "the exported folder is deleted");
    let command = json!({ "name": "evil", "kind": "command", "items": ["/bin/sh"] });
    owner.post("/tasks", &command).refused(422, "task_invalid", &["--evaluator"]);
    owner.delete("/tasks/count-files").refused(409, "task_built_in", &[]);
}
