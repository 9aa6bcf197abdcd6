//! Files between the server and a worker of another machine: only those of its runs, by fixed names, from any byte on; uploads that are cut
//! at random points, and what is damaged.

use std::path::Path;

use axum::body::Body;
use axum::http::StatusCode;
use engine::model::params;
use engine::optim::checkpoint::{self, FORMAT, HostState, MANIFEST, Manifest, STATE};
use serde_json::{Value, json};
use testing::Random;
use wire::control::checkpoint::{Cause, CheckpointId, CheckpointInfo};
use wire::transport::transfer::{StoredCheckpoint, TransferFile, UploadVerdict};
use wire::{Event, RunId, RunState, RunView, Slot};

use crate::lab::{Answer, ask};
use crate::link::FarWorker;
use crate::scenarios::LabWithWorker;

const SMALL: &str = r#""model.layers": 1, "model.d_model": 16, "model.d_ff": 32, "model.heads": 2, "model.kv_heads": 2, "model.seq": 16"#;

/// A lab with a run on the device of a worker whose messages the test writes.
struct Remote {
    served: LabWithWorker,
    worker: FarWorker,
    /// The token of the worker.
    token: String,
    run: RunId,
}

impl Remote {
    async fn open() -> Self {
        let served = LabWithWorker::open().await;
        let token = served.lab.join("far", "far-cpu").await;
        let mut worker = FarWorker::with_token(served.address, &token, "far-cpu", 0).await.unwrap();
        served.wait_until("/api/v1/devices", |devices| devices.to_string().contains("far-cpu")).await;
        let spec = format!(
            r#"{{"preset": "tiny", "corpus": "play", "steps": 10, "device": "far-cpu", "overrides": {{{SMALL}}}}}"#
        );
        let answer = served.lab.post("/api/v1/runs", &served.lab.steer, &spec).await;
        assert_eq!(answer.status, 201, "{:?}", answer.json());
        let run = worker.assigned().await;
        worker.report(&run, Event::Started { parameters: 1 }, Some(RunState::Running), 0).await;
        Self { served, worker, token, run }
    }

    /// Sends a request with the token of the worker.
    async fn send(&self, method: &str, route: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let path = format!("/api/v1/transfer/runs/{}/{route}", self.run);
        let mut request = ask(method, &path, Some(&self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.served.lab.send(request.body(Body::from(body.to_vec())).unwrap()).await
    }

    async fn get(&self, route: &str) -> Answer {
        self.send("GET", route, &[], b"").await
    }

    async fn from_byte(&self, route: &str, from: u64) -> Answer {
        self.send("GET", route, &[("range", &format!("bytes={from}-"))], b"").await
    }

    async fn put(&self, id: CheckpointId, name: &str, offset: usize, part: &[u8]) -> Answer {
        self.send("PUT", &format!("uploads/{id}/{name}?offset={offset}"), &[], part).await
    }

    /// Saves a checkpoint on the disk of the worker's machine and reports it.
    async fn save(&mut self, root: &Path, step: u64) -> CheckpointInfo {
        let view = self.served.lab.get(&format!("/api/v1/runs/{}", self.run), &self.served.lab.view).await;
        let plan = serde_json::from_slice::<RunView>(&view.body).unwrap().plan;
        let specs = params::layout(&plan.recipe.model);
        let id = CheckpointId { segment: 0, step };
        let info = CheckpointInfo {
            id,
            cause: Cause::Interval,
            at_ms: 1,
            bytes: 0,
            hash: String::new(),
            changes: 0,
            loss_train: None,
            loss_valid: None,
            best_valid: None,
        };
        let (run, hyperparameters) = (self.run.clone(), plan.live());
        let weights = params::initial(&specs, plan.seed + step);
        let manifest = Manifest {
            format: FORMAT,
            run,
            info,
            plan,
            hyperparameters,
            secs: 0.0,
            noise_scale: Default::default(),
            loss_scale: None,
        };
        let info = HostState::of_weights(&specs, weights).write(root, manifest).unwrap().info;
        let checkpoint = info.clone();
        let run = self.run.clone();
        self.worker.report(&run, Event::Checkpointed { checkpoint }, None, 0).await;
        let path = format!("/api/v1/runs/{run}/checkpoints");
        self.served.wait_until(&path, |saved| saved.to_string().contains(&format!("\"0-{step}\""))).await;
        info
    }

    async fn view_of(&self, id: CheckpointId) -> Value {
        let path = format!("/api/v1/runs/{}/checkpoints", self.run);
        let all = self.served.lab.get(&path, &self.served.lab.view).await.json();
        all.as_array().unwrap().iter().find(|view| view["info"]["id"] == id.to_string()).cloned().unwrap_or_default()
    }

    async fn verdicts(&self, saved: Value) -> Vec<UploadVerdict> {
        let body = saved.to_string();
        let answer = self.send("POST", "checkpoints", &[("content-type", "application/json")], body.as_bytes()).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        serde_json::from_slice(&answer.body).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_dataset_are_read_by_name_and_from_any_byte_on() {
    let remote = Remote::open().await;
    let listed: Vec<TransferFile> = serde_json::from_slice(&remote.get("dataset").await.body).unwrap();
    let names: Vec<&str> = listed.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["corpus-0", "shards", "tokenizer", "train-0", "valid-0"]);
    let mut random = Random::new(testing::seed(1));
    for file in &listed {
        let whole = remote.get(&format!("dataset/{}", file.name)).await;
        assert_eq!((whole.status, whole.body.len() as u64), (StatusCode::OK, file.bytes), "{file:?}");
        assert_eq!(blake3::hash(&whole.body).to_hex().as_str(), file.hash, "{file:?}");
        for from in [0, random.below(file.bytes), file.bytes - 1, file.bytes] {
            let rest = remote.from_byte(&format!("dataset/{}", file.name), from).await;
            assert_eq!(rest.status, StatusCode::PARTIAL_CONTENT, "{from}");
            assert_eq!(rest.body, whole.body[from as usize..], "{from} of {}", file.name);
        }
        let past = remote.from_byte(&format!("dataset/{}", file.name), file.bytes + 1).await;
        assert_eq!(past.code(), "range_invalid");
    }
    for bad in ["info.json", "text.bin", "train-1", "train", "..", "%2e%2e%2finfo.json", "corpus-0%00"] {
        assert_eq!(remote.get(&format!("dataset/{bad}")).await.code(), "not_found", "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_uses_only_files_of_its_own_runs() {
    let mut remote = Remote::open().await;
    let (disk, own) = (tempfile::tempdir().unwrap(), remote.run.clone());
    let saved = remote.save(disk.path(), 4).await;
    let other = remote.served.lab.join("far", "other-cpu").await;
    let routes = [
        ("GET", "dataset".to_owned()),
        ("GET", "dataset/train-0".to_owned()),
        ("GET", format!("checkpoints/{}", saved.id)),
        ("GET", format!("checkpoints/{}/{STATE}", saved.id)),
        ("GET", format!("uploads/{}/{STATE}", saved.id)),
        ("PUT", format!("uploads/{}/{STATE}?offset=0", saved.id)),
        ("POST", format!("uploads/{}", saved.id)),
    ];
    for (method, route) in &routes {
        let path = format!("/api/v1/transfer/runs/{own}/{route}");
        let answer = remote.served.lab.send(ask(method, &path, Some(&other)).body(Body::empty()).unwrap()).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::FORBIDDEN, "not_assigned"),
            "{method} {route}"
        );
    }
    // Once another device trains the run, it is no longer this worker's.
    remote.served.lab.state.store().set_device(&own, &Slot::first("near-cpu".parse().unwrap()), "near").await.unwrap();
    for (method, route) in &routes {
        assert_eq!(remote.send(method, route, &[], b"").await.code(), "not_assigned", "{method} {route}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_arrives_in_parts_that_are_cut_repeated_and_misplaced() {
    let mut remote = Remote::open().await;
    let disk = tempfile::tempdir().unwrap();
    let saved = remote.save(disk.path(), 4).await;
    let id = saved.id;
    let folder = checkpoint::folder(disk.path(), &remote.run, id);
    let named = json!([{"id": id, "hash": saved.hash}, {"id": "0-5", "hash": ""}]);
    assert_eq!(remote.verdicts(named.clone()).await, [UploadVerdict::Send, UploadVerdict::Unreported]);
    assert_eq!(remote.view_of(id).await["is_available"], false);
    let model = format!("/api/v1/runs/{}/checkpoints/{id}/export", remote.run);
    assert_eq!(remote.served.lab.get(&model, &remote.served.lab.view).await.code(), "checkpoint_uploading");

    let mut random = Random::new(testing::fresh_seed());
    for name in [STATE, MANIFEST] {
        let file = std::fs::read(folder.join(name)).unwrap();
        let mut have = 0;
        while have < file.len() {
            let end = (have + 1 + random.below(file.len() as u64 / 5 + 1) as usize).min(file.len());
            // A part at another place changes nothing, and says where to continue.
            let misplaced = random.below(file.len() as u64) as usize;
            if misplaced != have {
                let answer = remote.put(id, name, misplaced, &file[misplaced..misplaced + 1]).await;
                assert_eq!((answer.status, answer.json()["bytes"].as_u64()), (StatusCode::OK, Some(have as u64)));
            }
            let answer = remote.put(id, name, have, &file[have..end]).await;
            assert_eq!(answer.json()["bytes"].as_u64(), Some(end as u64), "{answer:?}");
            have = end;
            let known = remote.get(&format!("uploads/{id}/{name}")).await.json()["bytes"].as_u64();
            assert_eq!(known, Some(have as u64), "the upload continues from here after a cut");
        }
    }
    assert!(remote.view_of(id).await["uploaded_bytes"].as_u64().unwrap() >= saved.bytes);
    assert_eq!(remote.send("POST", &format!("uploads/{id}"), &[], b"").await.status, StatusCode::NO_CONTENT);
    assert_eq!(remote.view_of(id).await["is_available"], true);
    assert_eq!(remote.verdicts(named).await, [UploadVerdict::Stored, UploadVerdict::Unreported]);

    // The next machine reads it back.
    let stored: StoredCheckpoint =
        serde_json::from_slice(&remote.get(&format!("checkpoints/{id}")).await.body).unwrap();
    assert_eq!((stored.hash, stored.files.len()), (saved.hash, 2));
    for file in stored.files {
        let read = remote.from_byte(&format!("checkpoints/{id}/{}", file.name), 5).await;
        assert_eq!(read.body, std::fs::read(folder.join(&file.name)).unwrap()[5..], "{}", file.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_foreign_and_unwanted_uploads_leave_nothing() {
    let mut remote = Remote::open().await;
    let disk = tempfile::tempdir().unwrap();
    let (first, second) = (remote.save(disk.path(), 4).await, remote.save(disk.path(), 6).await);
    let read = |id: CheckpointId, name: &str| {
        std::fs::read(checkpoint::folder(disk.path(), &remote.run, id).join(name)).unwrap()
    };
    let mut damaged = read(first.id, STATE);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let cases = [
        ("one bit", damaged, read(first.id, MANIFEST)),
        ("cut short", read(first.id, STATE)[..100].to_vec(), read(first.id, MANIFEST)),
        ("another checkpoint", read(second.id, STATE), read(second.id, MANIFEST)),
        ("no manifest", read(first.id, STATE), vec![]),
        ("not JSON", read(first.id, STATE), b"{".to_vec()),
    ];
    for (what, state, manifest) in cases {
        for (name, content) in [(STATE, state), (MANIFEST, manifest)] {
            assert_eq!(remote.put(first.id, name, 0, &content).await.status, StatusCode::OK, "{what}");
        }
        let answer = remote.send("POST", &format!("uploads/{}", first.id), &[], b"").await;
        assert_eq!(answer.code(), "upload_damaged", "{what}");
        assert_eq!(remote.view_of(first.id).await["is_available"], false, "{what}");
        let left = remote.get(&format!("uploads/{}/{STATE}", first.id)).await.json()["bytes"].as_u64();
        assert_eq!(left, Some(0), "{what}: the upload begins anew");
    }
    let long = vec![0; first.bytes as usize + 1];
    assert_eq!(remote.put(first.id, STATE, 0, &long).await.code(), "upload_too_large");
    assert_eq!(remote.put(first.id, STATE, usize::MAX, b"x").await.code(), "upload_too_large");
    assert_eq!(remote.put(first.id, "info.json", 0, b"x").await.code(), "not_found");
    let unknown = CheckpointId { segment: 0, step: 99 };
    assert_eq!(remote.put(unknown, STATE, 0, b"x").await.code(), "checkpoint_gone");
    assert_eq!(remote.send("POST", &format!("uploads/{unknown}"), &[], b"").await.code(), "checkpoint_gone");
    let store = remote.served.lab.state.store();
    assert!(!store.upload_dir(&remote.run, unknown).exists() && !store.checkpoint_dir(&remote.run, unknown).exists());
}
