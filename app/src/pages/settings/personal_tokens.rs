//! The API tokens of the signed-in person: their rights are never more than those of the person.

use std::collections::BTreeSet;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::{CreatedToken, NewPersonalToken, Role, TokenView};
use wire::hyperparameters::table::Values;

use super::tokens::NewTokenText;
use crate::components::number::{ago, clock};
use crate::components::{Confirm, Failure, NumberField, Question, RoleSelect, Skeleton, Toasts, TypedNumber, isolated};
use crate::net::api::{ApiFailure, account};
use crate::projects::Projects;

/// Maximum validity of a token in days.
const MAX_DAYS: u64 = 3650;

#[derive(Clone, Copy)]
struct TokenList {
    tokens: RwSignal<Option<Result<Vec<TokenView>, ApiFailure>>>,
    confirm: Confirm,
    toasts: Toasts,
}

impl TokenList {
    fn fetch(self) {
        spawn_local(async move {
            let answer = account::tokens().await;
            self.tokens.try_set(Some(answer));
        });
    }

    fn ask_revoke(self, token: &TokenView) {
        let (id, name) = (token.id, isolated(&token.name));
        let title = format!("Revoke the token {name}?");
        let act = self.confirm.keep(move || {
            let name = name.clone();
            spawn_local(async move {
                match account::revoke_token(id).await {
                    Ok(()) => self.toasts.say(format!("The token {name} was revoked")),
                    Err(failure) => self.toasts.fail("The token was not revoked", &failure),
                }
                self.fetch();
            });
        });
        let loses =
            "Requests with it are refused from now on. This cannot be undone, but a new one can be created.".to_owned();
        self.confirm.ask(Question { title, loses, verb: "Revoke", act });
    }
}

#[component]
pub(super) fn PersonalTokens() -> impl IntoView {
    let list = TokenList { tokens: RwSignal::new(None), confirm: expect_context(), toasts: expect_context() };
    let created = RwSignal::new(None::<CreatedToken>);
    list.fetch();
    let shown = move || match list.tokens.get() {
        None => view! { <Skeleton rows=1 class="short" /> }.into_any(),
        Some(Err(failure)) => {
            view! { <Failure what="Your tokens could not be listed" failure retry=move |()| list.fetch() /> }.into_any()
        }
        Some(Ok(tokens)) if tokens.is_empty() => view! { <p class="dim">"No tokens yet."</p> }.into_any(),
        Some(Ok(tokens)) => {
            let lines = tokens.into_iter().rev().map(|token| view! { <TokenLine token list /> });
            view! { <ul class="tokens" aria-label="Your API tokens">{lines.collect_view()}</ul> }.into_any()
        }
    };
    view! {
        <details>
            <summary title="Tokens with which your programs use the API under your name">"Your API tokens"</summary>
            <div class="stack">
                <p class="small dim">
                    "A program sends a token in the header "<code>"Authorization: Bearer"</code>
                    " and acts under your name, with your rights or fewer. Removing your account ends its tokens."
                </p>
                <TokenForm created list />
                {move || created.get().map(|fresh| view! { <NewTokenText created_token=fresh created /> })}
                {shown}
            </div>
        </details>
    }
}

#[component]
fn TokenForm(created: RwSignal<Option<CreatedToken>>, list: TokenList) -> impl IntoView {
    let projects = expect_context::<Projects>();
    let name = RwSignal::new(String::new());
    let role = RwSignal::new(Some(Role::View));
    let days = TypedNumber::optional(Values::Integer { min: 1, max: MAX_DAYS });
    let limited_to = RwSignal::new(BTreeSet::<String>::new());
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_busy = RwSignal::new(false);
    let is_complete = move || !name.read().trim().is_empty() && days.is_readable();
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if is_busy.get_untracked() || !untrack(is_complete) {
            return;
        }
        let limits: Vec<String> = limited_to.get_untracked().into_iter().collect();
        let token = NewPersonalToken {
            name: name.get_untracked().trim().to_owned(),
            role: role.get_untracked().unwrap_or(Role::View),
            projects: (!limits.is_empty()).then_some(limits),
            days: untrack(|| days.small_integer()),
            limits: None,
        };
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match account::create_token(&token).await {
                Ok(fresh) => {
                    created.try_set(Some(fresh));
                    name.try_set(String::new());
                    list.fetch();
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_busy.try_set(false);
        });
    };
    view! {
        <form class="stack" on:submit=submit>
            <div class="token-fields">
                <label class="field" title="What the token is for, 1 to 80 characters">
                    <span class="label">"Purpose"</span>
                    <input
                        type="text"
                        maxlength="80"
                        autocomplete="off"
                        placeholder="e.g. notebook"
                        prop:value=name
                        on:input:target=move |event| name.set(event.target().value())
                    />
                </label>
                <div class="field">
                    <span class="label">"Highest role"</span>
                    <RoleSelect
                        name="Highest role of the token"
                        title="The highest role that the token has; it never permits more than you may do. Default: view"
                        role
                        choose=move |chosen| role.set(chosen)
                    />
                </div>
                <label class="field" title="Days until the token expires, 1 to 3\u{202f}650. Default: 90">
                    <span class="label">"Expires after"<span class="unit">", days"</span></span>
                    <NumberField number=days placeholder="90" />
                </label>
                <button
                    class="primary"
                    type="submit"
                    title=move || match is_complete() {
                        true => "Create the token; its text is shown once",
                        false => "Enter its purpose first.",
                    }
                    disabled=move || is_busy.get() || !is_complete()
                >
                    "Create"
                </button>
            </div>
            <Show when=move || projects.are_several()><ProjectBoxes limited_to /></Show>
            {move || failure.get().map(|failure| view! { <Failure what="The token was not created" failure /> })}
        </form>
    }
}

/// The projects to which the token is limited.
#[component]
pub(super) fn ProjectBoxes(limited_to: RwSignal<BTreeSet<String>>) -> impl IntoView {
    let projects = expect_context::<Projects>();
    let note = move || match limited_to.read().is_empty() {
        true => "None is selected: the token gives access to everything that you can access.",
        false => "The token gives access to these projects only.",
    };
    view! {
        <fieldset class="project-roles">
            <legend class="small">"Only these projects"</legend>
            {move || projects.names.get().into_iter().map(|name| {
                let (label, key) = (name.clone(), name.clone());
                view! {
                    <label class="check" title=format!("Whether the token is limited to {label} and the other selected projects")>
                        <input
                            type="checkbox"
                            prop:checked=move || limited_to.read().contains(&key)
                            on:change:target=move |event| limited_to.update(|chosen| match event.target().checked() {
                                true => drop(chosen.insert(name.clone())),
                                false => drop(chosen.remove(&name)),
                            })
                        />
                        {label.clone()}
                    </label>
                }
            }).collect_view()}
            <p class="small dim">{note}</p>
        </fieldset>
    }
}

#[component]
fn TokenLine(token: TokenView, list: TokenList) -> impl IntoView {
    let until =
        token.expires_ms.map_or_else(|| "never expires".to_owned(), |at| format!("expires {}", clock(at as f64)));
    let used = token.used_ms.map_or_else(|| "never used".to_owned(), |at| format!("last used {}", ago(at as f64)));
    let reach = match &token.projects {
        Some(projects) => format!("at most {}, only {}", token.role.name(), projects.join(", ")),
        None => format!("at most {}", token.role.name()),
    };
    let about = format!("Created {}, {until}, {used}", ago(token.created_ms as f64));
    let name = isolated(&token.name);
    view! {
        <li>
            <div class="grow">
                <p><strong>{name.clone()}</strong>" "<span class="dim">{format!("· {reach}")}</span></p>
                <p class="small dim">{about}</p>
            </div>
            <button
                class="quiet"
                title="Revoke it, after confirmation"
                aria-label=format!("Revoke the token {name}")
                on:click=move |_| list.ask_revoke(&token)
            >
                "Revoke"
            </button>
        </li>
    }
}
