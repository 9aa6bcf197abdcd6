//! The journal: every event of the run, newest first, with author, time, old and new value, and reason.

use std::collections::BTreeSet;

use figure::number;
use leptos::prelude::*;
use wire::control::reason::is_of_program;
use wire::{Author, Event, EventRecord};

use super::phrases::request;
use super::{RunContext, author};
use crate::components::number::clock;
use crate::components::{isolated, show_nearest};
use crate::route::xray_path;
use crate::session::Session;

/// Events shown at first.
const SHOWN: usize = 40;
/// Events added by each press: a long journal is drawn in pages.
const PAGE: usize = 200;

/// The filter of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// All events except periodic evaluations, samples and checkpoints, which the charts and lists show.
    Main,
    Steering,
    Measured,
    Notes,
    All,
}

/// Filter, label and meaning.
const KINDS: [(Kind, &str, &str); 5] = [
    (Kind::Main, "Important", "All events except periodic evaluations, samples, checkpoints and task scores"),
    (
        Kind::Steering,
        "Changes",
        "Commands: pauses, changes of hyperparameters and schedules, rollbacks, forks, settings of rules",
    ),
    (Kind::Measured, "Measurements", "Evaluations, samples, checkpoints, task scores and non-finite values"),
    (Kind::Notes, "Notes", "Notes"),
    (Kind::All, "All", "All events"),
];

impl Kind {
    fn contains(self, record: &EventRecord) -> bool {
        match self {
            Self::All => true,
            Self::Main => {
                record.author != Author::System
                    || !matches!(
                        record.event,
                        Event::Sampled { .. }
                            | Event::Evaluated { .. }
                            | Event::Checkpointed { .. }
                            | Event::Scored { .. }
                    )
            }
            Self::Steering => matches!(
                record.event,
                Event::Paused
                    | Event::Resumed
                    | Event::Stepping { .. }
                    | Event::Changed { .. }
                    | Event::ScheduleChanged { .. }
                    | Event::WeightsEdited { .. }
                    | Event::RolledBack { .. }
                    | Event::RulesChanged { .. }
                    | Event::Forked { .. }
                    | Event::Suspended
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
                        | Event::Scored { .. }
                )
            }
            Self::Notes => matches!(record.event, Event::Annotated { .. }),
        }
    }
}

#[component]
pub(super) fn Journal() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let kind = RwSignal::new(Kind::Main);
    let limit = RwSignal::new(SHOWN);
    let by = RwSignal::new(None::<String>);
    let authors = Memo::new(move |_| {
        context.lines.get();
        let run = context.run.read_untracked();
        let names: BTreeSet<String> = run.events.values().map(|record| author(&record.author, None)).collect();
        names.into_iter().collect::<Vec<_>>()
    });
    let numbers = Memo::new(move |_| {
        // Read the memo, because `track` does not run a memo that was never read.
        context.lines.get();
        let run = context.run.read_untracked();
        run.events
            .values()
            .rev()
            .filter(|record| kind.get().contains(record))
            .filter(|record| by.read().as_ref().is_none_or(|by| *by == author(&record.author, None)))
            .map(|record| record.number)
            .collect::<Vec<_>>()
    });
    // The event of a pressed marker may be beyond what is shown, or filtered out.
    Effect::new(move || {
        let Some(picked) = context.picked.get() else { return };
        if !numbers.read_untracked().contains(&picked) {
            kind.set(Kind::All);
            by.set(None);
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
                <h2 id="journal-title" title="All events of the run with step, author and time. Events are never edited or deleted.">"Journal"</h2>
                <div class="range" role="group" aria-label="Filter events">
                    {KINDS.map(|(of, word, meaning)| view! {
                        <button
                            class="switch"
                            title=meaning
                            aria-pressed=move || (kind.get() == of).to_string()
                            on:click=move |_| {
                                limit.set(SHOWN);
                                kind.set(of);
                            }
                        >
                            {word}
                        </button>
                    })}
                </div>
                <Show when=move || { authors.read().len() > 1 }>
                    <select
                        class="author"
                        aria-label="Author of the events"
                        title="Show the events of one author"
                        on:change:target=move |event| {
                            limit.set(SHOWN);
                            by.set(Some(event.target().value()).filter(|name| !name.is_empty()));
                        }
                    >
                        <option value="" selected=move || by.read().is_none()>"All authors"</option>
                        <For each=move || authors.get() key=Clone::clone let(name)>
                            <option
                                value=name.clone()
                                selected={let name = name.clone(); move || by.read().as_ref() == Some(&name)}
                            >
                                {isolated(&name)}
                            </option>
                        </For>
                    </select>
                </Show>
            </div>
            <Show when=move || numbers.read().is_empty()>
                <p class="none">"No events of this kind yet."</p>
            </Show>
            <ol>
                <For each=move || numbers.get().into_iter().take(limit.get()) key=|number| *number let(number)>
                    <JournalLine number />
                </For>
            </ol>
            <Show when=move || { numbers.read().len() > limit.get() }>
                <button
                    class="quiet"
                    title="Show up to 200 more events"
                    on:click=move |_| limit.update(|limit| *limit += PAGE)
                >
                    {move || format!("Older events ({} more)", number::whole((numbers.read().len() - limit.get()) as u64))}
                </button>
            </Show>
        </section>
    }
}

/// Scrolls the journal, and not the page, to an event.
fn show(number: u64) {
    let Some(line) = document().get_element_by_id(&format!("line-{number}")) else { return };
    show_nearest(&line);
}

/// The query of the address of the batch of a step, on the X-ray page.
pub(super) fn batch_query(step: u64, abandoned: Option<u32>) -> String {
    let segment = abandoned.map(|segment| format!("&segment={segment}")).unwrap_or_default();
    format!("batch={step}{segment}")
}

/// A link to the batch of a step on the X-ray page.
#[component]
pub(super) fn BatchLink(
    step: u64,
    /// The abandoned segment of the step; none on the path of the run.
    #[prop(optional_no_strip)]
    segment: Option<u32>,
) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let title = "Show the batch of this step colored by loss, and the parameters with the largest gradients";
    view! {
        <a class="button batch-link" href=format!("{}?{}", xray_path(&context.id()), batch_query(step, segment)) title=title>
            {format!("Batch of step {}", number::whole(step))}
        </a>
    }
}

#[component]
fn JournalLine(number: u64) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let session = expect_context::<Session>();
    let record = context.run.read_untracked().events.get(&number).cloned();
    record.map(|record| {
        let me = session.me().map(|me| me.name);
        let is_alarm = matches!(
            record.event,
            Event::NonFinite { .. }
                | Event::Failed { .. }
                | Event::Lost { .. }
                | Event::Refused { .. }
                | Event::CheckpointFailed { .. }
        );
        let exact = match &record.event {
            Event::Changed { old, new, path } => {
                format!("{} from {old} to {new} {}", path.row().label, path.row().unit).trim_end().to_owned()
            }
            Event::WeightsEdited { interventions } => {
                interventions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
            Event::Evaluated { loss_nats, bits_per_byte, .. } => {
                format!("{loss_nats:.4} nats/token, {bits_per_byte:.4} bits/byte")
            }
            Event::Annotated { text } => isolated(text),
            other => other.phrase(),
        };
        // A note and the reason of a refusal stand after the author, so that they are not read as one sentence with it.
        let (head, text) = match &record.event {
            Event::Annotated { text } => (Some("note".to_owned()), Some(format!("“{}”", isolated(text)))),
            Event::Refused { command, message } => {
                (Some(format!("{} refused", request(command))), Some(isolated(message)))
            }
            _ => (None, None),
        };
        let by = if matches!(record.event, Event::Refused { .. }) { ", by " } else { " by " };
        let phrased = record.clone();
        let reason = record.reason.as_deref().map(|reason| match is_of_program(reason) {
            true => format!("({})", isolated(reason)),
            false => format!("“{}”", isolated(reason)),
        });
        let place = context.run.read_untracked().curves.place_before(record.step);
        let (segment, step) = (record.segment, record.step);
        // Events of an abandoned branch are fainter.
        let is_abandoned = Memo::new(move |_| {
            context.version.get();
            !context.run.read_untracked().curves.lineage().contains(segment, step)
        });
        view! {
            <li
                class:abandoned=is_abandoned
                id=format!("line-{number}")
                class:picked=move || context.picked.get() == Some(number)
                class:alarm=is_alarm
            >
                <button
                    class="line"
                    title=exact
                    on:click=move |_| { context.picked.set(Some(number)); context.crosshair.set(Some(place)) }
                >
                    <span class="mono at">{number::whole(record.step)}</span>
                    <span class="what">
                        {move || head.clone().unwrap_or_else(|| context.phrase(&phrased))}
                        {(record.author != Author::System).then(|| view! {
                            <span class="dim">{by}{author(&record.author, me.as_deref())}</span>
                        })}
                        {text.map(|text| format!(": {text}"))}
                        {reason.map(|reason| view! { <em>{reason}</em> })}
                    </span>
                    <span class="dim small when">{clock(record.at_ms as f64)}</span>
                </button>
                {move || (context.picked.get() == Some(number)).then(|| {
                    let segment = is_abandoned.get().then_some(segment);
                    view! { <BatchLink step segment /> }
                })}
            </li>
        }
    })
}
