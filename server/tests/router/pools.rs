//! Pools: machines join with a token of the pool and are refused with any other; workers are drained and removed; runs wait for a pool.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use wire::transport::link::FromServer;
use wire::{Event, RunId, RunState};

use crate::lab::{Answer, Lab, ask};
use crate::link::FarWorker;
use crate::scenarios::LabWithWorker;
use crate::tokens::bytes_on_disk;

const POOLS: &str = "/api/v1/pools";

async fn join(lab: &Lab, token: &str, pool: &str, device: &str) -> Answer {
    let body = json!({"pool": pool, "host": "box", "device": device}).to_string();
    lab.post("/api/v1/join", token, &body).await
}

async fn new_token(lab: &Lab, body: Value) -> (i64, String) {
    let answer = lab.post(&format!("{POOLS}/gpu-lab/join-tokens"), &lab.admin, &body.to_string()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.json());
    let created = answer.json();
    (created["token"]["id"].as_i64().unwrap(), created["text"].as_str().unwrap().to_owned())
}

async fn worker_id(lab: &Lab, device: &str) -> i64 {
    let workers = lab.get("/api/v1/workers", &lab.view).await.json();
    let found = workers.as_array().unwrap().iter().find(|worker| worker["device"] == device);
    found.unwrap_or_else(|| panic!("no {device} in {workers}"))["id"].as_i64().unwrap()
}

#[tokio::test]
async fn a_machine_joins_with_a_token_of_the_pool_and_is_refused_with_any_other() {
    let lab = Lab::open().await;
    for (name, code) in
        [("", "name_invalid"), ("GPU", "name_invalid"), ("-a", "name_invalid"), ("local", "pool_exists")]
    {
        assert_eq!(lab.post(POOLS, &lab.admin, &json!({"name": name}).to_string()).await.code(), code, "{name:?}");
    }
    for name in ["gpu-lab", "cpu-lab"] {
        let answer = lab.post(POOLS, &lab.admin, &json!({"name": name}).to_string()).await;
        assert_eq!(answer.status, StatusCode::CREATED);
    }
    let tokens = format!("{POOLS}/gpu-lab/join-tokens");
    for (body, code) in [
        (json!({"hours": 0}), "hours_invalid"),
        (json!({"uses": 0}), "uses_invalid"),
        (json!({"users": 1}), "body_invalid"),
    ] {
        assert_eq!(lab.post(&tokens, &lab.admin, &body.to_string()).await.code(), code, "{body}");
    }
    assert_eq!(lab.post(&format!("{POOLS}/local/join-tokens"), &lab.admin, "{}").await.code(), "pool_local");
    assert_eq!(lab.post(&format!("{POOLS}/nowhere/join-tokens"), &lab.admin, "{}").await.code(), "not_found");

    lab.state.store().local_worker_token(&"gpu-0".parse().unwrap()).await.unwrap();
    let (_, once) = new_token(&lab, json!({"uses": 1})).await;
    let (revoked_id, revoked) = new_token(&lab, json!({})).await;
    assert_eq!(lab.delete(&format!("/api/v1/join-tokens/{revoked_id}"), &lab.admin).await.status, 204);
    assert_eq!(lab.delete(&format!("/api/v1/join-tokens/{revoked_id}"), &lab.admin).await.code(), "not_found");
    let expired = lab.state.store().issue_join_token("gpu-lab", "ada", Some(1), None).await.unwrap().0;
    for (token, pool, device, status, code) in [
        ("guess", "gpu-lab", "box-1", 401, "unauthorized"),
        (&*lab.admin, "gpu-lab", "box-1", 403, "forbidden"),
        (&*lab.worker, "gpu-lab", "box-1", 403, "forbidden"),
        (&*revoked, "gpu-lab", "box-1", 410, "join_token_revoked"),
        (&*expired, "gpu-lab", "box-1", 410, "join_token_expired"),
        (&*once, "cpu-lab", "box-1", 403, "pool_other"),
        (&*once, "gpu-lab", "gpu-0", 409, "device_joined"),
        (&*once, "gpu-lab", "gpu", 422, "device_invalid"),
        (&*once, "gpu-lab", "Not an id", 422, "body_invalid"),
    ] {
        let answer = join(&lab, token, pool, device).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{pool} {device}");
        assert!(answer.json()["hint"].is_string(), "{code}");
    }
    // None of the refusals counted as a use.
    let joined = join(&lab, &once, "gpu-lab", "box-1").await;
    assert_eq!(joined.status, StatusCode::OK, "{:?}", joined.json());
    let own = joined.json()["token"].as_str().unwrap().to_owned();
    let again = join(&lab, &once, "gpu-lab", "box-2").await;
    assert_eq!((again.status.as_u16(), again.code().as_str()), (410, "join_token_used_up"));
    assert_eq!(lab.get("/api/v1/runs", &own).await.code(), "forbidden", "a worker's token opens the link alone");

    let listed = lab.get(&tokens, &lab.admin).await.json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "revoked and expired ones are not listed: {listed}");
    assert_eq!((&listed[0]["used"], &listed[0]["uses_left"]), (&json!(1), &json!(0)));
    let disk = bytes_on_disk(lab.folder.path());
    for secret in [&once, &revoked, &own] {
        assert!(!disk.windows(secret.len()).any(|part| part == secret.as_bytes()), "only hashes are stored");
    }
    let pools = lab.get(POOLS, &lab.view).await.json();
    assert_eq!(pools[0]["name"], "local");
    assert_eq!(lab.delete(&format!("{POOLS}/gpu-lab"), &lab.admin).await.code(), "pool_in_use");
    assert_eq!(lab.delete(&format!("{POOLS}/local"), &lab.admin).await.code(), "pool_in_use");
    assert_eq!(lab.delete(&format!("{POOLS}/cpu-lab"), &lab.admin).await.status, 204);
}

#[tokio::test]
async fn of_many_machines_at_once_as_many_join_as_the_token_admits() {
    let lab = Lab::open().await;
    let token = lab.join_token("gpu-lab", Some(3)).await;
    let devices: Vec<String> = (0..8).map(|number| format!("box-{number}")).collect();
    let asked = devices.iter().map(|device| join(&lab, &token, "gpu-lab", device));
    let answers = futures_util::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), 3);
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::GONE).count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_link_for_its_own_device_until_the_worker_is_removed() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    let token = lab.join("gpu-lab", "box-1").await;
    let mut other = FarWorker::with_token(served.address, &token, "box-2", 0).await.unwrap();
    let Some(FromServer::Refused { message }) = other.received().await else { panic!("not refused") };
    assert!(message.contains("box-1") && message.contains("box-2"), "{message}");
    let unbound = lab.state.store().add_token("old", wire::access::Role::Worker, wire::access::TokenKind::Api, None);
    let mut old = FarWorker::with_token(served.address, &unbound.await.unwrap(), "box-3", 0).await.unwrap();
    let Some(FromServer::Refused { message }) = old.received().await else { panic!("not refused") };
    assert!(message.contains("kindling join"), "{message}");

    let mut worker = FarWorker::with_token(served.address, &token, "box-1", 0).await.unwrap();
    assert!(matches!(worker.received().await, Some(FromServer::Welcome { .. })));
    let refused = join(lab, &lab.join_token("gpu-lab", None).await, "gpu-lab", "box-1").await;
    assert_eq!(refused.code(), "device_joined", "its worker is connected");
    let spec = json!({"corpus": "play", "steps": 10, "device": "box-1", "overrides": {"budget.restarts": 0}});
    assert_eq!(lab.post("/api/v1/runs", &lab.steer, &spec.to_string()).await.status, 201);
    let run: RunId = worker.assigned().await;
    worker.report(&run, Event::Started { parameters: 1 }, Some(RunState::Running), 0).await;
    served.reaches(&run, "running").await;

    let id = worker_id(lab, "box-1").await;
    let path = format!("/api/v1/workers/{id}");
    assert_eq!(lab.delete(&path, &lab.steer).await.code(), "forbidden");
    let began = Instant::now();
    assert_eq!(lab.delete(&path, &lab.admin).await.status, 204);
    let mut last = vec![];
    while let Some(message) = worker.received().await {
        last.push(message);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(last.contains(&FromServer::Shutdown), "{last:?}");
    let reconnected = FarWorker::with_token(served.address, &token, "box-1", 0).await;
    assert!(reconnected.is_err_and(|error| error.to_string().contains("401")));
    let lost = served.reaches(&run, "lost").await;
    assert!(lost["summary"]["message"].as_str().unwrap().contains("was removed"), "{lost:#}");
    assert_eq!(lab.delete(&path, &lab.admin).await.code(), "not_found");
    let local = worker_id(lab, "cpu").await;
    assert_eq!(lab.delete(&format!("/api/v1/workers/{local}"), &lab.admin).await.code(), "worker_local");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_a_pool_and_a_draining_worker_takes_none() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    lab.join_token("gpu-lab", None).await;
    let spec = json!({"corpus": "play", "steps": 10, "pool": "gpu-lab"});
    let with = |key: &str, value: &str| {
        let mut spec = spec.clone();
        spec[key] = json!(value);
        spec.to_string()
    };
    for (wrong, message) in [(with("device", "cpu"), "both given"), (with("pool", "nowhere"), "unknown pool nowhere")] {
        let refused = lab.post("/api/v1/runs", &lab.steer, &wrong).await;
        assert_eq!((refused.status.as_u16(), refused.json()["field"].as_str()), (422, Some("pool")), "{wrong}");
        assert!(refused.json()["message"].as_str().unwrap().contains(message), "{wrong}");
    }
    let start = async |spec: &Value| -> RunId {
        let answer = lab.post("/api/v1/runs", &lab.steer, &spec.to_string()).await;
        assert_eq!(answer.status, 201, "{:?}", answer.json());
        answer.json()["summary"]["id"].as_str().unwrap().parse().unwrap()
    };
    let waits = async |run: &RunId, sentence: &str| {
        let path = format!("/api/v1/runs/{run}");
        served.wait_until(&path, |view| view["summary"]["waits"] == sentence).await
    };
    let first = start(&spec).await;
    waits(&first, "First in the queue of pool gpu-lab, which has no worker yet: add one on the Fleet page.").await;
    assert_eq!(lab.delete(&format!("{POOLS}/gpu-lab"), &lab.admin).await.code(), "pool_in_use", "a run waits for it");

    let token = lab.join("gpu-lab", "box-1").await;
    let mut worker = FarWorker::with_token(served.address, &token, "box-1", 0).await.unwrap();
    assert_eq!(worker.assigned().await, first);
    worker.report(&first, Event::Started { parameters: 1 }, Some(RunState::Running), 0).await;
    let view = served.reaches(&first, "running").await;
    assert_eq!((&view["plan"]["device"], &view["summary"]["waits"]), (&json!("box-1"), &Value::Null));

    let second = start(&spec).await;
    waits(&second, "First in the queue of pool gpu-lab; starts when a run on box-1 ends.").await;
    let third = start(&spec).await;
    waits(&third, "Second in the queue of pool gpu-lab; 1 run starts before it.").await;

    let path = format!("/api/v1/workers/{}", worker_id(lab, "box-1").await);
    let change = json!({"name": "the box", "labels": [" a100 ", "a100"], "is_draining": true}).to_string();
    assert_eq!(lab.patch(&path, &lab.view, &change).await.code(), "forbidden");
    let changed = lab.patch(&path, &lab.steer, &change).await.json();
    assert_eq!((&changed["name"], &changed["labels"]), (&json!("the box"), &json!(["a100"])));
    assert_eq!(lab.patch(&path, &lab.steer, r#"{"labels": [""]}"#).await.code(), "label_invalid");
    worker.report(&first, Event::Finished, Some(RunState::Finished), 0).await;
    served.reaches(&first, "finished").await;
    waits(&second, "First in the queue of pool gpu-lab, whose workers are draining and take no runs: let one take runs again on the Fleet page.").await;
    let devices = lab.get("/api/v1/devices", &lab.view).await.json();
    let device = devices.as_array().unwrap().iter().find(|device| device["info"]["id"] == "box-1").unwrap();
    assert_eq!((&device["run"], &device["worker_name"]), (&Value::Null, &json!("the box")), "it takes no run");

    assert_eq!(lab.patch(&path, &lab.steer, r#"{"is_draining": false}"#).await.status, 200);
    assert_eq!(worker.assigned().await, second);
    worker.note(json!({"log": ["one", "two"]})).await;
    let log = served.wait_until(&format!("{path}/log"), |log| log["lines"].as_array().unwrap().len() == 2).await;
    assert_eq!(log, json!({"lines": ["one", "two"]}));
    let unknown = lab.send(ask("GET", "/api/v1/workers/999/log", Some(&lab.view)).body(Body::empty()).unwrap()).await;
    assert_eq!(unknown.code(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_trains_several_runs_at_once_while_they_fit_in_its_memory() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    let token = lab.join("gpu-lab", "box-1").await;
    let path = format!("{POOLS}/gpu-lab");
    assert_eq!(lab.patch(&path, &lab.steer, r#"{"runs_at_once": 3}"#).await.code(), "forbidden");
    for wrong in [0, 17] {
        let refused = lab.patch(&path, &lab.admin, &json!({"runs_at_once": wrong}).to_string()).await;
        assert_eq!(refused.code(), "runs_at_once_invalid", "{wrong}");
    }
    assert_eq!(lab.patch(&format!("{POOLS}/nowhere"), &lab.admin, r#"{"runs_at_once": 3}"#).await.code(), "not_found");
    assert_eq!(lab.get("/api/v1/transfer/pool", &token).await.json(), json!({"runs_at_once": 1}));
    assert_eq!(lab.patch(&path, &lab.admin, r#"{"runs_at_once": 3}"#).await.json()["runs_at_once"], 3);
    assert_eq!(lab.get("/api/v1/transfer/pool", &token).await.json(), json!({"runs_at_once": 3}));

    let spec = json!({"corpus": "play", "steps": 10, "pool": "gpu-lab"}).to_string();
    let planned = lab.post("/api/v1/plan", &lab.steer, &spec).await.json();
    let bytes = planned["estimate"]["memory_bytes"].as_u64().unwrap();
    // Two runs fit, three do not.
    let memory = bytes * 5 / 2;
    let mut workers = vec![];
    for name in ["box-1", "box-1-slot-2", "box-1-slot-3"] {
        let mut worker = FarWorker::with_memory(served.address, &token, name, 0, memory).await.unwrap();
        assert!(matches!(worker.received().await, Some(FromServer::Welcome { .. })), "{name}");
        workers.push(worker);
    }
    let start = async || -> RunId {
        let answer = lab.post("/api/v1/runs", &lab.steer, &spec).await;
        assert_eq!(answer.status, 201, "{:?}", answer.json());
        answer.json()["summary"]["id"].as_str().unwrap().parse().unwrap()
    };
    let mut runs = vec![];
    for worker in &mut workers[..2] {
        let run = start().await;
        assert_eq!(worker.assigned().await, run);
        worker.report(&run, Event::Started { parameters: 1 }, Some(RunState::Running), 0).await;
        let view = served.reaches(&run, "running").await;
        assert_eq!((&view["summary"]["device"], &view["plan"]["device"]), (&json!("box-1"), &json!("box-1")));
        runs.push(run);
    }
    let slots =
        async |run: &RunId| lab.get(&format!("/api/v1/runs/{run}"), &lab.view).await.json()["summary"]["slot"].clone();
    assert_eq!((slots(&runs[0]).await, slots(&runs[1]).await), (json!(1), json!(2)));
    let devices = lab.get("/api/v1/devices", &lab.view).await.json();
    let device = devices.as_array().unwrap().iter().find(|device| device["info"]["id"] == "box-1").unwrap();
    assert_eq!((&device["runs"], &device["run"], &device["runs_at_once"]), (&json!(runs), &json!(runs[0]), &json!(3)));
    assert_eq!(devices.as_array().unwrap().len(), 2, "one device, however many processes it has");
    let fleet = lab.get("/api/v1/fleet", &lab.view).await.json().to_string();
    assert!(runs.iter().all(|run| fleet.contains(run.as_str())) && !fleet.contains("slot-2"), "{fleet}");
    let listed = lab.get("/api/v1/workers", &lab.view).await.json();
    assert_eq!(listed.as_array().unwrap().iter().filter(|worker| worker["pool"] == "gpu-lab").count(), 1);

    let third = start().await;
    let waits = async |run: &RunId, sentence: &str| {
        let path = format!("/api/v1/runs/{run}");
        served.wait_until(&path, |view| view["summary"]["waits"] == sentence).await
    };
    let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
    let sentence = format!(
        "First in the queue of pool gpu-lab; waits until a run on box-1 ends: together with the runs that train there it needs {} of memory, \
         and {} are available.",
        gigabytes(3 * bytes),
        gigabytes(memory)
    );
    waits(&third, &sentence).await;
    let fourth = start().await;
    let path_of_fourth = format!("/api/v1/runs/{fourth}");
    let begins = "Second in the queue of pool gpu-lab; starts when a run on ";
    served.wait_until(&path_of_fourth, |view| view["summary"]["waits"].to_string().contains(begins)).await;
    workers[0].report(&runs[0], Event::Finished, Some(RunState::Finished), 0).await;
    assert_eq!(workers[0].assigned().await, third, "the first in the queue, on the first process that is free");
    waits(&fourth, &sentence).await;

    // The number is lowered: an idle process ends at once, one that trains when its run has ended.
    assert_eq!(lab.patch(&path, &lab.admin, r#"{"runs_at_once": 1}"#).await.status, 200);
    assert_eq!(workers[2].received().await, Some(FromServer::Shutdown));
    workers[1].report(&runs[1], Event::Finished, Some(RunState::Finished), 0).await;
    served.reaches(&runs[1], "finished").await;
    loop {
        match workers[1].received().await {
            Some(FromServer::Shutdown) => break,
            Some(_) => {}
            None => panic!("the connection was closed"),
        }
    }
    let state = lab.get(&format!("/api/v1/runs/{fourth}"), &lab.view).await.json()["summary"]["state"].clone();
    assert_eq!(state, "queued", "the device trains one run at a time again");
}
