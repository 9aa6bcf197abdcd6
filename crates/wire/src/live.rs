//! What the server and a page say to each other: postcard messages over one WebSocket at `/api/v1/live`.

use serde::{Deserialize, Serialize};

use crate::corpus::Job;
use crate::device::DeviceView;
use crate::event::EventRecord;
use crate::frame::Frame;
use crate::id::RunId;
use crate::look::Look;
use crate::run::{Cursor, RunSummary};
use crate::series::Row;

/// From a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromPage {
    /// Send the lab's state now and when it changes.
    WatchLab,
    /// No more of the lab's.
    LeaveLab,
    /// Send a run's stream from `since` on.
    WatchRun {
        /// Which run.
        run: RunId,
        /// From where; the page has all before it.
        since: Cursor,
    },
    /// No more of that run.
    LeaveRun {
        /// Which run.
        run: RunId,
    },
    /// What this page wants to see inside a run, in place of what it wanted before; gone with the connection.
    Probe {
        /// Which run.
        run: RunId,
        /// At most [`crate::look::MOST_STANDING`].
        looks: Vec<Look>,
    },
}

/// From the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToPage {
    /// The lab as it stands; at most a few times a second.
    Lab(LabState),
    /// What is new in a run.
    Tick(Tick),
    /// The page is too far behind (or the server is new): fetch the run again, then watch from its cursor.
    Resync {
        /// Which run.
        run: RunId,
    },
    /// Still here; sent each second with the server's clock.
    Beat {
        /// Milliseconds since 1970.
        at_ms: i64,
    },
    /// A message could not be served, and why.
    Refused {
        /// In words.
        message: String,
    },
}

/// What is new in a run since the tick before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Which run.
    pub run: RunId,
    /// Its place in the stream; one more than the tick before it.
    pub cursor: Cursor,
    /// The run in one line, as of now.
    pub summary: RunSummary,
    /// New values.
    pub rows: Vec<Row>,
    /// New journal lines.
    pub events: Vec<EventRecord>,
    /// New looks, the latest of each kind.
    pub frames: Vec<Frame>,
}

/// The lab in one message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LabState {
    /// All runs that are not long deleted, newest first.
    pub runs: Vec<RunSummary>,
    /// Devices.
    pub devices: Vec<DeviceView>,
    /// Long work on the server.
    pub jobs: Vec<Job>,
}
