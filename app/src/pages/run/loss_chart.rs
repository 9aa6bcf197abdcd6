//! The loss chart: training and validation loss in nats per token or bits per byte, on any x axis, with reference lines
//! and a marker for every event that affects the run. Also what all charts of the page have in common.

use figure::curve::NAMED_BRANCHES;
use figure::number::{self, whole};
use figure::scene::Role;
use figure::spec::{Marker, Reference};
use figure::{ChartSpec, SMOOTHING, ScaleKind, Style};
use leptos::prelude::*;
use wire::series::{Axis, Bucket, describe, name};
use wire::{Event, EventRecord};

use super::RunContext;
use super::branches::BranchesMenu;
use super::journal::BatchLink;
use super::open_run::OpenRun;
use super::viewport::Viewport;
use crate::components::AxisPick;
use crate::components::chart::{Chart, ChartContent, Line};

/// What all charts of the page have in common: x axis, range and markers.
pub(super) fn shared(context: RunContext, run: &OpenRun) -> ChartContent {
    let range = context.range();
    // Single steps of a paused run would crowd the lane of markers.
    let records = run.markers().filter(|record| !matches!(record.event, Event::Stepping { .. }));
    let events = records.map(|record| (marker(context, run, record), record.number));
    let (markers, marked) = events.chain(context.findings.markers(run)).unzip();
    let spec = ChartSpec {
        axis: run.curves.axis(),
        from: Some(range.from),
        to: Some(range.to),
        markers,
        ..ChartSpec::default()
    };
    ChartContent { spec, lines: vec![], marked, is_incomplete: !run.curves.has_overview() }
}

fn marker(context: RunContext, run: &OpenRun, record: &EventRecord) -> Marker {
    let is_alarm = matches!(record.event, Event::NonFinite { .. } | Event::Failed { .. } | Event::Lost { .. });
    Marker {
        x: run.curves.place_event(record.segment, record.step),
        phrase: context.phrase(record),
        author: record.author.clone(),
        is_alarm,
        is_change: record.event.is_change(),
    }
}

/// The colour of the run's own curves: the accent colour while it is live.
pub(super) fn own_role(run: &OpenRun) -> Role {
    if run.view.summary.state.is_live() { Role::Accent } else { Role::InkSoft }
}

/// A measured series of the run.
pub(super) fn measured(run: &OpenRun, series: &str, label: &str, role: Role) -> Line {
    Line::new(label, describe(series).meaning, role, run.curves.shown(series))
}

/// What is drawn below a measured series: its abandoned branches, and the past of the runs that it was forked from.
pub(super) fn history(context: RunContext, run: &OpenRun, series: &str, label: &str, past: Role) -> Vec<Line> {
    let abandoned = run.curves.abandoned(series);
    // Many branches are named together, in the menu of the chart.
    let is_named = series == name::TRAIN && abandoned.len() <= NAMED_BRANCHES;
    let abandoned = abandoned.into_iter().map(|(left, buckets)| Line {
        // Named once, on the training loss.
        name: if is_named { format!("abandoned branch, left at step {}", whole(left)) } else { String::new() },
        meaning: "Trained before a rollback; not part of the current path of the run.".into(),
        style: Style::Abandoned,
        buckets,
        ..measured(run, series, "", Role::Abandoned)
    });
    let inherited = context.ancestors.get_untracked().last().map(|parent| Line {
        name: format!("{label} of {parent}"),
        meaning: "Values of the parent run before the fork.".into(),
        is_past: true,
        buckets: run.curves.past(series),
        ..measured(run, series, "", past)
    });
    abandoned.chain(inherited.filter(|line| !line.buckets.is_empty())).collect()
}

fn paint(context: RunContext) -> ChartContent {
    let run = context.run.read_untracked();
    let options = context.options.get_untracked();
    let factor = run.bits_per_byte().filter(|_| options.in_bits);
    let content = shared(context, &run);
    let scale = factor.unwrap_or(1.0);
    let is_empty = run.curves.newest_step().is_none();
    let smoothing = options.is_smooth.then(|| smoothed_length(context));
    let newest_loss = |loss: Option<f64>| loss.map(|loss| loss * scale);
    let summary = &run.view.summary;
    let train = Line {
        smoothing,
        newest: newest_loss(summary.loss_train),
        ..measured(&run, name::TRAIN, "train", own_role(&run))
    };
    let valid = Line { newest: newest_loss(summary.loss_valid), ..measured(&run, name::VALID, "val", Role::Run(0)) };
    let valid = Line { measured_at: earlier_evaluation(&run, &valid.buckets), ..valid };
    // Live curves are drawn last, and validation must be on top: only the newest training loss glows, as a curve of its
    // own.
    let newest = Line {
        name: String::new(),
        is_live: run.is_training(),
        buckets: train.buckets.last().copied().into_iter().collect(),
        ..train.clone()
    };
    let mut lines = history(context, &run, name::TRAIN, "train", Role::InkFaint);
    lines.extend(history(context, &run, name::VALID, "val", Role::Run(4)));
    lines.extend([train, valid, newest]);
    for bucket in lines.iter_mut().flat_map(|line| &mut line.buckets).filter(|_| factor.is_some()) {
        (bucket.min, bucket.max, bucket.mean) = (bucket.min * scale, bucket.max * scale, bucket.mean * scale);
    }
    let spec = ChartSpec {
        title: "loss".into(),
        unit: unit(options.in_bits && factor.is_some()).into(),
        y_scale: if options.is_log { ScaleKind::Log } else { ScaleKind::Linear },
        y_fraction: options.clips_spikes.then_some(0.99),
        // Before the first value the axis shows where the loss will begin.
        y_to: is_empty.then_some(run.view.references.ln_vocab * scale * 1.08),
        y_from: is_empty.then_some(0.0).filter(|_| !options.is_log),
        references: references(&run, scale),
        ..content.spec.clone()
    };
    ChartContent { spec, lines, ..content }
}

/// The step of the newest evaluation as the journal counts it, if the run has trained for more than an evaluation interval since, or does
/// not train.
fn earlier_evaluation(run: &OpenRun, evaluations: &[Bucket]) -> Option<u64> {
    let step = evaluations.last()?.last_step + 1;
    let since = run.view.summary.step.saturating_sub(step);
    let usual = if run.is_training() { run.view.hyperparameters.intervals.eval_every } else { 0 };
    (since > usual).then_some(step)
}

/// Length of the running mean on the x axis.
fn smoothed_length(context: RunContext) -> f64 {
    let range = context.range();
    (range.to - range.from) * SMOOTHING
}

/// The tooltip of the switch of the running mean.
fn smooth_meaning(context: RunContext) -> String {
    // Tracked: the range in view follows the run.
    let _ = (context.version.get(), context.viewport.get());
    let length = match context.options.read().axis {
        Axis::Step => format!(", {}", number::with_unit(smoothed_length(context).ceil().max(1.0), "steps")),
        _ => String::new(),
    };
    format!("Draw the centered running mean of the training loss over 2\u{202f}% of the range in view{length}")
}

fn unit(in_bits: bool) -> &'static str {
    if in_bits { "bits/byte" } else { "nats/token" }
}

fn references(run: &OpenRun, scale: f64) -> Vec<Reference> {
    let lines = &run.view.references;
    let line = |label: &str, value: f64, role| Reference { label: label.into(), value: value * scale, role };
    let known = [
        Some(line("uniform", lines.ln_vocab, Role::InkFaint)),
        lines.unigram.map(|value| line("unigram entropy", value, Role::InkFaint)),
        lines.floor.map(|value| line("entropy floor", value, Role::Floor)),
    ];
    known.into_iter().flatten().collect()
}

/// The chart with its switches.
#[component]
pub(super) fn LossChart() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let has_bits = Memo::new(move |_| context.run.read().bits_per_byte().is_some());
    let in_bits = move || context.options.read().in_bits && has_bits.get();
    let batches = context.run.with_untracked(|run| run.view.plan.recipe.intervals.eval_batches);
    let meaning = format!(
        "Cross-entropy, −ln p(next token). train: mean over the batch of the step. val: mean over the same {batches} batches \
         of the validation split each time; its point stands at the last step trained before the evaluation: steps are \
         counted from 0, so the evaluation after 100 steps, at step 100 in the journal, stands at step 99. The last evaluation \
         covers the whole split, or 4 096 windows of a large one, so its value is not comparable with the others."
    );
    let changed = Signal::derive(move || context.track_charts());
    let pressed = move || context.pressed.get().filter(|step| *step < context.summary.read().step);
    view! {
        <Chart
            group=expect_context()
            title="Loss".to_owned()
            unit=Signal::derive(move || unit(in_bits()).to_owned())
            meaning
            class="main"
            has_marker_lane=true
            paint=move || paint(context)
            changed
            over=Box::new(move || view! { <BackToLive /> }.into_any())
        >
            <div class="tools">
                {move || pressed().map(|step| view! { <BatchLink step /> })}
                <BranchesMenu />
                <RangeSwitches />
                <AxisPick
                    axis=Signal::derive(move || context.options.read().axis)
                    choose=move |axis| choose_axis(context, axis)
                />
                <Switch
                    label="bits/byte"
                    title=Signal::derive(move || match has_bits.get() {
                        true => "Show the loss in bits per byte of text, which is comparable between tokenizers: nats/token \
                                 divided by (bytes/token × ln 2)".to_owned(),
                        false => "Available when the dataset is tokenized".to_owned(),
                    })
                    is_on=Signal::derive(in_bits)
                    is_off=Signal::derive(move || !has_bits.get())
                    toggle=move || context.options.update(|options| options.in_bits = !options.in_bits)
                />
                <Switch
                    label="log y"
                    title="Use a logarithmic y axis"
                    is_on=Signal::derive(move || context.options.read().is_log)
                    toggle=move || context.options.update(|options| options.is_log = !options.is_log)
                />
                <Switch
                    label="smooth"
                    title=Signal::derive(move || smooth_meaning(context))
                    is_on=Signal::derive(move || context.options.read().is_smooth)
                    toggle=move || context.options.update(|options| options.is_smooth = !options.is_smooth)
                />
                <Switch
                    label="ignore outliers"
                    title="Fit the y axis to 99\u{202f}% of the values; values beyond it are marked at its edge"
                    is_on=Signal::derive(move || context.options.read().clips_spikes)
                    toggle=move || context.options.update(|options| options.clips_spikes = !options.clips_spikes)
                />
            </div>
        </Chart>
    }
}

fn choose_axis(context: RunContext, axis: Axis) {
    context.crosshair.set(None);
    // A range of steps has no meaning in seconds.
    context.viewport.update(|viewport| {
        if *viewport != Viewport::Plan {
            *viewport = Viewport::Whole;
        }
    });
    context.options.update(|options| options.axis = axis);
}

/// Over the chart, so that no tool moves when it appears: the way back to following the run.
#[component]
fn BackToLive() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let is_detached = Memo::new(move |_| !context.viewport.read().is_following() && context.run.read().is_growing());
    move || {
        is_detached.get().then(|| {
            view! {
                <button
                    class="back-to-live"
                    title="Show all steps and follow the run again"
                    // A press on the chart begins to drag it.
                    on:pointerdown=|event| event.stop_propagation()
                    on:dblclick=|event| event.stop_propagation()
                    on:click=move |_| context.viewport.set(Viewport::Whole)
                >
                    "Back to live"
                </button>
            }
        })
    }
}

/// The range in view: everything, the newest steps, or the whole plan.
#[component]
fn RangeSwitches() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let newest = move || {
        let length = context.run.read_untracked().end() / 10.0;
        context.viewport.set(Viewport::Newest { length: length.max(20.0) });
    };
    let is_newest = move || matches!(*context.viewport.read(), Viewport::Newest { .. });
    view! {
        <div class="range" role="group" aria-label="Range in view">
            <Switch
                label="all"
                title="Show the first step to the newest one and follow the run. Shortcut: 0, or double click."
                is_on=Signal::derive(move || *context.viewport.read() == Viewport::Whole)
                toggle=move || context.viewport.set(Viewport::Whole)
            />
            <Switch
                label="latest 10\u{202f}%"
                title="Show the latest 10\u{202f}% of the steps and follow the run"
                is_on=Signal::derive(is_newest)
                toggle=newest
            />
            <Switch
                label="full schedule"
                title="Show all steps up to the last planned one"
                is_on=Signal::derive(move || *context.viewport.read() == Viewport::Plan)
                toggle=move || context.viewport.set(Viewport::Plan)
            />
        </div>
    }
}

/// A small switch.
#[component]
fn Switch(
    label: &'static str,
    #[prop(into)] title: Signal<String>,
    #[prop(into)] is_on: Signal<bool>,
    #[prop(into, default = Signal::from(false))] is_off: Signal<bool>,
    toggle: impl Fn() + 'static,
) -> impl IntoView {
    view! {
        <button
            class="switch"
            title=title
            aria-pressed=move || is_on.get().to_string()
            disabled=is_off
            on:click=move |_| toggle()
        >
            {label}
        </button>
    }
}
