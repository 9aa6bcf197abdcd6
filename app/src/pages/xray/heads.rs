//! What is to be known of a head, in five numbers.

use leptos::prelude::*;
use wire::sight::HeadStats;

use crate::parts::clicks;
use crate::xray::tokens::percent;

/// A number of a head: its word, its value, and what it means.
pub(super) fn facts(head: &HeadStats) -> [(&'static str, String, &'static str); 5] {
    let share = |value: f32| {
        if value.is_nan() { "–".to_owned() } else { percent(f64::from(value)) }
    };
    [
        (
            "entropy",
            share(head.entropy),
            "How widely it looks: mean of -Σ p ln p over the most possible, ln(tokens so far). 100 %: at everything alike; 0 %: at one token.",
        ),
        (
            "distance",
            figure::number::with_unit(f64::from(head.distance), "tokens"),
            "How far back it reads on average: Σ p · (place − place read).",
        ),
        ("previous", share(head.previous), "Mean weight on the token just before. Near 100 %: a previous-token head."),
        (
            "induction",
            share(head.induction),
            "Mean weight on the token that came after the last time this token was seen. Near 100 %: an induction head, which continues what was seen before. – where no token occurs twice.",
        ),
        (
            "top logit",
            figure::number::short(f64::from(head.top_logit)),
            "Largest q·k / √d_head. Above about 50 the softmax is saturated.",
        ),
    ]
}

/// What a head seems to do, where one number says it.
pub(super) fn habit(head: &HeadStats) -> &'static str {
    match head {
        head if head.induction > 0.5 => "induction head: it continues what it has seen before",
        head if head.previous > 0.5 => "previous-token head",
        head if head.entropy > 0.9 => "looks at everything alike: it has not settled",
        head if head.entropy < 0.1 => "sharp: one token at a time",
        _ => "mixed",
    }
}

/// All heads as a table.
pub(super) fn table(heads: &[HeadStats], chosen: u32, choose: impl Fn(u32) + Copy + 'static) -> AnyView {
    let Some(first) = heads.first() else {
        return ().into_any();
    };
    let headings =
        facts(first).map(|(word, _, meaning)| view! { <th scope="col" class="right" title=meaning>{word}</th> });
    let rows = heads.iter().enumerate().map(|(at, head)| {
        let cells = facts(head).map(|(_, value, meaning)| view! { <td class="right mono" title=meaning>{value}</td> });
        view! {
            <tr class:picked=at as u32 == chosen>
                <th scope="row"><button class="quiet" on:click=clicks(move |_| choose(at as u32))>{format!("head {at}")}</button></th>
                {cells.collect_view()}
                <td>{habit(head)}</td>
            </tr>
        }
    });
    view! {
        <div class="scroll"><table class="dense">
            <thead><tr><th scope="col">"head"</th>{headings.collect_view()}<th scope="col">"habit"</th></tr></thead>
            <tbody>{rows.collect_view()}</tbody>
        </table></div>
    }
    .into_any()
}
