//! All tools. They are few, and each answers one question completely: it reads its arguments, requests routes of the API, and returns what
//! a model needs for its next decision.
//!
//! - [`watch`]: the lab and its runs; [`curves`]: time series and figures; [`journal`]: events and samples; [`wait`]: waiting for an event;
//!   [`inspect`]: inside the model;
//! - [`judge`]: findings, comparisons, scaling laws, costs;
//! - [`steer`]: commands to runs; [`create`]: runs, forks, sweeps and experiments.

pub mod create;
pub mod curves;
pub mod inspect;
pub mod journal;
pub mod judge;
pub mod steer;
pub mod wait;
pub mod watch;

use std::sync::LazyLock;

use super::tool::Tool;

static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
    let groups = [
        watch::tools(),
        curves::tools(),
        journal::tools(),
        wait::tools(),
        inspect::tools(),
        judge::tools(),
        create::tools(),
    ];
    groups.into_iter().flatten().chain(steer::tools()).collect()
});

/// All tools, in the order of the list.
pub fn all() -> &'static [Tool] {
    &TOOLS
}

/// The tool of this name.
pub fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.definition.name == name)
}
