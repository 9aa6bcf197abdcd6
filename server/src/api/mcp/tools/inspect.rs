//! Looking inside a model.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::mcp::answer::Answer;
use crate::api::mcp::brief::given;
use crate::api::mcp::caller::{Caller, encoded};
use crate::api::mcp::tool::Tool;
use crate::error::ApiError;

pub fn tools() -> Vec<Tool> {
    let about = "Inspects the current weights of a run, or its newest checkpoint: attention, logit lens, neurons, \
                 weights, embeddings, a batch, or the effect of ablations. The run does not change.";
    vec![Tool::reading("inspect", "Inspect a model", about, inspect)]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Inspect {
    /// Id of the run.
    run: String,
    /// One of {"overview":{}}, {"attention":{"layer":0}}, {"logit_lens":{}}, {"neurons":{"layer":0}}, {"neuron":{"layer":0,"neuron":5}},
    /// {"weights":{}}, {"matrix":{"tensor":"block.0.attention.query","window":{"row":0,"column":0,"rows":8,"columns":8}}}, {"embedding":{}},
    /// {"batch":{"step":100}}, {"interventions":{"interventions":[{"component":{"head":{"layer":0,"head":1}},"factor":0}]}},
    /// {"parameter_stats":{}}. Inspections of a text take "text": {"prompt": "Once upon"} or {"validation": 0}.
    inspection: Map<String, Value>,
    /// Checkpoint to inspect, such as 0-1200.
    checkpoint: Option<String>,
    /// Inspects the newest checkpoint at or before this step.
    step: Option<u64>,
}

async fn inspect(caller: Caller, args: Inspect) -> Result<Answer, ApiError> {
    let body = given(json!({ "inspection": args.inspection, "checkpoint": args.checkpoint, "step": args.step }));
    let update: Value = caller.post(&format!("/runs/{}/inspections", encoded(&args.run)), &body).await?;
    let answer = Answer::new(json!({ "run": args.run, "inspection": update }));
    let answer = answer.units(&[("loss", "nats"), ("entropy", "nats"), ("step", "optimizer steps")]);
    Ok(answer.more("inspect one layer, a shorter prompt, or a window of a matrix"))
}
