//! Alerts are written with what they are about, once, and outlive a restart.

use store::{Moment, NewFinding, Store};
use wire::access::{Grants, Role};
use wire::diagnosis::{Finding, Level};
use wire::transport::link::Item;
use wire::{Event, RunState};

use crate::setup::{report, row, store_with_run};

pub(crate) fn found(rule: &str, label: &str, level: Level, step: u64) -> Moment {
    let finding = Finding {
        rule: rule.to_owned(),
        level,
        step,
        first_step: step,
        value: Some(9.0),
        threshold: 6.0,
        subject: String::new(),
        details: Default::default(),
        evidence: vec![],
    };
    let new = NewFinding {
        segment: 0,
        finding,
        label: label.to_owned(),
        text: format!("Seen at step {step}."),
        action: None,
    };
    Moment { step, found: vec![new], active: vec![] }
}

#[tokio::test]
async fn an_event_or_a_finding_that_is_stored_again_raises_no_second_alert() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let all = Grants::of_lab(Role::View);
    let path = [(0, 0, None)];
    let moments = [
        found("loss_spike", "Loss spike", Level::Alert, 3),
        found("non_finite", "Non-finite value", Level::Alert, 4),
        found("plateau", "Plateau", Level::Note, 5),
    ];
    for _ in 0..2 {
        store.record_findings(&run, &path, &moments, 3).await.unwrap();
    }
    let items =
        || vec![row(0, &[("loss.train", 2.0)]), Item::Event(report(1, Event::Finished, Some(RunState::Finished)))];
    store.ingest(&run, 1, items()).await.unwrap();
    store.ingest(&run, 1, items()).await.unwrap();
    // The run has ended in 1970.
    store.record_findings(&run, &path, &[found("divergence", "Divergence", Level::Alert, 6)], 3).await.unwrap();
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    let alerts = store.alerts(&all, 0, 50).await.unwrap();
    let listed: Vec<(&str, bool)> = alerts.iter().map(|alert| (alert.title.as_str(), alert.is_urgent)).collect();
    let expected = [("amber-fox-7k2q: finished", false), ("amber-fox-7k2q: loss spike", true)];
    assert_eq!(
        listed, expected,
        "the newest first; notes raise none; a value that is not finite is an event of the journal"
    );
    assert!(store.alerts(&Grants::default(), 0, 50).await.unwrap().is_empty());
    assert_eq!(store.route_alerts(1).await.unwrap(), Some(alerts[0].id));
    assert_eq!(store.route_alerts(2).await.unwrap(), None);
}
