//! Ending a lab on purpose: Ctrl-C once and twice, `kindling status`, `kindling stop`.

use scenarios::watch::speck;
use scenarios::{Lab, wait_for};
use serde_json::json;
use wire::RunState;

/// A lab that trains a run for longer than a test takes.
fn training() -> (Lab, String) {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let corpus = owner.add_corpus("walk");
    let run = owner.start_run(&speck(&corpus, 1_000_000));
    owner.wait_step(&run, 30, 5);
    (lab, run)
}

fn said(lab: &Lab, subcommand: &str) -> String {
    let output = lab.run(subcommand, &[]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The suspended run is resumed by the next server and trains from the step at which it was suspended.
fn goes_on(lab: &mut Lab, run: &str) {
    lab.start();
    let owner = lab.owner();
    lab.device();
    let suspended = owner.wait_state(run, 30, RunState::Suspended).step;
    assert!(suspended >= 5, "suspended at step {suspended}");
    owner.steer(run, &json!({"kind": "resume"}));
    owner.wait_step(run, suspended + 3, 60);
}

#[test]
fn a_first_ctrl_c_names_the_runs_and_a_second_one_suspends_them() {
    let (mut lab, run) = training();
    lab.interrupt_server();
    wait_for("what to do", 5, || lab.log().contains("kindling stop --data").then_some(()));
    assert!(lab.log().contains(&run), "{}", lab.log());
    lab.interrupt_server();
    assert!(lab.wait_server(30).success());
    wait_for("the worker to end", 10, || lab.worker_pid().is_none().then_some(()));
    goes_on(&mut lab, &run);
}

#[test]
fn after_one_ctrl_c_the_run_continues_without_the_server_until_it_is_stopped() {
    let (mut lab, run) = training();
    lab.interrupt_server();
    assert!(lab.wait_server(20).success());
    let status = said(&lab, "status");
    let pid = lab.worker_pid().expect("the worker trains on");
    assert!(status.contains("Server: none") && status.contains(&format!("Worker of cpu: process {pid}")), "{status}");
    assert!(status.contains(&run) && status.contains("when the server last stored reports"), "{status}");
    let stopped = said(&lab, "stop");
    assert!(stopped.contains(&format!("Worker of cpu (process {pid}) has ended.")), "{stopped}");
    assert!(stopped.contains(&format!("Run {run}: its last reports are stored when a server starts")), "{stopped}");
    assert!(lab.worker_pid().is_none());
    assert!(said(&lab, "stop").contains("No process of this lab runs on this machine."));
    goes_on(&mut lab, &run);
}

#[test]
fn stop_ends_the_server_and_suspends_its_runs() {
    let (mut lab, run) = training();
    let status = said(&lab, "status");
    assert!(status.contains(&format!("Server: process {}, http", lab.server_pid())), "{status}");
    assert!(status.contains(&format!("Run {run} ")) && status.contains("running on cpu"), "{status}");
    let stopped = said(&lab, "stop");
    assert!(stopped.contains(&format!("Run {run}: suspended; resume it after `kindling serve`.")), "{stopped}");
    lab.wait_server(1);
    assert!(lab.worker_pid().is_none());
    goes_on(&mut lab, &run);
}

#[test]
fn a_folder_without_a_lab_is_named() {
    let lab = Lab::bare();
    let empty = tempfile::tempdir().unwrap();
    for subcommand in ["status", "stop"] {
        let output = lab.run_in(empty.path(), subcommand, &[]);
        assert!(
            !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("contains no lab"),
            "{output:?}"
        );
    }
}
