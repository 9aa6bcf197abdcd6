//! Folders of earlier formats, and what a power cut leaves: opened, all that was acknowledged is there.

use std::path::Path;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use store::{SeriesQuery, Store};
use wire::series::{Axis, name};
use wire::{Event, RunId, RunState, SetField};

use crate::lab::{new_run, open_with_run, report, row};

/// A folder as the first format had it: one run with a curve, a turned dial and a note.
async fn first_format(dir: &Path) -> RunId {
    let run = new_run("old-fox-1234", "cpu");
    let options = SqliteConnectOptions::new().filename(dir.join("lab.db")).create_if_missing(true);
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(include_str!("../../migrations/1.sql")).execute(&mut database).await.unwrap();
    sqlx::raw_sql("PRAGMA user_version = 1").execute(&mut database).await.unwrap();
    let mut plan = serde_json::to_value(&run.plan).unwrap();
    // What the first format did not know yet.
    plan.as_object_mut().unwrap().remove("origin");
    for later in ["keep", "budget"] {
        plan["recipe"].as_object_mut().unwrap().remove(later);
    }
    plan["recipe"]["optimizer"].as_object_mut().unwrap().remove("kind");
    let progress = r#"{"step":3,"loss_train":3.9,"elapsed_secs":1.5,"sparkline":{"means":[4.1,4.0,3.9],"values_per_mean":1,"sum":0.0,"count":0}}"#;
    sqlx::query(
        "INSERT INTO runs (id, name, preset, corpus, device, device_name, parameters, steps, created_ms, spec, plan, estimate, \
         reference_lines, state, progress, queue_order, stored_seq, event_count) \
         VALUES (?, 'old fox', 'tiny', 'Tales', 'cpu', 'a cpu', 5, 100, 7, ?, ?, ?, ?, 'finished', ?, 1, 4, 2)",
    )
    .bind(run.id.as_str())
    .bind(serde_json::to_string(&run.spec).unwrap())
    .bind(plan.to_string())
    .bind(serde_json::to_string(&run.estimate).unwrap())
    .bind(serde_json::to_string(&run.references).unwrap())
    .bind(progress)
    .execute(&mut database)
    .await
    .unwrap();
    let lines = [
        (1, 0, r#"{"number":1,"segment":0,"step":0,"at_ms":7,"author":"lab","command_id":null,"reason":null,"event":{"kind":"queued"}}"#),
        (2, 1, r#"{"number":2,"segment":0,"step":2,"at_ms":8,"author":{"person":"ada"},"command_id":9,"reason":null,"event":{"kind":"changed","field":"clip","old":1.0,"new":0.5}}"#),
    ];
    for (number, is_change, record) in lines {
        sqlx::query("INSERT INTO events (run, number, is_change, record) VALUES (?, ?, ?, ?)")
            .bind(run.id.as_str())
            .bind(number)
            .bind(is_change)
            .bind(record)
            .execute(&mut database)
            .await
            .unwrap();
    }
    database.close().await.unwrap();
    let folder = dir.join("series").join(run.id.as_str()).join("0");
    std::fs::create_dir_all(&folder).unwrap();
    let points: Vec<u8> = [4.1f64, 4.0, 3.9]
        .iter()
        .zip(0u64..)
        .flat_map(|(loss, step)| [step.to_le_bytes(), loss.to_le_bytes()].concat())
        .collect();
    std::fs::write(folder.join("loss.train.l0"), points).unwrap();
    run.id
}

#[tokio::test]
async fn a_folder_of_the_first_format_opens_with_all_it_had() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_format(dir.path()).await;
    let store = Store::open(dir.path()).await.unwrap();
    let view = store.run(&run).await.unwrap().unwrap();
    assert_eq!((view.dials.clip, view.summary.step, view.summary.sparkline.len()), (0.5, 3, 3));
    assert_eq!((view.summary.priority, view.summary.restarts, view.summary.parent), (0, 0, None));
    assert_eq!((view.segments.len(), view.lineage.len(), view.plan.recipe.keep.latest), (1, 1, 3));
    assert_eq!(losses(&store, &run).await, [(0, 4.1), (1, 4.0), (2, 3.9)]);
    assert_eq!(store.events(&run, 0, 9).await.unwrap().len(), 2);
    let past = store.past(&run).await.unwrap();
    assert_eq!((past.recorded, past.secs, past.changes.len(), past.checkpoints.len()), (3, 1.5, 1, 0));
    let (_, line) = store.resume_run(&run, report(3, Event::Resumed, None)).await.unwrap();
    assert_eq!((line.state, line.queue_place), (RunState::Queued, Some(1)));
    store.set_state(&run, RunState::Running, None).await.unwrap();
    let more = store.ingest(&run, 5, vec![row(3, &[(name::TRAIN, 3.5)])]).await.unwrap();
    assert_eq!((more.summary.step, more.summary.sparkline.len()), (4, 4));
    store.append(&run, report(4, Event::Changed { field: SetField::Clip, old: 0.5, new: 2.0 }, None)).await.unwrap();
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(store.run(&run).await.unwrap().unwrap().dials.clip, 2.0);
}

async fn losses(store: &Store, run: &RunId) -> Vec<(u64, f64)> {
    let query = SeriesQuery { names: vec![name::TRAIN.into()], axis: Axis::Step, from: None, to: None, points: 5000 };
    let windows = store.series(run, query).await.unwrap();
    windows.iter().flat_map(|window| &window.buckets).map(|bucket| (bucket.step, bucket.mean)).collect()
}

/// The database is synced before anything is acknowledged; of the curves' files a power cut may take what it likes.
#[tokio::test]
async fn a_power_cut_that_takes_the_curves_takes_nothing_that_was_acknowledged() {
    for damage in ["cut", "zeroed", "half", "gone", "nonsense"] {
        let dir = tempfile::tempdir().unwrap();
        let (store, run) = open_with_run(dir.path()).await;
        store.set_state(&run, RunState::Running, None).await.unwrap();
        for parcel in 0..10u64 {
            let rows = (parcel * 40..parcel * 40 + 40).map(|step| row(step, &[(name::TRAIN, step as f64 / 7.0)]));
            store.ingest(&run, parcel * 40 + 1, rows.collect()).await.unwrap();
        }
        let before = losses(&store, &run).await;
        store.close().await;
        for level in 0..3 {
            let file = dir.path().join(format!("series/{run}/0/loss.train.l{level}"));
            let Ok(bytes) = std::fs::read(&file) else { continue };
            let half = bytes.len() / 2 - bytes.len() / 2 % 16;
            match damage {
                "cut" => std::fs::write(&file, &bytes[..half + 3]).unwrap(),
                "zeroed" => std::fs::write(&file, [&bytes[..half], &vec![0; bytes.len() - half]].concat()).unwrap(),
                // Pages reach the disk in any order: the end may be there without the middle.
                "half" => {
                    let mut torn = bytes.clone();
                    torn[half / 2..half].fill(0);
                    std::fs::write(&file, torn).unwrap();
                }
                "gone" => std::fs::remove_file(&file).unwrap(),
                _ => std::fs::write(&file, vec![0xAB; bytes.len()]).unwrap(),
            }
        }
        let store = Store::open(dir.path()).await.unwrap();
        assert_eq!(losses(&store, &run).await, before, "{damage}");
        let next = store.ingest(&run, 401, vec![row(400, &[(name::TRAIN, 0.0)])]).await.unwrap();
        assert_eq!((next.stored_seq, next.rows.len(), losses(&store, &run).await.len()), (401, 1, 401), "{damage}");
        // Once a run has let go of its device, its files are synced and the copies are gone.
        let ended = wire::link::Item::Event(report(401, Event::Finished, Some(RunState::Finished)));
        store.ingest(&run, 402, vec![ended]).await.unwrap();
        store.close().await;
        let options = SqliteConnectOptions::new().filename(dir.path().join("lab.db"));
        let mut database = SqliteConnection::connect_with(&options).await.unwrap();
        let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM unsynced").fetch_one(&mut database).await.unwrap();
        assert_eq!(left, 0, "{damage}");
    }
}
