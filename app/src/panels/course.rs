//! The rate, past and planned; and ahead of the present step a course that can be drawn: points to drag ([`super::handles`]),
//! courses with a name, a preview, and only then the change itself.

use figure::curve::point;
use figure::scene::Role;
use figure::{ChartSpec, Style, number};
use leptos::prelude::*;
use wire::Command;
use wire::command::Redraw;
use wire::schedule::{Bend, Schedule};
use wire::series::{Axis, Bucket, describe, name};

use super::Desk;
use super::actions::{ReasonField, TwinField, reason_of};
use super::chart::{Chart, Line, Picture};
use super::handles::Handles;
use super::loss::{history, measured, own_role, shared};
use crate::run_state::sketch::Ready;
use crate::run_state::{OpenRun, Sight, Sketch};

/// Places at which a planned rate is drawn.
const PLANNED: u64 = 240;

/// The chart with its editor.
#[component]
pub(super) fn RateChart() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let layout = RwSignal::new(None);
    let is_editing = Memo::new(move |_| desk.sketch.read().is_some());
    let title = move || {
        desk.hindrance
            .get()
            .unwrap_or_else(|| "Draw the rate from here on: drag points, or take a course with a name (r)".into())
    };
    // What the run passes while one draws can no longer be drawn.
    Effect::new(move || {
        let step = desk.summary.read().step;
        let is_behind =
            desk.sketch.with_untracked(|sketch| sketch.as_ref().is_some_and(|sketch| sketch.from_step <= step));
        if is_behind {
            let next = desk.next_step();
            desk.sketch.update(|sketch| {
                if let Some(sketch) = sketch {
                    sketch.advance(next, &desk.dials.read_untracked());
                }
            });
        }
    });
    // A run that has ended meanwhile cannot be drawn on.
    Effect::new(move || {
        if desk.hindrance.read().is_some() && desk.sketch.with_untracked(Option::is_some) {
            leave(desk);
        }
    });
    view! {
        <div class="rate-course" class:editing=is_editing>
            <Chart
                title="Learning rate".to_owned()
                unit="per step".to_owned()
                meaning=describe(name::RATE).meaning
                paint
                told=layout
                also=Signal::derive(move || desk.sketch.track())
                over=Box::new(move || view! { <Handles layout /> }.into_any())
            >
                <button class="switch draw" aria-pressed=move || is_editing.get().to_string() title=title disabled=move || desk.hindrance.read().is_some() on:click=move |_| toggle(desk)>"Draw ahead"</button>
            </Chart>
            <Show when=move || is_editing.get()><Editor /></Show>
        </div>
    }
}

/// Begins to draw, or lets it be.
pub(super) fn toggle(desk: Desk) {
    if desk.sketch.read_untracked().is_some() {
        leave(desk);
    } else if desk.hindrance.read_untracked().is_none() {
        let sketch = Sketch::begin(&desk.dials.read_untracked(), desk.next_step());
        desk.sketch.set(Some(sketch));
        // Points stand on steps, and the end of the plan is in sight.
        desk.look.update(|look| look.axis = Axis::Step);
        desk.sight.set(Sight::Plan);
    }
}

/// Lets what is being drawn be.
pub(super) fn leave(desk: Desk) {
    desk.sketch.set(None);
    desk.sight.set(Sight::Whole);
}

fn paint(desk: Desk) -> Picture {
    let run = desk.run.read_untracked();
    let (spec, marked) = shared(desk, &run);
    let sketch = desk.sketch.read_untracked();
    let dials = &run.view.dials;
    let dashed = |name: &str, meaning: &str, role, buckets| Line {
        name: name.into(),
        meaning: meaning.into(),
        role,
        style: Style::Planned,
        is_live: false,
        smoothing: None,
        is_past: false,
        buckets,
    };
    let present = planned(desk, &run, &dials.schedule, dials.steps);
    let mut lines = history(desk, &run, name::RATE, "rate", Role::InkFaint);
    match &*sketch {
        Some(sketch) => {
            lines.push(dashed("as planned", "Without what is being drawn.", Role::InkFaint, present));
            let drawn = planned(desk, &run, &sketch.schedule(dials), sketch.steps);
            lines.push(dashed("drawn", "As it would be, once applied.", Role::Run(0), drawn));
        }
        None => {
            lines.push(dashed("rate", "Planned from here on, with the turns made so far.", own_role(&run), present))
        }
    }
    lines.push(Line { is_live: run.is_glowing(), ..measured(&run, name::RATE, "rate", own_role(&run)) });
    let spec = ChartSpec {
        title: "learning rate".into(),
        unit: "per step".into(),
        has_zero: true,
        y_to: sketch.as_ref().map(|sketch| sketch.ceiling),
        ..spec
    };
    Picture { spec, lines, marked }
}

/// A schedule from the present step to the end of the view; on the axis of time no one knows when a step will come.
fn planned(desk: Desk, run: &OpenRun, schedule: &Schedule, steps: u64) -> Vec<Bucket> {
    let first = run.view.summary.step;
    let last = steps.saturating_sub(1);
    if run.view.summary.state.is_over() || first > last || run.curves.axis() == Axis::Secs {
        return vec![];
    }
    let unit = (run.curves.place(first + 1) - run.curves.place(first)).max(f64::MIN_POSITIVE);
    let ahead = ((desk.view().to - run.curves.place(first)) / unit).ceil().max(0.0) as u64;
    let to = first.saturating_add(ahead).clamp(first, last);
    let stride = ((to - first) / PLANNED).max(1);
    let steps = (first..=to).step_by(stride as usize).chain([to]);
    steps.map(|step| point(step, run.curves.place(step), schedule.rate(step))).collect()
}

/// Courses with a name, what the drawn one does in words, and the way to apply it.
#[component]
fn Editor() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let reason = RwSignal::new(String::new());
    let more = RwSignal::new((desk.dials.read_untracked().steps / 5).max(10).to_string());
    let take = move |which: Ready| {
        let sketch = Sketch::ready(&desk.dials.read_untracked(), desk.next_step(), which);
        desk.sketch.set(Some(sketch));
        desk.sight.set(Sight::Plan);
    };
    let cooldown = move || {
        let summary = desk.summary.read();
        (summary.steps.saturating_sub(summary.step) / 2).max(1)
    };
    let by = move || {
        more.read().trim().replace([',', ' '], "").parse::<u64>().ok().filter(|more| (1..=100_000_000).contains(more))
    };
    let is_curve =
        move || matches!(&*desk.sketch.read(), Some(Sketch { bend, .. }) if !matches!(bend, Bend::Points(_)));
    let take_up = move |_| {
        desk.sketch.update(|sketch| {
            if let Some(sketch) = sketch {
                sketch.take_up(&desk.dials.read_untracked());
            }
        });
    };
    let apply = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(mut sketch) = desk.sketch.get_untracked() else { return };
        let dials = desk.dials.get_untracked();
        sketch.advance(desk.next_step(), &dials);
        let steps = (sketch.steps != dials.steps).then_some(sketch.steps);
        leave(desk);
        desk.change(Command::Redraw { course: Redraw::Rate { bend: sketch.bend, steps }, reason: reason_of(reason) });
    };
    view! {
        <form class="editor" on:submit=apply>
            <div class="row" role="group" aria-label="Courses with a name">
                <button type="button" title="A straight line from here to the lowest rate, over half of what is left" on:click=move |_| take(Ready::Cooldown(untrack(cooldown)))>"Cool down now"</button>
                <button type="button" title="Up to the peak over a tenth of what is left, then down to the lowest rate" on:click=move |_| take(Ready::Rewarm)>"Re-warm"</button>
                <button type="button" title="The present rate to the end" on:click=move |_| take(Ready::Hold)>"Hold"</button>
                <span class="extend">
                    <label>"Extend by "<input type="text" inputmode="numeric" aria-label="Steps more" prop:value=more on:input:target=move |event| more.set(event.target().value()) />" steps"</label>
                    <button type="button" disabled=move || by().is_none() title="Half a cosine from here to the new end" on:click=move |_| if let Some(more) = untrack(by) { take(Ready::Refit(more)) }>"cosine re-fitted"</button>
                    <button type="button" disabled=move || by().is_none() title="The present rate to the new end" on:click=move |_| if let Some(more) = untrack(by) { take(Ready::Longer(more)) }>"rate held"</button>
                </span>
                {move || is_curve().then(|| view! { <button type="button" title="So that it can be moved by hand" on:click=take_up>"Take up as points"</button> })}
            </div>
            <p class="effect">{move || desk.sketch.read().as_ref().map(|sketch| effect(desk, sketch))}</p>
            <div class="row">
                <ReasonField reason />
                <TwinField />
                <span class="grow"></span>
                <button type="button" on:click=move |_| leave(desk)>"Cancel"</button>
                <button class="primary" type="submit">"Apply"</button>
            </div>
            <p class="small dim">"Drag a point, or focus it: arrows move it, with shift further; Delete takes it away; + or a double click adds one."</p>
        </form>
    }
}

fn effect(desk: Desk, sketch: &Sketch) -> String {
    let dials = desk.dials.read();
    let (before, after) = (&dials.schedule, sketch.schedule(&dials));
    let last = sketch.steps.saturating_sub(1);
    let middle = sketch.from_step + last.saturating_sub(sketch.from_step) / 2;
    let at = |step: u64| number::short(after.rate(step));
    let end = match sketch.steps == dials.steps {
        true => format!("the run ends at step {} as planned", number::whole(sketch.steps)),
        false => {
            format!("the run ends at step {} instead of {}", number::whole(sketch.steps), number::whole(dials.steps))
        }
    };
    format!(
        "From step {}: rate {} → {} half-way → {} at the end, where it was {}; {end}. Nothing changes until it is applied.",
        number::whole(sketch.from_step),
        at(sketch.from_step),
        at(middle),
        at(last),
        number::short(before.rate(last)),
    )
}
