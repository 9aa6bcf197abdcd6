//! The connected workers: the device of each, what it trains, and the channel to it. A worker that disconnects stays in the list, so that
//! pages can show it as disconnected.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use store::WorkerRecord;
use tokio::sync::mpsc;
use wire::control::command::NumberedCommand;
use wire::device::{DeviceInfo, DeviceKind, DeviceLoad, DeviceView};
use wire::fleet::LOCAL_POOL;
use wire::inspect::request::Inspection;
use wire::run::history::Past;
use wire::transport::link::FromServer;
use wire::{DeviceId, RunId, RunPlan, WorkerId};

use super::log_tail::LogTail;
use crate::live::clock::now_ms;

/// Messages that may wait for the socket of one worker. They are small and few; a full queue means that the socket is stuck.
pub const TO_WORKER: usize = 256;

/// Time within which a worker must send the reports that it said it has. Reports that it cannot read from its disk never come.
const REPORTS_WITHIN: Duration = Duration::from_secs(60);

/// One worker and its device.
struct Member {
    view: DeviceView,
    /// Runs with reports that the worker has not delivered yet, with the number of the last.
    unstored: BTreeMap<RunId, u64>,
    since: Instant,
    /// Number of its connection, so that the end of an old connection does not disconnect a newer one.
    connection: u64,
    to_worker: mpsc::Sender<FromServer>,
    log: Arc<LogTail>,
}

/// All workers that have connected to this server, by device; cloning shares them.
#[derive(Clone, Default)]
pub struct Fleet(Arc<Mutex<BTreeMap<DeviceId, Member>>>);

/// A worker that connects.
pub struct Connection {
    /// Number of the connection.
    pub number: u64,
    pub worker: WorkerId,
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

/// Another worker is connected for the same device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the device {device} is already connected by the worker {worker} on {host}: stop that worker, or join under another name: --name NAME"
)]
pub struct DeviceTaken {
    device: DeviceId,
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
    /// Adds a worker.
    ///
    /// # Errors
    /// Another worker is connected for the device.
    pub fn join(&self, connection: Connection) -> Result<(), DeviceTaken> {
        let Connection { number, worker, host, device, run, unstored, to_worker, record, log } = connection;
        let mut members = self.lock();
        if let Some(other) = members
            .get(&device.id)
            .filter(|other| other.view.is_connected && other.view.worker != worker && !other.to_worker.is_closed())
        {
            let (worker, host) = (other.view.worker.clone(), other.view.host.clone());
            return Err(DeviceTaken { device: device.id, worker, host });
        }
        let id = device.id.clone();
        // A process that connects again sends its log again; that of its predecessor says why it ended.
        if let Some(before) = members.get(&id).filter(|before| before.view.worker != worker) {
            log.continue_from(&before.log);
        }
        let view = DeviceView {
            is_taken: false,
            info: device,
            worker,
            host,
            is_connected: true,
            run,
            load: DeviceLoad::default(),
            seen_ms: now_ms(),
            pool: record.pool,
            worker_name: record.name,
            is_draining: record.is_draining,
        };
        members.insert(id, Member { view, unstored, since: Instant::now(), connection: number, to_worker, log });
        Ok(())
    }

    /// The run that a device trains, as its worker or the queue said last.
    pub fn run_on(&self, device: &DeviceId) -> Option<RunId> {
        self.lock().get(device).and_then(|member| member.view.run.clone())
    }

    /// A connection has ended. The run of its worker stays noted until [`super::liveness`] decides.
    pub fn leave(&self, device: &DeviceId, connection: u64) {
        if let Some(member) = self.lock().get_mut(device).filter(|member| member.connection == connection) {
            member.view.is_connected = false;
            // The queue closes with its last sender, and the socket with its queue: the worker notices at once and reconnects.
            member.to_worker = mpsc::channel(1).0;
        }
    }

    /// Forgets the worker of a device, which was removed, and shuts it down.
    pub fn remove(&self, device: &DeviceId) {
        if let Some(member) = self.lock().remove(device) {
            // A worker that does not receive this notices that its token is revoked.
            let _ = member.to_worker.try_send(FromServer::Shutdown);
        }
    }

    /// Notes the name and drain of the worker of a device.
    pub fn change(&self, record: &WorkerRecord) {
        if let Some(member) = self.lock().get_mut(&record.device) {
            member.view.worker_name.clone_from(&record.name);
            member.view.is_draining = record.is_draining;
        }
    }

    /// The end of the log of a device's worker; empty if it has not connected to this server.
    pub fn log(&self, device: &DeviceId) -> Vec<String> {
        let log = self.lock().get(device).map(|member| Arc::clone(&member.log));
        log.map(|log| log.lines()).unwrap_or_default()
    }

    /// Connected workers of a pool.
    pub fn connected_in(&self, pool: &str) -> u32 {
        self.lock().values().filter(|member| member.view.is_connected && member.view.pool == pool).count() as u32
    }

    /// Notes a heartbeat. Returns the kind of the device.
    pub fn heartbeat(&self, device: &DeviceId, load: DeviceLoad) -> Option<DeviceKind> {
        let mut members = self.lock();
        let member = members.get_mut(device)?;
        member.view.load = load;
        member.view.seen_ms = now_ms();
        Some(member.view.info.kind)
    }

    /// Devices whose worker is connected, trains nothing and does not drain.
    pub fn idle(&self) -> Vec<DeviceView> {
        let members = self.lock();
        members.values().filter(|m| m.is_idle() && !m.view.is_draining).map(|m| m.view.clone()).collect()
    }

    /// Whether a local worker is connected and trains nothing.
    pub fn has_idle_local(&self) -> bool {
        self.lock().values().any(|member| member.is_idle() && member.is_local())
    }

    /// Reports of a run are stored up to this number.
    pub fn reports_stored(&self, device: &DeviceId, run: &RunId, stored_seq: u64) {
        if let Some(member) = self.lock().get_mut(device)
            && member.unstored.get(run).is_some_and(|last| *last <= stored_seq)
        {
            member.unstored.remove(run);
        }
    }

    /// Whether a connected worker has reports of the run that are not stored yet: until then no other worker may continue it.
    pub fn has_unstored_reports(&self, run: &RunId) -> bool {
        self.lock().values().any(|member| {
            member.view.is_connected && member.unstored.contains_key(run) && member.since.elapsed() < REPORTS_WITHIN
        })
    }

    /// Assigns a run to an idle device, which numbers its reports from `stored_seq` on; false if the device is not idle any more.
    pub fn assign(&self, device: &DeviceId, run: &RunId, plan: RunPlan, past: Past, stored_seq: u64) -> bool {
        let mut members = self.lock();
        let Some(member) = members.get_mut(device).filter(|member| member.is_idle() && !member.view.is_draining) else {
            return false;
        };
        let message = FromServer::Assign { run: run.clone(), plan: Box::new(plan), past: Box::new(past) };
        // A worker that never trained the run does not know the number of its last report.
        let stored = FromServer::Stored { run: run.clone(), seq: stored_seq };
        let is_sent = member.to_worker.try_send(stored).is_ok() && member.to_worker.try_send(message).is_ok();
        if is_sent {
            member.view.run = Some(run.clone());
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

    /// A run was resumed on another device: this one is idle.
    pub fn release_from(&self, device: &DeviceId, run: &RunId) {
        if let Some(member) = self.lock().get_mut(device).filter(|member| member.view.run.as_ref() == Some(run)) {
            member.view.run = None;
        }
    }

    /// Whether a connected worker trains the run.
    pub fn trains(&self, run: &RunId) -> bool {
        self.lock().values().any(|member| member.trains(run))
    }

    /// Whether the worker of the device is connected and trains the run.
    pub fn trains_on(&self, device: &DeviceId, run: &RunId) -> bool {
        self.lock().get(device).is_some_and(|member| member.trains(run))
    }

    /// Whether the worker of the device is connected.
    pub fn is_connected(&self, device: &DeviceId) -> bool {
        self.lock().get(device).is_some_and(|member| member.view.is_connected)
    }

    /// Whether the worker of the device has been connected since this time, ms since 1970.
    pub fn was_connected_since(&self, device: &DeviceId, since_ms: i64) -> bool {
        self.lock().get(device).is_some_and(|member| member.view.seen_ms >= since_ms)
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
        self.lock().values().map(|member| member.view.clone()).collect()
    }

    /// Display name of a device; its id if it has never connected.
    pub fn name_of(&self, device: &DeviceId) -> String {
        self.lock().get(device).map_or_else(|| device.to_string(), |member| member.view.info.name.clone())
    }

    /// Machine of a device, if it has connected.
    pub fn host_of(&self, device: &DeviceId) -> Option<String> {
        self.lock().get(device).map(|member| member.view.host.clone())
    }

    /// The devices that plans are made for.
    pub fn infos(&self) -> Vec<DeviceInfo> {
        self.lock().values().map(|member| member.view.info.clone()).collect()
    }

    /// The devices of a pool.
    pub fn infos_of(&self, pool: &str) -> Vec<DeviceInfo> {
        self.lock().values().filter(|member| member.view.pool == pool).map(|member| member.view.info.clone()).collect()
    }

    // No code that holds this lock panics half-way through a change.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<DeviceId, Member>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        };
        Connection {
            number,
            worker: worker.parse().unwrap(),
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
        let cpu: DeviceId = "cpu".parse().unwrap();
        let with = |worker: &str, number| Connection { to_worker: to_worker.clone(), ..connection(worker, number) };
        fleet.join(with("a", 1)).unwrap();
        assert!(fleet.join(with("b", 2)).unwrap_err().to_string().contains("already connected"));
        fleet.join(with("a", 3)).unwrap();
        fleet.leave(&cpu, 1);
        assert!(fleet.is_connected(&cpu));
        fleet.leave(&cpu, 3);
        assert!(!fleet.is_connected(&cpu) && fleet.idle().is_empty() && fleet.views().len() == 1);
    }

    #[test]
    fn a_draining_device_is_not_idle() {
        let fleet = Fleet::default();
        let joining = connection("a", 1);
        let record = joining.record.clone();
        fleet.join(joining).unwrap();
        assert_eq!(fleet.idle().len(), 1);
        fleet.change(&WorkerRecord { is_draining: true, name: "box".into(), ..record.clone() });
        assert!(fleet.idle().is_empty() && fleet.has_idle_local());
        assert_eq!((fleet.views()[0].worker_name.as_str(), fleet.connected_in(LOCAL_POOL)), ("box", 1));
        fleet.remove(&record.device);
        assert!(fleet.views().is_empty());
    }

    #[test]
    fn reports_of_a_run_are_awaited_until_the_last_is_stored() {
        let fleet = Fleet::default();
        let (run, cpu): (RunId, DeviceId) = ("r".parse().unwrap(), "cpu".parse().unwrap());
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
