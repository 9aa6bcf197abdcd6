//! The research journal: all sources in one order, pages without gaps at equal times, filters, and judgements of findings.

use store::{JournalQuery, Store};
use wire::access::ProjectLimits;
use wire::diagnosis::{FindingCounts, Judgement, Level};
use wire::experiment::record::{Outcome, Verdict};
use wire::research_journal::{EntryKind, JournalEntry};
use wire::transport::link::{Item, Report};
use wire::{Author, Event, RunId, RunState};

use crate::alerts::found;
use crate::experiments::experiment;
use crate::setup::{new_run, report};

fn query(limit: usize) -> JournalQuery {
    JournalQuery { project: "default".into(), limit, ..JournalQuery::default() }
}

async fn all(store: &Store, query: &JournalQuery) -> Vec<JournalEntry> {
    let page = store.research_journal(query).await.unwrap();
    assert_eq!(page.next, None);
    page.entries
}

fn texts(entries: &[JournalEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.text.as_str()).collect()
}

/// A run that trains and reports some events, with the times of [`report`]: 2000 ms and the step.
async fn run_with(store: &Store, id: &str, events: Vec<Report>) -> RunId {
    let run = new_run(id, "cpu");
    store.create_run(&run).await.unwrap();
    store.set_state(&run.id, RunState::Running, None).await.unwrap();
    store.ingest(&run.id, 1, events.into_iter().map(Item::Event).collect()).await.unwrap();
    run.id
}

#[tokio::test]
async fn events_findings_and_experiments_are_one_list() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let evaluated = Event::Evaluated { loss_nats: 2.0, bits_per_byte: 1.0, windows: None };
    let asked = Report { command_id: Some(7), ..report(4, evaluated.clone(), None) };
    let paused = Report { command_id: Some(8), reason: Some("lunch".into()), ..report(6, Event::Paused, None) };
    let note = report(5, Event::Annotated { text: "Loss falls slowly".into() }, None);
    let run = run_with(&store, "amber-fox", vec![report(3, evaluated, None), asked, note, paused]).await;
    store.record_findings(&run, &[(0, 0, None)], &[found("plateau", "Plateau", Level::Alert, 6)], 3).await.unwrap();
    // The journal adds the full stop.
    let mut stated = experiment("default");
    stated.spec.hypothesis = "More layers help".into();
    let id = store.create_experiment(&stated).await.unwrap().summary.id;
    let verdict = Verdict {
        outcome: Outcome::Confirmed,
        difference: Some(-0.25),
        interval: Some([-0.3, -0.2]),
        level: 0.95,
        pairs: 3,
        sentence: "Confirmed after 3 pairs.".into(),
    };
    assert!(store.decide_experiment(id, &verdict).await.unwrap());

    let entries = all(&store, &query(500)).await;
    let listed: Vec<(EntryKind, &str)> = entries.iter().map(|entry| (entry.kind, entry.text.as_str())).collect();
    let prediction = "Prediction: validation loss −0.1 bits/byte, confirmed with a probability of 0.6.";
    let concluded = format!("Confirmed after 3 pairs. {prediction}");
    let stated = format!("More layers help. Change: model.layers = 3. {prediction}");
    assert_eq!(
        listed,
        [
            (EntryKind::Verdict, concluded.as_str()),
            (EntryKind::Hypothesis, stated.as_str()),
            (EntryKind::Finding, "Alert: Seen at step 6."),
            (EntryKind::Command, "paused (lunch)"),
            (EntryKind::Note, "Loss falls slowly"),
            (EntryKind::Command, "validation loss 2.000 nats/token"),
            (EntryKind::Run, "queued"),
        ],
        "an evaluation without a command is left out"
    );
    assert_eq!(entries[2].author, Author::Rule("Plateau".into()));
    assert_eq!((entries[4].subject.name(), entries[4].step), ("amber-fox", Some(5)));

    let of = |kinds: &[EntryKind]| JournalQuery { kinds: kinds.to_vec(), ..query(500) };
    assert_eq!(texts(&all(&store, &of(&[EntryKind::Note])).await), ["Loss falls slowly"]);
    assert_eq!(all(&store, &of(&[EntryKind::Finding, EntryKind::Verdict])).await.len(), 2);
    assert!(all(&store, &of(&[EntryKind::Sweep])).await.is_empty());
    let search = JournalQuery { search: "LOSS slowly loss".into(), ..query(500) };
    assert_eq!(texts(&all(&store, &search).await), ["Loss falls slowly"]);
    let by_rule = JournalQuery { author: Some("Plateau".into()), ..query(500) };
    assert_eq!(texts(&all(&store, &by_rule).await), ["Alert: Seen at step 6."]);
    let by_system = JournalQuery { author: Some("system".into()), ..query(500) };
    assert_eq!(texts(&all(&store, &by_system).await), [concluded.as_str()]);

    store.add_project("other", &ProjectLimits::default()).await.unwrap();
    assert!(all(&store, &JournalQuery { project: "other".into(), ..query(500) }).await.is_empty());
    store.set_state(&run, RunState::Stopped, None).await.unwrap();
    store.delete_run(&run, 9000).await.unwrap();
    assert_eq!(all(&store, &query(500)).await.len(), 2, "a deleted run has no entries");
}

#[tokio::test]
async fn pages_have_each_entry_once_although_many_have_one_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let notes = |of: &str| {
        let note = |number| report(5, Event::Annotated { text: format!("{of} {number}") }, None);
        (0..3).map(note).collect::<Vec<_>>()
    };
    for id in ["amber-fox", "brisk-owl", "calm-elk"] {
        run_with(&store, id, notes(id)).await;
    }
    let whole = all(&store, &query(500)).await;
    assert_eq!(whole.len(), 12, "three events that say queued, and nine notes");
    assert!(whole.windows(2).all(|pair| pair[0].place > pair[1].place), "newest first");
    for limit in [1, 2, 5, 12] {
        let (mut paged, mut before) = (vec![], None);
        loop {
            let page = store.research_journal(&JournalQuery { before, ..query(limit) }).await.unwrap();
            assert!(page.entries.len() <= limit);
            paged.extend(page.entries);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(paged, whole, "pages of {limit}");
    }
    let owl = JournalQuery { search: "owl".into(), kinds: vec![EntryKind::Note], ..query(2) };
    let first = store.research_journal(&owl).await.unwrap();
    let second = store.research_journal(&JournalQuery { before: first.next, ..owl }).await.unwrap();
    assert_eq!(texts(&first.entries), ["brisk-owl 2", "brisk-owl 1"]);
    assert_eq!((texts(&second.entries), second.next), (vec!["brisk-owl 0"], None));
}

#[tokio::test]
async fn judgements_of_findings_are_stored_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let run = run_with(&store, "amber-fox", vec![report(1, Event::Resumed, None)]).await;
    let moments = [3, 5, 7].map(|step| found("plateau", "Plateau", Level::Note, step));
    store.record_findings(&run, &[(0, 0, None)], &moments, 3).await.unwrap();
    store.judge_finding(&run, 1, Some(Judgement::Correct)).await.unwrap().unwrap();
    store.judge_finding(&run, 2, Some(Judgement::Wrong)).await.unwrap().unwrap();
    store.judge_finding(&run, 3, Some(Judgement::Wrong)).await.unwrap().unwrap();
    store.judge_finding(&run, 3, None).await.unwrap().unwrap();
    assert_eq!(store.judge_finding(&run, 9, None).await.unwrap(), None);
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    let judged: Vec<_> = store.findings(&run).await.unwrap().into_iter().map(|stored| stored.found.judgement).collect();
    assert_eq!(judged, [Some(Judgement::Correct), Some(Judgement::Wrong), None]);
    let (rule, label) = ("plateau".to_owned(), "Plateau".to_owned());
    let counts = FindingCounts { rule, label, findings: 3, correct: 1, wrong: 1 };
    assert_eq!(store.finding_counts("default").await.unwrap(), [counts]);
    assert!(store.finding_counts("other").await.unwrap().is_empty());
    let entries = all(&store, &JournalQuery { kinds: vec![EntryKind::Finding], ..query(500) }).await;
    assert!(texts(&entries).contains(&"Seen at step 3. (marked as correct)"), "{entries:?}");
}
