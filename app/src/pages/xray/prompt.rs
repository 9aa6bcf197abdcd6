//! The text that looks read: a window of held-out text by its number, or one's own.

use leptos::prelude::*;
use wire::look::{MOST_CHARS, MOST_TOKENS, Passage};

use super::Inside;
use crate::parts::{clicks, says, shows};
use crate::xray::clock::When;

/// The box.
#[component]
pub(super) fn Prompt() -> impl IntoView {
    let inside = expect_context::<Inside>();
    let start = inside.passage.with_untracked(|passage| match passage {
        Passage::Own(text) => (true, text.clone(), 0),
        Passage::Held(window) => (false, String::new(), *window),
    });
    let is_own = RwSignal::new(start.0);
    let text = RwSignal::new(start.1);
    let window = RwSignal::new(start.2);
    let problem = move || {
        let chars = text.read().chars().count();
        match (is_own.get(), chars) {
            (true, 0) => Some("Write something to read.".to_owned()),
            (true, chars) if chars > MOST_CHARS => {
                Some(format!("{chars} characters; a look reads at most {MOST_CHARS}: shorten it."))
            }
            _ => None,
        }
    };
    let read = move || {
        if untrack(problem).is_some() {
            return;
        }
        inside.token.set(None);
        inside.passage.set(if is_own.get_untracked() {
            Passage::Own(text.get_untracked())
        } else {
            Passage::Held(window.get_untracked())
        });
        let path = untrack(|| inside.path(&inside.place.get()));
        inside.router.say(&path);
    };
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        read();
    };
    let press = move |event: leptos::ev::KeyboardEvent| {
        if event.key() == "Enter" && !event.shift_key() {
            event.prevent_default();
            read();
        }
    };
    let seq = inside.model.with_value(|model| model.seq).min(MOST_TOKENS);
    let is_past = move || inside.when.get() != When::Now && *inside.passage.read() != Passage::default();
    view! {
        <section class="sheet padded prompt-box" aria-label="The text that is read">
            <form class="row" on:submit=submit>
                <div class="tabs" role="group" aria-label="Which text">
                    <button type="button" class="tab" aria-pressed=says(move || (!is_own.get()).to_string()) on:click=clicks(move |_| is_own.set(false))>"held-out text"</button>
                    <button type="button" class="tab" aria-pressed=says(move || is_own.get().to_string()) on:click=clicks(move |_| is_own.set(true))>"your text"</button>
                </div>
                {shows(move || if is_own.get() {
                    view! { <textarea id="xray-prompt" class="grow" rows="1" spellcheck="false" aria-label="Your text" placeholder="What the model should read" prop:value=text on:input:target=move |event| text.set(event.target().value()) on:keydown=press></textarea> }.into_any()
                } else {
                    view! { <label class="row">"window"<input type="number" min="0" max="999999" prop:value=window.get_untracked().to_string() on:input:target=move |event| window.set(event.target().value().parse().unwrap_or(0)) /></label><span class="grow small dim">{format!("the same text at every step, at most {seq} tokens of it")}</span> }.into_any()
                })}
                <button class="primary" type="submit" disabled=move || problem().is_some()>"Read it"</button>
            </form>
            {shows(move || problem().filter(|_| !text.read().is_empty()).map(|problem| view! { <p class="field-error" role="alert">{problem}</p> }))}
            {shows(move || is_past().then(|| view! {
                <p class="small dim row">
                    {shows(move || if inside.own_in_past.get() { "This text is read at past steps too, from checkpoints." } else { "Past steps are kept over held-out window 0, so that is what you see of them." })}
                    <button class="switch" aria-pressed=says(move || inside.own_in_past.get().to_string()) on:click=clicks(move |_| inside.own_in_past.update(|own| *own = !*own))>"read mine there"</button>
                </p>
            }))}
        </section>
    }
}
