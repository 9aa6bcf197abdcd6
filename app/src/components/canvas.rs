//! A drawing on a canvas: shapes of the `figure` crate, drawn again when a signal that they read changes, and
//! rarely while it is not on the screen. It has a description for screen readers, handles pointer, wheel and keys, and can be saved as
//! SVG.

use std::rc::Rc;
use std::time::Duration;

use figure::scene::{Fill, Point, Rect, Role, Scene, Shape, Size};
use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;

use super::observer::observe;
use super::painter::Painter;
use super::{Icon, clicks};
use crate::theme::Theme;

/// An input event on a canvas; places are in CSS pixels from its top left corner.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CanvasEvent {
    /// The pointer is over a position; `is_held` while it is pressed.
    Over { at: Point, is_held: bool },
    /// The pointer is pressed.
    Press(Point),
    /// The pointer is released.
    Release,
    /// The pointer has left the canvas.
    Away,
    /// The wheel turns; below 0 away from the user.
    Wheel { at: Point, by: f64 },
    /// A key is pressed.
    Key { name: String, is_shifted: bool },
}

/// Handles an event and returns whether it did; the browser then does nothing.
pub(crate) type OnCanvasEvent = Callback<(CanvasEvent, Size), bool>;

/// A drawing.
#[component]
pub(crate) fn Canvas(
    /// Description for screen readers.
    #[prop(into)]
    label: Signal<String>,
    /// Returns the shapes for a size and for a light or dark theme; the signals that it reads are tracked.
    draw: impl Fn(Size, bool) -> Vec<Shape> + 'static,
    /// CSS class.
    #[prop(into, default = String::new())]
    class: String,
    /// Handles events.
    #[prop(optional)]
    on_event: Option<OnCanvasEvent>,
    /// What the keys do, for screen readers.
    #[prop(default = "")]
    keys: &'static str,
    /// Name of the file that it is saved as; it cannot be saved without one.
    #[prop(default = "")]
    file: &'static str,
) -> impl IntoView {
    let draw = Rc::new(draw);
    let theme = expect_context::<Theme>();
    let field = NodeRef::<html::Div>::new();
    let canvas = NodeRef::<html::Canvas>::new();
    let observed = observe(field, false);
    let size = observed.size;
    let save = {
        let draw = draw.clone();
        move |_| {
            let (width, height) = size.get_untracked();
            let scene = Scene {
                size: Size::new(width, height),
                title: label.get_untracked(),
                summary: String::new(),
                shapes: untrack(|| draw(Size::new(width, height), theme.is_dark())),
            };
            save_svg(scene, theme.is_dark(), file);
        }
    };
    Effect::new(move || {
        let (width, height) = size.get();
        let Some(canvas) = canvas.get().filter(|_| width >= 4.0 && height >= 4.0 && observed.is_due()) else { return };
        let (size, is_dark) = (Size::new(width, height), theme.is_dark());
        let shapes = draw(size, is_dark);
        if let Some(painter) = Painter::start(&canvas, size, is_dark) {
            painter.paint(&shapes);
        }
    });
    let handled = move |touch: CanvasEvent| {
        let (width, height) = size.get_untracked();
        on_event.is_some_and(|on_event| on_event.run((touch, Size::new(width, height))))
    };
    let position = move |x: i32, y: i32| {
        let corner = field.get_untracked().map(|field| field.get_bounding_client_rect());
        corner.map(|corner| Point::new(f64::from(x) - corner.left(), f64::from(y) - corner.top()))
    };
    let pointer = move |event: &ev::PointerEvent, touch: fn(Point, bool) -> CanvasEvent| {
        if let Some(at) = position(event.client_x(), event.client_y())
            && handled(touch(at, event.buttons() & 1 == 1))
        {
            event.prevent_default();
        }
    };
    let press = move |event: ev::PointerEvent| {
        if event.button() == 0 && on_event.is_some() {
            if let Some(field) = field.get_untracked() {
                // A drag continues outside; without capture it ends at the edge.
                let _ = field.set_pointer_capture(event.pointer_id());
            }
            pointer(&event, |at, _| CanvasEvent::Press(at));
        }
    };
    let wheel = move |event: ev::WheelEvent| {
        if let Some(at) = position(event.client_x(), event.client_y())
            && handled(CanvasEvent::Wheel { at, by: event.delta_y() })
        {
            event.prevent_default();
        }
    };
    let key = move |event: ev::KeyboardEvent| {
        let is_plain = !(event.ctrl_key() || event.meta_key() || event.alt_key());
        if is_plain && handled(CanvasEvent::Key { name: event.key(), is_shifted: event.shift_key() }) {
            event.prevent_default();
        }
    };
    view! {
        <div
            class=format!("drawing {class}")
            class:touchable=on_event.is_some()
            node_ref=field
            tabindex=on_event.map(|_| "0")
            role=on_event.map(|_| "group")
            aria-label=on_event.map(|_| keys)
            on:pointermove=move |event| pointer(&event, |at, is_held| CanvasEvent::Over { at, is_held })
            on:pointerdown=press
            on:pointerup=move |_| { handled(CanvasEvent::Release); }
            on:pointercancel=move |_| { handled(CanvasEvent::Release); }
            on:pointerleave=move |_| { handled(CanvasEvent::Away); }
            on:wheel=wheel
            on:keydown=key
        >
            <canvas node_ref=canvas role="img" aria-label=label></canvas>
            {(!file.is_empty()).then(|| view! {
                <button class="quiet icon-only save" aria-label="Save as SVG" title="Save as SVG"
                    on:click=clicks(save)
                    on:pointerdown=|event| event.stop_propagation()
                    on:keydown=|event| event.stop_propagation()
                >
                    <Icon name="download" />
                </button>
            })}
        </div>
    }
}

/// Saves a scene as a file, on the background of its theme.
fn save_svg(mut scene: Scene, is_dark: bool, name: &str) {
    let background = Rect::new(0.0, 0.0, scene.size.width, scene.size.height);
    scene.shapes.insert(0, Shape::Rect { rect: background, radius: 0.0, fill: Fill::solid(Role::Surface) });
    let theme = if is_dark { figure::Theme::Dark } else { figure::Theme::Light };
    let parts = js_sys::Array::of1(&figure::svg::svg(&scene, theme).into());
    let kind = web_sys::BlobPropertyBag::new();
    kind.set_type("image/svg+xml");
    let blob = web_sys::Blob::new_with_str_sequence_and_options(&parts, &kind);
    let Ok(address) = blob.and_then(|blob| web_sys::Url::create_object_url_with_blob(&blob)) else { return };
    let Ok(link) = document().create_element("a") else { return };
    let _ = link.set_attribute("href", &address);
    let _ = link.set_attribute("download", &format!("{name}.svg"));
    link.unchecked_ref::<web_sys::HtmlElement>().click();
    // The browser may not have started to read it yet.
    set_timeout(move || drop(web_sys::Url::revoke_object_url(&address)), Duration::from_secs(30));
}
