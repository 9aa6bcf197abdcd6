//! The agents that every scenario is measured with: [`builtin`], the built-in strategy, which follows rules and comparisons of the lab;
//! [`random`], which makes valid random acts; and doing nothing.

mod builtin;
mod random;

use super::tools::Tools;

pub(super) use builtin::act as act_by_strategy;
pub(super) use random::act as act_at_random;

/// Steps of a run that a baseline starts.
const STEPS: u64 = 2_000;

/// The runs of the lab, newest first.
async fn runs(tools: &Tools) -> Vec<serde_json::Value> {
    let listed = tools.read("list_runs", serde_json::json!({ "limit": 25 })).await.unwrap_or_default();
    listed["runs"].as_array().cloned().unwrap_or_default()
}
