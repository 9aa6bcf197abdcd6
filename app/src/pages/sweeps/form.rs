//! The form of a new sweep: base, search space, sampler, metric, stopping rule, and what the sweep would train. The address may name the run
//! whose plan is the base: `/sweeps/new?from=amber-fox-7k2q`.
//!
//! - [`draft`]: what is typed, and the specification that it makes; [`row`]: a parameter of the search space; [`thresholds`]: those of the
//!   stopping rules; [`fault`]: a field that cannot be read;
//! - [`base`], [`parameters`], [`parameter`], [`settings`], [`stopping`]: the sections; [`preview`]: the column beside them.

mod base;
mod draft;
mod fault;
mod parameter;
mod parameters;
mod preview;
mod row;
mod settings;
mod stopping;
mod thresholds;

use leptos::prelude::*;

use crate::components::{Empty, LabeledNumber, TypedNumber, hint_sentence, sentence, shows};
use crate::route::Router;
use crate::session::Session;
use base::BaseFields;
use draft::Draft;
use parameters::SpaceFields;
use preview::PreviewColumn;
use settings::{MetricFields, SamplerFields};
use stopping::StoppingFields;

pub(super) use stopping::RuleFields;
pub(super) use thresholds::Thresholds;

#[component]
pub(in crate::pages) fn NewSweepPage() -> impl IntoView {
    let session = expect_context::<Session>();
    let content = move || match session.can_steer() {
        true => view! { <Form /> }.into_any(),
        false => view! {
            <h1>"New sweep"</h1>
            <Empty
                title="You can view sweeps but not start them"
                text="A sweep starts runs. Ask an admin of the lab for the role steer."
            />
        }
        .into_any(),
    };
    view! { <main class="page new-run new-sweep">{shows(content)}</main> }
}

#[component]
fn Form() -> impl IntoView {
    let draft = Draft::open(expect_context::<Router>().query("from"));
    provide_context(draft);
    view! {
        <div class="stack roomy">
            <h1>"New sweep"</h1>
            <BaseFields />
            <SpaceFields />
            <SamplerFields />
            <MetricFields />
            <StoppingFields />
        </div>
        <aside class="preview" aria-label="What the sweep trains">
            <PreviewColumn />
        </aside>
    }
}

/// What the server says is wrong at a field, and what to do; nothing for a valid field.
#[component]
fn FieldError(
    /// The path in the specification, as errors name it; also paths below it.
    #[prop(into)]
    field: String,
) -> impl IntoView {
    let draft = expect_context::<Draft>();
    shows(move || {
        draft.error_at(&field).map(|(message, hint)| {
            view! {
                <p class="field-error" role="alert">
                    {sentence(&message)}
                    {hint.as_deref().and_then(hint_sentence).map(|hint| view! { <span class="hint">{hint}</span> })}
                </p>
            }
        })
    })
}

/// A number with its label, and what the server says about it.
#[component]
fn Typed(
    label: &'static str,
    meaning: &'static str,
    number: TypedNumber,
    /// The path in the specification, as errors name it.
    #[prop(default = "")]
    field: &'static str,
    /// The value that is used when the field is empty.
    #[prop(optional, into)]
    placeholder: MaybeProp<String>,
) -> impl IntoView {
    view! {
        <LabeledNumber label meaning number placeholder>
            {(!field.is_empty()).then(|| view! { <FieldError field /> })}
        </LabeledNumber>
    }
}
