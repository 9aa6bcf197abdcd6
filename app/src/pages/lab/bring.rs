//! A run of another lab, or a model from elsewhere, brought in as files.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::File;

use crate::api::{ApiFailure, takeaway};
use crate::parts::number::bytes;
use crate::parts::{Failure, Progress, Toasts};
use crate::route::{Router, run_path};
use crate::session::Session;

/// What is under way: its size, and the share that has gone out.
type Sent = Option<(f64, f64)>;

/// The place for it.
#[component]
pub(super) fn BringRun() -> impl IntoView {
    let session = expect_context::<Session>();
    view! { <Show when=move || session.can_steer()><Bring /></Show> }
}

#[component]
fn Bring() -> impl IntoView {
    let (router, toasts) = (expect_context::<Router>(), expect_context::<Toasts>());
    let input = NodeRef::<html::Input>::new();
    let sent = RwSignal::new(Sent::None);
    let failure = RwSignal::new(None::<ApiFailure>);
    let open = move |_| {
        if let Some(input) = input.get() {
            input.click();
        }
    };
    let take = move |event: ev::Targeted<ev::Event, web_sys::HtmlInputElement>| {
        let list = event.target().files();
        let files: Vec<File> =
            list.map(|list| (0..list.length()).filter_map(|at| list.get(at)).collect()).unwrap_or_default();
        // So that the same file can be chosen again.
        event.target().set_value("");
        if files.is_empty() {
            return;
        }
        let size = files.iter().map(|file| file.size()).sum();
        failure.set(None);
        sent.set(Some((size, 0.0)));
        spawn_local(async move {
            let answer = takeaway::import(&files, move |share| {
                sent.try_set(Some((size, share)));
            });
            match answer.await {
                Ok(view) => {
                    toasts.say(format!("{} is here", view.summary.name));
                    router.go(&run_path(&view.summary.id));
                }
                Err(refused) => {
                    failure.try_set(Some(refused));
                }
            }
            sent.try_set(None);
        });
    };
    view! {
        <section class="stack bring-run" aria-labelledby="bring-run-title">
            <h2 id="bring-run-title">"From elsewhere"</h2>
            <p class="small dim">"A run's archive (.tar), or a model of GPT-2's or Llama's shape: config.json, model.safetensors and tokenizer.json."</p>
            {move || sent.get().map(|(size, share)| view! {
                <Progress share=Some(share) label="Sent" is_live=true />
                <p class="small dim" role="status">{if share < 1.0 { format!("{:.0}\u{202f}% of {} sent", share * 100.0, bytes(size as u64)) } else { "Sent; the lab looks it over …".to_owned() }}</p>
            })}
            {move || failure.get().map(|failure| view! { <Failure what="Not taken; nothing was kept" failure /> })}
            <div class="row">
                <button disabled=move || sent.read().is_some() on:click=open>"Bring in …"</button>
                <input type="file" hidden multiple node_ref=input on:change:target=take />
            </div>
        </section>
    }
}
