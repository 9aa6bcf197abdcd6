//! A lab without runs: one click starts a first one.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::corpus::CorpusInfo;
use wire::plan;
use wire::{PlanError, RunSpec};

use crate::api::{self, ApiFailure};
use crate::live::Live;
use crate::parts::number::{about, short};
use crate::parts::{Empty, Skeleton, Toasts, running_jobs};
use crate::route::{Router, run_path};
use crate::session::Session;

/// The run that is offered: nanoGPT's CPU recipe on the lab's own stories.
fn first_spec() -> RunSpec {
    RunSpec { preset: Some("nanogpt-cpu".into()), corpus: "tales".parse().ok(), ..RunSpec::default() }
}

/// "No runs yet", and the way to the first.
#[component]
pub(super) fn FirstRun() -> impl IntoView {
    let live = expect_context::<Live>();
    let session = expect_context::<Session>();
    let texts = RwSignal::new(None::<Result<Vec<CorpusInfo>, ApiFailure>>);
    // Tales is written in the first seconds of a new lab, so the texts are asked for again when a job ends.
    let running = running_jobs();
    Effect::new(move || {
        // Read, since a memo that is only tracked never learns of anything.
        running.get();
        spawn_local(async move { texts.set(Some(api::corpora().await)) });
    });
    let offer = Memo::new(move |_| {
        let texts = texts.read();
        let lab = live.lab.read();
        let devices: Vec<_> =
            lab.as_ref().map(|lab| lab.devices.iter().map(|device| device.info.clone()).collect()).unwrap_or_default();
        let texts = match texts.as_ref()? {
            Ok(texts) => texts.as_slice(),
            Err(failure) => return Some(Err(PlanError::new("corpus", failure.body.message.clone()))),
        };
        Some(plan::resolve(&first_spec(), texts, &devices).map(|view| (view.estimate, view.plan.device.to_string())))
    });
    view! {
        <div class="sheet">
            {move || match offer.get() {
                None => view! { <Skeleton rows=1 class="tall" /> }.into_any(),
                Some(Ok((estimate, device))) => {
                    let wait = estimate.secs.map_or("some minutes".to_owned(), about);
                    let place = if device == "cpu" { "this CPU".to_owned() } else { device };
                    let size = short(estimate.parameters as f64);
                    view! {
                        <Empty
                            title="No runs yet"
                            text=format!("Start Tales on {place}, {wait}: a model of {size} parameters learns short stories from a grammar whose exact entropy is known, so its curve can be read against the best any model could do.")
                        >
                            <Show when=move || session.can_steer()><StartFirst wait=wait.clone() /></Show>
                        </Empty>
                    }.into_any()
                }
                Some(Err(error)) => view! {
                    <Empty title="No runs yet" text=format!("The first run is not ready to start: {error}.")>
                        <a class="button" href="/start">"Set up a run"</a>
                    </Empty>
                }.into_any(),
            }}
        </div>
    }
}

#[component]
fn StartFirst(wait: String) -> impl IntoView {
    let (router, toasts) = (expect_context::<Router>(), expect_context::<Toasts>());
    let is_busy = RwSignal::new(false);
    let start = move |_| {
        is_busy.set(true);
        spawn_local(async move {
            match api::create_run(&first_spec()).await {
                Ok(view) => router.go(&run_path(&view.summary.id)),
                Err(failure) => toasts.fail("Not started", &failure),
            }
            is_busy.try_set(false);
        });
    };
    view! {
        <button class="primary large" disabled=is_busy on:click=start>{format!("Start Tales ({wait})")}</button>
        <a class="button large" href="/start">"Choose everything myself"</a>
    }
}
