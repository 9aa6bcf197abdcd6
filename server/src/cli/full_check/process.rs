//! One part of a check in a separate process: this program again, with the part's task on standard input. Its results are read line by line
//! as they come; a process that does not end in time is killed, and what it had reported stays.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::FullCheckError;
use engine::check::part::Task;
use tempfile::TempDir;
use wire::check::Line;
use wire::device::{DeviceInfo, DeviceKind};

/// Starts processes that may write into one folder and nowhere else.
pub(crate) struct Launcher {
    work: TempDir,
}

/// The switches of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Switches {
    /// Whether burn fuses operators.
    pub(crate) has_fusion: bool,
    /// Whether the driver starts with an empty cache of compiled kernels.
    pub(crate) is_cold: bool,
}

/// The end of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself.
    Done,
    /// With an error; the last line of its standard error.
    Broken(String),
    /// It was killed when its time was over.
    Killed,
}

impl Launcher {
    /// Works in a folder inside `folder`, which it removes at the end.
    pub(crate) fn new(folder: &Path) -> Result<Self, FullCheckError> {
        std::fs::create_dir_all(folder).map_err(|source| FullCheckError::file(folder, source))?;
        let work = tempfile::Builder::new().prefix("work-").tempdir_in(folder);
        Ok(Self { work: work.map_err(|source| FullCheckError::file(folder, source))? })
    }

    /// A folder for the datasets and logs of one part.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, FullCheckError> {
        let folder = self.work.path().join(name);
        std::fs::create_dir_all(&folder).map_err(|source| FullCheckError::file(&folder, source))?;
        Ok(folder)
    }

    /// Runs a task until it ends or `limit` is over; each result goes to `report` at once.
    pub(crate) fn run(
        &self,
        task: &Task,
        kind: DeviceKind,
        switches: Switches,
        limit: Duration,
        report: &mut dyn FnMut(Line),
    ) -> Result<Ending, FullCheckError> {
        let cache = self.folder(if switches.is_cold { "cache-of-one" } else { "cache" })?;
        let errors = self.work.path().join("errors.txt");
        let file = std::fs::File::create(&errors).map_err(|source| FullCheckError::file(&errors, source))?;
        let mut command = program()?;
        command.arg("check-part").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        command.env("TMPDIR", self.work.path());
        // The caches of compiled kernels of the Mesa, NVIDIA and AMD drivers.
        for name in ["MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH", "XDG_CACHE_HOME", "AMDVLK_CACHE_PATH"] {
            command.env(name, &cache);
        }
        if kind == DeviceKind::Software {
            command.env("KINDLING_SOFTWARE_GPU", "1");
        }
        if !switches.has_fusion {
            command.env("BURN_FUSION_MAX_EXPLORATIONS", "0");
        }
        let mut child =
            command.spawn().map_err(|source| FullCheckError::process("starting this program again", source))?;
        let question = serde_json::to_vec(task)?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(&question).map_err(|source| FullCheckError::process("sending a part its task", source))?;
        }
        let status = follow(&mut child, limit, report)?;
        let words = || last_line(&std::fs::read_to_string(&errors).unwrap_or_default());
        Ok(match status {
            None => Ending::Killed,
            Some(status) if status.success() => Ending::Done,
            Some(status) => Ending::Broken(format!("{status}; {}", words())),
        })
    }
}

/// All devices, the software adapter among them. Drivers are loaded in a separate process, so that a crash of a driver does not end
/// this one.
pub(crate) fn devices() -> Result<Vec<DeviceInfo>, FullCheckError> {
    let output = program()?
        .args(["devices", "--json"])
        .env("KINDLING_SOFTWARE_GPU", "1")
        .output()
        .map_err(|source| FullCheckError::process("starting this program again", source))?;
    if output.status.success() {
        return serde_json::from_slice(&output.stdout).map_err(FullCheckError::Json);
    }
    Err(FullCheckError::Devices(last_line(&String::from_utf8_lossy(&output.stderr)).to_string()))
}

/// Path of this program; `argv[0]` if the system does not provide it.
fn program() -> Result<Command, FullCheckError> {
    let path = std::env::current_exe().ok().or_else(|| std::env::args_os().next().map(PathBuf::from));
    path.map(Command::new)
        .ok_or_else(|| FullCheckError::process("finding this program", std::io::ErrorKind::NotFound.into()))
}

/// Reads results until the process has closed its output or `limit` is over; `None` if it had to be killed.
fn follow(
    child: &mut Child,
    limit: Duration,
    report: &mut dyn FnMut(Line),
) -> Result<Option<ExitStatus>, FullCheckError> {
    let ends = Instant::now() + limit;
    let lines = read_lines(child);
    loop {
        match lines.recv_timeout(ends.saturating_duration_since(Instant::now())) {
            // Lines that a library prints to standard output are not results.
            Ok(line) => serde_json::from_str(&line).map_or((), &mut *report),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => return kill(child).map(|()| None),
        }
    }
    while Instant::now() < ends + Duration::from_secs(2) {
        if let Some(status) = child.try_wait().map_err(waiting)? {
            return Ok(Some(status));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    kill(child).map(|()| None)
}

fn kill(child: &mut Child) -> Result<(), FullCheckError> {
    // Killing fails only if the process has already ended.
    let _ = child.kill();
    child.wait().map_err(waiting)?;
    Ok(())
}

fn waiting(source: std::io::Error) -> FullCheckError {
    FullCheckError::process("waiting for a part", source)
}

fn read_lines(child: &mut Child) -> Receiver<String> {
    let (send, lines) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
    }
    lines
}

/// The last line that is not empty and not the hint about backtraces.
pub(crate) fn last_line(text: &str) -> String {
    let says = |line: &&str| !line.trim().is_empty() && !line.contains("RUST_BACKTRACE");
    let line = text.lines().rev().find(says).unwrap_or("no output").trim();
    line.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn a_process_that_hangs_is_killed_and_what_it_had_found_stays() {
        let line = r#"{"figure":{"name":"a","value":1,"unit":"s"}}"#;
        let mut found = vec![];
        let began = Instant::now();
        let mut child = shell(&format!("echo '{line}'; echo noise; exec sleep 60"));
        let status = follow(&mut child, Duration::from_millis(500), &mut |line| found.push(line)).unwrap();
        assert!(status.is_none() && found.len() == 1 && began.elapsed() < Duration::from_secs(10));
        let status = follow(&mut shell("exit 3"), Duration::from_secs(20), &mut |_| ()).unwrap();
        assert_eq!(status.and_then(|status| status.code()), Some(3));
    }

    #[test]
    fn the_last_line_is_the_one_with_the_error() {
        let text = "thread main panicked:\nout of memory\nnote: run with `RUST_BACKTRACE=1`\n\n";
        assert_eq!(last_line(text), "out of memory");
        assert_eq!(last_line(""), "no output");
    }
}
