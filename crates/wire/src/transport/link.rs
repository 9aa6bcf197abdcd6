//! Messages between worker and server: postcard over one WebSocket at `/api/v1/link`.
//!
//! The worker numbers its reports of a run from 1 (`first_seq`), keeps them on disk until the server acknowledges them, and sends
//! unacknowledged ones again. The server stores reports before it acknowledges them and drops repeated numbers: nothing is lost or stored
//! twice.

use serde::{Deserialize, Serialize};

use crate::control::author::Author;
use crate::control::command::NumberedCommand;
use crate::control::event::Event;
use crate::device::{DeviceInfo, DeviceLoad};
use crate::id::{RunId, WorkerId};
use crate::inspect::request::Inspection;
use crate::inspect::update::InspectionUpdate;
use crate::run::RunState;
use crate::run::history::Past;
use crate::run::plan::RunPlan;
use crate::series::Row;

/// Version of this protocol; both sides must have the same.
pub const PROTOCOL: u32 = 10;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// First message on every connection.
    Hello {
        protocol: u32,
        /// Id of the worker.
        worker: WorkerId,
        /// Machine name.
        host: String,
        /// Process number there.
        pid: u32,
        device: DeviceInfo,
        /// The run that it trains, if any.
        training: Option<RunId>,
        /// Runs with unacknowledged reports on its disk, with the number of the last. Until all are stored, no worker may resume them.
        unsent: Vec<(RunId, u64)>,
    },
    /// Reports of a run, in order without gaps: item i has number `first_seq + i`.
    Items {
        run: RunId,
        /// Number of the first.
        first_seq: u64,
        /// Reports.
        items: Vec<Item>,
    },
    /// An update of an inspection; only the newest matters, and lost updates are not sent again.
    Inspection { run: RunId, update: InspectionUpdate },
    /// Heartbeat, sent each second.
    Heartbeat {
        /// Load of device and process.
        load: DeviceLoad,
    },
}

/// One numbered report of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Item {
    /// Values of a step.
    Row(Row),
    Event(Report),
    /// A snapshot, so that the run can be replayed from its first step.
    Snapshot(Box<InspectionUpdate>),
}

/// An event before the store has numbered it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Segment of the run's history.
    pub segment: u32,
    /// Step before which it took effect.
    pub step: u64,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    pub author: Author,
    /// The command it answers.
    pub command_id: Option<u64>,
    /// Reason given by the author.
    pub reason: Option<String>,
    #[serde(with = "crate::encode::json")]
    pub event: Event,
    /// State of the run after it, if it changed.
    pub state: Option<RunState>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromServer {
    /// Answer to Hello.
    Welcome {
        /// For each run the worker named: the last number stored (0 for none).
        stored: Vec<(RunId, u64)>,
        /// Whether to release the run that it trains, because it is unknown or has ended here.
        release: bool,
    },
    /// Assigns a run.
    Assign {
        run: RunId,
        plan: Box<RunPlan>,
        /// Its past; empty for a new run.
        past: Box<Past>,
    },
    /// A command for the run that the worker trains.
    Command { run: RunId, command: NumberedCommand },
    /// Everything up to this number is stored.
    Stored {
        run: RunId,
        /// Last number.
        seq: u64,
    },
    /// Shuts the worker down.
    Shutdown,
    /// Ends the connection with an error.
    Refused {
        /// The reason.
        message: String,
    },
    /// The inspections that pages request of the run that the worker trains; they replace the previous ones.
    Inspect {
        run: RunId,
        /// All requested inspections.
        inspections: Vec<Inspection>,
    },
}
