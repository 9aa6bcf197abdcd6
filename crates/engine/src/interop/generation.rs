//! Where texts begin and end: `bos_token_id` and `eos_token_id`, which are in `generation_config.json` where there is one, and else in
//! `config.json`. Whatever else `generation_config.json` has are settings of sampling, which the request for a completion sets here.

use serde_json::{Value, json};

use super::refused;
use crate::error::EngineError;

/// Tokens at which texts begin and end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Generation {
    /// The token of an empty prompt.
    pub(super) bos: Option<u32>,
    /// Each of these ends a text.
    pub(super) eos: Vec<u32>,
}

/// Settings of `generation_config.json` that change which token is the likeliest, with their neutral value.
const PROCESSORS: [(&str, f64); 14] = [
    ("repetition_penalty", 1.0),
    ("no_repeat_ngram_size", 0.0),
    ("num_beams", 1.0),
    ("min_length", 0.0),
    ("min_new_tokens", 0.0),
    ("suppress_tokens", 0.0),
    ("begin_suppress_tokens", 0.0),
    ("forced_bos_token_id", f64::NAN),
    ("forced_eos_token_id", f64::NAN),
    ("bad_words_ids", 0.0),
    ("sequence_bias", 0.0),
    ("guidance_scale", 1.0),
    ("stop_strings", 0.0),
    ("watermarking_config", 0.0),
];

impl Generation {
    /// Reads both fields of a config.
    ///
    /// # Errors
    /// Anything but a token, a list of tokens or null.
    pub(super) fn read(file: &str, config: &Value) -> Result<Self, EngineError> {
        let tokens = |key: &str| match &config[key] {
            Value::Null => Ok(vec![]),
            Value::Array(list) => list.iter().map(|id| token(file, key, id)).collect(),
            id => Ok(vec![token(file, key, id)?]),
        };
        Ok(Self { bos: tokens("bos_token_id")?.first().copied(), eos: tokens("eos_token_id")? })
    }

    /// Writes both fields into a config.
    pub(super) fn write(&self, config: &mut Value) {
        config["bos_token_id"] = self.bos.into();
        config["eos_token_id"] = match self.eos.as_slice() {
            [] => Value::Null,
            [only] => (*only).into(),
            several => json!(several),
        };
    }

    /// Without tokens that the model does not have, which it never generates; and these.
    pub(super) fn within(self, vocab: usize) -> (Self, Vec<u32>) {
        let is_known = |id: &u32| (*id as usize) < vocab;
        let unknown = self.eos.iter().chain(&self.bos).filter(|id| !is_known(id)).copied().collect();
        let known = Self { bos: self.bos.filter(is_known), eos: self.eos.into_iter().filter(is_known).collect() };
        (known, unknown)
    }
}

fn token(file: &str, key: &str, id: &Value) -> Result<u32, EngineError> {
    id.as_u64().and_then(|id| u32::try_from(id).ok()).ok_or_else(|| {
        refused(file, format!("{key} is {id}, and a token or a list of tokens is needed"), "correct it in the file")
    })
}

/// Settings of a `generation_config.json` that `transformers` applies to the logits and a completion here does not.
pub(super) fn processors(config: &Value) -> Vec<String> {
    let is_neutral = |value: &Value, neutral: f64| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        number => number.as_f64() == Some(neutral),
    };
    let set = PROCESSORS.iter().filter(|(key, neutral)| !is_neutral(&config[*key], *neutral));
    set.map(|(key, _)| (*key).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_a_number_a_list_or_nothing() {
        let eos = |value: Value| Generation::read("x", &json!({"eos_token_id": value})).map(|read| read.eos);
        assert_eq!(eos(json!(5)).unwrap(), [5]);
        assert_eq!(eos(json!([7, 5])).unwrap(), [7, 5]);
        assert!(eos(json!(null)).unwrap().is_empty() && eos(json!([])).unwrap().is_empty());
        for bad in [json!("5"), json!(-1), json!([1.5]), json!({"a": 1}), json!(5e9)] {
            assert!(eos(bad.clone()).unwrap_err().to_string().contains("eos_token_id"), "{bad}");
        }
    }

    #[test]
    fn settings_that_change_the_logits_are_named() {
        let config = json!({"repetition_penalty": 1.1, "num_beams": 1, "top_p": 0.9, "suppress_tokens": [], "bad_words_ids": [[3]]});
        assert_eq!(processors(&config), ["repetition_penalty", "bad_words_ids"]);
    }
}
