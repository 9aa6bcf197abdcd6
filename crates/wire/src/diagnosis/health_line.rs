//! The health line of a run whose findings are known: the gravest by name, the others counted; and the order in which findings are listed.

use super::finding::{Level, RunFinding, UNSTABLE};
use crate::number::grouped;
use crate::run::health::{Health, count};

impl Health {
    /// The health line with the gravest of the findings that count: `Divergence since step 659, 6 more alerts, 7 other findings`; `None`
    /// without any.
    pub fn line<'a>(found: impl IntoIterator<Item = &'a RunFinding>) -> Option<String> {
        let counted: Vec<&RunFinding> = found.into_iter().filter(|found| found.counts()).collect();
        let gravest = counted.iter().copied().min_by_key(|found| gravity(found))?;
        let of = |level: Level| counted.iter().filter(|found| found.finding.level == level).count() as u32;
        let word = if gravest.is_active() { "since" } else { "at" };
        let named = format!("{} {word} step {}", gravest.label, grouped(gravest.finding.step));
        // On the page of a run a note is also a text of a person, so the line does not call these findings notes.
        let others = match gravest.finding.level {
            Level::Alert => [count(of(Level::Alert) - 1, "more alert"), count(of(Level::Note), "other finding")],
            Level::Note => [count(of(Level::Note) - 1, "more finding"), None],
        };
        Some(std::iter::once(named).chain(others.into_iter().flatten()).collect::<Vec<_>>().join(", "))
    }
}

impl RunFinding {
    /// Key by which lists are sorted: open findings by gravity, then those that have ended or are abandoned, the newest first.
    pub fn place_in_list(&self) -> impl Ord + use<> {
        let is_over = !self.is_active();
        match is_over {
            false => (is_over, gravity(self)),
            true => (is_over, (false, 0, false, u64::MAX - self.finding.step)),
        }
    }
}

/// The gravest finding has the lowest key: alerts first, of these the rules that find unstable training, then open ones, then the earliest.
fn gravity(found: &RunFinding) -> (bool, usize, bool, u64) {
    let finding = &found.finding;
    let place = UNSTABLE.iter().position(|rule| *rule == finding.rule).unwrap_or(UNSTABLE.len());
    (finding.level == Level::Note, place, !found.is_active(), finding.step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Finding;

    fn found(rule: &str, level: Level, step: u64) -> RunFinding {
        RunFinding {
            id: step,
            segment: 0,
            at_ms: 0,
            finding: Finding {
                rule: rule.into(),
                level,
                step,
                first_step: step,
                value: None,
                threshold: 0.0,
                subject: String::new(),
                details: Default::default(),
                evidence: vec![],
            },
            label: rule.into(),
            text: String::new(),
            ended_step: None,
            became: None,
            is_abandoned: false,
            is_dismissed: false,
            judgement: None,
            action: None,
        }
    }

    #[test]
    fn open_findings_are_listed_by_gravity_before_those_that_have_ended() {
        use Level::{Alert, Note};
        let ended = |finding: RunFinding| RunFinding { ended_step: Some(finding.finding.step + 1), ..finding };
        let mut found = [
            ended(found("loss_spike", Alert, 30)),
            ended(found("slow_steps", Note, 40)),
            found("repeated_data", Note, 10),
            found("plateau", Note, 20),
            found("divergence", Alert, 50),
        ];
        found.sort_by_key(RunFinding::place_in_list);
        assert_eq!(found.map(|found| found.finding.step), [50, 10, 20, 40, 30]);
    }

    #[test]
    fn the_health_line_names_the_gravest_finding() {
        use Level::{Alert, Note};
        let ended = |finding: RunFinding| RunFinding { ended_step: Some(finding.finding.step + 1), ..finding };
        let check = |found: &[RunFinding], line: Option<&str>| assert_eq!(Health::line(found).as_deref(), line);
        check(&[], None);
        check(&[RunFinding { is_dismissed: true, ..found("loss_spike", Alert, 7) }], None);
        check(&[ended(found("slow_steps", Note, 7))], Some("slow_steps at step 7"));
        check(
            &[found("plateau", Note, 9), ended(found("slow_steps", Note, 7))],
            Some("plateau since step 9, 1 more finding"),
        );
        let mut all = vec![found("attention_logits", Note, 5), found("attention_logits", Note, 5)];
        all.extend([
            found("loss_spike", Alert, 6),
            found("divergence", Alert, 8),
            ended(found("divergence", Alert, 2)),
        ]);
        check(&all, Some("divergence since step 8, 2 more alerts, 2 other findings"));
    }
}
