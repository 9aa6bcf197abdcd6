//! The form of a new channel, and of changes to one: its fields. What they hold, and what is sent of it, is in [`draft`].

mod draft;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::alert::channel::{CHANNEL_NAME_CHARS, ChannelOffers};
use wire::alert::{AlertKind, ChannelView};

use super::ChannelList;
use super::words::{URGENT, kind_meaning, kind_name, kind_word};
use crate::components::{Failure, NumberField, clicks, shows};
use crate::net::api::ApiFailure;
use draft::{Draft, first_kind, kinds_of, own_receiver};

#[component]
pub(super) fn ChannelForm(
    list: ChannelList,
    /// The channel that is changed; `None` for a new one.
    channel: Option<ChannelView>,
    /// Set to false when the form is done.
    is_open: RwSignal<bool>,
) -> impl IntoView {
    let is_new = channel.is_none();
    let offers = untrack(|| list.offers());
    let draft = Draft::new(&offers, channel);
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_busy = RwSignal::new(false);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if is_busy.get_untracked() || untrack(|| draft.missing()).is_some() {
            return;
        }
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match draft.send().await {
                Ok(_) => {
                    list.toasts.say(if is_new { "The channel was added" } else { "The channel was changed" });
                    is_open.try_set(false);
                    list.fetch();
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_busy.try_set(false);
        });
    };
    view! {
        <form class="stack" on:submit=submit>
            <ReceiverFields draft offers is_new />
            <FilterFields draft />
            <TimingFields draft />
            <div class="row">
                <button
                    class="primary"
                    type="submit"
                    title=move || draft.missing().unwrap_or("Save the channel; the button Test then sends a message")
                    disabled=move || is_busy.get() || draft.missing().is_some()
                >
                    {if is_new { "Add" } else { "Save" }}
                </button>
                <button type="button" class="quiet" title="Close the form without saving" on:click=clicks(move |_| is_open.set(false))>"Cancel"</button>
            </div>
            {shows(move || failure.get().map(|failure| view! { <Failure what="The channel was not saved" failure /> }))}
        </form>
    }
}

#[component]
fn TextField(
    label: &'static str,
    #[prop(into)] title: Signal<String>,
    value: RwSignal<String>,
    #[prop(into)] placeholder: Signal<String>,
    #[prop(optional, into)] is_fixed: Signal<bool>,
) -> impl IntoView {
    view! {
        <label class="field" title=move || title.get()>
            <span class="label">{label}</span>
            <input
                type="text"
                autocomplete="off"
                spellcheck="false"
                placeholder=move || placeholder.get()
                readonly=move || is_fixed.get()
                prop:value=value
                on:input:target=move |event| value.set(event.target().value())
            />
        </label>
    }
}

#[component]
fn CheckField(label: &'static str, #[prop(into)] title: String, value: RwSignal<bool>) -> impl IntoView {
    view! {
        <label class="row" title=title>
            <input type="checkbox" prop:checked=value on:change:target=move |event| value.set(event.target().checked()) />
            {label}
        </label>
    }
}

#[component]
fn ReceiverFields(draft: Draft, offers: ChannelOffers, is_new: bool) -> impl IntoView {
    let kept = StoredValue::new(offers.clone());
    let may_choose_owner = is_new && offers.lab && offers.own;
    let choose_owner = move |is_of_lab: bool| {
        draft.is_of_lab.set(is_of_lab);
        let kind = kept.with_value(|offers| first_kind(offers, is_of_lab));
        draft.kind.set(kind.to_owned());
        draft.receiver.set(kept.with_value(|offers| own_receiver(kind, is_of_lab, offers)));
    };
    let choose_kind = move |kind: String| {
        draft.receiver.set(kept.with_value(|offers| own_receiver(&kind, draft.is_of_lab.get_untracked(), offers)));
        draft.kind.set(kind);
    };
    let name_title = format!("What the list calls the channel, 1 to {CHANNEL_NAME_CHARS} characters");
    let is_kind = move |kind: &str| *draft.kind.read() == kind;
    let was_email = draft.of.with_value(|of| of.as_ref().is_some_and(|of| of.kind == "email"));
    let options = move || {
        let mut kinds = kept.with_value(|offers| kinds_of(offers, draft.is_of_lab.get()));
        // The kind that the channel has is shown, also where the server no longer sends e-mails.
        if was_email && !kinds.contains(&"email") {
            kinds.insert(0, "email");
        }
        kinds
    };
    let receiver = move || match draft.kind.read().as_str() {
        "email" => ("E-mail address", "The address that the server sends e-mails to", "ada@example.org"),
        "slack" => (
            "Address of the webhook",
            "An incoming webhook of Slack, Mattermost or another program that accepts {\"text\": ...}",
            "https://hooks.slack.com/services/…",
        ),
        "ntfy" => (
            "Topic",
            "The topic of ntfy, 1 to 64 letters, digits, - and _. Anyone who knows it can read the messages",
            "a topic that is hard to guess",
        ),
        _ => {
            ("Address of the webhook", "The server sends each alert to this address, as JSON", "https://example.org/…")
        }
    };
    let placeholder = move || match (is_new, draft.of.with_value(|of| of.as_ref().is_some_and(|of| is_kind(&of.kind))))
    {
        (false, true) => "leave empty to keep the current one".to_owned(),
        _ => receiver().2.to_owned(),
    };
    let is_fixed = Signal::derive(move || is_kind("email") && !draft.is_of_lab.get());
    view! {
        <TextField label="Name" title=Signal::stored(name_title) value=draft.name placeholder=Signal::stored("e.g. night shift".to_owned()) />
        {may_choose_owner.then(|| view! {
            <label class="field" title="A channel of the lab sends the alerts of all runs and is managed by admins; a channel of your own sends the alerts of runs that you may see">
                <span class="label">"Belongs to"</span>
                <select on:change:target=move |event| choose_owner(event.target().value() == "lab")>
                    <option value="lab" prop:selected=move || draft.is_of_lab.get()>"the lab"</option>
                    <option value="own" prop:selected=move || !draft.is_of_lab.get()>"you"</option>
                </select>
            </label>
        })}
        <label class="field" title="How messages are sent">
            <span class="label">"Receiver"</span>
            <select on:change:target=move |event| choose_kind(event.target().value())>
                {move || options().into_iter().map(|kind| view! {
                    <option value=kind prop:selected=move || is_kind(kind)>{kind_name(kind)}</option>
                }).collect_view()}
            </select>
        </label>
        {shows(move || {
            let (label, title, _) = receiver();
            view! {
                <TextField
                    label
                    title=Signal::stored(title.to_owned())
                    value=draft.receiver
                    placeholder=Signal::derive(placeholder)
                    is_fixed
                />
            }
        })}
        <Show when=move || is_kind("ntfy") && draft.is_of_lab.get()>
            <TextField
                label="Server"
                title=Signal::stored("Address of the ntfy server; empty: the server that the lab uses".to_owned())
                value=draft.server
                placeholder=Signal::derive(move || kept.with_value(|offers| offers.ntfy_server.clone()))
            />
            <TextField
                label="Access token"
                title=Signal::stored("Access token of the ntfy server; empty: none. If you save another topic and leave this empty, the stored token is removed".to_owned())
                value=draft.token
                placeholder=Signal::stored("none".to_owned())
            />
        </Show>
        {(!offers.has_smtp && offers.lab).then(|| view! {
            <p class="small dim">
                "The server sends no e-mails: start it with "<code>"kindling serve --smtp-host HOST --smtp-from ADDRESS"</code>"."
            </p>
        })}
    }
}

#[component]
fn FilterFields(draft: Draft) -> impl IntoView {
    view! {
        <fieldset class="project-roles">
            <legend class="small">"Alerts"</legend>
            {AlertKind::ALL.map(|kind| view! {
                <label class="check" title=kind_meaning(kind)>
                    <input
                        type="checkbox"
                        prop:checked=move || draft.kinds.read().contains(&kind)
                        on:change:target=move |event| draft.kinds.update(|kinds| match event.target().checked() {
                            true => drop(kinds.insert(kind)),
                            false => drop(kinds.remove(&kind)),
                        })
                    />
                    {kind_word(kind)}
                </label>
            })}
        </fieldset>
        <CheckField
            label="Only urgent alerts"
            title=format!("Send nothing else. {URGENT}")
            value=draft.urgent_only
        />
        <TextField
            label="Only these projects"
            title=Signal::stored("Names of projects, separated by commas. Alerts of machines are sent regardless. Empty: all".to_owned())
            value=draft.projects
            placeholder=Signal::stored("all".to_owned())
        />
        <TextField
            label="Only runs with one of these tags"
            title=Signal::stored("Tags, separated by commas. Alerts of machines are sent regardless. Empty: all runs".to_owned())
            value=draft.tags
            placeholder=Signal::stored("all".to_owned())
        />
    }
}

#[component]
fn TimingFields(draft: Draft) -> impl IntoView {
    let time = |label: &'static str, title: &'static str, value: RwSignal<String>| {
        view! {
            <label class="field" title=title>
                <span class="label">{label}</span>
                <input type="time" prop:value=value on:input:target=move |event| value.set(event.target().value()) />
            </label>
        }
    };
    view! {
        <label class="field" title="Alerts raised within this many minutes after the first are sent as one message, 0 to 1\u{202f}440. Empty or 0: each is sent at once">
            <span class="label">"Collect alerts for"<span class="unit">", minutes"</span></span>
            <NumberField number=draft.digest placeholder="0" />
        </label>
        <CheckField
            label="Quiet hours"
            title="Send nothing in these hours of each day; alerts raised in these hours are sent as one message when the hours end"
            value=draft.has_quiet
        />
        <Show when=move || draft.has_quiet.get()>
            <div class="row">
                {time("From", "Start of the quiet hours, by the clock of this browser", draft.from)}
                {time("To", "End of the quiet hours, by the clock of this browser", draft.to)}
            </div>
            <p class="small dim">"The hours are in the current time zone of this browser and do not follow daylight saving time."</p>
        </Show>
        <CheckField
            label="Send urgent alerts at once"
            title=format!("Send urgent alerts at once: quiet hours do not hold them back, and they are not collected with others. {URGENT}")
            value=draft.urgent_at_once
        />
    }
}
