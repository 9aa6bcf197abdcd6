//! The sliders of the thresholds: each position is a setting of the answer.

use figure::number::short;
use leptos::prelude::*;
use research::stopping::settings::{ReplayedSetting, RuleKind};
use wire::sweep::stopping::StoppingRule;

use crate::components::{says, shows};

/// The thresholds that are varied, each with its values in increasing order.
#[derive(Clone, Copy)]
pub(super) struct Thresholds {
    rule: StoredValue<Option<StoppingRule>>,
    first: Threshold,
    /// `None` for a rule with one threshold.
    second: Option<Threshold>,
    /// The values of each setting, in the order of the settings.
    settings: StoredValue<Vec<(f64, Option<f64>)>>,
}

/// A threshold and the place of the chosen value in its list.
#[derive(Clone, Copy)]
struct Threshold {
    values: StoredValue<Vec<f64>>,
    place: RwSignal<usize>,
}

impl Threshold {
    fn new(mut values: Vec<f64>, chosen: Option<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        values.dedup();
        let at = chosen.and_then(|chosen| values.iter().position(|value| *value == chosen));
        let place = at.unwrap_or(values.len() / 2);
        Self { values: StoredValue::new(values), place: RwSignal::new(place) }
    }

    fn value(self) -> Option<f64> {
        self.values.with_value(|values| values.get(self.place.get()).copied())
    }

    fn set(self, value: f64) {
        if let Some(at) = self.values.with_value(|values| values.iter().position(|known| *known == value)) {
            self.place.set(at);
        }
    }
}

impl Thresholds {
    /// The thresholds of the settings; at first those of the rule of the sweep, or its defaults.
    pub(super) fn new(settings: &[ReplayedSetting], own: Option<StoppingRule>) -> Self {
        let values: Vec<(f64, Option<f64>)> = settings.iter().map(|setting| of(&setting.rule)).collect();
        let rule = settings.first().map(|setting| setting.rule);
        let kind = rule.as_ref().map(RuleKind::of);
        let same = own.filter(|own| kind == Some(RuleKind::of(own)));
        let start = same.or_else(|| kind.map(RuleKind::rule)).map(|rule| of(&rule));
        let seconds: Vec<f64> = values.iter().filter_map(|(_, second)| *second).collect();
        let second = (!seconds.is_empty()).then(|| Threshold::new(seconds, start.and_then(|(_, second)| second)));
        Self {
            rule: StoredValue::new(rule),
            first: Threshold::new(values.iter().map(|(first, _)| *first).collect(), start.map(|(first, _)| first)),
            second,
            settings: StoredValue::new(values),
        }
    }

    /// The place of the chosen setting.
    pub(super) fn chosen(self) -> usize {
        let wanted = (self.first.value().unwrap_or_default(), self.second.and_then(Threshold::value));
        self.settings.with_value(|settings| settings.iter().position(|known| *known == wanted).unwrap_or_default())
    }

    /// Chooses the setting at a place.
    pub(super) fn choose(self, place: usize) {
        let Some((first, second)) = self.settings.with_value(|settings| settings.get(place).copied()) else { return };
        self.first.set(first);
        if let (Some(threshold), Some(value)) = (self.second, second) {
            threshold.set(value);
        }
    }
}

/// The thresholds that a replay varies.
fn of(rule: &StoppingRule) -> (f64, Option<f64>) {
    match *rule {
        StoppingRule::Median { percentile, .. } => (percentile, None),
        StoppingRule::Asha { eta, min_fraction } => (f64::from(eta), Some(min_fraction)),
        StoppingRule::Hyperband { eta, brackets } => (f64::from(brackets), Some(f64::from(eta))),
    }
}

/// Label and meaning of the thresholds of a rule.
const fn labels(rule: &StoppingRule) -> [(&'static str, &'static str); 2] {
    const ETA: &str = "Each rung has eta times the steps of the one below, and keeps the best 1 / eta";
    match rule {
        StoppingRule::Median { .. } => [
            (
                "Percentile",
                "Of the best values of the other trials; 50 is the median. A smaller one stops more trials.",
            ),
            ("", ""),
        ],
        StoppingRule::Asha { .. } => {
            [("eta", ETA), ("First rung, fraction of the steps", "The first step at which ASHA decides")]
        }
        StoppingRule::Hyperband { .. } => {
            [("Brackets", "Number of ASHA. The more there are, the earlier the first rung of the first."), ("eta", ETA)]
        }
    }
}

#[component]
pub(super) fn Sliders(thresholds: Thresholds) -> impl IntoView {
    let labels = thresholds.rule.with_value(|rule| rule.as_ref().map(labels)).unwrap_or_default();
    let [(first, first_meaning), (second, second_meaning)] = labels;
    view! {
        <div class="fields">
            <Slider label=first meaning=first_meaning threshold=thresholds.first />
            {thresholds.second.map(|threshold| view! { <Slider label=second meaning=second_meaning threshold /> })}
        </div>
    }
}

#[component]
fn Slider(label: &'static str, meaning: &'static str, threshold: Threshold) -> impl IntoView {
    let last = threshold.values.with_value(Vec::len).saturating_sub(1);
    let text = move || threshold.value().map(short).unwrap_or_default();
    let slide = move |place: String| {
        if let Ok(place) = place.parse::<usize>() {
            threshold.place.set(place.min(last));
        }
    };
    view! {
        <label class="field" title=meaning>
            <span class="label">{label}": "<span class="mono">{shows(text)}</span></span>
            <input
                type="range"
                aria-label=label
                min="0"
                max=last.to_string()
                step="1"
                prop:value=says(move || threshold.place.get().to_string())
                aria-valuetext=says(text)
                on:input:target=move |event| slide(event.target().value())
            />
        </label>
    }
}

#[cfg(test)]
mod tests {
    use research::stopping::settings::settings;

    use super::*;

    fn all(rule: &StoppingRule) -> Vec<ReplayedSetting> {
        let setting = |rule: StoppingRule| ReplayedSetting {
            label: rule.label(),
            rule,
            saved: 0.0,
            regret: None,
            winners_lost: 0,
            stops: vec![],
        };
        settings(rule).into_iter().map(setting).collect()
    }

    #[test]
    fn the_sliders_begin_at_the_rule_of_the_sweep_and_reach_each_setting() {
        Owner::new().with(each_setting_is_reached);
    }

    fn each_setting_is_reached() {
        for kind in RuleKind::ALL {
            let rule = kind.rule();
            let settings = all(&rule);
            let thresholds = Thresholds::new(&settings, None);
            assert_eq!(settings[thresholds.chosen()].rule, rule, "the defaults");
            for place in 0..settings.len() {
                thresholds.choose(place);
                assert_eq!(thresholds.chosen(), place, "{kind:?}");
            }
        }
        let own = StoppingRule::Asha { eta: 3, min_fraction: 0.05 };
        let settings = all(&own);
        assert_eq!(settings[Thresholds::new(&settings, Some(own)).chosen()].rule, own);
        let of_other_kind = Thresholds::new(&settings, Some(StoppingRule::median()));
        assert_eq!(settings[of_other_kind.chosen()].rule, StoppingRule::asha());
    }
}
