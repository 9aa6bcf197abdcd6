//! The test programs. Those of the page are compiled beside the server, whose large dependencies wait for each other and leave a core idle.

use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};

use crate::shell::{cargo, command, find_program};

/// Arguments of Cargo for a set of test programs.
type Programs = &'static [&'static str];

/// `xtask` and `app` are tested apart: their dependencies enable features of shared crates that would make Cargo build burn a second time.
pub(super) const WORKSPACE: Programs =
    &["test", "--release", "--workspace", "--exclude", "app", "--exclude", "xtask", "--no-fail-fast"];
pub(super) const XTASK: Programs = &["test", "--release", "--package", "xtask"];
/// Not optimized, because this build is used only here. Cargo writes it to a folder of its own, so it can run beside the others.
pub(super) const PAGE: Programs = &["test", "--package", "app"];

/// A set of test programs that is compiled in the background.
pub(super) struct Compilation(JoinHandle<()>);

impl Compilation {
    /// Compiles a set at the lowest priority, so that nothing waits for it. Its output and its errors are not shown: the tests are compiled
    /// again where this has failed.
    pub(super) fn start(programs: Programs) -> Self {
        Self(thread::spawn(move || {
            let mut compiler = at_lowest_priority(cargo().args(programs).arg("--no-run"));
            let _ = compiler.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }))
    }

    /// Waits until the set is compiled.
    pub(super) fn wait(self) {
        let _ = self.0.join(); // a panic has printed its message
    }
}

/// The same command, started by `nice` where the system has it.
fn at_lowest_priority(wanted: &Command) -> Command {
    let Some(nice) = find_program(&["nice"]) else {
        let mut same = command(wanted.get_program());
        same.args(wanted.get_args());
        return same;
    };
    let mut lowered = command(nice);
    lowered.args(["-n", "19"]).arg(wanted.get_program()).args(wanted.get_args());
    lowered
}
