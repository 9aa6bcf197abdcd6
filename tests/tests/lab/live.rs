//! The live stream: many watch one run and see the same; whoever was away misses nothing or is told to start again.

use std::time::{Duration, Instant};

use serde_json::json;
use stories::socket::{Socket, Watcher};
use stories::watch::speck;
use stories::{Lab, pause_ms};
use wire::RunState;
use wire::live::{FromPage, ToPage};
use wire::run::Cursor;

#[test]
fn two_watchers_see_the_same_and_one_that_was_away_misses_nothing() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let corpus = owner.bring("walk");
    let run = owner.start_run(&speck(&corpus, 1500));
    let (mut one, mut two) = (Watcher::begin(&owner, &run), Watcher::begin(&owner, &run));
    one.follow(30, |tick| tick.summary.step > 300);
    two.follow(30, |tick| tick.summary.step > 200);
    // The second one's laptop sleeps for a while.
    pause_ms(500);
    two.reconnect(&owner, &run);
    let is_over = |tick: &wire::live::Tick| tick.summary.state == RunState::Finished;
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
        assert_eq!(watcher.losses, stored[first..], "what was seen is what is stored, each step once");
        let numbers: Vec<u64> = (watcher.events[0]..=owner.journal(&run).len() as u64).collect();
        assert_eq!(watcher.events, numbers, "each line of the journal once");
    }
}

#[test]
fn a_cursor_of_another_life_or_from_too_long_ago_is_told_to_start_again() {
    let mut lab = Lab::bare();
    lab.device();
    let corpus = lab.owner().bring("walk");
    let run = lab.owner().start_run(&speck(&corpus, 1_000_000));
    let mut watcher = Watcher::begin(&lab.owner(), &run);
    watcher.follow(30, |tick| tick.summary.step > 50);
    let seen = watcher.losses.last().unwrap().0;
    lab.kill_server();
    lab.start();
    let owner = lab.owner();
    for since in [watcher.cursor, Cursor { epoch: 0, tick: 0 }, Cursor { epoch: u64::MAX, tick: 9 }] {
        assert!(is_told_to_resync(&lab, &run, since), "{since:?}");
    }
    // Starting again shows the same run, further on.
    let mut again = Watcher::begin(&owner, &run);
    again.follow(30, |tick| tick.summary.step > seen + 50);
    let gone_before =
        owner.curve(&run, "loss.train").iter().filter(|(step, _)| *step < again.losses[0].0).count() as u64;
    assert_eq!(gone_before, again.losses[0].0, "nothing between what is stored and what is live");
    owner.steer(&run, &json!({"kind": "stop"}));
}

fn is_told_to_resync(lab: &Lab, run: &str, since: Cursor) -> bool {
    let mut socket = Socket::open(&lab.owner(), "live", &[]).unwrap();
    socket.say(&FromPage::WatchRun { run: run.parse().unwrap(), since });
    let until = Instant::now() + Duration::from_secs(5);
    let mut heard = std::iter::from_fn(|| socket.hear::<ToPage>(until));
    heard.any(|message| matches!(message, ToPage::Resync { run: told } if told.as_str() == run))
}

#[test]
fn the_lab_page_hears_of_new_runs_and_devices_by_itself() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let corpus = owner.bring("walk");
    let mut socket = Socket::open(&owner, "live", &[]).unwrap();
    socket.say(&FromPage::WatchLab);
    let run = owner.start_run(&speck(&corpus, 200));
    let until = Instant::now() + Duration::from_secs(30);
    let mut states = vec![];
    while states.last() != Some(&RunState::Finished) {
        let message = socket.hear::<ToPage>(until).unwrap_or_else(|| panic!("only {states:?} came"));
        if let ToPage::Lab(state) = message {
            let line = state.runs.iter().find(|summary| summary.id.as_str() == run);
            states.extend(line.map(|line| line.state));
            assert!(state.devices.iter().any(|device| device.is_connected));
        }
    }
    let sparkline = owner.summary(&run).sparkline;
    assert!(sparkline.len() >= 10 && sparkline.first() > sparkline.last(), "{sparkline:?}");
}
