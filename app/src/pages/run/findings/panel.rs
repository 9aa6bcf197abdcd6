//! The list of findings below the health line, those that need no more attention folded.

use std::time::Duration;

use figure::number;
use leptos::prelude::*;
use wire::diagnosis::{Diagnosis, RunFinding};

use super::acts::announce;
use super::card::FindingCard;
use super::settings::RuleSettings;
use super::state::FindingsState;
use crate::base::at;
use crate::components::interval::while_growing;
use crate::components::{Failure, Skeleton, clicks, says, shows};

/// Interval at which the step that the rules have read is fetched again while they find nothing: without findings there is no news.
const EVERY: Duration = Duration::from_secs(5);

/// The findings, while the health line is open.
#[component]
pub(in crate::pages::run) fn FindingsPanel() -> impl IntoView {
    let state = FindingsState::start();
    announce(state);
    provide_context(state);
    let is_open = state.context.findings.is_open;
    // Listed again only when findings come or go; a card follows its own.
    let listed = Memo::new(move |_| ids(state, RunFinding::counts));
    let folded = Memo::new(move |_| ids(state, |found| !found.counts() && found.became.is_none()));
    let is_set = RwSignal::new(false);
    // 0: loading, 1: failed, 2: known.
    let stage = Memo::new(move |_| match (&*state.diagnosis.read(), &*state.failure.read()) {
        (Some(_), _) => 2,
        (None, Some(_)) => 1,
        (None, None) => 0,
    });
    // A note that became an alert is shown as that alert.
    let card = state.context.findings.card;
    Effect::new(move || {
        if let Some(alert) = card.get().and_then(|id| state.finding(id)?.found.became) {
            card.set(Some(alert));
        }
    });
    let content = move || match stage.get() {
        0 => view! { <Skeleton rows=1 /> }.into_any(),
        1 => state
            .failure
            .get()
            .map(|failure| {
                view! { <Failure what="The findings could not be fetched" failure retry=move |()| state.fetch() /> }
            })
            .into_any(),
        _ => view! {
            {shows(move || listed.read().is_empty().then(|| view! { <NoFindings state /> }))}
            <Cards ids=listed />
            {shows(move || (!folded.read().is_empty()).then(|| view! { <Folded ids=folded card /> }))}
            <div class="row">
                <button
                    title="Mute rules, change their thresholds, and choose which of them may act on this run"
                    disabled=move || state.rules.read().is_empty()
                    on:click=clicks(move |_| is_set.set(true))
                >
                    "Rules of this run"
                </button>
                <a href=at("/rules") title="Meaning, formula and source of every rule">"About the rules"</a>
            </div>
            {shows(move || is_set.get().then(|| view! { <RuleSettings state is_open=is_set /> }))}
        }
        .into_any(),
    };
    let shown = StoredValue::new(content);
    shows(move || {
        is_open
            .get()
            .then(|| view! { <div class="finding-panel">{shows(move || shown.with_value(|shown| shown()))}</div> })
    })
}

/// The findings that need no more attention, unfolded when one of them is opened by its marker or by an address.
#[component]
fn Folded(ids: Memo<Vec<u64>>, card: RwSignal<Option<u64>>) -> impl IntoView {
    let details = NodeRef::<leptos::html::Details>::new();
    Effect::new(move || {
        let is_inside = card.get().is_some_and(|id| ids.read().contains(&id));
        if let Some(details) = details.get().filter(|_| is_inside) {
            let _ = details.set_attribute("open", "");
        }
    });
    view! {
        <details node_ref=details>
            <summary title="Dismissed findings, and findings on abandoned branches">
                {says(move || format!("{} dismissed or abandoned", ids.read().len()))}
            </summary>
            <Cards ids />
        </details>
    }
}

/// Cards in the order of their ids.
#[component]
fn Cards(ids: Memo<Vec<u64>>) -> impl IntoView {
    view! {
        <ol class="finding-list">
            <For each=move || ids.get() key=|id| *id let(id)>
                <FindingCard id />
            </For>
        </ol>
    }
}

/// The findings of one list, open ones first.
fn ids(state: FindingsState, is_wanted: impl Fn(&RunFinding) -> bool) -> Vec<u64> {
    let diagnosis = state.diagnosis.read();
    let found = diagnosis.iter().flat_map(|known| &known.findings).map(|view| &view.found);
    let mut found: Vec<&RunFinding> = found.filter(|found| is_wanted(found)).collect();
    found.sort_by_key(|found| found.place_in_list());
    found.into_iter().map(|found| found.id).collect()
}

/// In place of findings: how far the rules have read the run.
#[component]
fn NoFindings(state: FindingsState) -> impl IntoView {
    let is_growing = Memo::new(move |_| state.context.state.get().is_live());
    while_growing(EVERY, is_growing.into(), move || state.fetch());
    view! { <p class="none">{says(move || none(state))}</p> }
}

/// What stands in place of findings.
fn none(state: FindingsState) -> String {
    let diagnosis = state.diagnosis.read();
    let Some(Diagnosis { health, settings, checked_step, .. }) = &*diagnosis else { return String::new() };
    let Some(step) = checked_step else {
        return "The rules check a run from its first step on.".into();
    };
    let muted = match settings.muted.len() {
        0 => String::new(),
        1 => " 1 rule is muted.".to_owned(),
        muted => format!(" {muted} rules are muted."),
    };
    let rules = match health.checks {
        1 => "1 rule has".to_owned(),
        checks => format!("{checks} rules have"),
    };
    format!("No findings: {rules} checked the run up to step {}.{muted}", number::whole(*step))
}
