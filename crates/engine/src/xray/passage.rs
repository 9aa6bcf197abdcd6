//! The text that a look reads: a held-out window or a text of one's own, as tokens, with the token that comes after each.

use burn::tensor::{Int, Tensor};
use wire::look::Passage;

use super::Eye;
use crate::error::EngineError;
use crate::gradient;
use crate::look_error::LookError;

/// A text as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    /// Tokens, at least one.
    pub(super) tokens: Vec<u32>,
    /// The token after each; the last of a text of one's own has none.
    pub(super) next: Vec<Option<u32>>,
}

impl Read {
    /// A single row on a device.
    ///
    /// # Shapes
    /// `[1, tokens]`.
    pub(super) fn rows(&self, eye: &Eye<'_>) -> Tensor<2, Int> {
        row(eye, &self.tokens)
    }

    /// The tokens to be said, as a column; 0 where there is none.
    ///
    /// # Shapes
    /// `[tokens, 1]`.
    pub(super) fn targets(&self, eye: &Eye<'_>) -> Tensor<2, Int> {
        let next: Vec<u32> = self.next.iter().map(|next| next.unwrap_or(0)).collect();
        row(eye, &next).reshape([next.len(), 1])
    }

    /// Values of each place; NaN where there is no token to be said.
    pub(super) fn known(&self, values: Vec<f32>) -> Vec<f32> {
        values.into_iter().zip(&self.next).map(|(value, next)| if next.is_some() { value } else { f32::NAN }).collect()
    }
}

fn row(eye: &Eye<'_>, tokens: &[u32]) -> Tensor<2, Int> {
    let ids: Vec<i32> = tokens.iter().map(|token| *token as i32).collect();
    gradient::tokens(&ids, 1, ids.len(), &eye.scene.device.burn)
}

/// Mean of the values that are there; NaN where none is.
pub(super) fn mean(values: &[f32]) -> f32 {
    let known: Vec<f64> = values.iter().filter(|value| !value.is_nan()).map(|value| f64::from(*value)).collect();
    (known.iter().sum::<f64>() / known.len() as f64) as f32
}

/// Reads a passage.
///
/// # Errors
/// A window that does not exist; a text with characters that the run's text never had, or longer than a look reads.
pub(super) fn read(eye: &Eye<'_>, passage: &Passage) -> Result<Read, EngineError> {
    match passage {
        Passage::Held(window) => held(eye, *window),
        Passage::Own(text) => own(eye, text),
    }
}

fn held(eye: &Eye<'_>, window: u32) -> Result<Read, EngineError> {
    let (data, tokens, shares) = (eye.scene.data, eye.most_tokens(), eye.shares());
    let Some(batch) = data.valid_batch(window.into(), 1, tokens, &shares) else {
        let windows = data.held_windows(tokens, &shares);
        return Err(LookError::NoWindow { window, windows, tokens }.into());
    };
    let ids = |ids: &[i32]| ids.iter().map(|id| *id as u32).collect::<Vec<u32>>();
    Ok(Read { tokens: ids(&batch.inputs), next: ids(&batch.targets).into_iter().map(Some).collect() })
}

fn own(eye: &Eye<'_>, text: &str) -> Result<Read, EngineError> {
    let (tokens, chars) = eye.scene.data.tokenizer().encode_known(text);
    if !chars.is_empty() {
        return Err(LookError::Strangers { chars }.into());
    }
    let most = eye.most_tokens();
    if tokens.len() > most {
        return Err(LookError::TooLong { tokens: tokens.len(), most }.into());
    }
    let next = tokens.iter().skip(1).copied().map(Some).chain([None]).collect();
    Ok(Read { tokens, next })
}
