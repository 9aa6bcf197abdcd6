//! The chapter on research loops: what was tried, kept and refuted.

use research::research_loop::{findings, noise_floor};
use wire::number::{brief, in_sentence};
use wire::research_loop::UNIT;
use wire::research_loop::record::{LoopRound, LoopView};

use super::super::document::Document;
use crate::live::clock::utc_minute;

const NONE: &str = "–";

/// Writes the chapter, if there is a loop.
pub(super) fn write(document: &mut Document, loops: &[LoopView]) {
    if loops.is_empty() {
        return;
    }
    document.heading(2, "Research loops");
    for view in loops {
        one_loop(document, view);
    }
}

fn one_loop(document: &mut Document, view: &LoopView) {
    let summary = &view.summary;
    document.heading(3, format!("Research loop {}: {}", summary.id, summary.goal.title));
    let paths: Vec<&str> = summary.goal.parameters.keys().map(String::as_str).collect();
    let state = summary
        .reason
        .as_ref()
        .map_or_else(|| summary.state.word().to_owned(), |reason| format!("{}: {reason}", summary.state.word()));
    let [used, budget] = [view.used_secs() / 60.0, summary.goal.budget.device_hours * 60.0].map(brief);
    let noise = noise_floor(&view.rounds).map_or_else(
        || "not measured".to_owned(),
        |sigma| format!("{} {UNIT} over {} steps", brief(sigma), summary.start.short_steps),
    );
    document.facts(vec![
        ("Started", format!("{} by {}", utc_minute(summary.created_ms), summary.author.name())),
        ("Hyperparameters", paths.join(", ")),
        ("Device time", format!("{used} of {budget} min, without the confirmation")),
        ("Noise floor", noise),
        ("State", state),
        ("Result", findings(&view.rounds)),
    ]);
    if !view.rounds.is_empty() {
        let heads = ["Round", "Tried", "Predicted", "Decision", "Difference", "Reason"];
        document.table(&heads, view.rounds.iter().map(round).collect());
    }
}

fn round(round: &LoopRound) -> Vec<String> {
    let decision = round.decision.as_ref();
    let predicted = round.proposal.as_ref().map(|proposal| in_sentence(proposal.prediction.difference));
    let verdict = decision.and_then(|decision| decision.verdict.as_ref());
    let measured = verdict.and_then(|verdict| {
        let difference = in_sentence(verdict.difference?);
        Some(verdict.interval.map_or_else(
            || difference.clone(),
            |[low, high]| format!("{difference} ({} to {})", in_sentence(low), in_sentence(high)),
        ))
    });
    vec![
        round.number.to_string(),
        round.phrase(),
        predicted.unwrap_or_else(|| NONE.to_owned()),
        decision.map_or_else(|| "not decided".to_owned(), |decision| decision.outcome.word().to_owned()),
        measured.unwrap_or_else(|| NONE.to_owned()),
        decision.map_or_else(String::new, |decision| decision.sentence.clone()),
    ]
}
