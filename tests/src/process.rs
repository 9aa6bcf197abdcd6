//! CPU time and memory of a process, from the files of Linux below `/proc`.

use std::fs;
use std::time::Instant;

/// Ticks per second of the times in `/proc/PID/stat`, the same on every Linux that this program is built for.
const TICKS_PER_SEC: f64 = 100.0;

/// Measures the CPU time that a process uses, without that of its children.
pub struct CpuMeter {
    pid: u32,
    began: Instant,
    secs_before: f64,
}

/// CPU time used over some time.
#[derive(Debug, Clone, Copy)]
pub struct CpuUse {
    /// CPU time in user and kernel mode, seconds.
    pub secs: f64,
    /// The same as a fraction of what all cores of this machine could do in that time.
    pub share: f64,
}

/// Memory of a process, bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub resident: u64,
    /// Most that was ever resident.
    pub peak: u64,
}

impl CpuMeter {
    /// Measures from now on.
    pub fn begin(pid: u32) -> Self {
        Self { pid, began: Instant::now(), secs_before: cpu_secs(pid) }
    }

    /// The CPU time used since then.
    pub fn used(&self) -> CpuUse {
        let (secs, wall_secs) = (cpu_secs(self.pid) - self.secs_before, self.began.elapsed().as_secs_f64());
        CpuUse { secs, share: secs / (wall_secs * cores() as f64) }
    }
}

/// Cores of this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// CPU time of a process since it began, seconds.
fn cpu_secs(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name of the program, in parentheses, may contain spaces.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let [user, system] = [11, 12].map(|at| fields[at].parse::<f64>().unwrap());
    (user + system) / TICKS_PER_SEC
}

/// The memory of a process.
pub fn memory(pid: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let bytes = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    };
    Memory { resident: bytes("VmRSS:"), peak: bytes("VmHWM:") }
}
