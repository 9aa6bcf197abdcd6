//! The current round of a research loop: its proposal, its trials with their curves, and the veto.

use std::collections::BTreeMap;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunId;
use wire::experiment::record::ExperimentRun;
use wire::research_loop::record::{LoopAction, LoopRound, LoopView, RoundKind};
use wire::sweep::record::Trial;

use super::state::OpenLoop;
use crate::base::at;
use crate::components::interval::every;
use crate::components::number::loss;
use crate::components::{Sparkline, clicks, isolated, shows};
use crate::net::api::{experiments, sweeps};
use crate::pages::experiments::opened::ReasonForm;
use crate::route::{run_path, sweep_path};

/// Time between two requests for the trials.
const REFRESH: Duration = Duration::from_secs(2);
/// Number of points of a curve.
const POINTS: u32 = 30;

/// A run of the current round.
#[derive(Debug, Clone, PartialEq)]
struct RoundRun {
    /// Its value of the hyperparameter, or its pair, side and seed.
    what: String,
    state: String,
    value: String,
    run: Option<RunId>,
    curve: Vec<f32>,
}

#[component]
pub(super) fn PresentRound() -> impl IntoView {
    let open = expect_context::<OpenLoop>();
    let present = open.part(|view: &LoopView| view.current().cloned());
    let number = Memo::new(move |_| present.get().flatten().map(|round| (round.number, round.sweep, round.experiment)));
    let runs = RwSignal::new(Vec::<RoundRun>::new());
    let fetch = move || {
        let Some((_, sweep, experiment)) = number.try_get_untracked().flatten() else { return };
        spawn_local(async move {
            let found = match (sweep, experiment) {
                (_, Some(experiment)) => of_experiment(experiment).await,
                (Some(sweep), None) => of_sweep(sweep).await,
                (None, None) => None,
            };
            // What was shown before stays when a request fails.
            if let Some(found) = found {
                runs.try_set(found);
            }
        });
    };
    Effect::new(move || {
        number.track();
        runs.set(vec![]);
        fetch();
    });
    every(REFRESH, fetch);
    shows(move || {
        let round = present.get().flatten()?;
        Some(view! {
            <section class="sheet padded stack" aria-labelledby="present-title">
                <h2 id="present-title">{format!("Round {}", round.number)}</h2>
                <p class="mono">{isolated(&round.phrase())}</p>
                <p class="small dim">{stage(&round)}{links(&round)}</p>
                {shows(move || Some(view! { <Runs runs=runs.get() /> }))}
                <Veto round />
            </section>
        })
    })
}

/// The sweep and the experiment of a round.
pub(super) fn links(round: &LoopRound) -> impl IntoView + use<> {
    let sweep = round.sweep.map(|id| {
        view! { " · "<a href=sweep_path(id) title="Open the trials of the round">{format!("Sweep {id}")}</a> }
    });
    let experiment = round.experiment.map(|id| {
        let href = at(&format!("/experiments/{id}"));
        view! { " · "<a href=href title="Open the pairs of the round and their verdict">{format!("Experiment {id}")}</a> }
    });
    (sweep, experiment)
}

fn stage(round: &LoopRound) -> &'static str {
    match (round.kind, round.experiment) {
        _ if round.veto.is_some() => "Vetoed: its runs are being stopped",
        (RoundKind::NoiseFloor, _) => "Noise floor: short trials of the default recipe with several seeds",
        (RoundKind::Confirmation, _) => {
            "Confirmation: pairs of full-length runs of the default and the best recipe, with new seeds"
        }
        (RoundKind::Change, None) => "Screening: short trials of each value",
        (RoundKind::Change, Some(_)) => "Test: pairs of full-length runs, one without and one with the change",
    }
}

#[component]
fn Runs(runs: Vec<RoundRun>) -> impl IntoView {
    if runs.is_empty() {
        return view! { <p>"No run has been queued yet."</p> }.into_any();
    }
    let line = |run: RoundRun| {
        let (is_live, label) = (run.state == "running", format!("Validation loss of {}", run.what));
        let name = match &run.run {
            Some(id) => {
                view! { <a href=run_path(id) title="Open the page of the run">{isolated(&run.what)}</a> }.into_any()
            }
            None => isolated(&run.what).into_any(),
        };
        let curve = run.curve.clone();
        view! {
            <tr>
                <td class="mono">{name}</td>
                <td>{run.state}</td>
                <td class="right mono">{run.value}</td>
                <td>{(!curve.is_empty()).then(|| view! {
                    <Sparkline
                        values=Signal::stored(curve)
                        label=Signal::stored(label)
                        is_live=Signal::stored(is_live)
                    />
                })}</td>
            </tr>
        }
    };
    view! {
        <div class="scroll" role="region" tabindex="0" aria-label="Runs of the round">
            <table class="loop-table">
                <thead>
                    <tr>
                        <th title="Screening: value and seed. Test: pair, baseline or variant, and seed">"Run"</th>
                        <th title="State of the run">"State"</th>
                        <th class="right" title="Screening: last validation loss, nats per token. Test: final validation loss, bits per byte">
                            "Loss"
                        </th>
                        <th title="Validation loss so far">"Curve"</th>
                    </tr>
                </thead>
                <tbody>{runs.into_iter().map(line).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

async fn of_sweep(id: i64) -> Option<Vec<RoundRun>> {
    let view = sweeps::view(id, None).await.ok()?;
    let curves = sweeps::curves(id, POINTS).await.unwrap_or_default();
    let curves: BTreeMap<u64, Vec<f32>> = curves
        .into_iter()
        .map(|curve| (curve.trial, curve.values.into_iter().map(|value| value as f32).collect()))
        .collect();
    let row = |trial: &Trial| {
        let values = trial.point.values.values().map(ToString::to_string);
        let what: Vec<String> = values.chain(trial.point.seed.map(|seed| format!("seed {seed}"))).collect();
        RoundRun {
            what: what.join(", "),
            state: trial.state.label().to_owned(),
            value: trial.last.map(loss).unwrap_or_default(),
            run: trial.run.clone(),
            curve: curves.get(&trial.number).cloned().unwrap_or_default(),
        }
    };
    Some(view.trials.iter().map(row).collect())
}

async fn of_experiment(id: u64) -> Option<Vec<RoundRun>> {
    let view = experiments::experiment(id).await.ok()?;
    let row = |run: &ExperimentRun| RoundRun {
        what: format!("pair {}, {}, seed {}", run.pair, run.side.word(), run.seed),
        state: match (&run.failure, run.state) {
            (Some(failure), _) => failure.clone(),
            (None, Some(state)) => state.word().to_owned(),
            (None, None) => "finished".to_owned(),
        },
        value: run.value.map(loss).unwrap_or_default(),
        run: Some(run.run.clone()),
        curve: vec![],
    };
    Some(view.runs.iter().map(row).collect())
}

/// The button that discards the proposal.
#[component]
fn Veto(round: LoopRound) -> impl IntoView {
    let open = expect_context::<OpenLoop>();
    let (is_open, can_steer) = (RwSignal::new(false), open.can_steer());
    let (number, is_change) = (round.number, round.kind == RoundKind::Change && round.veto.is_none());
    let send = Callback::new(move |reason| {
        open.act("The proposal was not vetoed", LoopAction::Veto { round: number, reason });
    });
    shows(move || {
        (is_change && can_steer.get()).then(|| {
            view! {
                <div class="row">
                    <button
                        title="Discard the proposal and stop its runs; its values are not proposed again"
                        aria-expanded=move || is_open.get().to_string()
                        on:click=clicks(move |_| is_open.update(|is_open| *is_open = !*is_open))
                    >
                        "Veto …"
                    </button>
                    {shows(move || is_open.get().then(|| view! {
                        <ReasonForm word="Veto the proposal" is_sending=open.is_sending send />
                    }))}
                </div>
            }
        })
    })
}
