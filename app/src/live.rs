//! The page's one socket.

use leptos::prelude::*;
use wire::live::LabState;

/// How the socket stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Connection {
    /// Not open yet.
    Connecting {
        /// Tries so far.
        retry: u32,
    },
    /// Open.
    Open,
    /// It was open.
    Lost {
        /// Tries since.
        retry: u32,
        /// When it broke, milliseconds since 1970.
        since_ms: i64,
    },
}

/// The live state, in context for everyone.
#[derive(Clone, Copy)]
pub(crate) struct Live {
    /// The lab as the server last told it.
    pub(crate) lab: RwSignal<Option<LabState>>,
    /// How the socket stands.
    pub(crate) connection: RwSignal<Connection>,
}

impl Live {
    /// Opens the socket.
    pub(crate) fn start() -> Self {
        Self { lab: RwSignal::new(None), connection: RwSignal::new(Connection::Connecting { retry: 0 }) }
    }
}
