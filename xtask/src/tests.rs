//! Runs all tests and prints a summary, which names the parts that did not run.

mod peers;
mod programs;

use std::fs;
use std::path::{Path, PathBuf};

use crate::install::{self, CHROMIUM};
use crate::lint;
use crate::server;
use crate::shell::{Outcome, cargo, command, find_program, is_ci, root, run, say};
pub(crate) use peers::run_peers;
use programs::Compilation;

/// Result of one part of the tests.
enum Verdict {
    Passed,
    Failed(String),
    /// Could not be run, with the reason. Counts as a failure only on a build machine.
    NotRun(String),
}

/// Builds the page and the server, runs the checks of the source, the Rust tests and the browser tests, and prints a summary.
pub(crate) fn run_all() -> Outcome<()> {
    let missing = install::for_tests();
    let page_programs = Compilation::start(programs::PAGE);
    let built = server::build();
    page_programs.wait();
    built?;
    let parts = [
        ("lint", verdict(lint::run_all())),
        ("Rust tests", rust_tests()),
        ("tests of the page", page_tests()),
        ("browser tests", browser_tests()),
        ("tools of the tests", if missing.is_empty() { Verdict::Passed } else { Verdict::NotRun(missing.join("; ")) }),
    ];
    say("summary");
    let failures = parts.iter().filter(|(name, verdict)| is_failure(name, verdict)).count();
    if failures == 0 { Ok(()) } else { Err(format!("{failures} of {} parts did not pass", parts.len())) }
}

/// Prints one line of the summary. Returns whether the part counts as failed.
fn is_failure(name: &str, verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Passed => eprintln!("{name}: passed"),
        Verdict::Failed(reason) => eprintln!("{name}: FAILED, {reason}"),
        Verdict::NotRun(reason) => eprintln!("{name}: NOT RUN, {reason}"),
    }
    matches!(verdict, Verdict::Failed(_)) || (matches!(verdict, Verdict::NotRun(_)) && is_ci())
}

fn rust_tests() -> Verdict {
    say("Rust tests");
    verdict(run(cargo().args(programs::WORKSPACE)).and_then(|()| run(cargo().args(programs::XTASK))))
}

/// Runs the tests of `app` that need no browser: the series of a run, edited schedules, related runs.
fn page_tests() -> Verdict {
    say("tests of the page");
    verdict(run(cargo().args(programs::PAGE)))
}

/// Runs `tests/browser/*.test.mjs` with Node. `KINDLING` and `CHROMIUM` have the paths of the program and of the browser.
fn browser_tests() -> Verdict {
    say("browser tests");
    let folder = root().join("tests").join("browser");
    let files = test_files(&folder);
    let (Some(chromium), Some(node), Some(npm)) =
        (find_program(&CHROMIUM), find_program(&["node"]), find_program(&["npm"]))
    else {
        return Verdict::NotRun("Chromium, Node or npm is missing".to_owned());
    };
    if files.is_empty() {
        return Verdict::NotRun("tests/browser has no test".to_owned());
    }
    if let Err(reason) = run(command(npm).current_dir(&folder).args(["ci", "--no-audit", "--no-fund"])) {
        return Verdict::NotRun(format!("playwright-core could not be installed: {reason}"));
    }
    let mut tests = command(node);
    tests.current_dir(&folder).env("KINDLING", server::program()).env("CHROMIUM", chromium);
    verdict(run(tests.arg("--test").args(files)))
}

fn test_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().ends_with(".test.mjs")).collect();
    files.sort();
    files
}

fn verdict(outcome: Outcome<()>) -> Verdict {
    match outcome {
        Ok(()) => Verdict::Passed,
        Err(reason) => Verdict::Failed(reason),
    }
}
