//! The icons: one stroke, 16 units square, in the colour of the text beside them. They always have a text or a label.

use leptos::prelude::*;

fn path(name: &str) -> &'static str {
    match name {
        "queued" => "M8 4.5V8l2.5 1.5M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2Z",
        "starting" => "M8 2a6 6 0 0 1 6 6M8 14a6 6 0 0 1-6-6",
        "paused" => "M5.5 3.5v9M10.5 3.5v9",
        "suspended" => "M8 3 13 9.5H3ZM3 13h10",
        "finished" => "M3 8.5 6.5 12 13 4.5",
        "stopped" => "M4 4h8v8H4Z",
        "failed" => "M4 4l8 8M12 4l-8 8",
        "lost" => "M5.8 6.2A2.3 2.3 0 1 1 8.6 8.4C8.2 8.6 8 8.9 8 9.4V10M8 12.6v.2",
        "up" => "M8 13V3.5M4 7l4-4 4 4",
        "down" => "M8 3v9.5M4 9l4 4 4-4",
        "more" => "M3.5 8h.01M8 8h.01M12.5 8h.01",
        "plus" => "M8 3v10M3 8h10",
        "close" => "M4 4l8 8M12 4l-8 8",
        "search" => "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9ZM10.5 10.5 14 14",
        "file" => "M4 1.5h5L12.5 5v9.5H4ZM9 1.5V5h3.5",
        "undo" => "M3 6h6.5a3.5 3.5 0 0 1 0 7H6M5.5 3 2.7 6l2.8 3",
        "fork" => "M4 2.5v11M4 9.5c0-3 7-2 7-6M9 5l2-2 2 2",
        "back" => "M3.5 8a4.5 4.5 0 1 0 1.6-3.4M3 2.5v3.2h3.2",
        "flag" => "M4 14V2.5M4 3h7.5L9.8 5.75 11.5 8.5H4",
        "pin" => "M5.5 2.5h5M6.5 2.5v4L4.5 9h7l-2-2.5v-4M8 9v4.5",
        "link" => {
            "M6.5 9.5l3-3M7 4.5 8.8 2.7a2.6 2.6 0 0 1 3.7 3.7L10.7 8.2M9 11.5l-1.8 1.8a2.6 2.6 0 0 1-3.7-3.7L5.3 7.8"
        }
        "share" => "M8 9.5V2M5 4.5 8 1.8l3 2.7M3.5 7.5v6h9v-6",
        "present" => "M2 3h12v8H2ZM8 11v2M5 14.5 8 12l3 2.5M6.5 5.5v3L9.5 7Z",
        "screen" => "M2 3h12v8.5H2ZM5.5 14h5M5 8.5V6h2.5M11 6v2.5H8.5",
        "warning" => "M8 2.5 14.5 13.5h-13ZM8 6.5v3.5M8 11.8v.1",
        "assistant" => "M2.5 3h11v8H7.5L4.5 13.5V11h-2ZM5 6h6M5 8.5h4",
        "download" => "M8 2v8M4.5 7 8 10.5 11.5 7M2.5 13.5h11",
        _ => "",
    }
}

/// An icon by its name; hidden from screen readers, which read the text beside it.
#[component]
pub(crate) fn Icon(name: &'static str) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
            {if name == "running" {
                view! { <circle cx="8" cy="8" r="4.5" fill="currentColor" stroke="none" /> }.into_any()
            } else {
                view! { <path d=path(name) /> }.into_any()
            }}
        </svg>
    }
}

/// The logo. The same drawing is public/flame.svg, the icon of the browser tab.
#[component]
pub(crate) fn Flame(size: u32) -> impl IntoView {
    view! {
        <svg class="flame" width=size height=size viewBox="0 0 32 32" aria-hidden="true">
            <path
                class="outer"
                d="M17.5 1.5c1 4.6-1.3 6.9-3.8 9.6C11 14 8 17 8 21.6 8 27 12 30.5 16.2 30.5c4.7 0 8.3-3.6 8.3-8.7 \
                   0-3.7-1.7-6.4-3.3-8.7-.2 2-.9 3.4-2.2 4.3.6-6-.2-11.7-1.5-15.9Z"
            />
            <path
                class="inner"
                d="M16.3 16.5c.3 2.7-3.8 4.3-3.8 8 0 2.7 1.8 4.6 3.9 4.6 2.2 0 4-1.7 4-4.3 0-3-2.5-5.1-4.1-8.3Z"
            />
        </svg>
    }
}
