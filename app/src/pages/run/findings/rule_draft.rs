//! The settings of one rule while they are edited.

use leptos::prelude::*;
use wire::diagnosis::{Act, DiagnosisSettings, RuleInfo};
use wire::hyperparameters::table::Values;

use crate::components::TypedNumber;
use crate::components::number::counted;

/// Steps and batches of a rollback that are entered at first (PaLM, section 5.1).
const ROLLBACK: (u64, u64) = (100, 200);
/// Limits of the server.
const STEPS: Values = Values::Integer { min: 1, max: 1_000_000 };
const BATCHES: Values = Values::Integer { min: 0, max: 1_000_000 };

/// The entries of the list from which the action of a rule is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    Report,
    Pause,
    RollBack,
    Stop,
}

impl Choice {
    /// Each with its word in the form and its text.
    pub(super) const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Report, "report", "only reports"),
        (Self::Pause, "pause", "pauses the run"),
        (Self::RollBack, "roll_back", "rolls back and skips batches"),
        (Self::Stop, "stop", "stops the run"),
    ];

    pub(super) fn of(act: Option<Act>) -> Self {
        match act {
            None => Self::Report,
            Some(Act::Pause) => Self::Pause,
            Some(Act::RollBackAndSkip { .. }) => Self::RollBack,
            Some(Act::Stop) => Self::Stop,
        }
    }

    pub(super) fn read(word: &str) -> Self {
        Self::ALL.iter().find(|(_, known, _)| *known == word).map_or(Self::Report, |(choice, ..)| *choice)
    }

    pub(super) fn word(self) -> &'static str {
        Self::ALL.iter().find(|(choice, ..)| *choice == self).map_or("report", |(_, word, _)| word)
    }
}

/// What a rule does, after "may" or "to": `pause the run`.
pub(super) fn act_phrase(act: Act) -> String {
    match act {
        Act::Pause => "pause the run".into(),
        Act::Stop => "stop the run".into(),
        Act::RollBackAndSkip { steps, batches } => {
            let (steps, batches) = (counted(steps, "step"), counted(batches, "batch"));
            format!(
                "roll back to before the change that may have caused the finding, or else at least {steps} before it, and skip {batches}"
            )
        }
    }
}

/// The fields of a rule.
#[derive(Clone)]
pub(super) struct RuleDraft {
    pub(super) rule: RuleInfo,
    pub(super) is_muted: RwSignal<bool>,
    /// In the order of the rule; an empty field is the default.
    pub(super) thresholds: Vec<TypedNumber>,
    pub(super) choice: RwSignal<Choice>,
    pub(super) steps: TypedNumber,
    pub(super) batches: TypedNumber,
}

impl RuleDraft {
    pub(super) fn new(rule: RuleInfo, settings: &DiagnosisSettings) -> Self {
        let act = settings.acts.get(&rule.id).copied();
        let (steps, batches) = match act {
            Some(Act::RollBackAndSkip { steps, batches }) => (steps, batches),
            _ => ROLLBACK,
        };
        let thresholds = rule.thresholds.iter().map(|threshold| {
            let field = TypedNumber::optional(Values::Number { min: threshold.min, max: threshold.max });
            if let Some(value) = settings.thresholds.get(&key(&rule.id, &threshold.key)) {
                field.set(value);
            }
            field
        });
        Self {
            is_muted: RwSignal::new(settings.muted.contains(&rule.id)),
            thresholds: thresholds.collect(),
            choice: RwSignal::new(Choice::of(act)),
            steps: TypedNumber::new(STEPS, steps),
            batches: TypedNumber::new(BATCHES, batches),
            rule,
        }
    }

    /// Whether a rollback is offered: it is a remedy of the rule, or set already.
    pub(super) fn can_roll_back(&self) -> bool {
        self.rule.can_roll_back || self.choice.get_untracked() == Choice::RollBack
    }

    /// Enters the defaults.
    pub(super) fn reset(&self) {
        self.is_muted.set(false);
        self.choice.set(Choice::Report);
        self.thresholds.iter().for_each(|field| field.set(""));
        self.steps.set(ROLLBACK.0);
        self.batches.set(ROLLBACK.1);
    }

    /// What differs from the defaults, in words; empty if nothing does.
    pub(super) fn changes(&self) -> String {
        let mut changes: Vec<String> = vec![];
        changes.extend(self.is_muted.get().then(|| "muted".to_owned()));
        let set = self.rule.thresholds.iter().zip(&self.thresholds);
        changes.extend(set.filter_map(|(threshold, field)| Some(format!("{} {}", threshold.key, field.number()?))));
        let choice = self.choice.get();
        let acts = Choice::ALL.iter().find(|(known, ..)| *known == choice && choice != Choice::Report);
        changes.extend(acts.map(|(_, _, text)| (*text).to_owned()));
        changes.join(", ")
    }

    /// Adds what was entered to settings; `None` while a field cannot be read.
    pub(super) fn add_to(&self, settings: &mut DiagnosisSettings) -> Option<()> {
        let id = &self.rule.id;
        if self.is_muted.get() {
            settings.muted.insert(id.clone());
        }
        for (threshold, field) in self.rule.thresholds.iter().zip(&self.thresholds) {
            if !field.is_readable() {
                return None;
            }
            settings.thresholds.extend(field.number().map(|value| (key(id, &threshold.key), value)));
        }
        let act = match self.choice.get() {
            Choice::Report => None,
            Choice::Pause => Some(Act::Pause),
            Choice::RollBack => {
                Some(Act::RollBackAndSkip { steps: self.steps.integer()?, batches: self.batches.integer()? })
            }
            Choice::Stop => Some(Act::Stop),
        };
        settings.acts.extend(act.map(|act| (id.clone(), act)));
        Some(())
    }
}

/// The name of a threshold in settings.
fn key(rule: &str, threshold: &str) -> String {
    format!("{rule}.{threshold}")
}

#[cfg(test)]
mod tests {
    use wire::diagnosis::{Level, ThresholdInfo};

    use super::*;

    fn rule() -> RuleInfo {
        let threshold = ThresholdInfo {
            key: "alert_z".into(),
            meaning: "robust standard deviations".into(),
            default: 8.0,
            min: 2.0,
            max: 1000.0,
        };
        RuleInfo {
            id: "loss_spike".into(),
            label: "Loss spike".into(),
            meaning: String::new(),
            reason: String::new(),
            formula: String::new(),
            source: String::new(),
            signals: vec![],
            thresholds: vec![threshold],
            unit: String::new(),
            min_steps: 200,
            level: Level::Alert,
            levels: String::new(),
            remedies: vec![],
            can_roll_back: true,
            always: None,
            calibration: None,
        }
    }

    #[test]
    fn each_choice_is_read_by_its_word() {
        for (choice, word, _) in Choice::ALL {
            assert_eq!((Choice::read(word), choice.word()), (choice, word));
        }
    }

    #[test]
    fn settings_are_read_back_and_reset() {
        let owner = Owner::new();
        owner.with(|| {
            let mut set = DiagnosisSettings::default();
            set.muted.insert("loss_spike".into());
            set.thresholds.insert("loss_spike.alert_z".into(), 9.5);
            set.acts.insert("loss_spike".into(), Act::RollBackAndSkip { steps: 50, batches: 0 });
            let draft = RuleDraft::new(rule(), &set);
            let mut read = DiagnosisSettings::default();
            assert_eq!(draft.add_to(&mut read), Some(()));
            assert_eq!(read, set);
            assert_eq!(draft.changes(), "muted, alert_z 9.5, rolls back and skips batches");
            draft.thresholds[0].set("1");
            assert_eq!(draft.add_to(&mut DiagnosisSettings::default()), None, "below its smallest value");
            draft.reset();
            let mut read = DiagnosisSettings::default();
            assert_eq!((draft.add_to(&mut read), read), (Some(()), DiagnosisSettings::default()));
        });
    }
}
