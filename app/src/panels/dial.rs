//! One dial: its present value on a button; under it halves, doubles and a free value, each saying what it does before it
//! does it, and a reason for the journal.

use figure::number;
use leptos::prelude::*;
use wire::{Command, SetField};

use super::actions::{ReasonField, TwinField, reason_of};
use super::controls::{DrawerButton, focus_on};
use super::{Desk, Drawer};

/// A dial's value as the page writes it; 0 turns most of them off.
pub(super) fn value(field: SetField, value: f64) -> String {
    match field {
        SetField::Clip | SetField::EvalEvery | SetField::SampleEvery | SetField::CheckpointEvery if value == 0.0 => {
            "off".into()
        }
        SetField::EvalEvery | SetField::SampleEvery | SetField::CheckpointEvery => number::with_unit(value, "steps"),
        _ => number::short(value),
    }
}

/// A value as one would type it: four digits.
fn as_typed(value: f64) -> String {
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    if rounded == 0.0 || (1e-3..1e6).contains(&rounded) { rounded.to_string() } else { format!("{rounded:e}") }
}

/// Presets: word, and what becomes of the present value.
const PRESETS: [(&str, &str, f64); 4] =
    [("×0.1", "divide by ten", 0.1), ("×½", "halve", 0.5), ("×2", "double", 2.0), ("×10", "multiply by ten", 10.0)];

/// The step from which a change asked now holds.
fn from_step(desk: Desk) -> String {
    number::whole(desk.summary.read().step)
}

fn present(desk: Desk, field: SetField) -> f64 {
    desk.dials.read().get(field, desk.summary.read().step)
}

/// What setting `new` does, in a sentence.
fn effect(desk: Desk, field: SetField, new: f64) -> String {
    let (name, unit, _) = field.describe();
    let from = from_step(desk);
    match field {
        _ if field.check(new).is_err() => field.check(new).err().unwrap_or_default(),
        SetField::Rate => format!(
            "Rate {} {unit} from step {from} on; the rest of the schedule is scaled with it.",
            number::short(new)
        ),
        SetField::Clip if new == 0.0 => format!("Gradients are not clipped from step {from} on."),
        _ => format!("{name} {} from step {from} on.", number::short(new)),
    }
}

/// A dial's button and drawer.
#[component]
pub(super) fn DialButton(field: SetField) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let (name, unit, meaning) = field.describe();
    let key = if field == SetField::Rate { " (l)" } else { "" };
    let now = Memo::new(move |_| value(field, present(desk, field)));
    let word = if field == SetField::WeightDecay { "decay" } else { name };
    view! {
        <DrawerButton
            drawer=Drawer::Dial(field)
            label=move || view! { <span class="dim">{word}</span>" "<b class="mono">{now.get()}</b>" ▾" }
            title=Signal::stored(format!("{meaning} In {unit}.{key}"))
        >
            <DialForm field />
        </DrawerButton>
    }
}

#[component]
fn DialForm(field: SetField) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let scaled = move |by: f64| present(desk, field) * by;
    let before = untrack(|| present(desk, field));
    let typed = RwSignal::new(as_typed(before));
    let reason = RwSignal::new(String::new());
    let wanted = move || typed.read().trim().replace(',', ".").parse::<f64>();
    let input = NodeRef::new();
    focus_on(input);
    let set = move |new: f64| {
        desk.drawer.set(None);
        desk.change(Command::Set { field, value: new, reason: reason_of(reason) });
    };
    let is_bad = move || wanted().is_ok_and(|new| field.check(new).is_err()) || wanted().is_err();
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if let Ok(new) = untrack(wanted)
            && field.check(new).is_ok()
        {
            set(new);
        }
    };
    view! {
        <form on:submit=submit>
            <div class="presets">
                {PRESETS.map(|(word, verb, by)| view! {
                    <button type="button" title=move || format!("{verb}: {}", effect(desk, field, scaled(by))) on:click=move |_| set(untrack(|| scaled(by)))>
                        <b>{word}</b>
                        <span class="mono dim">{move || value(field, scaled(by))}</span>
                    </button>
                })}
            </div>
            <label>
                {field.describe().0}<span class="unit">{format!(" {}", field.describe().1)}</span>
                <input node_ref=input type="text" inputmode="decimal" autocomplete="off" prop:value=typed aria-invalid=move || is_bad().to_string()
                    on:input:target=move |event| typed.set(event.target().value()) />
            </label>
            <ReasonField reason />
            <TwinField />
            <p class="effect">{move || match wanted() {
                Ok(new) => effect(desk, field, new),
                Err(_) => format!("A number, such as {}.", number::short(before)),
            }}</p>
            <div class="row end"><button class="primary" type="submit" disabled=is_bad>{move || format!("Set from step {} on", from_step(desk))}</button></div>
        </form>
    }
}
