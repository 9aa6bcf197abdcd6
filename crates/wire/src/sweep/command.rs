//! Commands to a sweep.

use serde::{Deserialize, Serialize};

use super::stopping::StoppingRule;

/// A command with the revision of the sweep for which it was meant. If somebody has changed the sweep meanwhile, the command is refused.
///
/// JSON: `{"revision": 3, "command": {"kind": "extend", "trials": 20}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SweepRequest {
    /// Revision of the sweep that the sender has seen.
    pub revision: u64,
    pub command: SweepCommand,
}

/// A command to a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SweepCommand {
    /// Start no further trial. Trials that train or wait in the queue continue.
    Pause,
    /// Start trials again, and resume the trials that are suspended.
    Resume,
    /// End the sweep: start no further trial, and stop those that train or wait, each with a checkpoint.
    Stop,
    /// Plan more trials. A finished sweep continues.
    Extend {
        /// Trials to add.
        trials: u64,
    },
    /// Change the rule that stops trials early. The new rule applies to values that are reported afterwards; earlier decisions stay.
    SetStopping {
        /// The rule; `null` for none.
        stopping: Option<StoppingRule>,
    },
    /// Train a trial again from its first step, as a new run. Its earlier run stays.
    Retry {
        /// Number of the trial.
        trial: u64,
    },
    /// Resume a trial that was stopped from its checkpoint. Rules do not stop it again; their decision stays on record.
    ResumeTrial {
        /// Number of the trial.
        trial: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_short_json() {
        for (text, command) in [
            (r#"{"kind":"pause"}"#, SweepCommand::Pause),
            (r#"{"kind":"resume"}"#, SweepCommand::Resume),
            (r#"{"kind":"stop"}"#, SweepCommand::Stop),
            (r#"{"kind":"extend","trials":20}"#, SweepCommand::Extend { trials: 20 }),
            (r#"{"kind":"set_stopping","stopping":null}"#, SweepCommand::SetStopping { stopping: None }),
            (
                r#"{"kind":"set_stopping","stopping":{"rule":"asha","eta":3,"min_fraction":0.05}}"#,
                SweepCommand::SetStopping { stopping: Some(StoppingRule::Asha { eta: 3, min_fraction: 0.05 }) },
            ),
            (r#"{"kind":"retry","trial":3}"#, SweepCommand::Retry { trial: 3 }),
            (r#"{"kind":"resume_trial","trial":3}"#, SweepCommand::ResumeTrial { trial: 3 }),
        ] {
            assert_eq!(serde_json::to_string(&command).unwrap(), text);
            let request = format!(r#"{{"revision":7,"command":{text}}}"#);
            let read: SweepRequest = serde_json::from_str(&request).unwrap();
            assert_eq!(read, SweepRequest { revision: 7, command });
        }
        let read = |text: &str| serde_json::from_str::<SweepRequest>(text);
        assert!(read(r#"{"command":{"kind":"pause"}}"#).is_err(), "a revision is needed");
        assert!(read(r#"{"revision":1,"command":{"kind":"extend","trial":20}}"#).is_err());
    }
}
