//! A picture on a canvas: shapes of the `figure` crate, drawn again when what they are made of changes, and only while in sight. It tells
//! in words what it shows, takes pointer, wheel and keys where someone listens, and can be saved as it stands.

use std::rc::Rc;
use std::time::Duration;

use figure::scene::{Fill, Point, Rect, Role, Scene, Shape, Size};
use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;

use super::{Icon, clicks};
use crate::canvas::Painter;
use crate::theme::Theme;

/// What a hand does on a picture, in its own pixels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Touch {
    /// The pointer is over a place; `is_held` while it is pressed.
    Over { at: Point, is_held: bool },
    /// It is pressed there.
    Press(Point),
    /// It is let go.
    Release,
    /// It has left.
    Away,
    /// The wheel turns by so much, away from oneself below 0.
    Wheel { at: Point, by: f64 },
    /// A key, with shift held or not.
    Key { name: String, is_shifted: bool },
}

/// Answers a touch with whether it did something; then the browser does nothing.
pub(crate) type OnTouch = Callback<(Touch, Size), bool>;

/// A picture.
#[component]
pub(crate) fn Plate(
    /// What it shows, in words.
    #[prop(into)]
    label: Signal<String>,
    /// Its shapes at a size; reads signals, and whether the paper is dark.
    draw: impl Fn(Size, bool) -> Vec<Shape> + 'static,
    /// Style.
    #[prop(into, default = String::new())]
    class: String,
    /// Takes touches; without it the picture is only looked at.
    #[prop(optional)]
    on_touch: Option<OnTouch>,
    /// What the keys do, for screen readers.
    #[prop(default = "")]
    keys: &'static str,
    /// Name of the file that it is saved as; without one it is not offered.
    #[prop(default = "")]
    file: &'static str,
) -> impl IntoView {
    let draw = Rc::new(draw);
    let theme = expect_context::<Theme>();
    let field = NodeRef::<html::Div>::new();
    let canvas = NodeRef::<html::Canvas>::new();
    let size = RwSignal::new((0.0, 0.0));
    let is_seen = RwSignal::new(false);
    follow(field, size, is_seen);
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
        let Some(canvas) = canvas.get().filter(|_| is_seen.get() && width >= 4.0 && height >= 4.0) else { return };
        let (size, is_dark) = (Size::new(width, height), theme.is_dark());
        let shapes = draw(size, is_dark);
        if let Some(painter) = Painter::start(&canvas, size, is_dark) {
            painter.paint(&shapes);
        }
    });
    let told = move |touch: Touch| {
        let (width, height) = size.get_untracked();
        on_touch.is_some_and(|on_touch| on_touch.run((touch, Size::new(width, height))))
    };
    let place = move |x: i32, y: i32| {
        let corner = field.get_untracked().map(|field| field.get_bounding_client_rect());
        corner.map(|corner| Point::new(f64::from(x) - corner.left(), f64::from(y) - corner.top()))
    };
    let pointer = move |event: &ev::PointerEvent, touch: fn(Point, bool) -> Touch| {
        if let Some(at) = place(event.client_x(), event.client_y())
            && told(touch(at, event.buttons() & 1 == 1))
        {
            event.prevent_default();
        }
    };
    let press = move |event: ev::PointerEvent| {
        if event.button() == 0 && on_touch.is_some() {
            if let Some(field) = field.get_untracked() {
                // A drag goes on outside; a browser that refuses ends it at the edge.
                let _ = field.set_pointer_capture(event.pointer_id());
            }
            pointer(&event, |at, _| Touch::Press(at));
        }
    };
    let wheel = move |event: ev::WheelEvent| {
        if let Some(at) = place(event.client_x(), event.client_y())
            && told(Touch::Wheel { at, by: event.delta_y() })
        {
            event.prevent_default();
        }
    };
    let key = move |event: ev::KeyboardEvent| {
        let is_plain = !(event.ctrl_key() || event.meta_key() || event.alt_key());
        if is_plain && told(Touch::Key { name: event.key(), is_shifted: event.shift_key() }) {
            event.prevent_default();
        }
    };
    view! {
        <div
            class=format!("plate {class}")
            class:touchable=on_touch.is_some()
            node_ref=field
            tabindex=on_touch.map(|_| "0")
            role=on_touch.map(|_| "group")
            aria-label=on_touch.map(|_| keys)
            on:pointermove=move |event| pointer(&event, |at, is_held| Touch::Over { at, is_held })
            on:pointerdown=press
            on:pointerup=move |_| { told(Touch::Release); }
            on:pointercancel=move |_| { told(Touch::Release); }
            on:pointerleave=move |_| { told(Touch::Away); }
            on:wheel=wheel
            on:keydown=key
        >
            <canvas node_ref=canvas role="img" aria-label=label></canvas>
            {(!file.is_empty()).then(|| view! {
                <button class="quiet icon-only save" aria-label="Save this picture" title="Save this picture (SVG)"
                    on:click=clicks(save) on:pointerdown=|event| event.stop_propagation() on:keydown=|event| event.stop_propagation()>
                    <Icon name="download" />
                </button>
            })}
        </div>
    }
}

/// Gives a scene to the browser as a file, on the paper of its theme.
fn save_svg(mut scene: Scene, is_dark: bool, name: &str) {
    let paper = Rect::new(0.0, 0.0, scene.size.width, scene.size.height);
    scene.shapes.insert(0, Shape::Rect { rect: paper, radius: 0.0, fill: Fill::solid(Role::Surface) });
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
    // The browser may not have begun to read it yet.
    set_timeout(move || drop(web_sys::Url::revoke_object_url(&address)), Duration::from_secs(30));
}

/// Keeps size and sight of an element.
fn follow(field: NodeRef<html::Div>, size: RwSignal<(f64, f64)>, is_seen: RwSignal<bool>) {
    Effect::new(move || {
        let Some(field) = field.get() else { return };
        let measured = field.clone();
        let on_size = Closure::<dyn Fn()>::new(move || {
            let now = (f64::from(measured.client_width()), f64::from(measured.client_height()));
            if size.try_get_untracked().is_some_and(|known| known != now) {
                size.set(now);
            }
        });
        let on_sight = Closure::<dyn Fn(js_sys::Array)>::new(move |entries: js_sys::Array| {
            let last = entries.iter().last().map(JsCast::unchecked_into::<web_sys::IntersectionObserverEntry>);
            is_seen.try_set(last.is_some_and(|entry| entry.is_intersecting()));
        });
        let sizes = web_sys::ResizeObserver::new(on_size.as_ref().unchecked_ref()).ok();
        let sights = web_sys::IntersectionObserver::new(on_sight.as_ref().unchecked_ref()).ok();
        sizes.iter().for_each(|sizes| sizes.observe(&field));
        sights.iter().for_each(|sights| sights.observe(&field));
        // The observers call the closures, so they go together.
        let held = StoredValue::new_local((sizes, sights, on_size, on_sight));
        on_cleanup(move || {
            held.with_value(|(sizes, sights, ..)| {
                sizes.iter().for_each(web_sys::ResizeObserver::disconnect);
                sights.iter().for_each(web_sys::IntersectionObserver::disconnect);
            });
        });
    });
}
