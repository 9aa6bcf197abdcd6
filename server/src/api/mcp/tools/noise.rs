//! The noise floor of a run.

use research::compare::{FairComparison, NoiseFloor};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::api::mcp::answer::Answer;
use crate::api::mcp::brief::{given, rounded};
use crate::api::mcp::caller::{Caller, encoded};
use crate::api::mcp::tool::Tool;
use crate::error::ApiError;

pub fn tools() -> Vec<Tool> {
    vec![
        Tool::reading(
            "noise_floor",
            "Noise floor of a run",
            "The spread of the validation loss over seeds, from runs that differ from a run only in the seed, as compare \
             uses it; the smallest difference that runs can detect, and the number of runs that a difference needs.",
            noise_floor,
        )
        .returns(&[
            ("run", "The run."),
            ("unit", "Unit of sigma and of the differences."),
            ("budget", "Training tokens at which the runs are compared."),
            ("noise", "sigma: standard deviation over seeds; low and high: its 95 % interval; freedom: degrees of freedom."),
            ("noise_runs", "The runs from which it was computed."),
            ("detectable", "Smallest true difference that is detected in 80 % of cases, by the number of runs on each side."),
            ("runs_needed", "Runs on each side that the given difference needs; absent if more than 1,000."),
        ]),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoiseFloorOf {
    /// Id of the run.
    run: String,
    /// A difference of the loss; the answer has the number of runs that are needed to detect it.
    difference: Option<f64>,
}

async fn noise_floor(caller: Caller, args: NoiseFloorOf) -> Result<Answer, ApiError> {
    if args.difference.is_some_and(|difference| !(difference.is_finite() && difference != 0.0)) {
        return Err(ApiError::invalid("arguments_invalid", "the difference is 0 or not finite").field("difference"));
    }
    // The comparison of a run with itself contains the noise floor of the runs that differ only in the seed.
    let run = encoded(&args.run);
    let found: FairComparison = caller.get(&format!("/compare?baseline={run}&change={run}")).await?;
    let detectable = |noise: &NoiseFloor| {
        let of = |runs: usize| json!({ "runs": runs, "difference": rounded(noise.detectable(runs, runs)) });
        json!([of(1), of(3), of(5), of(8)])
    };
    let noise = found.noise.as_ref();
    let needed = noise.zip(args.difference).and_then(|(noise, difference)| noise.runs_needed(difference));
    let data = given(json!({
        "run": args.run, "unit": found.unit.word(), "budget": found.budget, "noise": noise, "noise_runs": found.noise_runs,
        "detectable": noise.map(detectable), "runs_needed": needed,
    }));
    let answer =
        Answer::new(data).units(&[("budget", "training tokens"), ("sigma, low, high, difference", "see unit")]);
    Ok(match noise {
        Some(_) => answer.next("compare, which uses this noise floor for single runs"),
        None => answer
            .note(
                "the run has no evaluated runs that differ from it only in the seed; a person can add seeds on the page of \
                 the run",
            )
            .next("propose_experiment, which trains pairs of runs with other seeds"),
    })
}
