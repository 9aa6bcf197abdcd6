//! Alerts: what this browser shows ([`browser`]), the channels ([`channel`]) with a form ([`form`]) and their messages ([`deliveries`]), and
//! the newest alerts ([`recent`]); kinds and times as they are called ([`words`]).

mod browser;
mod channel;
mod deliveries;
mod form;
mod recent;
mod words;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::alert::Channels;

use crate::components::{Confirm, Failure, Skeleton, Toasts, clicks, shows};
use crate::net::api::{self, ApiFailure};
use crate::session::Session;
use browser::BrowserNotices;
use channel::ChannelLine;
use form::ChannelForm;
use recent::RecentAlerts;

/// The channels of this person and, for admins, of the lab.
#[derive(Clone, Copy)]
struct ChannelList {
    found: RwSignal<Option<Result<Channels, ApiFailure>>>,
    /// The form that is open.
    form: RwSignal<Option<FormOf>>,
    confirm: Confirm,
    toasts: Toasts,
}

/// The channel of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FormOf {
    /// One that is being created.
    New,
    Channel(i64),
}

impl ChannelList {
    fn fetch(self) {
        spawn_local(async move {
            let answer = api::alerts::channels().await;
            self.found.try_set(Some(answer));
        });
    }
}

/// The section of the page, for everybody but guests.
#[component]
pub(super) fn Alerts() -> impl IntoView {
    let session = expect_context::<Session>();
    let is_member = Memo::new(move |_| session.is_member());
    view! { <Show when=move || is_member.get()><AlertSettings /></Show> }
}

#[component]
fn AlertSettings() -> impl IntoView {
    let list = ChannelList {
        found: RwSignal::new(None),
        form: RwSignal::new(None),
        confirm: expect_context(),
        toasts: expect_context(),
    };
    list.fetch();
    view! {
        <section class="sheet padded stack" id="alerts" aria-labelledby="alerts-title">
            <h2 id="alerts-title">"Alerts"</h2>
            <p>
                "An alert is raised when a rule finds that a run is failing, when a run ends or fails, and when a worker stops reporting. \
                 Alerts are shown on open pages and sent to channels."
            </p>
            <BrowserNotices />
            {shows(move || match list.found.get() {
                None => view! { <Skeleton rows=2 class="short" /> }.into_any(),
                Some(Err(failure)) => {
                    let retry = move |()| list.fetch();
                    view! { <Failure what="The alert channels could not be listed" failure retry /> }.into_any()
                }
                Some(Ok(channels)) => view! { <ChannelParts channels list /> }.into_any(),
            })}
            <RecentAlerts />
        </section>
    }
}

/// The channels, and the button that opens the form of a new one.
#[component]
fn ChannelParts(channels: Channels, list: ChannelList) -> impl IntoView {
    let Channels { channels, offers } = channels;
    let may_create = offers.lab || offers.own;
    let (is_empty, of_new) = (channels.is_empty(), offers.clone());
    let lines = channels.into_iter().map(move |channel| view! { <ChannelLine channel offers=offers.clone() list /> });
    let nothing = match may_create {
        true => "No channels yet: alerts are shown on open pages only.",
        false => "Channels belong to people with accounts and to the lab. An admin can create one, or invite you.",
    };
    view! {
        <h3>"Channels"</h3>
        {match is_empty {
            true => view! { <p class="small dim">{nothing}</p> }.into_any(),
            false => view! { <ul class="tokens" aria-label="Alert channels">{lines.collect_view()}</ul> }.into_any(),
        }}
        {may_create.then(|| view! {
            {shows(move || match list.form.get() == Some(FormOf::New) {
                true => view! { <ChannelForm offers=of_new.clone() list channel=None /> }.into_any(),
                false => view! {
                    <div class="row">
                        <button
                            title="Send alerts by e-mail, to a webhook, to Slack or to ntfy"
                            on:click=clicks(move |_| list.form.set(Some(FormOf::New)))
                        >
                            "Add a channel"
                        </button>
                    </div>
                }.into_any(),
            })}
        })}
    }
}
