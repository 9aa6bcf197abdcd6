//! The assistant: a panel beside every page in which a model answers, or rules, fits and journal where no model is configured. It is loaded
//! when it is first opened.

mod button;
mod decision;
mod entries;
mod list;
mod panel;
mod part;
mod sent;
mod state;

pub(crate) use button::{AssistantButton, AssistantDock};
pub(crate) use state::Assistant;
