//! The points of the edited learning-rate schedule over its chart. They move by pointer, and by keys while one has the
//! focus.

use figure::Layout;
use figure::number;
use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wire::series::Axis;

use super::RunContext;
use super::schedule_draft::ScheduleDraft;
use super::schedule_edit::{change, leave};

#[component]
pub(super) fn SchedulePoints(
    /// Layout of the chart.
    layout: RwSignal<Option<Layout>>,
) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let is_shown = Memo::new(move |_| context.draft.read().is_some() && context.options.read().axis == Axis::Step);
    let count = Memo::new(move |_| context.draft.read().as_ref().map_or(0, |draft| draft.points().len()));
    let add = move |event: ev::MouseEvent| {
        event.stop_propagation();
        if let Some((step, rate)) = place(layout, &event) {
            change(context, |draft| {
                let at = draft.add(step, rate);
                draft.settle();
                focus_on(at);
            });
        }
    };
    let view_box =
        move || layout.read().as_ref().map(|layout| format!("0 0 {} {}", layout.size.width, layout.size.height));
    // Only future steps can be changed.
    let ahead = move || {
        let layout = layout.read();
        let layout = layout.as_ref()?;
        let from = context.draft.read().as_ref().map(|draft| draft.from_step)?;
        let left = layout.to_x(from as f64).clamp(layout.plot.x, layout.plot.right());
        Some((left, layout.plot.y, layout.plot.right() - left, layout.plot.height))
    };
    view! {
        <Show when=move || is_shown.get()>
            <svg
                class="schedule-points"
                viewBox=view_box
                preserveAspectRatio="none"
                role="group"
                aria-label="Points of the edited learning-rate schedule"
            >
                {move || ahead().map(|(x, y, width, height)| view! {
                    <rect
                        class="ahead"
                        x=x
                        y=y
                        width=width
                        height=height
                        on:dblclick=add
                        on:pointerdown=|event: ev::PointerEvent| event.stop_propagation()
                    />
                })}
                <For each=move || 0..count.get() key=|at| *at let(at)><SchedulePoint at layout /></For>
            </svg>
        </Show>
    }
}

/// Step and learning rate under a pointer, inside the plot.
fn place(layout: RwSignal<Option<Layout>>, event: &web_sys::MouseEvent) -> Option<(u64, f64)> {
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok())?;
    let field = target.closest(".field").ok().flatten()?.get_bounding_client_rect();
    let layout = layout.read_untracked();
    let layout = layout.as_ref()?;
    // A chart for a projector is drawn larger than its layout.
    let scale = (field.width() / layout.size.width).max(f64::EPSILON);
    let x = ((f64::from(event.client_x()) - field.left()) / scale).clamp(layout.plot.x, layout.plot.right());
    let y = ((f64::from(event.client_y()) - field.top()) / scale).clamp(layout.plot.y, layout.plot.bottom());
    Some((layout.from_x(x).round().max(0.0) as u64, layout.from_y(y).max(0.0)))
}

fn focus_on(at: usize) {
    request_animation_frame(move || {
        let point = document().query_selector(&format!(".schedule-points [data-at=\"{at}\"]")).ok().flatten();
        if let Some(point) = point.and_then(|point| point.dyn_into::<web_sys::SvgElement>().ok()) {
            let _ = point.focus();
        }
    });
}

#[component]
fn SchedulePoint(at: usize, layout: RwSignal<Option<Layout>>) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let is_dragged = RwSignal::new(false);
    let point = move || context.draft.read().as_ref().and_then(|draft| draft.points().get(at).copied());
    let transform = move || {
        let layout = layout.read();
        let (step, rate) = point()?;
        let layout = layout.as_ref()?;
        Some(format!("translate({:.1} {:.1})", layout.to_x(step as f64), layout.to_y(rate)))
    };
    let label = move || {
        point()
            .map(|(step, rate)| format!("step {}, learning rate {}", number::whole(step), number::short(rate)))
            .unwrap_or_default()
    };
    let press = move |event: ev::PointerEvent| {
        event.stop_propagation();
        event.prevent_default();
        if let Some(target) = event.current_target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) {
            // Without capture the drag ends at the edge of the chart.
            let _ = target.set_pointer_capture(event.pointer_id());
        }
        is_dragged.set(true);
        focus_on(at);
    };
    let go = move |event: ev::PointerEvent| {
        if !is_dragged.get_untracked() {
            return;
        }
        event.stop_propagation();
        if let Some((step, rate)) = place(layout, &event) {
            change(context, |draft| draft.shift(at, step, rate));
        }
    };
    let release = move |event: ev::PointerEvent| {
        event.stop_propagation();
        is_dragged.set(false);
        change(context, ScheduleDraft::settle);
    };
    view! {
        <g
            class="schedule-point"
            class:dragged=is_dragged
            tabindex="0"
            role="slider"
            data-at=at
            transform=transform
            aria-label=format!("Point {}", at + 1)
            aria-valuetext=label
            aria-valuemin="0"
            aria-valuemax="10"
            aria-valuenow=move || point().map(|(_, rate)| rate)
            on:pointerdown=press
            on:pointermove=go
            on:pointerup=release
            on:pointercancel=release
            on:dblclick=|event: ev::MouseEvent| event.stop_propagation()
            on:keydown=move |event: ev::KeyboardEvent| key(context, at, &event)
        >
            <circle class="reach" r="14" />
            <circle class="dot" r="5.5" />
            {move || is_dragged.get().then(|| view! { <text y="-12" text-anchor="middle">{label}</text> })}
        </g>
    }
}

/// Arrow keys move the point, Delete removes it, + adds one after it, Escape discards the draft.
fn key(context: RunContext, at: usize, event: &ev::KeyboardEvent) {
    let far = if event.shift_key() { 10.0 } else { 1.0 };
    let (across, up) = match event.key().as_str() {
        "ArrowLeft" => (-1.0, 0.0),
        "ArrowRight" => (1.0, 0.0),
        "ArrowUp" => (0.0, 1.0),
        "ArrowDown" => (0.0, -1.0),
        "Delete" | "Backspace" | "+" | "=" | "Insert" | "Escape" => (0.0, 0.0),
        _ => return,
    };
    event.prevent_default();
    event.stop_propagation();
    if event.key() == "Escape" {
        return leave(context);
    }
    change(context, |draft| match event.key().as_str() {
        "Delete" | "Backspace" => {
            draft.remove(at);
            focus_on(at.min(draft.points().len().saturating_sub(1)));
        }
        "+" | "=" | "Insert" => {
            if let Some((step, rate)) = between(draft, at) {
                let at = draft.add(step, rate);
                focus_on(at);
            }
        }
        _ => {
            let Some((step, rate)) = draft.points().get(at).copied() else { return };
            let stride = ((draft.steps.saturating_sub(draft.from_step)) as f64 / 200.0).max(1.0).round();
            let step = (step as f64 + across * far * stride).max(0.0) as u64;
            draft.shift(at, step, rate + up * far * draft.ceiling / 200.0);
            draft.settle();
        }
    });
}

/// Half-way to the next point, or after the last.
fn between(draft: &ScheduleDraft, at: usize) -> Option<(u64, f64)> {
    let (step, rate) = *draft.points().get(at)?;
    match draft.points().get(at + 1) {
        Some((next, other)) if *next > step + 1 => Some((step + (next - step) / 2, (rate + other) / 2.0)),
        Some(_) => None,
        None => Some((step + (draft.steps.saturating_sub(step) / 2).max(1), rate)),
    }
}
