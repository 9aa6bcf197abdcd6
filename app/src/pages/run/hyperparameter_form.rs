//! A hyperparameter that can change while the run trains: its current value on a button, and a form with half, double
//! and a free value. The buttons fill the field, the form says the effect, and only its last button applies it.

use figure::number;
use leptos::prelude::*;
use wire::{Command, LivePath};

use super::command::step_now;
use super::drawer::{DrawerButton, focus_on};
use super::fields::{ControlRunField, ReasonField, reason_of, sentence};
use super::hyperparameter::{BETA1, is_off_at_zero, live_meaning, value};
use super::{Drawer, RunContext};
use crate::components::hyperparameters::with_comma;
use crate::components::{NumberField, TypedNumber};

/// A value as a person would type it, in four digits.
fn as_typed(value: f64) -> String {
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    if rounded == 0.0 || (1e-3..1e6).contains(&rounded) { rounded.to_string() } else { format!("{rounded:e}") }
}

/// Values offered for Beta 1: a factor would leave its range.
const BETAS: [f64; 4] = [0.8, 0.9, 0.95, 0.99];

/// Label, verb and factor of the buttons in the form of another hyperparameter.
const FACTORS: [(&str, &str, f64); 4] =
    [("×0.1", "Divide by 10", 0.1), ("×½", "Halve", 0.5), ("×2", "Double", 2.0), ("×10", "Multiply by 10", 10.0)];

/// The value at the current step.
pub(super) fn current(context: RunContext, path: LivePath) -> f64 {
    context.hyperparameters.read().get(path, context.summary.read().step)
}

/// The effect of a new value, in a sentence.
fn effect(context: RunContext, path: LivePath, new: f64) -> String {
    let from = step_now(context);
    if let Err(error) = path.check(new) {
        return sentence(&error);
    }
    let now = current(context, path);
    match path {
        _ if as_typed(new) == as_typed(now) => {
            format!("{} is {} from step {from} on (unchanged).", path.row().label, value(path, now))
        }
        LivePath::LEARNING_RATE if now == 0.0 => {
            format!("The learning rate is {} at step {from}.", value(path, new))
        }
        LivePath::LEARNING_RATE => format!(
            "From step {from} on the schedule is multiplied by {} ({} at step {from}).",
            number::rounded(new / now),
            value(path, new)
        ),
        _ if new == 0.0 && is_off_at_zero(path) => format!("{} is off from step {from} on.", path.row().label),
        _ => format!("{} is {} from step {from} on.", path.row().label, value(path, new)),
    }
}

/// The button and its form.
#[component]
pub(super) fn HyperparameterButton(path: LivePath) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let row = path.row();
    let now = Memo::new(move |_| value(path, current(context, path)));
    view! {
        <DrawerButton
            drawer=Drawer::Hyperparameter(path)
            label=move || view! { <span class="dim">{row.label}</span>" "<b class="mono">{now.get()}</b>" ▾" }
            name=row.label
            title=Signal::stored(live_meaning(path))
        >
            <HyperparameterForm path />
        </DrawerButton>
    }
}

#[component]
pub(super) fn HyperparameterForm(path: LivePath) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let row = path.row();
    let scaled = move |by: f64| current(context, path) * by;
    // The learning rate follows its schedule, so that a value from when the form was opened would be one of the past.
    let is_scheduled = path == LivePath::LEARNING_RATE;
    let typed = match is_scheduled {
        true => TypedNumber::new(row.values, ""),
        false => TypedNumber::new(row.values, as_typed(untrack(|| current(context, path)))),
    };
    let now = Signal::derive(move || value(path, current(context, path)));
    let (reason, control_run) = (RwSignal::new(String::new()), RwSignal::new(false));
    let input = NodeRef::<leptos::html::Input>::new();
    focus_on(input);
    // A factor is kept as such until something is typed: what it gives follows the schedule, and is not rounded as the text is.
    let factor = RwSignal::new(None::<f64>);
    Effect::new(move || {
        if let Some(by) = factor.get() {
            typed.set(as_typed(scaled(by)));
        }
    });
    let fill = move |by: Option<f64>| {
        factor.set(by);
        if let Some(field) = input.get_untracked() {
            let _ = field.focus();
        }
    };
    let wanted = move || match factor.get() {
        Some(by) => Some(scaled(by)),
        None => typed.number(),
    };
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if let Some(new) = untrack(wanted) {
            context.drawer.set(None);
            let command = Command::Set { path, value: new, reason: reason_of(reason) };
            context.change(command, control_run.get_untracked());
        }
    };
    view! {
        <form on:submit=submit>
            <div class="presets">
                {(path.as_str() == BETA1).then(|| BETAS.map(|beta| view! {
                    <button
                        type="button"
                        title=format!("Enter {}", number::short(beta))
                        on:click=move |_| {
                            typed.set(as_typed(beta));
                            fill(None);
                        }
                    >
                        <b class="mono">{number::short(beta)}</b>
                    </button>
                }))}
                {(path.as_str() != BETA1).then(|| FACTORS.map(|(word, verb, by)| view! {
                    <button
                        type="button"
                        title=format!("{verb}: enter {by} times the current value")
                        aria-pressed=move || (factor.get() == Some(by)).to_string()
                        disabled=move || path.check(scaled(by)).is_err()
                        on:click=move |_| fill(Some(by))
                    >
                        <b>{word}</b>
                        <span class="mono dim">{move || value(path, scaled(by))}</span>
                    </button>
                }))}
            </div>
            <label title=live_meaning(path)>
                {row.label}<span class="unit">{with_comma(row.unit)}</span>
                <NumberField number=typed node_ref=input placeholder=now on_typed=move |()| factor.set(None) />
            </label>
            <ReasonField reason />
            <ControlRunField wanted=control_run />
            <p class="effect">{move || wanted().map(|new| effect(context, path, new))}</p>
            <div class="row end">
                <button class="primary" type="submit" disabled=move || wanted().is_none()>
                    "Set from the next step on"
                </button>
            </div>
        </form>
    }
}
