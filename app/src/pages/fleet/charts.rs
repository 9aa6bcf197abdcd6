//! The history of a device as charts with one crosshair: utilization, memory, temperature, power and clock.

use std::time::Duration;

use figure::scene::Role;
use figure::{Aggregation, ChartSpec};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::DeviceId;
use wire::device::DeviceKind;
use wire::series::{Axis, Bucket};
use wire::telemetry::{Aggregate, DeviceHistory, FleetDevice, HistoryBucket, HistoryRange};

use crate::components::chart::{Chart, ChartContent, ChartGroup, Line, Range};
use crate::components::interval::every;
use crate::components::{Empty, Failure, Skeleton};
use crate::net::api::{ApiFailure, fleet};

/// Time between two requests: a bucket of the hour.
const EVERY: Duration = Duration::from_secs(10);

/// A quantity of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Quantity {
    Utilization,
    Memory,
    Temperature,
    Power,
    Clock,
    /// Of the machine of a GPU.
    Processor,
}

impl Quantity {
    const ALL: [Self; 6] =
        [Self::Utilization, Self::Memory, Self::Temperature, Self::Power, Self::Clock, Self::Processor];

    /// Title, unit and meaning.
    fn words(self, kind: DeviceKind) -> (&'static str, &'static str, &'static str) {
        match (self, kind) {
            (Self::Utilization, DeviceKind::Gpu) => {
                ("GPU load", "%", "Fraction of the time in which the GPU was computing")
            }
            (Self::Utilization, _) => ("CPU load", "%", "CPU time of the machine in use, by all programs"),
            (Self::Memory, DeviceKind::Gpu) => ("GPU memory", "B", "Memory of the GPU in use by all programs"),
            (Self::Memory, _) => ("Machine memory", "B", "Memory of the machine in use by all programs"),
            (Self::Temperature, _) => ("Temperature", "°C", "Temperature of the GPU, or of the processor"),
            (Self::Power, _) => ("Power", "W", "Power that the GPU draws"),
            (Self::Clock, _) => ("Clock", "MHz", "Clock of the cores; a mean over the cores of a processor"),
            (Self::Processor, _) => ("CPU load of the machine", "%", "CPU time of the machine in use, by all programs"),
        }
    }

    fn of(self, bucket: &HistoryBucket) -> Option<Aggregate> {
        match self {
            Self::Utilization => bucket.utilization,
            Self::Memory => bucket.memory_used_bytes,
            Self::Temperature => bucket.temperature_c,
            Self::Power => bucket.power_w,
            Self::Clock => bucket.clock_mhz,
            Self::Processor => bucket.cpu_utilization,
        }
    }

    /// Units of the chart in one unit of the history.
    fn factor(self) -> f64 {
        match self {
            Self::Utilization | Self::Processor => 100.0,
            _ => 1.0,
        }
    }

    /// The most that the device has or may use, which is the top of the chart.
    fn most(self, device: Option<&FleetDevice>) -> Option<f64> {
        let telemetry = device.and_then(|device| Some((device.telemetry.as_ref()?, device.info.kind)));
        match self {
            Self::Utilization | Self::Processor => Some(100.0),
            Self::Memory => telemetry.and_then(|(of, kind)| of.memory(kind)).map(|(_, total)| total as f64),
            Self::Power => telemetry.and_then(|(of, _)| of.power_limit_w),
            Self::Temperature | Self::Clock => None,
        }
    }
}

/// Utilization, memory, temperature and power over the last hour or day.
#[component]
pub(super) fn DeviceCharts(id: DeviceId, device: Memo<Option<FleetDevice>>) -> impl IntoView {
    let range = RwSignal::new(HistoryRange::Hour);
    let history = RwSignal::new(None::<Result<DeviceHistory, ApiFailure>>);
    let id = StoredValue::new(id);
    let fetch = move || {
        let (id, wanted) = (id.get_value(), range.get_untracked());
        spawn_local(async move {
            let answer = fleet::history(&id, wanted).await;
            // Another range may have been chosen meanwhile, and a failed update keeps the curves.
            let is_wanted = range.try_get_untracked() == Some(wanted);
            let keeps =
                answer.is_err() && history.try_with_untracked(|known| matches!(known, Some(Ok(_)))) == Some(true);
            if is_wanted && !keeps {
                history.try_set(Some(answer));
            }
        });
    };
    Effect::new(move || {
        range.track();
        fetch();
    });
    every(EVERY, move || {
        if !document().hidden() {
            fetch();
        }
    });
    let shown = Memo::new(move |_| match &*history.read() {
        Some(Ok(history)) => Some(Quantity::ALL.into_iter().filter(|of| has_values(history, *of)).collect::<Vec<_>>()),
        _ => None,
    });
    let in_view = RwSignal::new(None::<Range>);
    let group = ChartGroup {
        crosshair: RwSignal::new(None),
        show: Callback::new(move |wanted: Option<Range>| {
            let whole = Range { from: -(range.get_untracked().secs() as f64), to: 0.0 };
            in_view.set(wanted.and_then(|wanted| wanted.within(whole)));
        }),
        press: Callback::new(|_| ()),
        describe: Callback::new(|_| None),
    };
    let choose = move |of: HistoryRange| {
        in_view.set(None);
        history.set(None);
        range.set(of);
    };
    let changed = Signal::derive(move || {
        history.track();
        in_view.track();
        device.track();
    });
    view! {
        <section class="stack" aria-labelledby="history-title">
            <div class="row">
                <h2 id="history-title" class="grow">"History"</h2>
                <div class="tabs" role="group" aria-label="Range of the charts">
                    {[(HistoryRange::Hour, "Last hour", "Means over 10 s with minimum and maximum"),
                        (HistoryRange::Day, "Last day", "Means over 5 min with minimum and maximum")]
                        .map(|(of, word, meaning)| view! {
                            <button
                                class="tab"
                                title=meaning
                                aria-pressed=move || (range.get() == of).to_string()
                                on:click=move |_| choose(of)
                            >
                                {word}
                            </button>
                        })}
                </div>
            </div>
            {move || match (shown.get(), &*history.read()) {
                (None, Some(Err(failure))) => {
                    let failure = failure.clone();
                    view! { <Failure what="The history could not be fetched" failure retry=move |()| fetch() /> }.into_any()
                }
                (None, _) => view! { <Skeleton rows=3 class="tall" /> }.into_any(),
                (Some(shown), _) if shown.is_empty() => view! {
                    <div class="sheet">
                        <Empty title="No measurements in this range" text="The worker of this device reports every two seconds while it is \
                            connected. Some platforms report nothing about a GPU." />
                    </div>
                }.into_any(),
                (Some(_), _) => ().into_any(),
            }}
            <div class="fleet-charts">
                <For each=move || shown.get().unwrap_or_default() key=|of| *of let(of)>
                    <QuantityChart of group device history in_view range changed />
                </For>
            </div>
        </section>
    }
}

#[component]
fn QuantityChart(
    of: Quantity,
    group: ChartGroup,
    device: Memo<Option<FleetDevice>>,
    history: RwSignal<Option<Result<DeviceHistory, ApiFailure>>>,
    in_view: RwSignal<Option<Range>>,
    range: RwSignal<HistoryRange>,
    changed: Signal<()>,
) -> impl IntoView {
    let kind = device.read_untracked().as_ref().map_or(DeviceKind::Cpu, |device| device.info.kind);
    let (title, unit, meaning) = of.words(kind);
    let paint = move || {
        let whole = Range { from: -(range.get_untracked().secs() as f64), to: 0.0 };
        let view = in_view.get_untracked().unwrap_or(whole);
        let most = of.most(device.read_untracked().as_ref());
        let buckets = match &*history.read_untracked() {
            Some(Ok(history)) => points(history, of),
            _ => vec![],
        };
        let spec = ChartSpec {
            title: title.to_owned(),
            unit: unit.to_owned(),
            axis: Axis::Secs,
            aggregation: Aggregation::Time,
            x_name: Some("now"),
            from: Some(view.from),
            to: Some(view.to),
            y_from: most.map(|_| 0.0),
            y_to: most,
            has_zero: of == Quantity::Memory || of == Quantity::Power,
            ..ChartSpec::default()
        };
        let lines =
            vec![Line::new("mean", "The band spans the lowest and the highest measurement.", Role::Run(0), buckets)];
        ChartContent { spec, lines, ..ChartContent::default() }
    };
    view! { <Chart group title unit meaning paint changed /> }
}

fn has_values(history: &DeviceHistory, of: Quantity) -> bool {
    history.buckets.iter().any(|bucket| of.of(bucket).is_some())
}

/// The buckets of a quantity, in seconds before now. Where buckets are missing there is one without a value, so that the curve has a gap.
fn points(history: &DeviceHistory, of: Quantity) -> Vec<Bucket> {
    let length = history.bucket_secs as f64;
    let mut points: Vec<Bucket> = vec![];
    for bucket in &history.buckets {
        let x = (bucket.at_ms - history.now_ms) as f64 / 1e3;
        if let Some(before) = points.last().filter(|before| x - before.last_x > 0.5 * length) {
            points.push(point(points.len(), before.last_x, x, None));
        }
        let value = of.of(bucket).map(|found| {
            let by = of.factor();
            Aggregate { min: found.min * by, mean: found.mean * by, max: found.max * by }
        });
        points.push(point(points.len(), x, (x + length).min(0.0), value));
    }
    points
}

fn point(number: usize, x: f64, last_x: f64, value: Option<Aggregate>) -> Bucket {
    let Aggregate { min, mean, max } = value.unwrap_or(Aggregate { min: f64::NAN, mean: f64::NAN, max: f64::NAN });
    let step = number as u64;
    // Two values, so that minimum and maximum are shown.
    let count = if value.is_some() { 2 } else { 0 };
    Bucket { step, last_step: step, x, last_x, min, max, mean, count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_bucket_is_a_gap_in_the_curve() {
        let bucket = |secs: i64| HistoryBucket {
            at_ms: secs * 1000,
            utilization: Some(Aggregate { min: 0.1, mean: 0.5, max: 0.75 }),
            ..HistoryBucket::default()
        };
        let history = DeviceHistory {
            range: HistoryRange::Hour,
            bucket_secs: 10,
            now_ms: 64_000,
            buckets: [0, 10, 40, 60].map(bucket).to_vec(),
        };
        let found: Vec<(f64, f64, u64)> =
            points(&history, Quantity::Utilization).iter().map(|point| (point.x, point.last_x, point.count)).collect();
        let expected = [
            (-64.0, -54.0, 2),
            (-54.0, -44.0, 2),
            (-44.0, -24.0, 0),
            (-24.0, -14.0, 2),
            (-14.0, -4.0, 0),
            (-4.0, 0.0, 2),
        ];
        assert_eq!(found, expected);
        assert_eq!(points(&history, Quantity::Utilization)[0].max, 75.0, "in percent");
        assert!(!has_values(&history, Quantity::Power));
    }
}
