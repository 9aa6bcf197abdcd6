//! The author of a command or an event.

use serde::{Deserialize, Serialize};

/// The author of a command or an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// A person who signed in, by the name of their token.
    Person(String),
    /// A rule that was allowed to act, by its label.
    Rule(String),
    /// A language model that acts through commands.
    Agent(String),
    /// The lab itself: training loop, scheduler, store.
    System,
}

impl Author {
    /// The name of the person, the rule or the agent; `system` for the lab itself.
    pub fn name(&self) -> &str {
        match self {
            Self::Person(name) | Self::Rule(name) | Self::Agent(name) => name,
            Self::System => "system",
        }
    }
}
