//! Time series: exact values, a summary, and a chart as an image.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use wire::number::grouped;
use wire::series::{Bucket, SeriesWindow, describe};

use crate::api::mcp::answer::{Answer, short};
use crate::api::mcp::brief::{given, rounded};
use crate::api::mcp::caller::{Caller, encoded, query};
use crate::api::mcp::tool::Tool;
use crate::error::ApiError;

/// Buckets from which a summary is computed.
const SUMMARIZED: u32 = 500;
/// Points of the curve of a summary.
const CURVE: usize = 20;
/// Maximum number of points that are read for an exact answer.
const READ: u32 = 10_000;
/// Points of an exact answer in all series together.
const EXACT: usize = 400;
/// Series whose units an answer lists.
const UNITS: usize = 8;
/// Longest name of a series as the key of its unit, bytes.
const NAME_BYTES: usize = 120;
/// Size of an image, pixels. Models scale larger images down to about this size.
const SIZE: (u32, u32) = (960, 480);

pub fn tools() -> Vec<Tool> {
    vec![
        Tool::reading(
            "get_series",
            "Time series of a run",
            "Values of metrics of a run. mode summary (default): first, last, minimum, maximum, mean of the last \
             tenth and a curve of 20 points. mode exact: every point of a range. get_run lists the names.",
            get_series,
        )
        .returns(&[("series", "Each series with its segment and either a summary or exact values.")]),
        Tool::reading(
            "get_figure",
            "Chart of a run",
            "A chart of a run as a PNG image: a series by its name, or loss for training and validation loss.",
            get_figure,
        )
        .returns(&[
            ("run", "The run."),
            ("series", "Name of the series, or loss."),
            ("x", "The x axis."),
            ("width", "Width of the image."),
            ("height", "Height of the image."),
        ]),
    ]
}

/// The x axis.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum XAxis {
    #[default]
    Step,
    Tokens,
    Secs,
    Flops,
}

impl XAxis {
    const fn word(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Tokens => "tokens",
            Self::Secs => "secs",
            Self::Flops => "flops",
        }
    }
}

#[derive(Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Summary,
    Exact,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetSeries {
    /// Id of the run.
    run: String,
    /// Names of series: loss.train, loss.valid, learning_rate, grad_norm, tokens_per_sec, or another that get_run lists.
    series: Vec<String>,
    /// summary by default.
    #[serde(default)]
    mode: Mode,
    /// Axis of from and to; step by default.
    #[serde(default)]
    x: XAxis,
    /// Start of the range; the beginning by default.
    from: Option<f64>,
    /// End of the range; the end by default.
    to: Option<f64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetFigure {
    /// Id of the run.
    run: String,
    /// Name of a series, or loss for training and validation loss; loss by default.
    series: Option<String>,
    /// X axis; step by default.
    #[serde(default)]
    x: XAxis,
    /// Logarithmic y axis.
    #[serde(default)]
    log: bool,
}

async fn get_series(caller: Caller, args: GetSeries) -> Result<Answer, ApiError> {
    let points = if args.mode == Mode::Exact { READ } else { SUMMARIZED };
    let fields = [
        ("names", Some(args.series.join(","))),
        ("x", Some(args.x.word().to_owned())),
        ("from", args.from.map(|from| from.to_string())),
        ("to", args.to.map(|to| to.to_string())),
        ("points", Some(points.to_string())),
    ];
    let path = format!("/runs/{}/series?{}", encoded(&args.run), query(fields));
    let windows: Vec<SeriesWindow> = caller.get_packed(&path).await?;
    let answer = match args.mode {
        Mode::Summary => Answer::new(json!({ "series": windows.iter().map(summary).collect::<Vec<_>>() })),
        Mode::Exact => exact(&windows, args.x)?,
    };
    let unit = |name: &String| (short(name, NAME_BYTES), Value::from(describe(name).unit));
    let mut answer = answer.more("ask for fewer series, or for a range with from and to");
    answer.units.extend(args.series.iter().take(UNITS).map(unit));
    Ok(match args.mode {
        Mode::Summary => answer
            .note("curve contains [step, mean, minimum, maximum] for equal parts of the range")
            .next("get_series with mode exact, and from and to around the steps of interest"),
        Mode::Exact => answer,
    })
}

fn summary(window: &SeriesWindow) -> Value {
    let finite: Vec<&Bucket> = window.buckets.iter().filter(|bucket| bucket.count > 0).collect();
    let at = |bucket: Option<&&Bucket>, value: fn(&Bucket) -> f64| {
        bucket.map(
            |bucket| json!({ "step": bucket.step, "last_step": bucket.last_step, "value": rounded(value(bucket)) }),
        )
    };
    let least = finite.iter().min_by(|a, b| a.min.total_cmp(&b.min));
    let most = finite.iter().max_by(|a, b| a.max.total_cmp(&b.max));
    let parts = finite.chunks(finite.len().div_ceil(CURVE).max(1));
    let tenth = &finite[finite.len() - finite.len().div_ceil(10)..];
    given(json!({
        "series": window.name,
        "segment": window.segment,
        "unit": describe(&window.name).unit,
        "points": window.total,
        "first": at(finite.first(), |bucket| bucket.mean),
        "last": at(finite.last(), |bucket| bucket.mean),
        "minimum": at(least, |bucket| bucket.min),
        "maximum": at(most, |bucket| bucket.max),
        "mean_of_last_tenth": mean(tenth).map(rounded),
        "curve": parts.map(part).collect::<Vec<_>>(),
    }))
}

fn mean(buckets: &[&Bucket]) -> Option<f64> {
    let count: u64 = buckets.iter().map(|bucket| bucket.count).sum();
    let sum: f64 = buckets.iter().map(|bucket| bucket.mean * bucket.count as f64).sum();
    (count > 0).then(|| sum / count as f64)
}

/// A part of a curve: its first step, mean, minimum and maximum.
fn part(buckets: &[&Bucket]) -> Value {
    let (low, high) = buckets
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), bucket| (low.min(bucket.min), high.max(bucket.max)));
    let first = buckets.first().map_or(0, |bucket| bucket.step);
    json!([first, mean(buckets).map(rounded), rounded(low), rounded(high)])
}

fn exact(windows: &[SeriesWindow], x: XAxis) -> Result<Answer, ApiError> {
    if let Some(window) = windows.iter().find(|window| !window.is_exact) {
        let message = format!("the range has {} points of {}", grouped(window.total), window.name);
        return Err(ApiError::invalid("range_too_long", message)
            .field("from")
            .hint(format!("give from and to around at most {} points, or mode summary", grouped(EXACT as u64))));
    }
    let most = (EXACT / windows.len().max(1)).max(1);
    let point = |bucket: &Bucket| match x {
        XAxis::Step => json!([bucket.step, bucket.mean]),
        _ => json!([bucket.step, bucket.mean, bucket.x]),
    };
    let shown = |window: &SeriesWindow| {
        let points: Vec<Value> = window.buckets.iter().take(most).map(point).collect();
        let next = window.buckets.get(most).map(|bucket| bucket.x);
        given(json!({
            "series": window.name, "segment": window.segment, "points": window.total, "values": points, "next_from": next,
        }))
    };
    let answer = Answer::new(json!({ "series": windows.iter().map(shown).collect::<Vec<_>>() }));
    let answer = answer.note(match x {
        XAxis::Step => "values contains [step, value]; null is a non-finite value".to_owned(),
        other => format!("values contains [step, value, {}]; null is a non-finite value", other.word()),
    });
    Ok(answer.note("if not all points are shown, the next call continues from next_from"))
}

async fn get_figure(caller: Caller, args: GetFigure) -> Result<Answer, ApiError> {
    let series = args.series.unwrap_or_else(|| "loss".to_owned());
    let fields = [
        ("x", Some(args.x.word().to_owned())),
        ("log", Some(args.log.to_string())),
        ("width", Some(SIZE.0.to_string())),
        ("height", Some(SIZE.1.to_string())),
    ];
    let file = encoded(&format!("{series}.png"));
    let path = format!("/runs/{}/figures/{file}?{}", encoded(&args.run), query(fields));
    let image = caller.fetch(&path, "image/png").await?.body;
    let data = json!({ "run": args.run, "series": series, "x": args.x.word(), "width": SIZE.0, "height": SIZE.1 });
    let answer = Answer::new(data).units(&[("width, height", "pixels")]);
    Ok(Answer { image: Some(image), ..answer }.next("get_series for the numbers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(values: &[f64]) -> SeriesWindow {
        let bucket = |(step, value): (u64, &f64)| Bucket {
            step,
            last_step: step,
            x: step as f64,
            last_x: step as f64,
            min: *value,
            max: *value,
            mean: *value,
            count: u64::from(value.is_finite()),
        };
        let buckets: Vec<Bucket> = (0..).zip(values).map(bucket).collect();
        SeriesWindow { name: "loss.train".into(), segment: 0, total: buckets.len() as u64, buckets, is_exact: true }
    }

    #[test]
    fn a_summary_has_the_extremes_and_a_short_curve() {
        let mut values: Vec<f64> = (0..100).map(|step| 4.0 - f64::from(step) * 0.01).collect();
        values[50] = 9.0;
        values[60] = f64::NAN;
        let summary = summary(&window(&values));
        assert_eq!((&summary["unit"], &summary["points"]), (&json!("nats/token"), &json!(100)));
        assert_eq!(summary["maximum"], json!({ "step": 50, "last_step": 50, "value": 9.0 }));
        assert_eq!(summary["minimum"]["step"], 99);
        assert_eq!(summary["curve"].as_array().unwrap().len(), 20);
        assert!((summary["mean_of_last_tenth"].as_f64().unwrap() - 3.055).abs() < 1e-9, "{summary}");
        let empty = super::summary(&window(&[]));
        assert_eq!((&empty["points"], &empty["curve"]), (&json!(0), &json!([])));
    }

    #[test]
    fn exact_values_say_where_the_next_call_continues() {
        let values: Vec<f64> = (0..500).map(f64::from).collect();
        let data = exact(&[window(&values)], XAxis::Step).unwrap().data;
        assert_eq!(data["series"][0]["values"].as_array().unwrap().len(), EXACT);
        assert_eq!(data["series"][0]["next_from"], 400.0);
        let long = SeriesWindow { is_exact: false, ..window(&values) };
        assert_eq!(exact(&[long], XAxis::Step).unwrap_err().body.code, "range_too_long");
    }
}
