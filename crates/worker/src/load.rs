//! Load of the machine and of this process, from Linux's /proc; zeros on other systems.

use std::fs;

use wire::device::DeviceLoad;

/// Measures the load repeatedly; the CPU share is that since the previous measurement.
#[derive(Debug, Default)]
pub struct LoadMeter {
    before: Ticks,
}

/// Processor time since boot, in the kernel's ticks.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Ticks {
    busy: u64,
    total: u64,
}

impl LoadMeter {
    /// The current load. `device_bytes` is the memory in use on the device.
    pub fn measure(&mut self, device_bytes: u64) -> DeviceLoad {
        let now = read("/proc/stat").and_then(|text| ticks(&text)).unwrap_or_default();
        let total = now.total.saturating_sub(self.before.total);
        let busy = now.busy.saturating_sub(self.before.busy);
        self.before = now;
        DeviceLoad {
            cpu_share: if total == 0 { 0.0 } else { (busy as f64 / total as f64).min(1.0) },
            process_bytes: read("/proc/self/status").and_then(|text| kilobytes(&text, "VmRSS:")).unwrap_or(0),
            device_bytes,
            host_free_bytes: read("/proc/meminfo").and_then(|text| kilobytes(&text, "MemAvailable:")).unwrap_or(0),
        }
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// First line of /proc/stat: `cpu user nice system idle iowait irq softirq steal ...`; guest time is in user already.
fn ticks(text: &str) -> Option<Ticks> {
    let numbers: Vec<u64> = text
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .take(8)
        .filter_map(|word| word.parse().ok())
        .collect();
    let idle = numbers.get(3)? + numbers.get(4).unwrap_or(&0);
    let total: u64 = numbers.iter().sum();
    Some(Ticks { busy: total - idle, total })
}

/// The bytes of a line like `VmRSS:   1234 kB`.
fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|number| number * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_parsed() {
        assert_eq!(kilobytes("Name:\tx\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12 * 1024));
        assert_eq!(kilobytes("nothing here", "VmRSS:"), None);
        assert_eq!(ticks("cpu  10 1 4 80 5 0 0 0 3 3\ncpu0 1 1 1 1\n"), Some(Ticks { busy: 15, total: 100 }));
        assert_eq!(ticks("intr 1 2 3"), None);
    }

    #[test]
    fn the_load_is_always_in_range() {
        let mut meter = LoadMeter::default();
        for _ in 0..3 {
            let load = meter.measure(7);
            assert!((0.0..=1.0).contains(&load.cpu_share) && load.device_bytes == 7);
        }
    }
}
