//! Telemetry of the devices: the newest measurement of each, its history, and how its time was used.
//!
//! - [`history`]: buckets of the last hour and day; [`usage`]: busy, idle and wasted time; [`findings`]: what rules find;
//! - [`overview`]: all of it as pages show it; [`keeping`]: the history across a restart.

pub mod findings;
pub mod history;
pub mod keeping;
pub mod overview;
pub mod usage;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::DeviceId;
use wire::device::DeviceKind;
use wire::telemetry::{HistoryBucket, HistoryRange, Telemetry, Usage};

use history::History;

/// Devices whose history is kept, the most recently heard ones. A lab has fewer; the bound is for workers that join under ever new names.
const DEVICES: usize = 1000;
/// An older measurement is not the present one, ms.
const FRESH_MS: i64 = 10_000;

/// The newest measurement of a device, and its history.
#[derive(Debug, Default, Clone)]
struct Record {
    /// The newest measurement and its time.
    newest: Option<(i64, Telemetry)>,
    /// The machine's clock minus this server's, ms.
    clock_ahead_ms: Option<i64>,
    history: History,
    /// Time of the last change, ms since 1970.
    heard_ms: i64,
}

/// The telemetry of all devices; cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct DeviceTelemetry(Arc<Mutex<BTreeMap<DeviceId, Record>>>);

/// A copy of what is known about a device.
#[derive(Debug, Default, Clone)]
pub struct Known {
    /// The newest measurement; `None` if there is no recent one.
    pub telemetry: Option<Telemetry>,
    /// The machine's clock minus this server's, ms.
    pub clock_ahead_ms: Option<i64>,
    pub hour: Usage,
    pub day: Usage,
    /// Mean utilization by minute, see [`wire::telemetry::FleetDevice`].
    pub minutes: Vec<Option<f32>>,
}

impl DeviceTelemetry {
    /// Notes a measurement of a device, if there is a new one, and the difference of its machine's clock.
    pub fn measured(
        &self,
        device: &DeviceId,
        kind: DeviceKind,
        telemetry: Option<Telemetry>,
        clock_ahead_ms: Option<i64>,
        now_ms: i64,
    ) {
        self.change(device, now_ms, |record| {
            record.clock_ahead_ms = clock_ahead_ms;
            if let Some(telemetry) = telemetry {
                record.history.measured(now_ms, kind, &telemetry);
                record.newest = Some((now_ms, telemetry));
            }
        });
    }

    /// Notes how the time of a device was used.
    pub fn used(&self, device: &DeviceId, usage: Usage, now_ms: i64) {
        self.change(device, now_ms, |record| record.history.used(now_ms, usage));
    }

    /// The newest measurement, usage and findings of a device.
    pub fn known(&self, device: &DeviceId, now_ms: i64) -> Known {
        let records = self.lock();
        let Some(record) = records.get(device) else { return Known::default() };
        let fresh = record.newest.as_ref().filter(|(at_ms, _)| now_ms - at_ms < FRESH_MS);
        Known {
            telemetry: fresh.map(|(_, telemetry)| telemetry.clone()),
            clock_ahead_ms: record.clock_ahead_ms,
            hour: record.history.usage(HistoryRange::Hour, now_ms),
            day: record.history.usage(HistoryRange::Day, now_ms),
            minutes: record.history.minutes(now_ms),
        }
    }

    /// The buckets of a device, oldest first; `None` for a device that was never heard of.
    pub fn buckets(&self, device: &DeviceId, range: HistoryRange, now_ms: i64) -> Option<Vec<HistoryBucket>> {
        Some(self.lock().get(device)?.history.buckets(range, now_ms))
    }

    /// The buckets that were completed since the last call, or all since then with those still being filled.
    pub fn take_unsaved(&self, with_open: bool) -> Vec<(DeviceId, HistoryRange, HistoryBucket)> {
        let mut unsaved = vec![];
        for (device, record) in self.lock().iter_mut() {
            let buckets = record.history.take_unsaved(with_open);
            unsaved.extend(buckets.into_iter().map(|(range, bucket)| (device.clone(), range, bucket)));
        }
        unsaved
    }

    /// Puts the buckets that an earlier server has stored before those of this one.
    pub fn restore(&self, range: HistoryRange, stored: Vec<(DeviceId, HistoryBucket)>) {
        let mut by_device: BTreeMap<DeviceId, Vec<HistoryBucket>> = BTreeMap::new();
        stored.into_iter().for_each(|(device, bucket)| by_device.entry(device).or_default().push(bucket));
        for (device, buckets) in by_device {
            let heard_ms = buckets.last().map_or(0, |bucket| bucket.at_ms);
            self.change(&device, heard_ms, |record| record.history.restore(range, buckets));
        }
    }

    fn change(&self, device: &DeviceId, now_ms: i64, act: impl FnOnce(&mut Record)) {
        let mut records = self.lock();
        if !records.contains_key(device) && records.len() >= DEVICES {
            let oldest = records.iter().min_by_key(|(_, record)| record.heard_ms).map(|(device, _)| device.clone());
            oldest.map(|oldest| records.remove(&oldest));
        }
        let record = records.entry(device.clone()).or_default();
        record.heard_ms = record.heard_ms.max(now_ms);
        act(record);
    }

    // Code that holds this lock only computes; a panic in it leaves at most one measurement out.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<DeviceId, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_measurement_is_not_the_present_one_and_the_number_of_devices_is_bounded() {
        let telemetry = DeviceTelemetry::default();
        let device = |number: usize| format!("device-{number}").parse::<DeviceId>().unwrap();
        for number in 0..=DEVICES {
            let sample = Some(Telemetry { cpu_utilization: Some(0.5), ..Telemetry::default() });
            telemetry.measured(&device(number), DeviceKind::Cpu, sample, Some(7), number as i64);
        }
        assert_eq!(telemetry.lock().len(), DEVICES);
        assert!(telemetry.buckets(&device(0), HistoryRange::Hour, 0).is_none(), "the one that was heard first");
        let last = DEVICES as i64;
        assert!(telemetry.known(&device(DEVICES), last + FRESH_MS - 1).telemetry.is_some());
        let later = telemetry.known(&device(DEVICES), last + FRESH_MS);
        assert_eq!((later.telemetry, later.clock_ahead_ms), (None, Some(7)));
    }
}
