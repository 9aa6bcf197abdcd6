//! What stands around every page: the header, the bar when the lab is out of reach, the answers at the foot, the question
//! before a loss, and the list of keys. Which page is shown follows from the session and the route.

mod header;
mod keys;

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api;
use crate::live::{Connection, Live};
use crate::pages::{
    ComparePage, LabPage, PlaygroundPage, RunPage, SettingsPage, SignInPage, StartPage, TextsPage, XrayPage,
};
use crate::parts::number;
use crate::parts::{Confirm, ConfirmDialog, Empty, Failure, Skeleton, ToastShelf, Toasts};
use crate::route::{Route, Router};
use crate::session::{Session, Standing};
use crate::theme::Theme;
use header::Header;
use keys::KeyHelp;
pub(crate) use keys::is_typing;

/// The whole page.
#[component]
pub(crate) fn Shell() -> impl IntoView {
    provide_context(Router::start());
    provide_context(Theme::start());
    provide_context(Toasts::new());
    provide_context(Confirm::new());
    let session = Session::start();
    provide_context(session);
    // A change of name or role does not build the page anew; signing in or out does.
    let stage = Memo::new(move |_| match &*session.standing.read() {
        Standing::Asking => 0,
        Standing::Out => 1,
        Standing::In(_) => 2,
        Standing::Failed(_) => 3,
    });
    move || match stage.get() {
        0 => view! { <main class="page"><Skeleton rows=6 /></main> }.into_any(),
        1 => view! { <SignInPage /> }.into_any(),
        2 => view! { <SignedIn /> }.into_any(),
        _ => view! { <OutOfReach /> }.into_any(),
    }
}

/// The lab did not answer the first question.
#[component]
fn OutOfReach() -> impl IntoView {
    let session = expect_context::<Session>();
    let failure = move || match &*session.standing.read() {
        Standing::Failed(failure) => Some(failure.clone()),
        _ => None,
    };
    view! {
        <main class="page narrow">
            {move || failure().map(|failure| view! { <Failure what="The lab is out of reach" failure retry=move |()| session.ask() /> })}
        </main>
    }
}

/// Everything a signed-in person sees.
#[component]
fn SignedIn() -> impl IntoView {
    let live = Live::start();
    provide_context(live);
    let router = expect_context::<Router>();
    // The first picture does not wait for the socket.
    spawn_local(async move {
        if let Ok(lab) = api::lab().await
            && live.lab.read_untracked().is_none()
        {
            live.lab.set(Some(lab));
        }
    });
    let is_stale = move || matches!(live.connection.get(), Connection::Lost { .. });
    view! {
        <a class="skip" href="#page">"Skip to the page"</a>
        <Header />
        <DisconnectedBar />
        <div id="page" class:stale=is_stale>
            {move || match router.route.get() {
                Route::Xray(run) if HAS_XRAY => view! { <XrayPage run /> }.into_any(),
                Route::Xray(_) => view! { <Elsewhere /> }.into_any(),
                _ if !HAS_LAB => view! { <Elsewhere /> }.into_any(),
                Route::Lab => view! { <LabPage /> }.into_any(),
                Route::Start => view! { <StartPage /> }.into_any(),
                Route::Texts => view! { <TextsPage /> }.into_any(),
                Route::Compare => view! { <ComparePage /> }.into_any(),
                Route::Playground => view! { <PlaygroundPage /> }.into_any(),
                Route::Settings => view! { <SettingsPage /> }.into_any(),
                Route::Run(run) => view! { <RunPage run /> }.into_any(),
                Route::Unknown(path) => view! { <NotFound path /> }.into_any(),
            }}
        </div>
        <ToastShelf />
        <ConfirmDialog />
        <KeyHelp />
    }
}

/// Which pages this program has; `cargo xtask page` builds one with each part. The server sends the one that has the address.
const HAS_LAB: bool = cfg!(feature = "lab");
const HAS_XRAY: bool = cfg!(feature = "xray");

/// A page of the other program: asks the server for it, unless that is what it has just sent.
#[component]
fn Elsewhere() -> impl IntoView {
    let router = expect_context::<Router>();
    let was_sent = router.is_first();
    if !was_sent {
        let _ = window().location().reload();
    }
    view! {
        <main class="page">
            <Show when=move || was_sent fallback=|| view! { <p class="dim">"Opening …"</p> }>
                <Empty title="This page is not here" text="The server sent another one in its place. Built anew with cargo xtask serve, it has both.">
                    <a class="button" href="/">"To the Lab"</a>
                </Empty>
            </Show>
        </main>
    }
}

#[component]
fn NotFound(path: String) -> impl IntoView {
    view! {
        <main class="page">
            <Empty title="There is no such page" text=format!("{path} is not a place in this lab.")>
                <a class="button" href="/">"To the Lab"</a>
            </Empty>
        </main>
    }
}

/// Says that the lab is out of reach, since when, and how often it was tried.
#[component]
fn DisconnectedBar() -> impl IntoView {
    let live = expect_context::<Live>();
    let told = move || match live.connection.get() {
        Connection::Lost { retry, since_ms } => Some(format!(
            "since {} · try {retry} · what you see is from then; trainings go on without the page",
            number::clock(since_ms as f64)
        )),
        Connection::Connecting { retry } if retry > 1 => {
            Some(format!("since this page was opened · try {retry} · numbers do not move until it is back"))
        }
        _ => None,
    };
    move || {
        told().map(|told| {
            view! {
                <div class="bar" role="status"><strong>"Out of reach "</strong>{told}</div>
            }
        })
    }
}

/// After a fault in the page itself nothing on it works any more; the lab is not concerned, and a reload mends it.
pub(crate) fn show_crash(fault: &std::panic::PanicHookInfo<'_>) {
    web_sys::console::error_1(&fault.to_string().into());
    let Some(bar) = document().create_element("div").ok() else { return };
    bar.set_class_name("bar crashed");
    bar.set_text_content(Some("This page has failed and needs a reload (the trainings are not affected). What it said is in the browser's console."));
    let _ = document().body().map(|body| body.prepend_with_node_1(&bar));
}
