//! Who may do what: roles, the account of a request, and API tokens as pages list them.

use serde::{Deserialize, Serialize};

/// A role: the rights of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May read.
    View,
    /// May read, start, steer and delete runs, and add datasets.
    Steer,
    /// As steer, and may manage tokens and delete datasets.
    Admin,
    /// May connect as a worker, and nothing else.
    Worker,
}

impl Role {
    /// Whether it includes `needed`. Workers and people are separate: neither includes the other.
    pub fn includes(self, needed: Role) -> bool {
        let rank = |role| match role {
            Role::Worker => None,
            Role::View => Some(0),
            Role::Steer => Some(1),
            Role::Admin => Some(2),
        };
        match (rank(self), rank(needed)) {
            (Some(has), Some(wants)) => has >= wants,
            (has, wants) => has == wants,
        }
    }

    /// Its name in JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Steer => "steer",
            Self::Admin => "admin",
            Self::Worker => "worker",
        }
    }
}

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
}

/// The signed-in user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Me {
    /// Name of their token.
    pub name: String,
    /// Role of their token.
    pub role: Role,
}

/// What a person who is not signed in needs for a sign-in link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignInInfo {
    /// Absolute path of the data folder: the value of `--data` in commands on the machine of the server. Only for requests to `localhost`,
    /// because it may name a user or a project.
    pub data_folder: Option<String>,
}

/// A token in a list, without its secret text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// A token to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// A token that was just created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedToken {
    /// As lists will show it.
    pub token: TokenView,
    /// The secret text. It is shown once: the server keeps only its hash.
    pub text: String,
}
