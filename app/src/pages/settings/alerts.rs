//! Alerts: what this browser shows ([`browser`]), conditions on metrics ([`metrics`]), the channels ([`channel`]) with a form ([`form`]) and
//! their messages ([`deliveries`]), and the newest alerts ([`recent`]); kinds and times as they are called ([`words`]).

mod browser;
mod channel;
mod deliveries;
mod form;
mod metrics;
mod recent;
mod words;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::alert::Channels;
use wire::alert::channel::ChannelOffers;

use crate::components::{Confirm, Failure, Skeleton, Toasts, clicks, shows};
use crate::net::api::{self, ApiFailure};
use crate::session::Session;
use browser::BrowserNotices;
use channel::ChannelLine;
use form::ChannelForm;
use metrics::MetricAlerts;
use recent::RecentAlerts;

/// The channels of this person and, for admins, of the lab. A line stays when they are fetched again, with the form that is open in it.
#[derive(Clone, Copy)]
struct ChannelList {
    channels: RwSignal<Option<Channels>>,
    /// Why the channels could not be listed; what was listed before stays.
    failure: RwSignal<Option<ApiFailure>>,
    confirm: Confirm,
    toasts: Toasts,
}

impl ChannelList {
    fn fetch(self) {
        spawn_local(async move {
            match api::alerts::channels().await {
                Ok(channels) => {
                    self.failure.try_set(None);
                    self.channels.try_set(Some(channels));
                }
                Err(failure) => drop(self.failure.try_set(Some(failure))),
            }
        });
    }

    fn offers(self) -> ChannelOffers {
        self.channels.read().as_ref().map(|known| known.offers.clone()).unwrap_or_default()
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
        channels: RwSignal::new(None),
        failure: RwSignal::new(None),
        confirm: expect_context(),
        toasts: expect_context(),
    };
    list.fetch();
    let is_listed = Memo::new(move |_| list.channels.read().is_some());
    let failure = move || {
        let retry = move |()| list.fetch();
        list.failure
            .get()
            .map(|failure| view! { <Failure what="The alert channels could not be listed" failure retry /> })
    };
    let skeleton = move || {
        (!is_listed.get() && list.failure.read().is_none()).then(|| view! { <Skeleton rows=2 class="short" /> })
    };
    view! {
        <section class="sheet padded stack" id="alerts" aria-labelledby="alerts-title">
            <h2 id="alerts-title">"Alerts"</h2>
            <p>
                "An alert is raised when a rule reports an alert and not only a note, when a run ends or fails, when a worker stops reporting or \
                 its machine needs attention, and when a metric meets a condition. Alerts are shown on open pages and sent to channels."
            </p>
            <BrowserNotices />
            <MetricAlerts />
            {shows(failure)}
            {shows(skeleton)}
            {shows(move || is_listed.get().then(|| view! { <ChannelParts list /> }))}
            <RecentAlerts />
        </section>
    }
}

/// The channels, and the button that opens the form of a new one.
#[component]
fn ChannelParts(list: ChannelList) -> impl IntoView {
    let ids = Memo::new(move |_| {
        let known = list.channels.read();
        known.iter().flat_map(|known| &known.channels).map(|channel| channel.id).collect::<Vec<_>>()
    });
    let is_empty = Memo::new(move |_| ids.read().is_empty());
    let may_create = Memo::new(move |_| {
        let offers = list.offers();
        offers.lab || offers.own
    });
    let adds = RwSignal::new(false);
    let nothing = move || match may_create.get() {
        true => "No channels yet: alerts are shown on open pages only.",
        false => "Channels belong to people with accounts and to the lab. An admin can create one, or invite you.",
    };
    let new = move || match adds.get() {
        true => view! { <ChannelForm list channel=None is_open=adds /> }.into_any(),
        false => view! {
            <div class="row">
                <button
                    title="Send alerts by e-mail, to a webhook, to Slack or to ntfy"
                    on:click=clicks(move |_| adds.set(true))
                >
                    "Add a channel"
                </button>
            </div>
        }
        .into_any(),
    };
    view! {
        <h3>"Channels"</h3>
        {shows(move || is_empty.get().then(|| view! { <p class="small dim">{nothing}</p> }))}
        <ul class="tokens" aria-label="Alert channels" hidden=move || is_empty.get()>
            <For each=move || ids.get() key=|id| *id let(id)>
                <ChannelLine id list />
            </For>
        </ul>
        {shows(move || may_create.get().then(|| shows(new)))}
    }
}
