//! The sampler with its numbers of trials, and the metric.

use leptos::prelude::*;
use wire::series::name;
use wire::sweep::sampler::SamplerKind;
use wire::sweep::spec::Direction;

use super::draft::Draft;
use super::{FieldError, Typed};
use crate::components::{says, shows};

#[component]
pub(super) fn SamplerFields() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let choose = move |word: String| {
        let kind = SamplerKind::ALL.into_iter().find(|kind| kind.word() == word);
        draft.sampler.set(kind.unwrap_or_default());
    };
    let all = says(move || match draft.sampler.get() {
        SamplerKind::Grid => "all of the grid".to_owned(),
        _ => "a number, such as 40".to_owned(),
    });
    view! {
        <section class="stack part" aria-label="Sampler">
            <h2>"Sampler"</h2>
            <div class="fields">
                <label class="field" title="How the points of trials are chosen">
                    <span class="label">"Sampler"</span>
                    <select on:change:target=move |event| choose(event.target().value())>
                        {SamplerKind::ALL.map(|kind| view! {
                            <option value=kind.word() selected=move || draft.sampler.get() == kind>{kind.label()}</option>
                        }).collect_view()}
                    </select>
                    <span class="small dim">{says(move || meaning(draft.sampler.get()).to_owned())}</span>
                </label>
                <Typed label="Trials" meaning="Trials to train; of a grid, all if the field is empty" number=draft.trials field="trials" placeholder=all />
                <Typed
                    label="Seeds per point"
                    meaning="Each point is trained with this many seeds, and its result is their mean"
                    number=draft.seeds_per_point
                    field="seeds_per_point"
                    placeholder="1"
                />
                <Typed
                    label="Trials at once"
                    meaning="Trials that train or wait at a time. At most one of them waits in the queue."
                    number=draft.at_once
                    field="at_once"
                    placeholder="1"
                />
                <Typed label="Seed of the sampler" meaning="The same seed draws the same points" number=draft.sampler_seed field="seed" placeholder="1" />
            </div>
        </section>
    }
}

/// The method of a sampler in a phrase.
fn meaning(kind: SamplerKind) -> &'static str {
    match kind {
        SamplerKind::Grid => "All combinations of the values.",
        SamplerKind::Random => "Independent uniform draws.",
        SamplerKind::QuasiRandom => "As random, and spread more evenly.",
        SamplerKind::Tpe => "Draws near the best trials, away from the others.",
        SamplerKind::Dirichlet => {
            "Draws weights of datasets that sum to 1, uniformly; other parameters as in random search."
        }
        SamplerKind::CmaEs => "A normal distribution that moves towards the best trials, for numbers.",
    }
}

#[component]
pub(super) fn MetricFields() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let choose = move |word: String| {
        draft.direction.set(if word == "higher" { Direction::Higher } else { Direction::Lower });
    };
    view! {
        <section class="stack part" aria-label="Metric">
            <h2>"Metric"</h2>
            <div class="fields">
                <label class="field" title="The series by which trials are compared; the value of a trial is its last one">
                    <span class="label">"Series"</span>
                    <input
                        type="text"
                        class="mono"
                        list="sweep-metrics"
                        autocomplete="off"
                        prop:value=draft.metric
                        on:input:target=move |event| draft.metric.set(event.target().value())
                    />
                    <datalist id="sweep-metrics">
                        {[name::VALID, name::TRAIN, name::TOKENS_PER_SEC].map(|name| view! { <option value=name></option> }).collect_view()}
                    </datalist>
                    <FieldError field="metric" />
                </label>
                <label class="field" title="Whether lower or higher values are better">
                    <span class="label">"Better"</span>
                    <select on:change:target=move |event| choose(event.target().value())>
                        <option value="lower" selected=move || draft.direction.get() == Direction::Lower>"lower values"</option>
                        <option value="higher" selected=move || draft.direction.get() == Direction::Higher>"higher values"</option>
                    </select>
                </label>
            </div>
            {shows(move || draft.metric.read().starts_with("eval/").then(|| view! {
                <p class="small dim">"The checkpoints of each trial are scored on the task of the metric."</p>
            }))}
        </section>
    }
}
