//! The sections of the full check: in which order, for how long, and of which parts.

use std::time::{Duration, Instant};

use super::FullCheckError;
use super::{FullCheck, SECTIONS};
use engine::check::part::{Part, Task};
use engine::check::process::PEAK;
use wire::check::{Check, Figure, Line, Outcome, Section};
use wire::device::{DeviceInfo, DeviceKind};

use super::compare;
use super::process::{Ending, Launcher, Switches};
use super::report::Writer;

/// Maximum fraction of the remaining time of a section that one part may use, so that a hanging part leaves time for the
/// next.
const PART_FRACTION: f64 = 0.6;
/// A part stops this long before it would be killed, seconds.
const GRACE: f64 = 2.0;
/// Minimum time of a part, seconds.
const MIN_PART_SECS: f64 = 3.0;

const USUAL: Switches = Switches { has_fusion: true, is_cold: false };

/// The question that each section answers, and its time out of 350 seconds: on a GPU or the CPU, and on a software adapter.
fn about(name: &str) -> (&'static str, f64, f64) {
    match name {
        "adapter" => ("What does the device support?", 15.0, 15.0),
        "parity" => ("Does it compute what the CPU computes?", 100.0, 270.0),
        "resume" => ("Does a resumed run continue as an uninterrupted one?", 20.0, 65.0),
        "speed" => ("How fast does it train, compared with its peak?", 100.0, 0.0),
        "memory" => ("Is memory use constant and within the estimate of the plan?", 30.0, 0.0),
        "overhead" => ("What do open inspections cost?", 35.0, 0.0),
        _ => ("How fast is it compared with another program?", 50.0, 0.0),
    }
}

/// The sections before they start.
pub(crate) fn planned(args: &FullCheck, device: &DeviceInfo) -> Vec<Section> {
    let is_software = device.kind == DeviceKind::Software;
    let time = |name: &str| {
        let (_, usual, software) = about(name);
        let is_wanted = why_not(name, args, device).is_none();
        if !is_wanted {
            0.0
        } else if is_software {
            software
        } else {
            usual
        }
    };
    let all: f64 = SECTIONS.iter().map(|name| time(name)).sum();
    let section = |name: &&str| Section {
        name: (*name).to_owned(),
        question: about(name).0.to_owned(),
        limit_secs: time(name) / all.max(1.0) * args.seconds,
        ..Section::default()
    };
    SECTIONS.iter().map(section).collect()
}

/// The reason for not running a section; `None` to run it.
fn why_not(name: &str, args: &FullCheck, device: &DeviceInfo) -> Option<&'static str> {
    let needs_hardware = matches!(name, "speed" | "memory" | "overhead" | "compare");
    if !args.only.is_empty() && !args.only.iter().any(|wanted| wanted == name) {
        Some("not among --only")
    } else if needs_hardware && device.kind == DeviceKind::Software {
        Some("software adapter")
    } else if name == "compare" && args.compare.is_empty() {
        Some("no --compare COMMAND was given")
    } else {
        None
    }
}

/// Runs the sections.
pub(crate) struct Runner<'a> {
    args: &'a FullCheck,
    device: &'a DeviceInfo,
    launcher: Launcher,
    writer: &'a mut Writer,
    /// Floating-point operations per second of the largest matrix product, once measured.
    peak_flops: f64,
    /// Number of started parts, each with its own folder.
    parts: usize,
}

/// A part, the switches of its process, and the suffix of its results.
struct Job {
    part: Part,
    switches: Switches,
    autotune: bool,
    /// Suffix of the names of its results.
    variant: &'static str,
}

impl<'a> Runner<'a> {
    /// A runner that has not started.
    pub(crate) fn new(args: &'a FullCheck, device: &'a DeviceInfo, launcher: Launcher, writer: &'a mut Writer) -> Self {
        Self { args, device, launcher, writer, peak_flops: 0.0, parts: 0 }
    }

    /// All sections, in order. Time that one leaves goes to the next ones.
    pub(crate) fn run(&mut self) -> Result<(), FullCheckError> {
        let mut spare = 0.0;
        for (at, name) in SECTIONS.iter().enumerate() {
            if let Some(reason) = why_not(name, self.args, self.device) {
                self.writer.leave_out(at, reason)?;
                continue;
            }
            let left = self.args.seconds - self.writer.secs();
            let limit = (self.writer.report().sections[at].limit_secs + spare).min(left);
            if limit < MIN_PART_SECS {
                self.writer.leave_out(at, "time limit reached")?;
                continue;
            }
            let began = Instant::now();
            self.writer.begin(at, limit)?;
            self.section(at, name, began + Duration::from_secs_f64(limit))?;
            let secs = began.elapsed().as_secs_f64();
            self.writer.end(at, secs)?;
            spare = limit - secs;
        }
        Ok(())
    }

    fn section(&mut self, at: usize, name: &str, ends: Instant) -> Result<(), FullCheckError> {
        match name {
            "adapter" => self.all(at, vec![self.usual(Part::Adapter)], ends),
            "parity" => self.parity(at, ends),
            "resume" => self.all(at, vec![self.usual(Part::Resume)], ends),
            "speed" => self.speed(at, ends),
            "memory" => self.all(at, vec![self.usual(Part::Memory)], ends),
            "overhead" => self.all(at, vec![self.usual(Part::Overhead)], ends),
            _ => self.compare(at, ends),
        }
    }

    fn is_software(&self) -> bool {
        self.device.kind == DeviceKind::Software
    }

    fn usual(&self, part: Part) -> Job {
        Job { part, switches: USUAL, autotune: !self.is_software(), variant: "" }
    }

    fn all(&mut self, at: usize, jobs: Vec<Job>, ends: Instant) -> Result<(), FullCheckError> {
        let mut left = jobs.len();
        for job in jobs {
            left -= 1;
            self.job(at, &job, if left == 0 { 1.0 } else { PART_FRACTION }, ends)?;
        }
        Ok(())
    }

    fn parity(&mut self, at: usize, ends: Instant) -> Result<(), FullCheckError> {
        let variant = |has_fusion, autotune, variant| {
            let switches = Switches { has_fusion, is_cold: false };
            Job { part: Part::Training, switches, autotune, variant }
        };
        let (kernels, inspections) = (self.usual(Part::Kernels), self.usual(Part::Inspections));
        let jobs = match self.device.kind {
            DeviceKind::Cpu => vec![self.usual(Part::Training), kernels, inspections],
            DeviceKind::Software => vec![
                variant(true, false, ", fusion on, autotune off"),
                kernels,
                variant(false, false, ", fusion off, autotune off"),
                inspections,
            ],
            DeviceKind::Gpu => vec![
                variant(true, true, ", fusion on, autotune on"),
                kernels,
                inspections,
                variant(false, false, ", fusion off, autotune off"),
                variant(false, true, ", fusion off, autotune on"),
                variant(true, false, ", fusion on, autotune off"),
            ],
        };
        self.all(at, jobs, ends)?;
        match self.device.kind {
            DeviceKind::Software => {
                self.note(at, "autotune on", Outcome::NotRun, "software adapter, on which it takes minutes")
            }
            _ => Ok(()),
        }
    }

    fn speed(&mut self, at: usize, ends: Instant) -> Result<(), FullCheckError> {
        self.job(at, &self.usual(Part::Ceilings), 0.3, ends)?;
        for (preset, grows) in [("nanogpt-char", false), ("llama-small", false)] {
            self.job(at, &self.usual(self.of_preset(preset, 0, grows, false)), 0.35, ends)?;
        }
        // A model that does not fit with the batch size of the preset may fit with a smaller one.
        for rows in [0, 2, 1] {
            if self.job(at, &self.usual(self.of_preset("gpt2", rows, true, false)), 0.55, ends)? {
                break;
            }
        }
        for (is_cold, variant) in [(true, ", cold start"), (false, ", warm start")] {
            let switches = Switches { has_fusion: true, is_cold };
            let autotune = !self.is_software();
            self.job(at, &Job { part: Part::FirstStep, switches, autotune, variant }, PART_FRACTION, ends)?;
        }
        Ok(())
    }

    fn of_preset(&self, preset: &str, rows: usize, grows: bool, without_dropout: bool) -> Part {
        Part::Speed { preset: preset.to_owned(), rows, grows, without_dropout, peak_flops: self.peak_flops }
    }

    fn compare(&mut self, at: usize, ends: Instant) -> Result<(), FullCheckError> {
        let usual = if self.device.kind == DeviceKind::Cpu { "nanogpt-cpu" } else { "nanogpt-char" };
        for command in &self.args.compare {
            let left = ends.saturating_duration_since(Instant::now());
            let other = match compare::run(command, left.mul_f64(PART_FRACTION)) {
                Ok(other) => other,
                Err(problem) => {
                    self.note(at, "other program", Outcome::Failed, &problem)?;
                    continue;
                }
            };
            self.writer.add(at, other.figure())?;
            let preset = other.preset().unwrap_or(usual);
            let before = self.writer.report().sections[at].figures.len();
            self.job(at, &self.usual(self.of_preset(preset, 0, false, true)), 1.0, ends)?;
            let ours = self.writer.report().sections[at].figures.get(before).map(|figure| figure.value);
            if let Some(ours) = ours {
                self.writer.add(at, other.ratio(preset, ours))?;
            }
        }
        Ok(())
    }

    /// Runs a part. Returns false if a smaller batch should be tried.
    fn job(&mut self, at: usize, job: &Job, fraction: f64, ends: Instant) -> Result<bool, FullCheckError> {
        let left = ends.saturating_duration_since(Instant::now()).as_secs_f64();
        let limit = left * fraction;
        let name = title(&job.part, job.variant);
        if limit < MIN_PART_SECS {
            self.note(at, &name, Outcome::NotRun, "time limit reached")?;
            return Ok(true);
        }
        self.parts += 1;
        let task = Task {
            part: job.part.clone(),
            device: self.device.id.clone(),
            autotune: job.autotune,
            secs: limit - GRACE,
            folder: self.launcher.folder(&format!("part-{}", self.parts))?,
        };
        let (mut figures, mut peak, mut failed) = (0, None, None);
        let writer = &mut *self.writer;
        let mut report = |line: Line| {
            let line = with_variant(line, job.variant);
            if let Line::Figure(Figure { name, value, .. }) = &line {
                figures += 1;
                peak = (name == PEAK).then_some(value * 1e12).or(peak);
            }
            failed = writer.add(at, line).err().or(failed.take());
        };
        let limit = Duration::from_secs_f64(limit);
        let ending = self.launcher.run(&task, self.device.kind, job.switches, limit, &mut report)?;
        if let Some(failed) = failed {
            return Err(failed);
        }
        self.peak_flops = peak.unwrap_or(self.peak_flops);
        self.record_end(at, &job.part, &name, ending, figures, limit)
    }

    /// Records a part that failed or timed out.
    fn record_end(
        &mut self,
        at: usize,
        part: &Part,
        name: &str,
        ending: Ending,
        figures: usize,
        limit: Duration,
    ) -> Result<bool, FullCheckError> {
        let secs = limit.as_secs_f64();
        let grows = matches!(part, Part::Speed { grows: true, .. });
        let measures = matches!(part, Part::Speed { .. } | Part::Overhead | Part::FirstStep | Part::Ceilings);
        match ending {
            Ending::Done => {}
            Ending::Broken(words) if grows && figures > 0 => {
                self.note(at, name, Outcome::Passed, &format!("the next larger batch did not fit: {words}"))?;
            }
            Ending::Broken(words) => {
                let is_last = !matches!(part, Part::Speed { grows: true, rows, .. } if *rows != 1);
                let outcome = if is_last { Outcome::Failed } else { Outcome::NotRun };
                self.note(at, name, outcome, &words)?;
                return Ok(is_last);
            }
            Ending::Killed if measures && figures > 0 => {
                self.note(
                    at,
                    name,
                    Outcome::NotRun,
                    &format!("the remaining measurements: time limit of {secs:.0} s reached"),
                )?;
            }
            Ending::Killed => {
                let found = format!("not finished within {secs:.0} s: it hangs or needs more time; raise --seconds");
                self.note(at, name, Outcome::Failed, &found)?;
            }
        }
        Ok(true)
    }

    fn note(&mut self, at: usize, name: &str, outcome: Outcome, found: &str) -> Result<(), FullCheckError> {
        self.writer.add(at, Line::Check(Check { name: name.to_owned(), outcome, found: found.to_owned() }))
    }
}

fn title(part: &Part, variant: &str) -> String {
    let name = match part {
        Part::Adapter => "adapter",
        Part::Training => "training of tiny models",
        Part::Kernels => "kernels",
        Part::Inspections => "inspections",
        Part::Resume => "resume",
        Part::Ceilings => "ceilings",
        Part::Speed { preset, .. } => preset,
        Part::FirstStep => "start-up",
        Part::Memory => "memory",
        Part::Overhead => "overhead",
    };
    format!("{name}{variant}")
}

fn with_variant(line: Line, variant: &str) -> Line {
    match line {
        Line::Check(check) => Line::Check(Check { name: check.name + variant, ..check }),
        Line::Figure(figure) => Line::Figure(Figure { name: figure.name + variant, ..figure }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn args(only: &[&str], compare: &[&str]) -> FullCheck {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        FullCheck {
            device: None,
            report: None,
            only: list(only),
            seconds: 350.0,
            compare: list(compare),
            data: PathBuf::new(),
        }
    }

    fn device(kind: DeviceKind) -> DeviceInfo {
        let id = "gpu-0".parse().unwrap();
        DeviceInfo {
            id,
            name: "a GPU".into(),
            kind,
            backend: String::new(),
            cores: 1,
            memory_bytes: 0,
            flops_per_sec: 0.0,
            rates: None,
        }
    }

    #[test]
    fn the_time_is_shared_among_the_sections_that_run() {
        let sum = |sections: &[Section]| sections.iter().map(|section| section.limit_secs).sum::<f64>();
        for (only, compare, kind) in [
            (&[][..], &[][..], DeviceKind::Gpu),
            (&[], &["python x"], DeviceKind::Gpu),
            (&["parity", "speed"], &[], DeviceKind::Cpu),
            (&[], &[], DeviceKind::Software),
        ] {
            let sections = planned(&args(only, compare), &device(kind));
            assert!((sum(&sections) - 350.0).abs() < 1e-6, "{sections:?}");
        }
        let software = planned(&args(&[], &[]), &device(DeviceKind::Software));
        assert_eq!(software.iter().filter(|section| section.limit_secs > 0.0).count(), 3);
    }

    #[test]
    fn a_section_that_is_not_run_has_a_reason() {
        let why = |name, kind| why_not(name, &args(&[], &[]), &device(kind));
        assert_eq!(why("speed", DeviceKind::Software), Some("software adapter"));
        assert_eq!(why("speed", DeviceKind::Gpu), None);
        assert_eq!(why("compare", DeviceKind::Gpu), Some("no --compare COMMAND was given"));
        assert_eq!(why_not("speed", &args(&["parity"], &[]), &device(DeviceKind::Gpu)), Some("not among --only"));
    }
}
