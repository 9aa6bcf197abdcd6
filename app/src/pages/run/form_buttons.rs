//! The buttons of the forms that are loaded on demand ([`super::details`]).

use leptos::prelude::*;

use super::command::step_now;
use super::details::{Detail, Loaded};
use super::drawer::{DrawerButton, toggled};
use super::{Drawer, RunContext, mix};
use crate::components::Icon;

/// The button and its form. A run that has ended can be forked, too.
#[component]
pub(super) fn ForkButton() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let is_open = Memo::new(move |_| context.drawer.get() == Some(Drawer::Fork));
    let title = move || {
        context.no_fork.get().unwrap_or_else(|| "Create a new run from a checkpoint of this run. Shortcut: f.".into())
    };
    let open = move |_| {
        context.chosen.set(None);
        context.drawer.update(|open| *open = toggled(*open, Drawer::Fork));
    };
    view! {
        <div class="drawer-root">
            <button
                class="control"
                aria-haspopup="dialog"
                aria-expanded=move || is_open.get().to_string()
                title=title
                disabled=move || context.no_fork.read().is_some()
                on:click=open
            >
                <Icon name="fork" />
                "Fork"
            </button>
            <Show when=move || is_open.get() && context.no_fork.read().is_none()>
                <div class="drawer wide" role="dialog" aria-label="Fork this run"><Loaded detail=Detail::Fork /></div>
            </Show>
        </div>
    }
}

/// The button and its form.
#[component]
pub(super) fn RollbackButton() -> impl IntoView {
    view! {
        <DrawerButton
            drawer=Drawer::Rollback
            label=|| view! { <Icon name="back" />"Roll back" }
            name="Roll back to a checkpoint"
            title="Return to a checkpoint. The steps after it stay visible as an abandoned branch. Shortcut: b.".to_owned()
        >
            <Loaded detail=Detail::Rollback />
        </DrawerButton>
    }
}

/// The button and its form.
#[component]
pub(super) fn SampleButton() -> impl IntoView {
    let context = expect_context::<RunContext>();
    view! {
        <DrawerButton
            drawer=Drawer::Sample
            label=|| "Sample"
            name="Generate a sample"
            title=Signal::derive(move || format!("Generate text with the weights of step {}. Shortcut: s.", step_now(context)))
        >
            <Loaded detail=Detail::Sample />
        </DrawerButton>
    }
}

/// The button and its form.
#[component]
pub(super) fn NoteButton() -> impl IntoView {
    let context = expect_context::<RunContext>();
    view! {
        <DrawerButton
            drawer=Drawer::Note
            label=|| "Note"
            name="Add a note"
            title=Signal::stored("Add a note to the journal and a marker to every chart at the current step. Also \
                available after the run has ended.".to_owned())
            reason=context.no_permission
        >
            <Loaded detail=Detail::Note />
        </DrawerButton>
    }
}

/// The button and its form; nothing for a run with one dataset.
#[component]
pub(super) fn MixButton() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let has_several = context.run.with_untracked(|run| run.view.plan.mix.len() > 1);
    let now = Memo::new(move |_| {
        mix::current(context).iter().map(|weight| format!("{:.0}", weight * 100.0)).collect::<Vec<_>>().join(":")
    });
    has_several.then(|| {
        view! {
            <DrawerButton
                drawer=Drawer::Mix
                label=move || view! { <span class="dim">"Mix"</span>" "<b class="mono">{now.get()}</b>" ▾" }
                name="Dataset mix"
                title="Weight of each dataset: the percentage of the sequences that is drawn from it".to_owned()
            >
                <Loaded detail=Detail::Mix />
            </DrawerButton>
        }
    })
}
