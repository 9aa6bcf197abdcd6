//! Runs all tests and prints a summary, which names the parts that did not run.

mod programs;

use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::{env, fs};

use crate::install::{self, CHROMIUM};
use crate::lint;
use crate::server;
use crate::shell::{Outcome, cargo, command, find_program, is_ci, root, run, say};
use programs::Compilation;

/// The variable with the number of tests that a test program runs at once. One more than there are cores: the tests of `lab` wait for other
/// processes, one of them for 70 seconds.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

/// Result of one part of the tests.
enum Verdict {
    Passed,
    Failed(String),
    /// Could not be run, with the reason. Counts as a failure only on a build machine.
    NotRun(String),
}

/// Builds the page and the server, runs the checks of the source, the browser tests and the Rust tests, and prints a summary.
pub(crate) fn run_all() -> Outcome<()> {
    let missing = install::for_tests();
    let page_programs = Compilation::start(&[programs::PAGE]);
    if let Err(reason) = server::build() {
        page_programs.wait();
        return Err(reason);
    }
    let lint = verdict(lint::run_all());
    let other_programs = Compilation::start(&[programs::WORKSPACE, programs::XTASK]);
    let browser = browser_tests();
    say("compiling the test programs");
    other_programs.wait();
    page_programs.wait();
    let parts = [
        ("lint", lint),
        ("browser tests", browser),
        ("Rust tests", rust_tests()),
        ("tests of the page", page_tests()),
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
    let mut tests = cargo();
    tests.args(programs::WORKSPACE);
    if env::var_os(TEST_THREADS).is_none() {
        tests.env(TEST_THREADS, (available_parallelism().map_or(1, usize::from) + 1).to_string());
    }
    verdict(run(&mut tests).and_then(|()| run(cargo().args(programs::XTASK))))
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
