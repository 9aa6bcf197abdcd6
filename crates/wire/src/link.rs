//! What a worker and the server say to each other: postcard messages over one WebSocket at `/api/v1/link`.
//!
//! The worker numbers what it reports of a run from 1 (`first_seq`), keeps it on disk until the server acknowledges, and sends again
//! what was not. The server stores before it acknowledges and drops numbers it has: nothing lost, nothing doubled.

use serde::{Deserialize, Serialize};

use crate::command::CommandOrder;
use crate::device::{DeviceInfo, DeviceLoad};
use crate::event::{Author, Event};
use crate::frame::Frame;
use crate::history::Past;
use crate::id::{RunId, WorkerId};
use crate::look::Look;
use crate::plan::RunPlan;
use crate::run::RunState;
use crate::series::Row;

/// Version of this protocol; both sides must have the same.
pub const PROTOCOL: u32 = 5;

/// From a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// First message on every connection.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// Who.
        worker: WorkerId,
        /// Machine name.
        host: String,
        /// Process number there.
        pid: u32,
        /// Its device.
        device: DeviceInfo,
        /// The run it holds, if any.
        holding: Option<RunId>,
        /// Runs with unacknowledged reports on its disk, with the number of the last: until all are stored, nobody may go on with them.
        unsent: Vec<(RunId, u64)>,
    },
    /// Reports of a run, in order without gaps: item i has number `first_seq + i`.
    Items {
        /// Which run.
        run: RunId,
        /// Number of the first.
        first_seq: u64,
        /// Reports.
        items: Vec<Item>,
    },
    /// A look inside; the latest wins, none is repeated.
    Look {
        /// Which run.
        run: RunId,
        /// The look.
        frame: Frame,
    },
    /// Still here; sent each second.
    Beat {
        /// Load of device and process.
        load: DeviceLoad,
    },
}

/// One numbered report of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Item {
    /// Values of a step.
    Row(Row),
    /// Something happened.
    Event(Report),
    /// A look to be kept, so that the run can be gone through from its first step.
    Kept(Box<Frame>),
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
    /// Who.
    pub author: Author,
    /// The command it answers.
    pub command_id: Option<u64>,
    /// Why.
    pub reason: Option<String>,
    /// What.
    #[serde(with = "crate::encode::json")]
    pub event: Event,
    /// How the run stands after it, where it changed.
    pub state: Option<RunState>,
}

/// From the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromServer {
    /// Answer to Hello.
    Welcome {
        /// For each run the worker named: the last number stored (0 for none).
        stored: Vec<(RunId, u64)>,
        /// The run it holds is unknown or has ended here: let go of it.
        let_go: bool,
    },
    /// Train this.
    Assign {
        /// Which run.
        run: RunId,
        /// Every number.
        plan: Box<RunPlan>,
        /// What it has behind it; empty for a new run.
        past: Box<Past>,
    },
    /// Do this to the run you hold.
    Order {
        /// Which run.
        run: RunId,
        /// The order.
        order: CommandOrder,
    },
    /// Everything up to this number is stored.
    Stored {
        /// Which run.
        run: RunId,
        /// Last number.
        seq: u64,
    },
    /// Go away: the lab shuts its workers down.
    Leave,
    /// The connection cannot go on, and why.
    Refused {
        /// In words.
        message: String,
    },
    /// What is wanted to be seen of the run you hold, in place of what was wanted before.
    Probe {
        /// Which run.
        run: RunId,
        /// All looks that somebody watches.
        looks: Vec<Look>,
    },
}
