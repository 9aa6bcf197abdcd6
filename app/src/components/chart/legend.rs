//! The legend of a chart: each curve with its value at the crosshair, or its newest value. The x of the crosshair
//! is written on the axis, so that the legend keeps its length.

use figure::number;
use figure::scene::Role;
use figure::{Curve, Style};
use leptos::prelude::*;
use wire::series::Bucket;

use super::content::Drawn;

/// One entry of the legend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    name: String,
    role: Role,
    style: &'static str,
    value: String,
    meaning: String,
}

/// The entries for a position on the x axis, or for the newest values.
pub(super) fn entries(drawn: &Drawn, curves: &[Curve], x: Option<f64>) -> Vec<Entry> {
    let spec = &drawn.content.spec;
    let readings = x.filter(|x| drawn.layout.x.contains(*x)).map(|x| drawn.layout.readings(curves, x));
    let mut entries = vec![];
    for (index, (curve, line)) in
        curves.iter().zip(&drawn.content.lines).enumerate().filter(|(_, (curve, _))| !curve.name.is_empty())
    {
        let is_aside = matches!(curve.style, Style::Planned | Style::Abandoned) || line.is_past;
        let bucket = match &readings {
            Some(readings) => readings.iter().find(|reading| reading.curve == index).map(|reading| reading.bucket),
            None if is_aside => continue,
            None => curve.last().map(|last| match line.newest {
                Some(value) => Bucket { min: value, max: value, mean: value, count: 1, ..*last },
                None => *last,
            }),
        };
        // A curve in two parts, measured and planned, has one entry: the part that has a value here.
        let has_other_part = || curves.iter().any(|other| other.name == curve.name && !std::ptr::eq(other, curve));
        if bucket.is_none() && (is_aside || has_other_part()) {
            continue;
        }
        entries.push(entry(line.name.clone(), line.role, curve.style, bucket, &spec.unit, &line.meaning));
    }
    entries
}

fn entry(name: String, role: Role, style: Style, bucket: Option<Bucket>, unit: &str, meaning: &str) -> Entry {
    let style = match style {
        Style::Stacked => "block",
        Style::Planned => "dashed",
        _ => "line",
    };
    let Some(bucket) = bucket else {
        return Entry { name, role, style, value: "–".into(), meaning: meaning.to_owned() };
    };
    let folded = if bucket.count > 1 {
        let (least, greatest) = (number::in_unit(bucket.min, unit), number::in_unit(bucket.max, unit));
        let range = if least == greatest { String::new() } else { format!(" from {least} to {greatest}") };
        format!("Mean of {} values{range}. ", number::whole(bucket.count))
    } else {
        String::new()
    };
    let meaning = format!("{name}: {}. {folded}{meaning}", with_its_unit(bucket.mean, unit));
    Entry { name, role, style, value: written(bucket.mean, unit), meaning }
}

/// The unit is in the title; only values with a prefix and times need their own.
fn written(value: f64, unit: &str) -> String {
    match number::Format::of(unit) {
        number::Format::Plain if unit == MILLISECONDS && (0.0..LEAST_MS).contains(&value) => {
            format!("< {LEAST_MS}{}{MILLISECONDS}", number::THIN)
        }
        number::Format::Plain if unit == MILLISECONDS => number::with_unit(value, unit),
        number::Format::Plain => number::in_unit(value, unit),
        _ => number::with_unit(value, unit),
    }
}

/// The value with its unit, for the tooltip.
fn with_its_unit(value: f64, unit: &str) -> String {
    match unit {
        "nats/token" | "bits/byte" => format!("{}{}{unit}", number::in_unit(value, unit), number::THIN),
        "ratio" => number::in_unit(value, unit),
        _ => number::with_unit(value, unit),
    }
}

/// The unit of the phases of a step, whose values need it: a step time can also be in seconds.
const MILLISECONDS: &str = "ms";
/// Shorter times are not distinguished.
const LEAST_MS: f64 = 0.01;

#[component]
pub(super) fn Legend(entries: RwSignal<Vec<Entry>>) -> impl IntoView {
    view! {
        <ul class="legend">
            {move || entries.get().into_iter().map(|entry| view! {
                <li title=entry.meaning class=entry.style>
                    <i style:--tone=format!("var({})", entry.role.property())></i>
                    <span class="dim">{entry.name}</span>
                    <b>{entry.value}</b>
                </li>
            }).collect_view()}
        </ul>
    }
}
