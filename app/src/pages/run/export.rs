//! Exports of a run: its series as tables, or everything as an archive. Plain links: the browser saves the file.

use leptos::prelude::*;

use super::RunContext;
use crate::components::{Icon, Menu};
use crate::net::api::export;

/// Route, label and meaning of each export.
const EXPORTS: [(&str, &str, &str); 4] = [
    (
        "series.csv",
        "Export series (CSV)",
        "Every point of every series, one per row, with step, tokens, training time and FLOPs",
    ),
    ("series.parquet", "Export series (Parquet)", "The same table in columns, for pandas or Polars"),
    (
        "archive",
        "Export run (.tar)",
        "Plan, journal, series and all checkpoints; another Kindling server can import the archive",
    ),
    (
        "archive?checkpoints=newest",
        "Export run with its newest checkpoint (.tar)",
        "The same archive without the older checkpoints",
    ),
];

#[component]
pub(super) fn ExportMenu() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let run = StoredValue::new(context.id());
    view! {
        <Menu label="Export this run".to_owned()>
            {EXPORTS.map(|(route, label, meaning)| view! {
                <a class="button" href=run.with_value(|run| export::run_path(run, route)) download="" title=meaning>
                    <Icon name="download" />
                    {label}
                </a>
            })}
        </Menu>
    }
}
