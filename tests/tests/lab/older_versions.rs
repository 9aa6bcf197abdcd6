//! Folders, archives and workers of other versions are refused with a message that names the version, and stay unchanged.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use scenarios::socket::Socket;
use scenarios::watch::speck;
use scenarios::{Client, Lab};
use wire::RunState;
use wire::transport::link::{FromServer, PROTOCOL};

/// Every file below a folder with its content.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(contents(&entry.path())),
            false => drop(found.insert(entry.path(), fs::read(entry.path()).unwrap())),
        }
    }
    found
}

#[test]
fn a_folder_of_an_older_version_is_refused_and_stays_unchanged() {
    let mut lab = Lab::bare();
    lab.device();
    lab.stop_server();
    scenarios::wait_for("the worker to end", 10, || lab.worker_pid().is_none().then_some(()));
    // Versions before the first format wrote no number.
    fs::remove_file(lab.data().join("format")).unwrap();
    let before = contents(lab.data());
    for (subcommand, arguments) in [("serve", &["--listen", "127.0.0.1:0"][..]), ("token", &[])] {
        let refused = lab.run(subcommand, arguments);
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{subcommand}: {text}");
        for word in [lab.data().to_str().unwrap(), "format", "version"] {
            assert!(text.contains(word), "{subcommand}: {word:?} is not in: {text}");
        }
        assert!(contents(lab.data()) == before, "{subcommand} changed the folder");
    }
}

#[test]
fn an_archive_of_another_version_is_refused_and_imports_nothing() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let run = owner.start_run(&speck(&owner.add_corpus("walk"), 20));
    owner.wait_state(&run, 60, RunState::Finished);
    let archive = owner.get(&format!("/runs/{run}/archive")).body;
    let format = b"\"format\": 2,";
    let manifest = archive.windows(format.len()).rposition(|part| part == format).unwrap();
    for other in [b'1', b'3'] {
        let mut changed = archive.clone();
        changed[manifest + format.len() - 2] = other;
        let header = ("content-type", "application/x-tar");
        let answer = owner.send("POST", "/api/v1/runs/import", &[header], &changed);
        answer.refused(422, "archive_invalid", &[&format!("format {}", char::from(other)), "reads format 2"]);
    }
    assert_eq!(owner.get("/runs?deleted=true").value().as_array().unwrap().len(), 1, "nothing was imported");
}

#[test]
fn a_worker_of_another_version_is_refused() {
    let lab = Lab::bare();
    let worker = Client::with_token(&lab.address(), &lab.worker_token("far-cpu"));
    for protocol in [PROTOCOL - 1, PROTOCOL + 1] {
        let mut socket = Socket::open(&worker, "link", &[]).unwrap();
        // Variant 0 (Hello), the version, and fields of another version.
        socket.send_bytes(&[&[0, protocol as u8][..], b"\x05other"].concat());
        let answer = socket.receive::<FromServer>(Instant::now() + Duration::from_secs(10));
        let Some(FromServer::Refused { message }) = answer else { panic!("{answer:?}") };
        assert!(message.contains(&format!("version {protocol}")) && message.contains("same version"), "{message}");
    }
}
