//! The rows of the page that is shown, under the headings of their groups.

use leptos::prelude::*;
use serde_json::Value;
use wire::RunId;
use wire::run::table::columns::{Column, text_of};
use wire::run::table::{GroupBy, RunGroup};

use super::columns::Headings;
use super::state::TableState;
use crate::components::number::{clock, grouped, small};
use crate::components::{isolated, run_name};
use crate::net::live::Live;
use crate::pages::lab::row::{ExtraCell, RunRow};
use crate::pages::lab::selection::Selection;
use crate::projects::Projects;

/// Columns of every table, for a cell that spans all.
const FIXED_COLUMNS: usize = 10;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum TableLine {
    Group { key: String, count: u64 },
    Run(RunId),
}

#[component]
pub(super) fn RunRows() -> impl IntoView {
    let table = expect_context::<TableState>();
    let selection = expect_context::<Selection>();
    let lines = Memo::new(move |_| {
        let page = table.page.read();
        let mut lines = vec![];
        let mut group = None;
        for row in page.iter().flat_map(|page| &page.rows) {
            if row.group.is_some() && row.group != group {
                group.clone_from(&row.group);
                let begun = row.group.clone().map(|RunGroup { key, count }| TableLine::Group { key, count });
                lines.extend(begun);
            }
            lines.push(TableLine::Run(row.summary.id.clone()));
        }
        lines
    });
    Effect::new(move |_| {
        let run = |line: &TableLine| match line {
            TableLine::Run(id) => Some(id.clone()),
            TableLine::Group { .. } => None,
        };
        selection.listed.set(lines.read().iter().filter_map(run).collect());
    });
    view! {
        <div class="sheet scroll">
            <table class="runs many">
                <Headings />
                <tbody>
                    <For each=move || lines.get() key=Clone::clone let(line)>
                        {match line {
                            TableLine::Group { key, count } => view! { <GroupLine key count /> }.into_any(),
                            TableLine::Run(id) => {
                                let extra = Memo::new({
                                    let id = id.clone();
                                    move |_| extra_cells(table, &id)
                                });
                                view! { <RunRow id extra /> }.into_any()
                            }
                        }}
                    </For>
                </tbody>
            </table>
        </div>
    }
}

#[component]
fn GroupLine(key: String, count: u64) -> impl IntoView {
    let table = expect_context::<TableState>();
    let live = expect_context::<Live>();
    let projects = expect_context::<Projects>();
    let fixed = move || FIXED_COLUMNS + usize::from(projects.are_several());
    let label = move || match (table.query.read().group, key.as_str()) {
        (Some(GroupBy::Tag), "") => "Without tags".to_owned(),
        (Some(GroupBy::Parent), "") => "Not forked".to_owned(),
        (Some(GroupBy::Parent), parent) => match parent.parse() {
            Ok(parent) => format!("Forks of {}", run_name(live, &parent)),
            Err(_) => isolated(parent),
        },
        (_, key) => isolated(key),
    };
    let runs = if count == 1 { "1 run".to_owned() } else { format!("{} runs", grouped(count)) };
    view! {
        <tr class="group">
            <th scope="rowgroup" colspan=move || (fixed() + table.columns().len()).to_string()>
                {label}" "<span class="dim">{runs}</span>
            </th>
        </tr>
    }
}

/// The cells of the chosen columns.
fn extra_cells(table: TableState, run: &RunId) -> Vec<ExtraCell> {
    let page = table.page.read();
    let row = page.as_ref().and_then(|page| page.rows.iter().find(|row| row.summary.id == *run));
    let cell = |id: String| {
        let column = Column::find(&id);
        let value = row.and_then(|row| row.values.get(&column.id()));
        let unit = column.unit();
        let exact = value.map_or_else(|| "No value".to_owned(), |value| format!("{} {unit}", text_of(value)));
        ExtraCell {
            label: column.label(),
            text: value.map_or_else(|| "–".to_owned(), |value| written(&column, value)),
            exact: exact.trim_end().to_owned(),
        }
    };
    table.columns().into_iter().map(cell).collect()
}

/// A value as the cell shows it.
fn written(column: &Column, value: &Value) -> String {
    if let Column::Field(field) = column
        && let ("created" | "ended", Some(at_ms)) = (field.id, value.as_f64())
    {
        return clock(at_ms);
    }
    match (value.as_u64(), value.as_f64()) {
        (Some(whole), _) => grouped(whole),
        (None, Some(number)) => small(number),
        _ => isolated(&text_of(value)),
    }
}
