//! Tokens of people, programs and workers: made, shown once, listed, revoked. For admins.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api::ApiFailure;
use crate::api::access::{self, MadeToken, NewToken, TokenView};
use crate::parts::number::{ago, clock};
use crate::parts::{Confirm, CopyButton, Failure, Question, Skeleton, Toasts};
use crate::session::{Session, Standing};

/// Roles, and what they may.
const ROLES: [(&str, &str); 3] = [
    ("view", "looks at everything and changes nothing"),
    ("steer", "starts, steers and deletes runs, and brings texts"),
    ("admin", "all of that, hands out tokens, and does what cannot be undone"),
];

/// The list, and what can be done with it.
#[derive(Clone, Copy)]
struct Shelf {
    tokens: RwSignal<Option<Result<Vec<TokenView>, ApiFailure>>>,
    session: Session,
    confirm: Confirm,
    toasts: Toasts,
}

impl Shelf {
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

    /// Asks before; one's own is asked about in the server's words, which say what it means.
    fn ask_revoke(self, token: TokenView) {
        if token.is_own {
            return self.revoke(token, false);
        }
        let loses = match (token.kind.as_str(), token.role.as_str()) {
            (_, "worker") => {
                "The worker that joined with it is cut off; those that this lab starts by itself get new ones with its next start."
            }
            ("session", _) => "That browser is signed out at once.",
            ("sign_in", _) => "The link, not used so far, will sign nobody in.",
            _ => "Whoever uses it is refused from now on.",
        };
        self.question(token, format!("{loses} It cannot be brought back; a new one can be made."), false);
    }

    fn question(self, token: TokenView, loses: String, is_sure: bool) {
        let title = format!("Revoke the token of {}?", token.name);
        let act = self.confirm.keep(move || self.revoke(token.clone(), is_sure));
        self.confirm.ask(Question { title, loses, verb: "Revoke", act });
    }

    fn revoke(self, token: TokenView, is_sure: bool) {
        spawn_local(async move {
            match access::revoke_token(token.id, is_sure).await {
                Ok(()) if token.is_own => self.session.standing.set(Standing::Out),
                Ok(()) => {
                    self.toasts.say(format!("The token of {} is revoked", token.name));
                    self.fetch();
                }
                // The server warns before one locks oneself out.
                Err(failure) if failure.status == 409 && !is_sure => {
                    self.question(token, format!("Careful: {}.", failure.body.message), true);
                }
                Err(failure) => self.toasts.fail("Not revoked", &failure),
            }
        });
    }
}

/// The part of the page.
#[component]
pub(super) fn Tokens() -> impl IntoView {
    let shelf = Shelf::open();
    let made = RwSignal::new(None::<MadeToken>);
    shelf.fetch();
    let list = move || match shelf.tokens.get() {
        None => view! { <Skeleton rows=3 class="short" /> }.into_any(),
        Some(Err(failure)) => {
            view! { <Failure what="The tokens could not be listed" failure retry=move |()| shelf.fetch() /> }.into_any()
        }
        Some(Ok(tokens)) => {
            let lines = tokens.into_iter().rev().map(|token| view! { <TokenLine token shelf /> });
            view! { <ul class="tokens" aria-label="Tokens that open this lab">{lines.collect_view()}</ul> }.into_any()
        }
    };
    view! {
        <section class="sheet padded stack" aria-labelledby="people-title">
            <h2 id="people-title">"Who may enter"</h2>
            <p>"Give each person a sign-in link and each program a token of its own, with the role it needs."</p>
            <NewTokenForm made shelf />
            {move || made.get().map(|fresh| view! { <Fresh fresh made /> })}
            {list}
            <p class="small dim">"Only hashes are kept: a token that was lost is replaced, not found. On the machine of the lab "<code>"kindling token"</code>" makes them, too."</p>
        </section>
    }
}

#[component]
fn NewTokenForm(made: RwSignal<Option<MadeToken>>, shelf: Shelf) -> impl IntoView {
    let name = RwSignal::new(String::new());
    let days = RwSignal::new(String::new());
    let role = RwSignal::new(ROLES[0].0);
    let is_link = RwSignal::new(true);
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_busy = RwSignal::new(false);
    // Nothing for what is usual, none for what is no number.
    let wanted_days = move || match days.read().trim() {
        "" => Some(None),
        typed => typed.parse::<u32>().ok().map(Some),
    };
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(days) = untrack(wanted_days) else { return };
        let wish = NewToken {
            name: name.get_untracked().trim().to_owned(),
            role: role.get_untracked(),
            days,
            sign_in: is_link.get_untracked(),
        };
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match access::make_token(&wish).await {
                Ok(fresh) => {
                    made.try_set(Some(fresh));
                    name.try_set(String::new());
                    shelf.fetch();
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_busy.try_set(false);
        });
    };
    let choose = move |word: String| {
        if let Some((known, _)) = ROLES.iter().find(|(known, _)| *known == word) {
            role.set(known);
        }
    };
    let may = move || ROLES.iter().find(|(known, _)| *known == role.get()).map(|(_, may)| format!("It {may}."));
    view! {
        <form class="stack new-token" on:submit=submit>
            <div class="tabs" role="group" aria-label="What for">
                {[(true, "Sign-in link"), (false, "Token for a program")].map(|(of, word)| view! {
                    <button type="button" class="tab" aria-pressed=move || (is_link.get() == of).to_string() on:click=move |_| is_link.set(of)>{word}</button>
                })}
            </div>
            <div class="token-fields">
                <label class="field">
                    <span class="label">"Name"</span>
                    <input type="text" maxlength="80" autocomplete="off" placeholder="ada" prop:value=name on:input:target=move |event| name.set(event.target().value()) />
                </label>
                <label class="field">
                    <span class="label">"Role"</span>
                    <select on:change:target=move |event| choose(event.target().value())>
                        {ROLES.map(|(word, _)| view! { <option value=word selected=move || role.get() == word>{word}</option> })}
                    </select>
                </label>
                <label class="field">
                    <span class="label">"Days"</span>
                    <input type="text" inputmode="numeric" autocomplete="off" placeholder=move || if is_link.get() { "1" } else { "90" }
                        prop:value=days aria-invalid=move || wanted_days().is_none().to_string() on:input:target=move |event| days.set(event.target().value()) />
                </label>
                <button class="primary" type="submit" disabled=move || is_busy.get() || name.read().trim().is_empty() || wanted_days().is_none()>"Make it"</button>
            </div>
            <p class="small dim">{may}</p>
            {move || failure.get().map(|failure| view! { <Failure what="Not made" failure /> })}
        </form>
    }
}

/// A token that was just made: the one time that it can be seen.
#[component]
fn Fresh(fresh: MadeToken, made: RwSignal<Option<MadeToken>>) -> impl IntoView {
    let MadeToken { token, text } = fresh;
    let is_link = token.kind == "sign_in";
    let shown = if is_link {
        let origin = window().location().origin().unwrap_or_default();
        format!("{origin}/signin?token={text}")
    } else {
        text
    };
    let (what, done) = match is_link {
        true => ("link", "The link is on the clipboard"),
        false => ("token", "The token is on the clipboard"),
    };
    let copied = shown.clone();
    view! {
        <div class="fresh stack" role="status">
            <p><strong>{format!("The {what} of {}", token.name)}</strong>", shown this once: copy it now."</p>
            <pre class="command">{shown}</pre>
            <div class="row end">
                <CopyButton text=move || copied.clone() title="Copy it to the clipboard" done />
                <button type="button" on:click=move |_| made.set(None)>"Done"</button>
            </div>
        </div>
    }
}

/// One token: whose, how far it reaches, what for, and until when.
#[component]
fn TokenLine(token: TokenView, shelf: Shelf) -> impl IntoView {
    let kind = match (token.kind.as_str(), token.role.as_str()) {
        (_, "worker") => "a worker",
        ("session", _) => "a signed-in browser",
        ("sign_in", _) => "a link, not used yet",
        _ => "for programs",
    };
    let until = token.expires_ms.map_or_else(|| "without end".to_owned(), |at| format!("until {}", clock(at as f64)));
    let about = format!("{kind} · made {} · {until}", ago(token.created_ms as f64));
    let (label, is_own) = (format!("Revoke the token of {}", token.name), token.is_own);
    view! {
        <li>
            <div class="grow">
                <p><strong>{token.name.clone()}</strong>" "<span class="dim">{token.role.clone()}</span>{is_own.then_some(" · this browser")}</p>
                <p class="small dim">{about}</p>
            </div>
            <button class="quiet" aria-label=label on:click=move |_| shelf.ask_revoke(token.clone())>"Revoke"</button>
        </li>
    }
}
