//! Agents: language models that act with a token. Each has a mode, scopes and budgets ([`limits`]); the [`card`] of one shows what its budgets
//! have left and its last actions, with the buttons that stop it and [`undo`] what it did.

mod card;
mod limits;
mod new_agent;
mod undo;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::CreatedToken;
use wire::agent::AgentView;

use super::tokens::NewTokenText;
use crate::components::{Failure, Skeleton};
use crate::net::api::{ApiFailure, agents};
use card::AgentCard;
use new_agent::NewAgentForm;

#[derive(Clone, Copy)]
struct AgentList(RwSignal<Option<Result<Vec<AgentView>, ApiFailure>>>);

impl AgentList {
    fn fetch(self) {
        spawn_local(async move {
            let answer = agents::list().await;
            self.0.try_set(Some(answer));
        });
    }
}

/// The section of the page.
#[component]
pub(super) fn Agents() -> impl IntoView {
    let list = AgentList(RwSignal::new(None));
    let (created, is_open) = (RwSignal::new(None::<CreatedToken>), RwSignal::new(false));
    list.fetch();
    let shown = move || match list.0.get() {
        None => view! { <Skeleton rows=1 class="short" /> }.into_any(),
        Some(Err(failure)) => {
            view! { <Failure what="The agents could not be listed" failure retry=move |()| list.fetch() /> }.into_any()
        }
        Some(Ok(agents)) if agents.is_empty() => view! { <p class="dim">"No agents yet."</p> }.into_any(),
        Some(Ok(agents)) => {
            let cards = agents.into_iter().map(|agent| view! { <li><AgentCard agent list /></li> });
            view! { <ul class="agent-list" aria-label="Agents">{cards.collect_view()}</ul> }.into_any()
        }
    };
    let label = move || if is_open.get() { "Close the form" } else { "New agent" };
    view! {
        <section class="sheet padded stack" aria-labelledby="agents-title">
            <div class="row">
                <h2 id="agents-title" class="grow">"Agents"</h2>
                <button
                    type="button"
                    class="quiet"
                    title="Read again what the agents did and what their budgets have left"
                    on:click=move |_| list.fetch()
                >
                    "Refresh"
                </button>
                <button
                    type="button"
                    title="Create a token for a language model, with a mode, scopes and budgets"
                    aria-expanded=move || is_open.get().to_string()
                    on:click=move |_| is_open.update(|is_open| *is_open = !*is_open)
                >
                    {label}
                </button>
            </div>
            <p>
                "An agent is a language model that acts with a token, over MCP at "<code>"/mcp"</code>
                " or over the API. The server enforces its mode, its scopes and its budgets. An agent deletes nothing."
            </p>
            <Show when=move || is_open.get()><NewAgentForm created is_open list /></Show>
            {move || created.get().map(|fresh| view! { <NewTokenText created_token=fresh created /> })}
            {shown}
        </section>
    }
}
