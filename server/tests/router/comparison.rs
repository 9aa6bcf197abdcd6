//! Fair comparison over HTTP: a verdict over seeds and over validation text, groups by tag, the noise floor, and more seeds of a run.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use testing::Random;
use wire::evaluation::{DatasetLosses, WindowLosses};
use wire::run::References;
use wire::series::{Row, name};
use wire::task::TaskKind;
use wire::task::lab::TaskSchedule;
use wire::task::result::{TaskMetric, TaskResult};
use wire::transport::link::{Item, Report};
use wire::{Author, CheckpointId, Event, RunId, RunState};

use crate::lab::{Answer, Lab, ask};
use crate::run_table::run;
use crate::scenarios::LabWithWorker;

/// Stores a finished run whose window losses are above those of others by `shift`.
async fn finished(lab: &Lab, id: &str, seed: u64, shift: f64, learning_rate: f64) -> RunId {
    let mut new = run(id, seed as i64);
    new.plan.seed = seed;
    new.plan.recipe.optimizer.learning_rate = learning_rate;
    new.references = References { bytes_per_token: Some(1.0), ..References::default() };
    lab.state.store().create_run(&new).await.unwrap();
    let mut random = Random::new(seed);
    let nats: Vec<f32> = (0..200)
        .map(|window| (2.0 + shift + 0.4 * f64::from(window).sin() + 0.05 * (random.uniform() - 0.5)) as f32)
        .collect();
    let loss_nats = nats.iter().map(|nats| f64::from(*nats)).sum::<f64>() / 200.0;
    let windows =
        WindowLosses { seq: 64, is_last: true, datasets: vec![DatasetLosses { split: 200, nats, whole: None }] };
    let event = |step, event, state| {
        let author = Author::System;
        Item::Event(Report { segment: 0, step, at_ms: 5000, author, command_id: None, reason: None, event, state })
    };
    let values = [(name::TOKENS, 6400.0), (name::SECS, 9.0), (name::VALID, loss_nats)];
    let values = values.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let items = vec![
        event(0, Event::Started { parameters: 9 }, Some(RunState::Running)),
        Item::Row(Row { segment: 0, step: 99, values }),
        event(100, Event::Evaluated { loss_nats, bits_per_byte: 1.0, windows: Some(Box::new(windows)) }, None),
        event(100, Event::Finished, Some(RunState::Finished)),
    ];
    lab.state.store().ingest(&new.id, 1, items).await.unwrap();
    new.id
}

async fn compare(lab: &Lab, query: &str) -> Answer {
    lab.get(&format!("/api/v1/compare?{query}"), &lab.view).await
}

async fn tag(lab: &Lab, run: &str, tags: &[&str]) {
    let answer = lab.patch(&format!("/api/v1/runs/{run}"), &lab.steer, &json!({ "tags": tags }).to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

fn sentence(answer: &Answer) -> String {
    answer.json()["changes"][0]["sentence"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

#[tokio::test]
async fn runs_groups_and_families_of_seeds_are_compared() {
    let lab = Lab::open().await;
    for (at, noise) in [0.0, 0.01, -0.01].into_iter().enumerate() {
        finished(&lab, &format!("a{at}"), 1 + at as u64, noise, 1e-3).await;
        finished(&lab, &format!("b{at}"), 11 + at as u64, noise - 0.1, 2e-3).await;
    }
    let pair = compare(&lab, "baseline=a0&change=b0").await;
    let found = pair.json();
    assert_eq!(found["validation"], "tales: 200 windows of 64 tokens");
    assert_eq!((&found["budget"], &found["unit"]), (&json!(6400.0), &json!("nats_per_token")));
    assert!(sentence(&pair).starts_with("The loss of b0 is lower by "), "{}", sentence(&pair));
    assert!(
        sentence(&pair).contains(" nats/token than that of a0. The difference, b0 minus a0, is \u{2212}"),
        "{}",
        sentence(&pair)
    );
    assert!(sentence(&pair).contains("validation text, not over seeds"), "{}", sentence(&pair));
    assert!(sentence(&pair).contains("run at least 3 seeds"), "{}", sentence(&pair));

    let groups = compare(&lab, "baseline=a0,a1,a2&change=b0,b1,b2;a2&equal=flops").await;
    assert!(sentence(&groups).contains("over seeds (Welch's t, 3 runs on each side)"), "{}", sentence(&groups));
    assert_eq!(groups.json()["changes"].as_array().unwrap().len(), 2);
    for run in ["b0", "b1", "b2"] {
        tag(&lab, run, &["warmup"]).await;
    }
    assert_eq!(sentence(&compare(&lab, "baseline=a0,a1,a2&change=tag:warmup").await), sentence(&groups));

    for run in ["a0", "a1", "a2", "b0"] {
        tag(&lab, run, &["seeds:a0"]).await;
    }
    let single = compare(&lab, "baseline=a0&change=b1").await.json();
    let mut noise_runs: Vec<&str> =
        single["noise_runs"].as_array().unwrap().iter().map(|run| run.as_str().unwrap()).collect();
    noise_runs.sort_unstable();
    assert_eq!(noise_runs, ["a0", "a1", "a2"], "b0 differs in more than the seed");
    assert_eq!(single["changes"][0]["over_seeds"]["difference"]["method"], "noise_floor");

    for (query, code) in [
        ("baseline=a0&change=", "query_invalid"),
        ("baseline=&change=a0", "group_empty"),
        ("baseline=a0&change=tag:none", "group_empty"),
        ("baseline=a0&change=..", "query_invalid"),
        ("baseline=a0&change=a1&at=-1", "query_invalid"),
        ("baseline=a0&change=unknown-run", "not_found"),
    ] {
        assert_eq!(compare(&lab, query).await.code(), code, "{query}");
    }
}

/// Stores the score of a run on a task of 200 items.
async fn score(lab: &Lab, run: &str, step: u64, correct: u64) {
    let (run, checkpoint) = (run.parse::<RunId>().unwrap(), CheckpointId { segment: 0, step });
    let (task, kind) = ("sums".parse().unwrap(), TaskKind::Completion);
    let metrics = vec![TaskMetric::new("exact_match", correct as f64 / 200.0)];
    let result = TaskResult { task, kind, items: 200, correct: Some(correct), metrics };
    let event = Event::Scored { task: "sums".to_owned(), checkpoint, score: result.phrase() };
    let report = server::live::feed::report(Author::System, 100, event, None);
    lab.state.store().put_task_result(&run, checkpoint, &result, report).await.unwrap();
}

#[tokio::test]
async fn scores_on_shared_tasks_are_compared_at_their_newest_common_step() {
    let lab = Lab::open().await;
    for (id, seed) in [("a0", 1), ("b0", 2)] {
        finished(&lab, id, seed, 0.0, 1e-3).await;
    }
    score(&lab, "a0", 50, 100).await;
    score(&lab, "a0", 100, 120).await;
    let tasks = async || compare(&lab, "baseline=a0&change=b0").await.json()["tasks"].clone();
    assert_eq!(tasks().await, json!([]), "b0 has no score");
    score(&lab, "b0", 50, 150).await;
    let found = tasks().await;
    assert_eq!((&found[0]["task"], &found[0]["step"]), (&json!("sums"), &json!(50)));
    assert_eq!(found[0]["baseline"]["runs"][0]["correct"], 100);
    let change = &found[0]["changes"][0];
    assert_eq!(change["difference"]["variation"], "items");
    let sentence = change["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("The exact match of b0 is higher by 0.25 than that of a0."), "{sentence}");
}

#[tokio::test]
async fn window_losses_travel_in_the_archive_of_a_run() {
    let (there, here) = (Lab::open().await, Lab::open().await);
    let run = finished(&there, "traveller", 5, 0.0, 1e-3).await;
    let archive = there.get(&format!("/api/v1/runs/{run}/archive?checkpoints=none"), &there.view).await;
    let request = ask("POST", "/api/v1/runs/import", Some(&here.steer)).body(Body::from(archive.body)).unwrap();
    let imported = here.send(request).await;
    assert_eq!(imported.status, StatusCode::CREATED, "{imported:?}");
    let losses = async |lab: &Lab| lab.state.store().window_losses(&run).await.unwrap();
    assert_eq!(losses(&here).await, losses(&there).await);
    assert_eq!(losses(&here).await.len(), 1);
    let journal = here.get(&format!("/api/v1/runs/{run}/events"), &here.view).await;
    assert!(!String::from_utf8(journal.body).unwrap().contains("windows"), "pages do not get them");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_seeds_of_a_run_are_queued_with_the_tag_of_its_family() {
    let served = LabWithWorker::open().await;
    let run = served.start(20).await;
    served.reaches(&run, "finished").await;
    let (store, tasks) =
        (served.lab.state.store(), [TaskSchedule { task: "tales-holder".parse().unwrap(), every: 10 }]);
    store.set_task_schedules(&run, &tasks).await.unwrap();
    let path = format!("/api/v1/runs/{run}/seeds");
    let made = served.lab.post(&path, &served.lab.steer, r#"{"count": 2}"#).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let runs: Vec<String> =
        made.json().as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect();
    let view = async |run: &str| served.lab.get(&format!("/api/v1/runs/{run}"), &served.lab.view).await.json();
    let first = view(run.as_str()).await;
    for (at, repeat) in (1..).zip(&runs) {
        let scored = store.task_schedules(&repeat.parse().unwrap()).await.unwrap();
        assert_eq!(scored, tasks, "those of now, not those of the specification");
        let repeat = view(repeat).await;
        assert_eq!(repeat["plan"]["seed"], first["plan"]["seed"].as_u64().unwrap() + at);
        assert_eq!(repeat["summary"]["tags"], first["summary"]["tags"]);
        let but_seed = |view: &Value| {
            let mut plan = view["plan"].clone();
            plan["seed"] = Value::Null;
            plan
        };
        assert_eq!(but_seed(&repeat), but_seed(&first));
    }
    let more = served.lab.post(&path, &served.lab.steer, r#"{"count": 1}"#).await.json();
    let other = view(more[0]["id"].as_str().unwrap()).await;
    assert_eq!(other["plan"]["seed"], first["plan"]["seed"].as_u64().unwrap() + 3, "no seed twice");
    for (body, code) in [(r#"{"count": 0}"#, "value_invalid"), (r#"{"count": 21}"#, "value_invalid")] {
        assert_eq!(served.lab.post(&path, &served.lab.steer, body).await.code(), code);
    }
}

#[tokio::test]
async fn a_comparison_is_added_to_the_journal_of_its_project() {
    let lab = Lab::open().await;
    for (id, seed, shift) in [("a0", 1, 0.0), ("b0", 2, -0.1)] {
        finished(&lab, id, seed, shift, 1e-3).await;
    }
    let path = "/api/v1/compare?baseline=a0&change=b0";
    assert_eq!(lab.post(path, &lab.view, "").await.code(), "forbidden");
    let added = lab.post(path, &lab.steer, "").await;
    assert_eq!(added.status, StatusCode::CREATED, "{added:?}");
    let journal = lab.get("/api/v1/projects/default/journal?kinds=comparison", &lab.view).await.json();
    assert_eq!(journal["entries"], json!([added.json()]));
    let entry = &journal["entries"][0];
    assert_eq!(entry["subject"], json!({ "of": "comparison", "runs": ["a0", "b0"], "name": "a0, b0" }));
    assert_eq!(entry["text"], json!(sentence(&compare(&lab, "baseline=a0&change=b0").await)));
    assert!(lab.delete("/api/v1/runs/b0", &lab.steer).await.status.is_success());
    let refused = lab.post(path, &lab.steer, "").await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::CONFLICT, "run_deleted"));
    assert!(refused.json()["message"].as_str().unwrap().starts_with("b0 is deleted"), "{refused:?}");
}
