//! The form of a new agent.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::agent::AgentLimits;
use wire::access::{CreatedToken, NewPersonalToken, NewToken};
use wire::hyperparameters::table::Values;

use super::AgentList;
use super::limits::{LimitFields, TypedLimits};
use crate::components::{Failure, NumberField, TypedNumber};
use crate::net::api::{ApiFailure, access, account};
use crate::session::Session;

/// Maximum validity of a token in days.
const MAX_DAYS: u64 = 3650;

/// Creates the token of an agent: of the person who is signed in, else of the lab.
async fn create(
    is_personal: bool,
    name: String,
    days: Option<u32>,
    limits: AgentLimits,
) -> Result<CreatedToken, ApiFailure> {
    let (role, limits) = (limits.mode.highest_role(), Some(limits));
    match is_personal {
        true => account::create_token(&NewPersonalToken { name, role, projects: None, days, limits }).await,
        false => access::create_token(&NewToken { name, role, days, sign_in: false, limits }).await,
    }
}

#[component]
pub(super) fn NewAgentForm(
    created: RwSignal<Option<CreatedToken>>,
    is_open: RwSignal<bool>,
    list: AgentList,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let name = RwSignal::new(String::new());
    let days = TypedNumber::optional(Values::Integer { min: 1, max: MAX_DAYS });
    let limits = TypedLimits::new(&AgentLimits::default());
    let (failure, is_busy) = (RwSignal::new(None::<ApiFailure>), RwSignal::new(false));
    let is_complete = move || !name.read().trim().is_empty() && days.is_readable() && limits.is_readable();
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if is_busy.get_untracked() || !untrack(is_complete) {
            return;
        }
        let is_personal = untrack(|| session.me()).is_some_and(|me| me.person.is_some());
        let (days, limits) = untrack(|| (days.small_integer(), limits.limits()));
        let name = name.get_untracked().trim().to_owned();
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match create(is_personal, name, days, limits).await {
                Ok(fresh) => {
                    created.try_set(Some(fresh));
                    list.fetch();
                    is_open.try_set(false);
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_busy.try_set(false);
        });
    };
    view! {
        <form class="stack agent-form" on:submit=submit>
            <div class="project-fields">
                <label class="field" title="The journal shows this name as the author, with the model and the conversation.">
                    <span class="label">"Agent"</span>
                    <input
                        type="text"
                        maxlength="80"
                        autocomplete="off"
                        placeholder="e.g. claude"
                        prop:value=name
                        on:input:target=move |event| name.set(event.target().value())
                    />
                </label>
                <label class="field" title="Days until its token expires, 1 to 3\u{202f}650. Default: 90">
                    <span class="label">"Token expires after"<span class="unit">", days"</span></span>
                    <NumberField number=days placeholder="90" />
                </label>
            </div>
            <LimitFields limits />
            {move || failure.get().map(|failure| view! { <Failure what="The agent was not created" failure /> })}
            <div class="row end">
                <button
                    class="primary"
                    type="submit"
                    title=move || match is_complete() {
                        true => "Create its token; the text is shown once",
                        false => "Enter a name, and correct the numbers first.",
                    }
                    disabled=move || is_busy.get() || !is_complete()
                >
                    "Create the agent's token"
                </button>
            </div>
        </form>
    }
}
