//! What someone typed: a preset, a text, and a few overrides. Small enough to paste into a message.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::checkpoint::CheckpointId;
use crate::command::Command;
use crate::id::{CorpusId, DeviceId, RunId};

/// A wish for a run. Everything left out comes from the preset.
///
/// JSON: `{"preset": "nanogpt-cpu", "corpus": "tales", "steps": 2000, "seed": 1, "overrides": {"optimizer.rate": 1e-3}}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// Name of a preset; `nanogpt-cpu` unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// One dial for size: layers, with width, heads and rate derived from it (preset `depth`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
    /// The text to learn. Give this or `mix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corpus: Option<CorpusId>,
    /// Several texts with their weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix: Option<BTreeMap<CorpusId, f64>>,
    /// `byte`, `char`, `bpe-1024` or `gpt2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<Tokenizer>,
    /// Optimizer steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Seed of initialisation and batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Any number of the plan, by its path: `{"model.layers": 6}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<String, serde_json::Value>,
    /// A device of the lab; the fastest free one unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// A name to show; a readable one is made up unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The run this one was copied from, with changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_from: Option<RunId>,
    /// Begin with the state of another run. Model, texts and optimizer are then its own; steps, seed, device, name, and overrides of
    /// `cadence`, `keep` and `budget` may be given, and the dials are turned by `changes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// Higher goes first in the queue; 0 unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
}

/// The state that a fork begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// Which run.
    pub run: RunId,
    /// At which step of its path: there must be a checkpoint. Neither this nor `checkpoint`: one is taken now, or the newest is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// Which checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub checkpoint: Option<CheckpointId>,
    /// Changes made before its first step: `set`, `redraw` and `edit` commands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Command>,
    /// The line of the parent's journal that it leaves out, where it is a twin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin_of: Option<u64>,
}

/// How text becomes numbers. Its text form names folders, so it is plain: `byte`, `char`, `bpe-1024`, `gpt2`, `brought-1f00...`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Tokenizer {
    /// The 256 bytes, and an end of text.
    Byte,
    /// The characters of the text itself.
    Char,
    /// Byte-pair encoding trained on the text, to this vocabulary.
    Bpe(u32),
    /// GPT-2's own, 50,257 tokens.
    Gpt2,
    /// One that came with a model from elsewhere, by the first eight bytes of its file's BLAKE3.
    Brought(u64),
}

impl Tokenizer {
    /// Whether it is learnt from the run's own texts, so that other texts would give another one.
    pub fn is_of_its_texts(self) -> bool {
        matches!(self, Self::Char | Self::Bpe(_))
    }
}

impl fmt::Display for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte => f.write_str("byte"),
            Self::Char => f.write_str("char"),
            Self::Bpe(vocab) => write!(f, "bpe-{vocab}"),
            Self::Gpt2 => f.write_str("gpt2"),
            Self::Brought(hash) => write!(f, "brought-{hash:016x}"),
        }
    }
}

impl FromStr for Tokenizer {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bpe = text
            .strip_prefix("bpe-")
            .and_then(|vocab| vocab.parse().ok())
            .filter(|vocab| (260..=65_536).contains(vocab));
        let is_hash =
            |digits: &&str| digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let brought =
            text.strip_prefix("brought-").filter(is_hash).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        match (text, bpe, brought) {
            ("byte", ..) => Ok(Self::Byte),
            ("char", ..) => Ok(Self::Char),
            ("gpt2", ..) => Ok(Self::Gpt2),
            (_, Some(vocab), _) => Ok(Self::Bpe(vocab)),
            (.., Some(hash)) => Ok(Self::Brought(hash)),
            _ => Err(format!("{text:?} is no tokenizer: byte, char, gpt2, or bpe-N with N from 260 to 65536")),
        }
    }
}

impl TryFrom<String> for Tokenizer {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Tokenizer> for String {
    fn from(tokenizer: Tokenizer) -> String {
        tokenizer.to_string()
    }
}

/// A string, as its serde form is; derived, it would be described by its variants.
#[cfg(feature = "openapi")]
mod schema {
    use utoipa::openapi::RefOr;
    use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
    use utoipa::{PartialSchema, ToSchema};

    use super::Tokenizer;

    impl PartialSchema for Tokenizer {
        fn schema() -> RefOr<Schema> {
            let text = ObjectBuilder::new().schema_type(Type::String).description(Some("byte, char, bpe-N or gpt2"));
            text.examples([serde_json::json!("char")]).into()
        }
    }

    impl ToSchema for Tokenizer {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_is_enough() {
        let text = r#"{"preset":"nanogpt-cpu","corpus":"tales","steps":2000,"seed":1,"overrides":{"optimizer.rate":1e-3},"tokenizer":"bpe-1024"}"#;
        let spec: RunSpec = serde_json::from_str(text).unwrap();
        assert_eq!(spec.tokenizer, Some(Tokenizer::Bpe(1024)));
        assert!(
            serde_json::from_str::<RunSpec>(r#"{"presett":"x"}"#).is_err(),
            "a misspelt field is refused, not ignored"
        );
        let brought = Tokenizer::Brought(0x1f);
        assert_eq!(brought.to_string().parse(), Ok(brought));
        for bad in ["bpe-1", "bpe-x", "words", "bpe-99999999", "../x", "brought-1f", "brought-+00000000000001f"] {
            assert!(bad.parse::<Tokenizer>().is_err(), "{bad}");
        }
    }
}
