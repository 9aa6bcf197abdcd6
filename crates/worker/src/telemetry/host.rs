//! Load and memory of the machine, and the disk of the worker's folder.

use std::path::PathBuf;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use wire::telemetry::Telemetry;

/// Measures the machine; the CPU utilization is that since the previous measurement.
pub(super) struct Host {
    system: System,
    /// This process, whose control group may have a memory limit.
    own: Option<Pid>,
    folder: PathBuf,
}

impl Host {
    /// A machine, and the folder whose disk is measured.
    pub(super) fn new(folder: PathBuf) -> Self {
        let mut system = System::new();
        system.refresh_cpu_usage();
        let own = sysinfo::get_current_pid().ok();
        if let Some(own) = own {
            let nothing = ProcessRefreshKind::nothing();
            system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, nothing);
        }
        Self { system, own, folder }
    }

    pub(super) fn measure(&mut self) -> Telemetry {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        let (used, total) = self.memory();
        let disk = disk(&self.folder);
        Telemetry {
            // A platform that sysinfo does not support has no memory.
            cpu_utilization: (total > 0).then(|| f64::from(self.system.global_cpu_usage()) / 100.0),
            host_memory_used_bytes: (total > 0).then_some(used),
            host_memory_total_bytes: (total > 0).then_some(total),
            disk_free_bytes: disk.map(|(free, _)| free),
            disk_total_bytes: disk.map(|(_, total)| total),
            ..Telemetry::default()
        }
    }

    /// Used and total bytes: those of the control group if it has a limit, as in containers and jobs of a scheduler. Its file cache is not
    /// counted as used, because the kernel frees it when memory is needed.
    fn memory(&self) -> (u64, u64) {
        let (total, free) = (self.system.total_memory(), self.system.available_memory());
        let limits = self.own.and_then(|own| self.system.process(own)?.cgroup_limits());
        match limits.filter(|limits| limits.total_memory > 0 && limits.total_memory < total) {
            Some(limits) => (limits.rss.min(limits.total_memory), limits.total_memory),
            None => (total.saturating_sub(free), total),
        }
    }
}

/// Free and total bytes of the disk with a folder.
#[cfg(unix)]
fn disk(folder: &std::path::Path) -> Option<(u64, u64)> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Some((bytes(disk.f_bavail), bytes(disk.f_blocks))).filter(|(_, total)| *total > 0)
}

#[cfg(not(unix))]
fn disk(_: &std::path::Path) -> Option<(u64, u64)> {
    None
}
