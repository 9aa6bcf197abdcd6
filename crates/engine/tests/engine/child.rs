//! Parts of tests that run in a separate process: this program is started again with the name of one ignored test. A process reads burn's
//! options once, and its memory is measured as a whole.

use std::io::Write;
use std::process::Command;

use engine::device;
use wire::device::DeviceInfo;

/// The variable with the part that a child process runs.
const PART: &str = "KINDLING_ENGINE_TEST";
/// Prefix of the lines of a part that its test prints.
pub(crate) const MARK: &str = "gpu:";
const NOT_RUN: &str = "GPU TESTS NOT RUN";

/// Runs a part in a child process that may use the software adapter. `test` is the ignored test that carries it out. The calling test passes
/// if the part passes.
pub(crate) fn run(test: &str, part: &str, options: &[(&str, &str)]) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
    child.env(PART, part).env("KINDLING_SOFTWARE_GPU", "1").envs(options.iter().copied());
    let output = child.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    // Written to stderr directly, because the test harness hides the output of a test that passes.
    for message in printed
        .lines()
        .filter_map(|line| [MARK, NOT_RUN].into_iter().find_map(|mark| line.find(mark)).map(|at| &line[at..]))
    {
        let _ = writeln!(std::io::stderr(), "{message}");
    }
    // A filter that matches no test would succeed, too.
    assert!(output.status.success() && printed.contains("1 passed"), "{part}:\n{printed}");
}

/// The part that this process runs; `None` if it is not a child process.
pub(crate) fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// The first Vulkan adapter. Without one, a message is printed.
pub(crate) fn vulkan() -> Option<DeviceInfo> {
    let info = device::list().into_iter().find(|info| info.backend.contains("Vulkan"));
    if info.is_none() {
        println!("{NOT_RUN}: no Vulkan adapter");
    }
    info
}
