//! Channels: listed, created, changed, deleted and tested.

use std::time::Instant;

use axum::http::StatusCode;
use store::{ChannelRecord, Identity, delivery_id};
use wire::access::Role;
use wire::alert::channel::ChannelOffers;
use wire::alert::delivery::WebhookBody;
use wire::alert::{
    AlertContent, AlertKind, AlertView, Channel, ChannelChange, ChannelView, Channels, DeliveryView, NewChannel,
    Target, TestResult,
};

use super::send::send;
use crate::auth::forbidden;
use crate::auth::people::passwords::own_account;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::name::checked_name;
use crate::live::clock::now_ms;
use crate::workers::local;

/// Messages of a channel that are listed.
const LISTED: u32 = 50;
/// Tries to change a channel that others change at the same time.
const TRIES: u32 = 10;

/// The channels that somebody may change, and those that they may create.
///
/// # Errors
/// An error of the store.
pub async fn list(lab: &Lab, own: &Identity) -> Result<Channels, ApiError> {
    let channels = lab.store().channels().await?;
    let channels = channels.into_iter().filter(|record| is_theirs(own, record)).map(view).collect();
    let settings = &lab.settings.alerts;
    let offers = ChannelOffers {
        lab: own.grants.has_lab(Role::Admin),
        own: own_account(own).is_ok(),
        has_smtp: settings.smtp.is_some(),
        email: address_of(lab, own).await?,
        ntfy_server: settings.ntfy.clone(),
    };
    Ok(Channels { channels, offers })
}

/// Creates a channel.
///
/// # Errors
/// 403 for a receiver that the sender may not choose, 409 without an account and for too many channels, 422 for an invalid value; an error
/// of the store.
pub async fn create(lab: &Lab, own: &Identity, new: NewChannel) -> Result<ChannelView, ApiError> {
    let person = match new.is_of_lab {
        true if !own.grants.has_lab(Role::Admin) => return Err(forbidden(own, Role::Admin, None)),
        true => None,
        false => Some(own_account(own)?),
    };
    let NewChannel { name, target, filter, timing, .. } = new;
    let channel = Channel { name: checked_name(&name)?, target, filter, timing, is_enabled: true };
    check_timing_and_filter(&channel)?;
    check_target(lab, own, person, &channel.target).await?;
    let record = lab.store().add_channel(person, channel, &own.name).await?;
    tracing::info!("{} created alert channel {} ({:?})", own.name, record.id, record.channel.target);
    Ok(view(record))
}

/// Changes a channel. Waiting messages of a channel that is turned off are discarded.
///
/// # Errors
/// 404 for an unknown channel and one of somebody else, 429 for one that others keep changing; the errors of [`create`].
pub async fn change(lab: &Lab, own: &Identity, id: i64, change: ChannelChange) -> Result<ChannelView, ApiError> {
    // Two changes at a time: the second is applied to what the first has made.
    for _ in 0..TRIES {
        let before = find(lab, own, id).await?;
        let channel = changed(&before.channel, &change)?;
        check_timing_and_filter(&channel)?;
        // A receiver that stays is not checked: its owner may no longer be allowed to choose it.
        if change.target.is_some() {
            check_target(lab, own, before.person, &channel.target).await?;
        }
        if lab.store().change_channel(&before, &channel).await? {
            lab.alerting.wake();
            return Ok(view(ChannelRecord { channel, ..before }));
        }
    }
    Err(ApiError::busy(format!("alert channel {id} is being changed by others")).retry_after(1))
}

/// A channel with a change; what the change leaves out stays.
fn changed(before: &Channel, change: &ChannelChange) -> Result<Channel, ApiError> {
    let ChannelChange { name, target, filter, timing, is_enabled } = change;
    Ok(Channel {
        name: name.as_deref().map(checked_name).transpose()?.unwrap_or_else(|| before.name.clone()),
        target: target.clone().unwrap_or_else(|| before.target.clone()),
        filter: filter.clone().unwrap_or_else(|| before.filter.clone()),
        timing: timing.unwrap_or(before.timing),
        is_enabled: is_enabled.unwrap_or(before.is_enabled),
    })
}

/// Deletes a channel with its messages.
///
/// # Errors
/// 404 for an unknown channel and one of somebody else; an error of the store.
pub async fn remove(lab: &Lab, own: &Identity, id: i64) -> Result<(), ApiError> {
    find(lab, own, id).await?;
    if !lab.store().remove_channel(id).await? {
        return Err(unknown(id));
    }
    tracing::info!("{} deleted alert channel {id}", own.name);
    Ok(())
}

/// The newest messages of a channel.
///
/// # Errors
/// 404 for an unknown channel and one of somebody else; an error of the store.
pub async fn deliveries(lab: &Lab, own: &Identity, id: i64) -> Result<Vec<DeliveryView>, ApiError> {
    let record = find(lab, own, id).await?;
    Ok(lab.store().deliveries(&record, LISTED).await?)
}

/// Sends a test message at once, once.
///
/// # Errors
/// 404 for an unknown channel and one of somebody else, 429 within 5 s of the last test; an error of the store.
pub async fn test(lab: &Lab, own: &Identity, id: i64) -> Result<TestResult, ApiError> {
    let record = find(lab, own, id).await?;
    if !lab.alerting.may_test(record.person, id) {
        return Err(ApiError::busy("a channel was tested less than 5 s ago").hint("wait some seconds").retry_after(5));
    }
    let delivery = delivery_id()?;
    let message = test_message(lab, &delivery, &record.channel.name);
    let began = Instant::now();
    let sent = send(lab, &record.channel.target, message).await;
    let is_accepted = sent.is_ok();
    let answer = sent.unwrap_or_else(|error| error.to_string());
    Ok(TestResult { is_accepted, answer, delivery, took_ms: began.elapsed().as_millis() as u64 })
}

fn test_message(lab: &Lab, delivery: &str, name: &str) -> WebhookBody {
    let content = AlertContent {
        kind: AlertKind::Machine,
        is_urgent: false,
        phrase: "test of an alert channel".to_owned(),
        text: format!("This is a test of the channel {name}. Nothing has happened."),
        device: None,
        step: None,
        project: None,
    };
    let alert = AlertView::new(0, now_ms(), None, None, content);
    let address = local::read_browser_address(&lab.settings.data);
    WebhookBody { delivery: delivery.to_owned(), is_test: true, lab: address, alerts: vec![alert], left_out: 0 }
}

fn check_timing_and_filter(channel: &Channel) -> Result<(), ApiError> {
    channel.filter.check().map_err(ApiError::invalid_value)?;
    channel.timing.check().map_err(ApiError::invalid_value)
}

/// Checks a receiver that somebody has entered for a channel of a person, or of the lab.
async fn check_target(lab: &Lab, own: &Identity, person: Option<i64>, target: &Target) -> Result<(), ApiError> {
    target.check().map_err(ApiError::invalid_value)?;
    if matches!(target, Target::Email { .. }) && lab.settings.alerts.smtp.is_none() {
        return Err(ApiError::invalid("smtp_missing", "the server has no SMTP server for sending e-mails")
            .field("target")
            .hint("start it with kindling serve --smtp-host HOST --smtp-from ADDRESS"));
    }
    match person {
        None => Ok(()),
        Some(_) => check_own(target, address_of(lab, own).await?.as_deref()),
    }
}

/// Whether a person may choose this receiver for a channel of their own.
fn check_own(target: &Target, address: Option<&str>) -> Result<(), ApiError> {
    let refused = |message: String, hint: &str| {
        Err(ApiError::new(StatusCode::FORBIDDEN, "receiver_forbidden", message).field("target").hint(hint))
    };
    match (target, address) {
        (Target::Email { to }, Some(address)) if to.eq_ignore_ascii_case(address) => Ok(()),
        (Target::Email { .. }, Some(address)) => {
            refused(format!("e-mails of your own channels go to {address}"), "ask an admin for a channel of the lab")
        }
        (Target::Email { .. }, None) => refused(
            "your account has no e-mail address".to_owned(),
            "use ntfy, or ask an admin for a channel of the lab with your address",
        ),
        (Target::Ntfy { server: None, token: None, .. }, _) => Ok(()),
        (Target::Ntfy { .. }, _) => refused(
            "your own channels use the ntfy server of the lab, without a token".to_owned(),
            "leave server and token out, or ask an admin for a channel of the lab",
        ),
        (Target::Webhook { .. } | Target::Slack { .. }, _) => refused(
            "only channels of the lab send to addresses, because the server may reach machines that you may not"
                .to_owned(),
            "ask an admin for a channel of the lab",
        ),
    }
}

async fn address_of(lab: &Lab, own: &Identity) -> Result<Option<String>, ApiError> {
    let Some(person) = own.person else { return Ok(None) };
    let people = lab.store().people().await?;
    Ok(people.into_iter().find(|found| found.id == person).and_then(|found| found.email))
}

/// A channel that the sender may change: their own, and as an admin those of the lab.
async fn find(lab: &Lab, own: &Identity, id: i64) -> Result<ChannelRecord, ApiError> {
    let found = lab.store().channels().await?.into_iter().find(|record| record.id == id);
    found.filter(|record| is_theirs(own, record)).ok_or_else(|| unknown(id))
}

fn is_theirs(own: &Identity, record: &ChannelRecord) -> bool {
    match record.person {
        // A token of a program may be limited, and the channel sends all that its person sees.
        Some(_) => own_account(own).is_ok() && own.person == record.person,
        None => own.grants.has_lab(Role::Admin),
    }
}

fn unknown(id: i64) -> ApiError {
    ApiError::not_found(format!("unknown alert channel {id}"))
        .hint("GET /api/v1/alert-channels lists the channels that you may change")
}

fn view(record: ChannelRecord) -> ChannelView {
    let ChannelRecord { id, person, channel, created_by, created_ms } = record;
    let Channel { name, target, filter, timing, is_enabled } = channel;
    let (kind, shown) = (target.kind().to_owned(), target.masked());
    ChannelView {
        id,
        name,
        is_of_lab: person.is_none(),
        kind,
        target: shown,
        filter,
        timing,
        is_enabled,
        created_by,
        created_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reaches_only_their_address_and_the_ntfy_server_of_the_lab() {
        let check = |json: &str, address: Option<&str>, is_allowed: bool| {
            let target: Target = serde_json::from_str(json).unwrap();
            assert_eq!(check_own(&target, address).is_ok(), is_allowed, "{json}");
        };
        let ada = Some("ada@example.org");
        check(r#"{"kind":"email","to":"Ada@Example.org"}"#, ada, true);
        check(r#"{"kind":"email","to":"bob@example.org"}"#, ada, false);
        check(r#"{"kind":"email","to":"ada@example.org"}"#, None, false);
        check(r#"{"kind":"ntfy","topic":"ada"}"#, None, true);
        check(r#"{"kind":"ntfy","topic":"ada","server":"http://10.0.0.1"}"#, ada, false);
        check(r#"{"kind":"ntfy","topic":"ada","token":"tk_1"}"#, ada, false);
        check(r#"{"kind":"webhook","url":"http://127.0.0.1:9200/"}"#, ada, false);
        check(r#"{"kind":"slack","url":"https://hooks.slack.com/x"}"#, ada, false);
    }
}
