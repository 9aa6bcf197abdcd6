//! Who proposes the changes of a research loop: shown while the loop has not ended, and chosen by whoever may steer it.

use leptos::prelude::*;
use wire::research_loop::Proposer;
use wire::research_loop::record::LoopAction;

use super::state::OpenLoop;
use crate::components::{clicks, says, shows};

/// The proposers, with the button that chooses each.
const PROPOSERS: [(Proposer, &str, &str); 2] = [
    (
        Proposer::Builtin,
        "Built-in strategy proposes",
        "From the next round on, the coordinate search of the lab proposes the values",
    ),
    (Proposer::Agent, "An agent proposes", "From the next round on, the loop waits for the proposals of an agent"),
];

#[component]
pub(super) fn ProposerChoice() -> impl IntoView {
    let open = expect_context::<OpenLoop>();
    let can_steer = open.can_steer();
    let proposer = open.part(|view| (!view.summary.state.is_over()).then(|| view.summary.proposer()));
    let proposer = Memo::new(move |_| proposer.get().flatten());
    let buttons = move || {
        PROPOSERS.map(|(of, words, effect)| {
            let choose = move |_| {
                if proposer.get_untracked() != Some(of) {
                    open.act("The proposer was not changed", LoopAction::SetProposer { proposer: of });
                }
            };
            view! {
                <button
                    class="tab"
                    title=effect
                    aria-pressed=move || (proposer.get() == Some(of)).to_string()
                    disabled=move || open.is_sending.get()
                    on:click=clicks(choose)
                >
                    {words}
                </button>
            }
        })
    };
    let words = says(move || proposer.get().map(words_of).unwrap_or_default().to_owned());
    let control = move || {
        if !can_steer.get() {
            return view! { <p>{words}</p> }.into_any();
        }
        view! {
            <div class="tabs loop-proposer" role="group" aria-labelledby="proposer-title">{buttons().collect_view()}</div>
        }
        .into_any()
    };
    let is_shown = Memo::new(move |_| proposer.get().is_some());
    shows(move || {
        is_shown.get().then(|| {
            view! {
                <section class="stack" aria-labelledby="proposer-title">
                    <h2 id="proposer-title">"Proposals"</h2>
                    {shows(control)}
                    <p class="small dim">{says(move || proposer.get().map(meaning).unwrap_or_default().to_owned())}</p>
                </section>
            }
        })
    })
}

fn words_of(proposer: Proposer) -> &'static str {
    PROPOSERS.into_iter().find(|(of, ..)| *of == proposer).map_or("", |(_, words, _)| words)
}

/// What the loop does between two rounds.
fn meaning(proposer: Proposer) -> &'static str {
    match proposer {
        Proposer::Builtin => {
            "A coordinate search proposes the values of each round. Agents can suggest values, as people can, but not propose rounds."
        }
        Proposer::Agent => {
            "The loop waits for each proposal without a time limit, and trains nothing while it waits. If the agent does not answer, \
             choose the built-in strategy, or suggest a value below: a suggested value begins a round without the agent."
        }
    }
}
