//! The form of a new channel, and of changes to one. A secret that the server keeps is not shown: an empty field leaves it as it is.

use std::collections::BTreeSet;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::alert::channel::{CHANNEL_NAME_CHARS, ChannelOffers};
use wire::alert::timing::{MAX_DIGEST_MINUTES, QuietHours};
use wire::alert::{AlertKind, ChannelChange, ChannelFilter, ChannelView, NewChannel, Target, Timing};
use wire::hyperparameters::table::Values;

use super::ChannelList;
use super::words::{kind_meaning, kind_name, kind_word, time_of};
use crate::components::{Failure, NumberField, TypedNumber, clicks, shows};
use crate::net::api::{self, ApiFailure};

/// The content of the form.
#[derive(Clone, Copy)]
struct Draft {
    name: RwSignal<String>,
    is_of_lab: RwSignal<bool>,
    kind: RwSignal<String>,
    /// E-mail address, address of the webhook, or topic.
    receiver: RwSignal<String>,
    server: RwSignal<String>,
    token: RwSignal<String>,
    kinds: RwSignal<BTreeSet<AlertKind>>,
    urgent_only: RwSignal<bool>,
    projects: RwSignal<String>,
    tags: RwSignal<String>,
    digest: TypedNumber,
    has_quiet: RwSignal<bool>,
    from: RwSignal<String>,
    to: RwSignal<String>,
    urgent_at_once: RwSignal<bool>,
    /// The channel that is changed.
    of: StoredValue<Option<ChannelView>>,
}

impl Draft {
    fn new(offers: &ChannelOffers, of: Option<ChannelView>) -> Self {
        let known = of.as_ref();
        let filter = known.map(|channel| channel.filter.clone()).unwrap_or_default();
        let timing = known.map(|channel| channel.timing).unwrap_or_default();
        let is_of_lab = known.map_or(offers.lab, |channel| channel.is_of_lab);
        let kind = known.map_or_else(|| first_kind(offers, is_of_lab).to_owned(), |channel| channel.kind.clone());
        let quiet = timing.quiet;
        let here = |minute, quiet: QuietHours| shifted(minute, utc_offset_minutes() - quiet.utc_offset_minutes);
        let digest = TypedNumber::optional(Values::Integer { min: 0, max: u64::from(MAX_DIGEST_MINUTES) });
        if timing.digest_minutes > 0 {
            digest.set(timing.digest_minutes);
        }
        let receiver = match known {
            // An e-mail address is no secret.
            Some(channel) if channel.kind == "email" => channel.target.clone(),
            Some(_) => String::new(),
            None => own_receiver(&kind, is_of_lab, offers),
        };
        Self {
            name: RwSignal::new(known.map(|channel| channel.name.clone()).unwrap_or_default()),
            is_of_lab: RwSignal::new(is_of_lab),
            kind: RwSignal::new(kind),
            receiver: RwSignal::new(receiver),
            server: RwSignal::new(String::new()),
            token: RwSignal::new(String::new()),
            kinds: RwSignal::new(filter.kinds),
            urgent_only: RwSignal::new(filter.urgent_only),
            projects: RwSignal::new(joined(&filter.projects)),
            tags: RwSignal::new(joined(&filter.tags)),
            digest,
            has_quiet: RwSignal::new(quiet.is_some()),
            from: RwSignal::new(time_of(quiet.map_or(22 * 60, |quiet| here(quiet.from, quiet)))),
            to: RwSignal::new(time_of(quiet.map_or(7 * 60, |quiet| here(quiet.to, quiet)))),
            urgent_at_once: RwSignal::new(timing.urgent_at_once),
            of: StoredValue::new(of),
        }
    }

    /// The receiver; `None` where that of the changed channel stays.
    fn target(self) -> Option<Target> {
        let text = |signal: RwSignal<String>| signal.get_untracked().trim().to_owned();
        let optional = |signal| Some(text(signal)).filter(|text| !text.is_empty());
        let of_lab = |signal| optional(signal).filter(|_| self.is_of_lab.get_untracked());
        let receiver = optional(self.receiver)?;
        let target = match self.kind.get_untracked().as_str() {
            "email" => Target::Email { to: receiver },
            "slack" => Target::Slack { url: receiver },
            "ntfy" => Target::Ntfy { server: of_lab(self.server), topic: receiver, token: of_lab(self.token) },
            _ => Target::Webhook { url: receiver },
        };
        let is_same = self.of.with_value(|of| {
            of.as_ref()
                .is_some_and(|of| matches!(&target, Target::Email { to } if of.kind == "email" && of.target == *to))
        });
        (!is_same).then_some(target)
    }

    fn filter(self) -> ChannelFilter {
        ChannelFilter {
            kinds: self.kinds.get_untracked(),
            urgent_only: self.urgent_only.get_untracked(),
            projects: split(&self.projects.get_untracked()),
            tags: split(&self.tags.get_untracked()),
        }
    }

    fn timing(self) -> Timing {
        let quiet = || {
            let (from, to) = (minute_of(&self.from.get_untracked())?, minute_of(&self.to.get_untracked())?);
            Some(QuietHours { from, to, utc_offset_minutes: utc_offset_minutes() })
        };
        Timing {
            digest_minutes: untrack(|| self.digest.small_integer()).unwrap_or(0),
            quiet: self.has_quiet.get_untracked().then(quiet).flatten(),
            urgent_at_once: self.urgent_at_once.get_untracked(),
        }
    }

    async fn send(self) -> Result<ChannelView, ApiFailure> {
        let name = self.name.get_untracked().trim().to_owned();
        match self.of.get_value() {
            Some(channel) => {
                let change = ChannelChange {
                    name: Some(name),
                    target: self.target(),
                    filter: Some(self.filter()),
                    timing: Some(self.timing()),
                    is_enabled: None,
                };
                api::alerts::change(channel.id, &change).await
            }
            None => {
                let target = self.target().unwrap_or(Target::Email { to: String::new() });
                let (filter, timing, is_of_lab) = (self.filter(), self.timing(), self.is_of_lab.get_untracked());
                api::alerts::create(&NewChannel { name, is_of_lab, target, filter, timing }).await
            }
        }
    }

    /// What is missing, as a sentence.
    fn missing(self) -> Option<&'static str> {
        let keeps = self.of.with_value(|of| of.as_ref().is_some_and(|of| of.kind == *self.kind.read()));
        if self.name.read().trim().is_empty() {
            return Some("Enter a name first.");
        }
        let is_empty = |text: RwSignal<String>| text.read().trim().is_empty();
        if is_empty(self.receiver) && !keeps {
            return Some("Enter the receiver first.");
        }
        let is_of_topic = *self.kind.read() == "ntfy" && self.is_of_lab.get();
        if is_of_topic && is_empty(self.receiver) && !(is_empty(self.server) && is_empty(self.token)) {
            return Some("Enter the topic too: it is stored together with the server and the token.");
        }
        if self.kinds.read().is_empty() {
            return Some("Choose at least one kind of alert first.");
        }
        let has_times = minute_of(&self.from.read()).is_some() && minute_of(&self.to.read()).is_some();
        if self.has_quiet.get() && !has_times {
            return Some("Enter the quiet hours first.");
        }
        (!self.digest.is_readable()).then_some("Correct the digest interval first.")
    }
}

/// The kinds of receivers that somebody may choose.
fn kinds_of(offers: &ChannelOffers, is_of_lab: bool) -> Vec<&'static str> {
    let has_email = offers.has_smtp && (is_of_lab || offers.email.is_some());
    let mut kinds = if has_email { vec!["email"] } else { vec![] };
    kinds.extend(if is_of_lab { vec!["webhook", "slack", "ntfy"] } else { vec!["ntfy"] });
    kinds
}

fn first_kind(offers: &ChannelOffers, is_of_lab: bool) -> &'static str {
    kinds_of(offers, is_of_lab).first().copied().unwrap_or("ntfy")
}

/// The only receiver of a channel of one's own.
fn own_receiver(kind: &str, is_of_lab: bool, offers: &ChannelOffers) -> String {
    let email = offers.email.clone().filter(|_| kind == "email" && !is_of_lab);
    email.unwrap_or_default()
}

#[component]
pub(super) fn ChannelForm(offers: ChannelOffers, list: ChannelList, channel: Option<ChannelView>) -> impl IntoView {
    let is_new = channel.is_none();
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
                    list.form.try_set(None);
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
                <button type="button" class="quiet" title="Close the form without saving" on:click=clicks(move |_| list.form.set(None))>"Cancel"</button>
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
fn CheckField(label: &'static str, title: &'static str, value: RwSignal<bool>) -> impl IntoView {
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
            "An incoming webhook of Slack, Mattermost or another program that takes {\"text\": ...}",
            "https://hooks.slack.com/services/…",
        ),
        "ntfy" => (
            "Topic",
            "The topic of ntfy, 1 to 64 letters, digits, - and _. Who knows it can read the messages",
            "a topic that is hard to guess",
        ),
        _ => (
            "Address of the webhook",
            "The server sends JSON to this address; the guide describes it",
            "https://example.org/…",
        ),
    };
    let placeholder = move || match (is_new, draft.of.with_value(|of| of.as_ref().is_some_and(|of| is_kind(&of.kind))))
    {
        (false, true) => "leave empty to keep the present one".to_owned(),
        _ => receiver().2.to_owned(),
    };
    let is_fixed = Signal::derive(move || is_kind("email") && !draft.is_of_lab.get());
    view! {
        <TextField label="Name" title=Signal::stored(name_title) value=draft.name placeholder=Signal::stored("e.g. night shift".to_owned()) />
        {may_choose_owner.then(|| view! {
            <label class="field" title="A channel of the lab sends alerts of all runs and is managed by admins; one of your own sends those of runs that you may see">
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
                title=Signal::stored("Address of the ntfy server; empty: that of the lab".to_owned())
                value=draft.server
                placeholder=Signal::derive(move || kept.with_value(|offers| offers.ntfy_server.clone()))
            />
            <TextField
                label="Access token"
                title=Signal::stored("An access token of the ntfy server; empty: none. Saving another topic without it removes it".to_owned())
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
            label="Only urgent ones"
            title="Send only failures, findings of the level alert, and workers that have stopped reporting"
            value=draft.urgent_only
        />
        <TextField
            label="Only these projects"
            title=Signal::stored("Names of projects, separated by commas; alerts of machines are sent all the same. Empty: all".to_owned())
            value=draft.projects
            placeholder=Signal::stored("all".to_owned())
        />
        <TextField
            label="Only runs with one of these tags"
            title=Signal::stored("Tags, separated by commas; alerts of machines are sent all the same. Empty: all runs".to_owned())
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
        <label class="field" title="Alerts of so many minutes after the first one are sent as one message, 0 to 1\u{202f}440. Empty or 0: each at once">
            <span class="label">"Collect alerts for"<span class="unit">", minutes"</span></span>
            <NumberField number=draft.digest placeholder="0" />
        </label>
        <CheckField
            label="Quiet hours"
            title="Send nothing in these hours of each day; what was raised in them is sent as one message at their end"
            value=draft.has_quiet
        />
        <Show when=move || draft.has_quiet.get()>
            <div class="row">
                {time("From", "Start of the quiet hours, by the clock of this browser", draft.from)}
                {time("To", "End of the quiet hours, by the clock of this browser", draft.to)}
            </div>
            <p class="small dim">"The hours are those of this browser's present time zone and do not follow daylight saving time."</p>
        </Show>
        <CheckField
            label="Urgent alerts at once"
            title="Send urgent alerts without waiting for quiet hours to end or for other alerts"
            value=draft.urgent_at_once
        />
    }
}

fn joined(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn split(names: &str) -> BTreeSet<String> {
    names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The minute of the day of a time such as "22:00".
fn minute_of(time: &str) -> Option<u16> {
    let (hour, minute) = time.split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.get(..2)?.parse().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// Local time minus UTC, minutes, by the clock of this browser.
fn utc_offset_minutes() -> i16 {
    // The browser gives UTC minus local time.
    -js_sys::Date::new_0().get_timezone_offset() as i16
}

/// A minute of the day by a clock that is so many minutes ahead.
fn shifted(minute: u16, ahead_minutes: i16) -> u16 {
    (i32::from(minute) + i32::from(ahead_minutes)).rem_euclid(24 * 60) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_of_another_time_zone_are_shown_by_the_clock_of_the_browser() {
        // 22:00 in New York in winter, 22:00 in India.
        for (minute, of_channel, here, shown) in
            [(1320, -300, 60, "04:00"), (1320, 330, 0, "16:30"), (60, 60, -480, "16:00"), (425, 60, 60, "07:05")]
        {
            assert_eq!(time_of(shifted(minute, here - of_channel)), shown);
        }
    }

    #[test]
    fn times_and_names_are_read_as_browsers_and_people_write_them() {
        for (text, minute) in [("22:00", Some(1320)), ("07:05:30", Some(425)), ("24:00", None), ("", None), ("7", None)]
        {
            assert_eq!(minute_of(text), minute, "{text:?}");
        }
        assert_eq!(minute_of(&time_of(425)), Some(425));
        assert_eq!(joined(&split(" b ,, a,b")), "a, b");
    }

    #[test]
    fn only_what_may_be_sent_is_offered() {
        let offers = ChannelOffers { own: true, has_smtp: true, ..ChannelOffers::default() };
        assert_eq!(kinds_of(&offers, false), ["ntfy"]);
        let with_address = ChannelOffers { email: Some("ada@example.org".into()), ..offers };
        assert_eq!(kinds_of(&with_address, false), ["email", "ntfy"]);
        assert_eq!(kinds_of(&with_address, true), ["email", "webhook", "slack", "ntfy"]);
        assert_eq!(own_receiver("email", false, &with_address), "ada@example.org");
        assert_eq!(own_receiver("email", true, &with_address), "");
    }
}
