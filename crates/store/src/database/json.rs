//! JSON and words in columns.

use crate::error::StoreError;

/// A value as JSON text.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|source| StoreError::unreadable("a value", source))
}

/// A value from JSON text; `what` names it in the error.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::unreadable(what, source))
}

/// The JSON string of a unit variant without quotes: `queued`, `sign_in`.
pub(crate) fn to_word<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    Ok(to_json(value)?.trim_matches('"').to_owned())
}

/// The variant of such a word.
pub(crate) fn from_word<T: serde::de::DeserializeOwned>(what: &str, word: &str) -> Result<T, StoreError> {
    from_json(what, &format!("\"{word}\""))
}
