//! Why a queued run waits, in one sentence: its place, what it waits for, and for how long where that is known.

use std::collections::{HashMap, HashSet};

use store::{WaitingRun, WorkerRecord};
use wire::device::{DeviceKind, DeviceView};
use wire::{DeviceId, RunId, RunPlan, RunState, RunSummary};

use super::devices::{self, Room};
use crate::error::ApiError;
use crate::lab::limits::Reached;
use crate::lab::{Lab, limits};

/// Stores the sentence of each queued run whose reason has changed, and publishes it.
///
/// # Errors
/// An error of the store.
pub(super) async fn explain(lab: &Lab, preparing: &HashSet<RunId>) -> Result<(), ApiError> {
    let waiting = lab.store().waiting().await?;
    if waiting.is_empty() {
        return Ok(());
    }
    let (fleet, full) = (FleetNow::read(lab).await?, limits::full_projects(lab).await?);
    let mut changed = vec![];
    for run in waiting {
        let mut reason = match full.get(&run.project) {
            Some(reached) => Reason::Limit(*reached),
            None => fleet.reason(&run, preparing.contains(&run.run)),
        };
        if reason == Reason::Idle {
            reason = why_not_started(lab, &fleet, &run).await?;
        }
        let sentence = sentence(&run, &reason);
        if run.waits.as_ref() != Some(&sentence) {
            changed.push((run.run, sentence));
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    for summary in lab.store().set_waits(&changed).await? {
        lab.feed.hub.publish(summary, vec![], vec![], vec![]);
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq)]
enum Reason {
    /// Its datasets are being tokenized.
    Tokenization,
    /// No worker has joined that could train it.
    NoWorker,
    /// None of its workers is connected.
    NotConnected,
    /// All of its connected workers drain.
    Draining,
    /// More runs are before it than workers could take.
    Ahead(u32),
    /// A run in training. It is not named: whoever may see the waiting run by a link may not see this one.
    Run { worker: String, secs_left: Option<f64>, is_paused: bool },
    /// A worker has reports of it that are not stored yet.
    Reports,
    /// No idle device has enough memory; bytes.
    Memory(u64),
    /// Its project has reached a limit.
    Limit(Reached),
    /// It does not fit in the memory of a device beside the runs that train there; bytes.
    Beside { device: DeviceId, needed: u64, available: u64 },
    /// Another run trains on a device whose memory is unknown.
    UnknownMemory { device: DeviceId },
    /// A device is free.
    Idle,
}

/// The workers, and the runs that they train.
struct FleetNow {
    /// Each process as a device of its own.
    devices: Vec<DeviceView>,
    records: Vec<WorkerRecord>,
    runs: HashMap<RunId, RunSummary>,
}

impl FleetNow {
    async fn read(lab: &Lab) -> Result<Self, ApiError> {
        let devices = lab.workers.fleet.processes();
        let mut runs = HashMap::new();
        for run in devices.iter().filter_map(|device| device.run.as_ref()) {
            if let Some(summary) = lab.store().summary(run).await? {
                runs.insert(run.clone(), summary);
            }
        }
        Ok(Self { devices, records: lab.store().workers().await?, runs })
    }

    /// The devices that may train a run.
    fn candidates<'a>(&'a self, run: &'a WaitingRun) -> impl Iterator<Item = &'a DeviceView> {
        self.devices.iter().filter(move |device| match (&run.pool, run.any_of) {
            (Some(pool), _) => device.pool == *pool,
            (None, Some(kind)) => device.info.kind == kind,
            (None, None) => device.info.id == run.device,
        })
    }

    fn reason(&self, run: &WaitingRun, is_in_preparation: bool) -> Reason {
        if is_in_preparation {
            return Reason::Tokenization;
        }
        if !self.candidates(run).any(|device| device.is_connected) {
            let has_joined = |record: &WorkerRecord| match &run.pool {
                Some(pool) => record.pool == *pool,
                None => record.device == run.device,
            };
            let is_known = self.records.iter().any(has_joined) || self.candidates(run).next().is_some();
            return if is_known { Reason::NotConnected } else { Reason::NoWorker };
        }
        let mut free: Vec<(f64, &DeviceView)> = self
            .candidates(run)
            .filter(|device| device.is_connected && !device.is_draining)
            .map(|device| (self.secs_left(device).unwrap_or(f64::INFINITY), device))
            .collect();
        if free.is_empty() {
            return Reason::Draining;
        }
        free.sort_by(|a, b| a.0.total_cmp(&b.0));
        match free.get(run.place.saturating_sub(1) as usize) {
            None => Reason::Ahead(run.place - 1),
            Some((_, device)) => self.training(device),
        }
    }

    fn training(&self, device: &DeviceView) -> Reason {
        let Some(run) = &device.run else { return Reason::Idle };
        let is_paused = self.runs.get(run).is_some_and(|summary| summary.state == RunState::Paused);
        Reason::Run { worker: device.worker_name.clone(), secs_left: self.secs_left(device), is_paused }
    }

    /// Seconds until a device is free; `None` for a paused run and one without steps.
    fn secs_left(&self, device: &DeviceView) -> Option<f64> {
        let Some(run) = &device.run else { return Some(0.0) };
        self.runs.get(run).filter(|run| run.state == RunState::Running)?.secs_left()
    }
}

/// Why a run has not started although a device is free.
async fn why_not_started(lab: &Lab, fleet: &FleetNow, run: &WaitingRun) -> Result<Reason, ApiError> {
    if lab.workers.fleet.has_unstored_reports(&run.run) {
        return Ok(Reason::Reports);
    }
    let mut why = Reason::Idle;
    for device in fleet.candidates(run).filter(|device| device.is_connected && device.run.is_none()) {
        let queue = lab.store().queue(&device.info.id, device.info.kind, &device.pool, &[], devices::AHEAD).await?;
        let Some((at, (_, plan))) = queue.into_iter().enumerate().find(|(_, (id, _))| *id == run.run) else { continue };
        if !devices::fits(&plan, &device.info) {
            if why == Reason::Idle {
                why = Reason::Memory(plan.memory_bytes(device.info.kind));
            }
            continue;
        }
        match beside(lab, &plan, &device.info.id, at).await? {
            None => return Ok(Reason::Idle),
            Some(reason) => why = reason,
        }
    }
    Ok(why)
}

/// Why a run does not start on a device beside those that train there; `None` if it can. Until the first run of the queue, at 0, fits there,
/// those after it wait too.
async fn beside(lab: &Lab, plan: &RunPlan, device: &DeviceId, at: usize) -> Result<Option<Reason>, ApiError> {
    let (fleet, device) = (&lab.workers.fleet, device.clone());
    let training = fleet.runs_on(&device);
    if at > 0 && !training.is_empty() {
        return Ok(Some(Reason::Ahead(at as u32)));
    }
    let Some(info) = fleet.infos().into_iter().find(|info| info.id == device) else { return Ok(None) };
    Ok(match devices::room(lab, plan, &info, &training).await? {
        Room::Enough => None,
        Room::TooLittle { needed, available } => Some(Reason::Beside { device, needed, available }),
        Room::Unknown => Some(Reason::UnknownMemory { device }),
    })
}

fn sentence(run: &WaitingRun, reason: &Reason) -> String {
    let place = ordinal(run.place);
    let queue = queue_name(run);
    let head = format!("{place} in the queue{queue}");
    match reason {
        Reason::Tokenization => format!("{head}; waits while its dataset is tokenized."),
        Reason::NoWorker if run.pool.is_some() => {
            format!("{head}, which has no worker yet: add one on the Fleet page.")
        }
        Reason::NoWorker if devices::is_stand_in(&run.device) => {
            format!("{head}; waits for the first device to connect.")
        }
        Reason::NoWorker if run.any_of.is_some() => {
            format!("{head}; waits for the first device of this kind to connect.")
        }
        Reason::NoWorker => format!("{head}, which no worker has: join a machine under this name, or move the run."),
        Reason::NotConnected if run.pool.is_some() => format!("{head}, whose workers are not connected."),
        Reason::NotConnected => format!("{head}, whose worker is not connected."),
        Reason::Draining if run.pool.is_some() || run.any_of.is_some() => {
            format!("{head}, whose workers are draining and take no runs: let one take runs again on the Fleet page.")
        }
        Reason::Draining => {
            format!("{head}, whose worker is draining and takes no runs: let it take runs again on the Fleet page.")
        }
        Reason::Ahead(1) => format!("{head}; 1 run starts before it."),
        Reason::Ahead(count) => format!("{head}; {count} runs start before it."),
        Reason::Run { worker, is_paused: true, .. } => {
            format!("{head}; starts when a paused run on {worker} ends or is suspended.")
        }
        Reason::Run { worker, secs_left, .. } => {
            let time = secs_left.map(|secs| format!(", in {}", about(secs))).unwrap_or_default();
            format!("{head}; starts when a run on {worker} ends{time}.")
        }
        Reason::Reports => format!("{head}; waits until the reports of its earlier training are stored."),
        Reason::Memory(bytes) => {
            format!("{head}; waits for a free device with {:.1} GB of memory.", *bytes as f64 / 1e9)
        }
        Reason::Limit(reached) => format!("{head}; {}", limit_sentence(&run.project, *reached)),
        Reason::Beside { device, needed, available } => format!(
            "{head}; waits until a run on {device} ends: together with the runs that train there it needs {:.1} GB of memory, and {:.1} GB are available.",
            *needed as f64 / 1e9,
            *available as f64 / 1e9
        ),
        Reason::UnknownMemory { device } => {
            format!("{head}; waits until no run trains on {device}, whose memory is unknown.")
        }
        Reason::Idle => format!("{head}; starts in a moment."),
    }
}

fn limit_sentence(project: &str, reached: Reached) -> String {
    match reached {
        Reached::Runs(1) => format!("waits because a run of the project {project} trains, and its limit is 1 at once."),
        Reached::Runs(most) => format!("waits because the project {project} may train {most} runs at once."),
        Reached::Hours(most) => {
            format!(
                "waits because the project {project} has used its {most} device hours; an admin can raise the limit."
            )
        }
    }
}

fn queue_name(run: &WaitingRun) -> String {
    match (&run.pool, run.any_of) {
        (Some(pool), _) => format!(" of pool {pool}"),
        (None, Some(DeviceKind::Gpu)) => " for a GPU".to_owned(),
        (None, Some(_)) => " for a CPU".to_owned(),
        (None, None) if devices::is_stand_in(&run.device) => String::new(),
        (None, None) => format!(" of {}", run.device),
    }
}

/// A time in whole minutes or hours, so that the sentence changes rarely.
fn about(secs: f64) -> String {
    match secs {
        ..60.0 => "less than a minute".to_owned(),
        ..5400.0 => format!("about {:.0} min", secs / 60.0),
        ..172_800.0 => format!("about {:.0} h", secs / 3600.0),
        _ => format!("about {:.0} days", secs / 86_400.0),
    }
}

/// A place in a queue as a word: `First`, `Second`, `11th`.
fn ordinal(place: u32) -> String {
    const WORDS: [&str; 10] =
        ["First", "Second", "Third", "Fourth", "Fifth", "Sixth", "Seventh", "Eighth", "Ninth", "Tenth"];
    if let Some(word) = place.checked_sub(1).and_then(|at| WORDS.get(at as usize)) {
        return (*word).to_owned();
    }
    let end = match (place % 10, place % 100) {
        (1..=3, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{place}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::access::project::default_project;

    fn waiting(pool: Option<&str>, device: &str, place: u32) -> WaitingRun {
        let (run, device) = ("amber-fox".parse().unwrap(), device.parse::<DeviceId>().unwrap());
        WaitingRun {
            run,
            device,
            any_of: None,
            pool: pool.map(str::to_owned),
            project: default_project(),
            place,
            waits: None,
        }
    }

    #[test]
    fn each_reason_is_one_sentence_with_place_cause_and_time() {
        let cpu: DeviceId = "cpu".parse().unwrap();
        let of_pool = |place| waiting(Some("gpu-lab"), "any", place);
        let run = |secs_left, is_paused| Reason::Run { worker: "gpu-box-1".into(), secs_left, is_paused };
        for (waiting, reason, expected) in [
            (
                of_pool(2),
                run(Some(720.0), false),
                "Second in the queue of pool gpu-lab; starts when a run on gpu-box-1 ends, in about 12 min.",
            ),
            (of_pool(1), run(None, false), "First in the queue of pool gpu-lab; starts when a run on gpu-box-1 ends."),
            (
                of_pool(1),
                run(None, true),
                "First in the queue of pool gpu-lab; starts when a paused run on gpu-box-1 ends or is suspended.",
            ),
            (
                of_pool(1),
                Reason::NoWorker,
                "First in the queue of pool gpu-lab, which has no worker yet: add one on the Fleet page.",
            ),
            (of_pool(21), Reason::Ahead(20), "21st in the queue of pool gpu-lab; 20 runs start before it."),
            (
                waiting(None, "cpu", 1),
                Reason::Limit(Reached::Runs(2)),
                "First in the queue of cpu; waits because the project default may train 2 runs at once.",
            ),
            (
                waiting(None, "cpu", 2),
                Reason::Limit(Reached::Hours(1.5)),
                "Second in the queue of cpu; waits because the project default has used its 1.5 device hours; an admin can raise the limit.",
            ),
            (
                waiting(None, "cpu", 1),
                Reason::Tokenization,
                "First in the queue of cpu; waits while its dataset is tokenized.",
            ),
            (
                waiting(None, "cpu", 12),
                Reason::NotConnected,
                "12th in the queue of cpu, whose worker is not connected.",
            ),
            (waiting(None, "any", 1), Reason::NoWorker, "First in the queue; waits for the first device to connect."),
            (
                waiting(None, "cpu", 3),
                Reason::Memory(12_340_000_000),
                "Third in the queue of cpu; waits for a free device with 12.3 GB of memory.",
            ),
            (
                waiting(None, "cpu", 1),
                Reason::Beside { device: cpu.clone(), needed: 12_340_000_000, available: 8_000_000_000 },
                "First in the queue of cpu; waits until a run on cpu ends: together with the runs that train there it needs 12.3 GB \
                 of memory, and 8.0 GB are available.",
            ),
            (
                waiting(None, "cpu", 1),
                Reason::UnknownMemory { device: cpu.clone() },
                "First in the queue of cpu; waits until no run trains on cpu, whose memory is unknown.",
            ),
        ] {
            assert_eq!(sentence(&waiting, &reason), expected);
        }
    }

    #[test]
    fn times_are_rounded_to_what_changes_rarely() {
        for (secs, expected) in
            [(3.0, "less than a minute"), (720.0, "about 12 min"), (7300.0, "about 2 h"), (400_000.0, "about 5 days")]
        {
            assert_eq!(about(secs), expected);
        }
    }
}
