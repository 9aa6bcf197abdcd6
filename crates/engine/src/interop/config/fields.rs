//! The fields of a `config.json`, each read with its bounds.

use serde_json::Value;

use crate::error::EngineError;
use crate::interop::{CONFIG, refused};

/// A JSON object whose fields are read.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Value);

impl<'a> Fields<'a> {
    /// The first of the names that has a value; the first name where none has.
    pub(super) fn named(self, names: &[&'static str]) -> &'static str {
        names.iter().copied().find(|name| self.has(name)).unwrap_or(names[0])
    }

    pub(super) fn inner(self, key: &str) -> Option<Fields<'a>> {
        self.has(key).then(|| Fields(&self.0[key]))
    }

    pub(super) fn has(self, key: &str) -> bool {
        !self.0[key].is_null()
    }

    pub(super) fn size(self, key: &str) -> Result<usize, EngineError> {
        let found = self.0[key].as_u64().and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
        found.ok_or_else(|| self.unfit(key, "a whole number from 1"))
    }

    pub(super) fn number(self, key: &str, usual: f64) -> Result<f64, EngineError> {
        let found = if self.has(key) { self.0[key].as_f64() } else { Some(usual) };
        found.filter(|number| *number > 0.0).ok_or_else(|| self.unfit(key, "a number above 0"))
    }

    pub(super) fn word(self, key: &str, usual: &'a str, fitting: &[&str]) -> Result<&'a str, EngineError> {
        let found = if self.has(key) { self.0[key].as_str() } else { Some(usual) };
        found.filter(|word| fitting.contains(word)).ok_or_else(|| self.unfit(key, &fitting.join(" or ")))
    }

    pub(super) fn either(self, key: &str, usual: bool) -> Result<bool, EngineError> {
        if !self.has(key) {
            return Ok(usual);
        }
        self.0[key].as_bool().ok_or_else(|| self.unfit(key, "true or false"))
    }

    pub(super) fn flag(self, key: &str, usual: bool, needed: bool) -> Result<(), EngineError> {
        if self.either(key, usual)? == needed { Ok(()) } else { Err(self.unfit(key, &needed.to_string())) }
    }

    /// Refuses every field that has a value other than null, false, 0, 1 or an empty list.
    pub(super) fn without(self, keys: &[&str]) -> Result<(), EngineError> {
        let is_neutral = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::Number(number) => number.as_f64().is_some_and(|number| number == 0.0 || number == 1.0),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        };
        match keys.iter().find(|key| !is_neutral(&self.0[**key])) {
            Some(key) => Err(self.unfit(key, "a model without it")),
            None => Ok(()),
        }
    }

    pub(super) fn unfit(self, key: &str, needed: &str) -> EngineError {
        let found: String = self.0[key].to_string().chars().take(80).collect();
        let found = if self.has(key) { found } else { "missing".to_owned() };
        refused(
            CONFIG,
            format!("{key} is {found}, and {needed} is needed"),
            "a model that was trained with another value would compute something else here",
        )
    }
}
