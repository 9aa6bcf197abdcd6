//! What can be done with a checkpoint besides a rollback or a fork: pin, export, open in the Playground, delete.

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::CheckpointId;
use wire::control::checkpoint::CheckpointView;
use wire::model::architecture::Shape;

use super::RunContext;
use super::checkpoint_list::{fetch, put, whereabouts};
use crate::base::at;
use crate::components::{Confirm, Icon, Menu, Question, Toasts};
use crate::net::api::{checkpoints as api, export};

/// Pin, export, open, delete.
#[component]
pub(super) fn CheckpointMenu(id: CheckpointId, saved: Memo<Option<CheckpointView>>) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let toasts = expect_context::<Toasts>();
    let confirm = expect_context::<Confirm>();
    let run = StoredValue::new(context.id());
    let is_pinned = Memo::new(move |_| saved.read().as_ref().is_some_and(|saved| saved.is_pinned));
    let pin = move |_| {
        let pinned = !is_pinned.get_untracked();
        spawn_local(async move {
            match api::pin(&run.get_value(), id, pinned).await {
                Ok(changed) => put(context, changed),
                Err(failure) => toasts.fail("The checkpoint was not changed", &failure),
            }
        });
    };
    let delete = confirm.keep(move || {
        spawn_local(async move {
            match api::delete(&run.get_value(), id).await {
                Ok(()) => {
                    toasts.say(format!("The checkpoint of step {} was deleted", number::whole(id.step)));
                    fetch(context).await;
                }
                Err(failure) => toasts.fail("The checkpoint was not deleted", &failure),
            }
        });
    });
    let ask_delete = move |_| {
        confirm.ask(Question {
            title: format!("Delete the checkpoint of step {}?", number::whole(id.step)),
            loses: "Its weights and optimizer state are deleted from the disk. Rollbacks, forks and completions from \
                it are no longer possible. This cannot be undone."
                .into(),
            verb: "Delete",
            act: delete,
        });
    };
    let session = expect_context::<crate::session::Session>();
    let shape = context.run.with_untracked(|run| Shape::of(&run.view.plan.recipe.model));
    let shape = StoredValue::new(shape.err().map(|error| error.message));
    let away = Memo::new(move |_| {
        let found = saved.read().as_ref().and_then(whereabouts);
        found.map(|place| format!("The checkpoint is {place}. It can be used once it has been uploaded"))
    });
    let obstacle = Memo::new(move |_| away.get().or_else(|| shape.get_value()));
    let path = move || run.with_value(|run| export::model_path(run, id));
    let playground = move || at(&format!("/playground?run={}&checkpoint={id}", run.get_value()));
    let beside = move || format!("{}&with={}", playground(), run.get_value());
    view! {
        <Menu label=format!("Actions for the checkpoint of step {}", id.step)>
            {move || match away.get() {
                _ if !session.has_playground() => ().into_any(),
                None => view! {
                    <a class="button" href=playground() title="Complete prompts with this checkpoint">"Open in the Playground"</a>
                    <a
                        class="button"
                        href=beside()
                        title="Complete the same prompt with this checkpoint and the newest one, with the same seed"
                    >
                        "Compare with the newest in the Playground"
                    </a>
                }.into_any(),
                Some(why) => view! { <button disabled title=why>"Open in the Playground"</button> }.into_any(),
            }}
            {move || match obstacle.get() {
                None => view! {
                    <a
                        class="button"
                        href=path()
                        download=""
                        title="config.json, model.safetensors and tokenizer.json for the transformers library of \
                               Hugging Face"
                    >
                        <Icon name="download" />
                        "Export for transformers (.tar)"
                    </a>
                }.into_any(),
                Some(why) => view! {
                    <button disabled title=why><Icon name="download" />"Export for transformers (.tar)"</button>
                }.into_any(),
            }}
            <Show when=move || context.no_permission.read().is_none()>
                <button
                    title=move || match is_pinned.get() {
                        true => "Allow newer checkpoints to replace this one.",
                        false => "Keep this checkpoint regardless of “Checkpoints to keep”.",
                    }
                    on:click=pin
                >
                    <Icon name="pin" />
                    {move || if is_pinned.get() { "Unpin (may be deleted)" } else { "Pin (kept until unpinned)" }}
                </button>
                <button class="danger" title="Delete the checkpoint from the disk, after confirmation" on:click=ask_delete>
                    "Delete …"
                </button>
            </Show>
        </Menu>
    }
}
