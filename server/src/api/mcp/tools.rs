//! All tools. They are few, and each answers one question completely: it reads its arguments, requests routes of the API, and returns what
//! a model needs for its next decision.
//!
//! - [`watch`]: the lab and its runs; [`curves`]: time series and figures; [`journal`]: events, samples and reports; [`wait`]: waiting
//!   for an event; [`inspect`]: inside the model, and its batches;
//! - [`judge`]: findings, comparisons, scaling laws, costs; [`rank`]: rankings; [`noise`]: the noise floor;
//! - [`proposals`]: calls that a person decides about;
//! - [`steer`]: commands to runs; [`evaluate`]: scores and generated texts; [`create`]: runs, forks, sweeps and experiments;
//! - [`loops`]: research loops, how they are started and steered, and the proposals of an agent.

pub mod create;
pub mod curves;
pub mod evaluate;
pub mod inspect;
pub mod journal;
pub mod judge;
pub mod loops;
pub mod noise;
pub mod proposals;
pub mod rank;
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
        rank::tools(),
        noise::tools(),
        loops::tools(),
        proposals::tools(),
        create::tools(),
        steer::tools(),
        evaluate::tools(),
        loops::acts::tools(),
    ];
    groups.into_iter().flatten().collect()
});

/// All tools, in the order of the list.
pub fn all() -> &'static [Tool] {
    &TOOLS
}

/// The tool of this name.
pub fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.definition.name == name)
}
