//! The batch: passes of a step whose gradients are summed. More of them make a calmer gradient and a longer step.

use figure::number;
use leptos::prelude::*;
use wire::Command;
use wire::command::Redraw;

use super::actions::{Onset, OnsetField, ReasonField, TwinField, reason_of};
use super::controls::{DrawerButton, focus_on};
use super::{Desk, Drawer};

/// Passes at the present step.
fn present(desk: Desk) -> u64 {
    desk.dials.read().passes.at(desk.summary.read().step)
}

/// The batch's button and drawer.
#[component]
pub(super) fn BatchButton() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let now = Memo::new(move |_| present(desk));
    view! {
        <DrawerButton
            drawer=Drawer::Batch
            label=move || view! { <span class="dim">"passes"</span>" "<b class="mono">{now.get()}</b>" ▾" }
            title="Passes of a step whose gradients are summed: the batch is rows × passes.".to_owned()
        >
            <BatchForm />
        </DrawerButton>
    }
}

#[component]
fn BatchForm() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let typed = RwSignal::new(untrack(|| present(desk)).to_string());
    let onset = RwSignal::new(Onset::Now);
    let reason = RwSignal::new(String::new());
    let tokens_per_pass = desk.run.with_untracked(|run| run.view.plan.tokens_per_pass());
    let wanted = Memo::new(move |_| match typed.read().trim().parse::<u64>() {
        Ok(passes) if (1..=65_536).contains(&passes) => onset.get().check(desk).map(|()| passes),
        _ => Err("A whole number from 1 to 65 536.".to_owned()),
    });
    let input = NodeRef::new();
    focus_on(input);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Ok(passes) = wanted.get_untracked() else { return };
        let from = match onset.get_untracked() {
            Onset::Now => desk.next_step(),
            Onset::At(step) | Onset::Until(step) => step,
        };
        desk.drawer.set(None);
        let course = Redraw::Passes { stairs: vec![(from, passes)] };
        desk.change(Command::Redraw { course, reason: reason_of(reason) });
    };
    let scaled = move |by: f64| ((untrack(|| present(desk)) as f64 * by).round().max(1.0) as u64).to_string();
    view! {
        <form on:submit=submit>
            <label>
                "Passes"<span class="unit">" per step"</span>
                <input node_ref=input type="number" min="1" max="65536" prop:value=typed aria-invalid=move || wanted.read().is_err().to_string()
                    on:input:target=move |event| typed.set(event.target().value()) />
            </label>
            <div class="row">
                <button type="button" on:click=move |_| typed.set(scaled(0.5))>"half"</button>
                <button type="button" on:click=move |_| typed.set(scaled(2.0))>"double"</button>
            </div>
            <OnsetField onset />
            <ReasonField reason />
            <TwinField />
            <p class="effect">{move || match wanted.get() {
                Ok(passes) => format!(
                    "{} per step {}, {} times as long a step. The rate stays as it is.",
                    number::with_unit((passes * tokens_per_pass) as f64, "tokens"),
                    onset.get().words(desk),
                    number::short(passes as f64 / present(desk).max(1) as f64),
                ),
                Err(why) => why,
            }}</p>
            <div class="row end"><button class="primary" type="submit" disabled=move || wanted.read().is_err()>"Change the batch"</button></div>
        </form>
    }
}
