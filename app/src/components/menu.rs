//! A button that opens a short list of actions; Escape, a choice, scrolling, or a press elsewhere closes it. The list is
//! placed in the window and not in its parent, so that no scrolling panel cuts it off.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::Icon;

/// Distance of the list from the edges of the window and from its button, pixels.
const MARGIN: f64 = 8.0;
/// Width that a list may need, pixels.
const LIST_WIDTH: f64 = 360.0;
/// Height that a list may need, pixels.
const LIST_HEIGHT: f64 = 280.0;

/// A menu; its children are buttons and links.
#[component]
pub(crate) fn Menu(
    /// Name of the menu: "Actions of amber-fox".
    #[prop(into)]
    label: String,
    /// Text of the button; three dots without it.
    #[prop(optional, into)]
    word: Option<String>,
    children: ChildrenFn,
) -> impl IntoView {
    let has_word = word.is_some();
    let position = RwSignal::new(None::<Position>);
    let is_open = Memo::new(move |_| position.read().is_some());
    let (root, button) = (NodeRef::<html::Div>::new(), NodeRef::<html::Button>::new());
    let close_outside = move |event: &web_sys::Event| {
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Node>().ok());
        let is_inside = root.get_untracked().is_some_and(|root| root.contains(target.as_ref()));
        if !is_inside && is_open.get_untracked() {
            position.set(None);
        }
    };
    let listeners = [
        window_event_listener(ev::pointerdown, move |event| close_outside(&event)),
        window_event_listener(ev::wheel, move |event| close_outside(&event)),
        window_event_listener(ev::touchmove, move |event| close_outside(&event)),
        window_event_listener(ev::resize, move |event| close_outside(&event)),
    ];
    on_cleanup(move || listeners.into_iter().for_each(|listener| listener.remove()));
    let close_on_escape = move |event: ev::KeyboardEvent| {
        if event.key() == "Escape" && is_open.get_untracked() {
            event.stop_propagation();
            position.set(None);
            if let Some(button) = button.get_untracked() {
                let _ = button.focus();
            }
        }
    };
    let toggle = move |_| {
        position.update(|position| {
            *position = match position {
                Some(_) => None,
                None => button.get_untracked().map(|button| beside(&button)),
            }
        });
    };
    view! {
        <div class="menu" node_ref=root on:keydown=close_on_escape>
            <button
                node_ref=button
                class="quiet"
                class:icon-only=!has_word
                aria-label=label.clone()
                title=label
                aria-haspopup="true"
                aria-expanded=move || is_open.get().to_string()
                on:click=toggle
            >
                {match word {
                    Some(word) => view! { {word}" ▾" }.into_any(),
                    None => view! { <Icon name="more" /> }.into_any(),
                }}
            </button>
            <Show when=move || is_open.get()>
                <div
                    class="menu-list"
                    style:left=pixels(position, |at| at.left)
                    style:right=pixels(position, |at| at.right)
                    style:top=pixels(position, |at| at.top)
                    style:bottom=pixels(position, |at| at.bottom)
                    style:max-height=pixels(position, |at| at.max_height)
                    on:click=move |_| position.set(None)
                >
                    {children()}
                </div>
            </Show>
        </div>
    }
}

/// The position of a list in the window, pixels. Each property is set by itself, because the content security policy forbids `style`
/// attributes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Position {
    left: Option<f64>,
    right: Option<f64>,
    top: Option<f64>,
    bottom: Option<f64>,
    max_height: Option<f64>,
}

/// A property of the position, as CSS.
fn pixels(position: RwSignal<Option<Position>>, property: fn(Position) -> Option<f64>) -> impl Fn() -> String + Clone {
    move || position.get().and_then(property).map_or_else(|| "auto".to_owned(), |value| format!("{value:.0}px"))
}

/// The position of a list beside its button, inside of the window: aligned to the edge of the button that leaves room,
/// below it, or above it if there is more room.
fn beside(button: &web_sys::Element) -> Position {
    let Some(page) = document().document_element() else { return Position::default() };
    let (width, height) = (f64::from(page.client_width()), f64::from(page.client_height()));
    let rect = button.get_bounding_client_rect();
    let across = match rect.right() >= LIST_WIDTH {
        true => Position { right: Some((width - rect.right()).max(MARGIN)), ..Position::default() },
        false if rect.left() + LIST_WIDTH <= width => Position { left: Some(rect.left()), ..Position::default() },
        // As near to the button as the width of the list allows.
        false => {
            let room = (width - LIST_WIDTH - MARGIN).max(MARGIN);
            Position { right: Some((width - rect.right()).clamp(MARGIN, room)), ..Position::default() }
        }
    };
    let (below, above) = (height - rect.bottom() - MARGIN, rect.top() - MARGIN);
    match below >= LIST_HEIGHT || below >= above {
        true => Position { top: Some(rect.bottom()), max_height: Some(below), ..across },
        false => Position { bottom: Some(height - rect.top()), max_height: Some(above), ..across },
    }
}
