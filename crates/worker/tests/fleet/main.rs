//! A worker against a server that misbehaves, over a real socket: whatever happens to link, server and disk, every report is
//! stored once and in order.

#![allow(clippy::unwrap_used)] // a test's helpers may fail it

mod lab;

use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lab::{Fault, Lab, Script, attention, expected, item, kept, run, when};
use wire::link::Item;
use wire::{Command, Event};
use worker::spool::Spool;
use worker::{Patience, WorkerError, is_held};

/// Steps of a run under faults. Reports of 50 ms go out together, so it takes its time: there are to be many messages.
const STEPS: u64 = 6000;

async fn survives(least_faults: u64, faults: impl Fn(u64) -> Fault + Send + Sync + 'static) {
    let lab = Lab::open(faults).await;
    lab.assign(&run("amber-fox-7k2q"), Script::Rows { steps: STEPS, every: 4 });
    let worker = lab.hire();
    when("all reports are stored", || lab.is_complete(&run("amber-fox-7k2q"), STEPS)).await;
    when("the spool is gone", || !lab.spool().join("amber-fox-7k2q").exists()).await;
    assert_eq!(lab.stored(&run("amber-fox-7k2q")), expected(STEPS));
    assert!(lab.faults() >= least_faults, "only {} faults", lab.faults());
    lab.dismiss();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_on_a_good_link() {
    survives(0, |_| Fault::None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_the_link_is_cut_before_storing() {
    survives(3, |message| if message % 7 == 6 { Fault::CutBeforeStoring } else { Fault::None }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_the_link_is_cut_before_answering() {
    survives(3, |message| if message % 5 == 4 { Fault::CutBeforeAnswering } else { Fault::None }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_answers_come_twice_or_late() {
    survives(3, |_| Fault::AnswerTwice).await;
    survives(3, |_| Fault::AnswerOld).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_with_less_gets_the_rest_again() {
    survives(3, |message| if message % 6 == 5 { Fault::ForgetAndCut } else { Fault::None }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_everything_goes_wrong_at_random() {
    for seed in 0..4u64 {
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
async fn a_server_that_does_not_answer_is_not_drowned_in_messages() {
    let lab = Lab::open(|message| if message < 2 { Fault::Mute } else { Fault::None }).await;
    let fox = run("amber-fox-7k2q");
    // Some twenty messages, were they all sent.
    lab.assign(&fox, Script::Rows { steps: 1000, every: 1 });
    let worker = lab.hire();
    when("it has trained to the end", || lab.trainer.ended.load(Ordering::SeqCst) == 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(lab.messages() <= 2, "{} messages without an answer", lab.messages());
    // What was left goes out together on the next connection.
    lab.shut();
    lab.reopen_elsewhere().await;
    when("all reports are stored", || lab.is_complete(&fox, 1000)).await;
    assert_eq!(lab.stored(&fox), expected(1000));
    assert!(lab.messages() <= 4, "{} messages", lab.messages());
    lab.dismiss();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_trains_on_while_there_is_no_server_and_tells_all_to_the_next_one() {
    let lab = Lab::open(|_| Fault::None).await;
    let fox = run("amber-fox-7k2q");
    lab.assign(&fox, Script::Rows { steps: 400, every: 1 });
    let worker = lab.hire();
    when("it has begun", || !lab.stored(&fox).is_empty()).await;
    lab.shut();
    when("it has trained on to the end", || lab.trainer.ended.load(Ordering::SeqCst) == 1).await;
    assert!(!lab.is_complete(&fox, 400));
    lab.reopen_elsewhere().await;
    when("the new server has everything", || lab.is_complete(&fox, 400)).await;
    assert_eq!(lab.stored(&fox), expected(400));
    lab.dismiss();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_that_a_dead_worker_left_are_delivered_and_numbers_go_on_after_the_servers() {
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
    let worker = lab.hire();
    when("what was left is delivered", || lab.stored(&left).len() == 5 && !lab.spool().join("left-behind").exists())
        .await;
    assert_eq!(lab.stored(&left), (0..5).map(item).collect::<Vec<_>>());
    lab.assign(&known, Script::Rows { steps: 3, every: 0 });
    when("the same run goes on", || lab.stored(&known).len() == 9 + 5).await;
    assert_eq!(lab.stored(&known)[9..], expected(3));
    lab.dismiss();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_the_run_and_ends_the_worker_once_all_is_told() {
    let lab = Lab::open(|_| Fault::None).await;
    let fox = run("amber-fox-7k2q");
    lab.assign(&fox, Script::Panic);
    let ended = lab.hire().await.unwrap();
    assert!(matches!(&ended, Err(WorkerError::Panicked { message, .. }) if message == "shape mismatch"), "{ended:?}");
    let stored = lab.stored(&fox);
    assert!(
        matches!(stored.last(), Some(Item::Event(report)) if report.step == 7 && matches!(&report.event, Event::Failed { message } if message.contains("shape mismatch"))),
        "{stored:?}"
    );
    assert!(!lab.spool().join("amber-fox-7k2q").exists() && !is_held(lab.data(), &"cpu".parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_fails_the_run_and_the_next_one_begins() {
    let lab = Lab::open(|_| Fault::None).await;
    let (fox, owl) = (run("amber-fox-7k2q"), run("amber-owl-7k2q"));
    lab.assign(&fox, Script::Fail("the text tales is not on this machine"));
    let worker = lab.hire();
    when("it failed", || matches!(lab.stored(&fox).last(), Some(Item::Event(report)) if report.event.phrase().contains("not on this machine"))).await;
    lab.assign(&owl, Script::Rows { steps: 20, every: 0 });
    when("the next is done", || lab.is_complete(&owl, 20)).await;
    lab.dismiss();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_answered_and_those_for_others_are_not() {
    let lab = Lab::open(|_| Fault::None).await;
    let (fox, owl) = (run("amber-fox-7k2q"), run("amber-owl-7k2q"));
    lab.assign(&fox, Script::UntilStopped { saving: Duration::ZERO });
    let worker = lab.hire();
    when("it has begun", || !lab.stored(&fox).is_empty()).await;
    lab.order(&owl, 1, Command::Stop { reason: None });
    lab.order(&fox, 2, Command::Annotate { text: "warm".into() });
    lab.order(&fox, 3, Command::Stop { reason: Some("enough".into()) });
    when("it has stopped", || lab.answers(&fox).contains(&Some(3))).await;
    let answers: Vec<u64> = lab.answers(&fox).into_iter().flatten().collect();
    assert_eq!(answers, [2, 3]);
    lab.dismiss();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_the_server_does_not_want_is_stopped_and_leaves_nothing() {
    let lab = Lab::open(|_| Fault::None).await;
    let (fox, owl) = (run("amber-fox-7k2q"), run("amber-owl-7k2q"));
    lab.assign(&fox, Script::UntilStopped { saving: Duration::ZERO });
    let worker = lab.hire();
    when("it has begun", || !lab.stored(&fox).is_empty()).await;
    lab.forget(&fox);
    lab.cut();
    when("it has stopped", || {
        lab.trainer.ended.load(Ordering::SeqCst) == 1 && !lab.spool().join("amber-fox-7k2q").exists()
    })
    .await;
    assert!(lab.stored(&fox).is_empty(), "nothing more was told");
    lab.assign(&owl, Script::Rows { steps: 5, every: 0 });
    when("it trains the next", || lab.is_complete(&owl, 5)).await;
    lab.dismiss();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_refuses_holds_the_training_and_loses_nothing() {
    let lab = Lab::open(|_| Fault::None).await;
    let fox = run("amber-fox-7k2q");
    fs::create_dir_all(lab.spool()).unwrap();
    let in_the_way = lab.spool().join("amber-fox-7k2q");
    fs::write(&in_the_way, "").unwrap();
    lab.assign(&fox, Script::Rows { steps: 300, every: 0 });
    let worker = lab.hire();
    let holds = |item: &Item| matches!(item, Item::Event(report) if report.event.phrase().contains("reports cannot be written"));
    when("it says why it holds", || lab.stored(&fox).iter().any(holds)).await;
    assert!(!lab.is_complete(&fox, 300));
    fs::remove_file(&in_the_way).unwrap();
    when("it goes on", || lab.rows(&fox) == 300).await;
    lab.dismiss();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_lab_is_gone_goes_too_and_leaves_its_reports() {
    let short = Patience { idle: Some(Duration::from_millis(200)), unsent: Some(Duration::from_millis(300)) };
    let lab = Lab::open(|_| Fault::None).await;
    lab.shut();
    lab.hire_with(short, "secret").await.unwrap().unwrap();
    let mut spool = Spool::open(&lab.spool(), &run("left-behind")).unwrap();
    spool.append(&item(1)).unwrap();
    lab.hire_with(short, "secret").await.unwrap().unwrap();
    assert_eq!(Spool::open(&lab.spool(), &run("left-behind")).unwrap().last(), 1);
}

/// Longer than the worker waits for its reports to be taken: what a large model takes to write.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_saves_itself_for_long_is_not_left_half_saved() {
    let lab = Lab::open(|_| Fault::None).await;
    let fox = run("amber-fox-7k2q");
    lab.assign(&fox, Script::UntilStopped { saving: Duration::from_secs(11) });
    let worker = lab.hire();
    when("it has begun", || !lab.stored(&fox).is_empty()).await;
    lab.dismiss();
    worker.await.unwrap().unwrap();
    assert!(matches!(lab.stored(&fox).last(), Some(Item::Event(report)) if report.event == Event::Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_and_a_second_worker_are_told_so() {
    let lab = Lab::open(|_| Fault::None).await;
    let ended = lab.hire_with(Patience::LOCAL, "guess").await.unwrap();
    assert!(matches!(&ended, Err(WorkerError::TurnedAway { message }) if message.contains("401")), "{ended:?}");
    let first = lab.hire();
    when("the first is here", || lab.is_linked()).await;
    assert!(is_held(lab.data(), &"cpu".parse().unwrap()));
    let second = lab.hire().await.unwrap();
    assert!(matches!(second, Err(WorkerError::DeviceTaken { .. })), "{second:?}");
    lab.dismiss();
    first.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_to_be_kept_travel_in_order_and_no_message_grows_with_them() {
    let lab = Lab::open(|message| if message % 9 == 8 { Fault::CutBeforeAnswering } else { Fault::None }).await;
    let fox = run("amber-fox-7k2q");
    let (steps, bytes) = (200, 150_000);
    lab.assign(&fox, Script::Kept { steps, bytes });
    let worker = lab.hire();
    when("all is stored", || lab.is_complete(&fox, 2 * steps)).await;
    let stored = lab.stored(&fox);
    for (step, pair) in stored[1..stored.len() - 1].chunks(2).enumerate() {
        let step = step as u64;
        assert!(pair[0] == Item::Kept(Box::new(kept(step, bytes))) && pair[1] == item(step), "step {step}");
    }
    assert!(lab.heaviest() < 1 << 20, "{} bytes", lab.heaviest());
    lab.dismiss();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_too_large_to_travel_is_left_out_and_the_run_goes_on() {
    let lab = Lab::open(|_| Fault::None).await;
    let fox = run("amber-fox-7k2q");
    lab.assign(&fox, Script::Kept { steps: 3, bytes: 5 << 20 });
    let worker = lab.hire();
    when("it is done", || lab.is_complete(&fox, 3)).await;
    assert_eq!(lab.stored(&fox), expected(3));
    lab.dismiss();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_training_hears_what_is_watched_and_that_nobody_watches_when_the_link_breaks() {
    let lab = Lab::open(|_| Fault::None).await;
    let (fox, owl) = (run("amber-fox-7k2q"), run("amber-owl-7k2q"));
    lab.assign(&fox, Script::Watched);
    let worker = lab.hire();
    when("it has begun", || !lab.stored(&fox).is_empty()).await;
    let (first, second) = (attention(0).key(), attention(1).key());
    lab.probe(&fox, vec![attention(0), attention(1)]);
    when("both are seen", || lab.looks().len() == 2).await;
    assert_eq!((lab.notes(&fox), lab.looks()), (vec![format!("{first} {second}")], vec![first.clone(), second]));
    // Of the run that comes next it is told before that one has begun.
    lab.assign(&owl, Script::Watched);
    lab.probe(&owl, vec![attention(0)]);
    lab.order(&fox, 1, Command::Stop { reason: None });
    when("the next looks", || lab.notes(&owl) == [first.clone()]).await;
    lab.cut();
    when("nobody watches", || lab.notes(&owl) == [first.clone(), String::new()]).await;
    assert_eq!(lab.notes(&fox).len(), 1);
    lab.order(&owl, 2, Command::Stop { reason: None });
    when("it has stopped", || lab.answers(&owl).contains(&Some(2))).await;
    lab.dismiss();
    worker.await.unwrap().unwrap();
}
