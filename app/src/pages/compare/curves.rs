//! The losses of the chosen runs, fetched along each run's path, and the chart of them.

use std::collections::BTreeMap;
use std::time::Duration;

use figure::scene::Role;
use figure::{ChartSpec, Style, number};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::series::{Axis, Bucket, name};
use wire::{RunId, RunView};

use super::Choice;
use super::plot::{Line, Picture, Plot, Sight};
use crate::api::{self, ApiFailure, SeriesAsk};
use crate::live::Live;
use crate::parts::{AxisPick, Failure, Icon, Skeleton, StateMark, again};
use crate::route::run_path;
use crate::run_state::{Curves, Fetched, Lineage, OWN};

/// Buckets of one curve.
const POINTS: u32 = 1_200;
/// Between looks at runs that still train.
const AGAIN: Duration = Duration::from_secs(3);
/// Length of the running mean, as a share of what is shown.
const SMOOTHING: f64 = 0.01;

/// A run as it was fetched.
#[derive(Clone)]
pub(super) enum Compared {
    /// With its curves.
    Open(Box<(RunView, Curves)>),
    /// It could not be fetched.
    Failed(ApiFailure),
}

/// The chosen runs, as they come in.
#[derive(Clone, Copy)]
pub(super) struct Bench {
    choice: Choice,
    /// By id; those asked for and not yet answered are missing.
    pub(super) runs: RwSignal<BTreeMap<RunId, Compared>>,
    /// The stretch in view.
    sight: RwSignal<Sight>,
    /// Where the values are read.
    crosshair: RwSignal<Option<f64>>,
}

impl Bench {
    /// Fetches whatever is chosen, again when axis or stretch change, and now and then those that train.
    pub(super) fn start(choice: Choice) -> Self {
        let bench =
            Self { choice, runs: RwSignal::default(), sight: RwSignal::new(None), crosshair: RwSignal::new(None) };
        let live = expect_context::<Live>();
        Effect::new(move |_| {
            choice.axis.track();
            bench.sight.set(None);
            bench.crosshair.set(None);
            bench.fetch(choice.runs.get());
        });
        Effect::new(move |before: Option<()>| {
            bench.sight.track();
            if before.is_some() {
                bench.fetch(choice.runs.get_untracked());
            }
        });
        let is_growing = move |run: &RunId| {
            live.lab
                .read_untracked()
                .as_ref()
                .is_some_and(|lab| lab.runs.iter().any(|known| known.id == *run && known.state.is_live()))
        };
        again::every(AGAIN, move || {
            let runs = choice.runs.try_get_untracked().unwrap_or_default();
            bench.fetch(runs.into_iter().filter(is_growing).collect());
        });
        bench
    }

    fn fetch(self, runs: Vec<RunId>) {
        for run in runs {
            spawn_local(async move {
                let Some(axis) = self.choice.axis.try_get_untracked() else { return };
                let sight = self.sight.get_untracked();
                let found = ask(&run, axis, sight).await;
                // An answer to an older question is passed over.
                let is_current = self.choice.axis.try_get_untracked() == Some(axis)
                    && self.sight.try_get_untracked() == Some(sight)
                    && self.choice.runs.read_untracked().contains(&run);
                if is_current {
                    self.take(run, found);
                }
            });
        }
    }

    fn take(self, run: RunId, found: Result<(RunView, Curves), ApiFailure>) {
        self.runs.update(|runs| match found {
            Ok(found) => drop(runs.insert(run, Compared::Open(Box::new(found)))),
            // What is there is better than nothing; it will be asked again.
            Err(_) if matches!(runs.get(&run), Some(Compared::Open(_))) => {}
            Err(failure) => drop(runs.insert(run, Compared::Failed(failure))),
        });
    }

    /// The run as it was fetched, where it was.
    pub(super) fn view(self, run: &RunId) -> Option<RunView> {
        match self.runs.read().get(run) {
            Some(Compared::Open(open)) => Some(open.0.clone()),
            _ => None,
        }
    }

    fn picture(self) -> Picture {
        let (runs, chosen, colours) = (self.runs.read(), self.choice.runs.read(), self.choice.colours.read());
        let (series, axis) = (self.choice.series.get(), self.choice.axis.get());
        let mut lines = vec![];
        for id in chosen.iter() {
            let Some(Compared::Open(open)) = runs.get(id) else { continue };
            let (view, curves) = &**open;
            if curves.axis() == axis {
                lines.extend(lines_of(view, curves, series, colours.role(id), &chosen));
            }
        }
        let sight = self.sight.get();
        let from = sight.map_or_else(|| first(&lines), |(from, _)| from);
        let to = sight.map_or_else(|| last(&lines), |(_, to)| to);
        if self.choice.is_smooth.get() {
            let is_whole_curve = |line: &&mut Line| line.style == Style::Measured;
            lines.iter_mut().filter(is_whole_curve).for_each(|line| line.smoothing = Some((to - from) * SMOOTHING));
        }
        let spec = ChartSpec {
            title: "loss".into(),
            unit: "nats / token".into(),
            axis,
            from: Some(from),
            to: Some(to),
            y_share: Some(0.995),
            ..ChartSpec::default()
        };
        Picture { spec, lines }
    }

    /// A run's loss where the crosshair stands, or its newest.
    fn reading(self, run: &RunId) -> Option<f64> {
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
            None => buckets.last().copied(),
        };
        bucket.map(|bucket| bucket.mean).filter(|mean| mean.is_finite())
    }
}

async fn ask(run: &RunId, axis: Axis, sight: Sight) -> Result<(RunView, Curves), ApiFailure> {
    let view = api::run(run).await?;
    let mut curves = Curves::new(view.plan.tokens_per_pass() as f64, view.plan.recipe.model.flops_per_token());
    curves.set_axis(axis);
    let lineage = Lineage::read(&view, |_| None);
    let sources: Vec<(usize, RunId)> = std::iter::once((OWN, run.clone()))
        .chain(lineage.parents.iter().cloned().enumerate().map(|(place, run)| (place + 1, run)))
        .collect();
    curves.set_lineage(lineage);
    curves.set_passes(&view.dials.passes);
    let names = vec![name::TRAIN.to_owned(), name::VALID.to_owned()];
    for (source, run) in sources {
        let stretches = [None, sight].into_iter().take(if sight.is_some() { 2 } else { 1 });
        for stretch in stretches {
            let question = SeriesAsk {
                names: names.clone(),
                axis,
                from: stretch.map(|(from, _)| from),
                to: stretch.map(|(_, to)| to),
                points: POINTS,
            };
            match api::series(&run, &question).await {
                Ok(windows) => curves.add_fetched(Fetched { axis, source, is_whole: stretch.is_none(), windows }),
                // A parent that was deleted has left its path, and the rest is still worth seeing.
                Err(_) if source != OWN => {}
                Err(failure) => return Err(failure),
            }
        }
    }
    Ok((view, curves))
}

/// A run's path and ghosts. The past that it shares with a run which is shown as well is that run's to draw.
fn lines_of(view: &RunView, curves: &Curves, series: &str, role: Role, chosen: &[RunId]) -> Vec<Line> {
    let line = |name: &str, style, buckets: Vec<Bucket>| Line {
        name: name.to_owned(),
        role,
        style,
        is_live: false,
        smoothing: None,
        buckets,
    };
    let mut lines: Vec<Line> =
        curves.ghosts(series).into_iter().map(|(_, buckets)| line("", Style::Ghost, buckets)).collect();
    let is_drawn = curves.lineage().parents.iter().any(|parent| chosen.contains(parent));
    if !is_drawn {
        lines.push(line("", Style::Measured, curves.past(series)));
    }
    let own = line(&view.summary.name, Style::Measured, curves.shown(series));
    lines.push(Line { is_live: view.summary.state.is_live(), ..own });
    lines.retain(|line| !line.buckets.is_empty());
    lines
}

fn first(lines: &[Line]) -> f64 {
    let firsts = lines.iter().filter_map(|line| line.buckets.first());
    Some(firsts.map(|bucket| bucket.x).fold(f64::INFINITY, f64::min)).filter(|first| first.is_finite()).unwrap_or(0.0)
}

fn last(lines: &[Line]) -> f64 {
    let lasts = lines.iter().filter_map(|line| line.buckets.last());
    lasts.map(|bucket| bucket.last_x).fold(0.0, f64::max).max(1.0)
}

/// All losses in one chart.
#[component]
pub(super) fn LossPlot() -> impl IntoView {
    let choice = expect_context::<Choice>();
    let bench = expect_context::<Bench>();
    let is_waiting = Memo::new(move |_| bench.runs.read().is_empty());
    view! {
        <Show when=move || !is_waiting.get() fallback=|| view! { <Skeleton rows=1 class="loss" /> }>
            <Plot
                title="Loss"
                unit="nats / token"
                meaning="Mean of -ln p(next token). The past that two runs share is drawn once, in the colour of the run that trained it; abandoned stretches are faint."
                class="main"
                picture=move || bench.picture()
                crosshair=bench.crosshair
                sight=bench.sight
            >
                <div class="tools">
                    <div class="range" role="group" aria-label="Which loss">
                        {[(name::TRAIN, "train"), (name::VALID, "valid")].map(|(series, word)| view! {
                            <button class="switch" aria-pressed=move || (choice.series.get() == series).to_string() on:click=move |_| choice.series.set(series)>{word}</button>
                        })}
                    </div>
                    <AxisPick axis=choice.axis choose=move |axis| choice.axis.set(axis) />
                    <button class="switch" title="A running mean of a hundredth of what is shown" aria-pressed=move || choice.is_smooth.get().to_string() on:click=move |_| choice.is_smooth.update(|on| *on = !*on)>"smooth"</button>
                    <Show when=move || bench.sight.get().is_some()>
                        <button class="switch" title="Show all (0, or double-click)" on:click=move |_| bench.sight.set(None)>"all"</button>
                    </Show>
                </div>
            </Plot>
        </Show>
    }
}

/// The chosen runs: colour, name, state, loss at the crosshair.
#[component]
pub(super) fn ChosenRuns() -> impl IntoView {
    let choice = expect_context::<Choice>();
    view! {
        <ul class="chosen" aria-label="Runs shown">
            <For each=move || choice.runs.get() key=Clone::clone let(run)>
                <ChosenRun run />
            </For>
        </ul>
    }
}

#[component]
fn ChosenRun(run: RunId) -> impl IntoView {
    let choice = expect_context::<Choice>();
    let bench = expect_context::<Bench>();
    let id = StoredValue::new(run);
    let role = move || choice.colours.read().role(&id.read_value());
    let stage = Memo::new(move |_| match bench.runs.read().get(&*id.read_value()) {
        None => (0, None),
        Some(Compared::Open(open)) => (1, Some((open.0.summary.name.clone(), open.0.summary.state))),
        Some(Compared::Failed(_)) => (2, None),
    });
    let failure = move || match bench.runs.read().get(&*id.read_value()) {
        Some(Compared::Failed(failure)) => Some(failure.clone()),
        _ => None,
    };
    let reading = move || bench.reading(&id.read_value()).map_or("–".to_owned(), |loss| number::fixed(loss, 3));
    view! {
        <li class="sheet">
            <i class="swatch" class:dashed=move || role().dash() != figure::scene::Dash::Solid style:--tone=move || format!("var({})", role().property())></i>
            {move || match stage.get() {
                (1, Some((name, state))) => view! {
                    <a class="run-name" href=run_path(&id.read_value())>{name}</a>
                    <StateMark state />
                    <b class="mono" title="Loss where the crosshair stands, or the newest; nats per token">{reading}</b>
                }.into_any(),
                (2, _) => failure().map(|failure| view! { <Failure what=format!("{} could not be fetched", id.read_value()) failure /> }).into_any(),
                _ => view! { <span class="dim">{format!("{} …", id.read_value())}</span> }.into_any(),
            }}
            <button class="quiet icon-only" aria-label=format!("Leave {} out", id.read_value()) title="Leave it out" on:click=move |_| choice.turn(&id.read_value())><Icon name="close" /></button>
        </li>
    }
}
