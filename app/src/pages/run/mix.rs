//! The dataset mix: a weight for each dataset, with its epochs and validation loss so far.

use figure::number;
use leptos::prelude::*;
use wire::Command;
use wire::control::command::ScheduleChange;
use wire::hyperparameters::mix::MixPoint;
use wire::series::name;

use super::RunContext;
use super::fields::{ControlRunField, OTHER_BATCHES, ReasonField, StartAt, StartChoice, StartField, reason_of};
use crate::components::rebalanced;

/// Epochs beyond which repeated data adds less (Muennighoff et al. 2023).
const MAX_USEFUL_EPOCHS: f64 = 4.0;

/// Weights at the current step, in the order of the plan.
pub(super) fn current(context: RunContext) -> Vec<f64> {
    context.hyperparameters.read().mix.at(context.summary.read().step)
}

/// `60 % : 40 %`
fn percentages(weights: &[f64]) -> String {
    weights.iter().map(|weight| format!("{:.0} %", weight * 100.0)).collect::<Vec<_>>().join(" : ")
}

#[component]
pub(super) fn MixForm() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let datasets = context.run.with_untracked(|run| run.view.plan.corpora());
    let weights = RwSignal::new(untrack(|| current(context)));
    let start = StartChoice::new(context);
    let (reason, control_run) = (RwSignal::new(String::new()), RwSignal::new(false));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Ok(from) = untrack(|| start.read()) else { return };
        let point = |step, weights| MixPoint { step, weights };
        let (here, wanted) = (untrack(|| current(context)), weights.get_untracked());
        let points = match from {
            StartAt::Now => vec![point(context.next_step(), wanted)],
            StartAt::Linear(step) => vec![point(step, wanted)],
            // Constant up to the step before it, then at once.
            StartAt::Step(step) => {
                let before = (step > context.next_step()).then(|| point(step - 1, here));
                before.into_iter().chain([point(step, wanted)]).collect()
            }
        };
        context.drawer.set(None);
        let schedule = ScheduleChange::Mix { points };
        let command = Command::SetSchedule { schedule, reason: reason_of(reason) };
        context.change(command, control_run.get_untracked());
    };
    view! {
        <form on:submit=submit>
            <ul class="mix">
                {datasets.into_iter().enumerate().map(|(place, dataset)| view! {
                    <MixSlider place dataset=dataset.to_string() weights />
                }).collect_view()}
            </ul>
            <StartField start has_linear=true />
            <ReasonField reason />
            <ControlRunField wanted=control_run meaning=OTHER_BATCHES />
            <p class="effect">{move || match start.read() {
                Ok(from) => format!("{} {}.", percentages(&weights.read()), from.words(context)),
                Err(problem) => problem,
            }}</p>
            <div class="row end">
                <button class="primary" type="submit" disabled=move || start.read().is_err()>
                    "Change mix"
                </button>
            </div>
        </form>
    }
}

#[component]
fn MixSlider(place: usize, dataset: String, weights: RwSignal<Vec<f64>>) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let percent = move || weights.read().get(place).copied().unwrap_or(0.0) * 100.0;
    let newest = |prefix: &'static str| {
        let series = format!("{prefix}{dataset}");
        Memo::new(move |_| {
            context.version.get();
            context.run.read_untracked().curves.shown(&series).last().map(|last| last.mean)
        })
    };
    let (epochs, valid) = (newest(name::EPOCHS), newest(name::VALID_OF));
    let known = move || {
        let read = epochs.get().map(|epochs| match number::short(epochs) {
            one if one == "1" => "1 epoch".to_owned(),
            several => format!("{several} epochs"),
        });
        let loss = valid.get().map(|loss| format!("val loss {} nats/token", number::fixed(loss, 3)));
        [read, loss].into_iter().flatten().collect::<Vec<_>>().join(" · ")
    };
    let is_repeated = move || epochs.get().is_some_and(|epochs| epochs > MAX_USEFUL_EPOCHS);
    let set = move |typed: &str| {
        if let Ok(percent) = typed.parse::<f64>() {
            weights.update(|weights| *weights = rebalanced(weights, place, percent / 100.0));
        }
    };
    view! {
        <li>
            <label title="Weight of the dataset: the percentage of the sequences that is drawn from it">
                <span class="row">
                    <strong>{dataset.clone()}</strong>
                    <span class="grow"></span>
                    <output class="mono">{move || format!("{:.0} %", percent())}</output>
                </span>
                <input type="range" min="0" max="100" step="1" prop:value=move || percent().to_string()
                    on:input:target=move |event| set(&event.target().value()) />
            </label>
            <p class="small dim">{known}</p>
            {move || is_repeated().then(|| view! {
                <p class="small over">"Beyond 4 epochs, repeated data adds less (Muennighoff et al. 2023)."</p>
            })}
        </li>
    }
}
