//! The text of a step's batch, row by row, most surprising first, and the parameters that its gradient moves most.

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::frame::Frame;
use wire::look::{Look, Of};
use wire::sight::{BatchRow, Sight};

use super::Inside;
use crate::api::{ApiFailure, inside};
use crate::parts::{Empty, Failure, Progress, Skeleton, clicks, shows};
use crate::xray::clock::When;
use crate::xray::place::Place;
use crate::xray::tokens::{nats, visible};

/// Rows shown before someone asks for more, and parameters.
const ROWS: usize = 8;
const PARAMETERS: usize = 12;

/// How it stands with the batch.
#[derive(Clone)]
enum Answer {
    Nothing,
    Waiting,
    Seen { weights: u64, sight: Sight },
    Unseen(String),
    Failed(ApiFailure),
}

/// The view.
pub(super) fn view(inside: Inside, _: Signal<When>) -> AnyView {
    let step = Memo::new(move |_| match *inside.place.read() {
        Place::Batch { step } => step,
        _ => None,
    });
    let answer = RwSignal::new(Answer::Nothing);
    let ask = move |step: u64| {
        answer.set(Answer::Waiting);
        spawn_local(async move {
            let found = match inside::look(&inside.run.get_value(), &Look::Batch { step }, None).await {
                Ok(Frame::Seen { step, sight, .. }) => Answer::Seen { weights: step, sight },
                Ok(Frame::Unseen { message, .. }) => Answer::Unseen(message),
                Ok(Frame::Tensors { .. }) => Answer::Nothing,
                Err(failure) => Answer::Failed(failure),
            };
            answer.try_set(found);
        });
    };
    Effect::new(move || {
        if let Some(step) = step.get() {
            ask(step);
        }
    });
    view! {
        <Choose inside step />
        {shows(move || match answer.get() {
            Answer::Nothing => view! { <Empty title="Which step's batch?" text="Type a step, or follow “its batch” from a line of the journal on the Run page: a spike in the loss often lies in the text." /> }.into_any(),
            Answer::Waiting => view! { <Skeleton rows=4 class="tall" /> }.into_any(),
            Answer::Unseen(message) => view! { <div class="note" role="status">{message}</div> }.into_any(),
            Answer::Failed(failure) => view! { <Failure what="The batch could not be read" failure retry=move |()| if let Some(step) = step.get_untracked() { ask(step) } /> }.into_any(),
            Answer::Seen { weights, sight } => seen(inside, weights, sight),
        })}
    }
    .into_any()
}

#[component]
fn Choose(inside: Inside, step: Memo<Option<u64>>) -> impl IntoView {
    let typed = RwSignal::new(String::new());
    Effect::new(move || typed.set(step.get().map(|step| step.to_string()).unwrap_or_default()));
    let wanted = Memo::new(move |_| typed.read().trim().parse::<u64>().ok());
    let go = move |step: u64| inside.go(&Place::Batch { step: Some(step) });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if let Some(step) = wanted.get_untracked() {
            go(step);
        }
    };
    let newest = move |_| go(inside.summary.with_untracked(|summary| summary.step.saturating_sub(1)));
    view! {
        <form class="row" on:submit=submit>
            <label class="row">"Batch of step"<input type="number" min="0" prop:value=typed on:input:target=move |event| typed.set(event.target().value()) /></label>
            <button class="primary" type="submit" disabled=move || wanted.get().is_none()>"Read it"</button>
            <button type="button" on:click=newest>"the newest"</button>
        </form>
    }
}

fn seen(inside: Inside, weights: u64, sight: Sight) -> AnyView {
    let Sight::Batch { rows, of, gradients } = sight else {
        return ().into_any();
    };
    let limit = RwSignal::new(ROWS);
    let count = rows.len();
    let rows = StoredValue::new(rows);
    let most = inside.ln_vocab as f32 * 1.5;
    view! {
        <p class="provenance small dim">{format!("{} of {} rows, most surprising first; losses on the weights of step {}", count, number::whole(u64::from(of)), number::whole(weights))}</p>
        <div class="batch">
            <ol class="contexts">{shows(move || rows.with_value(|rows| rows.iter().take(limit.get()).map(|each| row(each, most)).collect_view()))}</ol>
            {gradient_list(inside, gradients)}
        </div>
        {shows(move || (count > limit.get()).then(|| view! { <button class="quiet" on:click=clicks(move |_| limit.update(|limit| *limit *= 4))>"Less surprising rows"</button> }))}
    }
    .into_any()
}

/// One row: its text painted by loss.
fn row(row: &BatchRow, most: f32) -> impl IntoView + use<> {
    let words = row.tokens.iter().zip(&row.losses).map(|(word, loss)| {
        let heat = if loss.is_finite() { (loss / most).clamp(0.0, 1.0) } else { 0.0 };
        let title = format!("“{}”: {}", visible(word), nats(*loss));
        view! { <span class="t" class:hot={heat > 0.5} title=title style:--heat=format!("{heat:.3}")>{word.replace('\n', "⏎")}</span> }
    });
    view! {
        <li>
            <span class="small dim mono">{format!("{} · {} · row {}", nats(row.mean), row.corpus, row.row)}</span>
            <p class="token-text">{words.collect_view()}</p>
        </li>
    }
}

/// Where the batch's gradient is largest.
fn gradient_list(inside: Inside, gradients: Vec<(String, f32)>) -> AnyView {
    let most = gradients.first().map_or(1.0, |(_, norm)| norm.max(1e-12));
    let rows = gradients.into_iter().take(PARAMETERS).map(|(tensor, norm)| {
        let to = Place::Matrix { tensor: tensor.clone(), of: Of::Gradient };
        let label = format!("Gradient of {tensor}");
        view! {
            <li><a class="mono small" href=inside.path(&to)>{tensor}</a><span class="mono small right">{number::short(f64::from(norm))}</span><Progress share=Signal::stored(Some(f64::from(norm / most))) label /></li>
        }
    });
    view! {
        <section class="stack gradients" aria-label="Largest gradients">
            <h3 title="Norm of this batch's gradient in each parameter, √(Σ g²)">"Moved most by this batch"</h3>
            <ol>{rows.collect_view()}</ol>
        </section>
    }
    .into_any()
}
