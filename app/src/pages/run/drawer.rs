//! The forms below the controls: one is open at a time, opened by its button, closed by a press elsewhere. Why a control
//! is disabled stands in its tooltip.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wire::RunState;

use super::{Drawer, RunContext};

/// The open form after its button was pressed.
pub(super) fn toggled(open: Option<Drawer>, drawer: Drawer) -> Option<Drawer> {
    if open == Some(drawer) { None } else { Some(drawer) }
}

/// Whether a control is disabled.
pub(super) fn is_off(context: RunContext, is_queued: bool) -> bool {
    is_queued || context.disabled_reason.read().is_some()
}

/// The effect of a control, or why it is disabled.
pub(super) fn hint(context: RunContext, is_queued: bool, effect: String) -> String {
    off_reason(context, is_queued).unwrap_or(effect)
}

/// The reason for which a control is disabled; `None` if it is enabled.
pub(super) fn off_reason(context: RunContext, is_queued: bool) -> Option<String> {
    let queued = is_queued.then(|| "Available after the run has started.".to_owned());
    context.disabled_reason.get().or(queued)
}

/// A button that opens a form below it.
#[component]
pub(super) fn DrawerButton(
    /// The form that the button opens.
    drawer: Drawer,
    /// Content of the button.
    #[prop(into)]
    label: ViewFn,
    /// Name of the form for screen readers.
    name: &'static str,
    /// Tooltip of the button.
    #[prop(into)]
    title: Signal<String>,
    /// Why the button is disabled, if it is, where this differs from the other controls.
    #[prop(optional)]
    reason: Option<Memo<Option<String>>>,
    /// The form.
    children: ChildrenFn,
) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let is_open = Memo::new(move |_| context.drawer.get() == Some(drawer));
    let is_queued = Memo::new(move |_| context.state.get() == RunState::Queued);
    let content = StoredValue::new(children);
    let reason = Memo::new(move |_| match reason {
        Some(reason) => reason.get(),
        None => off_reason(context, is_queued.get()),
    });
    view! {
        <div class="drawer-root">
            <button
                class="control"
                aria-haspopup="dialog"
                aria-expanded=move || is_open.get().to_string()
                title=move || reason.get().unwrap_or_else(|| title.get())
                disabled=move || reason.read().is_some()
                on:click=move |_| context.drawer.update(|open| *open = toggled(*open, drawer))
            >
                {move || label.run()}
            </button>
            <Show when=move || is_open.get() && reason.read().is_none()>
                <div class="drawer" role="dialog" aria-label=name>{content.with_value(|content| content())}</div>
            </Show>
        </div>
    }
}

/// Focuses the first field of a form when it opens, before the next event: keys that are typed at once reach the form.
pub(super) fn focus_on(field: NodeRef<leptos::html::Input>) {
    Effect::new(move || {
        if let Some(field) = field.get() {
            let _ = field.focus();
            field.select();
        }
    });
}

/// Distance of a form from the edges of the window, px.
const MARGIN: f64 = 8.0;

/// Moves the open form into the window when it opens and when the window changes: with the bar in several rows, any button can be near any
/// edge.
pub(super) fn keep_in_window(context: RunContext) {
    Effect::new(move || {
        if context.drawer.get().is_some() {
            request_animation_frame(move_into_window);
        }
    });
    let listener = window_event_listener(leptos::ev::resize, |_| move_into_window());
    on_cleanup(move || listener.remove());
}

fn move_into_window() {
    let form = document().query_selector(".controls .drawer").ok().flatten();
    let Some(form) = form.and_then(|form| form.dyn_into::<web_sys::HtmlElement>().ok()) else { return };
    let width = document().document_element().map_or(0.0, |root| f64::from(root.client_width()));
    // Without the move of an earlier width.
    let _ = form.style().remove_property("translate");
    let edges = form.get_bounding_client_rect();
    let by = (width - MARGIN - edges.right()).min(0.0) + (MARGIN - edges.left()).max(0.0);
    if by != 0.0 {
        let _ = form.style().set_property("translate", &format!("{by}px"));
    }
}

/// Closes the open form when something outside of it is pressed.
pub(super) fn close_on_press_elsewhere(context: RunContext) {
    let listener = window_event_listener(leptos::ev::pointerdown, move |event| {
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        let is_inside = target.is_some_and(|target| target.closest(".drawer-root").ok().flatten().is_some());
        if !is_inside && context.drawer.get_untracked().is_some() {
            context.drawer.set(None);
        }
    });
    on_cleanup(move || listener.remove());
}
