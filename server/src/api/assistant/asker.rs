//! The person who asks. Guests cannot: an answer costs money, and conversations need an author. Agents cannot: conversations are private.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use store::{ConversationReader, Identity};
use wire::access::{Role, TokenKind};

use crate::api::mcp::caller::{Caller, InProcess};
use crate::auth::{Member, forbidden};
use crate::error::ApiError;
use crate::lab::Lab;

/// Name of the assistant in journals.
const PROGRAM: &str = "assistant";

/// The author of conversations.
pub struct Author {
    pub identity: Identity,
}

/// An author with their credential, with which tools are called.
pub struct Asker {
    pub author: Author,
    pub caller: Caller,
}

impl Author {
    /// Whose conversations are those of the sender: a person's, or those of the tokens with a name.
    pub fn owner(&self) -> String {
        owner_of(&self.identity)
    }
}

fn owner_of(identity: &Identity) -> String {
    match identity.person {
        Some(person) => format!("person:{person}"),
        None => format!("token:{}", identity.name),
    }
}

/// The sender as a reader of their own conversations in the research journal. `None` for guests, who have none, and for agents and tools: a
/// conversation is given to no other conversation and to no provider of a model.
pub fn reader(identity: &Identity) -> Option<ConversationReader> {
    let has_some = identity.kind != TokenKind::Guest && !identity.is_agent;
    has_some.then(|| ConversationReader { owner: owner_of(identity), name: identity.name.clone() })
}

impl FromRequestParts<Lab> for Author {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, lab: &Lab) -> Result<Self, ApiError> {
        let Member(identity) = Member::from_request_parts(parts, lab).await?;
        match identity.kind {
            TokenKind::Guest => Err(forbidden(&identity, Role::View, None)),
            _ if identity.is_agent => Err(of_agent(&identity)),
            _ => Ok(Self { identity }),
        }
    }
}

/// The refusal of an agent, which may have the token of the person who writes to the assistant.
fn of_agent(identity: &Identity) -> ApiError {
    let message = format!("conversations with the assistant are those of people, and {:?} is an agent", identity.name);
    ApiError::new(StatusCode::FORBIDDEN, "forbidden", message)
        .hint("read them on the page, as the person who wrote them")
}

impl FromRequestParts<Lab> for Asker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, lab: &Lab) -> Result<Self, ApiError> {
        let author = Author::from_request_parts(parts, lab).await?;
        parts.extensions.insert(author.identity.clone());
        let api = parts.extensions.get::<InProcess>().cloned();
        let caller = api.and_then(|InProcess(api)| Caller::of(lab, &api, parts));
        let caller =
            caller.ok_or_else(|| ApiError::internal("reading the sender of a message", "it has no credential"))?;
        Ok(Self { author, caller: caller.with_client(Some(PROGRAM.to_owned())) })
    }
}
