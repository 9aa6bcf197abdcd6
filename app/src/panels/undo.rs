//! Undoing the last change: by its opposite from here on, or by going back to just before it. Both are said in words before.

use figure::number;
use leptos::prelude::*;
use wire::command::UndoWay;
use wire::{CheckpointId, Command, Event, EventRecord};

use super::controls::DrawerButton;
use super::rollback::saved;
use super::{Desk, Drawer, author, phrase};
use crate::parts::Icon;
use crate::session::Session;

/// The button and its drawer.
#[component]
pub(super) fn UndoButton() -> impl IntoView {
    view! {
        <DrawerButton drawer=Drawer::Undo label=|| view! { <Icon name="undo" />"Undo" } title="Undo the last change of a dial, a course, the weights or the path (u)".to_owned()>
            <UndoChoice />
        </DrawerButton>
    }
}

/// The last change, and what can be done about it.
#[derive(Clone)]
struct Choice {
    record: EventRecord,
    has_inverse: bool,
    before: Option<CheckpointId>,
}

fn choice(desk: Desk) -> Option<Choice> {
    // Read anew with every line and every saved state, for as long as the drawer is open.
    desk.lines.get();
    let kept: Vec<CheckpointId> = saved(desk).into_iter().map(|saved| saved.info.id).collect();
    let run = desk.run.read_untracked();
    let history = run.history();
    let record = history.last_change()?.clone();
    let has_inverse = history.inverse(record.number, run.view.summary.step, String::new()).is_some();
    let before = history.checkpoint_before(record.number, &kept);
    Some(Choice { record, has_inverse, before })
}

#[component]
fn UndoChoice() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let session = expect_context::<Session>();
    let undo = move |number: u64, way: UndoWay| {
        desk.drawer.set(None);
        desk.ask(Command::Undo { event: Some(number), way });
    };
    move || {
        let Some(Choice { record, has_inverse, before }) = choice(desk) else {
            return view! { <p>"Nothing has been changed yet: there is nothing to undo."</p> }.into_any();
        };
        let number = record.number;
        let me = session.me().map(|me| me.name);
        view! {
            <div class="undo">
                <p>
                    <strong>{phrase(&record.event)}</strong>
                    <span class="dim">{format!(" · step {} · {}", number::whole(record.step), author(&record.author, me.as_deref()))}</span>
                </p>
                {has_inverse.then(|| view! {
                    <div class="way">
                        <p>{move || opposite(desk, &record)}</p>
                        <button class="primary" on:click=move |_| undo(number, UndoWay::Inverse)>"Opposite change from here"</button>
                    </div>
                })}
                {before.map(|checkpoint| view! {
                    <div class="way">
                        <p>{move || back(desk, checkpoint)}</p>
                        <button on:click=move |_| undo(number, UndoWay::Rollback)>"Back to just before it"</button>
                    </div>
                })}
                {before.is_none().then(|| view! { <p class="small dim">"No checkpoint of just before it is kept, so it cannot be gone back to."</p> })}
            </div>
        }
        .into_any()
    }
}

fn opposite(desk: Desk, record: &EventRecord) -> String {
    let from = number::whole(desk.summary.read().step);
    let what = match &record.event {
        Event::Changed { field, old, .. } => format!("{} is {} again", field.describe().0, number::short(*old)),
        Event::Edited { .. } => "the same parts are divided by what they were multiplied by".to_owned(),
        _ => "its course is again as it was before".to_owned(),
    };
    format!("From step {from} on, {what}. What was learned meanwhile stays.")
}

fn back(desk: Desk, checkpoint: CheckpointId) -> String {
    let now = desk.summary.read().step;
    let steps = now.saturating_sub(checkpoint.step);
    format!(
        "It goes on from step {} as if the change had not been made; {} a ghost.",
        number::whole(checkpoint.step),
        if steps == 1 {
            "the step since becomes".to_owned()
        } else {
            format!("the {} steps since become", number::whole(steps))
        }
    )
}
