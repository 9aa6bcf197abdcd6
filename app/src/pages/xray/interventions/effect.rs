//! The effect of interventions: losses, the tokens that became harder to predict, and the completions.

use figure::number;
use leptos::prelude::*;
use wire::inspect::request::INTERVENTION_TOKENS;
use wire::inspect::result::InspectionResult;

use crate::pages::xray::scroll_table::scroll_table;
use crate::pages::xray::state::XrayState;
use crate::pages::xray::token_text::token_text;
use crate::pages::xray::tokens::{mean, percent, visible};

/// Minimum increase of the loss that gives the full colour, nats.
const MIN_INCREASE: f32 = 0.5;

/// The effect on the weights of a step.
pub(super) fn view(xray: XrayState, step: u64, result: InspectionResult) -> AnyView {
    let InspectionResult::Interventions {
        tokens,
        before,
        after,
        valid_before,
        valid_after,
        completion_before,
        completion_after,
    } = result
    else {
        return ().into_any();
    };
    let increases = increases(&before, &after, tokens.len());
    let hardest = hardest(&tokens, &increases);
    let most = most(&increases);
    let tints = tints(&increases, most);
    let of = |losses: Vec<f32>| mean(losses).unwrap_or(f64::NAN);
    let rows = [
        row("this text", "Mean over all predictions on the inspected text".into(), of(before), of(after)),
        row("validation split, first windows", validation_meaning(), f64::from(valid_before), f64::from(valid_after)),
    ];
    let words = Signal::stored(tokens);
    view! {
        <p class="provenance small dim" title="The number of optimizer steps done when this was computed">
            {format!("computed on the weights of step {}", number::whole(step))}
        </p>
        {scroll_table("Loss with and without the interventions", loss_table(rows.collect_view().into_any()))}
        <h3>"Tokens that are harder to predict with the interventions"</h3>
        {token_text(xray, "The text, colored by the increase of the loss", words, Signal::stored(tints))}
        <p class="row small dim">
            <span class="loss-scale" title="Color scale of the increase of the loss of each token">
                "0 "<i></i>{format!(" {} nats", number::short(f64::from(most)))}
            </span>
            <span>{hardest}</span>
        </p>
        <div class="completions">
            <div>
                <h3 title="Greedy completion of the text without the interventions">
                    "Completion without interventions"
                </h3>
                <p class="token-text">{completion_before}</p>
            </div>
            <div>
                <h3 title="Greedy completion of the text with the interventions">"Completion with interventions"</h3>
                <p class="token-text">{completion_after}</p>
            </div>
        </div>
    }
    .into_any()
}

fn loss_table(rows: AnyView) -> AnyView {
    view! {
        <table class="dense intervention-table">
            <thead><tr>
                <th scope="col" title="Mean loss, −ln p(token | tokens before it)">"loss, nats/token"</th>
                <th scope="col" class="right" title="Loss of the model as it is">"without"</th>
                <th scope="col" class="right" title="Loss with the interventions">"with"</th>
                <th scope="col" class="right" title="Loss with the interventions minus loss without them">
                    "difference"
                </th>
            </tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

/// Which part of the validation split is measured, and why its loss is not that of the Run page.
fn validation_meaning() -> String {
    format!(
        "Mean over the first windows of the validation split, at most {}. The validation loss of the run is the mean over more or other \
         windows, so the two differ.",
        number::with_unit(INTERVENTION_TOKENS as f64, "tokens")
    )
}

fn row(text: &'static str, meaning: String, before: f64, after: f64) -> AnyView {
    let increase = after - before;
    let sign = if increase >= 0.0 { "+" } else { "" };
    let difference = format!("{sign}{} ({sign}{})", number::fixed(increase, 3), percent(increase / before));
    view! {
        <tr>
            <th scope="row" title=meaning>{text}</th>
            <td class="right mono">{number::fixed(before, 3)}</td>
            <td class="right mono">{number::fixed(after, 3)}</td>
            <td class="right mono">{difference}</td>
        </tr>
    }
    .into_any()
}

/// How much the loss of predicting each token increases, nats. The loss of a token stands at the position before it;
/// NaN for the first.
fn increases(before: &[f32], after: &[f32], tokens: usize) -> Vec<f32> {
    let increase = before.iter().zip(after).map(|(before, after)| after - before);
    std::iter::once(f32::NAN).chain(increase).take(tokens).collect()
}

/// The increase that has the full colour: the largest.
fn most(increases: &[f32]) -> f32 {
    increases.iter().copied().filter(|loss| loss.is_finite()).fold(MIN_INCREASE, f32::max)
}

/// Increases as tints from 0 to 1, relative to the largest.
fn tints(increases: &[f32], most: f32) -> Vec<f32> {
    increases.iter().map(|loss| (loss / most).clamp(0.0, 1.0)).collect()
}

fn hardest(tokens: &[String], increases: &[f32]) -> Option<String> {
    let finite = increases.iter().enumerate().filter(|(_, increase)| increase.is_finite());
    let (at, increase) = finite.max_by(|a, b| a.1.total_cmp(b.1))?;
    let sign = if *increase > 0.0 { "+" } else { "" };
    let increase = format!("{sign}{}", number::short(f64::from(*increase)));
    let token = visible(tokens.get(at)?);
    Some(format!("Largest increase: {increase} nats, at “{token}”, position {at} (the first is 0)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_increase_is_found_at_the_token_after_its_position() {
        let found = increases(&[1.0, 2.0, 3.0, f32::NAN], &[1.5, 4.0, 2.0, f32::NAN], 4);
        assert!(found[0].is_nan());
        assert_eq!(found[1..], [0.5, 2.0, -1.0]);
        let tokens = ["a", "b", "c", "d"].map(String::from);
        let words = hardest(&tokens, &found).unwrap();
        assert!(words.starts_with("Largest increase: +2"), "{words}");
        assert!(words.ends_with("nats, at “c”, position 2 (the first is 0)"), "{words}");
        assert_eq!(tints(&found, most(&found))[1..], [0.25, 1.0, 0.0]);
    }
}
