//! `kindling check --full`: checks everything that a run needs on one device, in sections of decreasing importance with a time limit
//! each.
//!
//! [`sections`]: the sections and their parts; [`process`]: runs a part in a separate process; [`compare`]: runs another program for
//! comparison; [`report`]: writes the report after each result, so that an interrupted check leaves a partial report; [`markdown`]: the
//! report as Markdown. `engine::check` measures.

mod compare;
mod markdown;
mod process;
mod report;
mod sections;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use engine::EngineError;
use engine::check::Faults;
use engine::check::part::Task;
use wire::DeviceId;
use wire::check::{CheckReport, Line, Outcome, VERSION};
use wire::device::{DeviceInfo, DeviceKind};

use crate::api::checks;
use crate::live::clock::now_ms;
use crate::output::{self, OutputError};

use self::process::Launcher;
use self::report::Writer;
use self::sections::Runner;

/// Sections of the full check, the most important first.
pub(super) const SECTIONS: [&str; 7] = ["adapter", "parity", "resume", "speed", "memory", "overhead", "compare"];

/// The arguments of the full check.
#[derive(Debug, Clone, PartialEq)]
pub struct FullCheck {
    /// Device; the first GPU by default, else the software adapter, else the CPU.
    pub device: Option<DeviceId>,
    /// Folder for the report.
    pub report: Option<PathBuf>,
    /// Sections; all if it is empty.
    pub only: Vec<String>,
    /// Time limit, seconds.
    pub seconds: f64,
    /// Commands of other programs to compare with.
    pub compare: Vec<String>,
    /// Folder of the lab, whose Settings page shows the last report of each device.
    pub data: PathBuf,
}

/// Errors of `kindling check --full`.
#[derive(Debug, thiserror::Error)]
pub enum FullCheckError {
    /// No folder for the report.
    #[error("no folder for the report: give --report DIR, or the folder of a lab with --data")]
    NoFolder,
    /// The device is not on this machine.
    #[error("{}; this machine has {}", wanted.as_ref().map_or("no device found".to_owned(), |id| format!("unknown device {id}")), found.join(", "))]
    NoDevice {
        /// The device in the request.
        wanted: Option<DeviceId>,
        /// Devices of this machine.
        found: Vec<String>,
    },
    /// A file or folder of the report.
    #[error("{} cannot be written: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// The process of a part cannot be run.
    #[error("{action} failed: {source}")]
    Process {
        /// The action that failed.
        action: &'static str,
        source: io::Error,
    },
    /// A part or its answer.
    #[error("a part of the check, or its answer, is not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Output(#[from] OutputError),
    /// The devices cannot be listed.
    #[error("listing the devices failed: {0}")]
    Devices(String),
    /// A part cannot be run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A fault was found.
    #[error("{0} failed its check; the report says where")]
    Failed(DeviceId),
}

impl FullCheckError {
    fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    fn process(action: &'static str, source: io::Error) -> Self {
        Self::Process { action, source }
    }
}

/// Checks, writes the report, and ends in an error if the device failed.
pub(crate) fn check(args: &FullCheck) -> Result<(), FullCheckError> {
    let began = Instant::now();
    let is_lab = args.data.join("lab.db").exists();
    let folder = args.report.clone();
    if folder.is_none() && !is_lab {
        return Err(FullCheckError::NoFolder);
    }
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
    let printed = output::line(format_args!("{}: {sentence}\n{}", outcome.word(), writer.paths()));
    match outcome {
        Outcome::Failed => Err(FullCheckError::Failed(device.id)),
        _ => Ok(printed?),
    }
}

/// The requested device; else the first GPU, the software adapter, the CPU.
fn choose(args: &FullCheck, found: &[DeviceInfo]) -> Result<DeviceInfo, FullCheckError> {
    let of_kind = |kind| found.iter().find(|device| device.kind == kind);
    let chosen = match &args.device {
        Some(id) => found.iter().find(|device| device.id == *id),
        None => of_kind(DeviceKind::Gpu).or_else(|| of_kind(DeviceKind::Software)).or_else(|| found.first()),
    };
    chosen.cloned().ok_or_else(|| FullCheckError::NoDevice {
        wanted: args.device.clone(),
        found: found.iter().map(|device| device.id.to_string()).collect(),
    })
}

/// `kindling check-part`: runs the task on standard input and writes a line of JSON for each result.
pub(crate) fn run_part(began: Instant) -> Result<(), FullCheckError> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|source| FullCheckError::process("reading the part", source))?;
    let task: Task = serde_json::from_str(&text)?;
    let mut out = io::stdout();
    let mut report = |line: Line| {
        // The process that reads the results may be gone.
        let _ = serde_json::to_string(&line).map(|line| writeln!(out, "{line}").and_then(|()| out.flush()));
    };
    engine::check::process::run(&task, began, Faults::default(), &mut report)?;
    Ok(())
}
