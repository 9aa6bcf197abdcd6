//! The header: logo, pages, the open run, and the link to a new run.

use leptos::prelude::*;
use wire::access::link::{LinkScope, MAX_LINK_RUNS};

use super::guest::{GuestNote, reaches};
use super::keys::open_help;
use crate::assistant::AssistantButton;
use crate::base::at;
use crate::components::number::grouped;
use crate::components::{Flame, Icon, Menu, StateMark, isolated, name_of, show_nearest, shows};
use crate::net::live::Live;
use crate::open_view::OpenView;
use crate::presenting::PresentButton;
use crate::projector::Projector;
use crate::route::{Route, Router, run_path, xray_path};
use crate::session::Session;
use crate::share::ShareButton;

/// A page beside the Lab: route, path, name, content.
type Place = (Route, &'static str, &'static str, &'static str);

const PAGES: [Place; 10] = [
    (Route::Compare, "/compare", "Compare", "Losses and plans of several runs"),
    (
        Route::Experiments,
        "/experiments",
        "Experiments",
        "Changes tested with pairs of runs: predictions, verdicts and scores; research loops; the research journal",
    ),
    (Route::Approvals, "/approvals", "Approvals", "Actions that agents propose: approve, edit or reject them"),
    (Route::Sweeps, "/sweeps", "Sweeps", "Trials over hyperparameters: points, early stopping and results"),
    (Route::Playground, "/playground", "Playground", "Complete a prompt with a checkpoint"),
    (Route::Data, "/data", "Data", "Datasets and tokenizers"),
    (Route::Fleet, "/fleet", "Fleet", "Machines and devices: load, temperature, usage and findings"),
    (Route::Rules, "/rules", "Rules", "The rules that check each run: formula, thresholds, source and false alarms"),
    (Route::People, "/people", "People", "People with accounts, invitations and projects"),
    (Route::Settings, "/settings", "Settings", "Theme, sign-in, access tokens and disk use"),
];

/// The pages that this person may open. Those of a lab without other people have no people, and no approvals before an agent has proposed
/// something.
fn pages(session: Session, has_proposals: bool) -> Vec<Place> {
    let (sees_fleet, sees_people) = (session.can_view_lab(), session.is_shared() && session.is_member());
    let is_open = |place: &Place| match place.0 {
        Route::Approvals => has_proposals,
        Route::Fleet => sees_fleet,
        Route::People => sees_people,
        _ => true,
    };
    PAGES.into_iter().filter(is_open).collect()
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
            let is_below = match route {
                Route::Fleet => matches!(at, Route::Device(_)),
                Route::People => at == Route::Audit,
                Route::Experiments => matches!(
                    at,
                    Route::NewExperiment
                        | Route::Experiment(_)
                        | Route::Journal
                        | Route::Loops
                        | Route::NewLoop
                        | Route::Loop(_)
                ),
                Route::Sweeps => matches!(at, Route::NewSweep | Route::Sweep(_)),
                _ => false,
            };
            (at == route || is_below).then_some("page")
        }
    };
    let live = expect_context::<Live>();
    let pending = Memo::new(move |_| live.lab.read().as_ref().map_or(0, |lab| lab.pending_proposals));
    let has_proposals = Memo::new(move |_| {
        router.route.get() == Route::Approvals || live.lab.read().as_ref().is_some_and(|lab| lab.proposal_changes > 0)
    });
    let count = move |route: &Route| (*route == Route::Approvals).then(|| view! { <PendingCount pending /> });
    let places = Memo::new(move |_| {
        let mut places = pages(session, has_proposals.get());
        places.retain(|(route, ..)| reaches(session, route));
        places
    });
    let nav = NodeRef::<leptos::html::Nav>::new();
    Effect::new(move || {
        router.route.track();
        places.track();
        request_animation_frame(move || show_current(nav));
    });
    let is_lab = move || matches!(router.route.get(), Route::Lab | Route::Run(_) | Route::Xray(_)).then_some("page");
    view! {
        <header class="top">
            <a class="brand" href=at("/") aria-label="Kindling: Lab page">
                <Flame size=20 />
                <span>"Kindling"</span>
            </a>
            <nav aria-label="Pages" node_ref=nav>
                {move || reaches(session, &Route::Lab).then(|| view! {
                    <a href=at("/") aria-current=is_lab title="All runs and devices (h)">"Lab"</a>
                })}
                <OpenRun />
                {move || places.get().into_iter().map(|(route, path, name, title)| {
                    let count = count(&route);
                    view! { <a href=at(path) title=title aria-current=is_at(route)>{name}{count}</a> }
                }).collect_view()}
            </nav>
            <div class="pages">
                <Menu label="Pages">
                    {move || places.get().into_iter().map(|(route, path, name, title)| view! {
                        <a class="button" href=at(path) title=title>{name}{count(&route)}</a>
                    }).collect_view()}
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
            <AssistantButton />
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

/// The number of proposals that wait for a decision.
#[component]
fn PendingCount(pending: Memo<u64>) -> impl IntoView {
    shows(move || {
        let count = pending.get();
        (count > 0)
            .then(|| view! { " "<span class="nav-count">{grouped(count)}<span class="unseen">" pending"</span></span> })
    })
}

/// Scrolls the links, which may be wider than a phone, to that of the open page.
fn show_current(nav: NodeRef<leptos::html::Nav>) {
    let Some(nav) = nav.try_get_untracked().flatten() else { return };
    if let Ok(Some(current)) = nav.query_selector(":scope > a[aria-current]") {
        show_nearest(&current);
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
        Route::Lab => return router.query("project").filter(|name| !name.is_empty()).map(LinkScope::Project),
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
