//! Killed processes: no report is lost or stored twice.

use scenarios::watch::{count, speck, with};
use scenarios::{Client, Lab, pause_ms, wait_for};
use serde_json::json;
use testing::Random;
use wire::{Event, RunState};

use crate::kills::kills;

/// Every series of a finished run has each step once, and the journal each event once.
fn check_nothing_lost_or_doubled(client: &Client, run: &str, steps: u64) {
    for name in ["loss.train", "grad_norm", "learning_rate", "tokens", "secs", "step_ms"] {
        client.check_complete(run, name, steps);
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
    assert_eq!(commands.len(), distinct.len(), "no command is in the journal twice");
}

#[test]
fn the_server_is_killed_repeatedly_and_the_worker_trains_on() {
    let kills = kills() + 2;
    let steps = 1200 * kills;
    let mut lab = Lab::bare();
    lab.device();
    let corpus = lab.owner().add_corpus("walk");
    let run = lab.owner().start_run(&with(speck(&corpus, steps), &[("batch.size", json!(8))]));
    lab.owner().wait_step(&run, 30, 20);
    let worker = lab.worker_pid();
    let mut random = Random::new(testing::fresh_seed());
    let mut notes = 0;
    for _ in 0..kills {
        pause_ms(random.below(700));
        lab.kill_server();
        pause_ms(random.below(500));
        lab.start();
        // The worker reconnects, and commands reach it again.
        wait_for("a command to be accepted", 20, || {
            let note = json!({"kind": "annotate", "text": format!("note {notes}")});
            let answer = lab.owner().post(&format!("/runs/{run}/commands"), &note);
            (answer.status == 200).then_some(())
        });
        notes += 1;
    }
    let before = lab.owner().summary(&run);
    eprintln!("after {kills} kills at step {} of {steps}", before.step);
    assert_eq!(lab.worker_pid(), worker, "the same worker all the time");
    lab.owner().wait_state(&run, 90 + 10 * kills, RunState::Finished);
    assert_eq!(lab.worker_pid(), worker);
    check_nothing_lost_or_doubled(&lab.owner(), &run, steps);
    assert!(count(&lab.owner().journal(&run), "annotated") >= notes);
}

#[test]
fn a_worker_trains_on_without_a_server_and_delivers_everything_to_the_next() {
    const STEPS: u64 = 3000;
    let mut lab = Lab::bare();
    lab.device();
    let corpus = lab.owner().add_corpus("walk");
    let run = lab.owner().start_run(&speck(&corpus, STEPS));
    let before = lab.owner().wait_step(&run, 30, 50).step;
    let worker = lab.worker_pid();
    let status = lab.stop_server();
    assert!(status.success(), "{status}");
    // The run ends without a server; its reports wait on disk.
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
    wait_for("the spool to be removed", 10, || (!spool.exists()).then_some(()));
}

#[test]
fn the_queue_continues_after_a_worker_is_killed() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let corpus = owner.add_corpus("walk");
    let lost_run = owner.start_run(&with(speck(&corpus, 1_000_000), &[("budget.restarts", json!(0))]));
    let next = owner.start_run(&speck(&corpus, 300));
    owner.wait_step(&lost_run, 30, 20);
    assert_eq!(owner.summary(&next).state, RunState::Queued);
    let first_worker = lab.worker_pid();
    lab.kill_worker();
    let lost = owner.wait_state(&lost_run, 15, RunState::Lost);
    let message = lost.message.clone().unwrap_or_default();
    assert!(message.contains("died") && message.contains("resume"), "{message:?}");
    assert!(matches!(&owner.journal(&lost_run).last().unwrap().event, Event::Lost { .. }));
    owner.check_complete(&lost_run, "loss.train", lost.step);

    owner.wait_state(&next, 60, RunState::Finished);
    check_nothing_lost_or_doubled(&owner, &next, 300);
    let second_worker = lab.worker_pid();
    assert!(second_worker.is_some() && second_worker != first_worker, "{first_worker:?} {second_worker:?}");
    assert!(lab.device().run.is_none(), "the device is free again");
}

#[test]
fn a_worker_that_dies_while_the_server_is_down_is_noticed() {
    let mut lab = Lab::bare();
    lab.device();
    let corpus = lab.owner().add_corpus("walk");
    let run = lab.owner().start_run(&with(speck(&corpus, 1_000_000), &[("budget.restarts", json!(0))]));
    lab.owner().wait_step(&run, 30, 50);
    lab.kill_server();
    pause_ms(300);
    lab.kill_worker();
    lab.start();
    let lost = lab.owner().wait_state(&run, 20, RunState::Lost);
    // The next worker delivers the reports that the dead one left on disk.
    lab.device();
    wait_for("the spool to be delivered", 20, || (!lab.data().join("spool").join(&run).exists()).then_some(()));
    let steps = lab.owner().curve(&run, "loss.train").len() as u64;
    assert!(steps >= lost.step && steps > 50, "{steps} of {}", lost.step);
    lab.owner().check_complete(&run, "loss.train", steps);
}
