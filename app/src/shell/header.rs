//! The header: logo, pages, the open run, and the link to a new run.

use leptos::prelude::*;
use wire::access::link::{LinkScope, MAX_LINK_RUNS};

use super::guest::{GuestNote, reaches};
use super::keys::open_help;
use crate::base::at;
use crate::components::{Flame, Icon, Menu, StateMark, isolated, name_of};
use crate::net::live::Live;
use crate::open_view::OpenView;
use crate::presenting::PresentButton;
use crate::projector::Projector;
use crate::route::{Route, Router, run_path, xray_path};
use crate::session::Session;
use crate::share::ShareButton;

/// The pages beside the Lab: route, path, name, content.
fn pages() -> [(Route, &'static str, &'static str, &'static str); 5] {
    [
        (Route::Compare, "/compare", "Compare", "Losses and plans of several runs"),
        (Route::Playground, "/playground", "Playground", "Complete a prompt with a checkpoint"),
        (Route::Data, "/data", "Data", "Datasets and tokenizers"),
        (Route::Fleet, "/fleet", "Fleet", "Machines and devices: load, temperature, usage and findings"),
        (Route::Settings, "/settings", "Settings", "Account, theme and access tokens"),
    ]
}

#[component]
pub(super) fn Header() -> impl IntoView {
    let router = expect_context::<Router>();
    let session = expect_context::<Session>();
    let (projector, view) = (expect_context::<Projector>(), expect_context::<OpenView>());
    let scope = Memo::new(move |_| shared_scope(router));
    let path = Callback::new(move |()| view.path_with_step());
    let is_at = move |route: Route| {
        move || {
            let at = router.route.get();
            (at == route || route == Route::Fleet && matches!(at, Route::Device(_))).then_some("page")
        }
    };
    let shown = move || pages().into_iter().filter(move |(route, ..)| reaches(session, route));
    let is_lab = move || matches!(router.route.get(), Route::Lab | Route::Run(_) | Route::Xray(_)).then_some("page");
    view! {
        <header class="top">
            <a class="brand" href=at("/") aria-label="Kindling: Lab page">
                <Flame size=20 />
                <span>"Kindling"</span>
            </a>
            <nav aria-label="Pages">
                {move || reaches(session, &Route::Lab).then(|| view! {
                    <a href=at("/") aria-current=is_lab title="All runs and devices (h)">"Lab"</a>
                })}
                <OpenRun />
                {move || shown().map(|(route, path, name, title)| view! {
                    <a href=at(path) title=title aria-current=is_at(route)>{name}</a>
                }).collect_view()}
            </nav>
            <div class="pages">
                <Menu label="Pages">
                    {shown().map(|(_, path, name, _)| view! { <a class="button" href=at(path)>{name}</a> }).collect_view()}
                    <PresentButton />
                </Menu>
            </div>
            <span class="grow top-gap"></span>
            <button
                class="quiet icon-only help"
                aria-label="Keyboard shortcuts"
                title="Keyboard shortcuts (?)"
                on:click=move |_| open_help()
            >
                "?"
            </button>
            <button
                class="quiet icon-only projector-toggle"
                aria-label="Layout for a projector"
                aria-pressed=move || projector.is_on.get().to_string()
                title="Layout for a projector: larger text and charts, without secondary panels (Shift+L)"
                on:click=move |_| projector.toggle()
            >
                <Icon name="screen" />
            </button>
            <GuestNote />
            <PresentButton />
            {move || scope.get().map(|scope| view! { <ShareButton scope=Signal::stored(scope) path /> })}
            {move || session.can_steer().then(|| view! {
                <a class="button primary" href=at("/start") title="Set up a new run (n)">
                    <Icon name="plus" />
                    <span class="word">"New run"</span>
                </a>
            })}
        </header>
    }
}

/// What a link to the open page gives access to; `None` for a page that is not shared by a link.
fn shared_scope(router: Router) -> Option<LinkScope> {
    let runs = match &*router.route.read() {
        Route::Run(run) | Route::Xray(run) => vec![run.clone()],
        Route::Compare => {
            let named = router.query("runs").unwrap_or_default();
            named.split(',').filter_map(|run| run.parse().ok()).take(MAX_LINK_RUNS).collect()
        }
        _ => vec![],
    };
    (!runs.is_empty()).then_some(LinkScope::Runs(runs))
}

/// On the Run and X-ray pages: the run and its state.
#[component]
fn OpenRun() -> impl IntoView {
    let router = expect_context::<Router>();
    let live = expect_context::<Live>();
    let summary = Memo::new(move |_| match router.route.get() {
        Route::Run(run) | Route::Xray(run) => live.lab.read().as_ref().and_then(|lab| {
            lab.runs.iter().find(|summary| summary.id == run).map(|found| {
                (found.id.clone(), name_of(live, found), isolated(&found.name), found.state, found.device.clone())
            })
        }),
        _ => None,
    });
    let is_xray = Memo::new(move |_| matches!(router.route.get(), Route::Xray(_)));
    move || {
        summary.get().map(|(run, name, title, state, device)| {
            view! {
                <span class="crumb">
                    <span class="dim" aria-hidden="true">"▸"</span>
                    <strong title=title>{name}</strong>
                    <StateMark state />
                    <span class="dim device">{format!("on {device}")}</span>
                </span>
                <span class="views">
                    <a
                        href=run_path(&run)
                        title="Charts, controls and journal of this run"
                        aria-current=move || (!is_xray.get()).then_some("page")
                    >
                        "Run"
                    </a>
                    <a
                        href=xray_path(&run)
                        title="Weights, attention and activations of this model"
                        aria-current=move || is_xray.get().then_some("page")
                    >
                        "X-ray"
                    </a>
                </span>
            }
        })
    }
}
