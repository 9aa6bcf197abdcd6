//! Settings and decisions of rules are stored together with their events.

use wire::diagnosis::{Act, DiagnosisSettings, Level, TakenAction};
use wire::{Author, Command, Event, RunState};

use crate::alerts::found;
use crate::setup::{report, store_with_run};
use crate::steering::Worker;

#[tokio::test]
async fn changed_settings_of_rules_are_stored_with_their_event() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let settings = DiagnosisSettings { muted: ["plateau".to_owned()].into(), ..Default::default() };
    let changed = |before: &DiagnosisSettings| {
        let changes = before.changes(&settings, str::to_owned);
        (!changes.is_empty()).then(|| report(0, Event::RulesChanged { changes }, None))
    };
    let (record, summary) = store.set_rules(&run, &settings, changed).await.unwrap().unwrap();
    assert_eq!(
        (record.event.phrase(), summary.id),
        ("rules changed: plateau: only reports → muted".to_owned(), run.clone())
    );
    assert_eq!(store.set_rules(&run, &settings, changed).await.unwrap(), None, "nothing has changed");
    assert_eq!(store.diagnosis(&run).await.unwrap().settings, settings);
    assert_eq!(store.events(&run, record.number - 1, 10).await.unwrap(), [record]);
    let unknown = "brass-owl-3m4n".parse().unwrap();
    assert!(store.set_rules(&unknown, &settings, changed).await.is_err());
}

#[tokio::test]
async fn a_decision_that_is_not_carried_out_is_settled_with_its_event() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let mut moment = found("divergence", "Divergence", Level::Alert, 5);
    moment.found[0].action = Some(TakenAction { act: Act::Pause, event: None, failure: None, was_done_before: false });
    store.record_findings(&run, &[(0, 0, None)], &[moment], 3).await.unwrap();
    assert_eq!(store.open_actions().await.unwrap().len(), 1);
    let refused = Event::Refused { command: Command::Pause { reason: None }, message: "it was rolled back".into() };
    let report =
        wire::transport::link::Report { author: Author::Rule("Divergence".into()), ..report(9, refused, None) };
    let (event, recorded) = store.refuse_action(&run, 1, report, "It was rolled back.".into()).await.unwrap();
    assert!(store.open_actions().await.unwrap().is_empty());
    let action = recorded.changed[0].action.clone().unwrap();
    assert_eq!((action.failure.as_deref(), action.event), (Some("It was rolled back."), None));
    assert_eq!(store.events(&run, event.number - 1, 10).await.unwrap(), [event]);
}

#[tokio::test]
async fn findings_of_earlier_versions_get_the_labels_that_their_rules_have_now() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let moments =
        [found("first_loss", "First loss", Level::Alert, 5), found("of_another_version", "Other", Level::Note, 6)];
    store.record_findings(&run, &[(0, 0, None)], &moments, 3).await.unwrap();
    let labels = [("first_loss", "Unexpected first loss"), ("divergence", "Divergence")].into();
    assert_eq!(store.set_finding_labels(&labels).await.unwrap(), 1);
    assert_eq!(store.set_finding_labels(&labels).await.unwrap(), 0, "it has the label");
    let labels: Vec<String> =
        store.findings(&run).await.unwrap().into_iter().map(|stored| stored.found.label).collect();
    assert_eq!(labels, ["Unexpected first loss", "Other"]);
}

#[tokio::test]
async fn a_run_whose_validation_loss_was_not_finite_resumes_unpaused() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let mut worker = Worker::at(&store, &run).await;
    worker.train(0, 40).await;
    let after = worker.report_event(40, Event::NonFinite { what: "validation loss".into() }, None).await.summary;
    assert_eq!((after.state, after.message.as_deref()), (RunState::Running, Some("validation loss is not finite")));
    assert!(!store.past(&run).await.unwrap().is_paused);
    let what = Event::NonFinite { what: "training loss (NaN)".into() };
    worker.report_event(40, what, Some(RunState::Paused)).await;
    assert!(store.past(&run).await.unwrap().is_paused);
}
