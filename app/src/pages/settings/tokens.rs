//! Access tokens of people, programs and workers: creation, list, revocation. For admins.

use leptos::prelude::*;
use leptos::task::spawn_local;

use wire::access::{CreatedToken, NewToken, Role, TokenKind, TokenView};
use wire::hyperparameters::table::Values;

use super::permissions;
use crate::components::number::{ago, clock};
use crate::components::{Confirm, CopyButton, Failure, NumberField, Question, Skeleton, Toasts, TypedNumber};
use crate::net::api::ApiFailure;
use crate::net::api::access;
use crate::session::{Session, SignIn};

/// The roles of people and programs.
const ROLES: [Role; 3] = [Role::View, Role::Steer, Role::Admin];

/// Maximum validity of a token in days.
const MAX_DAYS: u64 = 3650;

#[derive(Clone, Copy)]
struct TokenList {
    tokens: RwSignal<Option<Result<Vec<TokenView>, ApiFailure>>>,
    session: Session,
    confirm: Confirm,
    toasts: Toasts,
}

impl TokenList {
    fn open() -> Self {
        let tokens = RwSignal::new(None);
        Self { tokens, session: expect_context(), confirm: expect_context(), toasts: expect_context() }
    }

    fn fetch(self) {
        spawn_local(async move {
            let answer = access::tokens().await;
            self.tokens.try_set(Some(answer));
        });
    }

    /// Asks before revoking. For one's own token the server's warning is shown.
    fn ask_revoke(self, token: TokenView) {
        if token.is_own {
            return self.revoke(token, false);
        }
        let loses = match (token.kind, token.role) {
            (_, Role::Worker) => {
                "The worker that uses it is disconnected. Workers that the server starts itself get new tokens at its \
                 next start."
            }
            (TokenKind::Session, _) => "The browser that uses it is signed out.",
            (TokenKind::SignIn, _) => "The link was not used and stops working.",
            (TokenKind::Api, _) => "Requests with it are refused from now on.",
        };
        self.question(token, format!("{loses} This cannot be undone, but a new token can be created."), false);
    }

    fn question(self, token: TokenView, loses: String, confirmed: bool) {
        let title = format!("Revoke the token of {}?", token.name);
        let act = self.confirm.keep(move || self.revoke(token.clone(), confirmed));
        self.confirm.ask(Question { title, loses, verb: "Revoke", act });
    }

    fn revoke(self, token: TokenView, confirmed: bool) {
        spawn_local(async move {
            match access::revoke_token(token.id, confirmed).await {
                Ok(()) if token.is_own => self.session.sign_in.set(SignIn::Out),
                Ok(()) => {
                    self.toasts.say(format!("The token of {} was revoked", token.name));
                    self.fetch();
                }
                // The server warns before access is lost.
                Err(failure) if failure.status == 409 && !confirmed => {
                    self.question(token, format!("{}.", failure.body.message), true);
                }
                Err(failure) => self.toasts.fail("The token was not revoked", &failure),
            }
        });
    }
}

/// The section of the page.
#[component]
pub(super) fn Tokens() -> impl IntoView {
    let list = TokenList::open();
    let created = RwSignal::new(None::<CreatedToken>);
    list.fetch();
    let shown = move || match list.tokens.get() {
        None => view! { <Skeleton rows=3 class="short" /> }.into_any(),
        Some(Err(failure)) => {
            view! { <Failure what="The tokens could not be listed" failure retry=move |()| list.fetch() /> }.into_any()
        }
        Some(Ok(tokens)) => {
            let lines = tokens.into_iter().rev().map(|token| view! { <TokenLine token list /> });
            view! { <ul class="tokens" aria-label="Access tokens">{lines.collect_view()}</ul> }.into_any()
        }
    };
    view! {
        <section class="sheet padded stack" aria-labelledby="access-title">
            <h2 id="access-title">"Access"</h2>
            <p>
                "Create a sign-in link for each person and an API token for each program, with the role that it needs."
            </p>
            <NewTokenForm created list />
            {move || created.get().map(|fresh| view! { <NewTokenText created_token=fresh created /> })}
            {shown}
            <p class="small dim">
                "Only hashes are stored, so a lost token must be replaced. On the machine of the server, "
                <code>"kindling token"</code>
                " creates tokens, too."
            </p>
        </section>
    }
}

#[component]
fn NewTokenForm(created: RwSignal<Option<CreatedToken>>, list: TokenList) -> impl IntoView {
    let name = RwSignal::new(String::new());
    let days = TypedNumber::optional(Values::Integer { min: 1, max: MAX_DAYS });
    let role = RwSignal::new(Role::View);
    let is_link = RwSignal::new(true);
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_busy = RwSignal::new(false);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if untrack(|| !days.is_readable()) {
            return;
        }
        let token = NewToken {
            name: name.get_untracked().trim().to_owned(),
            role: role.get_untracked(),
            days: untrack(|| days.small_integer()),
            sign_in: is_link.get_untracked(),
        };
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match access::create_token(&token).await {
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
    let choose = move |word: String| {
        if let Some(known) = ROLES.into_iter().find(|known| known.name() == word) {
            role.set(known);
        }
    };
    view! {
        <form class="stack new-token" on:submit=submit>
            <div class="tabs" role="group" aria-label="Kind of token">
                {[(true, "Sign-in link"), (false, "API token")].map(|(of, word)| view! {
                    <button
                        type="button"
                        class="tab"
                        aria-pressed=move || (is_link.get() == of).to_string()
                        on:click=move |_| is_link.set(of)
                    >
                        {word}
                    </button>
                })}
            </div>
            <div class="token-fields">
                <label class="field" title="Name of the owner; the journal shows it as the author of commands">
                    <span class="label">"Name"</span>
                    <input
                        type="text"
                        maxlength="80"
                        autocomplete="off"
                        placeholder="ada"
                        prop:value=name
                        on:input:target=move |event| name.set(event.target().value())
                    />
                </label>
                <label class="field" title="What the token permits">
                    <span class="label">"Role"</span>
                    <select on:change:target=move |event| choose(event.target().value())>
                        {ROLES.map(|of| view! {
                            <option value=of.name() selected=move || role.get() == of>{of.name()}</option>
                        })}
                    </select>
                </label>
                <label class="field" title="Days until the token expires">
                    <span class="label">"Valid for"<span class="unit">" days"</span></span>
                    <NumberField
                        number=days
                        placeholder=Signal::derive(move || if is_link.get() { "1" } else { "90" }.to_owned())
                    />
                </label>
                <button
                    class="primary"
                    type="submit"
                    disabled=move || is_busy.get() || name.read().trim().is_empty() || !days.is_readable()
                >
                    "Create"
                </button>
            </div>
            <p class="small dim">{move || permissions(role.get())}</p>
            {move || failure.get().map(|failure| view! { <Failure what="The token was not created" failure /> })}
        </form>
    }
}

/// The text of a token that was just created; it is shown only once.
#[component]
fn NewTokenText(created_token: CreatedToken, created: RwSignal<Option<CreatedToken>>) -> impl IntoView {
    let CreatedToken { token, text } = created_token;
    let is_link = token.kind == TokenKind::SignIn;
    let shown = if is_link {
        let origin = window().location().origin().unwrap_or_default();
        format!("{origin}/signin?token={text}")
    } else {
        text
    };
    let (what, done) = match is_link {
        true => ("link", "The link was copied"),
        false => ("token", "The token was copied"),
    };
    let copied = shown.clone();
    view! {
        <div class="fresh stack" role="status">
            <p><strong>{format!("The {what} of {}", token.name)}</strong>" is shown only once. Copy it now."</p>
            <pre class="command">{shown}</pre>
            <div class="row end">
                <CopyButton text=move || copied.clone() title="Copy to the clipboard" done />
                <button type="button" on:click=move |_| created.set(None)>"Done"</button>
            </div>
        </div>
    }
}

/// One token: owner, role, kind and expiry.
#[component]
fn TokenLine(token: TokenView, list: TokenList) -> impl IntoView {
    let kind = match (token.kind, token.role) {
        (_, Role::Worker) => "worker",
        (TokenKind::Session, _) => "signed-in browser",
        (TokenKind::SignIn, _) => "sign-in link, not used yet",
        (TokenKind::Api, _) => "API token",
    };
    let until =
        token.expires_ms.map_or_else(|| "does not expire".to_owned(), |at| format!("valid until {}", clock(at as f64)));
    let about = format!("{kind} · created {} · {until}", ago(token.created_ms as f64));
    let (label, is_own) = (format!("Revoke the token of {}", token.name), token.is_own);
    view! {
        <li>
            <div class="grow">
                <p>
                    <strong>{token.name.clone()}</strong>
                    " "
                    <span class="dim">{token.role.name()}</span>
                    {is_own.then_some(" · this browser")}
                </p>
                <p class="small dim">{about}</p>
            </div>
            <button
                class="quiet"
                title="Revokes the token; asks first"
                aria-label=label
                on:click=move |_| list.ask_revoke(token.clone())
            >
                "Revoke"
            </button>
        </li>
    }
}
