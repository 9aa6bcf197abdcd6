//! Machines join a lab with a token of a pool, train its runs, and leave no secret where other users could read it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use scenarios::machine::Machine;
use scenarios::watch::speck;
use scenarios::{Client, Lab, pause_ms, wait_for};
use serde_json::json;
use wire::RunState;
use wire::fleet::{WorkerLog, WorkerView};

const POOL: &str = "gpu-lab";

fn workers(owner: &Client) -> Vec<WorkerView> {
    owner.get("/workers").read()
}

fn wait_connected(owner: &Client, count: usize) -> Vec<WorkerView> {
    wait_for("the workers to connect", 10, || {
        let connected: Vec<WorkerView> = workers(owner).into_iter().filter(|worker| worker.is_connected).collect();
        (connected.len() == count).then_some(connected)
    })
}

/// What other processes of this user can read of a process: its command line, and its environment if the system allows it.
fn readable(pid: u32) -> Vec<u8> {
    let of = |file| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    [of("cmdline"), of("environ")].concat()
}

fn contains(text: &[u8], secret: &str) -> bool {
    text.windows(secret.len()).any(|part| part == secret.as_bytes())
}

#[test]
fn three_machines_join_at_once_and_their_secrets_are_nowhere_to_read() {
    let mut lab = Lab::bare();
    let (owner, address) = (lab.owner(), lab.address());
    lab.device();
    let token = lab.join_token(POOL, json!({"uses": 3}));
    let mut machines: Vec<Machine> = (1..=3).map(|number| Machine::new(&format!("box-{number}"))).collect();
    let began = Instant::now();
    machines.iter_mut().for_each(|machine| machine.start(&address, POOL, Some(&token.text)));
    let connected = wait_connected(&owner, 4);
    eprintln!("three workers are connected after {:.2} s", began.elapsed().as_secs_f64());
    assert!(connected.iter().filter(|worker| worker.pool == POOL).all(|worker| worker.name.starts_with("box-")));
    assert_eq!(connected[0].pool, "local");

    let pids = [lab.server_pid(), lab.worker_pid().unwrap()];
    let pids = pids.into_iter().chain(machines.iter().map(Machine::pid));
    let mut texts: Vec<Vec<u8>> = pids.clone().map(readable).collect();
    assert!(texts.iter().all(|text| contains(text, "kindling")), "the command lines are readable");
    texts.push(lab.log().into_bytes());
    texts.extend(machines.iter().map(|machine| machine.log().into_bytes()));
    texts.push(owner.get("/workers").body);
    let secrets = machines.iter().map(Machine::own_token).chain([token.text.clone()]);
    for secret in secrets {
        assert!(secret.len() == 64 && !texts.iter().any(|text| contains(text, &secret)));
    }
    for pid in pids {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "core dumps are disabled");
    }
    let mode = fs::metadata(machines[0].credentials()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // Refusals, each with its reason.
    let fourth = Machine::new("box-4");
    let refused = |pool: &str, token: Option<&str>, words: &[&str]| {
        let message = fourth.refused(&address, pool, token);
        words.iter().for_each(|word| assert!(message.contains(word), "{word:?} is not in {message}"));
    };
    refused(POOL, Some(&token.text), &["is used up: 3 workers", "Fleet page"]);
    let revoked = lab.join_token(POOL, json!({}));
    refused("others", Some(&revoked.text), &["to the pool gpu-lab, not to others"]);
    assert_eq!(owner.delete(&format!("/join-tokens/{}", revoked.token.id)).status, 204);
    refused(POOL, Some(&revoked.text), &["was revoked"]);
    refused(POOL, Some("guess"), &["is unknown"]);
    refused(POOL, None, &["has not joined the pool gpu-lab", "--token-file"]);
    let message = fourth.refused("127.0.0.1:1", POOL, Some("guess"));
    assert!(message.contains("no server answers at http://127.0.0.1:1"), "{message}");

    // A restarted machine needs no join token; a restarted server ends no worker of another machine.
    machines[0].stop();
    wait_connected(&owner, 3);
    machines[0].start(&address, POOL, None);
    wait_connected(&owner, 4);
    lab.stop_server();
    lab.start();
    wait_connected(&owner, 4);

    // A worker that is removed ends, and does not come back by itself.
    let id = workers(&owner).into_iter().find(|worker| worker.name == "box-1").unwrap().id;
    assert_eq!(owner.delete(&format!("/workers/{id}")).status, 204);
    assert!(machines[0].wait(10));
    let message = machines[0].refused(&address, POOL, None);
    assert!(message.contains("401") && message.contains("removed"), "{message}");
}

#[test]
fn a_run_for_an_empty_pool_waits_and_starts_when_a_machine_joins() {
    let lab = Lab::bare();
    let (owner, address) = (lab.owner(), lab.address());
    lab.device();
    let token = lab.join_token(POOL, json!({}));
    let corpus = owner.add_corpus("walk");
    let of_pool = |steps: u64| {
        let mut spec = speck(&corpus, steps);
        spec["pool"] = json!(POOL);
        owner.start_run(&spec)
    };
    let waits = |run: &str, end: &str| {
        owner.wait_until(run, 10, end, |run| run.waits.as_ref().is_some_and(|waits| waits.ends_with(end)))
    };
    let run = of_pool(200);
    waits(&run, "First in the queue of pool gpu-lab, which has no worker yet: add one on the Fleet page.");
    let mut machine = Machine::new("box-1");
    machine.start(&address, POOL, Some(&token.text));
    let trained = owner.wait_state(&run, 30, RunState::Finished);
    assert_eq!((trained.device.as_str(), trained.waits), ("box-1", None));
    owner.check_complete(&run, "loss.train", 200);

    let worker = workers(&owner).into_iter().find(|worker| worker.pool == POOL).unwrap();
    let path = format!("/workers/{}", worker.id);
    assert_eq!(owner.json("PATCH", &path, &json!({"is_draining": true})).status, 200);
    let second = of_pool(20);
    waits(&second, "whose workers are draining and take no runs: let one take runs again on the Fleet page.");
    pause_ms(300);
    assert_eq!(owner.summary(&second).state, RunState::Queued);
    assert_eq!(owner.json("PATCH", &path, &json!({"is_draining": false})).status, 200);
    owner.wait_state(&second, 30, RunState::Finished);
    let log = wait_for("the log of the worker", 10, || {
        let WorkerLog { lines } = owner.get(&format!("{path}/log")).read();
        lines.iter().any(|line| line.contains("training") && line.contains(&run)).then_some(lines)
    });
    assert!(log.iter().any(|line| line.contains("linked to")), "{log:?}");
}
