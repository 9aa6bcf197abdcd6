//! The presentation of a page that is reloaded: the page that is left keeps its number for this tab, and the next one continues it while
//! the server still has it.

use leptos::prelude::*;

const KEY: &str = "kindling.presenting";
/// A page that has left for longer does not continue: the server ends a presentation 30 s after its page has left.
const WITHIN_MS: f64 = 25_000.0;

/// The number of the presentation that the page before in this tab gave when it was left.
pub(super) fn interrupted() -> Option<u64> {
    let storage = storage()?;
    let kept = storage.get_item(KEY).ok().flatten()?;
    // A tab that is duplicated later must not take the presentation over.
    let _ = storage.remove_item(KEY);
    read(&kept, js_sys::Date::now())
}

/// Keeps the number when the page is left.
pub(super) fn start(own: RwSignal<Option<u64>>) {
    let listener = window_event_listener_untyped("pagehide", move |_| {
        if let (Some(id), Some(storage)) = (own.try_get_untracked().flatten(), storage()) {
            // Without storage the presentation ends with the page.
            let _ = storage.set_item(KEY, &format!("{id} {}", js_sys::Date::now()));
        }
    });
    on_cleanup(move || listener.remove());
}

/// The number in a text of number and time, unless that is too long ago.
fn read(kept: &str, now_ms: f64) -> Option<u64> {
    let (id, left_ms) = kept.split_once(' ')?;
    let since = now_ms - left_ms.parse::<f64>().ok()?;
    (0.0..WITHIN_MS).contains(&since).then(|| id.parse().ok()).flatten()
}

fn storage() -> Option<web_sys::Storage> {
    window().session_storage().ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_presentation_is_continued_only_shortly_after_it_was_left() {
        for (kept, expected) in
            [("7 1000", Some(7)), ("7 -30000", None), ("7 9000", None), ("7", None), ("x 1000", None)]
        {
            assert_eq!(read(kept, 2000.0), expected, "{kept}");
        }
    }
}
