//! How much of the spread of the results each parameter explains, computed by the server once trials have finished.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::sweep::results::{ParameterImportance, SweepImportance};

use super::state::OpenSweep;
use crate::components::number::counted;
use crate::components::{Failure, Skeleton, shows};
use crate::net::api::{ApiFailure, sweeps};
use crate::pages::sweeps::words::parameter_label;

/// Fraction of the variance that the forest must predict; below, the importances are noise.
const ENOUGH: f64 = 0.1;

#[component]
pub(super) fn ImportancePanel() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let found = RwSignal::new(None::<Result<SweepImportance, ApiFailure>>);
    let finished = Memo::new(move |_| open.sweep.read().as_ref().map_or(0, |sweep| sweep.counts.finished));
    let fetch = move || {
        spawn_local(async move {
            let answer = sweeps::importance(open.id()).await;
            // What was computed before stays when a later request fails.
            let is_first = found.try_with_untracked(|found| !matches!(found, Some(Ok(_)))) == Some(true);
            if is_first || answer.is_ok() {
                found.try_set(Some(answer));
            }
        });
    };
    Effect::new(move || {
        finished.get();
        fetch();
    });
    view! {
        <section class="sheet padded stack" aria-label="Importance of the parameters">
            <h2 title="Functional ANOVA over a random forest (Hutter, Hoos, Leyton-Brown 2014)">"Importance of the parameters"</h2>
            {shows(move || match found.get() {
                None => view! { <Skeleton rows=3 class="short" /> }.into_any(),
                Some(Err(failure)) => view! {
                    <Failure what="The importance was not computed" failure retry=move |()| fetch() />
                }.into_any(),
                Some(Ok(importance)) => view! { <Importance importance /> }.into_any(),
            })}
        </section>
    }
}

#[component]
fn Importance(importance: SweepImportance) -> impl IntoView {
    let note = note(&importance);
    let bars = importance.parameters.into_iter().map(|parameter| view! { <Bar parameter /> }).collect_view();
    view! {
        <p class="small dim">{note}</p>
        <ul class="importance" aria-label="Parameters, the most important first">{bars}</ul>
    }
}

/// How many results it was computed from, and whether they suffice.
fn note(importance: &SweepImportance) -> String {
    let SweepImportance { configurations, needed, explained, .. } = importance;
    let points = counted(*configurations, "finished point");
    match explained {
        None if configurations < needed => {
            format!("Needs {}; there are {configurations}.", counted(*needed, "finished point"))
        }
        None => format!("All of the {points} have the same value."),
        Some(explained) if *explained < ENOUGH => format!(
            "From {points}. The forest predicts {} of the variance of points that it has not seen: the fractions are noise.",
            percent(explained.max(0.0))
        ),
        Some(explained) => format!(
            "Fraction of the variance of the value over the search space that comes from a parameter alone. From {points}; the forest predicts {} \
             of the variance of points that it has not seen.",
            percent(*explained)
        ),
    }
}

fn percent(fraction: f64) -> String {
    format!("{:.0} %", fraction * 100.0)
}

#[component]
fn Bar(parameter: ParameterImportance) -> impl IntoView {
    let ParameterImportance { name, fraction, spread } = parameter;
    let title = format!("{name}: {:.1} % ± {:.1} % over the trees of the forest", fraction * 100.0, spread * 100.0);
    view! {
        <li title=title>
            <span>{parameter_label(&name)}</span>
            <span class="bar-track"><span class="bar-fill" style:width=format!("{:.1}%", fraction.clamp(0.0, 1.0) * 100.0)></span></span>
            <span class="mono">{format!("{} ± {}", percent(fraction), percent(spread))}</span>
        </li>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_whether_results_suffice() {
        let of = |configurations: u64, explained: Option<f64>| {
            note(&SweepImportance { configurations, needed: 8, explained, parameters: vec![] })
        };
        assert_eq!(of(3, None), "Needs 8 finished points; there are 3.");
        assert_eq!(of(9, None), "All of the 9 finished points have the same value.");
        assert!(of(9, Some(-0.4)).contains("predicts 0 % of the variance"));
        assert!(of(9, Some(0.75)).contains("predicts 75 % of the variance"));
    }
}
