//! Texts the model wrote over time, newest first, each with the step it came from: one sees it learn to spell.

use figure::number;
use leptos::prelude::*;
use wire::{Event, EventRecord};

use super::{Desk, author};
use crate::session::Session;

/// Samples shown before someone asks for more.
const SHOWN: usize = 8;

/// The samples.
#[component]
pub(crate) fn Samples() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let limit = RwSignal::new(SHOWN);
    let numbers = Memo::new(move |_| {
        // Read and not only tracked: a memo that was never read has nothing to follow.
        desk.lines.get();
        desk.run.read_untracked().samples().map(|record| record.number).collect::<Vec<_>>()
    });
    view! {
        <section class="panel samples" aria-labelledby="samples-title">
            <h2 id="samples-title">"Samples"<span class="unit">{move || format!(" {}", numbers.read().len())}</span></h2>
            <Show when=move || numbers.read().is_empty()>
                <p class="none">{move || no_samples(desk)}</p>
            </Show>
            <ol>
                <For each=move || numbers.get().into_iter().take(limit.get()) key=|number| *number let(number)>
                    <Sample number />
                </For>
            </ol>
            <Show when=move || { numbers.read().len() > limit.get() }>
                <button class="quiet" on:click=move |_| limit.update(|limit| *limit *= 4)>"Older samples"</button>
            </Show>
        </section>
    }
}

fn no_samples(desk: Desk) -> String {
    match desk.dials.read().sample_every {
        _ if desk.state.get().is_over() => "The run wrote no samples.".into(),
        0 => "Sampling is off. Sample (s) writes a text now.".into(),
        every => format!(
            "The model writes a text every {}; the first is on its way.",
            number::with_unit(every as f64, "steps")
        ),
    }
}

#[component]
fn Sample(number: u64) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let session = expect_context::<Session>();
    let record = desk.run.read_untracked().events.get(&number).cloned();
    record.and_then(|record| match record {
        EventRecord { event: Event::Sampled { prompt, text, temperature }, step, author: by, .. } => {
            let me = session.me().map(|me| me.name);
            let who = if by == wire::Author::Lab { String::new() } else { format!(" · {}", author(&by, me.as_deref())) };
            Some(view! {
                <li id=format!("sample-{number}")>
                    <p class="dim small">{format!("step {} · temperature {}{who}", number::whole(step), number::short(temperature))}</p>
                    <p class="text" tabindex="0"><span class="prompt">{prompt}</span>{text}</p>
                </li>
            })
        }
        _ => None,
    })
}
