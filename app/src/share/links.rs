//! Lists of links and embeds, with their openings and their revocation.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::link::{LinkScope, LinkView};

use super::expiry::phrase;
use super::scope::scope_name;
use crate::components::number::{ago, counted};
use crate::components::{Confirm, Failure, Question, Skeleton, Toasts, clicks, isolated, shows};
use crate::net::api::{self, ApiFailure};
use crate::net::live::Live;

/// The links that this person may revoke.
#[derive(Clone, Copy)]
pub(crate) struct Links {
    all: RwSignal<Option<Result<Vec<LinkView>, ApiFailure>>>,
    confirm: Confirm,
    toasts: Toasts,
}

impl Links {
    /// Fetches them.
    pub(crate) fn open() -> Self {
        let links = Self { all: RwSignal::new(None), confirm: expect_context(), toasts: expect_context() };
        links.fetch();
        links
    }

    /// Fetches them again.
    pub(crate) fn fetch(self) {
        spawn_local(async move {
            let answer = api::links::list().await;
            self.all.try_set(Some(answer));
        });
    }

    fn ask_revoke(self, link: &LinkView) {
        let (title, loses) = match link.is_embed {
            true => ("Revoke this embed?", "Pages that contain it no longer show the chart."),
            false => (
                "Revoke this link?",
                "Everyone who has opened it loses access at once, and their open pages show that the link has ended.",
            ),
        };
        let id = link.id;
        let question = Question {
            title: title.to_owned(),
            loses: format!("{loses} This cannot be undone, but a new one can be created."),
            verb: "Revoke",
            act: self.confirm.keep(move || self.revoke(id)),
        };
        self.confirm.ask(question);
    }

    fn revoke(self, id: i64) {
        spawn_local(async move {
            match api::links::revoke(id).await {
                Ok(()) => {
                    self.toasts.say("The link was revoked");
                    self.fetch();
                }
                Err(failure) => self.toasts.fail("The link was not revoked", &failure),
            }
        });
    }
}

/// The links for which `has` is true, newest first.
#[component]
pub(crate) fn LinkList(
    links: Links,
    #[prop(into)] has: Callback<LinkView, bool>,
    /// Said where there is none.
    empty: &'static str,
) -> impl IntoView {
    shows(move || match links.all.get() {
        None => view! { <Skeleton rows=2 class="short" /> }.into_any(),
        Some(Err(failure)) => {
            view! { <Failure what="The links could not be listed" failure retry=move |()| links.fetch() /> }.into_any()
        }
        Some(Ok(all)) => {
            let listed: Vec<LinkView> = all.into_iter().filter(|link| has.run(link.clone())).collect();
            if listed.is_empty() {
                return view! { <p class="small dim">{empty}</p> }.into_any();
            }
            let lines = listed.into_iter().rev().map(|link| view! { <LinkLine link links /> });
            view! { <ul class="links" aria-label="Links">{lines.collect_view()}</ul> }.into_any()
        }
    })
}

/// One link: what it shows and permits, who created it, until when, and how often it was opened.
#[component]
fn LinkLine(link: LinkView, links: Links) -> impl IntoView {
    let live = expect_context::<Live>();
    let scope = StoredValue::new(link.scope.clone());
    let of_project = matches!(link.scope, LinkScope::Project(_));
    let kind = match (link.is_embed, of_project) {
        (true, _) => "embed",
        (false, true) => "link to all runs of the project",
        (false, false) => "link",
    };
    let protected = if link.has_passphrase { " · with a passphrase" } else { "" };
    let role = if link.is_embed { String::new() } else { format!(" · role {}", link.role.name()) };
    let about = format!(
        "created {} by {} · {}{protected}",
        ago(link.created_ms as f64),
        isolated(&link.created_by),
        phrase(link.expires_ms)
    );
    let label = format!("Revoke the {kind} to {}", link.path);
    let (path, opened) = (link.path.clone(), openings(&link));
    view! {
        <li>
            <div class="grow">
                <p><strong>{shows(move || scope.with_value(|scope| scope_name(live, scope)))}</strong><span class="dim">{format!(" · {kind}{role}")}</span></p>
                <p class="small"><code class="wrap">{path}</code></p>
                <p class="small dim">{about}</p>
                <p class="small dim">{opened}</p>
            </div>
            <button
                type="button"
                class="quiet"
                title="Revoke it, after confirmation"
                aria-label=label
                on:click=clicks(move |_| links.ask_revoke(&link))
            >
                "Revoke"
            </button>
        </li>
    }
}

/// How often a link was opened, and when for the last time.
fn openings(link: &LinkView) -> String {
    let what = match (link.opened, link.is_embed) {
        (0, true) => return "Not requested yet.".to_owned(),
        (0, false) => return "Not opened yet.".to_owned(),
        (count, true) => format!("Requested {}", counted(count, "time")),
        (count, false) => format!("Opened in {}", counted(count, "browser")),
    };
    let last = link.opened_ms.map(|at| format!(", last {}", ago(at as f64))).unwrap_or_default();
    format!("{what}{last}.")
}
