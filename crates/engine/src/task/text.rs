//! Texts of tasks as tokens. Each text begins as the documents of the training do: with the tokens that the tokenizer puts before a text, or
//! else with its start token, where it has one.

use super::Parts;
use super::sequences::Sequence;
use crate::error::{DataError, EngineError, TaskError};

impl Parts {
    /// Tokens with which a text begins; may be none.
    pub(super) fn beginning(&self) -> Vec<u32> {
        match self.tokenizer.frame().0 {
            [] => self.tokenizer.start().into_iter().collect(),
            before => before.to_vec(),
        }
    }

    /// Tokens of a text of item `item`, counted from 1, without its beginning.
    pub(super) fn tokens(&self, item: usize, text: &str) -> Result<Vec<u32>, EngineError> {
        self.tokenizer.encode(text).map_err(|error| match error {
            DataError::UnknownChars { chars } => TaskError::UnknownChars { item, chars }.into(),
            other => other.into(),
        })
    }

    /// A prompt with each of its continuations. Scored are the tokens after those that the prompt and all continuations have in common, so
    /// that every continuation is conditioned on the same tokens, also where the tokenizer merges the end of the prompt with its first
    /// characters. If the longest one does not fit into the context, the oldest tokens of all are left out.
    pub(super) fn continuations(
        &self,
        item: usize,
        prompt: &str,
        continuations: &[&str],
    ) -> Result<Vec<Sequence>, EngineError> {
        let (beginning, before) = (self.beginning(), self.tokens(item, prompt)?);
        let all = continuations.iter().map(|text| self.tokens(item, &format!("{prompt}{text}")));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        let shared = all.iter().map(|tokens| in_common(&before, tokens)).min().unwrap_or(0);
        let from = beginning.len() + shared;
        if from == 0 {
            return Err(TaskError::NoPrompt { item }.into());
        }
        let scored = all.iter().map(|tokens| tokens.len() - shared);
        let (longest, text) = scored.zip(continuations).max_by_key(|(scored, _)| *scored).unwrap_or((0, &""));
        if longest > self.model.seq {
            return Err(
                TaskError::TooLong { item, text: start_of(text), tokens: longest, context: self.model.seq }.into()
            );
        }
        let dropped = (from + longest).saturating_sub(self.model.seq + 1);
        let sequence = |(tokens, text): (Vec<u32>, &&str)| match tokens.len() - shared {
            0 => Err(TaskError::NoTokens { item, text: start_of(text) }),
            _ => {
                let whole = [beginning.as_slice(), &tokens].concat();
                Ok(Sequence { tokens: whole[dropped..].to_vec(), from: from - dropped })
            }
        };
        Ok(all.into_iter().zip(continuations).map(sequence).collect::<Result<_, _>>()?)
    }
}

/// The beginning of a text, for an error.
pub(super) fn start_of(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Number of tokens that two lists have in common from their beginning on.
fn in_common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
