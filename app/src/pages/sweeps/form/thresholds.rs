//! The stopping rule of the form and the thresholds of all rules, as they are typed.

use leptos::prelude::*;
use research::stopping::settings::RuleKind;
use wire::hyperparameters::table::Values;
use wire::sweep::stopping::StoppingRule;

use super::fault::Fault;
use crate::components::TypedNumber;

const PERCENTILE: Values = Values::Number { min: 1.0, max: 99.0 };
const FRACTION: Values = Values::Number { min: 0.0, max: 1.0 };
const TRIALS: Values = Values::Integer { min: 0, max: 1_000 };
const ETA: Values = Values::Integer { min: 2, max: 10 };
const FIRST_RUNG: Values = Values::Number { min: 1e-4, max: 0.5 };
const BRACKETS: Values = Values::Integer { min: 2, max: 8 };

/// The rule and the thresholds of all rules.
#[derive(Clone, Copy)]
pub(in crate::pages::sweeps) struct Thresholds {
    /// `None` for no rule.
    pub(super) rule: RwSignal<Option<RuleKind>>,
    pub(super) percentile: TypedNumber,
    pub(super) min_trials: TypedNumber,
    pub(super) from: TypedNumber,
    pub(super) until: TypedNumber,
    pub(super) protect: TypedNumber,
    pub(super) eta: TypedNumber,
    pub(super) min_fraction: TypedNumber,
    pub(super) hyperband_eta: TypedNumber,
    pub(super) brackets: TypedNumber,
}

impl Thresholds {
    /// No rule; empty fields, which stand for the defaults.
    pub(super) fn new() -> Self {
        Self {
            rule: RwSignal::new(None),
            percentile: TypedNumber::optional(PERCENTILE),
            min_trials: TypedNumber::optional(TRIALS),
            from: TypedNumber::optional(FRACTION),
            until: TypedNumber::optional(FRACTION),
            protect: TypedNumber::optional(TRIALS),
            eta: TypedNumber::optional(ETA),
            min_fraction: TypedNumber::optional(FIRST_RUNG),
            hyperband_eta: TypedNumber::optional(ETA),
            brackets: TypedNumber::optional(BRACKETS),
        }
    }

    /// The fields with the thresholds of a rule.
    pub(in crate::pages::sweeps) fn of(rule: Option<StoppingRule>) -> Self {
        let typed = Self::new();
        typed.rule.set(rule.as_ref().map(RuleKind::of));
        match rule {
            None => {}
            Some(StoppingRule::Median { percentile, min_trials, from, until, protect }) => {
                typed.percentile.set(percentile);
                typed.min_trials.set(min_trials);
                typed.from.set(from);
                typed.until.set(until);
                typed.protect.set(protect);
            }
            Some(StoppingRule::Asha { eta, min_fraction }) => {
                typed.eta.set(eta);
                typed.min_fraction.set(min_fraction);
            }
            Some(StoppingRule::Hyperband { eta, brackets }) => {
                typed.hyperband_eta.set(eta);
                typed.brackets.set(brackets);
            }
        }
        typed
    }

    /// The rule of the specification.
    ///
    /// # Errors
    /// The first threshold that cannot be read.
    pub(in crate::pages::sweeps) fn read(self) -> Result<Option<StoppingRule>, Fault> {
        let Some(kind) = self.rule.get() else { return Ok(None) };
        let mut rule = kind.rule();
        match &mut rule {
            StoppingRule::Median { percentile, min_trials, from, until, protect } => {
                replace(percentile, "percentile", self.percentile)?;
                replace_count(min_trials, "min_trials", self.min_trials)?;
                replace(from, "from", self.from)?;
                replace(until, "until", self.until)?;
                replace_count(protect, "protect", self.protect)?;
            }
            StoppingRule::Asha { eta, min_fraction } => {
                replace_count(eta, "eta", self.eta)?;
                replace(min_fraction, "min_fraction", self.min_fraction)?;
            }
            StoppingRule::Hyperband { eta, brackets } => {
                replace_count(eta, "eta", self.hyperband_eta)?;
                replace_count(brackets, "brackets", self.brackets)?;
            }
        }
        Ok(Some(rule))
    }
}

fn fault(field: &str, number: TypedNumber) -> Fault {
    Fault { field: format!("stopping.{field}"), message: number.problem().unwrap_or_default() }
}

/// Replaces a default by what is typed, if anything is.
fn replace(value: &mut f64, field: &str, typed: TypedNumber) -> Result<(), Fault> {
    match typed.read() {
        Ok(number) => *value = number.map_or(*value, |number| number.as_f64()),
        Err(_) => return Err(fault(field, typed)),
    }
    Ok(())
}

fn replace_count<T: TryFrom<u64> + Copy>(value: &mut T, field: &str, typed: TypedNumber) -> Result<(), Fault> {
    match typed.read() {
        Ok(_) => *value = typed.integer().and_then(|number| number.try_into().ok()).unwrap_or(*value),
        Err(_) => return Err(fault(field, typed)),
    }
    Ok(())
}
