//! One research loop: its state and controls, the budget, what it has found, the current round, and all rounds as a timeline.

use figure::number;
use leptos::prelude::*;
use research::research_loop::{findings, noise_floor};
use wire::number::in_sentence;
use wire::research_loop::UNIT;
use wire::research_loop::record::{
    LoopAction, LoopEvent, LoopProposal, LoopRound, LoopState, LoopSummary, LoopView, RoundOutcome,
};

use super::LoopMark;
use super::hints::Hints;
use super::present::{PresentRound, links};
use super::proposer::ProposerChoice;
use super::state::OpenLoop;
use crate::components::number::{counted, moment, small};
use crate::components::{Failure, Icon, Progress, Skeleton, clicks, isolated, says, sentence, shows};
use crate::pages::experiments::opened::{NotOpened, ReasonForm, journal_line};
use crate::pages::experiments::words::{author_name, budgeted_time};

#[component]
pub(in crate::pages) fn LoopPage(id: u64) -> impl IntoView {
    let open = OpenLoop::open(id);
    provide_context(open);
    // 0: loading, 1: failed, 2: known.
    let stage = Memo::new(move |_| match (&*open.view.read(), &*open.failure.read()) {
        (Some(_), _) => 2,
        (None, Some(_)) => 1,
        (None, None) => 0,
    });
    // A memo: each failed request sets the failure, and an alert that is built again is read aloud again.
    let refused = Memo::new(move |_| open.failure.get());
    let content =
        move || {
            match stage.get() {
        0 => view! { <Skeleton rows=6 /> }.into_any(),
        1 => open.failure.get().map(|failure| view! {
            <NotOpened noun="research loop" id=open.id failure list="/research" retry=move |()| open.fetch() />
        })
        .into_any(),
        _ => view! {
            {shows(move || refused.get().map(|failure| view! {
                <Failure what="The research loop could not be fetched again" failure retry=move |()| open.fetch() />
            }))}
            <Head />
            <BestSoFar />
            <PresentRound />
            <ProposerChoice />
            <Hints />
            <Rounds />
            <Journal />
        }
        .into_any(),
    }
        };
    view! { <main class="page experiment stack roomy">{shows(content)}</main> }
}

/// Title, state, controls and budget.
#[component]
fn Head() -> impl IntoView {
    let open = expect_context::<OpenLoop>();
    let can_steer = open.can_steer();
    let summary = open.part(|view| {
        let LoopSummary { goal, state, reason, author, project, created_ms, hints, .. } = &view.summary;
        (goal.title.clone(), *state, reason.clone(), author.clone(), project.clone(), *created_ms, hints.is_concluding)
    });
    let share = Signal::derive(move || {
        let view = open.view.read();
        let view = view.as_ref()?;
        Some(view.used_secs() / 3600.0 / view.summary.goal.budget.device_hours)
    });
    let is_live =
        Signal::derive(move || open.view.read().as_ref().is_some_and(|view| view.summary.state == LoopState::Running));
    let used = says(move || open.view.read().as_ref().map(used_phrase).unwrap_or_default());
    view! {
        {shows(move || {
            let (title, state, reason, author, project, created_ms, is_concluding) = summary.get()?;
            let about = format!(
                "Research loop {} · {} · {} · project {project}",
                open.id,
                author_name(&author),
                moment(created_ms as f64)
            );
            Some(view! {
                <header class="stack">
                    <div class="row">
                        <h1>{isolated(&title)}</h1>
                        <LoopMark state />
                        <span class="grow"></span>
                        {can_steer.get().then(|| view! { <Controls state is_concluding /> })}
                    </div>
                    <p class="small dim">{about}</p>
                    {reason.map(|reason| view! { <p role="status">{isolated(&sentence(&reason))}</p> })}
                </header>
            })
        })}
        <section class="stack" aria-label="Budget">
            <Progress share label="Used device time of the budget" is_live />
            <p
                class="small dim"
                title="Training time of all runs, without those of the confirmation. Noise floor: standard deviation of the loss over seeds"
            >
                {used}
            </p>
        </section>
    }
}

/// `12 min of 30 min of device time · 3 rounds · noise floor 0.004 bits/byte`
fn used_phrase(view: &LoopView) -> String {
    let noise = noise_floor(&view.rounds).map(|sigma| format!(" · noise floor {} {UNIT}", small(sigma)));
    format!(
        "{} of {} of device time · {}{}",
        number::duration(view.used_secs()),
        budgeted_time(view.summary.goal.budget.device_hours),
        counted(view.rounds.len() as u64, "round"),
        noise.unwrap_or_default()
    )
}

#[component]
fn Controls(state: LoopState, is_concluding: bool) -> impl IntoView {
    let open = expect_context::<OpenLoop>();
    let (is_stopping, is_sending) = (RwSignal::new(false), open.is_sending);
    let (word, meaning, what, is_paused) = match state {
        LoopState::Paused => {
            ("Resume", "Continue the current round and start further ones", "The research loop was not resumed", true)
        }
        _ => (
            "Pause",
            "Start no further runs; the runs that train now continue",
            "The research loop was not paused",
            false,
        ),
    };
    let turn = move |_| open.act(what, if is_paused { LoopAction::Resume } else { LoopAction::Pause });
    view! {
        <button title=meaning disabled=move || is_sending.get() on:click=clicks(turn)>{word}</button>
        <button
            title="End the search after the current round; if a change was kept, the best recipe is then compared with the default"
            disabled=move || is_sending.get() || is_concluding
            on:click=clicks(move |_| open.act("The search was not ended", LoopAction::Conclude))
        >
            {if is_concluding { "Search is ending" } else { "End search" }}
        </button>
        <button
            title="Stop the loop and its runs"
            aria-expanded=move || is_stopping.get().to_string()
            on:click=clicks(move |_| is_stopping.update(|is_stopping| *is_stopping = !*is_stopping))
        >
            "Stop …"
        </button>
        {shows(move || is_stopping.get().then(|| view! {
            <ReasonForm
                word="Stop the loop"
                is_sending
                send=Callback::new(move |reason| open.act("The research loop was not stopped", LoopAction::Stop { reason }))
            />
        }))}
    }
}

/// What the loop has found until now.
#[component]
fn BestSoFar() -> impl IntoView {
    let open = expect_context::<OpenLoop>();
    let text = open.part(|view| findings(&view.rounds));
    view! {
        <section class="sheet padded stack" aria-labelledby="loop-result-title">
            <h2 id="loop-result-title">"Best so far"</h2>
            <p class="verdict">{says(move || text.get().map(|text| isolated(&text)).unwrap_or_default())}</p>
        </section>
    }
}

/// All rounds, the newest first.
#[component]
fn Rounds() -> impl IntoView {
    let open = expect_context::<OpenLoop>();
    let rounds = open.part(|view| view.rounds.clone());
    let lines = move || {
        rounds.get().map(|rounds| match rounds.is_empty() {
            true => view! { <p>"No round has begun yet."</p> }.into_any(),
            false => {
                let lines = rounds.iter().rev().map(round_line).collect_view();
                view! { <ol class="sheet list loop-rounds" aria-label="Rounds">{lines}</ol> }.into_any()
            }
        })
    };
    view! {
        <section class="stack" aria-labelledby="rounds-title">
            <h2 id="rounds-title">"Rounds"</h2>
            {shows(lines)}
        </section>
    }
}

fn round_line(round: &LoopRound) -> impl IntoView + use<> {
    let outcome = round.decision.as_ref().map(|decision| decision.outcome);
    let sentence = round.decision.as_ref().map(|decision| isolated(&decision.sentence));
    let about = format!("Round {} · {}", round.number, moment(round.created_ms as f64));
    view! {
        <li data-outcome=outcome.map_or("open", RoundOutcome::word)>
            <div class="row">
                <span class="mono">{isolated(&round.phrase())}</span>
                <span class="grow"></span>
                <OutcomeMark outcome />
            </div>
            {round.proposal.as_ref().map(|proposal| view! { <p class="small">{proposal_phrase(proposal)}</p> })}
            {sentence.map(|sentence| view! { <p>{sentence}</p> })}
            <p class="small dim">{about}{links(round)}</p>
        </li>
    }
}

/// `Values within 25 % of its range. Predicted difference: −0.02 bits/byte. Predicted probability of keeping it: 0.5 (research loop).`
fn proposal_phrase(proposal: &LoopProposal) -> String {
    format!(
        "{} Predicted difference: {} {UNIT}. Predicted probability of keeping it: {} ({}).",
        isolated(&proposal.reason),
        in_sentence(proposal.prediction.difference),
        small(proposal.prediction.probability),
        author_name(&proposal.author)
    )
}

/// How a round ended, or that it has not.
#[component]
fn OutcomeMark(outcome: Option<RoundOutcome>) -> impl IntoView {
    let (icon, word) = match outcome {
        None => ("running", "running"),
        Some(outcome @ (RoundOutcome::Kept | RoundOutcome::Confirmed | RoundOutcome::Measured)) => {
            ("finished", outcome.word())
        }
        Some(outcome @ RoundOutcome::Failed) => ("failed", outcome.word()),
        Some(outcome) => ("stopped", outcome.word()),
    };
    view! {
        <span class="state" data-state=icon>
            <Icon name=icon />
            {word}
        </span>
    }
}

#[component]
fn Journal() -> impl IntoView {
    let open = expect_context::<OpenLoop>();
    let has_earlier = Memo::new(move |_| open.journal.read().first().is_some_and(|first| first.number > 1));
    let line = |event: &LoopEvent| journal_line(event.at_ms, &event.author, &event.text);
    view! {
        <section class="stack" aria-labelledby="loop-journal-title">
            <h2 id="loop-journal-title">"Journal"</h2>
            {shows(move || view! {
                <ol class="sheet list">{open.journal.read().iter().rev().map(line).collect_view()}</ol>
            })}
            {shows(move || has_earlier.get().then(|| view! {
                <div class="row pager">
                    <button
                        title="Fetch earlier events of the journal"
                        disabled=move || open.is_sending.get()
                        on:click=clicks(move |_| open.fetch_earlier())
                    >
                        "Earlier events"
                    </button>
                </div>
            }))}
        </section>
    }
}
