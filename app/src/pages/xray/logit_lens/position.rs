//! The predictions at the chosen position, depth by depth, as a table.

use figure::number;
use leptos::prelude::*;
use wire::inspect::result::LogitLensCell;

use super::lens::{Lens, depth_label};
use crate::components::shows;
use crate::pages::xray::hook_point;
use crate::pages::xray::scroll_table::scroll_table;
use crate::pages::xray::state::XrayState;
use crate::pages::xray::subscription::Subscription;
use crate::pages::xray::tokens::{percent, visible};

/// The table.
#[component]
pub(super) fn Position(xray: XrayState, subscription: Subscription) -> impl IntoView {
    shows(move || {
        let result = subscription.result.get()?;
        let lens = Lens::of(&result.result)?;
        let position = xray.token.get().unwrap_or(0).min(lens.tokens.len().checked_sub(1)?);
        let rows = lens.depths.iter().enumerate();
        let rows = rows.filter_map(|(depth, name)| Some(row(&lens, name, lens.cell(depth, position)?))).collect_view();
        Some(view! {
            <h3>{heading(&lens, position)}</h3>
            {scroll_table("Predictions at the chosen position", table(rows.into_any()))}
        })
    })
}

fn heading(lens: &Lens, position: usize) -> String {
    let next = match lens.tokens.get(position + 1) {
        Some(next) => format!("the next token is “{}”", visible(next)),
        None => "the next token is unknown".to_owned(),
    };
    let last = lens.depths.len().checked_sub(1).and_then(|depth| lens.cell(depth, position));
    let predicted = last.and_then(|cell| cell.top.first()).map_or_else(String::new, |(token, probability)| {
        format!(" Prediction: “{}” ({})", visible(lens.word(*token)), percent(f64::from(*probability)))
    });
    let answer = match (lens.depth_of_answer(position), last) {
        (Some(depth), _) => format!(", correct from {} on.", depth_label(&lens.depths[depth])),
        (None, Some(cell)) if cell.rank > 0 => {
            format!("; the next token has rank {}.", number::whole(u64::from(cell.rank)))
        }
        _ => ".".to_owned(),
    };
    format!("Position {position}, “{}”: {next}.{predicted}{answer}", visible(&lens.tokens[position]))
}

fn table(rows: AnyView) -> AnyView {
    view! {
        <table class="dense">
            <thead><tr>
                <th scope="col" title="The depth at which the residual stream is read">"depth"</th>
                <th scope="col" title="The three most likely next tokens with their probabilities">"predictions"</th>
                <th scope="col" class="right" title="Probability of the actual next token">"actual token"</th>
                <th
                    scope="col"
                    class="right"
                    title="Rank of the actual next token by probability; 1 is the most likely token"
                >
                    "rank"
                </th>
            </tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

fn row(lens: &Lens, name: &str, cell: &LogitLensCell) -> AnyView {
    let token = |(token, probability): &(u32, f32)| {
        format!("“{}”\u{a0}{}", visible(lens.word(*token)), percent(f64::from(*probability)))
    };
    let top: Vec<String> = cell.top.iter().map(token).collect();
    let rank = if cell.rank == 0 { "–".to_owned() } else { number::whole(u64::from(cell.rank)) };
    view! {
        <tr class:picked=cell.rank == 1>
            <th scope="row" title=format!("hook point {}", hook_point::of_depth(name))>{depth_label(name)}</th>
            <td class="mono wrap">{top.join(", ")}</td>
            <td class="right mono">{percent(f64::from(cell.actual))}</td>
            <td class="right mono">{rank}</td>
        </tr>
    }
    .into_any()
}
