//! Exports of a run: its metrics as tables, or everything as an archive. Plain links: the browser saves the file.

use leptos::prelude::*;

use super::RunContext;
use crate::components::{Icon, Menu};
use crate::net::api::export;

/// Route, label and meaning of each export.
const EXPORTS: [(&str, &str, &str); 4] = [
    (
        "series.csv",
        "Export metrics (CSV)",
        "Every point of every metric, one per row, with step, tokens, training time and FLOPs",
    ),
    ("series.parquet", "Export metrics (Parquet)", "The same table as a Parquet file, for pandas or Polars"),
    (
        "archive",
        "Export run with all checkpoints (.tar)",
        "Plan, journal, metrics and all checkpoints; another Kindling server can import the archive",
    ),
    (
        "archive?checkpoints=newest",
        "Export run with the newest checkpoint (.tar)",
        "Plan, journal, metrics and only the newest checkpoint",
    ),
];

#[component]
pub(super) fn ExportMenu() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let run = StoredValue::new(context.id());
    view! {
        <Menu label="Export this run" word="Export">
            {EXPORTS.map(|(route, label, meaning)| view! {
                <a class="button" href=run.with_value(|run| export::run_path(run, route)) download="" title=meaning>
                    <Icon name="download" />
                    {label}
                </a>
            })}
        </Menu>
    }
}
