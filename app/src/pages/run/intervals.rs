//! Evaluation and logging intervals: every row of the table in the group `intervals` that can change while the run
//! trains.

use figure::number;
use leptos::prelude::*;
use wire::{Command, LivePath};

use super::drawer::DrawerButton;
use super::hyperparameter::intervals;
use super::{Drawer, RunContext};
use crate::components::{NumberField, TypedNumber};

/// The button and its form.
#[component]
pub(super) fn IntervalsButton() -> impl IntoView {
    view! {
        <DrawerButton
            drawer=Drawer::Intervals
            label=|| view! { <span class="dim">"Intervals"</span>" ▾" }
            name="Intervals"
            title="Steps between evaluations, samples and periodic checkpoints; 0 turns that one off.".to_owned()
        >
            <div class="intervals">
                {intervals().map(|path| view! { <IntervalField path /> }).collect_view()}
                <p class="small dim">"Intervals in steps; 0 turns that one off."</p>
            </div>
        </DrawerButton>
    }
}

#[component]
fn IntervalField(path: LivePath) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let row = path.row();
    let current = Memo::new(move |_| context.hyperparameters.read().get(path, 0) as u64);
    let typed = TypedNumber::new(row.values, current.get_untracked());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if let Some(every) = untrack(|| typed.integer()) {
            context.send(Command::Set { path, value: every as f64, reason: None });
        }
    };
    let effect = move || match typed.integer() {
        None => String::new(),
        Some(every) if every == current.get() => String::new(),
        Some(0) => "Disabled from the next step on.".to_owned(),
        Some(every) => {
            let step = context.summary.read().step;
            format!("The next one is at step {}.", number::whole((step / every + 1) * every))
        }
    };
    view! {
        <form class="interval-field" on:submit=submit>
            <label title=row.meaning>
                {row.label}
                <NumberField number=typed />
            </label>
            <button
                type="submit"
                title="Apply the interval from the next step on"
                disabled=move || typed.integer().is_none_or(|every| every == current.get())
            >
                "Set"
            </button>
            <span class="small dim">{effect}</span>
        </form>
    }
}
