//! How often the lab looks and saves by itself: validation, samples, checkpoints.

use figure::number;
use leptos::prelude::*;
use wire::{Command, SetField};

use super::controls::DrawerButton;
use super::{Desk, Drawer};

const FIELDS: [(SetField, &str, &str); 3] = [
    (SetField::EvalEvery, "evaluate", "Validation loss on held-out text."),
    (SetField::SampleEvery, "sample", "A text on the weights of that step."),
    (SetField::CheckpointEvery, "checkpoint", "The whole state, to go on from."),
];

/// The button and its drawer.
#[component]
pub(super) fn EveryButton() -> impl IntoView {
    view! {
        <DrawerButton drawer=Drawer::Every label=|| view! { <span class="dim">"every"</span>" ▾" } title="How often to evaluate, sample and save by itself".to_owned()>
            <div class="every">
                {FIELDS.map(|(field, word, meaning)| view! { <EveryField field word meaning /> })}
                <p class="small dim">"In steps; 0 turns it off."</p>
            </div>
        </DrawerButton>
    }
}

#[component]
fn EveryField(field: SetField, word: &'static str, meaning: &'static str) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let present = Memo::new(move |_| desk.dials.read().get(field, 0) as u64);
    let typed = RwSignal::new(present.get_untracked().to_string());
    let wanted = move || typed.read().trim().parse::<u64>().ok().filter(|every| field.check(*every as f64).is_ok());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if let Some(every) = untrack(wanted) {
            desk.ask(Command::Set { field, value: every as f64, reason: None });
        }
    };
    let effect = move || match wanted() {
        None => "a whole number of steps".to_owned(),
        Some(every) if every == present.get() => meaning.to_owned(),
        Some(0) => "none from here on".to_owned(),
        Some(every) => {
            let step = desk.summary.read().step;
            format!("the next at step {}", number::whole((step / every + 1) * every))
        }
    };
    view! {
        <form class="every-field" on:submit=submit>
            <label>
                {word}
                <input type="number" min="0" prop:value=typed on:input:target=move |event| typed.set(event.target().value()) />
            </label>
            <button type="submit" disabled=move || wanted().is_none_or(|every| every == present.get())>"Set"</button>
            <span class="small dim">{effect}</span>
        </form>
    }
}
