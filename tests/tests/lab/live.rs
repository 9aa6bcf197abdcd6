//! The live stream: all watchers of a run receive the same ticks, and one that reconnects misses nothing or is asked to resync.

use scenarios::socket::{Socket, Watcher};
use scenarios::watch::speck;
use scenarios::{Lab, given_up_after, pause_ms};
use serde_json::json;
use wire::RunState;
use wire::run::Cursor;
use wire::transport::live::{FromPage, ToPage};

#[test]
fn two_watchers_receive_the_same_and_a_reconnection_misses_nothing() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let corpus = owner.add_corpus("walk");
    let run = owner.start_run(&speck(&corpus, 1500));
    let (mut one, mut two) = (Watcher::begin(&owner, &run), Watcher::begin(&owner, &run));
    one.follow(30, |tick| tick.summary.step > 300);
    two.follow(30, |tick| tick.summary.step > 200);
    // The second watcher is suspended for a while.
    pause_ms(500);
    two.reconnect(&owner, &run);
    let is_over = |tick: &wire::transport::live::Tick| tick.summary.state == RunState::Finished;
    one.follow(60, is_over);
    two.follow(60, is_over);

    for (number, bytes) in &two.ticks {
        if let Some(other) = one.ticks.get(number) {
            assert_eq!(bytes, other, "tick {number}");
        }
    }
    let stored = owner.curve(&run, "loss.train");
    for watcher in [&one, &two] {
        let first = watcher.losses[0].0 as usize;
        assert_eq!(watcher.losses, stored[first..], "received and stored losses are the same, each step once");
        let numbers: Vec<u64> = (watcher.events[0]..=owner.journal(&run).len() as u64).collect();
        assert_eq!(watcher.events, numbers, "each event once");
    }
}

#[test]
fn a_cursor_of_an_earlier_server_gets_a_resync() {
    let mut lab = Lab::bare();
    lab.device();
    let corpus = lab.owner().add_corpus("walk");
    let run = lab.owner().start_run(&speck(&corpus, 1_000_000));
    let mut watcher = Watcher::begin(&lab.owner(), &run);
    watcher.follow(30, |tick| tick.summary.step > 50);
    let seen = watcher.losses.last().unwrap().0;
    lab.kill_server();
    lab.start();
    let owner = lab.owner();
    for since in [watcher.cursor, Cursor { epoch: 0, tick: 0 }, Cursor { epoch: u64::MAX, tick: 9 }] {
        assert!(gets_resync(&lab, &run, since), "{since:?}");
    }
    // A new watcher follows the same run from a later step.
    let mut again = Watcher::begin(&owner, &run);
    again.follow(30, |tick| tick.summary.step > seen + 50);
    let stored_before =
        owner.curve(&run, "loss.train").iter().filter(|(step, _)| *step < again.losses[0].0).count() as u64;
    assert_eq!(stored_before, again.losses[0].0, "no step is missing between the store and the stream");
    owner.steer(&run, &json!({"kind": "stop"}));
}

fn gets_resync(lab: &Lab, run: &str, since: Cursor) -> bool {
    let mut socket = Socket::open(&lab.owner(), "live", &[]).unwrap();
    socket.send(&FromPage::WatchRun { run: run.parse().unwrap(), since });
    let until = given_up_after(5);
    let mut received = std::iter::from_fn(|| socket.receive::<ToPage>(until));
    received.any(|message| matches!(message, ToPage::Resync { run: of } if of.as_str() == run))
}

#[test]
fn the_lab_page_receives_new_runs_and_devices() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let corpus = owner.add_corpus("walk");
    let mut socket = Socket::open(&owner, "live", &[]).unwrap();
    socket.send(&FromPage::WatchLab);
    let run = owner.start_run(&speck(&corpus, 200));
    let until = given_up_after(30);
    let mut states = vec![];
    while states.last() != Some(&RunState::Finished) {
        let message = socket.receive::<ToPage>(until).unwrap_or_else(|| panic!("only {states:?} were received"));
        if let ToPage::Lab(state) = message {
            let entry = state.runs.iter().find(|summary| summary.id.as_str() == run);
            states.extend(entry.map(|entry| entry.state));
            assert!(state.devices.iter().any(|device| device.is_connected));
        }
    }
    let sparkline = owner.summary(&run).sparkline;
    assert!(sparkline.len() >= 10 && sparkline.first() > sparkline.last(), "{sparkline:?}");
}
