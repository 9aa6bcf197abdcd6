//! Boxed closures for views. Every closure in a view has its own type, and each type adds about a kilobyte of code to
//! the page; boxed closures share their code.

use leptos::ev;
use leptos::prelude::*;

/// A part of a view that is shown again when the signals that it reads change.
pub(crate) fn shows<V: IntoAny>(show: impl Fn() -> V + Send + 'static) -> AnyView {
    let shown: Box<dyn FnMut() -> AnyView + Send> = Box::new(move || show().into_any());
    shown.into_any()
}

/// A text that follows the signals that it reads.
pub(crate) fn says(say: impl Fn() -> String + Send + Sync + 'static) -> Signal<String> {
    Signal::derive(say)
}

/// A click handler.
pub(crate) fn clicks(act: impl FnMut(ev::MouseEvent) + 'static) -> Box<dyn FnMut(ev::MouseEvent)> {
    Box::new(act)
}
