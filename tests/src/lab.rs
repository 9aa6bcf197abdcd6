//! A lab per test: the real program on a new folder and a free port. When it is dropped, its processes are killed, and if the test failed
//! their logs are printed.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use wire::Slot;
use wire::device::DeviceView;
use wire::fleet::{CreatedJoinToken, JoinRequest, Joined};

use crate::client::Client;
use crate::wait_for;

/// A folder, and a server on it that may be stopped.
pub struct Lab {
    folder: TempDir,
    data: PathBuf,
    port: u16,
    /// Name and value of the owner's cookie.
    session: String,
    server: Option<Child>,
}

/// The program: the variable `KINDLING`, or where Cargo builds it.
pub fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("KINDLING") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("kindling").with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.is_file(),
        "{} does not exist: build it first with `cargo build --release --bin kindling`",
        path.display()
    );
    path
}

impl Lab {
    /// A new lab, signed in with the printed link; the built-in datasets are being generated.
    pub fn open() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), true)
    }

    /// A lab without the built-in datasets, which take a while to generate.
    pub fn bare() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), false)
    }

    /// A lab without the built-in datasets, whose server has more arguments.
    pub fn bare_with(arguments: &[&str]) -> Self {
        let mut lab = Self::unstarted(tempfile::tempdir().unwrap(), false);
        let line = lab.start_with(arguments);
        lab.sign_in_by(&line);
        lab
    }

    /// A lab without the built-in datasets, in this folder.
    pub fn bare_at(data: &Path) -> Self {
        let mut lab = Self::unstarted(tempfile::tempdir().unwrap(), false);
        lab.data = data.to_owned();
        lab.without_built_ins();
        lab.sign_in();
        lab
    }

    /// The lab in an existing folder; its server is not started.
    pub fn existing(data: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, data: data.to_owned(), port: 0, session: String::new(), server: None }
    }

    fn in_folder(folder: TempDir, has_built_ins: bool) -> Self {
        let mut lab = Self::unstarted(folder, has_built_ins);
        lab.sign_in();
        lab
    }

    fn unstarted(folder: TempDir, has_built_ins: bool) -> Self {
        let data = folder.path().join("lab");
        let lab = Self { folder, data, port: 0, session: String::new(), server: None };
        if !has_built_ins {
            lab.without_built_ins();
        }
        lab
    }

    /// Marks them as generated: the server does not generate a dataset twice.
    fn without_built_ins(&self) {
        fs::create_dir_all(self.data.join("corpora")).unwrap();
        for id in ["tales", "modular-addition", "induction"] {
            fs::write(self.data.join("corpora").join(format!(".made-{id}")), "").unwrap();
        }
    }

    fn sign_in(&mut self) {
        let line = self.start();
        self.sign_in_by(&line);
    }

    fn sign_in_by(&mut self, line: &str) {
        let at = line.find("/signin?").unwrap_or_else(|| panic!("no sign-in link in {line:?}"));
        let answer = Client::anonymous(&self.address()).send("POST", line[at..].trim(), &[], b"");
        let pair = answer.header("set-cookie").split(';').next().filter(|pair| pair.contains('='));
        self.session = pair.unwrap_or_else(|| panic!("no cookie: {answer:?}")).to_owned();
    }

    /// The program with arguments for this folder, without the environment of the test run.
    pub fn command(&self, subcommand: &str, arguments: &[&str]) -> Command {
        self.command_in(&self.data, subcommand, arguments)
    }

    fn command_in(&self, data: &Path, subcommand: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        for name in ["KINDLING_DATA", "KINDLING_LISTEN", "KINDLING_TOKEN", "KINDLING_LOG"] {
            command.env_remove(name);
        }
        command.arg(subcommand).arg("--data").arg(data).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, subcommand: &str, arguments: &[&str]) -> Output {
        self.command(subcommand, arguments).output().unwrap()
    }

    /// Runs the program to its end on another folder, which need not exist.
    pub fn run_in(&self, data: &Path, subcommand: &str, arguments: &[&str]) -> Output {
        self.command_in(data, subcommand, arguments).output().unwrap()
    }

    /// Starts the server on its previous port. Returns the line that it prints when it listens.
    pub fn start(&mut self) -> String {
        self.start_with(&[])
    }

    /// As [`Self::start`], with more arguments.
    pub fn start_with(&mut self, arguments: &[&str]) -> String {
        assert!(self.server.is_none(), "the server is running");
        let log = File::options().create(true).append(true).open(self.folder.path().join("server.log")).unwrap();
        let listen = format!("127.0.0.1:{}", self.port);
        let mut server = self
            .command("serve", &[&["--listen", listen.as_str()], arguments].concat())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.server = Some(server);
        self.port = self.written_port().unwrap_or_else(|| panic!("no address after {line:?}; {}", self.log()));
        line
    }

    /// The port that the server has written for its workers. The printed address is the public one.
    fn written_port(&self) -> Option<u16> {
        let text = fs::read_to_string(self.data.join("workers/server.json")).ok()?;
        let written: serde_json::Value = serde_json::from_str(&text).ok()?;
        written["url"].as_str()?.rsplit(':').next()?.parse().ok()
    }

    /// Kills the server with SIGKILL.
    pub fn kill_server(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    /// Stops the server with SIGTERM.
    pub fn stop_server(&mut self) -> ExitStatus {
        let mut server = self.server.take().unwrap();
        kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
        wait_for("the server to stop", 10, || server.try_wait().unwrap())
    }

    /// Sends SIGINT to the server, as Ctrl-C does.
    pub fn interrupt_server(&self) {
        kill_process(Pid::from_child(self.server.as_ref().unwrap()), Signal::INT).unwrap();
    }

    /// Waits until the server has ended by itself.
    pub fn wait_server(&mut self, secs: u64) -> ExitStatus {
        let mut server = self.server.take().unwrap();
        wait_for("the server to end", secs, || server.try_wait().unwrap())
    }

    /// Process id of the server.
    pub fn server_pid(&self) -> u32 {
        self.server.as_ref().unwrap().id()
    }

    /// Process id of the running worker of the CPU, from its lock.
    pub fn worker_pid(&self) -> Option<u32> {
        slot_pid(&self.data, 1)
    }

    /// Process id of one of the processes of the CPU's worker, counted from 1, from its lock.
    pub fn slot_pid(&self, number: u32) -> Option<u32> {
        slot_pid(&self.data, number)
    }

    /// Kills one of the processes of the CPU's worker with SIGKILL.
    pub fn kill_slot(&self, number: u32) {
        kill(self.slot_pid(number).unwrap());
    }

    /// Kills the worker with SIGKILL.
    pub fn kill_worker(&self) {
        kill(self.worker_pid().unwrap());
    }

    /// The folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Address of the server.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The browser that opened the printed link; an admin.
    pub fn owner(&self) -> Client {
        Client { address: self.address(), credentials: Some(("cookie", self.session.clone())) }
    }

    /// A new token with a role, created on the command line.
    pub fn token(&self, role: &str) -> String {
        let output = self.run("token", &["--role", role, "--name", &format!("a {role}")]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The text of a new join token of a pool, which is created if it does not exist.
    pub fn join_token(&self, pool: &str, limits: serde_json::Value) -> CreatedJoinToken {
        let owner = self.owner();
        let created = owner.post("/pools", &serde_json::json!({ "name": pool })).status;
        assert!([201, 409].contains(&created), "{created}");
        owner.post(&format!("/pools/{pool}/join-tokens"), &limits).read()
    }

    /// The token of a new worker, which has joined the pool `far` and does not run.
    pub fn worker_token(&self, device: &str) -> String {
        let token = self.join_token("far", serde_json::json!({})).text;
        let request = JoinRequest { pool: "far".into(), host: "far".into(), device: device.parse().unwrap() };
        Client::with_token(&self.address(), &token).post("/join", &request).read::<Joined>().token
    }

    /// Waits until the worker of the CPU is connected.
    pub fn device(&self) -> DeviceView {
        let owner = self.owner();
        wait_for("the CPU's worker", 60, || {
            let devices: Vec<DeviceView> = owner.get("/devices").read();
            devices.into_iter().find(|device| device.info.id.as_str() == "cpu" && device.is_connected)
        })
    }

    /// The logs of the server and of the processes of its worker.
    pub fn log(&self) -> String {
        let entries = fs::read_dir(self.data.join("workers")).into_iter().flatten().flatten().map(|entry| entry.path());
        let of_workers = entries.filter(|path| path.extension().is_some_and(|end| end == "log"));
        let files = [self.folder.path().join("server.log")].into_iter().chain(of_workers);
        files.map(|path| format!("--- {}\n{}", path.display(), fs::read_to_string(&path).unwrap_or_default())).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        // The server first, so that it starts no other worker; then the worker, which is in a session of its own.
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
        workers_of(&self.data).into_iter().for_each(kill);
    }
}

/// Process id of one of the processes of the CPU's worker in a folder, from its lock.
pub(crate) fn slot_pid(data: &Path, number: u32) -> Option<u32> {
    let slot = Slot { device: "cpu".parse().unwrap(), number };
    let text = fs::read_to_string(data.join(format!("workers/{slot}.lock"))).ok()?;
    text.trim().parse().ok().filter(|pid| is_kindling(*pid))
}

pub(crate) fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // The process may have ended by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn is_kindling(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.windows(8).any(|word| word == b"kindling"))
}

/// Processes of a folder, also a worker that has not taken its lock yet.
pub(crate) fn workers_of(data: &Path) -> Vec<u32> {
    let wanted = data.as_os_str().as_encoded_bytes();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.split(|byte| *byte == 0).any(|word| word == wanted))
    })
    .collect()
}
