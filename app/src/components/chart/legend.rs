//! The legend of a chart: each curve with its value at the crosshair, or its newest value. The x of the crosshair
//! is written on the axis, so that the legend keeps its length.

use figure::number;
use figure::scene::Role;
use figure::{Aggregation, ChartSpec, Curve, Style};
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
        let mut entry = entry(line.name.clone(), line.role, curve.style, bucket, spec, &line.meaning);
        if let Some(step) = line.measured_at.filter(|_| readings.is_none()) {
            entry.value = format!("{} at step {}", entry.value, number::whole(step));
        }
        entries.push(entry);
    }
    entries
}

fn entry(name: String, role: Role, style: Style, bucket: Option<Bucket>, spec: &ChartSpec, meaning: &str) -> Entry {
    let style = match style {
        Style::Stacked => "block",
        Style::Planned => "dashed",
        _ => "line",
    };
    let Some(bucket) = bucket else {
        return Entry { name, role, style, value: "–".into(), meaning: meaning.to_owned() };
    };
    // The one curve of a measured quantity is its mean.
    let prefix = if spec.aggregation == Aggregation::Time { String::new() } else { format!("{name}: ") };
    let value = with_its_unit(bucket.mean, &spec.unit);
    let meaning = format!("{prefix}{value}{}. {meaning}", folded(&bucket, spec));
    Entry { name, role, style, value: written(bucket.mean, &spec.unit), meaning }
}

/// `, the mean over steps 1 200 to 1 203; lowest 1.92e-3, highest 1.94e-3`; empty for a single value.
fn folded(bucket: &Bucket, spec: &ChartSpec) -> String {
    if bucket.count <= 1 {
        return String::new();
    }
    let (low, high) = (with_its_unit(bucket.min, &spec.unit), with_its_unit(bucket.max, &spec.unit));
    let over = match spec.aggregation {
        Aggregation::Time => number::with_unit((bucket.last_x - bucket.x).round().max(1.0), "s"),
        _ => format!("steps {} to {}", number::whole(bucket.step), number::whole(bucket.last_step)),
    };
    let band = match spec.aggregation {
        Aggregation::StepsWithError => format!("; mean ± 2 standard errors: {low} to {high}"),
        _ if low == high => String::new(),
        _ => format!("; lowest {low}, highest {high}"),
    };
    format!(", the mean over {over}{band}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_says_over_what_and_what_its_band_spans() {
        let bucket = Bucket { step: 10, last_step: 14, x: 0.0, last_x: 10.0, min: 1.0, max: 3.0, mean: 2.0, count: 5 };
        let words = |aggregation, bucket: &Bucket| {
            let spec = ChartSpec { aggregation, ..ChartSpec::default() };
            folded(bucket, &spec).replace(number::THIN, " ")
        };
        assert_eq!(words(Aggregation::Steps, &bucket), ", the mean over steps 10 to 14; lowest 1, highest 3");
        assert_eq!(
            words(Aggregation::StepsWithError, &bucket),
            ", the mean over steps 10 to 14; mean ± 2 standard errors: 1 to 3"
        );
        assert_eq!(words(Aggregation::Time, &bucket), ", the mean over 10 s; lowest 1, highest 3");
        assert_eq!(words(Aggregation::Steps, &Bucket { count: 1, ..bucket }), "");
    }
}
