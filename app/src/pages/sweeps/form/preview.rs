//! What the sweep would train: trials, tokens, hours and the first points, from the server; and the button that starts it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::sweep::preview::{PreviewPoint, SweepPreview};
use wire::sweep::spec::SweepSpec;

use super::draft::{Draft, Previewed};
use super::fault::Fault;
use crate::components::number::{counted, duration, grouped, short};
use crate::components::{Failure, Number, Skeleton, clicks, hint_sentence, says, sentence, shows};
use crate::net::api::{ApiFailure, sweeps};
use crate::pages::sweeps::words::{parameter_label, parameter_value};
use crate::route::{Router, sweep_path};

#[component]
pub(super) fn PreviewColumn() -> impl IntoView {
    let draft = expect_context::<Draft>();
    // The last preview stays, greyed out, until the next answer.
    let last = Memo::new(move |before: Option<&Option<(SweepSpec, SweepPreview)>>| match &*draft.previewed.read() {
        Some(Previewed { spec, answer: Ok(preview) }) => Some((spec.clone(), preview.clone())),
        _ => before.cloned().flatten(),
    });
    let has_failed = move || matches!(&*draft.previewed.read(), Some(Previewed { answer: Err(_), .. }));
    let is_stale = move || !draft.is_previewed() || has_failed();
    let fault = Memo::new(move |_| draft.spec.read().as_ref().err().cloned());
    let refusal = Memo::new(move |_| match &*draft.previewed.read() {
        Some(Previewed { answer: Err(failure), .. }) if fault.read().is_none() => Some(failure.clone()),
        _ => None,
    });
    view! {
        <div class="sheet padded stack">
            <h2>"What the sweep trains"</h2>
            <div class="stack" class:stale=is_stale aria-live="polite">
                {shows(move || match last.get() {
                    None if has_failed() || fault.read().is_some() => ().into_any(),
                    None => view! { <Skeleton rows=5 class="short" /> }.into_any(),
                    Some((spec, preview)) => view! { <Figures spec preview /> }.into_any(),
                })}
            </div>
            {shows(move || fault.get().map(|fault| view! { <p class="field-error" role="alert">{fault_text(&fault)}</p> }))}
            {shows(move || refusal.get().map(|failure| {
                let what = failure.body.field.as_ref().map_or_else(
                    || "The sweep cannot start".to_owned(),
                    |field| format!("The sweep cannot start: {field}"),
                );
                view! { <Failure what failure /> }
            }))}
            <StartButton />
        </div>
    }
}

fn fault_text(Fault { field, message }: &Fault) -> String {
    format!("{field}: {message}")
}

#[component]
fn Figures(spec: SweepSpec, preview: SweepPreview) -> impl IntoView {
    let SweepPreview { trials, configurations, tokens, training_secs, points } = preview;
    let seeds = trials.checked_div(configurations).unwrap_or(1);
    let tokens = tokens.map_or_else(|| "unknown".to_owned(), short);
    let hours = training_secs.map_or_else(|| "unknown".to_owned(), duration);
    view! {
        <dl class="figures">
            <div>
                <dt>"Trials"</dt>
                <dd>
                    <Number
                        text=grouped(trials)
                        meaning=format!("{} × {}", counted(configurations, "point"), counted(seeds, "seed"))
                    />
                </dd>
            </div>
            <div><dt>"Points"</dt><dd><Number text=grouped(configurations) meaning="Trials divided by the seeds of each point" /></dd></div>
            <div>
                <dt>"Training tokens"</dt>
                <dd><Number text=tokens meaning="Of all trials, without early stopping: the mean of the first points times the trials" /></dd>
            </div>
            <div>
                <dt>"Training time on one device"</dt>
                <dd>
                    <Number
                        text=hours
                        meaning="Of all trials, without early stopping, at the measured speed of the device. On several devices, more trials \
                            at once take less time."
                    />
                </dd>
            </div>
        </dl>
        <h3>"First points"</h3>
        <ol class="first-points">
            {points.into_iter().map(|point| view! { <FirstPoint point /> }).collect_view()}
        </ol>
        {spec.sampler.is_adaptive().then(|| view! {
            <p class="small dim">"Later points depend on the results of earlier ones."</p>
        })}
    }
}

#[component]
fn FirstPoint(point: PreviewPoint) -> impl IntoView {
    let values = point.point.values.iter().map(|(name, value)| {
        view! { <span>{parameter_label(name)}" "<b class="mono">{parameter_value(value)}</b></span> }
    });
    let error = point.error.map(|error| {
        let hint = error.hint.as_deref().and_then(hint_sentence).unwrap_or_default();
        view! { <span class="field-error">{format!("{} {hint}", sentence(&error.message))}</span> }
    });
    view! {
        <li class="small">
            {values.collect_view()}
            {point.secs.map(|secs| view! { <span class="dim">{duration(secs)}</span> })}
            {error}
        </li>
    }
}

#[component]
fn StartButton() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let router = expect_context::<Router>();
    let (failure, is_busy) = (RwSignal::new(None::<ApiFailure>), RwSignal::new(false));
    // A refusal belongs to the specification that was sent.
    Effect::new(move || {
        draft.spec.with(|_| ());
        failure.set(None);
    });
    let is_ready =
        move || draft.is_previewed() && matches!(&*draft.previewed.read(), Some(Previewed { answer: Ok(_), .. }));
    let start = move |_| {
        let Ok(spec) = draft.spec.get_untracked() else { return };
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match sweeps::start(&spec).await {
                Ok(sweep) => router.go(&sweep_path(sweep.id)),
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_busy.try_set(false);
        });
    };
    let effect = says(move || match &*draft.previewed.read() {
        Some(Previewed { spec, answer: Ok(preview) }) if is_ready() => {
            format!("Creates {}, {} at a time, as runs of the queue.", counted(preview.trials, "trial"), spec.at_once)
        }
        _ => String::new(),
    });
    view! {
        {shows(move || failure.get().map(|failure| view! { <Failure what="The sweep was not started" failure /> }))}
        <button
            class="primary large"
            title="Create the sweep and open its page"
            disabled=move || is_busy.get() || !is_ready()
            on:click=clicks(start)
        >
            {move || if is_busy.get() { "Starting …" } else { "Start sweep" }}
        </button>
        <p class="small dim" role="status">{effect}</p>
    }
}
