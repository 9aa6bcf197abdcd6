//! Window losses of evaluations: kept apart from the journal, on the path of the run, whatever is killed.

use store::{Store, StoreError};
use wire::evaluation::{DatasetLosses, WindowLosses};
use wire::transport::link::{Item, Report};
use wire::{CheckpointId, Event, RunId};

use crate::setup::{report, store_with_run};

fn losses(first: f32, is_last: bool) -> WindowLosses {
    let nats = (0..40).map(|window| first + window as f32 / 100.0).collect();
    WindowLosses { seq: 64, is_last, datasets: vec![DatasetLosses { split: 100, nats, whole: None }] }
}

fn evaluated(segment: u32, step: u64, first: f32) -> Item {
    let windows = Some(Box::new(losses(first, false)));
    let event = Event::Evaluated { loss_nats: f64::from(first), bits_per_byte: 1.0, windows };
    Item::Event(Report { segment, ..report(step, event, None) })
}

async fn steps(store: &Store, run: &RunId) -> Vec<(u32, u64)> {
    store.window_losses(run).await.unwrap().into_iter().map(|stored| (stored.segment, stored.step)).collect()
}

#[tokio::test]
async fn window_losses_are_kept_apart_from_the_journal_along_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let items = vec![evaluated(0, 50, 4.0), evaluated(0, 100, 3.0), evaluated(0, 150, 2.5)];
    let stored = store.ingest(&run, 1, items).await.unwrap();
    let has_none = |event: &Event| matches!(event, Event::Evaluated { windows: None, .. });
    assert!(stored.events.iter().all(|record| has_none(&record.event)), "pages do not get them");
    assert!(store.events(&run, 0, 100).await.unwrap()[1..].iter().all(|record| has_none(&record.event)));
    assert_eq!(store.window_losses(&run).await.unwrap()[1].losses, losses(3.0, false));

    let checkpoint = CheckpointId { segment: 0, step: 100 };
    let back = Event::RolledBack { checkpoint, from_segment: 0, from_step: 150, skip_batches: 0, best_valid: None };
    let back = Item::Event(Report { segment: 1, ..report(100, back, None) });
    store.ingest(&run, 4, vec![back, evaluated(1, 150, 2.0)]).await.unwrap();
    assert_eq!(steps(&store, &run).await, [(0, 50), (0, 100), (1, 150)], "the abandoned branch does not count");
    assert_eq!(store.all_window_losses(&run).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_record_that_was_cut_short_or_written_twice_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    store.ingest(&run, 1, vec![evaluated(0, 50, 4.0)]).await.unwrap();
    store.close().await;
    let file = dir.path().join("series").join(run.as_str()).join("windows");
    let whole = std::fs::read(&file).unwrap();
    // The process was killed after it wrote the second record and while it wrote the third, before their reports were stored.
    let torn = [whole.clone(), whole.clone(), whole[..whole.len() / 2].to_vec()].concat();
    std::fs::write(&file, torn).unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(steps(&store, &run).await, [(0, 50)]);
    store.ingest(&run, 2, vec![evaluated(0, 100, 3.0)]).await.unwrap();
    assert_eq!(steps(&store, &run).await, [(0, 50), (0, 100)]);
    store.ingest(&run, 2, vec![evaluated(0, 100, 3.0), evaluated(0, 150, 2.0)]).await.unwrap();
    assert_eq!(steps(&store, &run).await, [(0, 50), (0, 100), (0, 150)]);
    assert!(store.all_window_losses(&run).await.unwrap().len() == 4, "the repeated report wrote nothing");
}

#[tokio::test]
async fn a_record_that_another_version_wrote_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let file = dir.path().join("series").join(run.as_str()).join("windows");
    let content = [0xff; 3];
    let record = [&3u32.to_le_bytes()[..], &blake3::hash(&content).as_bytes()[..4], &content[..]].concat();
    std::fs::write(&file, &record).unwrap();
    store.ingest(&run, 1, vec![evaluated(0, 50, 4.0)]).await.unwrap();
    assert!(std::fs::read(&file).unwrap().starts_with(&record));
    let error = store.window_losses(&run).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn a_full_file_takes_the_last_evaluation_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let large = |step: u64, is_last| {
        let nats = vec![1.0; 1 << 20];
        let windows =
            WindowLosses { seq: 64, is_last, datasets: vec![DatasetLosses { split: 1 << 20, nats, whole: None }] };
        let event = Event::Evaluated { loss_nats: 1.0, bits_per_byte: 1.0, windows: Some(Box::new(windows)) };
        Item::Event(report(step, event, None))
    };
    for step in 1..=6 {
        store.ingest(&run, step, vec![large(step, false)]).await.unwrap();
    }
    assert_eq!(steps(&store, &run).await, [(0, 1), (0, 2), (0, 3), (0, 4)]);
    store.ingest(&run, 7, vec![large(7, true)]).await.unwrap();
    assert_eq!(steps(&store, &run).await.last(), Some(&(0, 7)));
}
