//! `kindling check --full`: one device in all that a run needs, section by section in order of importance, each within a stated time.
//!
//! [`sections`] which there are and what they are made of, [`process`] one part of one in a process of its own, [`beside`] another program
//! run in turn, [`report`] what is written after each result, so that a check that is cut off still tells something, and [`markdown`] how
//! people read it. What the parts measure is `engine::check::part`'s.

mod beside;
mod markdown;
mod process;
mod report;
mod sections;

use std::io::{Read, Write};
use std::time::Instant;

use anyhow::Context;
use engine::check::Faults;
use engine::check::part::{self, Task};
use server::check_args::CheckArgs;
use server::checks;
use server::clock::now_ms;
use wire::check::{CheckReport, Line, Outcome, VERSION};
use wire::device::{DeviceInfo, DeviceKind};

use self::process::Launcher;
use self::report::Writer;
use self::sections::Runner;

/// Checks, writes the report, and ends in an error where the device failed.
pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<()> {
    let began = Instant::now();
    let is_lab = args.data.join("lab.db").exists();
    let folder = args.report.clone();
    anyhow::ensure!(folder.is_some() || is_lab, "where to? --report names a folder for report.json and report.md");
    let device = choose(args, &process::devices()?)?;
    let mut folders: Vec<_> = folder.into_iter().collect();
    folders.extend(is_lab.then(|| checks::folder(&args.data, &device.id)));
    let launcher = Launcher::new(&folders[0])?;
    let report = CheckReport {
        version: VERSION,
        program: format!("kindling {}", env!("CARGO_PKG_VERSION")),
        device: device.clone(),
        started_ms: now_ms(),
        secs: 0.0,
        limit_secs: args.seconds,
        sections: sections::planned(args, &device),
    };
    let mut writer = Writer::new(report, folders, began)?;
    Runner::new(args, &device, launcher, &mut writer).run()?;
    let (outcome, sentence) = writer.report().verdict();
    println!("{}: {sentence}", outcome.word());
    println!("{}", writer.place());
    anyhow::ensure!(outcome != Outcome::Failed, "{} failed its check; the report says where", device.id);
    Ok(())
}

/// The device that was named; else the first graphics card, the software adapter, the CPU.
fn choose(args: &CheckArgs, found: &[DeviceInfo]) -> anyhow::Result<DeviceInfo> {
    let of_kind = |kind| found.iter().find(|device| device.kind == kind);
    let chosen = match &args.device {
        Some(id) => found.iter().find(|device| device.id == *id),
        None => of_kind(DeviceKind::Gpu).or_else(|| of_kind(DeviceKind::Software)).or_else(|| found.first()),
    };
    let names = || found.iter().map(|device| device.id.as_str()).collect::<Vec<_>>().join(", ");
    chosen.cloned().with_context(|| match &args.device {
        Some(id) => format!("there is no device {id} on this machine; it has {}", names()),
        None => "this machine has no device".to_owned(),
    })
}

/// `kindling check-part`: does the task on standard input and writes a line of JSON for each result.
pub(crate) fn run_part(began: Instant) -> anyhow::Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("the task could not be read")?;
    let task: Task = serde_json::from_str(&text).context("standard input holds no task of a check")?;
    let mut out = std::io::stdout();
    let mut tell = |line: Line| {
        // Whoever asked may be gone; then nobody reads what is found.
        let _ = serde_json::to_string(&line).map(|line| writeln!(out, "{line}").and_then(|()| out.flush()));
    };
    part::run(&task, began, Faults::default(), &mut tell)?;
    Ok(())
}
