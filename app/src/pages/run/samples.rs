//! Samples that the model generated during training, newest first, each with its step.

use figure::number;
use leptos::prelude::*;
use wire::{Event, EventRecord, RunState};

use super::{RunContext, author};
use crate::components::visible;
use crate::session::Session;

/// Samples shown at first.
const SHOWN: usize = 8;

#[component]
pub(super) fn Samples() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let limit = RwSignal::new(SHOWN);
    let numbers = Memo::new(move |_| {
        // Read the memo, because `track` does not run a memo that was never read.
        context.lines.get();
        context.run.read_untracked().samples().map(|record| record.number).collect::<Vec<_>>()
    });
    view! {
        <section class="panel samples" aria-labelledby="samples-title">
            <h2
                id="samples-title"
                title="Text that the model generated from the prompt, at the sampling interval and when you select Sample"
            >
                "Samples"
                <span class="unit">{move || format!(" {}", numbers.read().len())}</span>
            </h2>
            <Show when=move || numbers.read().is_empty()>
                <p class="none">{move || no_samples(context)}</p>
            </Show>
            <ol>
                <For each=move || numbers.get().into_iter().take(limit.get()) key=|number| *number let(number)>
                    <Sample number />
                </For>
            </ol>
            <Show when=move || { numbers.read().len() > limit.get() }>
                <button
                    class="quiet"
                    title="Show more samples"
                    on:click=move |_| limit.update(|limit| *limit *= 4)
                >
                    "Older samples"
                </button>
            </Show>
        </section>
    }
}

fn no_samples(context: RunContext) -> String {
    // The button is disabled until the run has started.
    let now = if context.state.get() == RunState::Queued { "" } else { " Select Sample (s) to generate one now." };
    match context.hyperparameters.read().intervals.sample_every {
        _ if context.state.get().is_over() => "The run generated no samples.".into(),
        0 => format!("No samples yet. Periodic samples are disabled.{now}"),
        every => {
            format!("No samples yet. One is generated every {}.{now}", number::with_unit(every as f64, "steps"))
        }
    }
}

#[component]
fn Sample(number: u64) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let session = expect_context::<Session>();
    let record = context.run.read_untracked().events.get(&number).cloned();
    record.and_then(|record| match record {
        EventRecord { event: Event::Sampled { prompt, text, temperature }, step, author: by, .. } => {
            let me = session.me().map(|me| me.name);
            let who =
                if by == wire::Author::System { String::new() } else { format!(" · {}", author(&by, me.as_deref())) };
            Some(view! {
                <li id=format!("sample-{number}")>
                    <p class="dim small">
                        {format!("step {} · temperature {}{who}", number::whole(step), number::short(temperature))}
                    </p>
                    <p class="text" tabindex="0">
                        <span class="prompt">{visible(&prompt).into_owned()}</span>{visible(&text).into_owned()}
                    </p>
                </li>
            })
        }
        _ => None,
    })
}
