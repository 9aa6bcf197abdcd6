//! The journal of the sweep: what was decided about it and its trials, newest first, with the numbers that led to it.

use leptos::prelude::*;
use wire::sweep::record::{DecisionKind, SweepDecision};

use super::state::OpenSweep;
use crate::components::number::{clock, counted, grouped};
use crate::components::{clicks, isolated, says, shows};
use crate::pages::sweeps::words::value_text;

/// Decisions that are shown at first.
const SHOWN: usize = 50;

#[component]
pub(super) fn DecisionsPanel() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let (shows_all, shows_continued) = (RwSignal::new(false), RwSignal::new(false));
    let continued = Memo::new(move |_| open.decisions.read().iter().filter(|one| is_continued(one)).count());
    let listed = Memo::new(move |_| {
        let decisions = open.decisions.read();
        let shown = decisions.iter().rev().filter(|one| shows_continued.get() || !is_continued(one));
        shown.cloned().collect::<Vec<_>>()
    });
    let hidden = Memo::new(move |_| if shows_all.get() { 0 } else { listed.read().len().saturating_sub(SHOWN) });
    let shown = move || {
        let listed = listed.read();
        listed[..listed.len().saturating_sub(hidden.get())].to_vec()
    };
    view! {
        <section class="sheet padded stack" aria-label="Decisions">
            <div class="row">
                <h2>"Decisions"</h2>
                <span class="grow"></span>
                {shows(move || (continued.get() > 0).then(|| view! {
                    <button
                        class="switch"
                        aria-pressed=move || shows_continued.get().to_string()
                        title="Also list the trials that the stopping rule let go on"
                        on:click=clicks(move |_| shows_continued.update(|is_on| *is_on = !*is_on))
                    >
                        "Also trials that went on"
                    </button>
                }))}
            </div>
            {shows(move || listed.read().is_empty().then(|| view! {
                <p class="dim">"No trial was stopped early, and no command was sent."</p>
            }))}
            <ol class="decisions" tabindex="0" aria-label="Decisions, newest first">
                <For each=shown key=|decision| decision.number let(decision)>
                    <Decision decision />
                </For>
            </ol>
            {shows(move || (hidden.get() > 0).then(|| view! {
                <button title="List all decisions" on:click=clicks(move |_| shows_all.set(true))>
                    {says(move || format!("Show {} more", counted(hidden.get() as u64, "decision")))}
                </button>
            }))}
        </section>
    }
}

/// Whether the stopping rule let a trial go on: most decisions of ASHA do.
fn is_continued(decision: &SweepDecision) -> bool {
    decision.kind == DecisionKind::Continued
}

#[component]
fn Decision(decision: SweepDecision) -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let metric = untrack(|| open.metric());
    let number = |label: &str, value: Option<f64>| value.map(|value| format!("{label} {}", value_text(&metric, value)));
    let facts: Vec<String> = [
        decision.trial.map(|trial| format!("trial {}", grouped(trial))),
        decision.step.map(|step| format!("step {}", grouped(step))),
        number("value", decision.value),
        number("threshold", decision.threshold),
    ]
    .into_iter()
    .flatten()
    .collect();
    let origin = format!("{} · {}", clock(decision.at_ms as f64), isolated(&decision.by));
    view! {
        <li>
            <p>{isolated(&decision.sentence)}</p>
            <p class="small dim">{origin}</p>
            {(!facts.is_empty()).then(|| view! { <p class="small mono">{facts.join(" · ")}</p> })}
        </li>
    }
}
