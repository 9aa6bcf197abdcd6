//! One finding: what was seen and why it matters, the value against its threshold, what shows it, and what can be done.

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunId;
use wire::diagnosis::{Act, FindingView, Judgement, Level, RuleInfo, RunFinding, TakenAction};
use wire::number::brief;

use super::acts::deed;
use super::evidence::EvidenceView;
use super::remedy::Remedies;
use super::state::FindingsState;
use crate::base::at;
use crate::components::{Icon, Toasts, clicks, says, show_nearest, shows};
use crate::net::api::diagnosis;

/// The card of a finding; one is open at a time.
#[component]
pub(super) fn FindingCard(id: u64) -> impl IntoView {
    let state = expect_context::<FindingsState>();
    let shared = state.context.findings;
    let found = Memo::new(move |_| state.finding(id).map(|view| view.found));
    let is_open = Memo::new(move |_| shared.card.get() == Some(id));
    let item = NodeRef::<leptos::html::Li>::new();
    // A press on a marker opens the card, which may be outside of the list's view.
    Effect::new(move || {
        if is_open.get()
            && let Some(item) = item.get()
        {
            request_animation_frame(move || show_nearest(&item));
        }
    });
    let level = move || found.read().as_ref().map_or("note", |found| found.finding.level.word());
    let title = says(move || found.read().as_ref().map(|found| found.label.clone()).unwrap_or_default());
    let about = says(move || found.read().as_ref().map(about).unwrap_or_default());
    let toggle = move |_| shared.card.set(if is_open.get_untracked() { None } else { Some(id) });
    view! {
        <li class="finding" data-level=level node_ref=item>
            <button
                class="quiet finding-head"
                aria-expanded=says(move || is_open.get().to_string())
                title="Show what the rule found, and the remedies"
                on:click=clicks(toggle)
            >
                {shows(move || match level() {
                    "alert" => view! { <Icon name="warning" /> },
                    _ => view! { <Icon name="flag" /> },
                })}
                <span class="grow"><strong>{title}</strong>" "<span class="dim small">{about}</span></span>
            </button>
            {shows(move || is_open.get().then(|| view! { <CardBody id state /> }))}
        </li>
    }
}

/// `step 900 · alert · ended at step 930`
fn about(found: &RunFinding) -> String {
    let mut parts = vec![format!("step {}", number::whole(found.finding.step)), found.finding.level.word().to_owned()];
    parts.extend(found.ended_step.map(|step| format!("ended at step {}", number::whole(step))));
    parts.extend(found.is_abandoned.then(|| "on an abandoned branch".to_owned()));
    parts.extend(found.is_dismissed.then(|| "dismissed".to_owned()));
    parts.extend(found.judgement.map(|judgement| format!("marked as {}", judgement.word())));
    parts.join(" · ")
}

/// The open card. What it says of the run is renewed with the findings; the chart and an open form stay.
#[component]
fn CardBody(id: u64, state: FindingsState) -> impl IntoView {
    let view = Memo::new(move |_| state.finding(id));
    let found = Memo::new(move |_| view.read().as_ref().map(|view| view.found.clone()));
    let rule = Memo::new(move |_| state.rule(&found.read().as_ref()?.finding.rule));
    let remedies = Memo::new(move |_| view.get().map(|FindingView { remedies, .. }| remedies).unwrap_or_default());
    let Some(first) = found.get_untracked() else { return ().into_any() };
    let is_dismissed = Memo::new(move |_| found.read().as_ref().is_some_and(|found| found.is_dismissed));
    let judgement = Memo::new(move |_| found.read().as_ref().and_then(|found| found.judgement));
    let anchor = at(&format!("/rules#{}", first.finding.rule));
    view! {
        <div class="finding-body">
            <p>{says(move || found.read().as_ref().map(|found| found.text.clone()).unwrap_or_default())}</p>
            <p class="dim">{says(move || rule.get().map(|rule| rule.reason).unwrap_or_default())}</p>
            {shows(move || found.get().and_then(|found| found.action).map(|action| action_line(state, &action)))}
            <EvidenceView found=first state rule />
            <dl class="pairs">
                {shows(move || found.get().map(|found| facts(&found, rule.get().as_ref())))}
            </dl>
            <a class="small" href=anchor title="Meaning, formula, source and thresholds of this rule">"About this rule"</a>
            <Remedies id state remedies />
            <div class="row">
                {shows(move || {
                    let judgement = judgement.get();
                    view! { <JudgementButtons id state judgement /> }
                })}
                {shows(move || {
                    let is_dismissed = is_dismissed.get();
                    view! { <DismissButton id state is_dismissed /> }
                })}
            </div>
        </div>
    }
    .into_any()
}

/// What the rule did, if it may act.
fn action_line(state: FindingsState, action: &TakenAction) -> AnyView {
    let act = super::rule_draft::act_phrase(action.act);
    state.context.lines.get();
    let deed = action.event.and_then(|event| deed(state.context.run.read_untracked().events.get(&event)?));
    let text = match (&action.failure, action.event) {
        (Some(failure), _) => format!("The rule was set to {act} but did not: {failure}"),
        (None, Some(_)) if action.was_done_before => {
            format!(
                "The rule was set to {act}, but the run was already paused. The event is in the journal. {}",
                how_to_revert(action.act)
            )
        }
        (None, Some(_)) => {
            let deed = deed.unwrap_or_else(|| format!("sent the command to {act}"));
            format!("The rule {deed}; see the journal. {}", how_to_revert(action.act))
        }
        (None, None) => format!("The rule has sent the command to {act}; the run has not responded yet."),
    };
    view! { <p class="finding-action">{text}</p> }.into_any()
}

/// How a person reverts what a rule did.
fn how_to_revert(act: Act) -> &'static str {
    match act {
        Act::Pause => "Resume continues the run.",
        Act::RollBackAndSkip { .. } => "Undo returns to the state before it.",
        Act::Stop => "Resume continues the run from its newest checkpoint.",
    }
}

/// Value, threshold, window, and how often the rule is wrong.
fn facts(found: &RunFinding, rule: Option<&RuleInfo>) -> AnyView {
    let unit = rule.map(|rule| rule.unit.clone()).filter(|unit| !unit.is_empty());
    let with_unit = |value: f64| match &unit {
        Some(unit) => format!("{} {unit}", brief(value)),
        None => brief(value),
    };
    let finding = &found.finding;
    let value = finding.value.map_or_else(|| "not a finite number".to_owned(), with_unit);
    let window = match finding.first_step == finding.step {
        true => format!("step {}", number::whole(finding.step)),
        false => format!("steps {} to {}", number::whole(finding.first_step), number::whole(finding.step)),
    };
    let mut rows = vec![
        ("Value", value, "The value that the rule computed at this step with its formula"),
        ("Threshold", with_unit(finding.threshold), "The limit that the value crossed; a setting of the rule"),
        ("Window", window, "The steps that the rule looked at"),
    ];
    rows.extend(rule.map(|rule| {
        (
            "False alarms on healthy runs",
            calibration(rule),
            "How often the rule reported a finding on a run without a fault",
        )
    }));
    let rows = rows.into_iter().map(|(label, value, meaning)| {
        view! { <div title=meaning><dt>{label}</dt><dd>{value}</dd></div> }
    });
    rows.collect_view().into_any()
}

/// `2 of 120 runs, with default thresholds`
fn calibration(rule: &RuleInfo) -> String {
    let level = if rule.level == Level::Alert { "an alert" } else { "a note" };
    match rule.calibration {
        Some(measured) => format!("{level} in {} of {} runs", measured.false_alarms, measured.healthy_runs),
        None => "not measured".into(),
    }
}

/// Marks a finding as correct or as wrong; a second press removes the mark.
#[component]
fn JudgementButtons(id: u64, state: FindingsState, judgement: Option<Judgement>) -> impl IntoView {
    let toasts = expect_context::<Toasts>();
    let may_not = state.context.no_permission;
    let button = move |own: Judgement, word: &'static str, meaning: &'static str| {
        let is_on = judgement == Some(own);
        let press = move |_| judge(state, toasts, state.context.id(), id, (!is_on).then_some(own));
        view! {
            <button
                class="tab"
                aria-pressed=is_on.to_string()
                title=says(move || may_not.get().unwrap_or_else(|| meaning.to_owned()))
                disabled=move || may_not.read().is_some()
                on:click=clicks(press)
            >
                {word}
            </button>
        }
    };
    view! {
        <div class="tabs" role="group" aria-label="Judgement of the finding">
            {button(Judgement::Correct, "Correct", "Something was wrong, as the rule says. The calibration of the rule counts it.")}
            {button(Judgement::Wrong, "Wrong", "Nothing was wrong. The calibration of the rule counts it.")}
        </div>
    }
}

/// The page of the run may be closed meanwhile.
fn judge(state: FindingsState, toasts: Toasts, run: RunId, id: u64, judgement: Option<Judgement>) {
    spawn_local(async move {
        match diagnosis::judge(&run, id, judgement).await {
            Ok(found) => state.replace(found),
            Err(failure) => toasts.fail("The finding was not marked", &failure),
        }
    });
}

/// Dismisses a finding, or shows a dismissed one among the others again.
#[component]
fn DismissButton(id: u64, state: FindingsState, is_dismissed: bool) -> impl IntoView {
    let toasts = expect_context::<Toasts>();
    let may_not = state.context.no_permission;
    let press = move |_| match is_dismissed {
        true => restore(state, toasts, state.context.id(), id),
        false => dismiss(state, toasts, state.context.id(), id),
    };
    let (word, meaning) = match is_dismissed {
        true => ("Restore", "Move this finding back to the list and count it again"),
        false => (
            "Dismiss",
            "Mark the finding as handled: it is no longer counted and moves to the collapsed list. This can be undone.",
        ),
    };
    view! {
        <button
            title=says(move || may_not.get().unwrap_or_else(|| meaning.to_owned()))
            disabled=move || may_not.read().is_some()
            on:click=clicks(press)
        >
            {word}
        </button>
    }
}

fn dismiss(state: FindingsState, toasts: Toasts, run: RunId, id: u64) {
    spawn_local(async move {
        match diagnosis::dismiss(&run, id).await {
            Ok(found) => {
                let text = format!("The finding at step {} was dismissed", number::whole(found.finding.step));
                state.replace(found);
                toasts.undoable(text, move || restore(state, toasts, run.clone(), id));
            }
            Err(failure) => toasts.fail("The finding was not dismissed", &failure),
        }
    });
}

/// The page of the run may be closed meanwhile.
fn restore(state: FindingsState, toasts: Toasts, run: RunId, id: u64) {
    spawn_local(async move {
        match diagnosis::restore(&run, id).await {
            Ok(found) => state.replace(found),
            Err(failure) => toasts.fail("The finding was not restored", &failure),
        }
    });
}
