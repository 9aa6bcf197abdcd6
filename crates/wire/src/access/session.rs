//! Who is signed in, and what a person who is not needs to sign in.

use serde::{Deserialize, Serialize};

use super::{Grants, TokenKind};

/// The sender of a request, as `GET /me` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Me {
    /// Name of the person, or of the token.
    pub name: String,
    pub grants: Grants,
    /// Purpose of its token.
    pub kind: TokenKind,
    /// Id of the person; `None` for a token that belongs to the lab, and for a guest.
    pub person: Option<i64>,
    /// Whether the lab has people with accounts, or more than one project. The page mentions neither where it has not.
    pub is_shared: bool,
}

/// What a person who is not signed in needs for a sign-in link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignInInfo {
    /// Absolute path of the data folder: the value of `--data` in commands on the machine of the server. Only for requests to `localhost`,
    /// because it may name a user or a project.
    pub data_folder: Option<String>,
    /// Whether people sign in with a name and a password.
    #[serde(default)]
    pub has_passwords: bool,
    /// Name of the OpenID Connect provider that people sign in with, if there is one.
    #[serde(default)]
    pub provider: Option<String>,
}

/// A name and a password.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PasswordSignIn {
    /// Name or e-mail address of the person.
    pub name: String,
    pub password: String,
}
