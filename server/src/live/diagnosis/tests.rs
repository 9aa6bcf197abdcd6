//! Whatever interrupts the reading of a run, the same findings are stored as if its values were read once, in order.

use std::collections::BTreeSet;
use std::path::Path;

use research::rules::Checker;
use store::{NewRun, Store};
use testing::Random;
use wire::diagnosis::{Level, RunFinding};
use wire::series::name;
use wire::transport::link::{Item, Report};
use wire::{Author, CheckpointId, RunState};

use super::facts::facts;
use super::*;

/// Steps that a run trains, abandoned ones too.
const STEPS: u64 = 2_400;
/// Rollbacks and values that were not finite, of each.
const CHANGES: u64 = 4;

/// A finding by what identifies it: segment, rule, subject, level, step.
type Key = (u32, String, String, Level, u64);

#[tokio::test]
async fn interrupted_reading_stores_the_same_findings_once() {
    let (mut found, mut abandoned) = (0, 0);
    for seed in testing::seeds(0..2) {
        let folder = tempfile::tempdir().unwrap();
        let (store, run) = store_with_run(folder.path()).await;
        let mut random = Random::new(seed);
        let items = history(&mut random);
        read_with_interruptions(&store, &run, items.clone(), &mut random).await;

        let (expected, active) = read_at_once(&store, &run, &items).await;
        let stored: Vec<RunFinding> =
            store.findings(&run).await.unwrap().into_iter().map(|stored| stored.found).collect();
        let keys: BTreeSet<Key> = stored.iter().map(key).collect();
        assert_eq!(keys.len(), stored.len(), "seed {seed}: a finding is stored twice");
        // The end of an abandoned segment may arrive with the rollback, and is then not read.
        assert_eq!(keys.difference(&expected).next(), None, "seed {seed}");
        let path = store.history(&run).await.unwrap().spans();
        let kept: BTreeSet<&Key> =
            expected.iter().filter(|(segment, .., step)| is_on(&path, *segment, *step)).collect();
        let present: Vec<Key> = stored.iter().filter(|found| !found.is_abandoned).map(key).collect();
        assert_eq!(present.iter().collect::<BTreeSet<_>>(), kept, "seed {seed}");
        let is_active = stored.iter().filter(|found| found.is_active());
        let conditions = is_active.map(|found| (found.finding.rule.clone(), found.finding.subject.clone()));
        assert_eq!(conditions.collect::<BTreeSet<_>>(), active, "seed {seed}");
        found += stored.len();
        abandoned += stored.iter().filter(|found| found.is_abandoned).count();
    }
    // Without these the test would show nothing.
    assert!(found > abandoned && abandoned > 0 || std::env::var_os(testing::SEED).is_some(), "{found}, {abandoned}");
}

#[tokio::test]
async fn the_rules_of_a_run_that_has_ended_are_stored_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(folder.path()).await;
    let rules = Diagnosis::new(Feed::new(store.clone()));
    let mut random = Random::new(7);
    store.set_state(&run, RunState::Running, None).await.unwrap();
    let started = event(0, 0, Event::Started { parameters: 1 }, Some(RunState::Running));
    let items = std::iter::once(started).chain((0..100).map(|step| row(0, step, 1.0, &mut random)));
    let ingested = store.ingest(&run, 1, items.collect()).await.unwrap();
    let read = |rows: &[Row], is_live| Stored { run: run.clone(), rows: rows.to_vec(), has_changed: false, is_live };
    rules.read(&read(&ingested.rows, true)).await.unwrap();
    assert_eq!(rules.checked_step(&run).await, Some(99));
    let saved = async || store.diagnosis(&run).await.unwrap().state.map(|state| state.checked_step);
    assert_eq!(saved().await, None, "it trains, and its state is not old enough");
    // Its worker died. A page that opens it then asks for its findings.
    let lost = Report {
        state: Some(RunState::Lost),
        ..crate::live::feed::report(Author::System, 100, Event::Lost { message: "it died".into() }, None)
    };
    let (_, summary) = store.append(&run, lost).await.unwrap();
    rules.check(&summary).await.unwrap();
    assert_eq!((saved().await, lock(&rules.0.watches).len()), (Some(Some(99)), 0));
    // Values that were stored before, and waited in the channel.
    rules.read(&read(&ingested.rows, true)).await.unwrap();
    assert_eq!(lock(&rules.0.watches).len(), 0);
}

fn key(RunFinding { segment, finding, .. }: &RunFinding) -> Key {
    (*segment, finding.rule.clone(), finding.subject.clone(), finding.level, finding.step)
}

/// A store with a run that has not begun.
pub(crate) async fn store_with_run(folder: &Path) -> (Store, RunId) {
    let corpora = r#"[{"id":"tales","name":"Tales","source":{"kind":"generated","generator":"tales","seed":1},"documents":1000,
        "text_bytes":1000000,"chars":1000000,"alphabet":"abc","sample":"Once","valid_share":0.1,"content_hash":"00",
        "entropy_nats":1.0,"created_ms":0,"datasets":[]}]"#;
    let devices = r#"[{"id":"cpu","name":"a device","kind":"cpu","backend":"flex","cores":2,"memory_bytes":8000000000,
        "flops_per_sec":1e11}]"#;
    let (corpora, devices): (Vec<_>, Vec<_>) =
        (serde_json::from_str(corpora).unwrap(), serde_json::from_str(devices).unwrap());
    let spec: wire::RunSpec = serde_json::from_str(r#"{"corpus":"tales"}"#).unwrap();
    let view = wire::run::plan::resolve(&spec, &corpora, &devices).unwrap();
    let run = NewRun {
        id: "amber-fox-7k2q".parse().unwrap(),
        name: "a run".into(),
        corpus: "Tales".into(),
        spec,
        plan: view.plan,
        estimate: view.estimate,
        references: Default::default(),
        device_name: "a device".into(),
        created_ms: 1000,
        author: Author::System,
    };
    let store = Store::open(folder).await.unwrap();
    store.create_run(&run).await.unwrap();
    (store, run.id)
}

/// What a worker reports of a run with spikes, which is rolled back to random steps of random segments.
fn history(random: &mut Random) -> Vec<Item> {
    let mut items = vec![event(0, 0, Event::Started { parameters: 1 }, Some(RunState::Running))];
    // The first and the next step of each segment.
    let mut segments = vec![(0u64, 0u64)];
    let changes_at =
        |random: &mut Random| (0..CHANGES).map(|_| 300 + random.below(STEPS - 300)).collect::<BTreeSet<_>>();
    let (rollbacks, non_finite) = (changes_at(random), changes_at(random));
    let mut rise_until = 0;
    for trained in 0..STEPS {
        if rollbacks.contains(&trained) {
            let from_segment = segments.len() as u32 - 1;
            let to = random.below(segments.len() as u64) as usize;
            let (first, next) = segments[to];
            let checkpoint = CheckpointId { segment: to as u32, step: first + random.below(next - first + 1) };
            let from_step = segments[from_segment as usize].1;
            let event_of = Event::RolledBack { checkpoint, from_segment, from_step, skip_batches: 0, best_valid: None };
            segments.push((checkpoint.step, checkpoint.step));
            items.push(event(from_segment + 1, checkpoint.step, event_of, None));
            rise_until = 0;
        }
        let segment = segments.len() as u32 - 1;
        let step = segments[segment as usize].1;
        if non_finite.contains(&trained) {
            let what = Event::NonFinite { what: "training loss (NaN)".into() };
            items.push(event(segment, step, what, Some(RunState::Paused)));
            items.push(event(segment, step, Event::Resumed, Some(RunState::Running)));
        }
        if random.below(90) == 0 {
            rise_until = step + 1 + random.below(60);
        }
        items.push(row(segment, step, if step < rise_until { 3.0 } else { 1.0 }, random));
        segments[segment as usize].1 = step + 1;
    }
    items
}

fn event(segment: u32, step: u64, event: Event, state: Option<RunState>) -> Item {
    Item::Event(Report {
        segment,
        step,
        at_ms: 0,
        author: Author::System,
        command_id: None,
        reason: None,
        event,
        state,
    })
}

fn row(segment: u32, step: u64, rise: f64, random: &mut Random) -> Item {
    let loss = (2.0 + 2.0 * (-(step as f64) / 300.0).exp()) * rise;
    let mut values = vec![
        (name::TRAIN.to_owned(), loss + 0.02 * random.uniform()),
        (name::GRAD_NORM.to_owned(), 0.5 * rise * rise + 0.05 * random.uniform()),
        (name::LEARNING_RATE.to_owned(), 1e-3),
    ];
    if step % 50 == 49 {
        values.push((name::VALID.to_owned(), loss + 0.1));
    }
    Item::Row(Row { segment, step, values })
}

/// Stores the reports in chunks, and lets rules read them; servers are stopped, or killed before their rules have read a chunk.
async fn read_with_interruptions(store: &Store, run: &RunId, mut items: Vec<Item>, random: &mut Random) {
    let mut rules = Diagnosis::new(Feed::new(store.clone()));
    let mut inbox = lock(&rules.0.inbox).take().unwrap();
    let mut seq = 1;
    while !items.is_empty() {
        let later = items.split_off(items.len().min(1 + random.below(60) as usize));
        let chunk = std::mem::replace(&mut items, later);
        let count = chunk.len() as u64;
        let ingested = store.ingest(run, seq, chunk).await.unwrap();
        seq += count;
        let choice = random.below(10);
        // 0: the run is suspended, and its state stored. 1: killed before the values are read; 2: after. 3: the values are not passed on.
        let rows = if choice == 3 { &[][..] } else { &ingested.rows };
        rules.stored(run, rows, &ingested.events, choice != 0);
        if choice != 1 {
            while let Ok(stored) = inbox.try_recv() {
                rules.read(&stored).await.unwrap();
            }
        }
        if choice == 1 || choice == 2 {
            rules = Diagnosis::new(Feed::new(store.clone()));
            inbox = lock(&rules.0.inbox).take().unwrap();
        }
    }
    // The server that follows reads what this one has not.
    rules = Diagnosis::new(Feed::new(store.clone()));
    rules.check_interrupted().await.unwrap();
    assert!(store.runs_behind_rules().await.unwrap().is_empty());
    let summary = store.summary(run).await.unwrap().unwrap();
    rules.check(&summary).await.unwrap();
}

/// All findings when each path of the run is read from its first step, and the conditions that are true at the end.
async fn read_at_once(store: &Store, run: &RunId, items: &[Item]) -> (BTreeSet<Key>, BTreeSet<(String, String)>) {
    let view = store.run(run).await.unwrap().unwrap();
    let facts = facts(&view, &[]);
    let (mut rows, mut checker, mut found) = (Vec::<Row>::new(), Checker::default(), BTreeSet::new());
    let mut history = wire::run::history::History::new(&view.plan);
    let mut read = |checker: &mut Checker, row: &Row| {
        let findings = checker.feed(&facts, row.step, &row.values);
        let key = |finding: wire::diagnosis::Finding| {
            (row.segment, finding.rule, finding.subject, finding.level, finding.step)
        };
        found.extend(findings.into_iter().map(key));
    };
    for item in items {
        let row = match item {
            Item::Row(row) => row.clone(),
            Item::Event(Report { segment, step, event, .. }) => {
                let (segment, step, event) = (*segment, *step, event.clone());
                let record = EventRecord {
                    number: 0,
                    segment,
                    step,
                    at_ms: 0,
                    author: Author::System,
                    command_id: None,
                    reason: None,
                    event,
                };
                history.append(&record);
                if matches!(record.event, Event::RolledBack { .. }) {
                    let path = history.spans();
                    checker = Checker::default();
                    rows.iter()
                        .filter(|row| is_on(&path, row.segment, row.step))
                        .for_each(|row| read(&mut checker, row));
                }
                let Some(row) = non_finite::row(&record) else { continue };
                row
            }
            _ => continue,
        };
        read(&mut checker, &row);
        rows.push(row);
    }
    let active = checker.active().into_iter().map(|active| (active.rule, active.subject)).collect();
    (found, active)
}

fn is_on(path: &[(u32, u64, Option<u64>)], segment: u32, step: u64) -> bool {
    path.iter().any(|(of, from, to)| segment == *of && step >= *from && to.is_none_or(|to| step < to))
}
