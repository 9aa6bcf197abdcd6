//! The Lab page without runs: one click starts the first one.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::data::corpus::CorpusInfo;
use wire::run::plan;
use wire::{PlanError, RunSpec};

use crate::base::at;
use crate::components::number::{about, short};
use crate::components::{Empty, Skeleton, Toasts, running_jobs, sentence};
use crate::net::api::{self, ApiFailure};
use crate::net::live::Live;
use crate::projects::Projects;
use crate::route::{Router, run_path};
use crate::session::Session;

/// The offered run: the CPU preset of nanoGPT on the generated dataset Tales.
fn first_spec() -> RunSpec {
    RunSpec { preset: Some("nanogpt-cpu".into()), corpus: "tales".parse().ok(), ..RunSpec::default() }
}

/// "No runs yet", and a button that starts one.
#[component]
pub(super) fn FirstRun() -> impl IntoView {
    let live = expect_context::<Live>();
    let session = expect_context::<Session>();
    let datasets = RwSignal::new(None::<Result<Vec<CorpusInfo>, ApiFailure>>);
    // Tales is generated in the first seconds after the first start, so the datasets are fetched again when a job ends.
    let running = running_jobs();
    Effect::new(move || {
        // Read the memo, because `track` does not run a memo that was never read.
        running.get();
        spawn_local(async move { datasets.set(Some(api::datasets::list().await)) });
    });
    let offer = Memo::new(move |_| {
        let datasets = datasets.read();
        let lab = live.lab.read();
        let devices: Vec<_> =
            lab.as_ref().map(|lab| lab.devices.iter().map(|device| device.info.clone()).collect()).unwrap_or_default();
        let datasets = match datasets.as_ref()? {
            Ok(datasets) => datasets.as_slice(),
            Err(failure) => return Some(Err(PlanError::new("corpus", failure.body.message.clone()))),
        };
        Some(plan::resolve(&first_spec(), datasets, &devices).map(|view| (view.estimate, view.plan.device.to_string())))
    });
    view! {
        <div class="sheet">
            {move || match offer.get() {
                None => view! { <Skeleton rows=1 class="tall" /> }.into_any(),
                Some(Ok((estimate, device))) => {
                    let duration = estimate.secs.map_or("a few minutes".to_owned(), about);
                    let device_name = if device == "cpu" { "this CPU".to_owned() } else { device };
                    let size = short(estimate.parameters as f64);
                    view! {
                        <Empty
                            title="No runs yet"
                            text=format!("Train a GPT with {size} parameters on Tales, a set of generated short stories. It \
                                          takes {duration} on {device_name}. The program that writes the stories gives their exact \
                                          entropy, so you can see how close the loss gets to its minimum.")
                        >
                            <Show when=move || session.can_steer()><StartFirst duration=duration.clone() /></Show>
                        </Empty>
                    }.into_any()
                }
                Some(Err(error)) if error.field == "device" => view! {
                    <Empty
                        title="No runs yet"
                        text="No device is connected yet. The server connects this machine's devices within a few seconds. \
                              To add another machine, run on it: kindling join"
                    >
                        <a class="button" href=at("/start")>"New run"</a>
                    </Empty>
                }.into_any(),
                Some(Err(error)) => view! {
                    <Empty title="No runs yet" text=format!("The first run cannot start yet. {}", sentence(&error.message))>
                        <a class="button" href=at("/start")>"New run"</a>
                    </Empty>
                }.into_any(),
            }}
        </div>
    }
}

#[component]
fn StartFirst(duration: String) -> impl IntoView {
    let (router, toasts) = (expect_context::<Router>(), expect_context::<Toasts>());
    let projects = expect_context::<Projects>();
    let is_busy = RwSignal::new(false);
    let start = move |_| {
        is_busy.set(true);
        let spec = RunSpec { project: untrack(|| projects.of_new_run()), ..first_spec() };
        spawn_local(async move {
            match api::create_run(&spec).await {
                Ok(view) => router.go(&run_path(&view.summary.id)),
                Err(failure) => toasts.fail("The run was not started", &failure),
            }
            is_busy.try_set(false);
        });
    };
    view! {
        <button
            class="primary large"
            title="Start a run with the preset nanogpt-cpu on the dataset Tales"
            disabled=is_busy
            on:click=start
        >
            {format!("Train on Tales ({duration})")}</button>
        <a class="button large" href=at("/start") title="Open the New run form">"Configure a run"</a>
    }
}
