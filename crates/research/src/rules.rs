//! Diagnosis of a run: rules that read its series as it trains and report findings with the numbers that show them.
//!
//! [`Checker`] has the state of all rules for one run. The caller feeds it the rows of each step in order, stores the findings, and
//! rewinds it when the run rolls back. [`RULES`] describes every rule: signals, formula, thresholds, remedies.
//!
//! - `table`, `finding`, `facts`, `settings`: what a rule states, sees, and knows; `info`: the table as the API answers it;
//! - `checker`: the state of all rules; `list`: the rows; `watch`: from conditions to findings; `sample`: the values of a step;
//! - `window`, `history`, `step_size`: bounded memories of series;
//! - all other files: one rule each, opening with its formula and source.

mod attention_collapse;
mod attention_logits;
mod baseline;
mod checker;
mod clipping;
mod dataset;
mod dead_neurons;
mod dead_parameter;
mod divergence;
mod duplicates;
mod epochs;
mod facts;
mod finding;
mod floor;
mod gradient;
mod history;
mod info;
mod leak;
mod learning_rate_high;
mod learning_rate_low;
mod list;
mod noise;
mod non_finite;
mod overfitting;
mod plateau;
mod sample;
mod settings;
mod slow;
mod spike;
mod start;
mod step_size;
mod table;
mod update_ratio;
mod watch;
mod window;

pub use checker::{Checker, StateError};
pub use facts::Facts;
pub use finding::{began, label, sentence};
pub use info::PAUSES_ALWAYS;
pub use list::{RULES, rule};
pub use sample::is_read;
pub use settings::{SettingError, Settings};
pub use table::{Remedy, Rule, Threshold};
pub use wire::diagnosis::{Active, Evidence, Finding, Level};
