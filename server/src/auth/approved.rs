//! Requests by which the server carries out a call that a person has approved. They have no token of a client: they have the rights that the
//! agent and the person both have at that moment.

use axum::http::StatusCode;
use store::Identity;

use crate::error::ApiError;
use crate::lab::Lab;

/// An extension of a request for an approved call: the ids of the tokens of the agent and of the person. Only the server adds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approved {
    pub agent: i64,
    pub person: i64,
}

impl Approved {
    /// The agent, with the rights that both have by themselves, without share links.
    ///
    /// # Errors
    /// 403 if one of the tokens was revoked or has expired; an error of the store.
    pub async fn identity(self, lab: &Lab) -> Result<Identity, ApiError> {
        let ended = |message: &str| ApiError::new(StatusCode::FORBIDDEN, "token_ended", message);
        let Some(agent) = lab.store().identity(self.agent).await? else {
            return Err(ended("the token of the agent was revoked or has expired")
                .hint("reject the proposal; an agent needs a token for another one"));
        };
        if lab.store().identity(self.person).await?.is_none() {
            return Err(ended("the person who approved this is not signed in any more")
                .hint("the agent can propose it again with a new idempotency_key"));
        }
        let person = lab.store().own_grants(self.person).await?;
        Ok(Identity { grants: agent.grants.within(&person), ..agent })
    }
}
