//! The connected workers: what each has for a device, what it trains, and the way to reach it. Who was connected before
//! and is not now stays listed, so that pages can say so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use wire::command::CommandOrder;
use wire::device::{DeviceInfo, DeviceLoad, DeviceView};
use wire::history::Past;
use wire::link::FromServer;
use wire::look::Look;
use wire::{DeviceId, RunId, RunPlan, WorkerId};

use crate::clock::now_ms;

/// Messages that may wait for one worker's socket. They are small and few; a full queue means that the socket is stuck.
pub const TO_WORKER: usize = 256;

/// How long a worker that says it has reports to deliver is waited for, once it is here; what it cannot read it never sends.
const OWED_WITHIN: Duration = Duration::from_secs(60);

/// One worker and its device.
struct Member {
    view: DeviceView,
    /// Runs whose reports it has yet to deliver, with the number of the last.
    owed: BTreeMap<RunId, u64>,
    since: Instant,
    /// Number of its connection, so that an old one's end does not undo a new one's start.
    connection: u64,
    to_worker: mpsc::Sender<FromServer>,
}

/// All workers this server life has seen, by device.
#[derive(Clone, Default)]
pub struct Fleet(Arc<Mutex<BTreeMap<DeviceId, Member>>>);

/// Who says hello.
pub struct Arrival {
    /// The worker.
    pub worker: WorkerId,
    /// Its machine.
    pub host: String,
    /// Its device.
    pub device: DeviceInfo,
    /// The run it holds.
    pub holding: Option<RunId>,
    /// Runs whose reports it has yet to deliver, with the number of the last.
    pub owed: BTreeMap<RunId, u64>,
}

impl Fleet {
    /// Takes a worker in. A second worker for a device that is taken is refused, in words.
    pub fn join(&self, arrival: Arrival, connection: u64, to_worker: mpsc::Sender<FromServer>) -> Result<(), String> {
        let Arrival { worker, host, device, holding, owed } = arrival;
        let mut members = self.lock();
        if let Some(other) = members
            .get(&device.id)
            .filter(|other| other.view.is_connected && other.view.worker != worker && !other.to_worker.is_closed())
        {
            return Err(format!(
                "the device {} is already here with the worker {} on {}; give this one another name",
                device.id, other.view.worker, other.view.host
            ));
        }
        let id = device.id.clone();
        let view = DeviceView {
            info: device,
            worker,
            host,
            is_connected: true,
            run: holding,
            load: DeviceLoad::default(),
            seen_ms: now_ms(),
        };
        members.insert(id, Member { view, owed, since: Instant::now(), connection, to_worker });
        Ok(())
    }

    /// A connection has ended. What its worker held stays noted until the vigil decides.
    pub fn leave(&self, device: &DeviceId, connection: u64) {
        if let Some(member) = self.lock().get_mut(device).filter(|member| member.connection == connection) {
            member.view.is_connected = false;
            // Its queue closes with its last sender, and the socket with its queue: the worker sees at once that it is to try again.
            member.to_worker = mpsc::channel(1).0;
        }
    }

    /// A word from a device.
    pub fn beat(&self, device: &DeviceId, load: DeviceLoad) {
        if let Some(member) = self.lock().get_mut(device) {
            member.view.load = load;
            member.view.seen_ms = now_ms();
        }
    }

    /// Devices whose worker is connected and holds nothing.
    pub fn idle(&self) -> Vec<DeviceInfo> {
        self.lock()
            .values()
            .filter(|member| member.view.is_connected && member.view.run.is_none())
            .map(|member| member.view.info.clone())
            .collect()
    }

    /// Reports of a run are stored up to this number.
    pub fn settle(&self, device: &DeviceId, run: &RunId, stored_seq: u64) {
        if let Some(member) = self.lock().get_mut(device)
            && member.owed.get(run).is_some_and(|last| *last <= stored_seq)
        {
            member.owed.remove(run);
        }
    }

    /// Whether a connected worker has yet to deliver reports of the run: until then nobody may go on with it.
    pub fn owes(&self, run: &RunId) -> bool {
        self.lock().values().any(|member| {
            member.view.is_connected && member.owed.contains_key(run) && member.since.elapsed() < OWED_WITHIN
        })
    }

    /// Gives a run to an idle device, which numbers its reports on from `stored_seq`; false when it is gone or busy.
    pub fn assign(&self, device: &DeviceId, run: &RunId, plan: RunPlan, past: Past, stored_seq: u64) -> bool {
        let mut members = self.lock();
        let Some(member) =
            members.get_mut(device).filter(|member| member.view.is_connected && member.view.run.is_none())
        else {
            return false;
        };
        let message = FromServer::Assign { run: run.clone(), plan: Box::new(plan), past: Box::new(past) };
        // A worker that never had the run cannot know how far its numbers are.
        let stored = FromServer::Stored { run: run.clone(), seq: stored_seq };
        let sent = member.to_worker.try_send(stored).is_ok() && member.to_worker.try_send(message).is_ok();
        if sent {
            member.view.run = Some(run.clone());
        }
        sent
    }

    /// Passes an order on to the worker which holds the run; false when no connected one does.
    pub fn order(&self, run: &RunId, order: CommandOrder) -> bool {
        let members = self.lock();
        let holder = members.values().find(|member| member.view.is_connected && member.view.run.as_ref() == Some(run));
        holder.is_some_and(|member| member.to_worker.try_send(FromServer::Order { run: run.clone(), order }).is_ok())
    }

    /// Tells the worker which holds the run what is to be seen of it. One that cannot be told hears it when it is back.
    pub fn probe(&self, run: &RunId, looks: Vec<Look>) {
        let members = self.lock();
        let holder = members.values().find(|member| member.view.is_connected && member.view.run.as_ref() == Some(run));
        let probe = FromServer::Probe { run: run.clone(), looks };
        if holder.is_some_and(|member| member.to_worker.try_send(probe).is_err()) {
            tracing::debug!("the worker of {run} could not be told what is watched");
        }
    }

    /// A run has ended: whoever held it is free.
    pub fn release(&self, run: &RunId) {
        self.lock()
            .values_mut()
            .filter(|member| member.view.run.as_ref() == Some(run))
            .for_each(|member| member.view.run = None);
    }

    /// Whether a connected worker holds the run.
    pub fn holds(&self, run: &RunId) -> bool {
        self.lock().values().any(|member| member.view.is_connected && member.view.run.as_ref() == Some(run))
    }

    /// Whether the device's worker is connected.
    pub fn is_connected(&self, device: &DeviceId) -> bool {
        self.lock().get(device).is_some_and(|member| member.view.is_connected)
    }

    /// Whether the device's worker has been linked since then, in milliseconds since 1970.
    pub fn was_here_since(&self, device: &DeviceId, since_ms: i64) -> bool {
        self.lock().get(device).is_some_and(|member| member.view.seen_ms >= since_ms)
    }

    /// Tells workers without a run to go.
    pub fn dismiss_idle(&self) {
        for member in self.lock().values().filter(|member| member.view.is_connected && member.view.run.is_none()) {
            // A worker that cannot be told notices the closed socket instead and waits for the next server.
            let _ = member.to_worker.try_send(FromServer::Leave);
        }
    }

    /// All devices, as pages show them.
    pub fn views(&self) -> Vec<DeviceView> {
        self.lock().values().map(|member| member.view.clone()).collect()
    }

    /// A device's name for people; its id where it has never been here.
    pub fn name_of(&self, device: &DeviceId) -> String {
        self.lock().get(device).map_or_else(|| device.to_string(), |member| member.view.info.name.clone())
    }

    /// The machine that a device belongs to, where it has been here.
    pub fn host_of(&self, device: &DeviceId) -> Option<String> {
        self.lock().get(device).map(|member| member.view.host.clone())
    }

    /// What plans may run on.
    pub fn infos(&self) -> Vec<DeviceInfo> {
        self.lock().values().map(|member| member.view.info.clone()).collect()
    }

    // Nothing under this lock can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<DeviceId, Member>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use wire::device::DeviceKind;

    pub(crate) fn arrival(worker: &str, device: &str) -> Arrival {
        let device = DeviceInfo {
            id: device.parse().unwrap(),
            name: device.into(),
            kind: DeviceKind::Cpu,
            backend: "flex".into(),
            cores: 2,
            memory_bytes: 8_000_000_000,
            flops_per_sec: 1e10,
        };
        Arrival { worker: worker.parse().unwrap(), host: "here".into(), device, holding: None, owed: BTreeMap::new() }
    }

    #[test]
    fn a_device_has_one_worker_and_an_old_connection_cannot_end_a_new_one() {
        let fleet = Fleet::default();
        let (to, _from) = mpsc::channel(1);
        let cpu: DeviceId = "cpu".parse().unwrap();
        fleet.join(arrival("a", "cpu"), 1, to.clone()).unwrap();
        assert!(fleet.join(arrival("b", "cpu"), 2, to.clone()).unwrap_err().contains("already"));
        fleet.join(arrival("a", "cpu"), 3, to).unwrap();
        fleet.leave(&cpu, 1);
        assert!(fleet.is_connected(&cpu));
        fleet.leave(&cpu, 3);
        assert!(!fleet.is_connected(&cpu) && fleet.idle().is_empty() && fleet.views().len() == 1);
    }

    #[test]
    fn a_run_is_owed_until_its_last_report_is_stored() {
        let fleet = Fleet::default();
        let (run, cpu): (RunId, DeviceId) = ("r".parse().unwrap(), "cpu".parse().unwrap());
        let owed = BTreeMap::from([(run.clone(), 9)]);
        fleet.join(Arrival { owed, ..arrival("a", "cpu") }, 1, mpsc::channel(1).0).unwrap();
        fleet.settle(&cpu, &run, 8);
        assert!(fleet.owes(&run));
        fleet.settle(&cpu, &run, 9);
        assert!(!fleet.owes(&run));
    }
}
