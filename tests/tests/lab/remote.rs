//! Workers of other machines: nothing is copied to them by hand, and what they have saved survives them.

use std::time::{Duration, Instant};

use scenarios::machine::Machine;
use scenarios::network::{Network, Weather};
use scenarios::text::sentences;
use scenarios::watch::{count, speck, with};
use scenarios::{Client, Lab, pause_ms, wait_for};
use serde_json::{Value, json};
use testing::Random;
use wire::control::checkpoint::CheckpointView;
use wire::data::corpus::CorpusInfo;
use wire::device::DeviceView;
use wire::{EventRecord, RunState};

use crate::disk::SmallDisk;
use crate::kills::kills;
use crate::resume::{check_same, restarting};

/// A server that trains nothing itself and gives a lost worker up after two seconds.
fn lab() -> Lab {
    Lab::bare_with(&["--no-workers", "--worker-timeout", "2"])
}

const POOL: &str = "far";

/// A machine with an empty folder that joins the pool through an address and trains.
fn machine(lab: &Lab, name: &str, address: &str) -> Machine {
    start(lab, Machine::new(name), address)
}

fn start(lab: &Lab, mut machine: Machine, address: &str) -> Machine {
    machine.start(address, POOL, Some(&lab.join_token(POOL, json!({"uses": 1})).text));
    machine
}

/// A spec for the first free machine of the pool.
fn of_pool(mut spec: Value) -> Value {
    spec["pool"] = json!(POOL);
    spec
}

fn checkpoints(client: &Client, run: &str) -> Vec<CheckpointView> {
    client.get(&format!("/runs/{run}/checkpoints")).read()
}

/// Waits until the files of all checkpoints of a run are on the server.
fn wait_uploaded(client: &Client, run: &str) -> Vec<CheckpointView> {
    wait_for("the checkpoints to be uploaded", 20, || {
        Some(checkpoints(client, run)).filter(|all| !all.is_empty() && all.iter().all(|view| view.is_available))
    })
}

#[test]
fn a_machine_with_an_empty_folder_trains_on_a_dataset_of_the_lab() {
    let lab = lab();
    let owner = lab.owner();
    let walk = owner.add_corpus("walk");
    let other: CorpusInfo = owner.upload("name=other", sentences(2, 20_000).as_bytes()).read();
    let machine = machine(&lab, "box", &lab.address());
    // One dataset with a tokenizer made of it and with one that has no file, and a mix with a tokenizer made of both.
    let single = speck(&walk, 120);
    let mut with_tokenizer = single.clone();
    with_tokenizer["tokenizer"] = json!("byte");
    let mut mixed = speck(&walk, 120);
    mixed.as_object_mut().unwrap().remove("corpus");
    mixed["mix"] = json!({walk.as_str(): 1.0, other.id.as_str(): 3.0});
    mixed["tokenizer"] = json!("bpe-300");
    let runs = [single.clone(), with_tokenizer, mixed, single].map(|spec| owner.start_run(&of_pool(spec)));
    for run in &runs {
        owner.wait_state(run, 60, RunState::Finished);
        owner.check_complete(run, "loss.train", 120);
    }
    assert_eq!(machine.folders("datasets").len(), 3, "the fourth run uses the dataset of the first");
    assert!(machine.folders("corpora").is_empty());

    // What the machine saved can be used here, also without it.
    let saved = wait_uploaded(&owner, &runs[0]);
    drop(machine);
    let id = saved.last().unwrap().info.id;
    let completion = json!({"run": runs[0], "checkpoint": id, "prompt": "the river", "tokens": 5});
    assert_eq!(owner.post("/completions", &completion).status, 200);
    let inspection = json!({"inspection": {"embedding": {}}, "checkpoint": id});
    assert_eq!(owner.post(&format!("/runs/{}/inspections", runs[0]), &inspection).status, 200);
    let archive = owner.get(&format!("/runs/{}/archive", runs[0]));
    assert!(archive.status == 200 && archive.body.len() as u64 > saved.last().unwrap().info.bytes);
}

#[test]
fn a_run_whose_worker_and_folder_are_gone_continues_exactly_on_another_machine() {
    let (lab, mut random) = (lab(), Random::new(testing::fresh_seed()));
    let owner = lab.owner();
    let mut present = machine(&lab, "box-0", &lab.address());
    let spec = of_pool(restarting(&owner.add_corpus("walk"), 600 * (kills() + 2)));
    let reference = owner.start_run(&spec);
    owner.wait_state(&reference, 60 + 10 * kills(), RunState::Finished);
    let run = owner.start_run(&spec);
    let mut killed = 0;
    for number in 1..=kills() {
        let step = owner.summary(&run).step;
        // Sometimes before it has begun, mostly while it trains.
        if random.below(4) > 0 {
            owner.wait_until(&run, 60, "a next step", |run| run.step > step || run.state == RunState::Finished);
        }
        pause_ms(random.below(500));
        if owner.summary(&run).state.is_over() {
            break;
        }
        present.destroy();
        killed += usize::from(owner.summary(&run).state.is_live());
        present = machine(&lab, &format!("box-{number}"), &lab.address());
        wait_for("the run to be queued again", 30, || (count(&owner.journal(&run), "lost") >= killed).then_some(()));
    }
    let done = owner.wait_state(&run, 120 + 10 * kills(), RunState::Finished);
    eprintln!("killed {killed} times; {}", continued(&owner.journal(&run)));
    check_same(&owner, &run, &reference);
    let journal = owner.journal(&run);
    assert_eq!((count(&journal, "lost"), done.restarts as usize), (killed, killed), "one event for each");
    wait_uploaded(&owner, &run);
}

/// Waits until the worker of a device is connected.
fn wait_connected(client: &Client, device: &str) {
    wait_for("a worker to connect", 20, || {
        let devices: Vec<DeviceView> = client.get("/devices").read();
        devices.iter().any(|view| view.info.id.as_str() == device && view.is_connected).then_some(())
    });
}

#[test]
fn a_machine_that_was_out_of_reach_releases_the_run_that_continued_elsewhere() {
    let lab = lab();
    let owner = lab.owner();
    let spec = of_pool(restarting(&owner.add_corpus("walk"), 3_000));
    let network = Network::before(&lab.address());
    let away = machine(&lab, "away", &network.address());
    let reference = owner.start_run(&spec);
    owner.wait_state(&reference, 60, RunState::Finished);
    let run = owner.start_run(&spec);
    owner.wait_step(&run, 30, 300);
    network.set(Weather::Stalled);
    network.cut();
    let _near = machine(&lab, "near", &lab.address());
    owner.wait_until(&run, 30, "the other machine to train", |run| run.device.as_str() == "near" && run.step > 400);
    network.set(Weather::Clear);
    wait_connected(&owner, "away");
    owner.wait_state(&run, 60, RunState::Finished);
    check_same(&owner, &run, &reference);
    let journal = owner.journal(&run);
    assert_eq!((count(&journal, "lost"), count(&journal, "stopped")), (1, 0));
    wait_for("the reports of the first machine to be dropped", 20, || away.folders("spool").is_empty().then_some(()));
    let devices: Vec<DeviceView> = owner.get("/devices").read();
    assert!(devices.iter().all(|view| view.run.is_none()), "{devices:?}");
}

/// Where a run continued each time.
fn continued(journal: &[EventRecord]) -> String {
    let from = journal.iter().filter_map(|record| match &record.event {
        wire::Event::Continued { checkpoint, recorded, .. } => {
            Some(format!("at {recorded} from {:?}", checkpoint.map(|id| id.step)))
        }
        _ => None,
    });
    from.collect::<Vec<_>>().join(", ")
}

/// Seconds for which the network misbehaves: 20, or as many as `KINDLING_NETWORK_SECS` says.
fn bad_secs() -> u64 {
    std::env::var("KINDLING_NETWORK_SECS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

#[test]
fn no_point_is_lost_or_doubled_on_a_bad_network_and_stop_is_answered_at_once_on_a_good_one() {
    let lab = Lab::bare_with(&["--no-workers", "--worker-timeout", "600"]);
    let owner = lab.owner();
    let corpus = owner.add_corpus("walk");
    let network = Network::before(&lab.address());
    let _machine = machine(&lab, "box", &network.address());
    let bad = network.misbehave(Random::new(testing::fresh_seed()), bad_secs());
    let mut runs = vec![];
    while !bad.is_finished() {
        let spec = with(speck(&corpus, 1_500), &[("intervals.checkpoint_every", json!(300))]);
        let run = owner.start_run(&of_pool(spec));
        wait_for("a run on a bad network", 60 + bad_secs(), || {
            (owner.summary(&run).state == RunState::Finished || bad.is_finished()).then_some(())
        });
        runs.push(run);
    }
    eprintln!("{} runs through {} changes of the weather", runs.len(), bad.join().unwrap());
    for run in &runs {
        owner.wait_state(run, 60, RunState::Finished);
        owner.check_complete(run, "loss.train", 1_500);
        let journal = owner.journal(run);
        assert_eq!((count(&journal, "started"), count(&journal, "finished"), count(&journal, "lost")), (1, 1, 0));
        wait_uploaded(&owner, run);
    }

    let long = owner.start_run(&of_pool(speck(&corpus, 10_000_000)));
    owner.wait_step(&long, 30, 10);
    network.cut();
    network.set(Weather::Stalled);
    pause_ms(1_000);
    network.set(Weather::Clear);
    wait_connected(&owner, "box");
    let began = Instant::now();
    owner.steer(&long, &json!({"kind": "stop"}));
    let took = began.elapsed();
    eprintln!("Stop was answered after {:.2} s", took.as_secs_f64());
    assert!(took < Duration::from_secs(10), "{took:?}");
    owner.wait_state(&long, 10, RunState::Stopped);
}

#[test]
fn a_run_that_fetches_its_dataset_says_so_and_can_be_stopped() {
    let lab = lab();
    let owner = lab.owner();
    let corpus: CorpusInfo = owner.upload("name=large", sentences(3, 12_000_000).as_bytes()).read();
    let network = Network::before(&lab.address());
    let machine = machine(&lab, "box", &network.address());
    wait_connected(&owner, "box");
    network.set(Weather::Throttled(400_000));
    let run = owner.start_run(&of_pool(speck(corpus.id.as_str(), 50)));
    let shown = owner.wait_until(&run, 60, "the progress", |run| {
        run.message.as_ref().is_some_and(|message| message.starts_with("fetching large: "))
    });
    assert!(shown.message.unwrap().ends_with(" MB"));
    let began = Instant::now();
    owner.steer(&run, &json!({"kind": "stop"}));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    owner.wait_state(&run, 10, RunState::Stopped);
    assert!(machine.folders("datasets").is_empty());
    // The rest is fetched when it is resumed, through a connection that is cut.
    network.set(Weather::Throttled(6_000_000));
    owner.steer(&run, &json!({"kind": "resume"}));
    pause_ms(700);
    network.cut();
    owner.wait_state(&run, 60, RunState::Finished);
}

#[test]
fn a_full_disk_of_the_machine_is_named_and_no_partial_dataset_is_left() {
    let mount_point = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(mount_point.path(), 6_000_000) else {
        eprintln!("NOT RUN: this process may not mount a small disk");
        return;
    };
    let lab = lab();
    let owner = lab.owner();
    let corpus: CorpusInfo = owner.upload("name=large", sentences(3, 8_000_000).as_bytes()).read();
    let machine = Machine::new("box").with_data(&mount_point.path().join("data"));
    let machine = start(&lab, machine, &lab.address());
    let run = owner.start_run(&of_pool(speck(corpus.id.as_str(), 50)));
    let said = owner.wait_state(&run, 60, RunState::Failed).message.unwrap();
    assert!(said.contains("is full: large needs") && said.contains("free some space"), "{said}");
    let left = std::fs::read_dir(machine.data().join("datasets")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    assert_eq!(left, Vec::<std::path::PathBuf>::new());
    drop(machine);
    drop(disk);
}
