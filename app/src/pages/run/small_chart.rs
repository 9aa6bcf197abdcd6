//! A small chart on the x axis and crosshair of the loss, and the mean of several series.

use leptos::prelude::*;
use wire::series::Bucket;

use super::RunContext;
use crate::components::chart::{Chart, ChartContent};

/// A chart whose content depends on the run alone.
#[component]
pub(super) fn SmallChart(
    title: &'static str,
    unit: &'static str,
    meaning: String,
    paint: fn(RunContext) -> ChartContent,
) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let changed = Signal::derive(move || context.track_charts());
    view! {
        <Chart
            group=expect_context()
            title=title.to_owned()
            unit=unit.to_owned()
            meaning
            paint=move || paint(context) changed
        />
    }
}

/// The mean of series that were measured at the same steps. Its band would span matrices and not aggregated values, so
/// it has none.
pub(super) fn mean(series: Vec<Vec<Bucket>>) -> Vec<Bucket> {
    let count = series.len() as f64;
    let mut series = series.into_iter();
    let Some(mut sum) = series.next() else { return vec![] };
    for one in series {
        for (total, bucket) in sum.iter_mut().zip(one) {
            total.mean += bucket.mean;
        }
    }
    sum.into_iter()
        .map(|bucket| {
            let mean = bucket.mean / count;
            Bucket { mean, min: mean, max: mean, ..bucket }
        })
        .collect()
}
