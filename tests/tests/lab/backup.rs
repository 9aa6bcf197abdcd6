//! A lab is backed up while it trains, and restored in another folder: the same curves, and its run finishes as an uninterrupted one.

use std::fs;
use std::path::{Path, PathBuf};

use scenarios::{Client, Lab, pause_ms};
use serde_json::json;
use testing::Random;
use wire::RunState;

use crate::resume::{check_same, restarting, uninterrupted};

fn back_up(lab: &Lab, to: &Path) {
    let output = lab.run("backup", &["--to", to.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What `kindling restore` says when it refuses; it leaves no folder.
fn refusal(lab: &Lab, backup: &Path, to: &Path) -> String {
    let output = lab.run_in(to, "restore", &[backup.to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(!to.exists() && !to.with_extension("restoring").exists(), "a part of the backup is left");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_lab_that_was_backed_up_while_it_trained_is_restored_and_finishes_exactly() {
    let (lab, folder, mut random) = (Lab::bare(), tempfile::tempdir().unwrap(), Random::new(testing::fresh_seed()));
    let owner = lab.owner();
    lab.device();
    let spec = restarting(&owner.add_corpus("walk"), 3000);
    let reference = uninterrupted(&owner, &spec);
    let run = owner.start_run(&spec);
    owner.wait_step(&run, 60, 150);
    let backups: Vec<PathBuf> = (0..2)
        .map(|number| {
            pause_ms(random.below(300));
            let backup = folder.path().join(format!("{number}.tar"));
            back_up(&lab, &backup);
            backup
        })
        .collect();
    owner.wait_state(&run, 120, RunState::Finished);
    check_same(&owner, &run, &reference);
    for backup in backups {
        let data = backup.with_extension("lab");
        let output = lab.run_in(&data, "restore", &[backup.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut restored = Lab::existing(&data);
        restored.start();
        let client = Client::with_token(&restored.address(), &restored.token("admin"));
        let before = client.summary(&run);
        assert!(before.state == RunState::Lost && before.step >= 150, "{before:?}");
        client.steer(&run, &json!({"kind": "resume"}));
        client.wait_state(&run, 120, RunState::Finished);
        check_same(&client, &run, &reference);
    }
}

#[test]
fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let (mut lab, folder, mut random) = (Lab::bare(), tempfile::tempdir().unwrap(), Random::new(testing::fresh_seed()));
    lab.owner().add_corpus("walk");
    lab.stop_server();
    let (backup, to) = (folder.path().join("lab.tar"), folder.path().join("restored"));
    back_up(&lab, &backup);
    let again = lab.run("backup", &["--to", backup.to_str().unwrap()]);
    assert!(!again.status.success(), "a backup replaced another file");
    let good = fs::read(&backup).unwrap();
    let damaged = folder.path().join("damaged.tar");
    for _ in 0..5 {
        fs::write(&damaged, &good[..random.below(good.len() as u64 - 2048) as usize]).unwrap();
        let text = refusal(&lab, &damaged, &to);
        assert!(["cut short", "cannot be", "not a backup"].iter().any(|word| text.contains(word)), "{text}");
    }
    // A byte of the database, which is the first file.
    let mut changed = good.clone();
    let database = good.windows(15).position(|part| part == b"SQLite format 3").unwrap();
    changed[database + 5000] ^= 1;
    fs::write(&damaged, &changed).unwrap();
    assert!(refusal(&lab, &damaged, &to).contains("\"lab.db\" in the backup is damaged"));
    fs::write(&damaged, "no tar file").unwrap();
    refusal(&lab, &damaged, &to);
    fs::create_dir(&to).unwrap();
    fs::write(to.join("mine"), "kept").unwrap();
    let output = lab.run_in(&to, "restore", &[backup.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("is in use"));
    assert_eq!(fs::read_to_string(to.join("mine")).unwrap(), "kept");
}
