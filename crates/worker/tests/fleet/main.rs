//! A worker and a failing server on a real socket: whatever happens to link, server and disk, every report is stored once and in order.

#![allow(clippy::unwrap_used)] // a test's helpers may fail it

mod lab;

use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lab::{Fault, Lab, Script, attention, expected, item, run, snapshot, when};
use wire::transport::link::Item;
use wire::{Command, Event};
use worker::spool::{Limit, Spool};
use worker::{IdleTimeouts, WorkerError, is_held};

/// Steps of a run under faults. Reports of 50 ms are sent together, so the run is slow enough for many messages.
const STEPS: u64 = 6000;

async fn survives(least_faults: u64, faults: impl Fn(u64) -> Fault + Send + Sync + 'static) {
    let lab = Lab::open(faults).await;
    lab.assign(&run("amber-fox-7k2q"), Script::Rows { steps: STEPS, every: 4 });
    let worker = lab.start_worker();
    when("all reports are stored", || lab.is_complete(&run("amber-fox-7k2q"), STEPS)).await;
    when("the spool is gone", || !lab.spool().join("amber-fox-7k2q").exists()).await;
    assert_eq!(lab.stored(&run("amber-fox-7k2q")), expected(STEPS));
    assert!(lab.faults() >= least_faults, "only {} faults", lab.faults());
    lab.shut_down_worker();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_stored_twice_on_a_working_link() {
    survives(0, |_| Fault::None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_stored_twice_when_the_link_is_cut_before_storing() {
    survives(3, |message| if message % 7 == 6 { Fault::CutBeforeStoring } else { Fault::None }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_stored_twice_when_the_link_is_cut_before_answering() {
    survives(3, |message| if message % 5 == 4 { Fault::CutBeforeAnswering } else { Fault::None }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_stored_twice_when_answers_come_twice_or_late() {
    survives(3, |_| Fault::AnswerTwice).await;
    survives(3, |_| Fault::AnswerOld).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_restored_from_an_older_copy_gets_the_rest_again() {
    survives(3, |message| if message % 6 == 5 { Fault::ForgetAndCut } else { Fault::None }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_stored_twice_with_random_faults() {
    for seed in testing::seeds(0..4) {
        survives(3, move |message| {
            let mixed = (message + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ (seed << 17)) >> 40;
            [
                Fault::None,
                Fault::None,
                Fault::CutBeforeStoring,
                Fault::CutBeforeAnswering,
                Fault::AnswerTwice,
                Fault::AnswerOld,
                Fault::ForgetAndCut,
            ][mixed as usize % 7]
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_gets_few_messages() {
    let lab = Lab::open(|message| if message < 2 { Fault::Mute } else { Fault::None }).await;
    let fox = run("amber-fox-7k2q");
    // About twenty messages, if all were sent.
    lab.assign(&fox, Script::Rows { steps: 1000, every: 1 });
    let worker = lab.start_worker();
    when("it has trained to the end", || lab.trainer.ended.load(Ordering::SeqCst) == 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(lab.messages() <= 2, "{} messages without an answer", lab.messages());
    // The rest is sent together on the next connection.
    lab.shut();
    lab.reopen_elsewhere().await;
    when("all reports are stored", || lab.is_complete(&fox, 1000)).await;
    assert_eq!(lab.stored(&fox), expected(1000));
    assert!(lab.messages() <= 4, "{} messages", lab.messages());
    lab.shut_down_worker();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_continues_without_a_server_and_the_next_server_gets_all_reports() {
    let lab = Lab::open(|_| Fault::None).await;
    let fox = run("amber-fox-7k2q");
    lab.assign(&fox, Script::Rows { steps: 400, every: 1 });
    let worker = lab.start_worker();
    when("it has begun", || !lab.stored(&fox).is_empty()).await;
    lab.shut();
    when("it has trained on to the end", || lab.trainer.ended.load(Ordering::SeqCst) == 1).await;
    assert!(!lab.is_complete(&fox, 400));
    lab.reopen_elsewhere().await;
    when("the new server has everything", || lab.is_complete(&fox, 400)).await;
    assert_eq!(lab.stored(&fox), expected(400));
    lab.shut_down_worker();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_a_dead_worker_are_delivered_and_numbering_continues_after_the_servers() {
    let lab = Lab::open(|_| Fault::None).await;
    let (left, known) = (run("left-behind"), run("known-further"));
    for run in [&left, &known] {
        let mut spool = Spool::open(&lab.spool(), run).unwrap();
        for step in 0..5 {
            spool.append(&item(step)).unwrap();
        }
    }
    lab.preload(&left, 2);
    lab.preload(&known, 9);
    let worker = lab.start_worker();
    when("what was left is delivered", || lab.stored(&left).len() == 5 && !lab.spool().join("left-behind").exists())
        .await;
    assert_eq!(lab.stored(&left), (0..5).map(item).collect::<Vec<_>>());
    lab.assign(&known, Script::Rows { steps: 3, every: 0 });
    when("the same run goes on", || lab.stored(&known).len() == 9 + 5).await;
    assert_eq!(lab.stored(&known)[9..], expected(3));
    lab.shut_down_worker();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_the_run_and_ends_the_worker_once_all_is_reported() {
    let lab = Lab::open(|_| Fault::None).await;
    let fox = run("amber-fox-7k2q");
    lab.assign(&fox, Script::Panic);
    let ended = lab.start_worker().await.unwrap();
    assert!(matches!(&ended, Err(WorkerError::Panicked { message, .. }) if message == "shape mismatch"), "{ended:?}");
    let stored = lab.stored(&fox);
    assert!(
        matches!(stored.last(), Some(Item::Event(report)) if report.step == 7 && matches!(&report.event, Event::Failed { message } if message.contains("shape mismatch"))),
        "{stored:?}"
    );
    assert!(!lab.spool().join("amber-fox-7k2q").exists() && !is_held(lab.data(), &"cpu"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_fails_the_run_and_the_next_one_starts() {
    let lab = Lab::open(|_| Fault::None).await;
    let (fox, owl) = (run("amber-fox-7k2q"), run("amber-owl-7k2q"));
    lab.assign(&fox, Script::Fail("the dataset tales is not on this machine"));
    let worker = lab.start_worker();
    when("it failed", || matches!(lab.stored(&fox).last(), Some(Item::Event(report)) if report.event.phrase().contains("not on this machine"))).await;
    lab.assign(&owl, Script::Rows { steps: 20, every: 0 });
    when("the next is done", || lab.is_complete(&owl, 20)).await;
    lab.shut_down_worker();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_answered_by_the_run_they_are_for() {
    let lab = Lab::open(|_| Fault::None).await;
    let (fox, owl) = (run("amber-fox-7k2q"), run("amber-owl-7k2q"));
    lab.assign(&fox, Script::UntilStopped { saving: Duration::ZERO });
    let worker = lab.start_worker();
    when("it has begun", || !lab.stored(&fox).is_empty()).await;
    lab.command(&owl, 1, Command::Stop { reason: None });
    lab.command(&fox, 2, Command::Annotate { text: "warm".into() });
    lab.command(&fox, 3, Command::Stop { reason: Some("enough".into()) });
    when("it has stopped", || lab.answers(&fox).contains(&Some(3))).await;
    let answers: Vec<u64> = lab.answers(&fox).into_iter().flatten().collect();
    assert_eq!(answers, [2, 3]);
    lab.shut_down_worker();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_run_is_stopped_and_leaves_no_spool() {
    let lab = Lab::open(|_| Fault::None).await;
    let (fox, owl) = (run("amber-fox-7k2q"), run("amber-owl-7k2q"));
    lab.assign(&fox, Script::UntilStopped { saving: Duration::ZERO });
    let worker = lab.start_worker();
    when("it has begun", || !lab.stored(&fox).is_empty()).await;
    lab.forget(&fox);
    lab.cut();
    when("it has stopped", || {
        lab.trainer.ended.load(Ordering::SeqCst) == 1 && !lab.spool().join("amber-fox-7k2q").exists()
    })
    .await;
    assert!(lab.stored(&fox).is_empty(), "nothing more was reported");
    lab.assign(&owl, Script::Rows { steps: 5, every: 0 });
    when("it trains the next", || lab.is_complete(&owl, 5)).await;
    lab.shut_down_worker();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_written_pauses_the_training_and_loses_nothing() {
    let lab = Lab::open(|_| Fault::None).await;
    let fox = run("amber-fox-7k2q");
    fs::create_dir_all(lab.spool()).unwrap();
    let blocking_file = lab.spool().join("amber-fox-7k2q");
    fs::write(&blocking_file, "").unwrap();
    lab.assign(&fox, Script::Rows { steps: 300, every: 0 });
    let worker = lab.start_worker();
    let is_blocked = |item: &Item| matches!(item, Item::Event(report) if report.event.phrase().contains("reports cannot be written"));
    when("it reports why it pauses", || lab.stored(&fox).iter().any(is_blocked)).await;
    assert!(!lab.is_complete(&fox, 300));
    fs::remove_file(&blocking_file).unwrap();
    when("it goes on", || lab.rows(&fox) == 300).await;
    lab.shut_down_worker();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_a_server_ends_and_leaves_its_reports() {
    let short = IdleTimeouts {
        idle: Some(Duration::from_millis(200)),
        unsent: Some(Duration::from_millis(300)),
        training: None,
    };
    let lab = Lab::open(|_| Fault::None).await;
    lab.shut();
    lab.start_worker_with(short, "secret").await.unwrap().unwrap();
    let mut spool = Spool::open(&lab.spool(), &run("left-behind")).unwrap();
    spool.append(&item(1)).unwrap();
    lab.start_worker_with(short, "secret").await.unwrap().unwrap();
    assert_eq!(Spool::open(&lab.spool(), &run("left-behind")).unwrap().last(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_server_stays_away_is_suspended_and_its_reports_stay() {
    let short = IdleTimeouts { training: Some(Duration::from_millis(400)), ..IdleTimeouts::LOCAL };
    let lab = Lab::open(|_| Fault::None).await;
    let fox = run("amber-fox-7k2q");
    lab.assign(&fox, Script::UntilStopped { saving: Duration::ZERO });
    let worker = lab.start_worker_with(short, "secret");
    when("it has begun", || !lab.stored(&fox).is_empty()).await;
    lab.shut();
    worker.await.unwrap().unwrap();
    let limit = Limit { records: 100, bytes: 1 << 20 };
    let records = Spool::open(&lab.spool(), &fox).unwrap().read(1, limit).unwrap().unwrap();
    let last: Item = wire::encode::from_bytes(records.payloads.last().unwrap()).unwrap();
    assert!(matches!(&last, Item::Event(report) if report.event == Event::Suspended), "{last:?}");
}

/// Saving takes longer than the worker waits for its reports to be stored, as with a large model.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_saves_for_long_is_saved_completely() {
    let lab = Lab::open(|_| Fault::None).await;
    let fox = run("amber-fox-7k2q");
    lab.assign(&fox, Script::UntilStopped { saving: Duration::from_secs(11) });
    let worker = lab.start_worker();
    when("it has begun", || !lab.stored(&fox).is_empty()).await;
    lab.shut_down_worker();
    worker.await.unwrap().unwrap();
    assert!(matches!(lab.stored(&fox).last(), Some(Item::Event(report)) if report.event == Event::Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_and_a_second_worker_are_refused() {
    let lab = Lab::open(|_| Fault::None).await;
    let ended = lab.start_worker_with(IdleTimeouts::LOCAL, "guess").await.unwrap();
    assert!(matches!(&ended, Err(WorkerError::Refused { message }) if message.contains("401")), "{ended:?}");
    let first = lab.start_worker();
    when("the first is here", || lab.is_linked()).await;
    assert!(is_held(lab.data(), &"cpu"));
    let second = lab.start_worker().await.unwrap();
    assert!(matches!(second, Err(WorkerError::DeviceTaken { .. })), "{second:?}");
    lab.shut_down_worker();
    first.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_delivered_in_order_in_messages_of_bounded_size() {
    let lab = Lab::open(|message| if message % 9 == 8 { Fault::CutBeforeAnswering } else { Fault::None }).await;
    let fox = run("amber-fox-7k2q");
    let (steps, bytes) = (200, 150_000);
    lab.assign(&fox, Script::Snapshots { steps, bytes });
    let worker = lab.start_worker();
    when("all is stored", || lab.is_complete(&fox, 2 * steps)).await;
    let stored = lab.stored(&fox);
    for (step, pair) in stored[1..stored.len() - 1].chunks(2).enumerate() {
        let step = step as u64;
        assert!(pair[0] == Item::Snapshot(Box::new(snapshot(step, bytes))) && pair[1] == item(step), "step {step}");
    }
    assert!(lab.heaviest() < 1 << 20, "{} bytes", lab.heaviest());
    lab.shut_down_worker();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_too_large_is_dropped_and_the_run_continues() {
    let lab = Lab::open(|_| Fault::None).await;
    let fox = run("amber-fox-7k2q");
    lab.assign(&fox, Script::Snapshots { steps: 3, bytes: 5 << 20 });
    let worker = lab.start_worker();
    when("it is done", || lab.is_complete(&fox, 3)).await;
    assert_eq!(lab.stored(&fox), expected(3));
    lab.shut_down_worker();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_training_gets_the_requested_inspections_and_none_when_the_link_breaks() {
    let lab = Lab::open(|_| Fault::None).await;
    let (fox, owl) = (run("amber-fox-7k2q"), run("amber-owl-7k2q"));
    lab.assign(&fox, Script::Inspected);
    let worker = lab.start_worker();
    when("it has begun", || !lab.stored(&fox).is_empty()).await;
    let (first, second) = (attention(0).key(), attention(1).key());
    lab.request(&fox, vec![attention(0), attention(1)]);
    when("both results arrive", || lab.inspections().len() == 2).await;
    assert_eq!((lab.notes(&fox), lab.inspections()), (vec![format!("{first} {second}")], vec![first.clone(), second]));
    // Inspections of the next run are requested before it has started.
    lab.assign(&owl, Script::Inspected);
    lab.request(&owl, vec![attention(0)]);
    lab.command(&fox, 1, Command::Stop { reason: None });
    when("the next run gets its inspections", || lab.notes(&owl) == [first.clone()]).await;
    lab.cut();
    when("none is requested", || lab.notes(&owl) == [first.clone(), String::new()]).await;
    assert_eq!(lab.notes(&fox).len(), 1);
    lab.command(&owl, 2, Command::Stop { reason: None });
    when("it has stopped", || lab.answers(&owl).contains(&Some(2))).await;
    lab.shut_down_worker();
    worker.await.unwrap().unwrap();
}
