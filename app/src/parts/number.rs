//! Numbers as the page writes them: three significant digits, thin spaces, a unit always, and the exact value with its
//! meaning on hover.

use leptos::prelude::*;
use wasm_bindgen::JsValue;

/// Between groups of digits, and between a number and its unit.
const THIN: char = '\u{2009}';

/// A number with its unit; hover tells the exact value and the meaning.
#[component]
pub(crate) fn Number(
    /// As shown, in three digits: "12.4 k".
    #[prop(into)]
    text: String,
    /// "tok/s"; never empty, except where the text carries it.
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

/// 124439808 as "124 M"; small whole numbers as they are.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    let (scaled, letter) = match size {
        _ if !value.is_finite() => return "–".into(),
        _ if size < 10_000.0 && value.fract() == 0.0 => return grouped(value as u64),
        _ if size < 1e3 => (value, ""),
        _ if size < 999.5e3 => (value / 1e3, "k"),
        _ if size < 999.5e6 => (value / 1e6, "M"),
        _ if size < 999.5e9 => (value / 1e9, "G"),
        _ if size < 999.5e12 => (value / 1e12, "T"),
        _ if size < 999.5e15 => (value / 1e15, "P"),
        _ => return format!("{value:.2e}"),
    };
    if letter.is_empty() { digits(scaled) } else { format!("{}{THIN}{letter}", digits(scaled)) }
}

/// Three significant digits.
fn digits(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size >= 99.95 => format!("{value:.0}"),
        _ if size >= 9.995 => format!("{value:.1}"),
        _ if size >= 0.0995 || size == 0.0 => format!("{value:.2}"),
        _ if size >= 0.00995 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

/// Every digit, in groups of three.
pub(crate) fn grouped(value: u64) -> String {
    let text = value.to_string();
    let mut out = String::with_capacity(text.len() + text.len() / 3);
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && (text.len() - at).is_multiple_of(3) {
            out.push(THIN);
        }
        out.push(digit);
    }
    out
}

/// Bytes in powers of ten: "1.23 GB".
pub(crate) fn bytes(value: u64) -> String {
    let size = short(value as f64);
    match size.rsplit_once(THIN) {
        Some((digits, letter)) if letter.starts_with(|c: char| c.is_ascii_alphabetic()) => format!("{digits}{THIN}{letter}B"),
        _ => format!("{size}{THIN}B"),
    }
}

/// A stretch of time in its two largest units: "3 min 20 s", "2 h 5 min".
pub(crate) fn duration(secs: f64) -> String {
    let whole = secs.max(0.0).round() as u64;
    let pair = |large: u64, small: u64, names: (&str, &str)| match small {
        0 => format!("{large}{THIN}{}", names.0),
        _ => format!("{large}{THIN}{} {small}{THIN}{}", names.0, names.1),
    };
    match whole {
        _ if !secs.is_finite() => "–".into(),
        0 => format!("<{THIN}1{THIN}s"),
        1..60 => format!("{whole}{THIN}s"),
        60..600 => pair(whole / 60, whole % 60, ("min", "s")),
        600..3600 => format!("{}{THIN}min", (whole + 30) / 60),
        3600..86_400 => pair(whole / 3600, whole % 3600 / 60, ("h", "min")),
        _ => pair(whole / 86_400, whole % 86_400 / 3600, ("d", "h")),
    }
}

/// A wait in words for a button or a card: "about 3 minutes".
pub(crate) fn about(secs: f64) -> String {
    let of = |count: f64, unit: &str| format!("about {count:.0} {unit}{}", if count == 1.0 { "" } else { "s" });
    match secs {
        s if s < 10.0 => "seconds".into(),
        s if s < 55.0 => of((s / 5.0).ceil() * 5.0, "second"),
        s if s < 55.0 * 60.0 => of((s / 60.0).round().max(1.0), "minute"),
        s if s < 36.0 * 3600.0 => of((s / 3600.0).round().max(1.0), "hour"),
        s => of((s / 86_400.0).round(), "day"),
    }
}

/// A learning rate or the like: "1.0e-3", "0.10".
pub(crate) fn small(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.01 { format!("{value:.1e}") } else { digits(value) }
}

/// A loss: four digits, since the third decides.
pub(crate) fn loss(value: f64) -> String {
    if value.is_finite() { format!("{value:.3}") } else { "not a number".into() }
}

/// "14:20" today, "3 Nov 14:20" on another day, in the reader's own time zone.
pub(crate) fn clock(at_ms: f64) -> String {
    let at = js_sys::Date::new(&JsValue::from_f64(at_ms));
    let now = js_sys::Date::new_0();
    let time = format!("{:02}:{:02}", at.get_hours(), at.get_minutes());
    let is_today = at.to_date_string() == now.to_date_string();
    if is_today { time } else { format!("{} {time}", day(&at)) }
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

/// The browser's clock, milliseconds since 1970.
pub(crate) fn now_ms() -> f64 {
    js_sys::Date::now()
}
