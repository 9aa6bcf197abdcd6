//! A scenario: a lab in a known state, a goal, limits, and a score.

use super::facts::Facts;
use super::gate::Limits;
use super::score::Part;
use super::setup::Setup;

/// Time limit of an agent, s.
const SECS: u64 = 600;

/// A lab in a known state with a goal and a score.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// The task, for the agent.
    pub(super) goal: &'static str,
    /// The contents of the lab, in words.
    pub(super) made: &'static str,
    /// The rule for points, in words.
    pub(super) scoring: &'static str,
    pub(super) limits: Limits,
    /// Whether the runs train to their last step before the score is computed.
    pub(super) trains_on: bool,
    /// The contents of its lab for a seed.
    pub(super) setup: fn(u64) -> Setup,
    pub(super) score: fn(&Facts) -> Vec<Part>,
}

/// The usual limits of a scenario, whose runs take `steps_per_call` steps for each call.
pub(super) const fn limits(calls: u64, steps_per_call: u64) -> Limits {
    Limits { calls, secs: SECS, steps_per_call }
}

/// The seed of a run: different for each run of a lab and each seed of the bench.
pub(super) const fn run_seed(seed: u64, number: u64) -> u64 {
    1_000 * seed + number
}
