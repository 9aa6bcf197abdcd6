//! Fetches the series of an open run so that its curves are exact at the zoom in view: an overview of the whole, the
//! range in view in detail, and the overview again when there are many live values.

use std::time::Duration;

use futures_util::future::join_all;
use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::series::{Axis, name};

use super::charts::{is_of_diagnosis, is_shown};
use super::context::RunContext;
use super::open_run::OpenRun;
use super::viewport::Viewport;
use super::{RETRY, wait};
use crate::curves::{Fetched, OWN};
use crate::net::api;
use crate::net::api::series::SeriesRequest;

/// Pause after the last zoom or drag before series are fetched, so that a turning wheel causes one request.
const SETTLED: Duration = Duration::from_millis(80);
/// Buckets of a series of a small chart, and bounds of those of the loss.
const SMALL_POINTS: u32 = 700;
const POINTS: std::ops::RangeInclusive<u32> = 400..=5_000;
/// Series in one request.
const MAX_SERIES: usize = 400;
/// Series of the small charts that every run has; seconds also place steps on the time axis.
const SMALL: [&str; 10] = [
    name::LEARNING_RATE,
    name::GRAD_NORM,
    name::TOKENS_PER_SEC,
    name::BATCH_MS,
    name::GRADIENT_MS,
    name::OPTIMIZER_MS,
    name::OTHER_MS,
    name::PROCESS_BYTES,
    name::DEVICE_BYTES,
    name::SECS,
];

/// Series that are shown of the runs that it was forked from.
const PAST: [&str; 4] = [name::TRAIN, name::VALID, name::LEARNING_RATE, name::GRAD_NORM];

/// Fetches series; only the answer to the latest request is used.
#[derive(Clone, Copy)]
pub(super) struct SeriesLoader {
    context: RunContext,
    last_request: StoredValue<u32>,
    /// The x axis for which the past was requested.
    past_of: StoredValue<Option<Axis>>,
    /// Whether the last overview has the series of the charts for diagnosis, which are fetched while those are open.
    has_diagnosis: StoredValue<bool>,
}

impl SeriesLoader {
    /// Fetches when the range in view changes, and when there are many live values.
    pub(super) fn start(context: RunContext) -> Self {
        let (last_request, past_of) = (StoredValue::new(0), StoredValue::new(None));
        let loader = Self { context, last_request, past_of, has_diagnosis: StoredValue::new(false) };
        let due = StoredValue::new_local(None::<TimeoutHandle>);
        let is_long = Memo::new(move |_| context.run.read().curves.is_long());
        Effect::new(move |is_later: Option<bool>| {
            let (axis, _) = (context.options.read().axis, context.viewport.get());
            context.has_more_charts.track();
            if context.run.read_untracked().curves.axis() != axis {
                context.run.write_untracked().curves.set_axis(axis);
                loader.past_of.set_value(None);
            }
            let is_long = is_long.get();
            let wait = if is_later.is_some() { SETTLED } else { Duration::ZERO };
            let soon = set_timeout_with_handle(move || spawn_local(loader.fetch(is_long)), wait).ok();
            due.update_value(|due| {
                if let Some(waiting) = std::mem::replace(due, soon) {
                    waiting.clear();
                }
            });
            true
        });
        on_cleanup(move || due.update_value(|due| due.take().iter().for_each(TimeoutHandle::clear)));
        loader
    }

    /// Fetches the overview if it is wanted or missing, and the range in view if it is not the whole.
    pub(super) async fn fetch(self, wants_overview: bool) {
        let (context, number) = (self.context, self.last_request.try_get_value().unwrap_or(0) + 1);
        let Some(viewport) = context.viewport.try_get_untracked() else { return };
        self.last_request.set_value(number);
        let is_whole = matches!(viewport, Viewport::Whole | Viewport::Plan);
        let lacks_diagnosis = context.has_more_charts.get_untracked() && !self.has_diagnosis.get_value();
        if wants_overview || lacks_diagnosis || !context.run.read_untracked().curves.has_overview() {
            self.request(number, None).await;
            self.fetch_parents().await;
        }
        if is_whole {
            context.run.try_update(OpenRun::drop_detail);
        } else if self.last_request.try_get_value() == Some(number) {
            let range = context.range();
            self.request(number, Some((range.from, (!viewport.is_following()).then_some(range.to)))).await;
        }
    }

    /// Fetches again after [`RETRY`], unless there is a newer request by then.
    fn fetch_later(self, number: u32) {
        set_timeout(
            move || {
                if self.last_request.try_get_value() == Some(number) {
                    spawn_local(self.fetch(true));
                }
            },
            RETRY,
        );
    }

    /// Fetches all series of a range, the loss with two buckets for each pixel.
    async fn request(self, number: u32, range: Option<(f64, Option<f64>)>) {
        let context = self.context;
        let has_more = context.has_more_charts.get_untracked();
        let (id, axis, layers) = context.run.with_untracked(|run| {
            let is_wanted = |series: &&str| is_shown(series) || has_more && is_of_diagnosis(series);
            let layers: Vec<String> = run.curves.names().filter(is_wanted).map(str::to_owned).collect();
            (run.view.summary.id.clone(), run.curves.axis(), layers)
        });
        let (from, to) = range.map_or((None, None), |(from, to)| (Some(from), to));
        let request = |names: Vec<String>, points| SeriesRequest { names, axis, from, to, points };
        let owned = |names: &[&str]| names.iter().map(|series| (*series).to_owned()).collect::<Vec<_>>();
        let mut requests =
            vec![request(owned(&[name::TRAIN, name::VALID]), loss_points()), request(owned(&SMALL), SMALL_POINTS)];
        requests.extend(layers.chunks(MAX_SERIES).map(|names| request(names.to_vec(), SMALL_POINTS)));
        let answers = join_all(requests.iter().map(|request| api::series::windows(&id, request))).await;
        if self.last_request.try_get_value() != Some(number) {
            return;
        }
        let Ok(answers) = answers.into_iter().collect::<Result<Vec<_>, _>>() else {
            self.fetch_later(number);
            return;
        };
        let windows = answers.into_iter().flatten().collect();
        if range.is_none() {
            self.has_diagnosis.set_value(has_more);
        }
        context
            .run
            .try_update(|run| run.add_fetched(Fetched { axis, source: OWN, is_whole: range.is_none(), windows }));
    }

    /// Fetches the inherited past from the runs that it was forked from, until it succeeds. It does not change, so it
    /// is fetched once for each axis.
    async fn fetch_parents(self) {
        let context = self.context;
        let Some((parents, axis)) =
            context.run.try_with_untracked(|run| (run.curves.lineage().parents.clone(), run.curves.axis()))
        else {
            return;
        };
        if self.past_of.try_get_value() == Some(Some(axis)) {
            return;
        }
        self.past_of.set_value(Some(axis));
        for (place, parent) in parents.iter().enumerate() {
            let names = PAST.iter().map(|series| (*series).to_owned()).collect();
            let request = SeriesRequest { names, axis, from: None, to: None, points: loss_points() };
            let windows = loop {
                let answer = api::series::windows(parent, &request).await;
                // The page may be closed by now, or show another axis.
                if self.past_of.try_get_value() != Some(Some(axis)) {
                    return;
                }
                match answer {
                    Ok(windows) => break windows,
                    // A deleted run leaves a gap.
                    Err(failure) if failure.status / 100 == 4 => break vec![],
                    Err(_) => wait().await,
                }
            };
            let fetched = Fetched { axis, source: place + 1, is_whole: true, windows };
            context.run.try_update(|run| run.add_fetched(fetched));
        }
    }
}

/// Two buckets for each pixel of the widest chart.
fn loss_points() -> u32 {
    let field = document().query_selector(".chart.main .field").ok().flatten();
    let pixels = field.map_or(0, |field| field.client_width());
    (2 * pixels.max(0) as u32).clamp(*POINTS.start(), *POINTS.end())
}
