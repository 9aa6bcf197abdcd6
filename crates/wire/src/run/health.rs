//! The numbers of a run's findings, which tables of runs show and sort by.

use serde::{Deserialize, Serialize};

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

    /// The health line: `Healthy: 14 checks, 0 findings`, `1 alert, 2 notes of 14 checks`; `None` if no rule has read the run.
    pub fn sentence(self) -> Option<String> {
        let Self { checks, notes, alerts } = self;
        let count = |number: u32, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
        let checks = (checks > 0).then(|| count(checks, "check"))?;
        Some(match (alerts, notes) {
            (0, 0) => format!("Healthy: {checks}, 0 findings"),
            (0, _) => format!("{} of {checks}", count(notes, "note")),
            (_, 0) => format!("{} of {checks}", count(alerts, "alert")),
            _ => format!("{}, {} of {checks}", count(alerts, "alert"), count(notes, "note")),
        })
    }
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
        check(14, 0, 0, Some("Healthy: 14 checks, 0 findings"));
        check(14, 1, 0, Some("1 note of 14 checks"));
        check(14, 0, 2, Some("2 alerts of 14 checks"));
        check(1, 2, 1, Some("1 alert, 2 notes of 1 check"));
    }
}
