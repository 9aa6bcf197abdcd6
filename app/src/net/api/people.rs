//! Routes of people, invitations and the audit log.

use serde_json::Value;
use wire::access::Me;
use wire::access::audit::{AuditPage, AuditQuery};
use wire::access::person::{
    AcceptInvitation, CreatedInvitation, InvitationView, NewInvitation, PersonChange, PersonView, RemovedAccount,
};

use super::failure::ApiFailure;
use super::request::{escape, get, send, send_plain};
use crate::base::at;

/// The people with accounts that the asker may see.
pub(crate) async fn list() -> Result<Vec<PersonView>, ApiFailure> {
    get("/people").await
}

/// Changes name or role of a person.
pub(crate) async fn change(person: i64, change: &PersonChange) -> Result<PersonView, ApiFailure> {
    send("PATCH", &format!("/people/{person}"), Some(change)).await
}

/// Removes a person's account, and ends their sessions, tokens and links.
pub(crate) async fn remove(person: i64) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/people/{person}")).await
}

/// The accounts of OpenID Connect whose persons were removed. For admins of the lab.
pub(crate) async fn removed_accounts() -> Result<Vec<RemovedAccount>, ApiFailure> {
    get("/removed-accounts").await
}

/// Lets a removed account sign in again.
pub(crate) async fn let_in_again(id: i64) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/removed-accounts/{id}")).await
}

/// The invitations that can still be accepted.
pub(crate) async fn invitations() -> Result<Vec<InvitationView>, ApiFailure> {
    get("/invitations").await
}

pub(crate) async fn invite(invitation: &NewInvitation) -> Result<CreatedInvitation, ApiFailure> {
    send("POST", "/invitations", Some(invitation)).await
}

pub(crate) async fn revoke_invitation(id: i64) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/invitations/{id}")).await
}

/// What the link of an invitation invites to; needs no account.
pub(crate) async fn preview_invitation(token: &str) -> Result<InvitationView, ApiFailure> {
    get(&format!("/invitations/preview?token={}", escape(token))).await
}

/// Creates the account of an invitation and signs this browser in.
pub(crate) async fn accept_invitation(accept: &AcceptInvitation) -> Result<Me, ApiFailure> {
    send("POST", "/invitations/accept", Some(accept)).await
}

/// A page of the audit log. For admins of the lab.
pub(crate) async fn audit(query: &AuditQuery) -> Result<AuditPage, ApiFailure> {
    get(&format!("/audit?{}", query_string(query))).await
}

/// Address of the entries of a query as a table.
pub(crate) fn audit_file(query: &AuditQuery) -> String {
    at(&format!("/api/v1/audit.csv?{}", query_string(query)))
}

/// The fields that a query has, as a query string.
fn query_string(query: &AuditQuery) -> String {
    let Ok(Value::Object(fields)) = serde_json::to_value(query) else { return String::new() };
    let pair = |(name, value): (String, Value)| match value {
        Value::Null => None,
        Value::String(text) => Some(format!("{name}={}", escape(&text))),
        other => Some(format!("{name}={other}")),
    };
    fields.into_iter().filter_map(pair).collect::<Vec<_>>().join("&")
}
