//! What the form of a channel holds, and what is sent of it. A secret that the server keeps is not shown: an empty field leaves it as is.

use std::collections::BTreeSet;

use leptos::prelude::*;
use wire::alert::channel::ChannelOffers;
use wire::alert::timing::{MAX_DIGEST_MINUTES, QuietHours};
use wire::alert::{AlertKind, ChannelChange, ChannelFilter, ChannelView, NewChannel, Target, Timing};
use wire::hyperparameters::table::Values;

use super::super::words::time_of;
use crate::components::TypedNumber;
use crate::net::api::{self, ApiFailure};

/// The content of the form.
#[derive(Clone, Copy)]
pub(super) struct Draft {
    pub(super) name: RwSignal<String>,
    pub(super) is_of_lab: RwSignal<bool>,
    pub(super) kind: RwSignal<String>,
    /// E-mail address, address of the webhook, or topic.
    pub(super) receiver: RwSignal<String>,
    pub(super) server: RwSignal<String>,
    pub(super) token: RwSignal<String>,
    pub(super) kinds: RwSignal<BTreeSet<AlertKind>>,
    pub(super) urgent_only: RwSignal<bool>,
    pub(super) projects: RwSignal<String>,
    pub(super) tags: RwSignal<String>,
    pub(super) digest: TypedNumber,
    pub(super) has_quiet: RwSignal<bool>,
    pub(super) from: RwSignal<String>,
    pub(super) to: RwSignal<String>,
    pub(super) urgent_at_once: RwSignal<bool>,
    /// The channel that is changed.
    pub(super) of: StoredValue<Option<ChannelView>>,
}

impl Draft {
    pub(super) fn new(offers: &ChannelOffers, of: Option<ChannelView>) -> Self {
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

    pub(super) async fn send(self) -> Result<ChannelView, ApiFailure> {
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
    pub(super) fn missing(self) -> Option<&'static str> {
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
        (!self.digest.is_readable()).then_some("Correct “Collect alerts for” first.")
    }
}

/// The kinds of receivers that somebody may choose.
pub(super) fn kinds_of(offers: &ChannelOffers, is_of_lab: bool) -> Vec<&'static str> {
    let has_email = offers.has_smtp && (is_of_lab || offers.email.is_some());
    let mut kinds = if has_email { vec!["email"] } else { vec![] };
    kinds.extend(if is_of_lab { vec!["webhook", "slack", "ntfy"] } else { vec!["ntfy"] });
    kinds
}

pub(super) fn first_kind(offers: &ChannelOffers, is_of_lab: bool) -> &'static str {
    kinds_of(offers, is_of_lab).first().copied().unwrap_or("ntfy")
}

/// The only receiver of a channel of one's own.
pub(super) fn own_receiver(kind: &str, is_of_lab: bool, offers: &ChannelOffers) -> String {
    let email = offers.email.clone().filter(|_| kind == "email" && !is_of_lab);
    email.unwrap_or_default()
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

/// A minute of the day by a clock that is this many minutes ahead.
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
