//! The connected workers: the device of each, what its processes train, and the channels to them. A worker that disconnects stays in the
//! list, so that pages can show it as disconnected.
//!
//! - [`members`]: the processes of one device as one device.

mod members;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use store::WorkerRecord;
use tokio::sync::{mpsc, watch};
use wire::control::command::NumberedCommand;
use wire::device::{DeviceInfo, DeviceKind, DeviceLoad, DeviceView};
use wire::fleet::LOCAL_POOL;
use wire::inspect::request::Inspection;
use wire::run::history::Past;
use wire::transport::link::FromServer;
use wire::{DeviceId, RunId, RunPlan, Slot, WorkerId};

use super::log_tail::LogTail;
use crate::live::clock::now_ms;

/// Messages that may wait for the socket of one worker. They are small and few; a full queue means that the socket is stuck.
pub const TO_WORKER: usize = 256;

/// Time within which a worker must send the reports that it said it has. Reports that it cannot read from its disk never come.
const REPORTS_WITHIN: Duration = Duration::from_secs(60);

/// One process of a worker and its device.
struct Member {
    /// What is known of it; its `info.id` is that of the device, whatever the slot.
    view: DeviceView,
    /// Runs with reports that the worker has not delivered yet, with the number of the last.
    unstored: BTreeMap<RunId, u64>,
    since: Instant,
    /// Number of its connection, so that the end of an old connection does not disconnect a newer one.
    connection: u64,
    to_worker: mpsc::Sender<FromServer>,
    /// The assignment of its run, until a report of the run shows that it has arrived.
    unanswered: Option<Assignment>,
    log: Arc<LogTail>,
}

/// A run that was assigned to a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub run: RunId,
    /// The pool that it waited for; `None` if it waited for the device.
    pub pool: Option<String>,
}

/// Runs that a device trains at once, at most, by pool; one where a pool is not in it.
pub type Limits = BTreeMap<String, u32>;

/// All workers that have connected to this server, by device and slot; cloning shares them.
#[derive(Clone, Default)]
pub struct Fleet {
    members: Arc<Mutex<BTreeMap<Slot, Member>>>,
    limits: Arc<watch::Sender<Limits>>,
}

/// A process that can take a run.
#[derive(Debug, Clone, PartialEq)]
pub struct FreeSlot {
    pub slot: Slot,
    pub device: DeviceInfo,
    pub pool: String,
    /// Runs that its device trains.
    pub training: Vec<RunId>,
}

/// A worker that connects.
pub struct Connection {
    /// Number of the connection.
    pub number: u64,
    pub worker: WorkerId,
    /// Which of the processes of its device it is.
    pub slot: Slot,
    /// Its machine.
    pub host: String,
    pub device: DeviceInfo,
    /// The run that it trains.
    pub run: Option<RunId>,
    /// Runs with reports that it has not delivered yet, with the number of the last.
    pub unstored: BTreeMap<RunId, u64>,
    /// The channel to it.
    pub to_worker: mpsc::Sender<FromServer>,
    /// Its pool, name and labels.
    pub record: WorkerRecord,
    /// The end of its log.
    pub log: Arc<LogTail>,
}

/// Another worker is connected for the same slot of a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the device {device} is already connected by the worker {worker} on {host}: stop that worker, or join under another name: --name NAME"
)]
pub struct DeviceTaken {
    device: Slot,
    worker: WorkerId,
    host: String,
}

impl Member {
    fn trains(&self, run: &RunId) -> bool {
        self.view.is_connected && self.view.run.as_ref() == Some(run)
    }

    fn is_idle(&self) -> bool {
        self.view.is_connected && self.view.run.is_none()
    }

    fn is_local(&self) -> bool {
        self.view.pool == LOCAL_POOL
    }
}

impl Fleet {
    /// Sets how many runs the devices of each pool train at once.
    pub fn set_limits(&self, limits: Limits) {
        self.limits.send_replace(limits);
    }

    /// Sets how many runs the devices of a pool train at once.
    pub fn set_limit(&self, pool: &str, runs_at_once: u32) {
        self.limits.send_modify(|limits| {
            limits.insert(pool.to_owned(), runs_at_once);
        });
    }

    /// How many runs the devices of each pool train at once, and its changes.
    pub fn limits(&self) -> watch::Receiver<Limits> {
        self.limits.subscribe()
    }

    /// Runs that each device of a pool trains at once, at most.
    pub fn limit(&self, pool: &str) -> u32 {
        limit_in(&self.limits.borrow(), pool)
    }

    /// Adds a process of a worker. Returns the assignment that its connection before has lost: the same process does not train the run.
    ///
    /// # Errors
    /// Another process is connected for its slot.
    pub fn join(&self, connection: Connection) -> Result<Option<Assignment>, DeviceTaken> {
        let Connection { number, worker, slot, host, device, run, unstored, to_worker, record, log } = connection;
        let mut members = self.lock();
        if let Some(other) = members
            .get(&slot)
            .filter(|other| other.view.is_connected && other.view.worker != worker && !other.to_worker.is_closed())
        {
            let (worker, host) = (other.view.worker.clone(), other.view.host.clone());
            return Err(DeviceTaken { device: slot, worker, host });
        }
        // A process that connects again sends its log again; that of its predecessor says why it ended.
        if let Some(before) = members.get(&slot).filter(|before| before.view.worker != worker) {
            log.continue_from(&before.log);
        }
        let before = members.get_mut(&slot).filter(|before| before.view.worker == worker);
        let lost = before.and_then(|before| before.unanswered.take());
        let lost = lost.filter(|lost| run.as_ref() != Some(&lost.run) && !unstored.contains_key(&lost.run));
        let view = DeviceView {
            is_taken: false,
            info: DeviceInfo { id: slot.device.clone(), ..device },
            worker,
            host,
            is_connected: true,
            run,
            load: DeviceLoad::default(),
            seen_ms: now_ms(),
            pool: record.pool,
            worker_name: record.name,
            is_draining: record.is_draining,
            runs: vec![],
            runs_at_once: 1,
        };
        let since = Instant::now();
        members.insert(slot, Member { view, unstored, since, connection: number, to_worker, unanswered: None, log });
        Ok(lost)
    }

    /// The runs that a device trains, as its processes or the queue said last.
    pub fn runs_on(&self, device: &DeviceId) -> Vec<RunId> {
        members::of(&self.lock(), device).filter_map(|(_, member)| member.view.run.clone()).collect()
    }

    /// A connection has ended. The run of its worker stays noted until [`super::liveness`] decides.
    pub fn leave(&self, slot: &Slot, connection: u64) {
        if let Some(member) = self.lock().get_mut(slot).filter(|member| member.connection == connection) {
            member.view.is_connected = false;
            // The queue closes with its last sender, and the socket with its queue: the worker notices at once and reconnects.
            member.to_worker = mpsc::channel(1).0;
        }
    }

    /// Forgets the worker of a device, which was removed, and shuts its processes down.
    pub fn remove(&self, device: &DeviceId) {
        self.lock().retain(|slot, member| {
            let stays = slot.device != *device;
            if !stays {
                // A worker that does not receive this notices that its token is revoked.
                let _ = member.to_worker.try_send(FromServer::Shutdown);
            }
            stays
        });
    }

    /// Notes the name and drain of the worker of a device.
    pub fn change(&self, record: &WorkerRecord) {
        for (_, member) in self.lock().iter_mut().filter(|(slot, _)| slot.device == record.device) {
            member.view.worker_name.clone_from(&record.name);
            member.view.is_draining = record.is_draining;
        }
    }

    /// The end of the log of a device's worker; empty if it has not connected to this server. The lines of a further process follow, and
    /// begin with its number.
    pub fn log(&self, device: &DeviceId) -> Vec<String> {
        members::of(&self.lock(), device).flat_map(|(slot, member)| members::lines(slot, &member.log)).collect()
    }

    /// Connected workers of a pool.
    pub fn connected_in(&self, pool: &str) -> u32 {
        let members = self.lock();
        let connected = members.iter().filter(|(_, member)| member.view.is_connected && member.view.pool == pool);
        connected.map(|(slot, _)| &slot.device).collect::<BTreeSet<_>>().len() as u32
    }

    /// Notes a heartbeat. Returns the kind of the device.
    pub fn heartbeat(&self, slot: &Slot, load: DeviceLoad) -> Option<DeviceKind> {
        let mut members = self.lock();
        let member = members.get_mut(slot)?;
        member.view.load = load;
        member.view.seen_ms = now_ms();
        Some(member.view.info.kind)
    }

    /// The processes that can take a run now: connected, without a run, not draining, of a device that trains fewer runs than its pool
    /// allows.
    pub fn free(&self) -> Vec<FreeSlot> {
        let (members, limits) = (self.lock(), self.limits.borrow());
        let free = members.iter().filter(|(slot, member)| {
            member.is_idle() && !member.view.is_draining && slot.number <= limit_in(&limits, &member.view.pool)
        });
        let free = free.filter_map(|(slot, member)| {
            let training: Vec<RunId> =
                members::of(&members, &slot.device).filter_map(|(_, member)| member.view.run.clone()).collect();
            let has_room = (training.len() as u32) < limit_in(&limits, &member.view.pool);
            let device = members::merged(&members, &slot.device)?.info;
            has_room.then(|| FreeSlot { slot: slot.clone(), device, pool: member.view.pool.clone(), training })
        });
        free.collect()
    }

    /// Shuts the processes down that are idle, and that their pool does not allow any more.
    pub fn shut_down_surplus(&self) {
        let (members, limits) = (self.lock(), self.limits.borrow());
        for (slot, member) in members.iter() {
            if member.is_idle() && slot.number > limit_in(&limits, &member.view.pool) {
                // One that does not receive this is shut down by the next call.
                let _ = member.to_worker.try_send(FromServer::Shutdown);
            }
        }
    }

    /// Whether a local worker is connected and trains nothing.
    pub fn has_idle_local(&self) -> bool {
        self.lock().values().any(|member| member.is_idle() && member.is_local())
    }

    /// Reports of a run are stored up to this number.
    pub fn reports_stored(&self, slot: &Slot, run: &RunId, stored_seq: u64) {
        let mut members = self.lock();
        let Some(member) = members.get_mut(slot) else { return };
        member.unanswered = member.unanswered.take().filter(|assignment| assignment.run != *run);
        if member.unstored.get(run).is_some_and(|last| *last <= stored_seq) {
            member.unstored.remove(run);
        }
    }

    /// Whether a connected worker has reports of the run that are not stored yet: until then no other worker may continue it.
    pub fn has_unstored_reports(&self, run: &RunId) -> bool {
        self.lock().values().any(|member| {
            member.view.is_connected && member.unstored.contains_key(run) && member.since.elapsed() < REPORTS_WITHIN
        })
    }

    /// Assigns a run to an idle process, which numbers its reports from `stored_seq` on; false if it is not idle any more.
    pub fn assign(&self, slot: &Slot, assignment: Assignment, plan: RunPlan, past: Past, stored_seq: u64) -> bool {
        let run = &assignment.run;
        let mut members = self.lock();
        let Some(member) = members.get_mut(slot).filter(|member| member.is_idle() && !member.view.is_draining) else {
            return false;
        };
        let message = FromServer::Assign { run: run.clone(), plan: Box::new(plan), past: Box::new(past) };
        // A worker that never trained the run does not know the number of its last report.
        let stored = FromServer::Stored { run: run.clone(), seq: stored_seq };
        let is_sent = member.to_worker.try_send(stored).is_ok() && member.to_worker.try_send(message).is_ok();
        if is_sent {
            member.view.run = Some(run.clone());
            member.unanswered = Some(assignment);
        }
        is_sent
    }

    /// Sends a command to the worker that trains the run; false if no connected worker does.
    pub fn command(&self, run: &RunId, command: NumberedCommand) -> bool {
        let members = self.lock();
        let worker = members.values().find(|member| member.trains(run));
        let message = FromServer::Command { run: run.clone(), command };
        worker.is_some_and(|member| member.to_worker.try_send(message).is_ok())
    }

    /// Sends the worker that trains the run the inspections that are requested of it. A worker that reconnects is sent them again.
    pub fn inspect(&self, run: &RunId, inspections: Vec<Inspection>) {
        let members = self.lock();
        let worker = members.values().find(|member| member.trains(run));
        let message = FromServer::Inspect { run: run.clone(), inspections };
        if worker.is_some_and(|member| member.to_worker.try_send(message).is_err()) {
            tracing::debug!("the inspections of {run} could not be sent to its worker");
        }
    }

    /// A run has ended or was suspended: its worker is idle.
    pub fn release(&self, run: &RunId) {
        self.lock()
            .values_mut()
            .filter(|member| member.view.run.as_ref() == Some(run))
            .for_each(|member| member.view.run = None);
    }

    /// A run was resumed by another process: this one is idle.
    pub fn release_from(&self, slot: &Slot, run: &RunId) {
        if let Some(member) = self.lock().get_mut(slot).filter(|member| member.view.run.as_ref() == Some(run)) {
            member.view.run = None;
        }
    }

    /// Whether a connected worker trains the run.
    pub fn trains(&self, run: &RunId) -> bool {
        self.lock().values().any(|member| member.trains(run))
    }

    /// Whether this process is connected and trains the run.
    pub fn trains_in(&self, slot: &Slot, run: &RunId) -> bool {
        self.lock().get(slot).is_some_and(|member| member.trains(run))
    }

    /// Whether a process of the worker of the device is connected.
    pub fn is_connected(&self, device: &DeviceId) -> bool {
        members::of(&self.lock(), device).any(|(_, member)| member.view.is_connected)
    }

    /// Whether this process is connected.
    pub fn is_slot_connected(&self, slot: &Slot) -> bool {
        self.lock().get(slot).is_some_and(|member| member.view.is_connected)
    }

    /// Whether this process has been connected since this time, ms since 1970.
    pub fn was_connected_since(&self, slot: &Slot, since_ms: i64) -> bool {
        self.lock().get(slot).is_some_and(|member| member.view.seen_ms >= since_ms)
    }

    /// Shuts idle local workers down. Those of other machines wait for the next server.
    pub fn shut_down_idle(&self) {
        for member in self.lock().values().filter(|member| member.is_idle() && member.is_local()) {
            // A worker that does not receive this notices that the socket closes, and waits for the next server.
            let _ = member.to_worker.try_send(FromServer::Shutdown);
        }
    }

    /// All devices, as pages show them.
    pub fn views(&self) -> Vec<DeviceView> {
        let (members, limits) = (self.lock(), self.limits.borrow());
        let devices: BTreeSet<&DeviceId> = members.keys().map(|slot| &slot.device).collect();
        let views = devices.into_iter().filter_map(|device| members::merged(&members, device));
        views.map(|view| DeviceView { runs_at_once: limit_in(&limits, &view.pool), ..view }).collect()
    }

    /// Each process that may train, as a device of its own with at most one run.
    pub fn processes(&self) -> Vec<DeviceView> {
        let (members, limits) = (self.lock(), self.limits.borrow());
        let allowed = members
            .iter()
            .filter(|(slot, member)| member.view.run.is_some() || slot.number <= limit_in(&limits, &member.view.pool));
        allowed.map(|(_, member)| member.view.clone()).collect()
    }

    /// Display name of a device; its id if it has never connected.
    pub fn name_of(&self, device: &DeviceId) -> String {
        let members = self.lock();
        let first = members::of(&members, device).next();
        first.map_or_else(|| device.to_string(), |(_, member)| member.view.info.name.clone())
    }

    /// Machine of a device, if it has connected.
    pub fn host_of(&self, device: &DeviceId) -> Option<String> {
        members::of(&self.lock(), device).next().map(|(_, member)| member.view.host.clone())
    }

    /// The devices that plans are made for.
    pub fn infos(&self) -> Vec<DeviceInfo> {
        self.views().into_iter().map(|view| view.info).collect()
    }

    /// The devices of a pool.
    pub fn infos_of(&self, pool: &str) -> Vec<DeviceInfo> {
        self.views().into_iter().filter(|view| view.pool == pool).map(|view| view.info).collect()
    }

    // No code that holds this lock panics half-way through a change.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Slot, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn limit_in(limits: &Limits, pool: &str) -> u32 {
    limits.get(pool).copied().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(worker: &str, number: u64) -> Connection {
        let device = DeviceInfo {
            id: "cpu".parse().unwrap(),
            name: "cpu".into(),
            kind: DeviceKind::Cpu,
            backend: "flex".into(),
            cores: 2,
            memory_bytes: 8_000_000_000,
            flops_per_sec: 1e10,
            rates: None,
        };
        Connection {
            number,
            worker: worker.parse().unwrap(),
            slot: Slot::first("cpu".parse().unwrap()),
            host: "here".into(),
            device,
            run: None,
            unstored: BTreeMap::new(),
            to_worker: mpsc::channel(8).0,
            record: WorkerRecord {
                id: 1,
                name: "cpu".into(),
                pool: LOCAL_POOL.into(),
                labels: vec![],
                is_draining: false,
                device: "cpu".parse().unwrap(),
                host: "here".into(),
                token_id: Some(1),
                joined_ms: 0,
                seen_ms: None,
            },
            log: Arc::default(),
        }
    }

    #[test]
    fn a_device_has_one_worker_and_an_old_connection_cannot_end_a_new_one() {
        let fleet = Fleet::default();
        let (to_worker, _receiver) = mpsc::channel(1);
        let cpu = Slot::first("cpu".parse().unwrap());
        let with = |worker: &str, number| Connection { to_worker: to_worker.clone(), ..connection(worker, number) };
        fleet.join(with("a", 1)).unwrap();
        assert!(fleet.join(with("b", 2)).unwrap_err().to_string().contains("already connected"));
        fleet.join(with("a", 3)).unwrap();
        fleet.leave(&cpu, 1);
        assert!(fleet.is_connected(&cpu.device));
        fleet.leave(&cpu, 3);
        assert!(!fleet.is_connected(&cpu.device) && fleet.free().is_empty() && fleet.views().len() == 1);
    }

    #[test]
    fn the_processes_of_a_device_are_one_device_with_as_many_runs_as_its_pool_allows() {
        let fleet = Fleet::default();
        let cpu: DeviceId = "cpu".parse().unwrap();
        let slot = |number| Slot { device: cpu.clone(), number };
        let mut receivers = vec![];
        for (number, run) in [(1, Some("a")), (2, None), (3, Some("c")), (4, None)] {
            let (to_worker, receiver) = mpsc::channel(8);
            receivers.push(receiver);
            let run = run.map(|run| run.parse().unwrap());
            let joining = connection(&format!("w-{number}"), number);
            fleet.join(Connection { slot: slot(number as u32), run, to_worker, ..joining }).unwrap();
        }
        let free = |fleet: &Fleet| fleet.free().into_iter().map(|free| free.slot.number).collect::<Vec<_>>();
        assert!(free(&fleet).is_empty(), "one run at once by default, and two train");
        fleet.set_limit(LOCAL_POOL, 2);
        assert!(free(&fleet).is_empty());
        fleet.set_limit(LOCAL_POOL, 3);
        assert_eq!(free(&fleet), [2], "the fourth process is not allowed");
        assert_eq!(fleet.free()[0].training.len(), 2);
        let views = fleet.views();
        assert_eq!((views.len(), fleet.infos().len(), fleet.connected_in(LOCAL_POOL)), (1, 1, 1));
        assert_eq!((views[0].runs.len(), views[0].runs_at_once, views[0].worker.as_str()), (2, 3, "w-1"));
        assert_eq!(views[0].run.as_ref().map(RunId::as_str), Some("a"));

        // The number is lowered: an idle process ends, one that trains finishes its run first.
        fleet.set_limit(LOCAL_POOL, 2);
        fleet.shut_down_surplus();
        let shut: Vec<bool> = receivers.iter_mut().map(|receiver| receiver.try_recv().is_ok()).collect();
        assert_eq!(shut, [false, false, false, true]);
        fleet.release(&"c".parse().unwrap());
        fleet.shut_down_surplus();
        assert!(receivers[2].try_recv().is_ok());
        assert_eq!(free(&fleet), [2]);

        fleet.leave(&slot(1), 1);
        assert!(fleet.is_connected(&cpu) && !fleet.is_slot_connected(&slot(1)) && fleet.views()[0].is_connected);
        fleet.remove(&cpu);
        assert!(fleet.views().is_empty());
    }

    #[test]
    fn a_draining_device_is_not_idle() {
        let fleet = Fleet::default();
        let joining = connection("a", 1);
        let record = joining.record.clone();
        fleet.join(joining).unwrap();
        assert_eq!(fleet.free().len(), 1);
        fleet.change(&WorkerRecord { is_draining: true, name: "box".into(), ..record.clone() });
        assert!(fleet.free().is_empty() && fleet.has_idle_local());
        assert_eq!((fleet.views()[0].worker_name.as_str(), fleet.connected_in(LOCAL_POOL)), ("box", 1));
        fleet.remove(&record.device);
        assert!(fleet.views().is_empty());
    }

    #[test]
    fn reports_of_a_run_are_awaited_until_the_last_is_stored() {
        let fleet = Fleet::default();
        let (run, cpu): (RunId, Slot) = ("r".parse().unwrap(), Slot::first("cpu".parse().unwrap()));
        let unstored = BTreeMap::from([(run.clone(), 9)]);
        fleet.join(Connection { unstored, ..connection("a", 1) }).unwrap();
        fleet.reports_stored(&cpu, &run, 8);
        assert!(fleet.has_unstored_reports(&run));
        fleet.reports_stored(&cpu, &run, 9);
        assert!(!fleet.has_unstored_reports(&run));
    }

    #[test]
    fn inspections_are_sent_to_the_worker_of_the_run() {
        let fleet = Fleet::default();
        let (to_worker, mut receiver) = mpsc::channel(8);
        let run: RunId = "r".parse().unwrap();
        fleet.join(Connection { run: Some(run.clone()), to_worker, ..connection("a", 1) }).unwrap();
        fleet.inspect(&run, vec![Inspection::Embedding {}]);
        let message = FromServer::Inspect { run, inspections: vec![Inspection::Embedding {}] };
        assert_eq!(receiver.try_recv(), Ok(message));
        fleet.inspect(&"other".parse().unwrap(), vec![]);
        assert!(receiver.try_recv().is_err());
    }
}
