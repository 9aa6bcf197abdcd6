//! The folder and its disk: in use, removed, full.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use scenarios::client::{Answer, Client};
use scenarios::text::{json_lines, sentences};
use scenarios::watch::{count, speck, with};
use scenarios::{Lab, pause_ms, wait_for};
use serde_json::{Value, json};
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
    wait_noticed(&lab, &run);
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

/// Waits until a full disk is noticed. The database may have room left in its pages, so the message may be on the run, in its journal, or in the
/// log.
fn wait_noticed(lab: &Lab, run: &str) {
    let owner = lab.owner();
    let names_it = |said: &str| said.contains("full") || said.contains("No space");
    wait_for("a message about the full disk", 30, || {
        let is_shown = owner.summary(run).message.is_some_and(|said| names_it(&said));
        let is_in_journal = || owner.get(&format!("/runs/{run}/events")).text().contains("paused: ");
        (is_shown || is_in_journal() || names_it(&lab.log())).then_some(())
    });
}

/// Writes until the disk is full.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for size in [1_000_000, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn a_disk_that_an_import_fills_to_the_last_byte_loses_nothing_and_keeps_no_half_import() {
    let mount_point = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(mount_point.path(), 64_000_000) else {
        eprintln!("NOT RUN: this process may not mount a small disk");
        return;
    };
    let lab = Lab::bare_at(&mount_point.path().join("lab"));
    let owner = lab.owner();
    lab.device();
    let sizes = [("model.d_model", json!(64)), ("model.d_ff", json!(256)), ("intervals.stats_every", json!(0))];
    let spec = |steps| with(speck("walk", steps), &sizes);
    owner.add_corpus("walk");
    let archived = owner.start_run(&with(spec(60), &[("intervals.checkpoint_every", json!(20))]));
    owner.wait_state(&archived, 30, RunState::Finished);
    let archive = owner.get(&format!("/runs/{archived}/archive")).body;
    let run = owner.start_run(&spec(1_000_000));
    owner.wait_step(&run, 30, 50);
    let imported = || imported_files(&lab, &run);
    let (before, ballast) = (imported(), mount_point.path().join("ballast"));
    let continues = || owner.wait_step(&run, 60, owner.summary(&run).step + 50);

    // The disk is full while the files of a dataset arrive.
    let text = sentences(3, 8_000_000);
    let mut upload = begin_upload(&owner, text.len());
    upload.write_all(&text.as_bytes()[..7_000_000]).unwrap();
    wait_for("a part of the upload to be on the disk", 20, || {
        (bytes_in(&lab.data().join("incoming")) > 4_000_000).then_some(())
    });
    fill(&ballast);
    wait_noticed(&lab, &run);
    let _ = upload.write_all(&text.as_bytes()[7_000_000..]); // the server may have answered
    let mut said = String::new();
    upload.read_to_string(&mut said).unwrap();
    assert!(said.contains(" 507 ") && said.contains("disk_full") && said.contains("free some space"), "{said}");
    assert_eq!(imported(), before);
    // What the upload had taken is free again, which is all that the run needs.
    continues();
    fs::remove_file(&ballast).unwrap();

    // A small file with more text than the disk has room for.
    let packed = gzip(&json_lines(5, 20_000, "text"), 6_000);
    assert!(packed.len() < 10_000_000, "{} bytes", packed.len());
    let answer = owner.upload("name=large&filename=large.jsonl.gz", &packed);
    let said = failure(&owner, &answer);
    assert!(said.contains("No space left") || said.contains("full"), "{said}");
    assert_eq!(imported(), before);
    continues();

    // The archive of a run fits, but not what is unpacked of it.
    owner.steer(&run, &json!({"kind": "pause"}));
    owner.wait_state(&run, 30, RunState::Paused);
    fill(&ballast);
    let full = ballast.metadata().unwrap().len();
    fs::File::options().write(true).open(&ballast).unwrap().set_len(full - archive.len() as u64 * 3 / 2).unwrap();
    let import = || owner.send("POST", "/api/v1/runs/import", &[("content-type", "application/x-tar")], &archive);
    import().refused(507, "disk_full", &["No space left", "free some space"]);
    assert_eq!(imported(), before);
    fs::remove_file(&ballast).unwrap();
    assert_eq!(import().status, 201, "the same import succeeds once there is space");

    owner.steer(&run, &json!({"kind": "resume"}));
    continues();
    owner.steer(&run, &json!({"kind": "stop"}));
    let ended = owner.wait_state(&run, 30, RunState::Stopped);
    owner.check_complete(&run, "loss.train", ended.step);
    assert_eq!(count(&owner.journal(&run), "stopped"), 1);
    drop(lab);
    drop(disk);
}

/// What imports write: datasets, uploads, and the folders of runs, also hidden and unfinished ones; not those of this run.
fn imported_files(lab: &Lab, run: &str) -> BTreeSet<PathBuf> {
    let entries = |folder: &str| fs::read_dir(lab.data().join(folder)).into_iter().flatten().flatten();
    let folders = ["corpora", "incoming", "series", "checkpoints"].into_iter();
    folders.flat_map(entries).map(|entry| entry.path()).filter(|path| !path.ends_with(run)).collect()
}

/// Size of the files in the folders of a folder.
fn bytes_in(folder: &Path) -> u64 {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    entries(folder).flat_map(|inner| entries(&inner.path())).filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

/// Begins the upload of a dataset of `bytes` bytes.
fn begin_upload(client: &Client, bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(&client.address).unwrap();
    let (name, value) = client.credentials.as_ref().unwrap();
    let line = "POST /api/v1/corpora?name=late HTTP/1.0";
    write!(stream, "{line}\r\nhost: {}\r\n{name}: {value}\r\ncontent-length: {bytes}\r\n\r\n", client.address).unwrap();
    stream
}

/// A text many times over, compressed.
fn gzip(text: &str, times: usize) -> Vec<u8> {
    let mut gzip = Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, text) = (gzip.stdin.take().unwrap(), text.to_owned());
    let writer = std::thread::spawn(move || (0..times).for_each(|_| input.write_all(text.as_bytes()).unwrap()));
    let output = gzip.wait_with_output().unwrap();
    writer.join().unwrap();
    output.stdout
}

/// Why an import failed: at once, or as a job.
fn failure(client: &Client, answer: &Answer) -> String {
    if answer.status != 202 {
        answer.refused(507, "disk_full", &[]);
        return answer.text();
    }
    let id = answer.value()["id"].as_u64().unwrap();
    wait_for("the import to fail", 60, || {
        let jobs: Vec<Value> = client.get("/jobs").read();
        let job = jobs.into_iter().find(|job| job["id"] == id && job["state"] == "failed")?;
        Some(job["message"].as_str()?.to_owned())
    })
}
