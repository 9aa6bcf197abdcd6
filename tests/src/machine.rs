//! Machines that join a lab: `kindling join` in a folder of its own on this machine.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::lab::{kill, program, slot_pid, workers_of};
use crate::wait_for;

/// A machine with the folder of its worker, whose process may run.
pub struct Machine {
    folder: TempDir,
    data: PathBuf,
    name: String,
    /// Fingerprint that it expects of the server's certificate.
    pub fingerprint: Option<String>,
    worker: Option<Child>,
}

impl Machine {
    /// A machine whose worker will have this name, and that has joined nothing.
    pub fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { data: folder.path().join("data"), folder, name: name.to_owned(), fingerprint: None, worker: None }
    }

    /// Puts the folder of its worker elsewhere.
    #[must_use]
    pub fn with_data(mut self, data: &Path) -> Self {
        self.data = data.to_owned();
        self
    }

    /// The folder of its worker.
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// Folders in a folder of its worker, those without a dot in front.
    pub fn folders(&self, name: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.data.join(name)).into_iter().flatten().flatten();
        let is_visible =
            |path: &PathBuf| path.is_dir() && !path.file_name().unwrap().to_string_lossy().starts_with('.');
        entries.map(|entry| entry.path()).filter(is_visible).collect()
    }

    /// Kills its worker with SIGKILL and deletes the folder.
    pub fn destroy(mut self) {
        let mut worker = self.worker.take().unwrap();
        worker.kill().unwrap();
        worker.wait().unwrap();
        fs::remove_dir_all(&self.data).unwrap();
    }

    /// Writes a join token into a file that only its owner can read.
    pub fn token_file(&self, token: &str) -> PathBuf {
        let path = self.folder.path().join("join-token");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
        writeln!(file, "{token}").unwrap();
        path
    }

    fn command(&self, address: &str, pool: &str, token: Option<&str>) -> Command {
        let mut command = Command::new(program());
        command.env_remove("KINDLING_DATA").env_remove("KINDLING_LOG");
        command.args(["join", address, "--pool", pool, "--device", "cpu", "--name", &self.name, "--data"]);
        command.arg(self.data()).stdin(Stdio::null());
        if let Some(fingerprint) = &self.fingerprint {
            command.args(["--fingerprint", fingerprint]);
        }
        if let Some(token) = token {
            command.arg("--token-file").arg(self.token_file(token));
        }
        command
    }

    /// Joins and trains in the background.
    pub fn start(&mut self, address: &str, pool: &str, token: Option<&str>) {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = self.command(address, pool, token);
        self.worker = Some(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    }

    /// Runs `kindling join` to its end, which is an error.
    pub fn refused(&self, address: &str, pool: &str, token: Option<&str>) -> String {
        let Output { status, stderr, .. } = self.command(address, pool, token).output().unwrap();
        assert!(!status.success());
        String::from_utf8(stderr).unwrap()
    }

    /// Process number of its worker.
    pub fn pid(&self) -> u32 {
        self.worker.as_ref().unwrap().id()
    }

    /// Process id of one of the processes of its worker, counted from 1, from its lock.
    pub fn slot_pid(&self, number: u32) -> Option<u32> {
        slot_pid(&self.data, number)
    }

    /// Kills the first process of its worker with SIGKILL.
    pub fn kill(&mut self) {
        let mut worker = self.worker.take().unwrap();
        worker.kill().unwrap();
        worker.wait().unwrap();
    }

    /// Ends its worker with SIGTERM, and waits for it.
    pub fn stop(&mut self) {
        let mut worker = self.worker.take().unwrap();
        kill_process(Pid::from_child(&worker), Signal::TERM).unwrap();
        wait_for("a worker to end", 20, || worker.try_wait().unwrap());
    }

    /// Waits until its worker has ended by itself; whether it succeeded.
    pub fn wait(&mut self, secs: u64) -> bool {
        let mut worker = self.worker.take().unwrap();
        wait_for("a worker to end", secs, || worker.try_wait().unwrap()).success()
    }

    /// The token that its worker has in its folder.
    pub fn own_token(&self) -> String {
        let text = fs::read_to_string(self.credentials()).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["token"].as_str().unwrap().to_owned()
    }

    /// The file with that token.
    pub fn credentials(&self) -> PathBuf {
        self.data().join("workers/cpu.join.json")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.name, self.log());
        }
        if let Some(mut worker) = self.worker.take() {
            let _ = worker.kill();
            let _ = worker.wait();
        }
        // Further processes of its device train on without the first.
        workers_of(&self.data).into_iter().for_each(kill);
    }
}
