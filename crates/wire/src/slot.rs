//! Slots: the worker processes of one device, each of which trains one run at a time. A device has one, and more where its pool trains
//! several runs at once.

use std::fmt;

use crate::id::{DeviceId, IdError};

/// Runs that one device trains at once, at most: the largest value of the setting of a pool.
pub const MAX_RUNS_AT_ONCE: u32 = 16;

/// Stands between the id of a device and the number of a further slot.
const SEPARATOR: &str = "-slot-";

/// A worker process of a device. It is written as the id of the device, with the number of a further slot after it: `cpu`, `cpu-slot-2`.
/// Its lock, its log and the greeting of its link have this name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    pub device: DeviceId,
    /// Counted from 1.
    pub number: u32,
}

impl Slot {
    /// The slot that each device has.
    pub fn first(device: DeviceId) -> Self {
        Self { device, number: 1 }
    }

    /// Reads the name of a slot of this device; `None` if it is none of them.
    pub fn of(device: &DeviceId, name: &DeviceId) -> Option<Self> {
        let rest = name.as_str().strip_prefix(device.as_str())?;
        let number = match rest.strip_prefix(SEPARATOR) {
            Some(digits) => digits.parse().ok().filter(|number| (2..=MAX_RUNS_AT_ONCE).contains(number))?,
            None => rest.is_empty().then_some(1)?,
        };
        Some(Self { device: device.clone(), number })
    }

    /// All slots that a device may have.
    pub fn all(device: &DeviceId) -> impl Iterator<Item = Self> + use<'_> {
        (1..=MAX_RUNS_AT_ONCE).map(|number| Self { device: device.clone(), number })
    }

    /// Its name as the id of a device, as the greeting of the link has it.
    ///
    /// # Errors
    /// The id of the device is so long that the number does not fit.
    pub fn name(&self) -> Result<DeviceId, IdError> {
        self.to_string().parse()
    }

    pub fn is_first(&self) -> bool {
        self.number == 1
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            1 => write!(f, "{}", self.device),
            number => write!(f, "{}{SEPARATOR}{number}", self.device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_belong_to_one_device() {
        let device = |id: &str| id.parse::<DeviceId>().unwrap();
        let cpu = device("cpu");
        for slot in Slot::all(&cpu) {
            assert_eq!(Slot::of(&cpu, &slot.name().unwrap()), Some(slot));
        }
        assert_eq!(Slot { device: cpu.clone(), number: 2 }.to_string(), "cpu-slot-2");
        for name in ["cpu-1", "cpu-slot-1", "cpu-slot-17", "cpu-slot-", "cpu-slot-2-slot-2", "box-cpu", "cp"] {
            assert_eq!(Slot::of(&cpu, &device(name)), None, "{name}");
        }
        let long = device(&"x".repeat(60));
        assert!(Slot { device: long.clone(), number: 2 }.name().is_err() && Slot::first(long).name().is_ok());
    }
}
