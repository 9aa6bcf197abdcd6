//! The losses of the selected runs, fetched along the path of each run, in one chart.

use std::collections::BTreeMap;
use std::time::Duration;

use figure::scene::Role;
use figure::{ChartSpec, SMOOTHING, Style, number};
use leptos::prelude::*;
use leptos::task::spawn_local;
use research::compare::BandPoint;
use wire::series::{Axis, Bucket, name};
use wire::{RunId, RunView};

use super::Choice;
use crate::components::chart::{Chart, ChartContent, ChartGroup, Line, Range};
use crate::components::{AxisPick, Failure, Icon, Skeleton, StateMark, interval, switches};
use crate::curves::{Curves, Fetched, Lineage, OWN};
use crate::net::api::series::SeriesRequest;
use crate::net::api::{self, ApiFailure};
use crate::net::live::Live;
use crate::route::run_path;

/// Buckets of one series.
const POINTS: u32 = 1_200;
/// Interval between requests for runs that train.
const REFRESH: Duration = Duration::from_secs(3);

/// The series that can be shown: name, label, meaning.
const SERIES: [(&str, &str, &str); 2] = [(name::TRAIN, "train", TRAIN), (name::VALID, "val", VALID)];
const TRAIN: &str = "Training loss: mean cross-entropy over the batch of each step, in nats/token. Default.";
const VALID: &str = "Validation loss: mean cross-entropy over the same batches of the validation split at each evaluation, in \
                     nats/token. The last evaluation of a run covers more batches. A gray band is the noise floor: the range of \
                     95 % of runs with other seeds.";
const BAND: &str = "Range that would contain the validation loss of 95 % of runs with other seeds, from the mean and the spread of the \
                    baseline's runs that differ only in the seed.";
const SMOOTH: &str = "Draw the centered running mean over 2 % of the range in view, which smooths the noise of single batches; the raw \
                      losses stay visible, but faint. On by default.";

/// A fetched run.
#[derive(Clone)]
enum Compared {
    /// With its curves.
    Open(Box<(RunView, Curves)>),
    /// It could not be fetched.
    Failed(ApiFailure),
}

/// The selected runs as they are fetched.
#[derive(Clone, Copy)]
pub(super) struct ComparedRuns {
    choice: Choice,
    live: Live,
    /// By id; without those that are still being fetched.
    runs: RwSignal<BTreeMap<RunId, Compared>>,
    /// The range in view; everything if there is none.
    range: RwSignal<Option<Range>>,
    /// The range that is shown once the axis has changed.
    next_range: StoredValue<Option<Range>>,
    crosshair: RwSignal<Option<f64>>,
}

impl ComparedRuns {
    /// Fetches the selected runs, again when axis or range change, and periodically those that train.
    pub(super) fn start(choice: Choice) -> Self {
        let live = expect_context::<Live>();
        let (range, crosshair) = (RwSignal::new(None), RwSignal::new(None));
        let next_range = StoredValue::new(None);
        let compared = Self { choice, live, runs: RwSignal::default(), range, next_range, crosshair };
        Effect::new(move |before: Option<Axis>| {
            let axis = choice.axis.get();
            let next_range = compared.next_range.try_update_value(Option::take).flatten();
            // A range of another axis means nothing on this one.
            if before.is_some_and(|before| before != axis) {
                compared.range.set(next_range);
                compared.crosshair.set(None);
            }
            compared.fetch(choice.runs.get());
            axis
        });
        Effect::new(move |before: Option<()>| {
            compared.range.track();
            if before.is_some() {
                compared.fetch(choice.runs.get_untracked());
            }
        });
        let growing = Memo::new(move |_| {
            let (lab, chosen) = (live.lab.read(), choice.runs.read());
            let runs =
                lab.iter().flat_map(|lab| &lab.runs).filter(|run| run.state.is_live() && chosen.contains(&run.id));
            runs.map(|run| run.id.clone()).collect::<Vec<_>>()
        });
        interval::every(REFRESH, move || compared.fetch(growing.try_get_untracked().unwrap_or_default()));
        // The last values of a run come with its end.
        Effect::new(move |before: Option<Vec<RunId>>| {
            let growing = growing.get();
            let chosen = choice.runs.get_untracked();
            let has_ended = |run: &RunId| !growing.contains(run) && chosen.contains(run);
            compared.fetch(before.into_iter().flatten().filter(has_ended).collect());
            growing
        });
        compared
    }

    /// The range in view; everything if there is none.
    pub(super) fn range(self) -> Option<Range> {
        self.range.get()
    }

    pub(super) fn crosshair(self) -> RwSignal<Option<f64>> {
        self.crosshair
    }

    /// Shows a range of an axis.
    pub(super) fn show(self, axis: Axis, range: Option<Range>) {
        if self.choice.axis.get_untracked() != axis {
            self.next_range.set_value(range);
            self.choice.axis.set(axis);
        }
        if self.range.get_untracked() != range {
            self.range.set(range);
        }
    }

    fn fetch(self, runs: Vec<RunId>) {
        for run in runs {
            spawn_local(async move {
                let (Some(axis), Some(range)) = (self.choice.axis.try_get_untracked(), self.range.try_get_untracked())
                else {
                    return;
                };
                let found = fetch(&run, axis, range).await;
                // The answer to an older request is ignored.
                let is_current = self.choice.axis.try_get_untracked() == Some(axis)
                    && self.range.try_get_untracked() == Some(range)
                    && self.choice.runs.read_untracked().contains(&run);
                if is_current {
                    self.add(run, found);
                }
            });
        }
    }

    fn add(self, run: RunId, found: Result<(RunView, Curves), ApiFailure>) {
        self.live.know(found.iter().map(|(view, _)| view.summary.clone()));
        self.runs.update(|runs| match found {
            Ok(found) => drop(runs.insert(run, Compared::Open(Box::new(found)))),
            // The last curves stay; they are fetched again later. A run that may not be seen any more is not kept.
            Err(failure) if failure.status != 404 && matches!(runs.get(&run), Some(Compared::Open(_))) => {}
            Err(failure) => drop(runs.insert(run, Compared::Failed(failure))),
        });
    }

    /// The view of a run, once it is fetched.
    pub(super) fn view(self, run: &RunId) -> Option<RunView> {
        match self.runs.read().get(run) {
            Some(Compared::Open(open)) => Some(open.0.clone()),
            _ => None,
        }
    }

    fn lines(self) -> Vec<Line> {
        let (runs, chosen, colours) = (self.runs.read(), self.choice.runs.read(), self.choice.colours.read());
        let (series, axis) = (self.choice.series.get(), self.choice.axis.get());
        let mut lines = vec![];
        let is_open = |id: &&RunId| matches!(runs.get(*id), Some(Compared::Open(_)));
        let shown: Vec<RunId> = chosen.iter().filter(is_open).cloned().collect();
        for id in &shown {
            let Some(Compared::Open(open)) = runs.get(id) else { continue };
            let (view, curves) = &**open;
            if curves.axis() == axis {
                let name = self.choice.name(id);
                lines.extend(lines_of(view, curves, series, colours.role(id), &name, &shown));
            }
        }
        lines
    }

    fn content(self) -> ChartContent {
        let mut lines = self.lines();
        let whole = bounds(&lines);
        let Range { from, to } = self.range.get().unwrap_or(whole);
        if self.choice.is_smooth.get() {
            let measured = lines.iter_mut().filter(|line| line.style == Style::Measured);
            measured.for_each(|line| line.smoothing = Some((to - from) * SMOOTHING));
        }
        let spec = ChartSpec {
            title: "loss".into(),
            unit: "nats/token".into(),
            axis: self.choice.axis.get(),
            from: Some(from),
            to: Some(to),
            y_fraction: Some(0.995),
            ..ChartSpec::default()
        };
        lines.extend(self.band());
        ChartContent { spec, lines, ..ChartContent::default() }
    }

    /// The range over seeds, which is known by step and for the validation loss.
    fn band(self) -> Option<Line> {
        let bucket = |point: &BandPoint| {
            let x = point.step as f64;
            let (min, max, mean) = (point.low, point.high, point.mean);
            Bucket { step: point.step, last_step: point.step, x, last_x: x, min, max, mean, count: 1 }
        };
        let buckets: Vec<Bucket> = self.choice.band.read().iter().map(bucket).collect();
        self.has_band().then(|| Line { style: Style::Band, ..Line::new("noise floor", BAND, Role::InkFaint, buckets) })
    }

    fn has_band(self) -> bool {
        let is_shown = self.choice.series.get() == name::VALID && self.choice.axis.get() == Axis::Step;
        is_shown && !self.choice.band.read().is_empty()
    }

    fn chart_group(self) -> ChartGroup {
        let show = move |range: Option<Range>| {
            let range = range.and_then(|range| range.within(bounds(&untrack(|| self.lines()))));
            if self.range.get_untracked() != range {
                self.range.set(range);
            }
        };
        ChartGroup {
            crosshair: self.crosshair,
            show: Callback::new(show),
            press: Callback::new(|_| ()),
            describe: Callback::new(|_| None),
        }
    }

    /// The loss of a run at the crosshair with the step that it was measured at, or its newest loss.
    fn reading(self, run: &RunId) -> Option<(f64, Option<u64>)> {
        let runs = self.runs.read();
        let Some(Compared::Open(open)) = runs.get(run) else { return None };
        let series = self.choice.series.get();
        let mut buckets = open.1.past(series);
        buckets.extend(open.1.shown(series));
        let bucket = match self.crosshair.get() {
            Some(place) if buckets.last().is_some_and(|last| place <= last.last_x) => {
                figure::layout::nearest(&buckets, place).copied()
            }
            Some(_) => None,
            None => {
                let summary = &open.0.summary;
                let newest = if series == name::VALID { summary.loss_valid } else { summary.loss_train };
                return newest.map(|loss| (loss, None));
            }
        };
        bucket.filter(|bucket| bucket.mean.is_finite()).map(|bucket| (bucket.mean, Some(bucket.last_step)))
    }
}

async fn fetch(run: &RunId, axis: Axis, range: Option<Range>) -> Result<(RunView, Curves), ApiFailure> {
    let view = api::run(run).await?;
    let mut curves = Curves::new(view.plan.tokens_per_micro_batch() as f64, view.plan.recipe.model.flops_per_token());
    curves.set_axis(axis);
    let lineage = Lineage::read(&view, |_| None);
    let sources: Vec<(usize, RunId)> = std::iter::once((OWN, run.clone()))
        .chain(lineage.parents.iter().cloned().enumerate().map(|(place, run)| (place + 1, run)))
        .collect();
    curves.set_lineage(lineage);
    curves.set_accumulation(&view.hyperparameters.accumulation);
    let names = vec![name::TRAIN.to_owned(), name::VALID.to_owned()];
    for (source, run) in sources {
        // The whole first, then the range in detail.
        for range in std::iter::once(None).chain(range.map(Some)) {
            let request = SeriesRequest {
                names: names.clone(),
                axis,
                from: range.map(|range| range.from),
                to: range.map(|range| range.to),
                points: POINTS,
            };
            match api::series::windows(&run, &request).await {
                Ok(windows) => curves.add_fetched(Fetched { axis, source, is_whole: range.is_none(), windows }),
                // A deleted parent leaves a gap; the rest is still shown.
                Err(_) if source != OWN => {}
                Err(failure) => return Err(failure),
            }
        }
    }
    Ok((view, curves))
}

/// The path and the abandoned branches of a run. A past that it shares with another of the `drawn` runs is drawn once, by that run.
fn lines_of(view: &RunView, curves: &Curves, series: &str, role: Role, name: &str, drawn: &[RunId]) -> Vec<Line> {
    let line = |name: &str, buckets: Vec<Bucket>| Line::new(name, "", role, buckets);
    let abandoned = curves.abandoned(series).into_iter();
    let mut lines: Vec<Line> =
        abandoned.map(|(_, buckets)| Line { style: Style::Abandoned, ..line("", buckets) }).collect();
    let is_shared = curves.lineage().parents.iter().any(|parent| drawn.contains(parent));
    if !is_shared {
        lines.push(line("", curves.past(series)));
    }
    lines.push(Line { is_live: view.summary.state.is_live(), ..line(name, curves.shown(series)) });
    lines.retain(|line| !line.buckets.is_empty());
    lines
}

/// From the first to the last value of all lines.
fn bounds(lines: &[Line]) -> Range {
    let firsts = lines.iter().filter_map(|line| line.buckets.first()).map(|bucket| bucket.x);
    let lasts = lines.iter().filter_map(|line| line.buckets.last()).map(|bucket| bucket.last_x);
    let from = firsts.fold(f64::INFINITY, f64::min);
    Range { from: if from.is_finite() { from } else { 0.0 }, to: lasts.fold(0.0, f64::max).max(1.0) }
}

/// All losses in one chart.
#[component]
pub(super) fn LossChart() -> impl IntoView {
    let choice = expect_context::<Choice>();
    let compared = expect_context::<ComparedRuns>();
    let group = compared.chart_group();
    let is_waiting = Memo::new(move |_| compared.runs.read().is_empty());
    let changed = Signal::derive(move || {
        compared.runs.track();
        let _ = (compared.range.get(), choice.runs.get(), choice.series.get(), choice.is_smooth.get());
        let _ = (choice.axis.get(), choice.colours.get(), choice.names.get());
        choice.band.track();
    });
    view! {
        <Show when=move || !is_waiting.get() fallback=|| view! { <Skeleton rows=1 class="loss" /> }>
            <Chart
                group
                title="Loss".to_owned()
                unit="nats/token".to_owned()
                meaning="Cross-entropy in nats per token: the mean of −ln p(next token). The past that two runs share is \
                         drawn once, in the color of the run that trained it; abandoned branches are faint."
                class="main"
                paint=move || compared.content()
                changed
                has_legend=false
            >
                <div class="tools">
                    {switches("Series", &SERIES, choice.series)}
                    <AxisPick axis=choice.axis choose=move |axis| choice.axis.set(axis) />
                    <button
                        class="switch"
                        title=SMOOTH
                        aria-pressed=move || choice.is_smooth.get().to_string()
                        on:click=move |_| choice.is_smooth.update(|on| *on = !*on)
                    >
                        "smooth"
                    </button>
                    <Show when=move || compared.range.get().is_some()>
                        <button
                            class="switch"
                            title="Show all steps. Shortcut: 0, or a double click"
                            on:click=move |_| compared.range.set(None)
                        >
                            "all"
                        </button>
                    </Show>
                </div>
            </Chart>
        </Show>
    }
}

/// The selected runs: colour, name, state, loss at the crosshair; below them the band, if the chart has one.
#[component]
pub(super) fn ChosenRuns() -> impl IntoView {
    let (choice, compared) = (expect_context::<Choice>(), expect_context::<ComparedRuns>());
    view! {
        <ul class="chosen" aria-label="Selected runs">
            <For each=move || choice.runs.get() key=Clone::clone let(run)>
                <ChosenRun run />
            </For>
        </ul>
        <Show when=move || compared.has_band()>
            <p class="small dim" title=BAND>
                <i class="swatch band"></i>
                " noise floor: the range of 95 % of runs with other seeds"
            </p>
        </Show>
    }
}

/// Shown in place of a run that could not be fetched.
fn not_fetched(run: &RunId, failure: ApiFailure) -> AnyView {
    match failure.status {
        404 => {
            let text = format!(
                "The lab has no run “{run}”, or it is not shared with you. Other selected runs are shown without it."
            );
            view! { <p class="grow">{text}</p> }.into_any()
        }
        _ => view! { <Failure what=format!("The run {run} could not be fetched") failure /> }.into_any(),
    }
}

#[component]
fn ChosenRun(run: RunId) -> impl IntoView {
    let choice = expect_context::<Choice>();
    let compared = expect_context::<ComparedRuns>();
    let id = StoredValue::new(run);
    let role = move || choice.colours.read().role(&id.read_value());
    let stage = Memo::new(move |_| match compared.runs.read().get(&*id.read_value()) {
        None => (0, None),
        Some(Compared::Open(open)) => (1, Some((choice.name(&id.read_value()), open.0.summary.state))),
        Some(Compared::Failed(_)) => (2, None),
    });
    let failure = move || match compared.runs.read().get(&*id.read_value()) {
        Some(Compared::Failed(failure)) => Some(failure.clone()),
        _ => None,
    };
    let reading = move || compared.reading(&id.read_value());
    let read = move || match reading() {
        Some((_, Some(step))) => {
            format!("Loss at step {}, the nearest to the crosshair, in nats/token", number::whole(step))
        }
        _ => "Newest loss, in nats/token. With a crosshair: the loss of the nearest step that has one".to_owned(),
    };
    let reading = move || reading().map_or("–".to_owned(), |(loss, _)| number::fixed(loss, 3));
    view! {
        <li class="sheet">
            <i
                class="swatch"
                class:dashed=move || role().dash() != figure::scene::Dash::Solid
                style:--tone=move || format!("var({})", role().property())
            >
            </i>
            {move || match stage.get() {
                (1, Some((name, state))) => view! {
                    <a class="run-name" title=format!("{name}: open the page of the run") href=run_path(&id.read_value())>{name.clone()}</a>
                    <StateMark state />
                    <b class="mono" title=read>{reading}</b>
                }.into_any(),
                (2, _) => failure().map(|failure| not_fetched(&id.read_value(), failure)).into_any(),
                _ => view! { <span class="dim">{format!("{} …", id.read_value())}</span> }.into_any(),
            }}
            <button
                class="quiet icon-only"
                aria-label=move || format!("Remove {}", choice.name(&id.read_value()))
                title="Remove from the comparison"
                on:click=move |_| choice.toggle(&id.read_value())
            >
                <Icon name="close" />
            </button>
        </li>
    }
}
