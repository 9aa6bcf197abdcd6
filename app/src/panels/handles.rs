//! Points on a chart that can be moved: by pointer, and by keys while one has the focus.

use figure::Layout;
use figure::number;
use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wire::series::Axis;

use super::{Desk, course};
use crate::run_state::Sketch;

/// The points of the sketch over the rate's chart.
#[component]
pub(super) fn Handles(
    /// Where everything on the chart is.
    layout: RwSignal<Option<Layout>>,
) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let is_shown = Memo::new(move |_| desk.sketch.read().is_some() && desk.look.read().axis == Axis::Step);
    let count = Memo::new(move |_| desk.sketch.read().as_ref().map_or(0, |sketch| sketch.points().len()));
    let add = move |event: ev::MouseEvent| {
        event.stop_propagation();
        if let Some((step, rate)) = place(layout, &event) {
            change(desk, |sketch| {
                let at = sketch.add(step, rate);
                sketch.settle();
                focus_on(at);
            });
        }
    };
    // The future alone can be drawn on.
    let ahead = move || {
        let layout = layout.read();
        let layout = layout.as_ref()?;
        let from = desk.sketch.read().as_ref().map(|sketch| sketch.from_step)?;
        let left = layout.to_x(from as f64).clamp(layout.plot.x, layout.plot.right());
        Some((left, layout.plot.y, layout.plot.right() - left, layout.plot.height))
    };
    view! {
        <Show when=move || is_shown.get()>
            <svg class="handles" role="group" aria-label="Points of the drawn rate">
                {move || ahead().map(|(x, y, width, height)| view! {
                    <rect class="ahead" x=x y=y width=width height=height on:dblclick=add on:pointerdown=|event: ev::PointerEvent| event.stop_propagation() />
                })}
                <For each=move || 0..count.get() key=|at| *at let(at)><Handle at layout /></For>
            </svg>
        </Show>
    }
}

fn change(desk: Desk, change: impl FnOnce(&mut Sketch)) {
    desk.sketch.update(|sketch| {
        if let Some(sketch) = sketch {
            change(sketch);
        }
    });
}

/// Step and rate under a pointer, inside the plot.
fn place(layout: RwSignal<Option<Layout>>, event: &web_sys::MouseEvent) -> Option<(u64, f64)> {
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok())?;
    let field = target.closest(".field").ok().flatten()?.get_bounding_client_rect();
    let layout = layout.read_untracked();
    let layout = layout.as_ref()?;
    let x = (f64::from(event.client_x()) - field.left()).clamp(layout.plot.x, layout.plot.right());
    let y = (f64::from(event.client_y()) - field.top()).clamp(layout.plot.y, layout.plot.bottom());
    Some((layout.from_x(x).round().max(0.0) as u64, layout.from_y(y).max(0.0)))
}

fn focus_on(at: usize) {
    request_animation_frame(move || {
        let point = document().query_selector(&format!(".handles [data-at=\"{at}\"]")).ok().flatten();
        if let Some(point) = point.and_then(|point| point.dyn_into::<web_sys::SvgElement>().ok()) {
            let _ = point.focus();
        }
    });
}

#[component]
fn Handle(at: usize, layout: RwSignal<Option<Layout>>) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let is_held = RwSignal::new(false);
    let point = move || desk.sketch.read().as_ref().and_then(|sketch| sketch.points().get(at).copied());
    let transform = move || {
        let layout = layout.read();
        let (step, rate) = point()?;
        let layout = layout.as_ref()?;
        Some(format!("translate({:.1} {:.1})", layout.to_x(step as f64), layout.to_y(rate)))
    };
    let told = move || {
        point()
            .map(|(step, rate)| format!("step {}, rate {}", number::whole(step), number::short(rate)))
            .unwrap_or_default()
    };
    let press = move |event: ev::PointerEvent| {
        event.stop_propagation();
        event.prevent_default();
        if let Some(target) = event.current_target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) {
            // Without capture the point is let go at the chart's edge, which is no harm.
            let _ = target.set_pointer_capture(event.pointer_id());
        }
        is_held.set(true);
        focus_on(at);
    };
    let go = move |event: ev::PointerEvent| {
        if !is_held.get_untracked() {
            return;
        }
        event.stop_propagation();
        if let Some((step, rate)) = place(layout, &event) {
            change(desk, |sketch| sketch.shift(at, step, rate));
        }
    };
    let release = move |event: ev::PointerEvent| {
        event.stop_propagation();
        is_held.set(false);
        change(desk, Sketch::settle);
    };
    view! {
        <g
            class="handle"
            class:held=is_held
            tabindex="0"
            role="slider"
            data-at=at
            transform=transform
            aria-label=format!("Point {}", at + 1)
            aria-valuetext=told
            aria-valuemin="0"
            aria-valuemax="10"
            aria-valuenow=move || point().map(|(_, rate)| rate)
            on:pointerdown=press
            on:pointermove=go
            on:pointerup=release
            on:pointercancel=release
            on:dblclick=|event: ev::MouseEvent| event.stop_propagation()
            on:keydown=move |event: ev::KeyboardEvent| key(desk, at, &event)
        >
            <circle class="reach" r="14" />
            <circle class="dot" r="5.5" />
            {move || is_held.get().then(|| view! { <text y="-12" text-anchor="middle">{told}</text> })}
        </g>
    }
}

/// Arrows move, Delete takes away, + adds one after this, Escape lets the whole drawing be.
fn key(desk: Desk, at: usize, event: &ev::KeyboardEvent) {
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
        return course::leave(desk);
    }
    change(desk, |sketch| match event.key().as_str() {
        "Delete" | "Backspace" => {
            sketch.remove(at);
            focus_on(at.min(sketch.points().len().saturating_sub(1)));
        }
        "+" | "=" | "Insert" => {
            if let Some((step, rate)) = between(sketch, at) {
                let at = sketch.add(step, rate);
                focus_on(at);
            }
        }
        _ => {
            let Some((step, rate)) = sketch.points().get(at).copied() else { return };
            let stride = ((sketch.steps.saturating_sub(sketch.from_step)) as f64 / 200.0).max(1.0).round();
            let step = (step as f64 + across * far * stride).max(0.0) as u64;
            sketch.shift(at, step, rate + up * far * sketch.ceiling / 200.0);
            sketch.settle();
        }
    });
}

/// Half-way to the next point, or beyond the last.
fn between(sketch: &Sketch, at: usize) -> Option<(u64, f64)> {
    let (step, rate) = *sketch.points().get(at)?;
    match sketch.points().get(at + 1) {
        Some((next, other)) if *next > step + 1 => Some((step + (next - step) / 2, (rate + other) / 2.0)),
        Some(_) => None,
        None => Some((step + (sketch.steps.saturating_sub(step) / 2).max(1), rate)),
    }
}
