//! The hyperparameters other than the learning rate that can change while the run trains: one button with a list of them
//! and their current values, and the form of the one that was chosen.

use leptos::prelude::*;
use wire::{LivePath, RunState};

use super::accumulation::current_micro_batches;
use super::details::{Detail, Loaded};
use super::drawer::{hint, is_off, toggled};
use super::hyperparameter::{live_meaning, value, with_button};
use super::hyperparameter_form::{HyperparameterForm, current};
use super::{Drawer, RunContext};

/// Label, current value, tooltip and form of each entry.
type Entry = (&'static str, Signal<String>, String, Drawer);

/// The rows of the table with a form of their own, except the learning rate, which has a button.
fn in_menu() -> impl Iterator<Item = LivePath> {
    with_button().filter(|path| *path != LivePath::LEARNING_RATE)
}

fn entries(context: RunContext) -> Vec<Entry> {
    let rows = in_menu().map(|path| {
        let now = Signal::derive(move || value(path, current(context, path)));
        (path.row().label, now, live_meaning(path), Drawer::Hyperparameter(path))
    });
    let accumulation = wire::hyperparameters::table::find("batch.accumulation").map(|row| {
        let now = Signal::derive(move || current_micro_batches(context).to_string());
        (row.label, now, row.meaning.to_owned(), Drawer::Accumulation)
    });
    rows.chain(accumulation).collect()
}

/// The button with the list.
#[component]
pub(super) fn HyperparametersMenu() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let is_queued = Memo::new(move |_| context.state.get() == RunState::Queued);
    let is_disabled = move || is_off(context, is_queued.get());
    let is_listed = move |drawer: Drawer| match drawer {
        Drawer::Hyperparameters | Drawer::Accumulation => true,
        Drawer::Hyperparameter(path) => path != LivePath::LEARNING_RATE,
        _ => false,
    };
    let open = Memo::new(move |_| context.drawer.get().filter(|drawer| is_listed(*drawer)));
    let title = "Change hyperparameters while the run trains: beta 1, weight decay, gradient clipping and gradient \
        accumulation. Learning rate and intervals have their own menus; all others are fixed.";
    let press = move |_| {
        let is_open = open.get_untracked().is_some();
        context.drawer.update(|drawer| {
            *drawer = if is_open { None } else { toggled(*drawer, Drawer::Hyperparameters) };
        });
    };
    view! {
        <div class="drawer-root">
            <button
                class="control"
                aria-haspopup="dialog"
                aria-expanded=move || open.read().is_some().to_string()
                title=move || hint(context, is_queued.get(), title.to_owned())
                disabled=is_disabled
                on:click=press
            >
                "Hyperparameters ▾"
            </button>
            {move || open.get().filter(|_| !is_disabled()).map(|drawer| form(context, drawer))}
        </div>
    }
}

/// The list, or the form of the hyperparameter that was chosen.
fn form(context: RunContext, drawer: Drawer) -> AnyView {
    match drawer {
        Drawer::Hyperparameter(path) => view! {
            <div class="drawer" role="dialog" aria-label=path.row().label><HyperparameterForm path /></div>
        }
        .into_any(),
        Drawer::Accumulation => view! {
            <div class="drawer" role="dialog" aria-label="Gradient accumulation"><Loaded detail=Detail::Accumulation /></div>
        }
        .into_any(),
        _ => view! {
            <div class="drawer list" role="dialog" aria-label="Hyperparameters">
                {entries(context).into_iter().map(|(label, now, meaning, drawer)| view! {
                    <button class="quiet" title=meaning on:click=move |_| context.drawer.set(Some(drawer))>
                        <span>{label}</span>
                        <b class="mono">{now}</b>
                    </button>
                }).collect_view()}
            </div>
        }
        .into_any(),
    }
}
