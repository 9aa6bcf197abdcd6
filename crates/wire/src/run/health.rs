//! The numbers of a run's findings, which tables of runs show and sort by.

use serde::{Deserialize, Serialize};

use crate::number::{counted, grouped};

/// Numbers of findings that [count](crate::diagnosis::RunFinding::counts). Those that have ended are included until a person dismisses them, so that a
/// spike of the night is still seen in the morning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Health {
    /// Rules that are not muted; 0 if no rule has read the run, as before its first step.
    pub checks: u32,
    pub notes: u32,
    pub alerts: u32,
}

impl Health {
    /// Orders runs by what needs attention: more alerts first, then more notes.
    pub fn urgency(self) -> (u32, u32) {
        (self.alerts, self.notes)
    }

    /// The health line without the findings: `Healthy: 14 rules check the run`, `1 alert, 2 notes; 14 rules check the run`; `None` if no rule has
    /// read the run.
    pub fn sentence(self) -> Option<String> {
        let Self { checks, notes, alerts } = self;
        let rules = match checks {
            0 => return None,
            1 => "1 rule checks the run".to_owned(),
            rules => format!("{} rules check the run", grouped(rules.into())),
        };
        let counts: Vec<String> = [count(alerts, "alert"), count(notes, "note")].into_iter().flatten().collect();
        Some(if counts.is_empty() { format!("Healthy: {rules}") } else { format!("{}; {rules}", counts.join(", ")) })
    }
}

/// A number with its noun: `2 alerts`; `None` for 0.
pub(crate) fn count(number: u32, noun: &str) -> Option<String> {
    (number > 0).then(|| counted(number.into(), noun))
}

#[cfg(test)]
mod tests {
    use super::Health;

    #[test]
    fn the_health_line_counts_in_words() {
        let check = |checks, notes, alerts, expected: Option<&str>| {
            assert_eq!(Health { checks, notes, alerts }.sentence().as_deref(), expected)
        };
        check(0, 0, 0, None);
        check(14, 0, 0, Some("Healthy: 14 rules check the run"));
        check(14, 1, 0, Some("1 note; 14 rules check the run"));
        check(14, 0, 2, Some("2 alerts; 14 rules check the run"));
        check(1, 2, 1, Some("1 alert, 2 notes; 1 rule checks the run"));
    }
}
