//! Going back to a saved state: what becomes a ghost is said before, and the batches to leave out can be given.

use figure::number;
use leptos::prelude::*;
use wire::checkpoint::CheckpointView;
use wire::{CheckpointId, Command};

use super::actions::{ReasonField, TwinField, reason_of};
use super::checkpoints::words;
use super::controls::DrawerButton;
use super::{Desk, Drawer};

/// The button and its drawer.
#[component]
pub(super) fn RollbackButton() -> impl IntoView {
    view! {
        <DrawerButton
            drawer=Drawer::Rollback
            label=|| view! { <crate::parts::Icon name="back" />"Roll back" }
            title="Go back to a checkpoint; what came after it stays as a ghost (b)".to_owned()
        >
            <RollbackForm />
        </DrawerButton>
    }
}

/// The saved states of the run, newest first.
pub(super) fn saved(desk: Desk) -> Vec<CheckpointView> {
    match &*desk.checkpoints.read() {
        Some(Ok(saved)) => saved.clone(),
        _ => vec![],
    }
}

/// A list of saved states to choose from.
#[component]
pub(super) fn CheckpointSelect(
    /// What stands first, for "now"; none where a saved state must be chosen.
    #[prop(optional_no_strip)]
    now: Option<&'static str>,
    /// The choice.
    chosen: RwSignal<Option<CheckpointId>>,
) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let choose = move |value: String| chosen.set(value.parse().ok());
    view! {
        <select on:change:target=move |event| choose(event.target().value())>
            {now.map(|now| view! { <option value="" selected=move || chosen.get().is_none()>{now}</option> })}
            {move || saved(desk).into_iter().map(|saved| {
                let id = saved.info.id;
                view! { <option value=id.to_string() selected=move || chosen.get() == Some(id)>{format!("step {} · {}", number::whole(id.step), words(&saved))}</option> }
            }).collect_view()}
        </select>
    }
}

#[component]
fn RollbackForm() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let first = untrack(|| saved(desk).first().map(|saved| saved.info.id));
    let chosen = RwSignal::new(desk.chosen.get_untracked().or(first));
    let skip = RwSignal::new(String::new());
    let reason = RwSignal::new(String::new());
    let skipped = move || match skip.read().trim() {
        "" => Some(0),
        typed => typed.parse::<u64>().ok(),
    };
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let (Some(checkpoint), Some(skip_batches)) = (chosen.get_untracked(), untrack(skipped)) else { return };
        desk.drawer.set(None);
        desk.change(Command::Rollback { checkpoint, skip_batches, reason: reason_of(reason) });
    };
    view! {
        <form on:submit=submit>
            {move || (saved(desk).is_empty()).then(|| view! { <p>"There is no checkpoint yet to go back to."</p> })}
            <label>"Back to"<CheckpointSelect chosen /></label>
            <label title="PaLM's recipe after a spike: go back and leave out the batches that led to it.">
                "Leave out"<span class="unit">" batches from there on"</span>
                <input type="text" inputmode="numeric" placeholder="0" prop:value=skip aria-invalid=move || skipped().is_none().to_string()
                    on:input:target=move |event| skip.set(event.target().value()) />
            </label>
            <ReasonField reason />
            <TwinField />
            <p class="effect">{move || effect(desk, chosen.get(), skipped())}</p>
            <div class="row end"><button class="primary" type="submit" disabled=move || chosen.get().is_none() || skipped().is_none()>"Roll back"</button></div>
        </form>
    }
}

fn effect(desk: Desk, checkpoint: Option<CheckpointId>, skipped: Option<u64>) -> String {
    let (Some(checkpoint), Some(skipped)) = (checkpoint, skipped) else {
        return "A checkpoint, and a whole number of batches.".into();
    };
    let now = desk.summary.read().step;
    let is_ahead = !desk.run.read().curves.lineage().holds(checkpoint.segment, checkpoint.step);
    let from = number::whole(checkpoint.step);
    let ghost = match (is_ahead, now.saturating_sub(checkpoint.step)) {
        (true, _) => {
            format!("It goes on from step {from} of a stretch that was left; the present one becomes a ghost.")
        }
        (false, 0) => format!("It goes on from step {from}."),
        (false, 1) => format!("It goes on from step {from}; the step since becomes a ghost."),
        (false, steps) => format!(
            "It goes on from step {from}; the {} steps since become a ghost on the curves.",
            number::whole(steps)
        ),
    };
    let leaves_out = if skipped == 0 {
        String::new()
    } else {
        format!(" The next {} batches are left out.", number::whole(skipped))
    };
    format!("{ghost}{leaves_out} The state of now is saved first, so this can be undone.")
}
