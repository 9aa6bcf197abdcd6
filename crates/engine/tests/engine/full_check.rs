//! The parts of the full check: a correct device passes, and an error that a test injects into a gradient, resume, a kernel or memory is
//! detected. They run on the CPU, except the test of kernels, which needs a Vulkan adapter; without one it prints a message and passes.

use std::time::Instant;

use engine::check::Faults;
use engine::check::part::{Part, Task};
use engine::check::process;
use wire::check::{Line, Outcome, Section};

use crate::child;

/// The test that runs a part in a child process: the process may use the software adapter, and its memory is measured alone.
const CHILD: &str = "full_check::child_process";

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
    child::run(CHILD, "leak", &[]);
}

#[test]
fn a_run_without_a_leak_passes() {
    child::run(CHILD, "memory", &[]);
}

#[test]
fn an_error_in_a_kernel_is_detected_and_the_other_kernels_pass() {
    child::run(CHILD, "kernels", &[]);
}

#[test]
#[ignore = "runs in a child process"]
fn child_process() {
    let Some(part) = child::part() else { return };
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
    let Some(info) = child::vulkan() else { return };
    let with = |kernel| run_part(info.id.as_str(), Part::Kernels, Faults { kernel, ..Faults::default() });
    assert_eq!(with(false).outcome, Outcome::Passed);
    let section = with(true);
    assert_eq!(failed(&section), ["kernel moments"], "{section:?}");
}
