//! How often the predictions of each author came true: Brier score, counts, and the reliability diagram.

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use research::experiment::{AuthorScore, ProbabilityBin};

use super::words::author_name;
use crate::components::{Failure, Skeleton, shows};
use crate::net::api::{ApiFailure, experiments};

/// Side of the reliability diagram, pixels.
const SIDE: f64 = 120.0;

/// The scores of all authors; nothing before the first verdict.
#[component]
pub(super) fn Scores() -> impl IntoView {
    let known = RwSignal::new(None::<Result<Vec<AuthorScore>, ApiFailure>>);
    let fetch = move || {
        spawn_local(async move {
            let found = experiments::scores().await;
            known.try_set(Some(found));
        });
    };
    fetch();
    shows(move || match known.get() {
        None => view! { <Skeleton rows=1 /> }.into_any(),
        Some(Err(failure)) => {
            view! { <Failure what="The scores of predictions could not be fetched" failure retry=move |()| fetch() /> }
                .into_any()
        }
        Some(Ok(scores)) if scores.is_empty() => ().into_any(),
        Some(Ok(scores)) => {
            let lines = scores.into_iter().map(|score| view! { <Score score /> }).collect_view();
            view! {
                <section class="stack" aria-labelledby="scores-title">
                    <h2 id="scores-title" title="Verdicts beside the probabilities that were given before the first run">
                        "Predictions"
                    </h2>
                    <ul class="sheet list">{lines}</ul>
                </section>
            }
            .into_any()
        }
    })
}

/// The score of one author.
#[component]
pub(super) fn Score(score: AuthorScore) -> impl IntoView {
    let counts = format!(
        "{} of {} confirmed, {} refuted, {} inconclusive",
        score.confirmed, score.experiments, score.refuted, score.inconclusive
    );
    let within = format!("{} of {} intervals contain the predicted difference", score.within, score.intervals);
    let bins = score.bins.iter().map(|bin| view! { <li>{bin_phrase(bin)}</li> }).collect_view();
    view! {
        <li class="score">
            <div class="stack">
                <strong>{author_name(&score.author)}</strong>
                <span title="Mean squared difference of the predicted probability and the result, 1 for confirmed: 0 is best, 0.25 is that of 0.5 every time">
                    {format!("Brier score {}", number::short(score.brier))}
                </span>
                <span class="small dim">{counts}". "{within}"."</span>
                <ul class="small dim">{bins}</ul>
            </div>
            <Diagram bins=score.bins />
        </li>
    }
}

/// `0.6 to 0.7: 2 of 3 confirmed`
fn bin_phrase(bin: &ProbabilityBin) -> String {
    format!("{} to {}: {} of {} confirmed", number::short(bin.from), number::short(bin.to), bin.confirmed, bin.count)
}

/// Reliability diagram: the fraction that was confirmed over the predicted probability; on the diagonal both are equal.
#[component]
fn Diagram(bins: Vec<ProbabilityBin>) -> impl IntoView {
    let dots = bins.iter().map(|bin| {
        let confirmed = f64::from(bin.confirmed) / f64::from(bin.count.max(1));
        let radius = 3.0 + f64::from(bin.count).sqrt().min(6.0);
        view! { <circle cx={bin.predicted * SIDE} cy={(1.0 - confirmed) * SIDE} r=radius /> }
    });
    let dots = dots.collect_view();
    let corner = SIDE.to_string();
    view! {
        <figure class="reliability">
            <svg viewBox="-8 -8 136 136" width="136" height="136" aria-hidden="true">
                <rect x="0" y="0" width=corner.clone() height=corner.clone() />
                <line x1="0" y1=corner.clone() x2=corner y2="0" />
                {dots}
            </svg>
            <figcaption class="small dim">"Confirmed over predicted probability, 0 to 1"</figcaption>
        </figure>
    }
}
