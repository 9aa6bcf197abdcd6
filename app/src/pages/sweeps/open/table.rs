//! The table of trials: sortable by each column; trials in the chosen ranges are marked, and can be shown alone.

use leptos::prelude::*;
use wire::sweep::command::SweepCommand;
use wire::sweep::record::{Trial, TrialState};

use super::quantity::{Quantity, QuantityAxis};
use super::sort::{Column, Order, sorted};
use super::state::OpenSweep;
use crate::components::hyperparameters::with_comma;
use crate::components::number::{counted, grouped};
use crate::components::{Icon, clicks, isolated, says, shows};
use crate::pages::sweeps::words::TrialMark;
use crate::route::run_path;

/// Rows that are shown at first: more make the page slow.
const ROWS: usize = 200;
/// Rows above which the table scrolls in a box, so that the panels below stay near.
const LONG: usize = 30;

/// The table, in the context of its rows.
#[derive(Clone, Copy)]
struct TableState {
    open: OpenSweep,
    order: RwSignal<Order>,
    /// Whether only the trials in the chosen ranges are listed.
    is_brushed_only: RwSignal<bool>,
    shows_all: RwSignal<bool>,
    // Memos: a row does not follow each change of the sweep.
    best: Memo<Option<u64>>,
    can_steer: Memo<bool>,
}

#[component]
pub(super) fn TrialTable() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let table = TableState {
        open,
        order: RwSignal::new(Order { column: Column::Number, is_rising: true }),
        is_brushed_only: RwSignal::new(false),
        shows_all: RwSignal::new(false),
        best: Memo::new(move |_| open.sweep.read().as_ref().and_then(|sweep| sweep.best).map(|best| best.trial)),
        can_steer: Memo::new(move |_| open.can_steer()),
    };
    provide_context(table);
    let has_brush = Memo::new(move |_| open.brushed.read().is_some());
    let rows = Memo::new(move |_| listed(table));
    let hidden = Memo::new(move |_| if table.shows_all.get() { 0 } else { rows.read().len().saturating_sub(ROWS) });
    let shown = move || {
        let mut rows = rows.get();
        rows.truncate(rows.len() - hidden.get());
        rows
    };
    let is_long = Memo::new(move |_| rows.read().len() > LONG);
    let toggle = move |_| table.is_brushed_only.update(|is_on| *is_on = !*is_on);
    view! {
        <section class="sheet trials" aria-label="Trials">
            <div class="row padded">
                <h2>"Trials"</h2>
                <span class="grow"></span>
                {shows(move || has_brush.get().then(|| view! {
                    <button
                        class="switch"
                        aria-pressed=move || table.is_brushed_only.get().to_string()
                        title="List only the trials in the chosen ranges"
                        on:click=clicks(toggle)
                    >
                        "Only chosen"
                    </button>
                }))}
            </div>
            <div class="scroll" class:long=move || is_long.get() tabindex="0" role="region" aria-label="Table of trials">
                <table>
                    <thead><tr>{shows(move || headings(table))}</tr></thead>
                    <tbody>
                        <For each=shown key=row_key let(trial)>
                            <TrialRow trial />
                        </For>
                    </tbody>
                </table>
            </div>
            {shows(move || (hidden.get() > 0).then(|| view! {
                <div class="padded">
                    <button title="List all trials" on:click=clicks(move |_| table.shows_all.set(true))>
                        {says(move || format!("Show {} more", counted(hidden.get() as u64, "trial")))}
                    </button>
                </div>
            }))}
        </section>
    }
}

/// The trials in the order of the table.
fn listed(table: TableState) -> Vec<Trial> {
    let trials = table.open.trials.read();
    let in_order = sorted(&trials, &table.order.read()).into_iter().map(|at| &trials[at]);
    let brushed = table.open.brushed.read();
    let only = brushed.as_ref().filter(|_| table.is_brushed_only.get());
    in_order.filter(|trial| only.is_none_or(|only| only.contains(&trial.number))).cloned().collect()
}

/// What a row shows: it is built again when this changes.
fn row_key(trial: &Trial) -> (u64, u32, &'static str, Option<u64>, Option<String>, Option<String>) {
    let run = trial.run.as_ref().map(ToString::to_string);
    (trial.number, trial.attempt, trial.state.label(), trial.last_step, trial.reason.clone(), run)
}

fn headings(table: TableState) -> AnyView {
    let of_axis = |axis: QuantityAxis| {
        let (label, unit) = (axis.label, with_comma(axis.unit));
        view! { <Heading label unit column=Column::Quantity(axis.quantity) /> }
    };
    let quantities: Vec<_> = table.open.axes.get().into_iter().map(of_axis).collect();
    view! {
        <Heading label="Trial".to_owned() unit=String::new() column=Column::Number />
        <Heading label="State".to_owned() unit=String::new() column=Column::State />
        {quantities}
        <Heading label="Steps".to_owned() unit=String::new() column=Column::Step />
        <th scope="col">"Run"</th>
        <th scope="col">"Why it ended"</th>
    }
    .into_any()
}

#[component]
fn Heading(label: String, unit: String, column: Column) -> impl IntoView {
    let table = expect_context::<TableState>();
    let title = format!("Sort by {label}; a second press turns the order");
    let column = StoredValue::new(column);
    let direction = move || {
        let order = table.order.read();
        let is_this = column.with_value(|column| order.column == *column);
        is_this.then_some(if order.is_rising { "ascending" } else { "descending" })
    };
    let arrow = move || match direction() {
        Some("ascending") => " ↑",
        Some(_) => " ↓",
        None => "",
    };
    let sort = move |_| table.order.update(|order| *order = order.clicked(column.get_value()));
    view! {
        <th scope="col" aria-sort=direction>
            <button class="quiet sort" title=title on:click=clicks(sort)>
                <span>{label}<span class="unit">{unit}</span></span><span aria-hidden="true">{arrow}</span>
            </button>
        </th>
    }
}

#[component]
fn TrialRow(trial: Trial) -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let number = trial.number;
    let table = expect_context::<TableState>();
    let is_best = move || table.best.get() == Some(number);
    let axes = open.axes.read_untracked();
    let cell = |axis: &QuantityAxis| {
        let text = axis.quantity.of(&trial).map(|value| axis.text(&value));
        let is_value = axis.quantity == Quantity::Value;
        view! { <td class="mono" class:strong=is_value>{text.unwrap_or_else(|| "–".to_owned())}</td> }
    };
    let cells: Vec<_> = axes.iter().map(cell).collect();
    let attempt = (trial.attempt > 1).then(|| format!(" (attempt {})", trial.attempt));
    let run = trial.run.clone().map(|run| {
        view! { <a href=run_path(&run) title="Open the page of the run">{run.to_string()}</a> }
    });
    view! {
        <tr
            data-state=trial.state.label()
            data-trial=number.to_string()
            class:brushed=move || open.is_brushed(number)
            class:best=is_best
            on:pointerenter=move |_| open.pointed.set(Some(number))
            on:pointerleave=move |_| open.pointed.set(None)
            on:focusin=move |_| open.pointed.set(Some(number))
            on:focusout=move |_| open.pointed.set(None)
        >
            <th scope="row" class="mono">
                {grouped(number)}
                {shows(move || is_best().then(|| view! { <span class="small">" best"</span> }))}
            </th>
            <td><TrialMark state=trial.state />{attempt}</td>
            {cells}
            <td class="mono">{trial.last_step.map_or_else(|| "–".to_owned(), grouped)}</td>
            <td>{run}</td>
            <td class="why">
                {trial.reason.as_deref().map(isolated)}
                <TrialButtons trial=trial.clone() />
            </td>
        </tr>
    }
}

/// Resuming a trial that was stopped, and training one again that has ended.
#[component]
fn TrialButtons(trial: Trial) -> impl IntoView {
    let TableState { open, can_steer, .. } = expect_context::<TableState>();
    let (number, is_over) = (trial.number, trial.state.is_over());
    let can_resume = matches!(trial.state, TrialState::Stopped | TrialState::Failed) && trial.run.is_some();
    let resume = move |_| {
        open.send(SweepCommand::ResumeTrial { trial: number }, "The trial was resumed", "The trial was not resumed");
    };
    let retry = move |_| {
        open.send(SweepCommand::Retry { trial: number }, "The trial trains again", "The trial does not train again");
    };
    shows(move || {
        (is_over && can_steer.get()).then(|| {
            view! {
                <span class="row">
                    {can_resume.then(|| view! {
                        <button
                            class="quiet"
                            aria-label=format!("Resume trial {number}")
                            title="Continue from its checkpoint. Rules do not stop it again."
                            disabled=open.is_sending
                            on:click=clicks(resume)
                        >
                            "Resume"
                        </button>
                    })}
                    <button
                        class="quiet"
                        aria-label=format!("Train again: trial {number}")
                        title="Train it again from its first step, as a new run. Its earlier run stays."
                        disabled=open.is_sending
                        on:click=clicks(retry)
                    >
                        <Icon name="back" />
                        "Train again"
                    </button>
                </span>
            }
        })
    })
}
