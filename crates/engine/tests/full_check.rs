//! The parts of the full check: what is right passes, and a fault planted in a gradient, in resume, in a kernel, or a leak is found. On the
//! CPU, but for the kernel's, which needs a Vulkan adapter; where there is none that test says so and passes.
#![allow(clippy::unwrap_used)] // a test's own helpers may

use std::io::Write;
use std::process::Command;
use std::time::Instant;

use engine::check::Faults;
use engine::check::part::{Part, Task};
use engine::check::process;
use engine::device;
use wire::check::{Line, Outcome, Section};

/// The variable that names the part of a child process. It may use the software adapter, and its memory is its own.
const PART: &str = "KINDLING_FULL_CHECK_TEST";

/// Runs a part in a child process; the test passes where the part does.
fn play(part: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "play_a_part", "--ignored", "--nocapture", "--test-threads=1"]);
    let output = child.env(PART, part).env("KINDLING_SOFTWARE_GPU", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if said.contains(NOT_RUN) {
        // Written past the test harness, which hides the output of a test that passes.
        let _ = writeln!(std::io::stderr(), "{NOT_RUN}: no Vulkan adapter");
    }
    assert!(output.status.success(), "{part}:\n{said}");
}

const NOT_RUN: &str = "GPU TESTS NOT RUN";

/// Runs a part with what is planted, and ends its section.
fn ended(device: &str, part: Part, faults: Faults) -> Section {
    let folder = tempfile::tempdir().unwrap();
    let task =
        Task { part, device: device.parse().unwrap(), autotune: false, secs: 120.0, folder: folder.path().to_owned() };
    let mut section = Section::default();
    process::run(&task, Instant::now(), faults, &mut |line: Line| section.add(line)).unwrap();
    section.end();
    section
}

/// The names of what failed.
fn failed(section: &Section) -> Vec<&str> {
    section.checks.iter().filter(|check| check.outcome == Outcome::Failed).map(|check| check.name.as_str()).collect()
}

#[test]
fn a_sound_device_passes_and_what_does_not_concern_it_is_not_run() {
    for (part, expected) in [
        (Part::Adapter, Outcome::Passed),
        (Part::Training, Outcome::Passed),
        (Part::Resume, Outcome::Passed),
        (Part::Kernels, Outcome::NotRun),
        (Part::Inspections, Outcome::NotRun),
    ] {
        let section = ended("cpu", part.clone(), Faults::default());
        assert_eq!(section.outcome, expected, "{part:?}: {section:?}");
    }
}

#[test]
fn a_fault_in_a_gradient_is_found() {
    let section = ended("cpu", Part::Training, Faults { gradient: true, ..Faults::default() });
    let names = failed(&section);
    for shape in ["GPT-2", "Llama"] {
        assert!(names.contains(&format!("{shape} shape, loss and gradients").as_str()), "{section:?}");
    }
    assert!(section.reason.contains("block.0.mlp.up"), "it names the parameter: {}", section.reason);
}

#[test]
fn a_fault_in_resume_is_found() {
    let section = ended("cpu", Part::Resume, Faults { resume: true, ..Faults::default() });
    assert_eq!(failed(&section).len(), 2, "{section:?}");
}

#[test]
fn a_leak_of_a_megabyte_a_step_is_found() {
    play("leak");
}

#[test]
fn a_training_without_a_leak_passes() {
    play("memory");
}

#[test]
fn a_fault_in_a_kernel_is_found_and_no_other_kernel_is_blamed() {
    play("kernels");
}

#[test]
#[ignore = "a child process's part"]
fn play_a_part() {
    let Ok(part) = std::env::var(PART) else { return };
    let leak = |leak_bytes_per_step| ended("cpu", Part::Memory, Faults { leak_bytes_per_step, ..Faults::default() });
    match part.as_str() {
        "memory" => assert_eq!(leak(0).outcome, Outcome::Passed, "{:?}", leak(0)),
        "leak" => {
            let section = leak(1_000_000);
            assert!(failed(&section).contains(&"host memory over the steps"), "{section:?}");
        }
        "kernels" => play_kernels(),
        other => panic!("no part named {other}"),
    }
}

fn play_kernels() {
    let Some(info) = device::list().into_iter().find(|info| info.backend.contains("Vulkan")) else {
        println!("{NOT_RUN}: no Vulkan adapter");
        return;
    };
    let with = |kernel| ended(info.id.as_str(), Part::Kernels, Faults { kernel, ..Faults::default() });
    assert_eq!(with(false).outcome, Outcome::Passed);
    let section = with(true);
    assert_eq!(failed(&section), ["kernel moments"], "{section:?}");
}
