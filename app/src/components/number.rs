//! Numbers as the page writes them: those of `figure` (three significant digits, thin spaces, always a unit) with the
//! exact value and the meaning in a tooltip, and times in the time zone of the browser.

use leptos::prelude::*;
use wasm_bindgen::JsValue;

pub(crate) use figure::number::{THIN, bytes, duration, short as small, whole as grouped};
pub(crate) use wire::number::counted;

/// A number with its unit; the tooltip has the exact value and the meaning.
#[component]
pub(crate) fn Number(
    /// As shown, in three digits: "12.4 k".
    #[prop(into)]
    text: String,
    /// "tok/s"; empty if the text contains it.
    #[prop(into, default = String::new())]
    unit: String,
    /// The exact value and the formula in a sentence.
    #[prop(into)]
    meaning: String,
) -> impl IntoView {
    view! {
        <span class="number" title=meaning>
            {text}
            {(!unit.is_empty()).then(|| view! { <span class="unit">{THIN}{unit}</span> })}
        </span>
    }
}

/// A count: 124439808 as "124 M", billions as "1.31 B"; small whole numbers as they are.
pub(crate) fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 10_000.0 {
        return figure::number::fixed(value, 0);
    }
    let (factor, letter) = figure::number::prefix(value.abs());
    let digits = figure::number::short(value / factor);
    // Billions: papers count parameters and tokens so.
    let letter = if letter == "G" { "B" } else { letter };
    if letter.is_empty() { digits } else { format!("{digits}{THIN}{letter}") }
}

/// A duration in words: "about 3 minutes".
pub(crate) fn about(secs: f64) -> String {
    let of = |count: f64, unit: &str| format!("about {count:.0} {unit}{}", if count == 1.0 { "" } else { "s" });
    match secs {
        s if s < 10.0 => "a few seconds".into(),
        s if s < 55.0 => of((s / 5.0).round() * 5.0, "second"),
        s if s < 55.0 * 60.0 => of((s / 60.0).round().max(1.0), "minute"),
        s if s < 36.0 * 3600.0 => of((s / 3600.0).round().max(1.0), "hour"),
        s if s < 60.0 * 86_400.0 => of((s / 86_400.0).round(), "day"),
        s if s < 700.0 * 86_400.0 => of((s / (30.4 * 86_400.0)).round(), "month"),
        s => of((s / (365.25 * 86_400.0)).round(), "year"),
    }
}

/// A loss with three decimals.
pub(crate) fn loss(value: f64) -> String {
    if value.is_finite() { format!("{value:.3}") } else { "not finite".into() }
}

/// "14:20" today, "3 Nov 14:20" on another day, in the time zone of the browser.
pub(crate) fn clock(at_ms: f64) -> String {
    let at = js_sys::Date::new(&JsValue::from_f64(at_ms));
    let now = js_sys::Date::new_0();
    let time = format!("{:02}:{:02}", at.get_hours(), at.get_minutes());
    let is_today = at.to_date_string() == now.to_date_string();
    if is_today { time } else { format!("{} {time}", day(&at)) }
}

/// "29 Nov 2026 14:20:05": a moment of any day, to the second, in the time zone of the browser.
pub(crate) fn moment(at_ms: f64) -> String {
    let at = js_sys::Date::new(&JsValue::from_f64(at_ms));
    let time = format!("{:02}:{:02}:{:02}", at.get_hours(), at.get_minutes(), at.get_seconds());
    format!("{} {} {time}", day(&at), at.get_full_year())
}

fn day(at: &js_sys::Date) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    format!("{} {}", at.get_date(), MONTHS[at.get_month() as usize % 12])
}

/// "just now", "5 min ago", else the clock.
pub(crate) fn ago(at_ms: f64) -> String {
    let secs = (js_sys::Date::now() - at_ms) / 1000.0;
    match secs {
        s if s < 60.0 => "just now".into(),
        s if s < 3600.0 => format!("{:.0}{THIN}min ago", s / 60.0),
        _ => clock(at_ms),
    }
}

/// The clock of the browser, ms since 1970.
pub(crate) fn now_ms() -> f64 {
    js_sys::Date::now()
}
