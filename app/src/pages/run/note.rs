//! A note: an event in the journal and a marker on every chart.

use leptos::prelude::*;
use wire::Command;

use super::RunContext;
use super::command::step_now;
use super::drawer::focus_on;

/// The form, opened by its button ([`super::form_buttons`]).
#[component]
pub(super) fn NoteForm() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let text = RwSignal::new(String::new());
    let field = NodeRef::new();
    focus_on(field);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let text = text.get_untracked().trim().to_owned();
        if !text.is_empty() {
            context.drawer.set(None);
            context.send(Command::Annotate { text });
        }
    };
    view! {
        <form on:submit=submit>
            <label title="Text of the note, up to 500 characters.">
                "Note"
                <input
                    node_ref=field
                    type="text"
                    maxlength="500"
                    prop:value=text
                    on:input:target=move |event| text.set(event.target().value())
                />
            </label>
            <p class="effect">
                {move || format!("Adds an event with your name to the journal and a marker to every chart, at step \
                    {}.", step_now(context))}
            </p>
            <div class="row end">
                <button
                    class="primary"
                    type="submit"
                    title="Add the note"
                    disabled=move || text.read().trim().is_empty()
                >
                    "Add note"
                </button>
            </div>
        </form>
    }
}
