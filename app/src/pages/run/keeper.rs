//! Keeps an open run's curves exact at the zoom in view: an overview of the whole, the stretch in view in detail, and the
//! overview again when the live tail has grown long.

use std::time::Duration;

use futures_util::future::join_all;
use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::series::{Axis, name};

use super::{AGAIN, rest};
use crate::api::{self, SeriesAsk};
use crate::panels::{Desk, is_kept};
use crate::run_state::{Fetched, OWN, OpenRun, Sight};

/// Quiet after the last zoom or drag before curves are fetched: a turning wheel asks once.
const SETTLED: Duration = Duration::from_millis(80);
/// Buckets asked of a small chart's curve, and bounds of what is asked of the loss's.
const SMALL_POINTS: u32 = 700;
const POINTS: std::ops::RangeInclusive<u32> = 400..=5_000;
/// Curves in one question.
const CURVES: usize = 400;
/// Curves every run has, of the small charts; seconds also place steps on the axis of time.
const SMALL: [&str; 10] = [
    name::RATE,
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

/// Curves that are shown of the runs it came from.
const PAST: [&str; 4] = [name::TRAIN, name::VALID, name::RATE, name::GRAD_NORM];

/// Asks for curves; the answer to any but the latest question is passed over.
#[derive(Clone, Copy)]
pub(super) struct Keeper {
    desk: Desk,
    last_asked: StoredValue<u32>,
    /// The axis on which the past has been asked for.
    past_of: StoredValue<Option<Axis>>,
}

impl Keeper {
    /// Keeps the curves: fetches when the stretch in view has settled, and when the live tail has grown long.
    pub(super) fn start(desk: Desk) -> Self {
        let keeper = Self { desk, last_asked: StoredValue::new(0), past_of: StoredValue::new(None) };
        let due = StoredValue::new_local(None::<TimeoutHandle>);
        let is_long = Memo::new(move |_| desk.run.read().curves.is_long());
        Effect::new(move |is_later: Option<bool>| {
            let (axis, _) = (desk.look.read().axis, desk.sight.get());
            if desk.run.read_untracked().curves.axis() != axis {
                desk.run.write_untracked().curves.set_axis(axis);
                keeper.past_of.set_value(None);
            }
            let is_long = is_long.get();
            let wait = if is_later.is_some() { SETTLED } else { Duration::ZERO };
            let soon = set_timeout_with_handle(move || spawn_local(keeper.fetch(is_long)), wait).ok();
            due.update_value(|due| {
                if let Some(waiting) = std::mem::replace(due, soon) {
                    waiting.clear();
                }
            });
            true
        });
        on_cleanup(move || due.update_value(|due| due.take().iter().for_each(TimeoutHandle::clear)));
        keeper
    }

    /// Fetches the overview if it is wanted or missing, and the stretch in view if that is not the whole.
    pub(super) async fn fetch(self, wants_overview: bool) {
        let (desk, number) = (self.desk, self.last_asked.try_get_value().unwrap_or(0) + 1);
        let Some(sight) = desk.sight.try_get_untracked() else { return };
        self.last_asked.set_value(number);
        let is_whole = matches!(sight, Sight::Whole | Sight::Plan);
        if wants_overview || !desk.run.read_untracked().curves.has_overview() {
            self.ask(number, None).await;
            self.ask_parents().await;
        }
        if is_whole {
            desk.run.try_update(OpenRun::drop_detail);
        } else if self.last_asked.try_get_value() == Some(number) {
            let view = desk.view();
            self.ask(number, Some((view.from, (!sight.is_following()).then_some(view.to)))).await;
        }
    }

    /// Asks once more after a while, unless something else has been asked by then.
    fn ask_again(self, number: u32) {
        set_timeout(
            move || {
                if self.last_asked.try_get_value() == Some(number) {
                    spawn_local(self.fetch(true));
                }
            },
            AGAIN,
        );
    }

    /// Fetches all curves between two places, the loss finely: two buckets for each pixel.
    async fn ask(self, number: u32, stretch: Option<(f64, Option<f64>)>) {
        let desk = self.desk;
        let (id, axis, layers) = desk.run.with_untracked(|run| {
            let layers: Vec<String> = run.curves.names().filter(|series| is_kept(series)).map(str::to_owned).collect();
            (run.view.summary.id.clone(), run.curves.axis(), layers)
        });
        let (from, to) = stretch.map_or((None, None), |(from, to)| (Some(from), to));
        let question = |names: Vec<String>, points| SeriesAsk { names, axis, from, to, points };
        let owned = |names: &[&str]| names.iter().map(|series| (*series).to_owned()).collect::<Vec<_>>();
        let mut questions =
            vec![question(owned(&[name::TRAIN, name::VALID]), loss_points()), question(owned(&SMALL), SMALL_POINTS)];
        questions.extend(layers.chunks(CURVES).map(|names| question(names.to_vec(), SMALL_POINTS)));
        let answers = join_all(questions.iter().map(|question| api::series(&id, question))).await;
        if self.last_asked.try_get_value() != Some(number) {
            return;
        }
        let Ok(answers) = answers.into_iter().collect::<Result<Vec<_>, _>>() else {
            self.ask_again(number);
            return;
        };
        let windows = answers.into_iter().flatten().collect();
        desk.run.try_update(|run| run.add_fetched(Fetched { axis, source: OWN, is_whole: stretch.is_none(), windows }));
    }

    /// Fetches the past that the run began with, from the runs it came from, for as long as it takes. It no longer changes, so once for
    /// each axis will do.
    async fn ask_parents(self) {
        let desk = self.desk;
        let Some((parents, axis)) =
            desk.run.try_with_untracked(|run| (run.curves.lineage().parents.clone(), run.curves.axis()))
        else {
            return;
        };
        if self.past_of.try_get_value() == Some(Some(axis)) {
            return;
        }
        self.past_of.set_value(Some(axis));
        for (place, parent) in parents.iter().enumerate() {
            let names = PAST.iter().map(|series| (*series).to_owned()).collect();
            let ask = SeriesAsk { names, axis, from: None, to: None, points: loss_points() };
            let windows = loop {
                let answer = api::series(parent, &ask).await;
                // The page may have gone meanwhile, or be looking at another axis.
                if self.past_of.try_get_value() != Some(Some(axis)) {
                    return;
                }
                match answer {
                    Ok(windows) => break windows,
                    // One that has been deleted leaves a gap and nothing else.
                    Err(failure) if failure.status / 100 == 4 => break vec![],
                    Err(_) => rest().await,
                }
            };
            let fetched = Fetched { axis, source: place + 1, is_whole: true, windows };
            desk.run.try_update(|run| run.add_fetched(fetched));
        }
    }
}

/// Two buckets for each pixel of the widest chart.
fn loss_points() -> u32 {
    let field = document().query_selector(".chart.main .field").ok().flatten();
    let pixels = field.map_or(0, |field| field.client_width());
    (2 * pixels.max(0) as u32).clamp(*POINTS.start(), *POINTS.end())
}
