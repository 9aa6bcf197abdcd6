//! Access tokens of people, programs and workers: creation, list, revocation. For admins of the lab.

use std::collections::BTreeMap;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::{CreatedToken, NewToken, Role, TokenKind, TokenView};
use wire::hyperparameters::table::Values;

use super::permissions;
use crate::base::at;
use crate::components::number::{ago, clock};
use crate::components::{
    Confirm, CopyButton, Failure, NumberField, Question, ROLES, Skeleton, Toasts, TypedNumber, isolated,
};
use crate::net::api::{ApiFailure, access, people};
use crate::session::Session;

const LINK: &str = "A link that signs one browser in, once (default)";
const API: &str = "A token that a program sends in the header Authorization: Bearer";

/// Maximum validity of a token in days.
const MAX_DAYS: u64 = 3650;

#[derive(Clone, Copy)]
struct TokenList {
    tokens: RwSignal<Option<Result<Vec<TokenView>, ApiFailure>>>,
    /// Names of the people who have tokens, by id.
    owners: RwSignal<BTreeMap<i64, String>>,
    session: Session,
    confirm: Confirm,
    toasts: Toasts,
}

impl TokenList {
    fn open() -> Self {
        let tokens = RwSignal::new(None);
        Self {
            tokens,
            owners: RwSignal::default(),
            session: expect_context(),
            confirm: expect_context(),
            toasts: expect_context(),
        }
    }

    fn fetch(self) {
        spawn_local(async move {
            let answer = access::tokens().await;
            // Without their names the list shows those of the tokens.
            if answer.iter().flatten().any(|token| token.person.is_some())
                && let Ok(people) = people::list().await
            {
                self.owners.try_set(people.into_iter().map(|person| (person.id, person.name)).collect());
            }
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
            (TokenKind::Guest, _) => {
                "The browser that uses it loses what its share links have opened, until it opens them again."
            }
            (TokenKind::SignIn, _) => "It has not been used and will stop working.",
            (TokenKind::Api, _) => "Requests with it are refused from now on.",
        };
        self.question(token, format!("{loses} This cannot be undone, but a new one can be created."), false);
    }

    fn question(self, token: TokenView, loses: String, confirmed: bool) {
        let title = match token.kind {
            TokenKind::SignIn => format!("Revoke this sign-in link for {}?", isolated(&token.name)),
            TokenKind::Session | TokenKind::Guest => format!("Revoke this session of {}?", isolated(&token.name)),
            TokenKind::Api => format!("Revoke this token of {}?", isolated(&token.name)),
        };
        let act = self.confirm.keep(move || self.revoke(token.clone(), confirmed));
        self.confirm.ask(Question { title, loses, verb: "Revoke", act });
    }

    fn revoke(self, token: TokenView, confirmed: bool) {
        spawn_local(async move {
            match access::revoke_token(token.id, confirmed).await {
                Ok(()) if token.is_own => self.session.leave(),
                Ok(()) => {
                    self.toasts.say(format!("The token of {} was revoked", isolated(&token.name)));
                    self.fetch();
                }
                // The server warns before access is lost.
                Err(failure) if failure.status == 409 && !confirmed => {
                    self.question(token, failure.message(), true);
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
                "A sign-in link signs one browser in, once. An API token is for a program."
            </p>
            <NewTokenForm created list />
            {move || created.get().map(|fresh| view! { <NewTokenText created_token=fresh created /> })}
            {shown}
            <p class="small dim">
                "Tokens are stored as hashes and cannot be shown again. You can also create tokens with "
                <code>"kindling token"</code>
                " on the server's machine. The "
                <a href=at("/audit") title="Who changed what, when, and from where">"audit log"</a>
                " lists what was done with them."
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
            limits: None,
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
    // A refusal belongs to what was sent; the name is cleared after a success.
    Effect::new(move || {
        let _ = (name.read().is_empty(), role.get(), is_link.get(), days.is_readable());
        failure.set(None);
    });
    let choose = move |word: String| {
        if let Some(known) = ROLES.into_iter().find(|known| known.name() == word) {
            role.set(known);
        }
    };
    view! {
        <form class="stack new-token" on:submit=submit>
            <div class="tabs" role="group" aria-label="Kind of token">
                {[(true, "Sign-in link", LINK), (false, "API token", API)].map(|(of, word, meaning)| view! {
                    <button
                        type="button"
                        class="tab"
                        title=meaning
                        aria-pressed=move || (is_link.get() == of).to_string()
                        on:click=move |_| is_link.set(of)
                    >
                        {word}
                    </button>
                })}
            </div>
            <div class="token-fields">
                <label class="field" title="The journal shows this name as the author.">
                    <span class="label">"Name"</span>
                    <input
                        type="text"
                        maxlength="80"
                        autocomplete="off"
                        placeholder="e.g. ada"
                        prop:value=name
                        on:input:target=move |event| name.set(event.target().value())
                    />
                </label>
                <label class="field" title="What the token permits. Default: view">
                    <span class="label">"Role"</span>
                    <select on:change:target=move |event| choose(event.target().value())>
                        {ROLES.map(|of| view! {
                            <option value=of.name() selected=move || role.get() == of>{of.name()}</option>
                        })}
                    </select>
                </label>
                <label class="field" title="Days until the link or token expires, 1 to 3\u{202f}650. Default: 1 for a link, 90 for a token">
                    <span class="label">"Expires after"<span class="unit">", days"</span></span>
                    <NumberField
                        number=days
                        placeholder=Signal::derive(move || if is_link.get() { "1" } else { "90" }.to_owned())
                    />
                </label>
                <button
                    class="primary"
                    type="submit"
                    title=move || match (name.read().trim().is_empty(), days.is_readable()) {
                        (true, _) => "Enter a name first.",
                        (false, false) => "Correct the number of days first.",
                        (false, true) => "Create it; its text is shown once",
                    }
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
pub(super) fn NewTokenText(created_token: CreatedToken, created: RwSignal<Option<CreatedToken>>) -> impl IntoView {
    let CreatedToken { token, text } = created_token;
    let is_link = token.kind == TokenKind::SignIn;
    let shown = if is_link {
        let origin = window().location().origin().unwrap_or_default();
        format!("{origin}{}", at(&format!("/signin?token={text}")))
    } else {
        text
    };
    let (what, done) = match is_link {
        true => ("sign-in link", "The link was copied"),
        false => ("API token", "The token was copied"),
    };
    let copied = shown.clone();
    view! {
        <div class="fresh stack" role="status">
            <p><strong>{format!("Copy the {what} for {} now.", isolated(&token.name))}</strong>" It is not shown again."</p>
            <pre class="command">{shown}</pre>
            <div class="row end">
                <CopyButton text=move || copied.clone() title="Copy to the clipboard" done />
                <button type="button" title="Hide it" on:click=move |_| created.set(None)>"Done"</button>
            </div>
        </div>
    }
}

/// One token: owner, role, kind and expiry.
#[component]
fn TokenLine(token: TokenView, list: TokenList) -> impl IntoView {
    let kind = match (token.kind, token.role) {
        (_, Role::Worker) => "",
        (TokenKind::Session, _) if token.is_own => "this browser",
        (TokenKind::Session, _) => "signed-in browser",
        (TokenKind::Guest, _) => "browser with a share link",
        (TokenKind::SignIn, _) => "sign-in link, not used yet",
        (TokenKind::Api, _) => "API token",
    };
    let until =
        token.expires_ms.map_or_else(|| "never expires".to_owned(), |at| format!("expires {}", clock(at as f64)));
    let used = token.used_ms.map(|at| format!(", last used {}", ago(at as f64))).unwrap_or_default();
    let limited = token.projects.as_ref().map(|projects| format!(", only {}", projects.join(", "))).unwrap_or_default();
    let about = format!("created {}, {until}{used}{limited}", ago(token.created_ms as f64));
    let about = capital(&if kind.is_empty() { about } else { format!("{kind} · {about}") });
    let label = format!("Revoke the token of {}", isolated(&token.name));
    // A browser's token has the name of its person already.
    let owner = token.person.and_then(|person| list.owners.read_untracked().get(&person).cloned());
    let owner = owner.filter(|owner| *owner != token.name);
    view! {
        <li>
            <div class="grow">
                <p>
                    <strong>{isolated(&token.name)}</strong>
                    {owner.map(|owner| view! { <span class="dim">{format!(" of {}", isolated(&owner))}</span> })}
                    " "
                    <span class="dim">{format!("· role {}", token.role.name())}</span>
                </p>
                <p class="small dim">{about}</p>
            </div>
            <button
                class="quiet"
                title="Revoke it, after confirmation"
                aria-label=label
                on:click=move |_| list.ask_revoke(token.clone())
            >
                "Revoke"
            </button>
        </li>
    }
}

/// A text with a capital.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
