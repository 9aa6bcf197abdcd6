//! The text that an inspection reads, as tokens: a validation window or a prompt, with the token that follows each.

use burn::tensor::{Int, Tensor};
use wire::inspect::request::InspectionText;

use super::Inspector;
use crate::error::{EngineError, InspectError};
use crate::model::gradient;

/// A text as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenizedText {
    /// Tokens, at least one.
    pub(super) tokens: Vec<u32>,
    /// The token after each; `None` after the last token of a prompt.
    pub(super) next: Vec<Option<u32>>,
}

impl TokenizedText {
    /// The tokens as one sequence on the device.
    ///
    /// # Shapes
    /// `[1, tokens]`.
    pub(super) fn input(&self, inspector: &Inspector<'_>) -> Tensor<2, Int> {
        row(inspector, &self.tokens)
    }

    /// The next tokens as a column; 0 if unknown.
    ///
    /// # Shapes
    /// `[tokens, 1]`.
    pub(super) fn targets(&self, inspector: &Inspector<'_>) -> Tensor<2, Int> {
        let next: Vec<u32> = self.next.iter().map(|next| next.unwrap_or(0)).collect();
        row(inspector, &next).reshape([next.len(), 1])
    }

    /// The values of each position; NaN if the next token is unknown.
    pub(super) fn known(&self, values: Vec<f32>) -> Vec<f32> {
        values.into_iter().zip(&self.next).map(|(value, next)| if next.is_some() { value } else { f32::NAN }).collect()
    }
}

fn row(inspector: &Inspector<'_>, tokens: &[u32]) -> Tensor<2, Int> {
    let ids: Vec<i32> = tokens.iter().map(|token| *token as i32).collect();
    gradient::tokens(&ids, 1, ids.len(), &inspector.subject.device.burn)
}

/// Mean of the values that are not NaN; NaN if there are none.
pub(super) fn mean(values: &[f32]) -> f32 {
    let known: Vec<f64> = values.iter().filter(|value| !value.is_nan()).map(|value| f64::from(*value)).collect();
    (known.iter().sum::<f64>() / known.len() as f64) as f32
}

/// Reads a text.
///
/// # Errors
/// The window does not exist, the tokenizer does not know a character of the prompt, or the prompt is too long for an inspection.
pub(super) fn read(inspector: &Inspector<'_>, text: &InspectionText) -> Result<TokenizedText, EngineError> {
    match text {
        InspectionText::Validation(window) => validation(inspector, *window),
        InspectionText::Prompt(text) => prompt(inspector, text),
    }
}

fn validation(inspector: &Inspector<'_>, window: u32) -> Result<TokenizedText, EngineError> {
    let (data, tokens, mix) = (inspector.subject.data, inspector.max_tokens(), inspector.mix());
    let Some(batch) = data.valid_batch(window.into(), 1, tokens, &mix) else {
        let windows = data.valid_window_count(tokens, &mix);
        return Err(InspectError::NoWindow { window, windows, tokens }.into());
    };
    let ids = |ids: &[i32]| ids.iter().map(|id| *id as u32).collect::<Vec<u32>>();
    Ok(TokenizedText { tokens: ids(&batch.inputs), next: ids(&batch.targets).into_iter().map(Some).collect() })
}

fn prompt(inspector: &Inspector<'_>, text: &str) -> Result<TokenizedText, EngineError> {
    let (tokens, chars) = inspector.subject.data.tokenizer().encode_prompt(text);
    if !chars.is_empty() {
        return Err(InspectError::UnknownChars { chars }.into());
    }
    let max = inspector.max_tokens();
    if tokens.len() > max {
        return Err(InspectError::TooLong { tokens: tokens.len(), max }.into());
    }
    let next = tokens.iter().skip(1).copied().map(Some).chain([None]).collect();
    Ok(TokenizedText { tokens, next })
}
