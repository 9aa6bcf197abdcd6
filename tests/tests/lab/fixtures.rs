//! A lab folder of format 1 and an archive of format 2 open in this version: the same curves, snapshots and journals, and a
//! run that was interrupted by a crash continues from its checkpoint as an uninterrupted one did.
//!
//! `cargo test --release -p scenarios --test lab -- --ignored write_the_fixture` writes `tests/fixtures` again. Do so only for a new format
//! version, and keep the old fixture.

use std::fs;
use std::path::{Path, PathBuf};

use scenarios::text::sentences;
use scenarios::watch::{speck, with};
use scenarios::{Client, Lab};
use serde_json::{Value, json};
use wire::data::corpus::CorpusInfo;
use wire::inspect::request::{Inspection, InspectionText};
use wire::{RunState, RunView};

/// Steps of the interrupted run and of the one beside it.
const STEPS: u64 = 400;

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/lab-1")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// A curve as text that keeps every bit.
fn exact(points: &[(u64, f64)]) -> Value {
    points.iter().map(|(step, value)| json!([step, format!("{:016x}", value.to_bits())])).collect()
}

/// What must be the same in every later version: state, curves, journal, snapshots.
fn recorded(client: &Client, run: &str) -> Value {
    let view: RunView = client.get(&format!("/runs/{run}")).read();
    let overview = Inspection::Overview { text: InspectionText::default() };
    let curves: serde_json::Map<String, Value> = ["loss.train", "loss.valid", "learning_rate", "grad_norm"]
        .into_iter()
        .map(|name| (name.to_owned(), exact(&client.path_curve(run, name))))
        .collect();
    let found = json!({
        "step": view.summary.step,
        "hyperparameters": view.hyperparameters,
        "curves": curves,
        "journal": client.journal(run),
        "snapshot_steps": client.snapshot_steps(run),
        "overviews": client.snapshots(run, &overview),
    });
    // The JSON reader may be off in the last bit of a number; what is compared has been read from text on both sides.
    serde_json::from_str(&found.to_string()).unwrap()
}

/// The fixture in a folder of its own, which the test may change.
fn opened(folder: &tempfile::TempDir) -> Lab {
    let data = folder.path().join("lab");
    copy(&fixture().join("data"), &data);
    Lab::existing(&data)
}

fn read(file: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(fixture().join(file)).unwrap()).unwrap()
}

/// The id of a run of the fixture, by its name.
fn id_of(name: &str) -> String {
    read("runs.json")[name].as_str().unwrap().to_owned()
}

#[test]
fn a_folder_of_format_1_has_the_same_curves_snapshots_and_journals() {
    let folder = tempfile::tempdir().unwrap();
    let mut lab = opened(&folder);
    lab.start_with(&["--no-workers"]);
    let client = Client::with_token(&lab.address(), &lab.token("admin"));
    for run in ["finished", "fork"] {
        assert_eq!(recorded(&client, &id_of(run)), read(&format!("{run}.json")), "{run}");
    }
    let archive = fs::read(fixture().join("finished.tar")).unwrap();
    let elsewhere = Lab::bare();
    let owner = elsewhere.owner();
    let header = ("content-type", "application/x-tar");
    owner.send("POST", "/api/v1/runs/import", &[header], &archive).read::<RunView>();
    let (imported, known) = (recorded(&owner, &id_of("finished")), read("finished.json"));
    for what in ["step", "hyperparameters", "curves"] {
        assert_eq!(imported[what], known[what], "{what} of the imported archive");
    }
}

#[test]
fn a_run_of_format_1_continues_from_its_checkpoint_as_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut lab = opened(&folder);
    lab.start_with(&[]);
    let client = Client::with_token(&lab.address(), &lab.token("admin"));
    let [interrupted, beside] = ["interrupted", "beside"].map(id_of);
    client.wait_state(&interrupted, 120, RunState::Finished);
    let (curve, beside) = (client.path_curve(&interrupted, "loss.train"), client.path_curve(&beside, "loss.train"));
    assert_eq!((curve.len(), beside.len()), (STEPS as usize, STEPS as usize));
    // Another processor may round differently in the last bits; another state would differ at once.
    let apart = curve.iter().zip(&beside).map(|(a, b)| ((a.1 - b.1) / b.1).abs()).fold(0.0, f64::max);
    assert!(apart < 1e-3, "{apart}");
}

#[test]
#[ignore = "writes tests/fixtures"]
fn write_the_fixture() {
    let mut lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let corpus: CorpusInfo = owner.upload("name=walk", sentences(1, 6_000).as_bytes()).read();
    let small = |name: &str, steps: u64, snapshots_mb: u32| {
        let spec = with(
            speck(corpus.id.as_str(), steps),
            &[
                ("retention.snapshots_mb", json!(snapshots_mb)),
                ("retention.latest", json!(1)),
                ("retention.best", json!(false)),
                ("intervals.checkpoint_every", json!(steps / 4)),
                ("intervals.stats_every", json!(steps / 4)),
                ("intervals.eval_every", json!(steps / 4)),
            ],
        );
        let mut spec = spec;
        spec["name"] = json!(name);
        spec
    };
    let finished = owner.start_run(&small("finished", 20, 1));
    owner.wait_state(&finished, 60, RunState::Finished);
    let change = json!({"kind": "set", "path": "optimizer.learning_rate", "value": 0.001, "reason": "a smaller one"});
    let fork = json!({"parent": {"run": finished, "changes": [change]}, "steps": 40, "name": "fork"});
    let fork = owner.start_run(&fork);
    owner.wait_state(&fork, 60, RunState::Finished);
    let beside = owner.start_run(&small("beside", STEPS, 0));
    owner.wait_state(&beside, 60, RunState::Finished);
    let interrupted = owner.start_run(&small("interrupted", STEPS, 0));
    owner.wait_step(&interrupted, 60, STEPS / 3);
    lab.kill_worker();
    lab.kill_server();
    let folder = fixture();
    let _ = fs::remove_dir_all(&folder);
    copy(lab.data(), &folder.join("data"));
    lab.start_with(&["--no-workers"]);
    let owner = Client::with_token(&lab.address(), &lab.token("admin"));
    for (run, name) in [(&finished, "finished"), (&fork, "fork")] {
        let text = serde_json::to_string_pretty(&recorded(&owner, run)).unwrap();
        fs::write(folder.join(format!("{name}.json")), text + "\n").unwrap();
    }
    let ids = json!({"finished": finished, "fork": fork, "beside": beside, "interrupted": interrupted});
    fs::write(folder.join("runs.json"), ids.to_string() + "\n").unwrap();
    let archive = owner.get(&format!("/runs/{finished}/archive"));
    fs::write(folder.join("finished.tar"), &archive.body).unwrap();
}
