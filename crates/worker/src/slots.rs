//! The further worker processes of a device that has joined a lab: as many as the pool trains runs at once. The first process asks the server
//! for the number, and starts the others with the credentials in its folder. The server shuts down one that is idle and not needed any more.
//!
//! A process that was started by a first one that has been killed trains on; the next first process finds it by its lock.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wire::slot::MAX_RUNS_AT_ONCE;
use wire::transport::transfer::WorkerPool;
use wire::{DeviceId, Slot};

use crate::config::SlotProgram;
use crate::leaving::{LEAVE, Leaving};
use crate::lock;
use crate::transfer::Transfer;

/// How often the server is asked for the number, and processes that have ended are started again.
const EVERY: Duration = Duration::from_secs(5);
/// How long the processes may take to suspend their runs.
const END_WITHIN: Duration = Duration::from_secs(120);
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// The processes, which run until [`Slots::end`].
pub(crate) struct Slots {
    stop: watch::Sender<bool>,
    keeping: JoinHandle<()>,
}

impl Slots {
    /// Keeps as many processes as the pool says, until this one is asked to leave.
    pub(crate) fn start(program: SlotProgram, transfer: Transfer, device: DeviceId, leaving: Leaving) -> Self {
        let (stop, stopping) = watch::channel(false);
        let keeper = Keeper { program, transfer, device, leaving, limit: 1, children: BTreeMap::new() };
        Self { stop, keeping: tokio::spawn(keeper.keep(stopping)) }
    }

    /// Asks all processes to suspend their runs and end, and waits for them.
    pub(crate) async fn end(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.keeping.await {
            tracing::warn!("the further processes of this worker were not ended: {error}");
        }
    }
}

struct Keeper {
    program: SlotProgram,
    transfer: Transfer,
    device: DeviceId,
    leaving: Leaving,
    /// Runs at once, as the server said last.
    limit: u32,
    children: BTreeMap<u32, Child>,
}

impl Keeper {
    async fn keep(mut self, mut stopping: watch::Receiver<bool>) {
        let mut looked: Option<Instant> = None;
        while !self.leaving.is_asked() && !*stopping.borrow_and_update() {
            if looked.is_none_or(|at| at.elapsed() >= EVERY) {
                self.look().await;
                looked = Some(Instant::now());
            }
            tokio::select! {
                () = tokio::time::sleep(CHECK_EVERY) => {}
                _ = stopping.changed() => {}
            }
        }
        self.end().await;
    }

    async fn look(&mut self) {
        self.children.retain(|_, child| matches!(child.try_wait(), Ok(None)));
        let transfer = self.transfer.clone();
        // Without an answer the number stays.
        if let Ok(Ok(pool)) = tokio::task::spawn_blocking(move || transfer.client.get::<WorkerPool>("pool")).await {
            self.limit = pool.runs_at_once.min(MAX_RUNS_AT_ONCE);
        }
        for number in 2..=self.limit {
            if !self.children.contains_key(&number) && !lock::is_held(&self.transfer.data, &self.slot(number)) {
                self.start(number);
            }
        }
    }

    fn slot(&self, number: u32) -> Slot {
        Slot { device: self.device.clone(), number }
    }

    fn start(&mut self, number: u32) {
        let SlotProgram { program, arguments } = &self.program;
        let mut command = Command::new(program);
        command.args(arguments).arg(number.to_string()).stdin(Stdio::piped()).kill_on_drop(false);
        match command.spawn() {
            Ok(child) => drop(self.children.insert(number, child)),
            Err(source) => tracing::warn!("the process of {} could not be started: {source}", self.slot(number)),
        }
    }

    async fn end(mut self) {
        let slots: Vec<Slot> = Slot::all(&self.device).filter(|slot| !slot.is_first()).collect();
        let data = self.transfer.data.clone();
        for child in self.children.values_mut() {
            if let Some(input) = &mut child.stdin {
                // One that has ended meanwhile does not read it.
                let _ = input.write_all(format!("{LEAVE}\n").as_bytes()).await;
            }
        }
        let own: Vec<u32> = self.children.values().filter_map(Child::id).collect();
        let running = slots.iter().filter(|slot| lock::is_held(&data, *slot)).filter_map(|slot| lock::pid(&data, slot));
        // Started by an earlier first process.
        running.filter(|pid| !own.contains(pid)).for_each(ask_to_end);
        let began = Instant::now();
        let mut is_running = || {
            self.children.retain(|_, child| matches!(child.try_wait(), Ok(None)));
            !self.children.is_empty() || slots.iter().any(|slot| lock::is_held(&data, slot))
        };
        while is_running() && began.elapsed() < END_WITHIN {
            tokio::time::sleep(CHECK_EVERY).await;
        }
    }
}

/// Sends SIGTERM. A process that has ended meanwhile does not receive it.
#[cfg(unix)]
fn ask_to_end(pid: u32) {
    use rustix::process::{Pid, Signal, kill_process};

    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Such a process ends with its console.
#[cfg(not(unix))]
fn ask_to_end(_: u32) {}
