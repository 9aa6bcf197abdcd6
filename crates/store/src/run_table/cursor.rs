//! The position of a run in a sorted table, as text for a header and a query string: JSON in hexadecimal digits. The next page begins after
//! this position, also when the run itself has been deleted or no longer matches.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::{PlanError, RunId};

use crate::error::StoreError;

/// The position of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Its group, in a query with groups.
    pub(super) group: Option<String>,
    /// Its value of the sorted column.
    pub(super) value: Option<Value>,
    pub(super) created_ms: i64,
    pub(super) id: RunId,
}

impl Cursor {
    pub(super) fn write(&self) -> Result<String, StoreError> {
        let json = serde_json::to_vec(self).map_err(|source| StoreError::unreadable("a cursor", source))?;
        Ok(json.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// # Errors
    /// [`StoreError::InvalidQuery`] for a text that [`Self::write`] did not return.
    pub(super) fn read(text: &str) -> Result<Self, StoreError> {
        let digit = |pair: &[u8]| {
            let text = std::str::from_utf8(pair).ok().filter(|_| pair.len() == 2)?;
            u8::from_str_radix(text, 16).ok()
        };
        let json: Option<Vec<u8>> = text.as_bytes().chunks(2).map(digit).collect();
        let read = json.and_then(|json| serde_json::from_slice(&json).ok());
        read.ok_or_else(|| {
            let source = PlanError::new("cursor", "the cursor is not from this server")
                .hint("use the value of the header kindling-cursor, or none for the first page");
            StoreError::InvalidQuery { source }
        })
    }
}
