//! The parts of the full check: a correct device passes, and an error that a test injects into a gradient, resume, a kernel or memory is
//! detected. They run on the CPU, except the test of kernels, which needs a Vulkan adapter; without one it prints a message and passes.

use std::io::Write;
use std::process::Command;
use std::time::Instant;

use engine::check::Faults;
use engine::check::part::{Part, Task};
use engine::check::process;
use engine::device;
use wire::check::{Line, Outcome, Section};

/// The variable with the part that a child process runs. The process may use the software adapter, and its memory is measured alone.
const PART: &str = "KINDLING_FULL_CHECK_TEST";

/// Runs a part in a child process. The test passes if the part passes.
fn run_in_child(part: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "full_check::child_process", "--ignored", "--nocapture", "--test-threads=1"]);
    let output = child.env(PART, part).env("KINDLING_SOFTWARE_GPU", "1").output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if printed.contains(NOT_RUN) {
        // Written to stderr directly, because the test harness hides the output of a test that passes.
        let _ = writeln!(std::io::stderr(), "{NOT_RUN}: no Vulkan adapter");
    }
    // A filter that matches no test would succeed, too.
    assert!(output.status.success() && printed.contains("1 passed"), "{part}:\n{printed}");
}

const NOT_RUN: &str = "GPU TESTS NOT RUN";

/// Runs a part with injected errors, and returns its section.
fn run_part(device: &str, part: Part, faults: Faults) -> Section {
    let folder = tempfile::tempdir().unwrap();
    let task =
        Task { part, device: device.parse().unwrap(), autotune: false, secs: 120.0, folder: folder.path().to_owned() };
    let mut section = Section::default();
    process::run(&task, Instant::now(), faults, &mut |line: Line| section.add(line)).unwrap();
    section.end();
    section
}

/// The names of the failed checks.
fn failed(section: &Section) -> Vec<&str> {
    section.checks.iter().filter(|check| check.outcome == Outcome::Failed).map(|check| check.name.as_str()).collect()
}

#[test]
fn a_correct_device_passes_and_parts_that_it_does_not_need_are_not_run() {
    for (part, expected) in [
        (Part::Adapter, Outcome::Passed),
        (Part::Training, Outcome::Passed),
        (Part::Resume, Outcome::Passed),
        (Part::Kernels, Outcome::NotRun),
        (Part::Inspections, Outcome::NotRun),
    ] {
        let section = run_part("cpu", part.clone(), Faults::default());
        assert_eq!(section.outcome, expected, "{part:?}: {section:?}");
    }
}

#[test]
fn an_error_in_a_gradient_is_detected() {
    let section = run_part("cpu", Part::Training, Faults { gradient: true, ..Faults::default() });
    let names = failed(&section);
    for model in ["GPT-2", "Llama"] {
        assert!(names.contains(&format!("{model} model, loss and gradients").as_str()), "{section:?}");
    }
    assert!(section.reason.contains("block.0.mlp.up"), "the reason names the parameter: {}", section.reason);
}

#[test]
fn an_error_in_resume_is_detected() {
    let section = run_part("cpu", Part::Resume, Faults { resume: true, ..Faults::default() });
    assert_eq!(failed(&section).len(), 3, "{section:?}");
}

#[test]
fn a_leak_of_a_megabyte_per_step_is_detected() {
    run_in_child("leak");
}

#[test]
fn a_run_without_a_leak_passes() {
    run_in_child("memory");
}

#[test]
fn an_error_in_a_kernel_is_detected_and_the_other_kernels_pass() {
    run_in_child("kernels");
}

#[test]
#[ignore = "runs in a child process"]
fn child_process() {
    let Ok(part) = std::env::var(PART) else { return };
    let leak = |leak_bytes_per_step| run_part("cpu", Part::Memory, Faults { leak_bytes_per_step, ..Faults::default() });
    match part.as_str() {
        "memory" => assert_eq!(leak(0).outcome, Outcome::Passed, "{:?}", leak(0)),
        "leak" => {
            let section = leak(1_000_000);
            assert!(failed(&section).contains(&"host memory over the steps"), "{section:?}");
        }
        "kernels" => check_kernels(),
        other => panic!("no part named {other}"),
    }
}

fn check_kernels() {
    let Some(info) = device::list().into_iter().find(|info| info.backend.contains("Vulkan")) else {
        println!("{NOT_RUN}: no Vulkan adapter");
        return;
    };
    let with = |kernel| run_part(info.id.as_str(), Part::Kernels, Faults { kernel, ..Faults::default() });
    assert_eq!(with(false).outcome, Outcome::Passed);
    let section = with(true);
    assert_eq!(failed(&section), ["kernel moments"], "{section:?}");
}
