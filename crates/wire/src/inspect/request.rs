//! Inspections of a model: the requests. Their results are in [`super::result`].
//!
//! An inspection is a pure function of weights, plan and text. The process with the weights computes it: the worker between two optimizer
//! steps, or a separate process from a checkpoint. It runs its own forward pass over a short text, a validation window or the batch of a
//! named step. It never modifies the weights, the moments or the gradients of the training.

use serde::{Deserialize, Serialize};

use crate::control::intervention::{self, Intervention};
use crate::error::PlanError;

/// Maximum number of tokens that an inspection reads; the context length if that is shorter.
pub const MAX_TOKENS: usize = 128;
/// Maximum number of tokens of the validation split over which interventions are measured.
pub const INTERVENTION_TOKENS: usize = 2048;
/// Beginning of the message that names characters of a prompt for which the tokenizer has no token.
pub const UNKNOWN_CHARACTERS: &str = "characters not in the vocabulary";
/// Maximum length of a prompt, characters.
pub const MAX_PROMPT_CHARS: usize = 4000;
/// Inspections that one page may keep requested at a time.
pub const MAX_INSPECTIONS_PER_PAGE: usize = 8;

/// The text that an inspection reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum InspectionText {
    /// A window of the validation split, by its number; the same at every step.
    Validation(u32),
    Prompt(String),
}

impl Default for InspectionText {
    fn default() -> Self {
        Self::Validation(0)
    }
}

/// The values of a parameter that an inspection reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TensorValues {
    #[default]
    Weight,
    /// The gradient of the mean loss over [`InspectionText::Validation`] 0, without dropout.
    Gradient,
    /// The update that the optimizer would make with its current moments, without weight decay: AdamW
    /// `-learning_rate * m / (sqrt(v) + eps)` with bias-corrected moments; Muon minus the orthogonalized momentum times its learning rate.
    Update,
}

/// A rectangle of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Window {
    /// First row.
    pub row: u32,
    /// First column.
    pub column: u32,
    /// Rows, at least 1.
    pub rows: u32,
    /// Columns, at least 1.
    pub columns: u32,
}

/// An inspection.
///
/// JSON: `{"attention": {"layer": 0, "text": {"prompt": "Once upon"}}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Inspection {
    /// Statistics of every component.
    Overview {
        /// Text to read.
        #[serde(default)]
        text: InspectionText,
    },
    /// The attention patterns of all heads of a block.
    Attention {
        /// Text to read.
        #[serde(default)]
        text: InspectionText,
        /// Block, from 0.
        layer: u32,
    },
    /// The logit lens: the model's prediction after each block at each position, and the loss of each token.
    LogitLens {
        /// Text to read.
        #[serde(default)]
        text: InspectionText,
    },
    /// The activations of a block's MLP neurons over a text.
    Neurons {
        /// Text to read.
        #[serde(default)]
        text: InspectionText,
        /// Block, from 0.
        layer: u32,
    },
    /// The validation contexts that activate one neuron most.
    Neuron {
        /// Block, from 0.
        layer: u32,
        /// Neuron, from 0.
        neuron: u32,
    },
    /// Small heat maps and histograms of all matrices.
    Weights {
        /// Values to read: weights, gradient or update.
        #[serde(default)]
        values: TensorValues,
    },
    /// One parameter, or a rectangle of it down to single values.
    Matrix {
        /// Name of the parameter: `block.0.attention.query`.
        tensor: String,
        /// Values to read: weights, gradient or update.
        #[serde(default)]
        values: TensorValues,
        /// Rectangle; the whole parameter by default.
        #[serde(default)]
        window: Option<Window>,
    },
    /// The token embeddings on their first two principal components, and the nearest tokens of each.
    Embedding {},
    /// The text of a step's batch, past or future, with the loss of each token under the current weights.
    Batch {
        /// Step of the batch.
        step: u64,
    },
    /// The effect of interventions: loss and completion with and without them.
    Interventions {
        /// Text to read and to complete.
        #[serde(default)]
        text: InspectionText,
        /// At most [`intervention::MAX_INTERVENTIONS`].
        interventions: Vec<Intervention>,
    },
    /// Statistics of weights, gradient and update of every parameter, from the last step that measured them.
    ParameterStats {},
}

impl Inspection {
    /// Its kind, as in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Overview { .. } => "overview",
            Self::Attention { .. } => "attention",
            Self::LogitLens { .. } => "logit_lens",
            Self::Neurons { .. } => "neurons",
            Self::Neuron { .. } => "neuron",
            Self::Weights { .. } => "weights",
            Self::Matrix { .. } => "matrix",
            Self::Embedding {} => "embedding",
            Self::Batch { .. } => "batch",
            Self::Interventions { .. } => "interventions",
            Self::ParameterStats {} => "parameter_stats",
        }
    }

    /// A text that is equal for equal inspections: a newer result replaces the one with the same key.
    pub fn key(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| self.kind().to_owned())
    }

    /// The text that it reads, if it reads one.
    pub fn text(&self) -> Option<&InspectionText> {
        match self {
            Self::Overview { text }
            | Self::Attention { text, .. }
            | Self::LogitLens { text }
            | Self::Neurons { text, .. }
            | Self::Interventions { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Checks everything that needs no model. Whether a layer or a parameter exists is checked after the model is loaded.
    ///
    /// # Errors
    /// An empty or too long prompt, an empty window, or invalid interventions.
    pub fn check(&self) -> Result<(), PlanError> {
        if let Some(InspectionText::Prompt(text)) = self.text() {
            check_prompt(text)?;
        }
        match self {
            Self::Matrix { window: Some(window), .. } if window.rows == 0 || window.columns == 0 => {
                Err(PlanError::new("window", format!("the window is {} × {}", window.rows, window.columns))
                    .hint("at least one row and one column"))
            }
            Self::Interventions { interventions, .. } => intervention::check(interventions),
            _ => Ok(()),
        }
    }
}

fn check_prompt(text: &str) -> Result<(), PlanError> {
    match text.chars().count() {
        0 => Err(PlanError::new("text", "the prompt is empty").hint("enter at least one character")),
        chars if chars > MAX_PROMPT_CHARS => Err(PlanError::new("text", format!("the prompt has {chars} characters"))
            .hint(format!("at most {MAX_PROMPT_CHARS}"))),
        _ => Ok(()),
    }
}

/// Whether a run keeps a snapshot at this step: every step below 16, then 16 steps per doubling.
pub fn is_snapshot_step(step: u64) -> bool {
    step < 16 || step.is_multiple_of(1 << (step.ilog2() - 4))
}

/// The inspections of a snapshot of a model with this many blocks. All of them read [`InspectionText::Validation`] 0.
pub fn snapshot_inspections(layers: usize) -> Vec<Inspection> {
    let text = InspectionText::default();
    let mut inspections = vec![
        Inspection::Overview { text: text.clone() },
        Inspection::LogitLens { text: text.clone() },
        Inspection::Weights { values: TensorValues::Weight },
        Inspection::Embedding {},
        Inspection::ParameterStats {},
    ];
    inspections.extend((0..layers as u32).map(|layer| Inspection::Attention { text: text.clone(), layer }));
    inspections
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::intervention::Component;

    #[test]
    fn inspections_have_readable_json() {
        let read = |text: &str| serde_json::from_str::<Inspection>(text);
        assert_eq!(read(r#"{"overview":{}}"#).unwrap(), Inspection::Overview { text: InspectionText::Validation(0) });
        assert_eq!(
            read(r#"{"attention":{"layer":1,"text":{"prompt":"Once"}}}"#).unwrap(),
            Inspection::Attention { text: InspectionText::Prompt("Once".into()), layer: 1 }
        );
        assert_eq!(read(r#"{"embedding":{}}"#).unwrap(), Inspection::Embedding {});
        assert!(read(r#"{"mood":{}}"#).is_err() && read(r#"{"overview":{"x":1}}"#).is_err());
        let ablation = Intervention { component: Component::Head { layer: 0, head: 1 }, factor: 0.0 };
        let inspection = Inspection::Interventions { text: InspectionText::default(), interventions: vec![ablation] };
        assert_eq!(read(&inspection.key()).unwrap(), inspection);
        let packed = postcard::to_allocvec(&inspection).unwrap();
        assert_eq!(postcard::from_bytes::<Inspection>(&packed).unwrap(), inspection);
    }

    #[test]
    fn invalid_inspections_are_refused() {
        let lens = |text: &str| Inspection::LogitLens { text: InspectionText::Prompt(text.into()) }.check();
        assert!(lens("a").is_ok() && lens("").is_err() && lens(&"a".repeat(MAX_PROMPT_CHARS + 1)).is_err());
        let scaled = |factor| {
            let scale = Intervention { component: Component::Mlp { layer: 0 }, factor };
            Inspection::Interventions { text: InspectionText::default(), interventions: vec![scale] }.check()
        };
        assert!(scaled(-2.0).is_ok() && scaled(f32::NAN).is_err() && scaled(1e9).is_err());
    }

    #[test]
    fn snapshot_steps_are_spread_over_doublings() {
        let steps: Vec<u64> = (0..100).filter(|step| is_snapshot_step(*step)).collect();
        assert_eq!(&steps[..18], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
        assert!(steps.ends_with(&[88, 92, 96]));
        assert_eq!((0..1 << 19).filter(|step| is_snapshot_step(*step)).count(), 16 * 16);
    }
}
