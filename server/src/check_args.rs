//! The arguments of `kindling check`.

use std::path::PathBuf;

use lexopt::prelude::Long;
use lexopt::{Parser, ValueExt};
use wire::DeviceId;

use crate::cli::CliError;
use crate::settings;

/// Sections of the full check, the most important first.
pub const SECTIONS: [&str; 7] = ["adapter", "parity", "resume", "speed", "memory", "overhead", "beside"];

/// Time that the full check takes at most, seconds, where no other is given.
pub const SECONDS: f64 = 350.0;

/// What is to be checked, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckArgs {
    /// Which device. The quick check takes all of this machine's by default, the full check the first graphics card, else the software
    /// adapter, else the CPU.
    pub device: Option<DeviceId>,
    /// All sections, each in processes of their own, with a report.
    pub full: bool,
    /// Folder for the report of the full check.
    pub report: Option<PathBuf>,
    /// Sections to run; all by default.
    pub only: Vec<String>,
    /// Time that the full check may take, seconds.
    pub seconds: f64,
    /// Commands to run in turn, whose last line is JSON with `tokens_per_sec`.
    pub beside: Vec<String>,
    /// Folder of the lab, whose Settings page shows the last report of each device.
    pub data: PathBuf,
}

impl CheckArgs {
    /// Reads them.
    ///
    /// # Errors
    /// An unknown flag or section, a value that is no number, a flag of the full check without it.
    pub fn read(mut parser: Parser) -> Result<Self, CliError> {
        let (mut device, mut full, mut report, mut data) = (None, false, None, None);
        let (mut only, mut seconds, mut beside) = (vec![], SECONDS, vec![]);
        while let Some(flag) = parser.next()? {
            match flag {
                Long("device") => device = Some(parser.value()?.parse()?),
                Long("full") => full = true,
                Long("report") => report = Some(PathBuf::from(parser.value()?)),
                Long("only") => only.extend(parser.value()?.string()?.split(',').map(str::to_owned)),
                Long("seconds") => seconds = parser.value()?.parse()?,
                Long("beside") => beside.push(parser.value()?.string()?),
                Long("data") => data = Some(PathBuf::from(parser.value()?)),
                other => return Err(other.unexpected().into()),
            }
        }
        let args = Self { device, full, report, only, seconds, beside, data: settings::data(data) };
        args.checked()
    }

    fn checked(self) -> Result<Self, CliError> {
        let is_full_only = self.report.is_some() || !self.only.is_empty() || !self.beside.is_empty();
        if is_full_only && !self.full {
            return Err(CliError::Missing("--report, --only and --beside belong to the full check: add --full"));
        }
        if let Some(unknown) = self.only.iter().find(|name| !SECTIONS.contains(&name.as_str())) {
            let expected = "section: adapter, parity, resume, speed, memory, overhead, beside";
            return Err(settings::SettingError { setting: "--only", value: unknown.clone(), expected }.into());
        }
        if !(10.0..=86_400.0).contains(&self.seconds) {
            let (value, expected) = (self.seconds.to_string(), "number of seconds from 10 to 86400");
            return Err(settings::SettingError { setting: "--seconds", value, expected }.into());
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<CheckArgs, CliError> {
        CheckArgs::read(Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn arguments_are_read_or_refused() {
        let args = of("--full --report r --only adapter,parity --seconds 60 --device software --data d").unwrap();
        assert_eq!((args.only.len(), args.seconds, args.report), (2, 60.0, Some(PathBuf::from("r"))));
        assert_eq!(of("--full --beside a --beside b").unwrap().beside.len(), 2);
        assert!(!of("--device cpu").unwrap().full);
        for bad in ["--report r", "--full --only singing", "--full --seconds 1", "--full --seconds x", "extra"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
