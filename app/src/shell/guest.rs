//! What a browser sees that has opened share links and is not signed in: the pages that it reaches, and what is shown in place of the
//! others, and after its links have ended.

use leptos::ev;
use leptos::prelude::*;
use wire::RunId;

use crate::base::at;
use crate::components::{Empty, Flame, StateMark, clicks, run_name, shows};
use crate::net::live::Live;
use crate::route::{Route, Router, compare_path, run_path};
use crate::session::Session;

/// Whether a guest reaches a page. The server decides what it contains.
pub(super) fn reaches(session: Session, route: &Route) -> bool {
    if !session.is_guest() {
        return true;
    }
    let has_project = session.has_playground();
    match route {
        Route::Run(_) | Route::Xray(_) | Route::Compare | Route::Rules | Route::Unknown(_) => true,
        Route::Lab | Route::Playground | Route::Data => has_project,
        Route::Sweeps | Route::Sweep(_) | Route::Experiments | Route::Experiment(_) | Route::Journal => has_project,
        Route::Loops | Route::Loop(_) => has_project,
        Route::Approvals => has_project,
        Route::NewRun => session.can_steer(),
        _ => false,
    }
}

/// The runs that the links of a guest share.
fn shared_runs(session: Session) -> Vec<RunId> {
    session.me().map(|me| me.grants.runs.keys().cloned().collect()).unwrap_or_default()
}

/// The note in the header.
#[component]
pub(super) fn GuestNote() -> impl IntoView {
    let (session, router) = (expect_context::<Session>(), expect_context::<Router>());
    // Without a request: the server leads a browser that has a session back to the lab.
    let sign_in = move |event: ev::MouseEvent| {
        event.prevent_default();
        router.go(&at("/signin"));
    };
    shows(move || {
        session.is_guest().then(|| {
            view! {
                <span class="guest-note" title="You see this through a share link, without an account. It may expire.">
                    "Shared view"
                </span>
                <a
                    class="button quiet"
                    href=at("/signin")
                    title="Sign in with an account of this lab"
                    on:click=clicks(sign_in)
                >
                    "Sign in"
                </a>
            }
        })
    })
}

/// Shown in place of a page that is not shared: what is.
#[component]
pub(super) fn SharedWithYou() -> impl IntoView {
    let (session, live) = (expect_context::<Session>(), expect_context::<Live>());
    let router = expect_context::<Router>();
    let is_other = move || *router.route.read() != Route::Lab;
    let runs = Memo::new(move |_| shared_runs(session));
    let line = move |run: RunId| {
        let (href, id) = (run_path(&run), StoredValue::new(run));
        let state = Memo::new(move |_| {
            let lab = live.lab.read();
            id.with_value(|id| lab.as_ref()?.runs.iter().find(|run| run.id == *id).map(|run| run.state))
        });
        view! {
            <li>
                <a class="run-name" href=href title="Open the page of the run">{shows(move || id.with_value(|id| run_name(live, id)))}</a>
                " "
                {shows(move || state.get().map(|state| view! { <StateMark state /> }))}
            </li>
        }
    };
    let content = move || {
        let runs = runs.get();
        if runs.is_empty() {
            let text = "This page is not part of it. The header leads to the pages that are.";
            return view! { <Empty title="A project is shared with you" text /> }.into_any();
        }
        let compare = (runs.len() > 1).then(|| compare_path(&runs));
        view! {
            <div class="sheet"><ul class="list">{runs.into_iter().map(line).collect_view()}</ul></div>
            {compare.map(|href| view! {
                <p><a class="button" href=href title="The losses of these runs in one chart">"Compare them"</a></p>
            })}
        }
        .into_any()
    };
    view! {
        <main class="page narrow stack roomy">
            <h1>"Shared with you"</h1>
            {shows(move || is_other().then(|| view! { <p>"The page that you opened is not shared with you."</p> }))}
            {shows(content)}
        </main>
    }
}

/// Shown once the links of a guest have ended. Nothing of what they showed is kept.
#[component]
pub(super) fn LinkEnded() -> impl IntoView {
    let pasted = RwSignal::new(String::new());
    let is_link = Memo::new(move |_| token_in(&pasted.read()).is_some());
    let open = move |event: ev::SubmitEvent| {
        event.prevent_default();
        if let Some(token) = token_in(&pasted.read_untracked()) {
            let _ = window().location().set_href(&at(&format!("/share/{token}")));
        }
    };
    view! {
        <main class="page narrow signin">
            <h1><Flame size=32 />"This link has ended"</h1>
            <p role="status">
                "The link through which you saw this lab has expired or was revoked, so its runs are no longer shown here. They are not \
                 affected. Ask the person who sent it for another one."
            </p>
            <form class="row" on:submit=open>
                <input
                    class="grow mono"
                    type="text"
                    autocomplete="off"
                    spellcheck="false"
                    aria-label="Share link"
                    placeholder="Share link"
                    title="The whole address of another share link of this lab"
                    prop:value=pasted
                    on:input:target=move |event| pasted.set(event.target().value())
                />
                <button
                    class="primary"
                    type="submit"
                    title=move || if is_link.get() { "Open this link" } else { "Paste the address of a share link first." }
                    disabled=move || !is_link.get()
                >
                    "Open link"
                </button>
            </form>
            <p><a href=at("/signin") title="Sign in with an account of this lab">"Sign in instead"</a></p>
        </main>
    }
}

/// The secret text in the address of a share link.
fn token_in(pasted: &str) -> Option<String> {
    let (_, rest) = pasted.trim().split_once("/share/")?;
    let token: String =
        rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(*letter)).collect();
    (!token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::token_in;

    #[test]
    fn the_text_of_a_link_is_found_in_its_address() {
        for (pasted, token) in [
            ("https://lab.example/share/kl_Ab-9_x", Some("kl_Ab-9_x")),
            (" http://127.0.0.1:7878/lab/share/abc?x=1 ", Some("abc")),
            ("https://lab.example/share/", None),
            ("https://lab.example/runs/a", None),
            ("abc", None),
        ] {
            assert_eq!(token_in(pasted).as_deref(), token, "{pasted}");
        }
    }
}
