//! The processes of one device as one device.

use std::collections::BTreeMap;

use wire::device::{DeviceInfo, DeviceLoad, DeviceView};
use wire::{DeviceId, RunId, Slot};

use super::Member;
use crate::workers::log_tail::LogTail;

/// The processes of a device, the first one first.
pub(super) fn of<'a>(
    members: &'a BTreeMap<Slot, Member>,
    device: &DeviceId,
) -> impl Iterator<Item = (&'a Slot, &'a Member)> {
    let first = Slot::first(device.clone());
    let device = device.clone();
    members.range(first..).take_while(move |(slot, _)| slot.device == device)
}

/// A device with what all of its processes do; `None` if none has connected.
pub(super) fn merged(members: &BTreeMap<Slot, Member>, device: &DeviceId) -> Option<DeviceView> {
    let views: Vec<&DeviceView> = of(members, device).map(|(_, member)| &member.view).collect();
    let first = *views.first()?;
    let connected: Vec<&DeviceView> = views.iter().copied().filter(|view| view.is_connected).collect();
    let newest = views.iter().copied().max_by_key(|view| view.seen_ms).unwrap_or(first);
    let fastest =
        views.iter().copied().max_by(|a, b| a.info.flops_per_sec.total_cmp(&b.info.flops_per_sec)).unwrap_or(first);
    let runs: Vec<RunId> = views.iter().filter_map(|view| view.run.clone()).collect();
    let sum = |of: fn(&DeviceLoad) -> u64| connected.iter().map(|view| of(&view.load)).sum();
    // One process alone is shown as it is, also after it has disconnected.
    let load = match connected.as_slice() {
        [] => first.load,
        _ => DeviceLoad {
            process_bytes: sum(|load| load.process_bytes),
            device_bytes: sum(|load| load.device_bytes),
            ..newest.load
        },
    };
    Some(DeviceView {
        info: DeviceInfo {
            // Each process has measured what was free when it started; the first may have started again beside others that train.
            memory_bytes: views.iter().map(|view| view.info.memory_bytes).max().unwrap_or(0),
            flops_per_sec: fastest.info.flops_per_sec,
            rates: fastest.info.rates,
            ..first.info.clone()
        },
        is_connected: !connected.is_empty(),
        run: runs.first().cloned(),
        runs,
        load,
        seen_ms: newest.seen_ms,
        ..first.clone()
    })
}

/// The end of the log of a process; the lines of a further process begin with its number.
pub(super) fn lines(slot: &Slot, log: &LogTail) -> Vec<String> {
    match slot.number {
        1 => log.lines(),
        number => log.lines().into_iter().map(|line| format!("[{number}] {line}")).collect(),
    }
}
