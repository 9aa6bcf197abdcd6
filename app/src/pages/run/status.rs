//! What the page says of a run that does not train: it is queued, starting, suspended, failed or lost.

use leptos::prelude::*;
use wire::{RunId, RunState};

use super::RunContext;
use crate::base::at;
use crate::components::{Icon, Progress, name_of};
use crate::net::live::Live;
use crate::route::run_path;
use crate::session::Session;

/// Hint for a failed run.
const FAILED: &str = "The metrics and the journal of the run are kept. Resume continues from its newest checkpoint; a fork can continue \
    from an older one.";
/// Hint for a lost run.
const LOST: &str = "All values that the worker reported are kept. When the worker reconnects, it sends the values that it has stored \
    since. Resume continues from the newest checkpoint.";

/// Shown above the charts; nothing for a run that has finished or trains without a message.
#[component]
pub(super) fn StatusPanel() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let message = move || context.summary.read().message.clone();
    move || match context.state.get() {
        RunState::Queued => Some(queued(context, message()).into_any()),
        RunState::Starting => Some(
            view! {
                <div class="status">
                    <strong>"Starting"</strong>
                    <p>
                        {message().unwrap_or_else(|| "The worker loads the dataset and the weights. Training starts \
                            afterwards.".into())}
                    </p>
                    <Progress share=Signal::stored(None::<f64>) label="Loading" is_live=Signal::stored(true) />
                </div>
            }
            .into_any(),
        ),
        RunState::Running => message().map(|message| view! { <div class="status"><p>{message}</p></div> }.into_any()),
        RunState::Suspended => Some(
            view! {
                <div class="status">
                    <strong>"Suspended"</strong>
                    <p>
                        {message().unwrap_or_else(|| "A checkpoint is saved and the device is free for other runs. \
                            Resume (Space) queues the run again; it continues from exactly this state.".into())}
                    </p>
                </div>
            }
            .into_any(),
        ),
        RunState::Failed => Some(failed(context, "The run failed", message(), FAILED).into_any()),
        RunState::Lost => Some(failed(context, "The worker stopped reporting", message(), LOST).into_any()),
        _ => None,
    }
}

fn queued(context: RunContext, message: Option<String>) -> impl IntoView + use<> {
    let live = expect_context::<Live>();
    let summary = context.summary.get();
    // The first sentence has place and cause; the server finds it a moment after the run is queued.
    let waits = summary.waits.or(message).unwrap_or_else(|| "The run starts when the device is free.".into());
    view! {
        <div class="status">
            <strong>"Queued"</strong>
            <p>{waits}</p>
            {move || paused_before(live, context).map(|(run, name)| view! {
                <p>
                    <a href=run_path(&run) title="Open the run that occupies the device">{name}</a>
                    " is paused and occupies the device, so this run does not start by itself. Suspend or stop that run, or resume it \
                     and wait for its end."
                </p>
            })}
            <a href=at("/")>"Change the order of the queue on the Lab page"</a>
        </div>
    }
}

/// The paused run that holds the only device on which this run can start. Runs for a pool or for any device of a kind can start on others.
fn paused_before(live: Live, context: RunContext) -> Option<(RunId, String)> {
    let summary = context.summary.read();
    let lab = live.lab.read();
    let lab = lab.as_ref().filter(|_| summary.pool.is_none())?;
    let holder = lab.devices.iter().find(|device| device.info.id == summary.device)?.run.clone()?;
    let run = lab.runs.iter().find(|run| run.id == holder && run.state == RunState::Paused)?;
    Some((holder, name_of(live, run)))
}

fn failed(
    context: RunContext,
    what: &'static str,
    message: Option<String>,
    hint: &'static str,
) -> impl IntoView + use<> {
    let id = context.id();
    let session = expect_context::<Session>();
    view! {
        <div class="status failed" role="alert">
            <Icon name="warning" />
            <div>
                <strong>{what}</strong>
                <p>
                    {message.unwrap_or_else(|| "No reason was reported. The log of the server may contain more \
                        details.".into())}
                </p>
                <p class="dim">{hint}</p>
                {session.can_steer().then(|| view! {
                    <a
                        class="button"
                        href=at(&format!("/start?from={id}"))
                        title="Open the New run form with a copy of the plan of this run"
                    >
                        "Duplicate with changes"
                    </a>
                })}
            </div>
        </div>
    }
}
