//! Killed processes: whatever dies, nothing that was reported is lost or counted twice.

use serde_json::json;
use stories::watch::{count, speck, with};
use stories::{Client, Lab, pause_ms, wait_for};
use wire::{Event, RunState};

use crate::chance::{Random, kills};

/// Every curve of a finished run has each of its steps once, and the journal each happening once.
fn check_nothing_lost_or_doubled(client: &Client, run: &str, steps: u64) {
    for name in ["loss.train", "grad_norm", "rate", "tokens", "secs", "step_ms"] {
        client.check_whole(run, name, steps);
    }
    let evaluations = client.curve(run, "loss.valid");
    let expected: Vec<u64> =
        (1..=steps).filter(|step| step % 100 == 0 || *step == steps).map(|step| step - 1).collect();
    assert_eq!(evaluations.iter().map(|(step, _)| *step).collect::<Vec<_>>(), expected);
    let journal = client.journal(run);
    assert_eq!(
        (count(&journal, "started"), count(&journal, "finished"), count(&journal, "evaluated")),
        (1, 1, expected.len())
    );
    let commands: Vec<u64> = journal.iter().filter_map(|record| record.command_id).collect();
    let distinct: std::collections::BTreeSet<u64> = commands.iter().copied().collect();
    assert_eq!(commands.len(), distinct.len(), "no command is written down twice");
}

#[test]
fn the_server_is_killed_again_and_again_and_the_worker_never_stops() {
    let kills = kills() + 2;
    let steps = 1200 * kills;
    let mut lab = Lab::bare();
    lab.device();
    let corpus = lab.owner().bring("walk");
    let run = lab.owner().start_run(&with(speck(&corpus, steps), &[("batch.rows", json!(8))]));
    lab.owner().wait_step(&run, 30, 20);
    let worker = lab.worker_pid();
    let mut random = Random::new();
    let mut notes = 0;
    for _ in 0..kills {
        pause_ms(random.below(700));
        lab.kill_server();
        pause_ms(random.below(500));
        lab.start();
        // Sooner or later the worker is back, and commands reach it again.
        wait_for("a command to be taken", 20, || {
            let note = json!({"kind": "annotate", "text": format!("note {notes}")});
            let answer = lab.owner().post(&format!("/runs/{run}/commands"), &note);
            (answer.status == 200).then_some(())
        });
        notes += 1;
    }
    let before = lab.owner().summary(&run);
    eprintln!("after {kills} kills at step {} of {steps}", before.step);
    assert_eq!(lab.worker_pid(), worker, "one worker, from beginning to end");
    lab.owner().wait_state(&run, 90 + 10 * kills, RunState::Finished);
    assert_eq!(lab.worker_pid(), worker);
    check_nothing_lost_or_doubled(&lab.owner(), &run, steps);
    assert!(count(&lab.owner().journal(&run), "annotated") >= notes);
}

#[test]
fn the_server_is_stopped_the_worker_trains_on_and_everything_is_there_afterwards() {
    const STEPS: u64 = 3000;
    let mut lab = Lab::bare();
    lab.device();
    let corpus = lab.owner().bring("walk");
    let run = lab.owner().start_run(&speck(&corpus, STEPS));
    let before = lab.owner().wait_step(&run, 30, 50).step;
    let worker = lab.worker_pid();
    let status = lab.stop_server();
    assert!(status.success(), "{status}");
    // With nobody to watch, the run ends in its own time; what it has to say waits on disk.
    let spool = lab.data().join("spool").join(&run);
    let mut sizes = (0, 0);
    wait_for("the spool to stop growing", 60, || {
        let size = std::fs::metadata(spool.join("log")).map_or(0, |file| file.len());
        sizes = (sizes.1, size);
        pause_ms(700);
        (size > 0 && sizes.0 == size).then_some(())
    });
    assert_eq!(lab.worker_pid(), worker, "it waits for the next server");
    lab.start();
    let after = lab.owner().wait_state(&run, 30, RunState::Finished);
    assert!(before < STEPS && after.step == STEPS, "{before} {}", after.step);
    check_nothing_lost_or_doubled(&lab.owner(), &run, STEPS);
    wait_for("the spool to be taken away", 10, || (!spool.exists()).then_some(()));
}

#[test]
fn a_killed_worker_loses_its_run_and_not_its_queue() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let corpus = owner.bring("walk");
    let doomed = owner.start_run(&with(speck(&corpus, 1_000_000), &[("keep.restarts", json!(0))]));
    let next = owner.start_run(&speck(&corpus, 300));
    owner.wait_step(&doomed, 30, 20);
    assert_eq!(owner.summary(&next).state, RunState::Queued);
    let first_worker = lab.worker_pid();
    lab.kill_worker();
    let lost = owner.wait_state(&doomed, 15, RunState::Lost);
    let message = lost.message.clone().unwrap_or_default();
    assert!(message.contains("died") && message.contains("kept"), "{message:?}");
    assert!(matches!(&owner.journal(&doomed).last().unwrap().event, Event::Lost { .. }));
    owner.check_whole(&doomed, "loss.train", lost.step);

    owner.wait_state(&next, 60, RunState::Finished);
    check_nothing_lost_or_doubled(&owner, &next, 300);
    let second_worker = lab.worker_pid();
    assert!(second_worker.is_some() && second_worker != first_worker, "{first_worker:?} {second_worker:?}");
    assert!(lab.device().run.is_none(), "the device is free again");
}

#[test]
fn a_worker_that_dies_while_the_server_is_away_is_noticed_too() {
    let mut lab = Lab::bare();
    lab.device();
    let corpus = lab.owner().bring("walk");
    let run = lab.owner().start_run(&with(speck(&corpus, 1_000_000), &[("keep.restarts", json!(0))]));
    lab.owner().wait_step(&run, 30, 50);
    lab.kill_server();
    pause_ms(300);
    lab.kill_worker();
    lab.start();
    let lost = lab.owner().wait_state(&run, 20, RunState::Lost);
    // What the dead worker had left on disk is brought in by the next one.
    lab.device();
    wait_for("the spool to be delivered", 20, || (!lab.data().join("spool").join(&run).exists()).then_some(()));
    let steps = lab.owner().curve(&run, "loss.train").len() as u64;
    assert!(steps >= lost.step && steps > 50, "{steps} of {}", lost.step);
    lab.owner().check_whole(&run, "loss.train", steps);
}
