//! What views are made of, behind one type each. Every closure in a view is a type of its own, and each costs the page about a kilobyte;
//! behind a box they share their code.

use leptos::ev;
use leptos::prelude::*;

/// What a closure shows, again when what it reads changes.
pub(crate) fn shows<V: IntoAny>(show: impl Fn() -> V + Send + 'static) -> AnyView {
    let shown: Box<dyn FnMut() -> AnyView + Send> = Box::new(move || show().into_any());
    shown.into_any()
}

/// What a closure says.
pub(crate) fn says(say: impl Fn() -> String + Send + Sync + 'static) -> Signal<String> {
    Signal::derive(say)
}

/// What a click does.
pub(crate) fn clicks(act: impl FnMut(ev::MouseEvent) + 'static) -> Box<dyn FnMut(ev::MouseEvent)> {
    Box::new(act)
}
