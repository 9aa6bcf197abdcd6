//! The folder and its disk: in use, removed, full.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use scenarios::watch::{count, speck, with};
use scenarios::{Lab, pause_ms, wait_for};
use serde_json::json;
use wire::RunState;

#[test]
fn a_second_server_on_a_folder_is_refused_with_the_process_that_uses_it() {
    let lab = Lab::bare();
    let output = lab.run("serve", &["--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && output.stdout.is_empty());
    for words in [lab.data().to_str().unwrap(), &lab.server_pid().to_string(), &lab.address(), "--data"] {
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
    assert_eq!(lab.owner().get("/me").status, 200, "the first server continues");
}

#[test]
fn a_port_in_use_is_named_with_a_hint() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let lab = Lab::bare();
    let elsewhere = tempfile::tempdir().unwrap();
    let output = Command::new(scenarios::lab::program())
        .args(["serve", "--listen", &address, "--data"])
        .arg(elsewhere.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
    drop(lab);
}

#[test]
fn a_removed_run_folder_is_named_and_other_runs_are_unaffected() {
    let mut lab = Lab::bare();
    lab.device();
    let corpus = lab.owner().add_corpus("walk");
    let spec = speck(&corpus, 120);
    let runs: Vec<String> = (0..3).map(|_| lab.owner().start_run(&spec)).collect();
    runs.iter().for_each(|run| drop(lab.owner().wait_state(run, 60, RunState::Finished)));
    let remove = |lab: &Lab, run: &str| fs::remove_dir_all(lab.data().join("series").join(run)).unwrap();
    let check_gone = |lab: &Lab, run: &str| {
        let owner = lab.owner();
        for path in ["series?names=loss.train", "series/names"] {
            owner.get(&format!("/runs/{run}/{path}")).refused(410, "run_folder_missing", &[run, "removed", "backup"]);
        }
        assert_eq!(owner.summary(run).state, RunState::Finished, "the journal is still readable");
        assert_eq!(count(&owner.journal(run), "finished"), 1);
    };
    lab.owner().check_complete(&runs[0], "loss.train", 120);
    remove(&lab, &runs[0]);
    check_gone(&lab, &runs[0]);
    lab.stop_server();
    remove(&lab, &runs[1]);
    lab.start();
    check_gone(&lab, &runs[0]);
    check_gone(&lab, &runs[1]);
    lab.owner().check_complete(&runs[2], "loss.train", 120);
    assert_eq!(lab.owner().delete(&format!("/runs/{}", runs[0])).status, 200, "it can be deleted");
    lab.device();
    let another = lab.owner().start_run(&spec);
    lab.owner().wait_state(&another, 30, RunState::Finished);
    lab.owner().check_complete(&another, "loss.train", 120);
}

#[test]
fn a_run_whose_folder_is_removed_while_it_trains_shows_it_and_can_be_stopped() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let corpus = owner.add_corpus("walk");
    let run = owner.start_run(&speck(&corpus, 1_000_000));
    owner.wait_step(&run, 30, 20);
    let folder = lab.data().join("series").join(&run);
    // Renamed first: a folder that is being written to cannot be removed in one call.
    let aside = lab.data().join("removed");
    fs::rename(&folder, &aside).and_then(|()| fs::remove_dir_all(&aside)).unwrap();
    let said = owner.wait_until(&run, 15, "a message about the folder", |run| run.message.is_some()).message.unwrap();
    assert!(said.contains("removed") && said.contains(&run), "{said}");
    let next = owner.start_run(&speck(&corpus, 50));
    // The folder is restored, here an empty one, and the reports that the worker kept are stored.
    fs::create_dir(&folder).unwrap();
    owner.wait_until(&run, 20, "the message to disappear", |run| run.message.is_none());
    let command = json!({"kind": "stop"});
    wait_for("the run to be stopped", 20, || {
        (owner.post(&format!("/runs/{run}/commands"), &command).status == 200).then_some(())
    });
    owner.wait_state(&next, 30, RunState::Finished);
    owner.check_complete(&next, "loss.train", 50);
}

/// A disk in memory; `None` if this process may not mount.
pub(crate) struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    pub(crate) fn mount(at: &'a Path, bytes: u64) -> Option<Self> {
        let size = format!("size={bytes}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily, because a worker that was just killed may still have a file open.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_reported_and_nothing_is_lost() {
    let mount_point = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(mount_point.path(), 24_000_000) else {
        eprintln!("NOT RUN: this process may not mount a small disk");
        return;
    };
    let lab = Lab::bare_at(&mount_point.path().join("lab"));
    let owner = lab.owner();
    lab.device();
    let corpus = owner.add_corpus("walk");
    let run = owner.start_run(&with(speck(&corpus, 1_000_000), &[("intervals.stats_every", json!(0))]));
    owner.wait_step(&run, 30, 100);
    let ballast = mount_point.path().join("ballast");
    fill(&ballast);
    let shows_it = |run: &wire::RunSummary| {
        run.message.as_deref().is_some_and(|said| said.contains("full") || said.contains("No space"))
    };
    let is_noticed = || {
        let summary = owner.summary(&run);
        let is_in_journal = owner.get(&format!("/runs/{run}/events")).text().contains("paused: ");
        (shows_it(&summary) || is_in_journal).then_some(())
    };
    // The database may have room left in its pages, so the message may be on the run, in its journal, or in the log.
    wait_for("a message about the full disk", 30, || is_noticed().or_else(|| lab.log().contains("full").then_some(())));
    let refused = owner.upload("name=more", &vec![b'x'; 200_000]);
    assert!(refused.status >= 500, "{} {}", refused.status, refused.text());
    let said = refused.text();
    assert!(said.contains("space") || said.contains("full"), "{said}");
    pause_ms(1000);
    let reached = owner.summary(&run).step;

    fs::remove_file(&ballast).unwrap();
    owner.wait_step(&run, 60, reached + 100);
    wait_for("a command to be accepted", 30, || {
        (owner.post(&format!("/runs/{run}/commands"), &json!({"kind": "stop"})).status == 200).then_some(())
    });
    let ended = owner.wait_state(&run, 30, RunState::Stopped);
    owner.check_complete(&run, "loss.train", ended.step);
    assert_eq!(count(&owner.journal(&run), "stopped"), 1);
    drop(lab);
    drop(disk);
}

/// Writes until the disk is full.
fn fill(path: &Path) {
    use std::io::Write;

    let mut file = fs::File::create(path).unwrap();
    for size in [1_000_000, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}
