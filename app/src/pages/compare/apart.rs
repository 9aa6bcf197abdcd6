//! Two of the runs against each other: how long they were the same, and the difference of their training losses with its band.

use std::time::Duration;

use figure::chart::Reference;
use figure::scene::Role;
use figure::{ChartSpec, Style, number};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunId;
use wire::series::Comparison;

use super::Choice;
use super::plot::{Line, Picture, Plot};
use crate::api::ApiFailure;
use crate::api::steering;
use crate::live::Live;
use crate::parts::{Failure, again};
use crate::run_state::stretches;

/// Stretches asked for.
const POINTS: u32 = 300;
/// Between questions while either trains.
const AGAIN: Duration = Duration::from_secs(4);

/// One run less another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    run: RunId,
    with: RunId,
    label: String,
    is_live: bool,
}

/// Pairs worth a look: a run and the one it was forked from; else each of the chosen against the first.
fn pairs(chosen: &[RunId], live: Live) -> Vec<Pair> {
    let lab = live.lab.read();
    let all = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
    let find = |run: &RunId| all.iter().find(|known| known.id == *run);
    let pair = |run: &RunId, with: &RunId, word: &str| {
        let (one, other) = (find(run)?, find(with)?);
        let label = format!("{} minus {word}{}", one.name, other.name);
        Some(Pair {
            run: run.clone(),
            with: with.clone(),
            label,
            is_live: one.state.is_live() || other.state.is_live(),
        })
    };
    let mut pairs: Vec<Pair> = vec![];
    for run in chosen {
        if let Some(parent) = find(run).and_then(|run| run.parent.clone()) {
            pairs.extend(pair(run, &parent.run, "its parent "));
        }
    }
    if let Some((first, others)) = chosen.split_first() {
        let is_new = |pairs: &[Pair], run: &RunId| {
            !pairs.iter().any(|pair| (&pair.run, &pair.with) == (run, first) || (&pair.run, &pair.with) == (first, run))
        };
        for run in others {
            if is_new(&pairs, run) {
                pairs.extend(pair(run, first, ""));
            }
        }
    }
    pairs
}

/// The panel; nothing while there are no two to compare.
#[component]
pub(super) fn Apart() -> impl IntoView {
    let choice = expect_context::<Choice>();
    let live = expect_context::<Live>();
    let known = Memo::new(move |_| pairs(&choice.runs.read(), live));
    let picked = RwSignal::new(0usize);
    let shown = Memo::new(move |_| {
        let known = known.read();
        known.get(picked.get()).or(known.first()).cloned()
    });
    // A change of state alone does not draw it anew.
    let which = Memo::new(move |_| shown.read().as_ref().map(|pair| (pair.run.clone(), pair.with.clone())));
    move || {
        let (run, with) = which.get()?;
        let is_growing = Signal::derive(move || shown.read().as_ref().is_some_and(|pair| pair.is_live));
        Some(view! {
            <Difference run with is_growing>
                <label class="pick">
                    <span class="unseen">"Which two"</span>
                    <select on:change:target=move |event| picked.set(event.target().value().parse().unwrap_or(0))>
                        {move || known.get().into_iter().enumerate().map(|(at, pair)| view! { <option value=at selected={move || picked.get() == at}>{pair.label}</option> }).collect_view()}
                    </select>
                </label>
            </Difference>
        })
    }
}

#[component]
fn Difference(run: RunId, with: RunId, #[prop(into)] is_growing: Signal<bool>, children: Children) -> impl IntoView {
    let (run, with) = (StoredValue::new(run), StoredValue::new(with));
    let found = RwSignal::new(None::<Result<Comparison, ApiFailure>>);
    let ask = move || {
        spawn_local(async move {
            let (Some(run), Some(with)) = (run.try_get_value(), with.try_get_value()) else { return };
            let answered = steering::compare(&run, &with, POINTS).await;
            // What is there is better than a failure; it will be asked again.
            let keeps =
                answered.is_err() && found.try_with_untracked(|found| matches!(found, Some(Ok(_)))) == Some(true);
            if !keeps {
                found.try_set(Some(answered));
            }
        });
    };
    ask();
    again::every(AGAIN, move || {
        if is_growing.try_get_untracked() == Some(true) {
            ask();
        }
    });
    let verdict = move || match &*found.read() {
        None => "Asking …".to_owned(),
        Some(Ok(comparison)) => verdict(comparison),
        Some(Err(_)) => String::new(),
    };
    let failure = move || found.read().as_ref().and_then(|found| found.as_ref().err().cloned());
    view! {
        <section class="apart">
            <Plot
                title="Difference"
                unit="nats / token"
                meaning="Training loss of the one minus that of the other at equal steps: below 0 the first is ahead. The band is the mean with two standard errors."
                picture=move || picture(found.read().as_ref().and_then(|found| found.as_ref().ok()))
                crosshair=RwSignal::new(None)
                sight=RwSignal::new(None)
            >
                {children()}
            </Plot>
            <p class="verdict" role="status">{verdict}</p>
            {move || failure().map(|failure| view! { <Failure what="The two could not be compared" failure retry=move |()| ask() /> })}
        </section>
    }
}

/// `From step 1 000 on: identical for 300 steps, bit for bit; different from step 1 300 on. At step 1 900 the first is ...`
fn verdict(comparison: &Comparison) -> String {
    let Some(from) = comparison.common_from else { return "The two have trained no step in common yet.".into() };
    let from = number::whole(from);
    let same = match comparison.identical_steps {
        1 => "1 step".to_owned(),
        steps => format!("{} steps", number::whole(steps)),
    };
    let begun = match (comparison.identical_steps, comparison.first_difference) {
        (_, None) => {
            return format!("From step {from} on: identical for {same}, bit for bit, all that they have in common.");
        }
        (0, Some(_)) => format!("Different from step {from} on."),
        (_, Some(at)) => {
            format!(
                "From step {from} on: identical for {same}, bit for bit; different from step {} on.",
                number::whole(at)
            )
        }
    };
    let Some(last) = comparison.difference.last() else { return begun };
    let size = number::fixed(last.mean.abs(), 4);
    let at = number::whole(last.last_step);
    let end = match (last.low, last.high) {
        (low, _) if low > 0.0 => {
            format!("At step {at} the first is {size} nats per token behind, more than chance would.")
        }
        (_, high) if high < 0.0 => {
            format!("At step {at} the first is {size} nats per token ahead, more than chance would.")
        }
        _ => format!("At step {at} they cannot be told apart: {size} nats per token lies within the band."),
    };
    format!("{begun} {end}")
}

fn picture(comparison: Option<&Comparison>) -> Picture {
    let buckets = comparison.map(|found| stretches(&found.difference)).unwrap_or_default();
    let line = Line {
        name: "difference".into(),
        role: Role::InkSoft,
        style: Style::Measured,
        is_live: false,
        smoothing: None,
        buckets,
    };
    let references = vec![Reference { label: "no difference".into(), value: 0.0, role: Role::InkFaint }];
    let spec = ChartSpec {
        title: "difference of two losses".into(),
        unit: "nats / token".into(),
        references,
        has_zero: true,
        ..ChartSpec::default()
    };
    Picture { spec, lines: vec![line] }
}
