//! A stopping rule over the trials that have ended: what it would have saved and lost at each of its thresholds. One answer has all settings
//! ([`settings`]), so the sliders send no request. [`curves`]: the trials with the part that would not have been trained; [`tradeoff`]:
//! compute saved against winners lost; [`stopped`]: the trials that the setting stops.

mod curves;
mod settings;
mod stopped;
mod tradeoff;

use leptos::prelude::*;
use leptos::task::spawn_local;
use research::stopping::settings::{ReplayReport, ReplayedSetting, RuleKind, WINNERS};
use wire::sweep::spec::Metric;
use wire::sweep::stopping::StoppingRule;

use super::rule::{can_change_rule, set_rule};
use super::state::OpenSweep;
use crate::components::number::{THIN, counted, grouped};
use crate::components::{CopyButton, Failure, Skeleton, clicks, says, shows, switches};
use crate::net::api::{ApiFailure, fits};
use crate::pages::sweeps::words::{metric_unit, rule_meaning, value_text};
use curves::ReplayCurves;
use settings::{Sliders, Thresholds};
use stopped::StoppedTrials;
use tradeoff::Tradeoff;

/// What is replayed: the rule, and the number of trials that have ended.
type Wanted = (RuleKind, u64);

#[component]
pub(super) fn ReplayPanel() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let (rule, last) = (RwSignal::new(None::<RuleKind>), StoredValue::new(None));
    let ended = Memo::new(move |_| open.trials.read().iter().filter(|trial| trial.state.is_over()).count() as u64);
    let wanted = Memo::new(move |_| Some((rule.get()?, ended.get())));
    let found = RwSignal::new(None::<(Wanted, Result<ReplayReport, ApiFailure>)>);
    let fetch = move || {
        let Some(wanted_now) = wanted.try_get_untracked().flatten() else { return };
        spawn_local(async move {
            let answer = fits::replay(wanted_now.0, &format!("sweep:{}", open.id())).await;
            // The answer to an older request is ignored.
            if wanted.try_get_untracked().flatten() == Some(wanted_now) {
                found.try_set(Some((wanted_now, answer)));
            }
        });
    };
    Effect::new(move || {
        if wanted.get().is_some() {
            fetch();
        }
    });
    let rules = RuleKind::ALL.map(|of| (Some(of), of.label(), rule_meaning(Some(of))));
    view! {
        <section class="sheet padded stack replay" aria-label="Replay">
            <div class="row">
                <h2 title="A simulation: the trials begin in the order of their numbers, as many at a time as in the sweep, and at each value the rule sees what was known then">
                    "Replay of a stopping rule"
                </h2>
                {switches("Rule", &rules, rule)}
            </div>
            {shows(move || match (rule.get(), &*found.read()) {
                (None, _) => view! {
                    <p class="dim">"Choose a rule to see which of the trials that have ended it would have stopped, at each of its thresholds."</p>
                }.into_any(),
                (Some(rule), Some((of, answer))) if of.0 == rule => match answer {
                    Ok(report) => view! { <Replayed report=report.clone() last /> }.into_any(),
                    Err(failure) => view! {
                        <Failure what="The rule could not be replayed" failure=failure.clone() retry=move |()| fetch() />
                    }.into_any(),
                },
                _ => view! { <Skeleton rows=5 /> }.into_any(),
            })}
        </section>
    }
}

#[component]
fn Replayed(
    report: ReplayReport,
    /// The setting that was chosen last: it stays when another trial has ended.
    last: StoredValue<Option<StoppingRule>>,
) -> impl IntoView {
    if let Some(refused) = report.refused.clone() {
        return view! { <p class="refusal" role="status"><strong>"No replay. "</strong>{refused.sentence}</p> }
            .into_any();
    }
    let open = expect_context::<OpenSweep>();
    let own = open.sweep.with_untracked(|sweep| sweep.as_ref().and_then(|sweep| sweep.spec.stopping));
    let start = [last.get_value(), own].into_iter().flatten().find(|rule| RuleKind::of(rule) == report.rule);
    let thresholds = Thresholds::new(&report.settings, start);
    let report = StoredValue::new(report);
    let chosen = Memo::new(move |_| thresholds.chosen());
    let setting = Memo::new(move |_| report.with_value(|report| report.settings.get(chosen.get()).cloned()));
    Effect::new(move || {
        if let Some(setting) = &*setting.read() {
            last.set_value(Some(setting.rule));
        }
    });
    let metric = open.metric();
    let said = says(move || {
        let runs = report.with_value(|report| report.runs.len());
        setting.read().as_ref().map(|setting| sentence(setting, runs, &metric)).unwrap_or_default()
    });
    let json = move || {
        let rule = setting.read_untracked().as_ref().map(|setting| serde_json::to_string(&setting.rule));
        rule.and_then(Result::ok).unwrap_or_default()
    };
    let takes_rule = Memo::new(move |_| {
        let sweep = open.sweep.read();
        open.can_steer() && can_change_rule(sweep.as_ref().map(|sweep| sweep.state))
    });
    let use_rule = move |_| {
        if let Some(rule) = setting.read_untracked().as_ref().map(|setting| setting.rule) {
            set_rule(open, Some(rule));
        }
    };
    let conditions = report.with_value(|report| {
        let at_once = counted(report.parallel as u64, "trial");
        let (trials, steps) = (counted(report.runs.len() as u64, "trial"), counted(report.steps, "step"));
        format!(
            "{trials} that have ended, {steps} in all, replayed with {at_once} at a time. Trials that were stopped count with the steps \
             that they trained."
        )
    });
    view! {
        <Sliders thresholds />
        <p role="status" class="verdict">{said}</p>
        <div class="replay-charts">
            <ReplayCurves report setting />
            <Tradeoff report thresholds chosen />
        </div>
        <div class="row small dim">
            <span>{conditions}</span>
            <CopyButton
                text=json
                title="Copy the rule with these thresholds as JSON, the value of `stopping` in the specification of a sweep"
                done="The rule was copied"
            />
            {shows(move || takes_rule.get().then(|| view! {
                <button
                    title="Set this rule with these thresholds for the sweep. It applies to values that are reported from now on."
                    disabled=open.is_sending
                    on:click=clicks(use_rule)
                >
                    "Use in this sweep"
                </button>
            }))}
        </div>
        <StoppedTrials report setting />
    }
    .into_any()
}

/// `Percentile 25 saves 43 % of the steps and stops 12 of 20 trials. ...`
fn sentence(setting: &ReplayedSetting, runs: usize, metric: &Metric) -> String {
    let label = setting.label.replacen("median", "The median rule", 1).replacen("percentile", "Percentile", 1);
    let stops = format!("{} of {}", grouped(setting.stops.len() as u64), counted(runs as u64, "trial"));
    let saved = format!("{label} saves {:.0}{THIN}% of the steps and stops {stops}.", 100.0 * setting.saved);
    let winners = match (setting.winners_lost, setting.regret) {
        (0, _) => format!("It keeps the best {WINNERS}."),
        (lost, Some(regret)) if regret == 0.0 => {
            format!("It keeps the best trial and stops {lost} of the best {WINNERS}.")
        }
        (lost, regret) => {
            let worse = regret.map(|regret| format!("{} {}", value_text(metric, regret), metric_unit(metric)));
            let worse = worse.map(|worse| format!("; the best trial that is left is worse by {}", worse.trim_end()));
            format!("It stops {lost} of the best {WINNERS}{}.", worse.unwrap_or_default())
        }
    };
    format!("{saved} {winners}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_sentence() {
        let setting = |saved: f64, regret: Option<f64>, winners_lost: usize| ReplayedSetting {
            rule: StoppingRule::median(),
            label: StoppingRule::median().label(),
            saved,
            regret,
            winners_lost,
            stops: vec![],
        };
        let said = |of: ReplayedSetting| sentence(&of, 20, &Metric::default()).replace(THIN, " ");
        assert_eq!(
            said(setting(0.43, Some(0.0), 0)),
            "The median rule saves 43 % of the steps and stops 0 of 20 trials. It keeps the best 3."
        );
        assert!(said(setting(0.5, Some(0.0), 1)).ends_with("It keeps the best trial and stops 1 of the best 3."));
        assert!(
            said(setting(0.5, Some(0.03), 2))
                .ends_with("It stops 2 of the best 3; the best trial that is left is worse by 0.030 nats/token.")
        );
    }
}
