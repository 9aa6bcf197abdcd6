//! The browsers in which the signed-in person is signed in.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::TokenView;

use crate::components::number::{ago, clock};
use crate::components::{Confirm, Failure, Question, Skeleton, Toasts, isolated};
use crate::net::api::{ApiFailure, account};

/// Consequence of the end of a session.
const END: &str = "The browser is signed out at once. It can sign in again with your password.";

#[derive(Clone, Copy)]
struct SessionList {
    sessions: RwSignal<Option<Result<Vec<TokenView>, ApiFailure>>>,
    confirm: Confirm,
    toasts: Toasts,
}

impl SessionList {
    fn fetch(self) {
        spawn_local(async move {
            let answer = account::sessions().await;
            self.sessions.try_set(Some(answer));
        });
    }

    /// Ids of the sessions of other browsers.
    fn others(self) -> Vec<i64> {
        let sessions = self.sessions.read();
        let sessions = sessions.iter().flatten().flatten();
        sessions.filter(|session| !session.is_own).map(|session| session.id).collect()
    }

    /// Asks, and then ends these sessions one after another.
    fn ask_end(self, ids: Vec<i64>, title: String, verb: &'static str) {
        let act = self.confirm.keep(move || {
            let ids = ids.clone();
            spawn_local(async move {
                match end(&ids).await {
                    Ok(()) if ids.len() == 1 => self.toasts.say("The browser was signed out"),
                    Ok(()) => self.toasts.say(format!("{} browsers were signed out", ids.len())),
                    Err(failure) => self.toasts.fail("Not every session was ended", &failure),
                }
                self.fetch();
            });
        });
        self.confirm.ask(Question { title, loses: END.to_owned(), verb, act });
    }
}

async fn end(ids: &[i64]) -> Result<(), ApiFailure> {
    for id in ids {
        account::end_session(*id).await?;
    }
    Ok(())
}

#[component]
pub(super) fn Sessions() -> impl IntoView {
    let list = SessionList { sessions: RwSignal::new(None), confirm: expect_context(), toasts: expect_context() };
    list.fetch();
    let shown = move || match list.sessions.get() {
        None => view! { <Skeleton rows=1 class="short" /> }.into_any(),
        Some(Err(failure)) => {
            view! { <Failure what="Your sessions could not be listed" failure retry=move |()| list.fetch() /> }
                .into_any()
        }
        Some(Ok(sessions)) => {
            let lines = sessions.into_iter().rev().map(|session| view! { <SessionLine session list /> });
            view! { <ul class="tokens" aria-label="Your sessions">{lines.collect_view()}</ul> }.into_any()
        }
    };
    view! {
        <details>
            <summary title="The browsers in which you are signed in">"Signed-in browsers"</summary>
            <div class="stack">
                {shown}
                <Show when=move || { list.others().len() > 1 }>
                    <div class="row">
                        <button
                            title="Sign out all browsers but this one, after confirmation"
                            on:click=move |_| {
                                let others = untrack(|| list.others());
                                list.ask_end(others, "Sign out all other browsers?".to_owned(), "Sign out")
                            }
                        >
                            "Sign out all others"
                        </button>
                    </div>
                </Show>
            </div>
        </details>
    }
}

#[component]
fn SessionLine(session: TokenView, list: SessionList) -> impl IntoView {
    let TokenView { id, created_ms, expires_ms, is_own, used_ms, address, agent, .. } = session;
    let name = agent.as_deref().map_or_else(|| "Unknown browser".to_owned(), browser);
    let used = used_ms.map(|at| format!("last used {}, ", ago(at as f64))).unwrap_or_default();
    let from = address.map(|address| format!("from {}, ", isolated(&address))).unwrap_or_default();
    let until = expires_ms.map(|at| format!(", expires {}", clock(at as f64))).unwrap_or_default();
    let about = format!("{used}{from}signed in {}{until}", ago(created_ms as f64));
    let (title, label) = (format!("Sign out {name}?"), format!("Sign out {name}"));
    view! {
        <li>
            <div class="grow">
                <p title=agent.as_deref().map(isolated)>
                    <strong>{name}</strong>
                    {is_own.then(|| view! { " "<span class="dim">"· this browser"</span> })}
                </p>
                <p class="small dim">{about}</p>
            </div>
            {(!is_own).then(|| view! {
                <button
                    class="quiet"
                    title="Sign this browser out, after confirmation"
                    aria-label=label
                    on:click=move |_| list.ask_end(vec![id], title.clone(), "Sign out")
                >
                    "Sign out"
                </button>
            })}
        </li>
    }
}

/// Names of browsers by a part of what they call themselves; later ones contain the names of earlier ones.
const BROWSERS: [(&str, &str); 6] = [
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("HeadlessChrome/", "Chrome without a window"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];
const SYSTEMS: [(&str, &str); 6] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

/// What a browser calls itself, in short: "Firefox on Linux"; the beginning of an unknown name.
fn browser(agent: &str) -> String {
    let find =
        |known: &[(&str, &'static str)]| known.iter().find(|(part, _)| agent.contains(part)).map(|(_, name)| *name);
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, _) => isolated(&agent.chars().take(40).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::browser;

    #[test]
    fn browsers_have_short_names() {
        for (agent, expected) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 Version/18.0 Mobile Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            ("curl/8.5.0", "curl/8.5.0"),
        ] {
            assert_eq!(browser(agent), expected, "{agent}");
        }
    }
}
