//! Messages between server and page: postcard over one WebSocket at `/api/v1/live`, or in polls at `/api/v1/live/poll` where a proxy lets no
//! WebSocket pass.

use serde::{Deserialize, Serialize};

use crate::control::event::EventRecord;
use crate::data::corpus::Job;
use crate::device::DeviceView;
use crate::diagnosis::finding::RunFinding;
use crate::disk::DiskSpace;
use crate::id::RunId;
use crate::inspect::request::Inspection;
use crate::inspect::update::InspectionUpdate;
use crate::run::{Cursor, RunSummary};
use crate::series::Row;
use crate::transport::presenting::{Presentation, PresenterState};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromPage {
    /// Subscribes to the state of the lab.
    WatchLab,
    /// Ends the subscription to the lab.
    LeaveLab,
    /// Subscribes to the stream of a run from `since` on.
    WatchRun {
        run: RunId,
        /// Position of the page in the stream.
        since: Cursor,
    },
    /// Ends the subscription to a run.
    LeaveRun { run: RunId },
    /// The inspections that this page requests of a run; they replace its previous ones and end with the connection.
    Inspect {
        run: RunId,
        /// At most [`crate::inspect::request::MAX_INSPECTIONS_PER_PAGE`].
        inspections: Vec<Inspection>,
    },
    /// Presents this page, or continues to: sent at the beginning, at each change (at most 20 times per second), and again after the
    /// connection was lost. Only for people and tokens, not for guests.
    Present {
        /// A number that the page chose at random when it began to present.
        presentation: u64,
        state: PresenterState,
    },
    /// Ends the presentation of this page.
    StopPresenting,
    /// Follows a presentation instead of the one followed before. The first answer is its present state.
    Follow { presentation: u64 },
    /// Follows none.
    Unfollow,
}

/// A request of a page that cannot open a WebSocket. It is answered with a list of [`ToPage`] after at most a second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Poll {
    /// A number that the page chose at random when it began to poll.
    pub page: u64,
    /// Whether this is its first poll. Later ones continue what the server keeps of it.
    pub begins: bool,
    pub messages: Vec<FromPage>,
}

/// From the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToPage {
    /// The state of the lab, at most a few times per second.
    Lab(LabState),
    /// An update of a run.
    Tick(Tick),
    /// The page is too far behind (or the server is new): fetch the run again, then watch from its cursor.
    Resync { run: RunId },
    /// The rights of this page have changed: fetch `/me` again.
    Rights,
    /// Heartbeat, sent each second with the server's clock.
    Heartbeat {
        /// Milliseconds since 1970.
        at_ms: i64,
    },
    /// A message of the page was refused.
    Refused {
        /// The reason.
        message: String,
    },
    /// The presentations that this page may follow, whenever the list has changed, at most once per second. A page that has not received
    /// a list has none.
    Presentations { presentations: Vec<Presentation> },
    /// What the followed presentation shows now, at most 20 times per second.
    Presenter { presentation: u64, state: PresenterState },
    /// The followed presentation has ended, or never existed, or this page may not follow it.
    PresentationEnded { presentation: u64 },
    /// Who follows the presentation, to its presenter and its followers, at most once per second.
    Watchers {
        presentation: u64,
        /// Names in the order of arrival, at most [`crate::transport::presenting::MAX_WATCHER_NAMES`].
        names: Vec<String>,
        /// Their number.
        total: u32,
    },
}

/// The update of a run since the previous tick.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    pub run: RunId,
    /// Position in the stream; one more than that of the previous tick.
    pub cursor: Cursor,
    /// Summary of the run.
    pub summary: RunSummary,
    /// New values.
    pub rows: Vec<Row>,
    /// New events of the journal.
    pub events: Vec<EventRecord>,
    /// New updates of inspections, the newest of each.
    pub updates: Vec<InspectionUpdate>,
    /// Findings that are new or have changed (ended, dismissed, acted on, abandoned), the newest state of each.
    pub findings: Vec<RunFinding>,
}

/// Numbers of runs by where they are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunCounts {
    /// Neither archived nor deleted.
    pub active: u64,
    /// Archived and not deleted.
    pub archived: u64,
    /// Deleted, and not purged yet.
    pub deleted: u64,
}

impl RunCounts {
    /// All runs that are not purged.
    pub fn total(self) -> u64 {
        self.active + self.archived + self.deleted
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LabState {
    /// The runs that are queued or loaded by a worker, and the newest 200 others, newest first. `GET /runs` lists all.
    pub runs: Vec<RunSummary>,
    /// Numbers of all runs.
    #[serde(default)]
    pub counts: RunCounts,
    pub devices: Vec<DeviceView>,
    /// Jobs of the server.
    pub jobs: Vec<Job>,
    /// Space of the disk of the lab's folder, if the system says.
    pub disk: Option<DiskSpace>,
    /// Number of the newest alert; 0 before the first, and for guests. `GET /alerts` answers those that the reader may see.
    #[serde(default)]
    pub newest_alert: i64,
    /// Number of proposals of agents that wait for a decision, of those that the reader may see.
    #[serde(default)]
    pub pending_proposals: u64,
    /// Number of changes of all proposals: with another number, `GET /proposals` has other answers.
    #[serde(default)]
    pub proposal_changes: u64,
}
