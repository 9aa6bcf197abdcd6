//! The sequences of a step's batch, highest loss first, and the parameters with the largest gradient.

use figure::number;
use leptos::prelude::*;
use wire::hyperparameters::table::Values;
use wire::inspect::request::{Inspection, TensorValues};
use wire::inspect::result::{BatchSequence, InspectionResult};

use super::location::Location;
use super::single::{SingleInspection, answered};
use super::state::XrayState;
use super::token_text::still_token;
use super::tokens::{nats, nats_per_token, visible};
use crate::components::{Empty, NumberField, Progress, TypedNumber, clicks, shows};
use crate::net::api::inspections::At;

/// Sequences shown at first, and how many times more on request.
const SEQUENCES: usize = 8;
const MORE: usize = 4;
/// Parameters listed.
const PARAMETERS: usize = 12;
/// The loss of the full colour, relative to the loss of the uniform distribution.
const FULL_COLOUR: f32 = 1.5;

/// The view. The losses are those under the newest weights, whatever step is shown; those of an abandoned branch under the weights of its
/// newest checkpoint before the batch.
pub(super) fn view(xray: XrayState) -> AnyView {
    let at = Memo::new(move |_| match *xray.location.read() {
        Location::Batch { step: Some(step), segment } => Some((step, segment)),
        _ => None,
    });
    let step = Memo::new(move |_| at.get().map(|(step, _)| step));
    let batch = SingleInspection::new(xray);
    let request = move || match at.get() {
        Some((step, segment)) => {
            let at = segment.map(|segment| At { step, segment: Some(segment) });
            batch.request_at(Inspection::Batch { step }, at);
        }
        None => batch.clear(),
    };
    Effect::new(request);
    // Without a step the newest batch is shown. A page that is being left has no step either.
    Effect::new(move || {
        if matches!(*xray.location.read(), Location::Batch { step: None, .. })
            && let Some(newest) = xray.summary.with_untracked(|summary| summary.step.checked_sub(1))
        {
            xray.go(&Location::Batch { step: Some(newest), segment: None });
        }
    });
    let title = move || match at.get() {
        None => "Batch".to_owned(),
        Some((step, None)) => format!("Batch of step {}", number::whole(step)),
        Some((step, Some(_))) => format!("Batch of step {} on an abandoned branch", number::whole(step)),
    };
    let answer = move || {
        let ready = move |step, result| content(xray, step, result);
        answered(batch.answer.get(), "The batch could not be computed", move || untrack(request), idle, ready)
    };
    view! {
        <h2>{shows(title)}</h2>
        <StepForm xray step />
        {shows(answer)}
    }
    .into_any()
}

fn idle() -> AnyView {
    view! {
        <Empty
            title="Choose a step"
            text="Enter a step, or follow the batch link of a journal entry or of a point on the loss curve of the \
                  run. A loss spike is often caused by the text of its batch."
        />
    }
    .into_any()
}

#[component]
fn StepForm(xray: XrayState, step: Memo<Option<u64>>) -> impl IntoView {
    let typed = TypedNumber::new(Values::Integer { min: 0, max: u64::MAX }, "");
    Effect::new(move || match step.get() {
        step if step == untrack(|| typed.integer()) => {}
        step => typed.set(step.map(|step| step.to_string()).unwrap_or_default()),
    });
    let go = move |step: u64| xray.go(&Location::Batch { step: Some(step), segment: None });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if let Some(step) = untrack(|| typed.integer()) {
            go(step);
        }
    };
    let newest = move |_| go(xray.summary.with_untracked(|summary| summary.step.saturating_sub(1)));
    view! {
        <form class="row" on:submit=submit>
            <label class="row" title="Number of the training step, past or future, from 0">
                "Batch of step"
                <NumberField number=typed />
            </label>
            <button
                class="primary"
                type="submit"
                title="Compute the loss of each token of this batch under the newest weights"
                disabled=move || !typed.is_readable()
            >
                "Show batch"
            </button>
            <button type="button" title="Show the batch of the last step (default)" on:click=newest>"Newest batch"</button>
        </form>
    }
}

fn content(xray: XrayState, step: u64, result: InspectionResult) -> AnyView {
    let InspectionResult::Batch { rows: sequences, total, gradients } = result else {
        return ().into_any();
    };
    let limit = RwSignal::new(SEQUENCES);
    let count = sequences.len();
    let sequences = StoredValue::new(sequences);
    let most = xray.ln_vocab as f32 * FULL_COLOUR;
    let shown = move || {
        sequences.with_value(|all| all.iter().take(limit.get()).map(|each| sequence(each, most)).collect_view())
    };
    let more = move || {
        let show_more = move |_| limit.update(|limit| *limit *= MORE);
        (count > limit.get()).then(|| {
            view! {
                <button class="quiet" title="Show the sequences with lower losses" on:click=clicks(show_more)>
                    "Show more sequences"
                </button>
            }
        })
    };
    let (total, weights) = (number::whole(u64::from(total)), number::whole(step));
    let in_view = move || {
        let shown = count.min(limit.get());
        format!("{shown} of {total} sequences, highest loss first; losses under the weights of step {weights}")
    };
    view! {
        <p class="provenance small dim" title="Mean cross-entropy of each sequence, in nats/token">{shows(in_view)}</p>
        <div class="batch">
            <ol class="contexts">{shows(shown)}</ol>
            {gradient_list(xray, gradients)}
        </div>
        {shows(more)}
    }
    .into_any()
}

/// A sequence, coloured by loss.
fn sequence(sequence: &BatchSequence, most: f32) -> impl IntoView + use<> {
    let words = sequence.tokens.iter().zip(&sequence.losses).map(|(word, loss)| {
        let title = format!("“{}”: loss {}", visible(word), nats(*loss));
        still_token(word, loss / most, false, title)
    });
    view! {
        <li>
            <span class="small dim mono" title="Mean loss, dataset, and index in the batch, from 0">
                {format!("{} · {} · sequence {}", nats_per_token(sequence.mean), sequence.corpus, sequence.row)}
            </span>
            <p class="token-text">{words.collect_view()}</p>
        </li>
    }
}

/// The parameters with the largest gradient norm for this batch.
fn gradient_list(xray: XrayState, gradients: Vec<(String, f32)>) -> AnyView {
    let most = gradients.first().map_or(1.0, |(_, norm)| norm.max(1e-12));
    let item = |(tensor, norm): (String, f32)| {
        let to = Location::Matrix { tensor: tensor.clone(), values: TensorValues::Gradient };
        let label = format!("Gradient norm of {tensor}");
        view! {
            <li>
                <a class="mono small" title="Show this parameter" href=xray.path(&to)>{tensor}</a>
                <span class="mono small right">{number::short(f64::from(norm))}</span>
                <Progress share=Signal::stored(Some(f64::from(norm / most))) label />
            </li>
        }
    };
    view! {
        <section class="stack gradients" aria-label="Largest gradients">
            <h3 title="L2 norm of the gradient of this batch in each parameter, √(Σ g²), before clipping">
                "Largest gradient norms"<span class="unit">", L2, before clipping"</span>
            </h3>
            <ol>{gradients.into_iter().take(PARAMETERS).map(item).collect_view()}</ol>
        </section>
    }
    .into_any()
}
