//! A table that scrolls sideways on narrow screens, also with the keyboard.

use leptos::prelude::*;

/// A table in a region that takes the focus, so that arrow keys scroll it.
pub(super) fn scroll_table(label: &'static str, table: impl IntoView + 'static) -> AnyView {
    view! { <div class="scroll" role="region" tabindex="0" aria-label=label>{table.into_any()}</div> }.into_any()
}
