//! What can be taken away of a run: its curves as tables, all of it as one archive. Plain links: the browser keeps the file.

use leptos::prelude::*;

use super::Desk;
use crate::api::takeaway;
use crate::parts::{Icon, Menu};

/// What there is: route, words, meaning.
const PARTS: [(&str, &str, &str); 4] = [
    ("series.csv", "Curves (CSV)", "Every point of every curve, one in a row, with step, tokens, seconds and FLOPs"),
    ("series.parquet", "Curves (Parquet)", "The same in columns, for pandas and the like"),
    ("archive", "The whole run (.tar)", "Plan, journal, curves and checkpoints: another lab can bring it in"),
    ("archive?checkpoints=newest", "With its newest checkpoint only (.tar)", "The same without the older checkpoints"),
];

/// The menu.
#[component]
pub(super) fn TakeAway() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let run = StoredValue::new(desk.id());
    view! {
        <Menu label="Take this run away".to_owned()>
            {PARTS.map(|(what, words, meaning)| view! {
                <a class="button" href=run.with_value(|run| takeaway::run_path(run, what)) download="" title=meaning><Icon name="download" />{words}</a>
            })}
        </Menu>
    }
}
