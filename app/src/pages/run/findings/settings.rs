//! The dialog with the settings of the rules of a run: muted rules, thresholds, and which rules may act.

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunState;
use wire::diagnosis::{DiagnosisSettings, Level, RuleInfo};

use super::rule_draft::{Choice, RuleDraft};
use super::state::FindingsState;
use crate::base::at;
use crate::components::{Failure, Icon, NumberField, ToastList, Toasts, clicks, says, shows};
use crate::net::api::{ApiFailure, diagnosis};

/// The modal dialog. Nothing changes until it is saved.
#[component]
pub(super) fn RuleSettings(state: FindingsState, is_open: RwSignal<bool>) -> impl IntoView {
    let context = state.context;
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move || {
        if let Some(dialog) = dialog.get().filter(|dialog| !dialog.open()) {
            // Fails only for a dialog that is already open or not in the document.
            let _ = dialog.show_modal();
        }
    });
    // Also called by an answer, before which the dialog may have been closed.
    let close = move || {
        if let Some(dialog) = dialog.try_get_untracked().flatten() {
            dialog.close();
        }
    };
    let drafts = StoredValue::new(drafts(state));
    let toasts = expect_context::<Toasts>();
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_busy = RwSignal::new(false);
    let entered = move || drafts.with_value(|drafts| entered(drafts));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(settings) = untrack(entered) else { return };
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match diagnosis::set_rules(&context.id(), &settings).await {
                Ok(_) => {
                    toasts.say(match context.state.try_get_untracked() {
                        Some(RunState::Finished) => {
                            "The rules of this run were changed; the run has finished, so this has no effect"
                        }
                        _ => "The rules of this run were changed",
                    });
                    state.fetch();
                    close();
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_busy.try_set(false);
        });
    };
    let may_not = context.no_permission;
    let fields =
        drafts.with_value(|drafts| drafts.iter().cloned().map(|draft| view! { <RuleFields draft /> }).collect_view());
    view! {
        <dialog node_ref=dialog class="rule-settings" aria-labelledby="rule-settings-title" on:close=move |_| is_open.set(false)>
            <div class="row nowrap">
                <h2 id="rule-settings-title" class="grow">"Rules of this run"</h2>
                <button class="quiet icon-only" aria-label="Close" title="Close without changes (Esc)" on:click=clicks(move |_| close())>
                    <Icon name="close" />
                </button>
            </div>
            // The other list of messages is behind the dialog.
            <ToastList />
            <p>
                "A muted rule reports nothing. A rule that may act acts once for each finding, and the journal records the event. A rollback can be \
                 undone; a run that was paused or stopped can be resumed. "
                {says(move || validity(context.state.get()).to_owned())}
            </p>
            <form on:submit=submit>
                <ul class="rule-fields">{fields}</ul>
                {shows(move || failure.get().map(|failure| view! { <Failure what="The rules were not changed" failure /> }))}
                {shows(move || may_not.get().map(|reason| view! { <p class="small dim">{reason}</p> }))}
                <div class="row end">
                    <button
                        type="button"
                        title="Enter the defaults of all rules: no rule is muted, and none acts"
                        on:click=clicks(move |_| drafts.with_value(|drafts| drafts.iter().for_each(RuleDraft::reset)))
                    >
                        "Reset all"
                    </button>
                    <button
                        class="primary"
                        type="submit"
                        title=says(move || format!("Save these settings. {}", validity(context.state.get())))
                        disabled=move || is_busy.get() || may_not.read().is_some() || entered().is_none()
                    >
                        "Save"
                    </button>
                </div>
            </form>
        </dialog>
    }
}

/// When new settings take effect.
fn validity(state: RunState) -> &'static str {
    match state {
        RunState::Finished => "The run has finished: changes have no effect.",
        state if state.is_over() => "Changes take effect from the next step on, if the run is resumed.",
        _ => "Changes take effect from the next step on.",
    }
}

/// The fields of all rules, with the present settings.
fn drafts(state: FindingsState) -> Vec<RuleDraft> {
    let diagnosis = state.diagnosis.read_untracked();
    let settings = diagnosis.as_ref().map(|known| known.settings.clone()).unwrap_or_default();
    state.rules.get_untracked().into_iter().map(|rule| RuleDraft::new(rule, &settings)).collect()
}

/// The settings that were entered; `None` while a field cannot be read.
fn entered(drafts: &[RuleDraft]) -> Option<DiagnosisSettings> {
    let mut settings = DiagnosisSettings::default();
    drafts.iter().try_for_each(|draft| draft.add_to(&mut settings))?;
    Some(settings)
}

/// The settings of one rule, folded.
#[component]
fn RuleFields(draft: RuleDraft) -> impl IntoView {
    let rule = draft.rule.clone();
    let (is_muted, choice) = (draft.is_muted, draft.choice);
    let (steps, batches) = (draft.steps, draft.batches);
    let kept = StoredValue::new(draft);
    let changes = says(move || kept.with_value(RuleDraft::changes));
    let thresholds = rule.thresholds.iter().zip(kept.with_value(|draft| draft.thresholds.clone()));
    let thresholds = thresholds.map(|(threshold, number)| {
        let limits = format!(
            "{}, from {} to {}. Default: {}",
            threshold.meaning, threshold.min, threshold.max, threshold.default
        );
        let default = threshold.default.to_string();
        view! {
            <label title=limits>
                {threshold.key.replace('_', " ")}<span class="unit">", "{threshold.meaning.clone()}</span>
                <NumberField number placeholder=default />
            </label>
        }
    });
    let thresholds = thresholds.collect_view();
    // Training itself pauses at what such a rule reports.
    let mute_meaning = match rule.always {
        Some(_) => "The rule reports nothing. The run still pauses.",
        None => "The rule reports nothing and does not act. It still checks the run.",
    };
    let action = action_field(&rule, choice, kept.with_value(RuleDraft::can_roll_back));
    let rollback = move || {
        (choice.get() == Choice::RollBack).then(|| {
            view! {
                <div class="pair">
                    <label title="The run returns to the newest checkpoint before the change that may have caused the finding; if there is none, to the newest one that is at least this many steps before the finding.">
                        "Back"<span class="unit">", steps"</span>
                        <NumberField number=steps />
                    </label>
                    <label title="Batches that are skipped after the checkpoint.">
                        "Skip"<span class="unit">", batches"</span>
                        <NumberField number=batches />
                    </label>
                </div>
            }
        })
    };
    view! {
        <li>
            <details>
                <summary title=rule.meaning.clone()>
                    <strong>{rule.label}</strong>" "<span class="small dim">{changes}</span>
                </summary>
                <p class="small">{rule.meaning}" "<a href=at(&format!("/rules#{}", rule.id)) title="Formula and source of this rule">"About this rule"</a></p>
                <label class="check" title=mute_meaning>
                    <input
                        type="checkbox"
                        prop:checked=is_muted
                        on:change:target=move |event| is_muted.set(event.target().checked())
                    />
                    "Mute"
                </label>
                <div class="pair">{thresholds}</div>
                {action}
                {shows(rollback)}
                <button
                    type="button"
                    title="Enter the defaults of this rule"
                    on:click=clicks(move |_| kept.with_value(RuleDraft::reset))
                >
                    "Reset"
                </button>
            </details>
        </li>
    }
}

/// What the rule may do; for one that always acts, what it does.
fn action_field(rule: &RuleInfo, choice: RwSignal<Choice>, can_roll_back: bool) -> AnyView {
    if rule.always.is_some() {
        let text = "The run always pauses at a non-finite value, even while this rule is muted: further training would destroy the weights.";
        return view! { <p class="small">{text}</p> }.into_any();
    }
    let offered = Choice::ALL.into_iter().filter(|(of, ..)| can_roll_back || *of != Choice::RollBack);
    let options = offered.map(|(of, word, text)| {
        view! { <option value=word selected=move || choice.get() == of>{text}</option> }
    });
    let (label, meaning) = match rule.level {
        Level::Alert => (
            "At an alert, the rule",
            "What the rule does at an alert; at a note it only reports. Default: it only reports.",
        ),
        Level::Note => {
            ("At a note, the rule", "What the rule does at a note: it has no alerts. Default: it only reports.")
        }
    };
    view! {
        <label title=meaning>
            {label}
            <select
                prop:value=move || choice.get().word()
                on:change:target=move |event| choice.set(Choice::read(&event.target().value()))
            >
                {options.collect_view()}
            </select>
        </label>
    }
    .into_any()
}
