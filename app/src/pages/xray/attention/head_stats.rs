//! The statistics of a head in words and as a table.

use leptos::prelude::*;
use wire::inspect::result::HeadStats;
use wire::series::definition;

use crate::components::clicks;
use crate::pages::xray::scroll_table::scroll_table;
use crate::pages::xray::tokens::percent;

/// Label, value and meaning of a statistic.
type Fact = (&'static str, String, &'static str);

/// The statistics of a head over a text of this many tokens: label, value and meaning.
pub(super) fn facts(head: &HeadStats, tokens: usize) -> [Fact; 5] {
    let fraction = |value: f32| if value.is_nan() { "–".to_owned() } else { percent(f64::from(value)) };
    [
        (
            "attention entropy",
            format!(
                "{}, {} of uniform",
                figure::number::with_unit(head.entropy_nats(tokens), "nats"),
                fraction(head.entropy)
            ),
            definition::ATTENTION_ENTROPY,
        ),
        (
            "mean distance",
            figure::number::with_unit(f64::from(head.distance), "tokens"),
            "Mean distance to the attended token: Σ p · (position of the query − position of the key), in tokens.",
        ),
        (
            "previous-token score",
            fraction(head.previous),
            "Mean attention weight on the token just before. Near 100 %: a previous-token head.",
        ),
        (
            "induction score",
            fraction(head.induction),
            "Mean attention weight on the token after the previous occurrence of the current token. Near 100 %: an \
             induction head. Shown as “–” if no token occurs twice.",
        ),
        ("largest attention score", figure::number::short(f64::from(head.top_logit)), definition::ATTENTION_SCORE),
    ]
}

/// The kind of a head, if one statistic shows it.
pub(super) fn kind(head: &HeadStats) -> &'static str {
    match head {
        head if head.induction > 0.5 => "induction head: predicts what followed the previous occurrence",
        head if head.previous > 0.5 => "previous-token head",
        head if head.entropy > 0.9 => "uniform: attends to all tokens equally",
        head if head.entropy < 0.1 => "sharp: attends to one token at a time",
        _ => "mixed",
    }
}

/// All heads as a table.
pub(super) fn table(heads: &[HeadStats], tokens: usize, chosen: u32, choose: impl Fn(u32) + Copy + 'static) -> AnyView {
    let Some(first) = heads.first() else {
        return ().into_any();
    };
    let headings = facts(first, tokens)
        .map(|(label, _, meaning)| view! { <th scope="col" class="right" title=meaning>{label}</th> })
        .collect_view();
    let rows = heads
        .iter()
        .enumerate()
        .map(|(at, head)| row(at as u32, facts(head, tokens), head, chosen, choose))
        .collect_view();
    let table = view! {
        <table class="dense">
            <thead><tr>
                <th scope="col" title="Number of the head in its block, from 0">"head"</th>{headings}
                <th scope="col" title="The kind of head that the statistics indicate">"kind"</th>
            </tr></thead>
            <tbody>{rows}</tbody>
        </table>
    };
    scroll_table("Statistics of all heads", table)
}

fn row(at: u32, facts: [Fact; 5], head: &HeadStats, chosen: u32, choose: impl Fn(u32) + Copy + 'static) -> AnyView {
    let cells = facts.map(|(_, value, meaning)| view! { <td class="right mono" title=meaning>{value}</td> });
    view! {
        <tr class:picked=at == chosen>
            <th scope="row">
                <button class="quiet" title="Show this head" on:click=clicks(move |_| choose(at))>
                    {format!("head {at}")}
                </button>
            </th>
            {cells.collect_view()}
            <td>{kind(head)}</td>
        </tr>
    }
    .into_any()
}
