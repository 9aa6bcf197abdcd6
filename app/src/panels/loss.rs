//! The loss: the spine of the Run page. Training and validation in nats or bits per byte, on any axis, with the lines it is
//! read against and a mark for everything that was done to the run.

use figure::chart::{Furniture, Mark, Reference};
use figure::number::whole;
use figure::scene::Role;
use figure::{ChartSpec, ScaleKind, Style};
use leptos::prelude::*;
use wire::series::{Axis, describe, name};
use wire::{Event, EventRecord};

use super::chart::{Chart, LEFT, Line, Picture};
use super::journal::BatchLink;
use super::{Desk, phrase};
use crate::parts::AxisPick;
use crate::run_state::{OpenRun, Sight};

/// Length of the running mean, as a share of the run.
const SMOOTHING: f64 = 0.005;

/// What all charts of the page have in common at this moment: axis, stretch, marks.
pub(super) fn shared(desk: Desk, run: &OpenRun) -> (ChartSpec, Vec<u64>) {
    let view = desk.view();
    let (marks, marked) =
        run.marks().filter(|record| !is_quiet(record)).map(|record| (mark(run, record), record.number)).unzip();
    let furniture = Furniture {
        has_header: false,
        has_lane: false,
        has_x_labels: true,
        has_background: false,
        left_margin: Some(LEFT),
    };
    (
        ChartSpec {
            axis: run.curves.axis(),
            from: Some(view.from),
            to: Some(view.to),
            marks,
            furniture,
            ..ChartSpec::default()
        },
        marked,
    )
}

/// Single steps while paused would crowd the lane.
fn is_quiet(record: &EventRecord) -> bool {
    matches!(record.event, Event::Stepping { .. })
}

fn mark(run: &OpenRun, record: &EventRecord) -> Mark {
    let is_alarm = matches!(record.event, Event::NonFinite { .. } | Event::Failed { .. } | Event::Lost { .. });
    Mark {
        x: run.curves.place_before(record.step),
        phrase: phrase(&record.event),
        author: record.author.clone(),
        is_alarm,
    }
}

/// The colour of what the run measures itself: ember while it lives.
pub(super) fn own_role(run: &OpenRun) -> Role {
    if run.view.summary.state.is_live() { Role::Ember } else { Role::InkSoft }
}

/// A measured curve of the run.
pub(super) fn measured(run: &OpenRun, series: &str, label: &str, role: Role) -> Line {
    let info = describe(series);
    Line {
        name: label.to_owned(),
        meaning: info.meaning.to_owned(),
        role,
        style: Style::Measured,
        is_live: false,
        smoothing: None,
        is_past: false,
        buckets: run.curves.shown(series),
    }
}

/// What lies under a measured curve: the stretches that were abandoned, and the past of the runs it came from, softer.
pub(super) fn history(desk: Desk, run: &OpenRun, series: &str, label: &str, past: Role) -> Vec<Line> {
    let ghosts = run.curves.ghosts(series).into_iter().map(|(left, buckets)| Line {
        // Told once, on the training loss.
        name: if series == name::TRAIN { format!("ghost: left at step {}", whole(left)) } else { String::new() },
        meaning: "Abandoned by a rollback; not on the run's path.".into(),
        style: Style::Ghost,
        buckets,
        ..measured(run, series, "", Role::Ghost)
    });
    let inherited = desk.ancestors.get_untracked().last().map(|parent| Line {
        name: format!("{label} of {parent}"),
        meaning: "Trained by the run that this one was forked from.".into(),
        is_past: true,
        buckets: run.curves.past(series),
        ..measured(run, series, "", past)
    });
    ghosts.chain(inherited.filter(|line| !line.buckets.is_empty())).collect()
}

fn paint(desk: Desk) -> Picture {
    let run = desk.run.read_untracked();
    let look = desk.look.get_untracked();
    let factor = run.bits_per_byte().filter(|_| look.in_bits);
    let (spec, marked) = shared(desk, &run);
    let scale = factor.unwrap_or(1.0);
    let is_empty = run.curves.newest_step().is_none();
    let smoothing = look.is_smooth.then(|| run.end() * SMOOTHING);
    let train = Line { smoothing, ..measured(&run, name::TRAIN, "train", own_role(&run)) };
    // Live curves are drawn last, but validation is read on top: only the newest value glows, as a curve of its own.
    let newest = Line {
        name: String::new(),
        is_live: run.is_glowing(),
        buckets: train.buckets.last().copied().into_iter().collect(),
        ..train.clone()
    };
    let mut lines = history(desk, &run, name::TRAIN, "train", Role::InkFaint);
    lines.extend(history(desk, &run, name::VALID, "valid", Role::Run(4)));
    lines.extend([train, measured(&run, name::VALID, "valid", Role::Run(0)), newest]);
    for bucket in lines.iter_mut().flat_map(|line| &mut line.buckets).filter(|_| factor.is_some()) {
        (bucket.min, bucket.max, bucket.mean) = (bucket.min * scale, bucket.max * scale, bucket.mean * scale);
    }
    let spec = ChartSpec {
        title: "loss".into(),
        unit: unit(look.in_bits && factor.is_some()).into(),
        y_scale: if look.is_log { ScaleKind::Log } else { ScaleKind::Linear },
        y_share: look.clips_spikes.then_some(0.99),
        // Before the first value the axis shows where it will begin.
        y_to: is_empty.then_some(run.view.references.ln_vocab * scale * 1.08),
        y_from: is_empty.then_some(0.0).filter(|_| !look.is_log),
        references: references(&run, scale),
        furniture: Furniture { has_lane: true, ..spec.furniture },
        ..spec
    };
    Picture { spec, lines, marked }
}

fn unit(in_bits: bool) -> &'static str {
    if in_bits { "bits / byte" } else { "nats / token" }
}

fn references(run: &OpenRun, scale: f64) -> Vec<Reference> {
    let lines = &run.view.references;
    let line = |label: &str, value: f64, role| Reference { label: label.into(), value: value * scale, role };
    let known = [
        Some(line("untrained, ln V", lines.ln_vocab, Role::InkFaint)),
        lines.unigram.map(|value| line("single tokens", value, Role::InkFaint)),
        lines.floor.map(|value| line("floor", value, Role::Floor)),
    ];
    known.into_iter().flatten().collect()
}

/// The chart with its switches.
#[component]
pub(crate) fn LossChart() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let has_bits = Memo::new(move |_| desk.run.read().bits_per_byte().is_some());
    let in_bits = move || desk.look.read().in_bits && has_bits.get();
    let meaning = format!("{} Valid: {}", describe(name::TRAIN).meaning, describe(name::VALID).meaning);
    view! {
        <Chart title="Loss".to_owned() unit=Signal::derive(move || unit(in_bits()).to_owned()) meaning class="main" paint>
            <div class="tools">
                {move || desk.pressed.get().filter(|step| *step < desk.summary.read().step).map(|step| view! { <BatchLink step /> })}
                <Range />
                <AxisPick axis=Signal::derive(move || desk.look.read().axis) choose=move |axis| choose_axis(desk, axis) />
                <Switch label="bits" title="Bits per byte of text: alone comparable across tokenizers" is_on=Signal::derive(in_bits) is_off=Signal::derive(move || !has_bits.get()) turn=move || desk.look.update(|look| look.in_bits = !look.in_bits) />
                <Switch label="log" title="Loss by ratio" is_on=Signal::derive(move || desk.look.read().is_log) turn=move || desk.look.update(|look| look.is_log = !look.is_log) />
                <Switch label="smooth" title="A running mean of a two-hundredth of the run over the training loss" is_on=Signal::derive(move || desk.look.read().is_smooth) turn=move || desk.look.update(|look| look.is_smooth = !look.is_smooth) />
                <Switch label="fit" title="Fit the axis to 99 of 100 values; spikes beyond are marked at the edge" is_on=Signal::derive(move || desk.look.read().clips_spikes) turn=move || desk.look.update(|look| look.clips_spikes = !look.clips_spikes) />
            </div>
        </Chart>
    }
}

fn choose_axis(desk: Desk, axis: Axis) {
    desk.crosshair.set(None);
    // A stretch of steps means nothing in seconds.
    desk.sight.update(|sight| *sight = if *sight == Sight::Plan { Sight::Plan } else { Sight::Whole });
    desk.look.update(|look| look.axis = axis);
}

/// Which stretch: all, the plan's end, or the newest; and the way back to live.
#[component]
fn Range() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let is_detached = Memo::new(move |_| !desk.sight.read().is_following() && desk.run.read().is_growing());
    let newest = move || {
        let length = desk.run.read_untracked().end() / 10.0;
        desk.sight.set(Sight::Newest { length: length.max(20.0) });
    };
    view! {
        {move || is_detached.get().then(|| view! {
            <button class="live-again" title="Show the newest steps again and follow them" on:click=move |_| desk.sight.set(Sight::Whole)>"Back to live"</button>
        })}
        <div class="range" role="group" aria-label="Stretch in view">
            <Switch label="all" title="From the first step to the newest (0, or double-click)" is_on=Signal::derive(move || *desk.sight.read() == Sight::Whole) turn=move || desk.sight.set(Sight::Whole) />
            <Switch label="newest" title="The newest tenth, following" is_on=Signal::derive(move || matches!(*desk.sight.read(), Sight::Newest { .. })) turn=newest />
            <Switch label="plan" title="To the last planned step" is_on=Signal::derive(move || *desk.sight.read() == Sight::Plan) turn=move || desk.sight.set(Sight::Plan) />
        </div>
    }
}

/// A small switch.
#[component]
fn Switch(
    label: &'static str,
    title: &'static str,
    #[prop(into)] is_on: Signal<bool>,
    #[prop(into, default = Signal::from(false))] is_off: Signal<bool>,
    turn: impl Fn() + 'static,
) -> impl IntoView {
    view! {
        <button class="switch" title=title aria-pressed=move || is_on.get().to_string() disabled=is_off on:click=move |_| turn()>{label}</button>
    }
}
