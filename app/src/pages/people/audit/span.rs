//! The time span of the audit log: up to now, or between two days.

use leptos::prelude::*;
use wasm_bindgen::JsValue;

use super::AuditLog;
use crate::components::number::now_ms;

const HOUR_MS: f64 = 3_600_000.0;
const DAY_MS: f64 = 24.0 * HOUR_MS;

/// Value, label and length of each span up to now.
const SPANS: [(&str, &str, f64); 4] = [
    ("hour", "Last hour", HOUR_MS),
    ("day", "Last 24 hours", DAY_MS),
    ("week", "Last 7 days", 7.0 * DAY_MS),
    ("month", "Last 30 days", 30.0 * DAY_MS),
];
/// The span between two days that are chosen.
const DAYS: &str = "days";

#[component]
pub(super) fn SpanFilter() -> impl IntoView {
    let log = expect_context::<AuditLog>();
    let chosen = RwSignal::new(String::new());
    let (from, to) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let choose = move |value: String| {
        let length = SPANS.iter().find(|(known, ..)| *known == value).map(|(.., length)| *length);
        chosen.set(value);
        log.change(|query| {
            query.from_ms = length.map(|length| (now_ms() - length) as i64);
            query.to_ms = None;
        });
        from.set(String::new());
        to.set(String::new());
    };
    let set_days = move || {
        let (from, to) = (begin_ms(&from.get_untracked()), begin_ms(&to.get_untracked()));
        log.change(|query| {
            query.from_ms = from;
            // The last day is included.
            query.to_ms = to.map(|to| to + DAY_MS as i64);
        });
    };
    // Clearing all filters clears the span.
    Effect::new(move || {
        let is_open = log.query.with(|query| query.from_ms.is_none() && query.to_ms.is_none());
        let has_day = !from.read_untracked().is_empty() || !to.read_untracked().is_empty();
        // Days that are about to be chosen are no span yet.
        if is_open && (chosen.get_untracked() != DAYS || has_day) {
            chosen.set(String::new());
            from.set(String::new());
            to.set(String::new());
        }
    });
    view! {
        <select aria-label="Time" title="Only entries in this period" on:change:target=move |event| choose(event.target().value())>
            <option value="" prop:selected=move || chosen.read().is_empty()>"All time"</option>
            {SPANS.map(|(value, label, _)| view! {
                <option value=value prop:selected=move || *chosen.read() == value>{label}</option>
            })}
            <option value=DAYS prop:selected=move || *chosen.read() == DAYS>"Between two days …"</option>
        </select>
        <Show when=move || *chosen.read() == DAYS>
            {[("First day", "The first day, from midnight on", from), ("Last day", "The last day, to its end", to)]
                .map(|(label, title, day)| view! {
                    <input
                        type="date"
                        aria-label=label
                        title=title
                        prop:value=day
                        on:change:target=move |event| {
                            day.set(event.target().value());
                            set_days();
                        }
                    />
                })}
        </Show>
    }
}

/// The beginning of a day (`2026-11-29`) in the time zone of the browser, ms since 1970.
fn begin_ms(day: &str) -> Option<i64> {
    if day.is_empty() {
        return None;
    }
    let at = js_sys::Date::new(&JsValue::from_str(&format!("{day}T00:00:00"))).get_time();
    at.is_finite().then_some(at as i64)
}
