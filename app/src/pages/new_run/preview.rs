//! The plan of the draft: parameters, tokens, memory, time, learning-rate schedule, notes, and the start button.

use figure::number::with_unit;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::run::plan::{Estimate, PlanView};
use wire::{PlanError, RunPlan};

use super::draft::Draft;
use crate::components::number::{about, bytes, clock, counted, duration, grouped, now_ms, short, small};
use crate::components::{Failure, Icon, Number, Skeleton, hint_sentence, run_name, sentence};
use crate::net::api::{self, ApiFailure};
use crate::net::live::Live;
use crate::route::{Router, run_path};
use crate::session::Session;

/// The column beside the form.
#[component]
pub(super) fn Preview() -> impl IntoView {
    let draft = expect_context::<Draft>();
    // The last valid plan of the preset stays, greyed out, while the draft is invalid.
    let last = Memo::new(move |before: Option<&Option<PlanView>>| match &*draft.outcome.read() {
        Some(Ok(view)) => Some(view.clone()),
        _ => before.cloned().flatten().filter(|view| Some(&view.plan.preset) == draft.spec.read().preset.as_ref()),
    });
    let error = Memo::new(move |_| match &*draft.outcome.read() {
        Some(Err(error)) => Some(error.clone()),
        _ => None,
    });
    let is_stale = move || error.read().is_some() || !draft.is_readable();
    view! {
        <div class="sheet padded stack">
            <h2>"Plan"</h2>
            {move || (is_stale() && last.read().is_some()).then(|| view! {
                <p class="small dim">"The figures are those of the last valid plan."</p>
            })}
            <div class:stale=is_stale>
                {move || match last.get() {
                    None if error.read().is_some() => ().into_any(),
                    None => view! { <Skeleton rows=5 class="short" /> }.into_any(),
                    Some(view) => view! { <Figures view /> }.into_any(),
                }}
            </div>
            {move || error.get().map(|error| match draft.is_waiting_for_device() {
                true => view! {
                    <p class="dim" role="status">
                        "Waiting for a device. The server connects this machine's devices within a few seconds. To add \
                         another machine, run on it: "<code>"kindling join"</code>
                    </p>
                }.into_any(),
                false => view! { <Refusal error /> }.into_any(),
            })}
            <StartButton />
        </div>
    }
}

#[component]
fn Figures(view: PlanView) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let PlanView { plan, estimate, notes } = view;
    let Estimate { parameters, tokens, tokens_per_parameter, flops, memory_bytes, secs } = estimate;
    let memory = draft
        .devices
        .read_untracked()
        .iter()
        .find(|device| device.id == plan.device)
        .map_or(0, |device| device.memory_bytes);
    let of_memory = if memory > 0 { format!(" of {}", bytes(memory)) } else { String::new() };
    let body = plan.recipe.model.body_parameters();
    let (time, when) = match secs.map(|secs| limited(&plan, tokens, secs)) {
        Some((secs, limit)) => (
            format!("{}{limit}", duration(secs)),
            format!(
                "Estimate for an otherwise idle device: ends at {} if it starts now. {} at the measured speed of the \
                 device.",
                clock(now_ms() + secs * 1000.0),
                with_unit(flops, "FLOP")
            ),
        ),
        None => ("unknown".to_owned(), "The speed of this device has not been measured yet.".to_owned()),
    };
    view! {
        <dl class="figures">
            <div>
                <dt>"Parameters"</dt>
                <dd>
                    <Number
                        text=short(parameters as f64)
                        unit=""
                        meaning=format!("{} parameters, {} of them outside the \
                            embeddings.", grouped(parameters), grouped(body))
                    />
                </dd>
            </div>
            <div>
                <dt>"Training tokens"</dt>
                <dd>
                    <Number
                        text=short(tokens as f64)
                        unit=""
                        meaning=format!("{} steps × {} tokens per step = \
                            {}", grouped(plan.steps), grouped(plan.tokens_per_step()), grouped(tokens))
                    />
                </dd>
            </div>
            <div>
                <dt>"Tokens per parameter"</dt>
                <dd>
                    <Number
                        text=short(tokens_per_parameter)
                        meaning="Training tokens / parameters. About 20 is compute-optimal for large models (Hoffmann et al. \
                                 2022); small models are often trained longer."
                    />
                </dd>
            </div>
            <div>
                <dt>"Memory"</dt>
                <dd>
                    <Number
                        text=format!("{}{of_memory}", bytes(memory_bytes))
                        meaning="Upper estimate of weights, gradients, optimizer state, activations and logits, in \
                                 32-bit floats / memory that the device can use."
                    />
                </dd>
            </div>
            <div><dt>"Training time on "{plan.device.to_string()}</dt><dd><Number text=time meaning=when /></dd></div>
        </dl>
        <LearningRateSketch plan=plan />
        {(!notes.is_empty()).then(|| view! {
            <ul class="notes">{notes.into_iter().map(|note| view! { <li>{note}</li> }).collect_view()}</ul>
        })}
    }
}

/// The training time until the first limit of the plan, and the name of that limit.
fn limited(plan: &RunPlan, tokens: u64, secs: f64) -> (f64, &'static str) {
    let budget = &plan.recipe.budget;
    let at_tokens = secs * budget.tokens as f64 / tokens.max(1) as f64;
    let limits = [(at_tokens, " (token limit)"), (budget.secs, " (time limit)")];
    let reached = limits.into_iter().filter(|(limit, _)| *limit > 0.0 && *limit < secs);
    reached.min_by(|one, other| one.0.total_cmp(&other.0)).unwrap_or((secs, ""))
}

/// `1 000 steps`, or `Up to 1 000 steps` if a limit can end the run earlier.
fn planned_steps(plan: &RunPlan) -> String {
    let budget = &plan.recipe.budget;
    let has_limit = budget.tokens > 0 || budget.secs > 0.0 || budget.loss > 0.0;
    format!("{}{}", if has_limit { "Up to " } else { "" }, counted(plan.steps, "step"))
}

/// The learning-rate schedule.
#[component]
fn LearningRateSketch(plan: RunPlan) -> impl IntoView {
    const WIDTH: f64 = 300.0;
    const HEIGHT: f64 = 72.0;
    let schedule = plan.schedule();
    let steps = plan.steps.max(1);
    let peak = (0..=150).map(|at| schedule.learning_rate(at * steps / 150)).fold(schedule.peak, f64::max);
    // A rate of 0 at every step is drawn at the bottom.
    let top = if peak > 0.0 { peak } else { 1.0 };
    let points: Vec<String> = (0..=150u64)
        .map(|at| {
            let rate = schedule.learning_rate((at * steps / 150).min(steps - 1));
            format!("{:.1},{:.1}", at as f64 / 150.0 * WIDTH, 4.0 + (HEIGHT - 4.0) * (1.0 - rate / top))
        })
        .collect();
    let summary = format!(
        "Learning rate: {} at step 0, peak {}, {} at step {}",
        small(schedule.learning_rate(0)),
        small(peak),
        small(schedule.learning_rate(steps - 1)),
        grouped(steps)
    );
    let title = summary.clone();
    view! {
        <figure class="schedule">
            <figcaption class="small dim">"Learning rate, peak "<span class="number">{small(peak)}</span></figcaption>
            <svg viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" role="img" aria-label=summary>
                <title>{title}</title>
                <line x1="0" x2=WIDTH y1=HEIGHT y2=HEIGHT vector-effect="non-scaling-stroke" />
                <polyline points=points.join(" ") vector-effect="non-scaling-stroke" />
            </svg>
            <div class="row small dim ends">
                <span>"step 0"</span>
                <span class="grow"></span>
                <span>{grouped(steps)}</span>
            </div>
        </figure>
    }
}

/// Why the spec is invalid, and what to change.
#[component]
fn Refusal(error: PlanError) -> impl IntoView {
    view! {
        <div class="failure" role="alert">
            <Icon name="warning" />
            <div>
                <strong>"The run cannot start"</strong>
                <p>{sentence(&error.message)}</p>
                {error.hint.as_deref().and_then(hint_sentence).map(|hint| view! { <p class="hint">{hint}</p> })}
            </div>
        </div>
    }
}

#[component]
fn StartButton() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let live = expect_context::<Live>();
    let session = expect_context::<Session>();
    let router = expect_context::<Router>();
    let is_busy = RwSignal::new(false);
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_ready = move || draft.is_readable() && matches!(&*draft.outcome.read(), Some(Ok(_)));
    let waits_behind = Memo::new(move |_| {
        let outcome = draft.outcome.read();
        let device = &outcome.as_ref()?.as_ref().ok()?.plan.device;
        let lab = live.lab.read();
        let lab = lab.as_ref()?;
        let device = lab.devices.iter().find(|other| other.info.id == *device)?;
        let hidden = device.is_taken.then(|| "a run of another project".to_owned());
        device.run.as_ref().map(|run| run_name(live, run)).or(hidden)
    });
    let effect = move || match &*draft.outcome.read() {
        _ if !draft.is_readable() => format!("The run cannot start. Correct {}.", draft.faulty_labels()),
        Some(Ok(view)) => {
            let steps = planned_steps(&view.plan);
            let time = view.estimate.secs.map(|secs| limited(&view.plan, view.estimate.tokens, secs));
            let time = time.map(|(secs, limit)| format!(", {}{limit}", about(secs))).unwrap_or_default();
            let what = format!("{steps} on {}{time}", view.plan.device);
            if let Some(pool) = draft.pool_without_worker() {
                return format!("{steps}. Queued until a worker joins the pool {pool}.");
            }
            match waits_behind.get() {
                Some(run) => format!("{what}. Queued until {run} releases the device."),
                None => match draft.untokenized().len() {
                    0 => format!("{what}. Starts immediately."),
                    1 => format!("{what}. Starts when the dataset has been tokenized."),
                    _ => format!("{what}. Starts when the datasets have been tokenized."),
                },
            }
        }
        Some(Err(error)) => format!("The run cannot start: {}", sentence(&error.message)),
        None => String::new(),
    };
    // A refusal belongs to the spec that was sent.
    Effect::new(move || {
        draft.spec.track();
        failure.set(None);
    });
    let start = move |_| {
        is_busy.set(true);
        failure.set(None);
        let spec = draft.spec.get_untracked();
        spawn_local(async move {
            match api::create_run(&spec).await {
                Ok(view) => router.go(&run_path(&view.summary.id)),
                Err(refused) => {
                    failure.try_set(Some(refused));
                }
            }
            is_busy.try_set(false);
        });
    };
    view! {
        {move || failure.get().map(|failure| view! { <Failure what="The run was not started" failure /> })}
        {move || if session.can_steer() {
            view! {
                <button
                    class="primary large"
                    title=move || if is_ready() { "Create the run and open its page".to_owned() } else { effect() }
                    disabled={move || is_busy.get() || !is_ready()}
                    on:click=start
                >
                    {move || match (is_busy.get(), waits_behind.get().is_some()) {
                        (true, _) => "Starting …",
                        (false, true) => "Add to queue",
                        (false, false) => "Start training",
                    }}
                </button>
                <p class="small dim">{effect}</p>
            }.into_any()
        } else {
            view! {
                <p class="small dim">"Your role is view. To start a run, you need the role steer or admin."</p>
            }.into_any()
        }}
    }
}
