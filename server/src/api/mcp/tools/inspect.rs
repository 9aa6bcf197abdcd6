//! Inspecting a model and the batches that it is trained on.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use wire::access::embed::InspectionView;
use wire::inspect::request::Inspection;
use wire::inspect::result::{BatchSequence, InspectionResult};
use wire::inspect::update::InspectionUpdate;

use crate::api::extract::read;
use crate::api::mcp::answer::Answer;
use crate::api::mcp::brief::{given, rounded};
use crate::api::mcp::caller::{Caller, encoded, run_id};
use crate::api::mcp::tool::Tool;
use crate::error::ApiError;
use crate::export::figures::inspection_scene;
use crate::lab::drawing::{Format, Look};

/// Sequences of a batch in an answer: the default and the maximum.
const SEQUENCES: usize = 4;
const MOST_SEQUENCES: usize = 16;
/// Number of tokens with the highest losses that are listed for a sequence.
const TOKENS: usize = 5;
/// Parameters with the largest gradients in an answer.
const GRADIENTS: usize = 10;
/// Size of an image, pixels.
const SIZE: (u32, u32) = (960, 640);

pub fn tools() -> Vec<Tool> {
    vec![
        Tool::reading(
            "inspect",
            "Inspect a model",
            "Inspects the current weights of a run, or its newest checkpoint: attention, logit lens, neurons, weights, \
             embeddings, a batch, or the effect of ablations. With image, attention, logit_lens and weights are also \
             drawn as a PNG image. The run does not change.",
            inspect,
        )
        .returns(&[
            ("run", "The run."),
            ("inspection", "The result with its step; each kind of inspection has its own fields."),
            ("image", "Size of the image, if one was asked for."),
        ]),
        Tool::reading(
            "get_batch",
            "Batch of a step",
            "The training batch of a step, past or future, with the loss of each token under the current weights: the \
             sequences with the highest losses, their hardest tokens, and the parameters with the largest gradients.",
            get_batch,
        )
        .returns(&[
            ("run", "The run."),
            ("step", "The step of the batch."),
            ("weights_step", "The step of the weights that gave the losses."),
            ("sequences", "Sequences with the highest mean loss, with their text and hardest tokens."),
            ("total", "Sequences in the batch."),
            ("gradients", "Norm of the gradient of this batch by parameter, largest first."),
        ]),
    ]
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
    /// Whether to return an image as well, which attention, logit_lens and weights have.
    #[serde(default)]
    image: bool,
    /// Head that the image of attention shows, from 0.
    #[serde(default)]
    head: u32,
    /// Parameter that the image of weights shows, such as block.0.attention.query.
    tensor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetBatch {
    /// Id of the run.
    run: String,
    /// Step of the batch.
    step: u64,
    /// Checkpoint whose weights are used, such as 0-1200; the current weights or the newest checkpoint by default.
    checkpoint: Option<String>,
    /// Number of sequences, at most 16; 4 by default.
    limit: Option<usize>,
}

async fn inspect(caller: Caller, args: Inspect) -> Result<Answer, ApiError> {
    let shown = match args.image {
        true => Some(drawn(&args)?),
        false => None,
    };
    let body = given(json!({ "inspection": args.inspection, "checkpoint": args.checkpoint, "step": args.step }));
    let path = format!("/runs/{}/inspections", encoded(&args.run));
    let update: InspectionUpdate = caller.post_packed(&path, &body).await?;
    let size = shown.as_ref().map(|_| json!({ "width": SIZE.0, "height": SIZE.1 }));
    let answer = Answer::new(given(json!({ "run": args.run, "inspection": update, "image": size })));
    let answer = answer.units(&[
        ("loss, entropy", "nats"),
        ("step", "optimizer steps"),
        ("cost_ms, every_ms", "ms"),
        ("image", "pixels"),
    ]);
    let answer = answer.more("inspect one layer, a shorter prompt, or a window of a matrix");
    match shown {
        Some(shown) => Ok(Answer { image: Some(image(&caller, &args.run, shown, update).await?), ..answer }),
        None => Ok(answer),
    }
}

/// What the image of an inspection shows.
fn drawn(args: &Inspect) -> Result<InspectionView, ApiError> {
    let text = Value::Object(args.inspection.clone()).to_string();
    let inspection: Inspection = read(text.as_bytes()).map_err(|error| error.field("inspection"))?;
    let missing = |field: &str, message: &str, hint: &str| {
        Err(ApiError::invalid("arguments_invalid", message).field(field).hint(hint))
    };
    match (inspection, &args.tensor) {
        (Inspection::Attention { layer, .. }, _) => Ok(InspectionView::Attention { layer, head: args.head }),
        (Inspection::LogitLens { .. }, _) => Ok(InspectionView::LogitLens),
        (Inspection::Weights { .. }, Some(tensor)) => Ok(InspectionView::Weights { tensor: tensor.clone() }),
        (Inspection::Weights { .. }, None) => {
            missing("tensor", "the image of weights shows one parameter", "give its name; {\"weights\":{}} lists them")
        }
        _ => missing("image", "this inspection has no image", "attention, logit_lens and weights have one"),
    }
}

async fn image(
    caller: &Caller,
    run: &str,
    shown: InspectionView,
    update: InspectionUpdate,
) -> Result<bytes::Bytes, ApiError> {
    let name = caller.summary(&run_id(run)?).await?.name;
    let look = Look { width: SIZE.0, height: SIZE.1, is_dark: false, format: Format::Png };
    caller.draw(look, move || inspection_scene(&name, &shown, Some(&update), look)).await
}

async fn get_batch(caller: Caller, args: GetBatch) -> Result<Answer, ApiError> {
    let limit = args.limit.unwrap_or(SEQUENCES).clamp(1, MOST_SEQUENCES);
    let inspection = json!({ "batch": { "step": args.step } });
    let body = given(json!({ "inspection": inspection, "checkpoint": args.checkpoint }));
    let path = format!("/runs/{}/inspections", encoded(&args.run));
    let update: InspectionUpdate = caller.post_packed(&path, &body).await?;
    let weights_step = update.step();
    let InspectionUpdate::Result { result: InspectionResult::Batch { rows, total, gradients }, .. } = update else {
        return Err(ApiError::conflict("batch_unknown", "the worker answered with another inspection")
            .hint("the worker may be of an older version; restart it"));
    };
    let gradient = |(parameter, norm): &(String, f32)| json!({ "parameter": parameter, "norm": single(*norm) });
    let answer = Answer::new(json!({
        "run": args.run, "step": args.step, "weights_step": weights_step,
        "sequences": rows.iter().take(limit).map(sequence).collect::<Vec<_>>(), "total": total,
        "gradients": gradients.iter().take(GRADIENTS).map(gradient).collect::<Vec<_>>(),
    }));
    let answer = answer
        .units(&[("loss, mean_loss", "nats/token"), ("step, weights_step", "optimizer steps")])
        .more("give a smaller limit");
    Ok(answer.next("inspect with {\"batch\": {\"step\": STEP}} for the losses of all tokens"))
}

/// A sequence with its hardest tokens.
fn sequence(found: &BatchSequence) -> Value {
    let mut tokens: Vec<(&String, &f32)> = found.tokens.iter().zip(&found.losses).collect();
    tokens.sort_by(|one, other| other.1.total_cmp(one.1));
    let token = |(text, loss): &(&String, &f32)| json!({ "token": text, "loss": single(**loss) });
    json!({
        "row": found.row, "dataset": found.corpus, "mean_loss": single(found.mean), "text": found.tokens.concat(),
        "hardest": tokens.iter().take(TOKENS).map(token).collect::<Vec<_>>(),
    })
}

fn single(value: f32) -> Value {
    rounded(f64::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_has_its_text_and_its_hardest_tokens_first() {
        let found = BatchSequence {
            corpus: "tales".into(),
            row: 2,
            tokens: vec!["a".into(), " b".into(), " c".into()],
            losses: vec![0.5, 3.0, 1.0],
            mean: 1.5,
        };
        let shown = sequence(&found);
        assert_eq!((&shown["text"], &shown["mean_loss"]), (&json!("a b c"), &json!(1.5)));
        assert_eq!(shown["hardest"][0], json!({ "token": " b", "loss": 3.0 }));
    }
}
