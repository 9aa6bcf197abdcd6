//! How text becomes token ids: the name of a tokenizer, as specs, plans and folders spell it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::ParseError;

/// A tokenizer. Its text form is also a folder name: `byte`, `char`, `bpe-1024`, `gpt2`, `imported-1f00...`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Tokenizer {
    /// The 256 bytes, and an end-of-text token.
    Byte,
    /// The unique characters of the datasets.
    Char,
    /// Byte-pair encoding trained on the datasets, to this vocabulary size.
    Bpe(u32),
    /// GPT-2's own, 50,257 tokens.
    Gpt2,
    /// One that came with an imported model, by the first eight bytes of its file's BLAKE3.
    Imported(u64),
}

impl Tokenizer {
    /// Whether it is made from the run's datasets, so that other datasets give another vocabulary.
    pub fn is_trained_on_corpus(self) -> bool {
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
            Self::Imported(hash) => write!(f, "imported-{hash:016x}"),
        }
    }
}

impl FromStr for Tokenizer {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bpe = text
            .strip_prefix("bpe-")
            .and_then(|vocab| vocab.parse().ok())
            .filter(|vocab| (260..=65_536).contains(vocab));
        let is_hash =
            |digits: &&str| digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let imported =
            text.strip_prefix("imported-").filter(is_hash).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        match (text, bpe, imported) {
            ("byte", ..) => Ok(Self::Byte),
            ("char", ..) => Ok(Self::Char),
            ("gpt2", ..) => Ok(Self::Gpt2),
            (_, Some(vocab), _) => Ok(Self::Bpe(vocab)),
            (.., Some(hash)) => Ok(Self::Imported(hash)),
            _ => Err(ParseError::new(text, "a tokenizer: give byte, char, gpt2, or bpe-N with N from 260 to 65536")),
        }
    }
}

impl TryFrom<String> for Tokenizer {
    type Error = ParseError;
    fn try_from(text: String) -> Result<Self, ParseError> {
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
