//! Channels: where alerts are sent, which of them, and when.
//!
//! Addresses of webhooks and topics of ntfy are secrets. They are stored, because the server sends with them, and never shown again: a
//! [`ChannelView`] has [`Target::masked`], and so have logs; in answers of receivers they are hidden by [`Target::hide_in`].

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::AlertKind;
use super::timing::Timing;
use crate::error::PlanError;

/// Length of the name of a channel, characters.
pub const CHANNEL_NAME_CHARS: usize = 80;
/// Longest address of a receiver, bytes.
const MAX_ADDRESS: usize = 2_000;
/// Shortest part of a target that is hidden in an answer, bytes. A shorter one is a word like others.
const SECRET_BYTES: usize = 4;
/// Projects and tags of a filter at most.
const MAX_NAMES: usize = 100;

/// Where the messages of a channel are sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AlertTarget))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// An e-mail, by the SMTP server of the lab.
    Email {
        /// One address.
        to: String,
    },
    /// A POST of JSON, see [`super::delivery::WebhookBody`].
    Webhook { url: String },
    /// A POST of `{"text": ...}`, as incoming webhooks of Slack, Mattermost and others take it.
    Slack { url: String },
    /// A notification of ntfy.
    Ntfy {
        /// Address of the ntfy server; default: the server that the lab uses.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<String>,
        topic: String,
        /// An access token of the server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
}

impl Target {
    /// The word of its kind in JSON.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Email { .. } => "email",
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } => "slack",
            Self::Ntfy { .. } => "ntfy",
        }
    }

    /// The target without what is secret: of an address the host, of a topic its first characters.
    pub fn masked(&self) -> String {
        match self {
            Self::Email { to } => to.clone(),
            Self::Webhook { url } | Self::Slack { url } => format!("{}/…", origin(url)),
            Self::Ntfy { server, topic, .. } => {
                let shown: String = topic.chars().take(topic.chars().count().min(8) / 2).collect();
                let server = server.as_deref().map(|server| format!("{}/", origin(server)));
                format!("{}{shown}…", server.unwrap_or_default())
            }
        }
    }

    /// An answer of its receiver without what is secret. Servers repeat addresses that they do not know, and ntfy answers with the topic.
    pub fn hide_in(&self, answer: &str) -> String {
        let mut secrets: Vec<&str> = match self {
            Self::Email { .. } => vec![],
            Self::Webhook { url } | Self::Slack { url } => path_parts(url).collect(),
            Self::Ntfy { server, topic, token } => {
                let mut secrets: Vec<&str> = server.as_deref().map(|url| path_parts(url).collect()).unwrap_or_default();
                secrets.push(topic);
                secrets.extend(token.as_deref());
                secrets
            }
        };
        secrets.retain(|secret| secret.len() >= SECRET_BYTES);
        // The longest first: a shorter one may be a part of it.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.into_iter().fold(answer.to_owned(), |answer, secret| answer.replace(secret, "…"))
    }

    /// # Errors
    /// An address that cannot be used.
    pub fn check(&self) -> Result<(), PlanError> {
        match self {
            Self::Email { to } => check_email(to),
            Self::Webhook { url } | Self::Slack { url } => check_url("target.url", url),
            Self::Ntfy { server, topic, token } => {
                server.iter().try_for_each(|server| check_url("target.server", server))?;
                let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
                if !(1..=64).contains(&topic.len()) || !is_plain(topic) {
                    let message = "the topic of ntfy is not valid";
                    return Err(PlanError::new("target.topic", message).hint("use 1 to 64 letters, digits, - and _"));
                }
                match token {
                    Some(token) if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) => {
                        Err(PlanError::new("target.token", "the access token of ntfy is not valid")
                            .hint("leave it out, or copy it again from the settings of ntfy"))
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

/// Logs must not contain secrets.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.masked())
    }
}

/// Scheme, host and port of an address, without a user name or password.
fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}")
}

/// The parts of an address after its host.
fn path_parts(url: &str) -> impl Iterator<Item = &str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#', '&', '=']).skip(1)
}

fn check_url(field: &str, url: &str) -> Result<(), PlanError> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let has_host = host.is_some_and(|host| !host.is_empty() && !host.starts_with(':') && !host.contains('@'));
    // The address is not repeated: it may contain a secret.
    match has_host && url.len() <= MAX_ADDRESS && url.chars().all(|c| c.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(PlanError::new(field, "the address of the receiver is not a web address")
            .hint("enter an address such as https://hooks.example.org/TEXT, without a user name in it")),
    }
}

fn check_email(to: &str) -> Result<(), PlanError> {
    let is_plain = |c: char| c.is_ascii_graphic() && !"<>,;\"()[]\\".contains(c);
    let parts = to.split_once('@').filter(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    match parts.is_some() && to.len() <= 254 && to.chars().all(is_plain) {
        true => Ok(()),
        false => Err(PlanError::new("target.to", format!("{to:?} is not an e-mail address"))
            .hint("enter one address such as ada@example.org")),
    }
}

/// The alerts that a channel sends, by kind, urgency, project and tag; all must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AlertFilter))]
#[serde(default, deny_unknown_fields)]
pub struct ChannelFilter {
    /// At least one.
    pub kinds: BTreeSet<AlertKind>,
    /// Only urgent alerts: failed and lost runs, values that are not finite, alerts of rules, workers that have stopped reporting,
    /// nearly full disks, memory errors, conditions on metrics that are stated to be urgent.
    pub urgent_only: bool,
    /// Of alerts about runs, only those of these projects; empty for all.
    pub projects: BTreeSet<String>,
    /// Of alerts about runs, only those of runs with one of these tags; empty for all.
    pub tags: BTreeSet<String>,
}

impl Default for ChannelFilter {
    fn default() -> Self {
        let kinds = AlertKind::ALL.into_iter().collect();
        Self { kinds, urgent_only: false, projects: BTreeSet::new(), tags: BTreeSet::new() }
    }
}

impl ChannelFilter {
    /// Whether an alert is sent; `of_run` has the project and the tags of its run.
    pub fn has(&self, kind: AlertKind, is_urgent: bool, of_run: Option<(&str, &[String])>) -> bool {
        let is_of_run = of_run.is_none_or(|(project, tags)| {
            (self.projects.is_empty() || self.projects.contains(project))
                && (self.tags.is_empty() || tags.iter().any(|tag| self.tags.contains(tag)))
        });
        self.kinds.contains(&kind) && (is_urgent || !self.urgent_only) && is_of_run
    }

    /// # Errors
    /// No kind, or too many projects or tags.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.kinds.is_empty() {
            let kinds = AlertKind::ALL.map(AlertKind::word).join(", ");
            return Err(PlanError::new("filter.kinds", "the channel sends no kind of alert")
                .hint(format!("choose at least one of {kinds}")));
        }
        for (field, names) in [("filter.projects", &self.projects), ("filter.tags", &self.tags)] {
            if names.len() > MAX_NAMES || names.iter().any(|name| name.is_empty() || name.chars().count() > 200) {
                let hint = format!("give at most {MAX_NAMES} names of 1 to 200 characters");
                return Err(PlanError::new(field, "the names cannot be used").hint(hint));
            }
        }
        Ok(())
    }
}

/// A channel with the secrets of its target, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    pub name: String,
    pub target: Target,
    #[serde(default)]
    pub filter: ChannelFilter,
    #[serde(default)]
    pub timing: Timing,
    pub is_enabled: bool,
}

/// A channel to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = NewAlertChannel))]
#[serde(deny_unknown_fields)]
pub struct NewChannel {
    /// What the list calls it, 1 to 80 characters.
    pub name: String,
    /// Whether it belongs to the lab and sends alerts of all runs; else it is yours and sends those of runs that you may see. Only admins
    /// of the lab create channels of the lab.
    #[serde(default)]
    pub is_of_lab: bool,
    pub target: Target,
    #[serde(default)]
    pub filter: ChannelFilter,
    #[serde(default)]
    pub timing: Timing,
}

/// A change of a channel; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AlertChannelChange))]
#[serde(default, deny_unknown_fields)]
pub struct ChannelChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Another receiver of any kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<ChannelFilter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
    /// A channel that is turned off sends nothing; waiting messages are discarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_enabled: Option<bool>,
}

/// A channel in a list, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AlertChannel))]
pub struct ChannelView {
    pub id: i64,
    pub name: String,
    /// Whether it belongs to the lab; else it is yours.
    pub is_of_lab: bool,
    /// `email`, `webhook`, `slack` or `ntfy`.
    pub kind: String,
    /// The receiver without what is secret: the e-mail address, the host of a webhook, the first characters of a topic.
    pub target: String,
    pub filter: ChannelFilter,
    pub timing: Timing,
    pub is_enabled: bool,
    /// Name of its creator.
    pub created_by: String,
    /// Creation time, ms since 1970.
    pub created_ms: i64,
}

/// The channels that the sender may change, and what they may create.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AlertChannels))]
pub struct Channels {
    /// Oldest first.
    pub channels: Vec<ChannelView>,
    pub offers: ChannelOffers,
}

/// The channels that somebody may create.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChannelOffers {
    /// Whether they may create channels of the lab, to any address.
    pub lab: bool,
    /// Whether they have an account, and so may have channels of their own.
    pub own: bool,
    /// Whether the server sends e-mails: `kindling serve --smtp-host`.
    pub has_smtp: bool,
    /// The e-mail address of their account.
    pub email: Option<String>,
    /// The ntfy server of the lab.
    pub ntfy_server: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_in_a_target_is_shown_nowhere() {
        for (json, masked) in [
            (r#"{"kind":"email","to":"ada@example.org"}"#, "ada@example.org"),
            (r#"{"kind":"webhook","url":"https://example.org:8443/secret?key=secret"}"#, "https://example.org:8443/…"),
            (r#"{"kind":"slack","url":"https://hooks.slack.com/services/secret"}"#, "https://hooks.slack.com/…"),
            (r#"{"kind":"ntfy","topic":"lab-secret","token":"tk_secret"}"#, "lab-…"),
            (r#"{"kind":"ntfy","server":"https://ntfy.example.org/","topic":"ab"}"#, "https://ntfy.example.org/a…"),
        ] {
            let target: Target = serde_json::from_str(json).unwrap();
            target.check().unwrap();
            assert_eq!(target.masked(), masked);
            assert!(!format!("{target:?}").contains("secret"), "{target:?}");
            assert!(!target.hide_in(json).contains("secret"), "{}", target.hide_in(json));
            assert_eq!(serde_json::to_string(&target).unwrap(), json);
        }
    }

    #[test]
    fn an_answer_that_repeats_what_is_secret_is_shown_without_it() {
        let webhook = Target::Webhook { url: "https://example.org/in/a1b2c3?key=a1b2c3d4".to_owned() };
        assert_eq!(webhook.hide_in("Cannot POST /in/a1b2c3?key=a1b2c3d4"), "Cannot POST /in/…?key=…");
        let ntfy = Target::Ntfy { server: None, topic: "night-shift".to_owned(), token: None };
        assert_eq!(ntfy.hide_in(r#"{"event":"message","topic":"night-shift"}"#), r#"{"event":"message","topic":"…"}"#);
        let mail = Target::Email { to: "ada@example.org".to_owned() };
        assert_eq!(mail.hide_in("250 queued for ada@example.org"), "250 queued for ada@example.org");
    }

    #[test]
    fn addresses_that_cannot_be_used_are_refused_without_being_repeated() {
        let url = |url: &str| Target::Webhook { url: url.to_owned() };
        for bad in [
            "ftp://example.org/secret",
            "https:///secret",
            "https://",
            "https://a:secret@example.org/",
            "https://e x/secret",
            "/secret",
        ] {
            let error = url(bad).check().unwrap_err();
            assert!(error.field == "target.url" && !error.to_string().contains("secret"), "{error}");
        }
        url("http://127.0.0.1:9/x").check().unwrap();
        let mail = |to: &str| Target::Email { to: to.to_owned() };
        for bad in
            ["", "ada", "@example.org", "ada@", "a@b@c", "a b@c.org", "a@c.org,b@c.org", "a@c.org\r\nBcc: b@c.org"]
        {
            assert_eq!(mail(bad).check().unwrap_err().field, "target.to", "{bad:?}");
        }
        let topic = |topic: &str| Target::Ntfy { server: None, topic: topic.to_owned(), token: None };
        for bad in ["", "a/b", "a b", &"x".repeat(65)] {
            assert_eq!(topic(bad).check().unwrap_err().field, "target.topic");
        }
    }

    #[test]
    fn a_filter_limits_runs_by_project_and_tag_and_leaves_machines_alone() {
        let (vision, mine) = (["vision".to_owned()], ["mine".to_owned()]);
        let filter = ChannelFilter { projects: vision.into(), tags: mine.clone().into(), ..ChannelFilter::default() };
        assert!(filter.has(AlertKind::RunEnded, false, Some(("vision", &mine))));
        assert!(!filter.has(AlertKind::RunEnded, false, Some(("speech", &mine))));
        assert!(!filter.has(AlertKind::RunEnded, true, Some(("vision", &[]))));
        assert!(filter.has(AlertKind::Machine, false, None));
        let failures =
            ChannelFilter { kinds: [AlertKind::RunFailed].into(), urgent_only: true, ..ChannelFilter::default() };
        assert!(failures.has(AlertKind::RunFailed, true, Some(("vision", &[]))));
        assert!(!failures.has(AlertKind::RunFailed, false, Some(("vision", &[]))));
        assert!(!failures.has(AlertKind::Machine, true, None));
        assert!(ChannelFilter { kinds: BTreeSet::new(), ..failures }.check().is_err());
    }
}
