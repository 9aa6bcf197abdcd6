//! Tokens of programs, sign-in links and browsers, as pages list them.

use serde::{Deserialize, Serialize};

use super::{AgentLimits, Role};

/// The purpose of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// A program, in the Authorization header.
    Api,
    /// A sign-in link, which works once.
    SignIn,
    /// A browser that is signed in, as a cookie.
    Session,
    /// A browser that has opened share links and is not signed in, as a cookie: it reaches what its links share, and nothing else.
    Guest,
}

/// A token in a list, without its secret text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenView {
    /// Id, to revoke it.
    pub id: i64,
    /// Name of its owner, the author of their commands.
    pub name: String,
    pub role: Role,
    /// Purpose.
    pub kind: TokenKind,
    /// Creation time, ms since 1970.
    pub created_ms: i64,
    /// Expiry, ms since 1970; `None` for never.
    pub expires_ms: Option<i64>,
    /// Whether this request was made with it.
    pub is_own: bool,
    /// The person to whom it belongs; `None` for one that belongs to the lab.
    #[serde(default)]
    pub person: Option<i64>,
    /// The projects to which it is limited; `None` for all that its owner reaches.
    #[serde(default)]
    pub projects: Option<Vec<String>>,
    /// Time of its last request, ms since 1970, to the minute.
    #[serde(default)]
    pub used_ms: Option<i64>,
    /// Address from which it was last used.
    #[serde(default)]
    pub address: Option<String>,
    /// What the browser or program of its last request calls itself, at most 200 characters.
    #[serde(default)]
    pub agent: Option<String>,
    /// Mode, scopes and budgets of an agent's token; `None` for a token without these limits.
    #[serde(default)]
    pub limits: Option<AgentLimits>,
}

/// A token to create.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Name of its owner, 1 to 80 characters.
    pub name: String,
    pub role: Role,
    /// Validity in days, 1 to 3650; 90 by default, 1 for a sign-in link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// Creates a sign-in link, which works once, instead of an API token.
    #[serde(default)]
    pub sign_in: bool,
    /// Makes it the token of an agent, with these limits. No agent has the role admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<AgentLimits>,
}

/// A token that was just created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedToken {
    /// As lists will show it.
    pub token: TokenView,
    /// The secret text. It is shown once: the server keeps only its hash.
    pub text: String,
}

/// A token to create for oneself. Its rights are never more than those of its owner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewPersonalToken {
    /// What it is for, 1 to 80 characters.
    pub name: String,
    /// The most that it may do.
    pub role: Role,
    /// The projects to which it is limited; all that its owner reaches by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projects: Option<Vec<String>>,
    /// Validity in days, 1 to 3650; 90 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// Makes it the token of an agent, with these limits; their projects replace `projects`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<AgentLimits>,
}
