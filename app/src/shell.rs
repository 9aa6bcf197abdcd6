//! The frame of every page: header, connection bar, messages, confirmation dialog and keyboard help. Session and route
//! decide which page is shown.

mod guest;
mod header;
mod keys;
mod touch_tips;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::TokenKind;

use crate::assistant::{Assistant, AssistantDock};
use crate::base::at;
use crate::components::number;
use crate::components::{Confirm, ConfirmDialog, DismissedJobs, Empty, Failure, Skeleton, ToastList, Toasts};
use crate::net::api;
use crate::net::live::{Connection, Live};
use crate::notices::Notices;
use crate::open_view::OpenView;
use crate::pages::{LabPage, Part, PartPage, SignInPage};
use crate::presenting::{PresentationBar, Presenting};
use crate::projector::Projector;
use crate::projects::Projects;
use crate::route::{Route, Router};
use crate::session::{Session, SignIn};
use crate::theme::Theme;
use guest::{LinkEnded, SharedWithYou, reaches};
use header::Header;
use keys::KeyHelp;
use touch_tips::TouchTips;

/// The frame of every page: header, content and messages.
#[component]
pub(crate) fn Shell() -> impl IntoView {
    let router = Router::start();
    provide_context(router);
    provide_context(OpenView::start(router));
    provide_context(Theme::start());
    provide_context(Projector::start());
    provide_context(Toasts::new());
    provide_context(Confirm::new());
    provide_context(DismissedJobs::new());
    let session = Session::start();
    provide_context(session);
    // A change of name or role does not build the page again; signing in or out does.
    let stage = Memo::new(move |_| match &*session.sign_in.read() {
        SignIn::Loading => 0,
        SignIn::Out => 1,
        // A guest may have an account.
        SignIn::In(me) if me.kind == TokenKind::Guest && router.is_sign_in() => 1,
        SignIn::LinkEnded if router.is_sign_in() => 1,
        SignIn::In(_) => 2,
        SignIn::Failed(_) => 3,
        SignIn::LinkEnded => 4,
    });
    // An invitation is for someone who has no account yet.
    let is_invited = Memo::new(move |_| *router.route.read() == Route::Invite);
    // The signed-in page sets the title of its route.
    Effect::new(move || match (is_invited.get(), stage.get()) {
        (true, _) => document().set_title(&Route::Invite.title(None)),
        (_, 1) => document().set_title("Sign in · Kindling"),
        (_, 3) => document().set_title("Kindling"),
        (_, 4) => document().set_title("This link has ended · Kindling"),
        _ => {}
    });
    move || match stage.get() {
        0 => view! { <main class="page"><Skeleton rows=6 /></main> }.into_any(),
        _ if is_invited.get() => view! { <PartPage part=Part::People route=Route::Invite /> }.into_any(),
        1 => view! { <SignInPage /> }.into_any(),
        2 => view! { <SignedIn /> }.into_any(),
        4 => view! { <LinkEnded /> }.into_any(),
        _ => view! { <Unreachable /> }.into_any(),
    }
}

/// The server did not answer the first request.
#[component]
fn Unreachable() -> impl IntoView {
    let session = expect_context::<Session>();
    let failure = move || match &*session.sign_in.read() {
        SignIn::Failed(failure) => Some(failure.clone()),
        _ => None,
    };
    view! {
        <main class="page narrow">
            {move || failure().map(|failure| view! {
                <Failure what="The server is unreachable" failure retry=move |()| session.fetch() />
            })}
        </main>
    }
}

/// The page of a signed-in person.
#[component]
fn SignedIn() -> impl IntoView {
    let toasts = expect_context::<Toasts>();
    let live = Live::start(move |message| toasts.say(message));
    provide_context(live);
    let (router, session) = (expect_context::<Router>(), expect_context::<Session>());
    provide_context(Presenting::start(live, expect_context(), session));
    provide_context(Projects::start(session));
    provide_context(Notices::start(live, router, toasts));
    provide_context(Assistant::new(router, expect_context()));
    follow_title(router, live);
    // The server says when roles have changed; while there was no connection it could not.
    let is_lost = Memo::new(move |_| matches!(live.connection.get(), Connection::Lost { .. }));
    Effect::new(move |before: Option<(bool, u32)>| {
        let now = (is_lost.get(), live.rights.get());
        if before.is_some_and(|(was_lost, rights)| rights != now.1 || was_lost && !now.0) {
            session.refresh();
        }
        now
    });
    // The first content does not wait for the socket.
    spawn_local(async move {
        if let Ok(lab) = api::lab().await
            && live.lab.read_untracked().is_none()
        {
            live.show_lab(lab);
        }
    });
    let is_stale = move || matches!(live.connection.get(), Connection::Lost { .. });
    // A memo, because a change of the account does not build the page again.
    let is_reached = Memo::new(move |_| reaches(session, &router.route.read()));
    view! {
        <a class="skip" href="#page">"Skip to the content"</a>
        <Header />
        <DisconnectedBar />
        <LowDiskBar />
        <div id="page" class:stale=is_stale>
            {move || {
                let route = router.route.get();
                if !is_reached.get() {
                    return view! { <SharedWithYou /> }.into_any();
                }
                match (Part::of(&route), route) {
                    (Some(part), route) => view! { <PartPage part route /> }.into_any(),
                    (None, Route::Unknown(path)) => view! { <NotFound path /> }.into_any(),
                    (None, _) => view! { <LabPage /> }.into_any(),
                }
            }}
        </div>
        <AssistantDock />
        <PresentationBar />
        <ToastList />
        <ConfirmDialog />
        <KeyHelp />
        <TouchTips />
    }
}

/// Keeps the title of the browser tab: the page, with the name of its run.
fn follow_title(router: Router, live: Live) {
    let title = Memo::new(move |_| {
        let route = router.route.get();
        let lab = live.lab.read();
        let runs = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
        let run = route.run().and_then(|run| runs.iter().find(|known| known.id == *run));
        route.title(run.map(|run| run.name.as_str()))
    });
    Effect::new(move || document().set_title(&title.read()));
}

#[component]
fn NotFound(path: String) -> impl IntoView {
    view! {
        <main class="page">
            <h1 class="unseen">"Not found"</h1>
            <Empty title="Page not found" text=format!("There is no page at {path}.")>
                <a class="button" href=at("/") title="All runs and devices">"Open the Lab"</a>
            </Empty>
        </main>
    }
}

/// Shows that the server is unreachable, since when, and the number of attempts; or that the page polls.
#[component]
fn DisconnectedBar() -> impl IntoView {
    let live = expect_context::<Live>();
    let message = move || match live.connection.get() {
        Connection::Lost { retry, since_ms } => Some((
            "Server unreachable ",
            format!(
                "since {} · attempt {retry} · the page shows the state of that time. Runs continue if the server is still running.",
                number::clock(since_ms as f64)
            ),
        )),
        Connection::Connecting { retry } if retry > 1 => Some((
            "Server unreachable ",
            format!("since this page was opened · attempt {retry} · values do not update until it answers"),
        )),
        Connection::Polling => Some((
            "Slower updates ",
            "because no WebSocket can be opened: the page polls once per second. A proxy in front of the server \
             must forward the headers Upgrade, Connection and Host; the guide has examples"
                .to_owned(),
        )),
        _ => None,
    };
    move || {
        message().map(|(title, message)| {
            view! {
                <div class="bar" role="status"><strong>{title}</strong>{message}</div>
            }
        })
    }
}

/// Shows that the disk of the server may soon be full.
#[component]
fn LowDiskBar() -> impl IntoView {
    let live = expect_context::<Live>();
    let low = Memo::new(move |_| {
        let space = live.lab.read().as_ref().and_then(|lab| lab.disk).filter(|space| space.is_low())?;
        Some(number::bytes(space.free_bytes))
    });
    move || {
        low.get().map(|free| {
            view! {
                <div class="bar" role="status">
                    <strong>"The server's disk is almost full: "</strong>
                    {format!("{free} are free. Runs pause when their reports cannot be written. ")}
                    <a href=at("/settings") title="What uses the disk, by kind and by run">"See what uses it"</a>
                </div>
            }
        })
    }
}

/// Shows that the page itself has crashed: nothing on it works until it is reloaded. Runs are not affected.
pub(crate) fn show_crash(fault: &std::panic::PanicHookInfo<'_>) {
    web_sys::console::error_1(&fault.to_string().into());
    let Some(bar) = document().create_element("div").ok() else { return };
    bar.set_class_name("bar crashed");
    bar.set_text_content(Some(
        "This page has crashed. Reload it; runs are not affected. The console of the browser has the error.",
    ));
    let _ = document().body().map(|body| body.prepend_with_node_1(&bar));
}
