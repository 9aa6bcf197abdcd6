//! The journal: everything that happened to the run, newest first, with who, when, old and new, and why.

use figure::number;
use leptos::prelude::*;
use wire::{Author, Event, EventRecord};

use super::{Desk, author, phrase};
use crate::parts::number::clock;
use crate::route::xray_path;
use crate::session::Session;

/// Lines shown before someone asks for more.
const SHOWN: usize = 40;

/// Which lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// All but what the lab measures by itself: the curves tell that.
    Main,
    Steering,
    Measured,
    Notes,
    All,
}

const KINDS: [(Kind, &str); 5] = [
    (Kind::Main, "main"),
    (Kind::Steering, "steering"),
    (Kind::Measured, "measured"),
    (Kind::Notes, "notes"),
    (Kind::All, "all"),
];

impl Kind {
    fn takes(self, record: &EventRecord) -> bool {
        match self {
            Self::All => true,
            Self::Main => {
                record.author != Author::Lab
                    || !matches!(
                        record.event,
                        Event::Sampled { .. } | Event::Evaluated { .. } | Event::Checkpointed { .. }
                    )
            }
            Self::Steering => matches!(
                record.event,
                Event::Paused
                    | Event::Resumed
                    | Event::Stepping { .. }
                    | Event::Changed { .. }
                    | Event::Redrawn { .. }
                    | Event::Edited { .. }
                    | Event::RolledBack { .. }
                    | Event::Forked { .. }
                    | Event::Released
                    | Event::Stopped
                    | Event::Refused { .. }
            ),
            Self::Measured => {
                matches!(
                    record.event,
                    Event::Evaluated { .. }
                        | Event::Sampled { .. }
                        | Event::NonFinite { .. }
                        | Event::Checkpointed { .. }
                )
            }
            Self::Notes => matches!(record.event, Event::Annotated { .. }),
        }
    }
}

/// The journal.
#[component]
pub(crate) fn Journal() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let kind = RwSignal::new(Kind::Main);
    let limit = RwSignal::new(SHOWN);
    let numbers = Memo::new(move |_| {
        // Read and not only tracked: a memo that was never read has nothing to follow.
        desk.lines.get();
        let run = desk.run.read_untracked();
        run.events
            .values()
            .rev()
            .filter(|record| kind.get().takes(record))
            .map(|record| record.number)
            .collect::<Vec<_>>()
    });
    // A mark that was pointed at may lie beyond what is shown, or be filtered out.
    Effect::new(move || {
        let Some(picked) = desk.picked.get() else { return };
        if !numbers.read_untracked().contains(&picked) {
            kind.set(Kind::All);
        }
        if let Some(place) = numbers.read_untracked().iter().position(|number| *number == picked)
            && place >= limit.get_untracked()
        {
            limit.set(place + 1);
        }
        request_animation_frame(move || show(picked));
    });
    view! {
        <section class="panel journal" aria-labelledby="journal-title">
            <div class="row">
                <h2 id="journal-title">"Journal"</h2>
                <div class="range" role="group" aria-label="Which lines">
                    {KINDS.map(|(of, word)| view! {
                        <button class="switch" aria-pressed=move || (kind.get() == of).to_string() on:click=move |_| kind.set(of)>{word}</button>
                    })}
                </div>
            </div>
            <Show when=move || numbers.read().is_empty()>
                <p class="none">"Nothing of this kind yet."</p>
            </Show>
            <ol>
                <For each=move || numbers.get().into_iter().take(limit.get()) key=|number| *number let(number)>
                    <JournalLine number />
                </For>
            </ol>
            <Show when=move || { numbers.read().len() > limit.get() }>
                <button class="quiet" on:click=move |_| limit.update(|limit| *limit *= 4)>"Older lines"</button>
            </Show>
        </section>
    }
}

/// Scrolls the journal, and not the page, to a line.
fn show(number: u64) {
    let Some(line) = document().get_element_by_id(&format!("line-{number}")) else { return };
    let options = web_sys::ScrollIntoViewOptions::new();
    options.set_block(web_sys::ScrollLogicalPosition::Nearest);
    line.scroll_into_view_with_scroll_into_view_options(&options);
}

/// To the text of a step's batch, and the parameters it moved most.
#[component]
pub(super) fn BatchLink(step: u64) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let title = "The text of this step's batch, painted by surprise, and where its gradient is largest";
    view! { <a class="button batch-link" href=format!("{}?batch={step}", xray_path(&desk.id())) title=title>{format!("batch of step {}", number::whole(step))}</a> }
}

#[component]
fn JournalLine(number: u64) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let session = expect_context::<Session>();
    let record = desk.run.read_untracked().events.get(&number).cloned();
    record.map(|record| {
        let me = session.me().map(|me| me.name);
        let is_alarm = matches!(record.event, Event::NonFinite { .. } | Event::Failed { .. } | Event::Lost { .. } | Event::Refused { .. } | Event::CheckpointFailed { .. });
        let exact = match &record.event {
            Event::Changed { old, new, field } => format!("{} from {old} to {new} {}", field.describe().0, field.describe().1),
            Event::Edited { edits } => edits.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            Event::Evaluated { loss_nats, bits_per_byte } => format!("{loss_nats} nats per token, {bits_per_byte} bits per byte"),
            other => other.phrase(),
        };
        let place = desk.run.read_untracked().curves.place_before(record.step);
        let (segment, step) = (record.segment, record.step);
        // Lines of an abandoned stretch stay, fainter.
        let is_ghost = Memo::new(move |_| {
            desk.version.get();
            !desk.run.read_untracked().curves.lineage().holds(segment, step)
        });
        view! {
            <li class:ghostly=is_ghost id=format!("line-{number}") class:picked=move || desk.picked.get() == Some(number) class:alarm=is_alarm>
                <button class="line" title=exact on:click=move |_| { desk.picked.set(Some(number)); desk.crosshair.set(Some(place)) }>
                    <span class="mono at">{number::whole(record.step)}</span>
                    <span class="what">
                        <strong>{author(&record.author, me.as_deref())}</strong>" "{phrase(&record.event)}
                        {record.reason.map(|reason| view! { <em>{format!("“{reason}”")}</em> })}
                    </span>
                    <span class="dim small when">{clock(record.at_ms as f64)}</span>
                </button>
                {move || (desk.picked.get() == Some(number)).then(|| view! { <BatchLink step /> })}
            </li>
        }
    })
}
