//! Every test, and a summary that names what did not run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::install::{self, CHROMIUM};
use crate::lint;
use crate::server;
use crate::shell::{Outcome, cargo, command, find_program, is_ci, root, run, say};

/// How one part of the tests ended.
enum Verdict {
    Passed,
    Failed(String),
    /// Could not be run, and why: a failure on a build machine only.
    NotRun(String),
}

/// Builds page and server, runs the Rust tests and the stories in a browser, and sums up.
pub(crate) fn run_all() -> Outcome<()> {
    let missing = install::for_tests();
    server::build()?;
    let parts = [
        ("lint", verdict(lint::run_all())),
        ("rust tests", rust_tests()),
        ("the page's own tests", page_tests()),
        ("browser stories", browser_stories()),
        (
            "tools installed for them",
            if missing.is_empty() { Verdict::Passed } else { Verdict::NotRun(missing.join("; ")) },
        ),
    ];
    say("summary");
    let failures = parts.iter().filter(|(name, verdict)| is_failure(name, verdict)).count();
    if failures == 0 { Ok(()) } else { Err(format!("{failures} of {} parts did not pass", parts.len())) }
}

/// Prints one line of the summary.
fn is_failure(name: &str, verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Passed => eprintln!("{name}: passed"),
        Verdict::Failed(reason) => eprintln!("{name}: FAILED, {reason}"),
        Verdict::NotRun(reason) => eprintln!("{name}: NOT RUN because of {reason}"),
    }
    matches!(verdict, Verdict::Failed(_)) || (matches!(verdict, Verdict::NotRun(_)) && is_ci())
}

fn rust_tests() -> Verdict {
    say("rust tests");
    // `xtask` is tested separately: its dependencies enable features of shared crates with which cargo would build
    // burn a second time.
    let workspace = ["test", "--release", "--workspace", "--exclude", "app", "--exclude", "xtask", "--no-fail-fast"];
    verdict(run(cargo().args(workspace)).and_then(|()| run(cargo().args(["test", "--release", "--package", "xtask"]))))
}

/// The tests of `app` that need no browser: the series of a run, edited schedules, related runs. They are not
/// selected with the workspace for the same reason, and are not optimized, because this build is used only here.
fn page_tests() -> Verdict {
    say("the page's own tests");
    verdict(run(cargo().args(["test", "--package", "app"])))
}

/// Runs `tests/browser/*.test.mjs` under Node, which find the program in `KINDLING` and the browser in `CHROMIUM`.
fn browser_stories() -> Verdict {
    say("stories in a browser");
    let folder = root().join("tests").join("browser");
    let stories = stories_in(&folder);
    let (Some(chromium), Some(node), Some(npm)) =
        (find_program(&CHROMIUM), find_program(&["node"]), find_program(&["npm"]))
    else {
        return Verdict::NotRun("Chromium, Node or npm missing".to_owned());
    };
    if stories.is_empty() {
        return Verdict::NotRun("no story in tests/browser".to_owned());
    }
    if let Err(reason) = run(command(npm).current_dir(&folder).args(["ci", "--no-audit", "--no-fund"])) {
        return Verdict::NotRun(format!("playwright-core missing: {reason}"));
    }
    let mut stories_run = command(node);
    stories_run.current_dir(&folder).env("KINDLING", server::program()).env("CHROMIUM", chromium);
    verdict(run(stories_run.arg("--test").args(stories)))
}

fn stories_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut stories: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().ends_with(".test.mjs")).collect();
    stories.sort();
    stories
}

fn verdict(outcome: Outcome<()>) -> Verdict {
    match outcome {
        Ok(()) => Verdict::Passed,
        Err(reason) => Verdict::Failed(reason),
    }
}
