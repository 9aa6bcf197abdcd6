//! People with accounts, and invitations.

use serde::{Deserialize, Serialize};

use super::{Membership, Role};

/// A person with an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PersonView {
    pub id: i64,
    /// Name, the author of their commands; no two people have the same.
    pub name: String,
    /// E-mail address, if it is known.
    pub email: Option<String>,
    /// Role in the whole lab; `None` for someone who reaches only their projects.
    pub role: Option<Role>,
    /// Their projects, by name.
    pub projects: Vec<Membership>,
    /// Whether they can sign in with a password; only admins of the lab are sent this of others.
    #[serde(default)]
    pub has_password: Option<bool>,
    /// Whether they sign in with OpenID Connect; as [`Self::has_password`].
    #[serde(default)]
    pub has_provider: Option<bool>,
    /// Creation time, ms since 1970; as [`Self::has_password`].
    #[serde(default)]
    pub created_ms: Option<i64>,
    /// Time of their last request, ms since 1970, to the minute.
    pub seen_ms: Option<i64>,
    /// Whether this is the asker.
    pub is_you: bool,
}

/// An account of OpenID Connect whose person an admin has removed. It gets no new person until an admin lets it in again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RemovedAccount {
    /// Id, to let it in again.
    pub id: i64,
    /// Name of the person.
    pub name: String,
    /// Time of the removal, ms since 1970.
    pub removed_ms: i64,
}

/// A change of a person's account; a field that is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PersonChange {
    /// New name, 1 to 80 characters.
    pub name: Option<String>,
    /// New role in the whole lab; `none` takes it away.
    pub role: Option<LabRole>,
}

/// The role of a person in the whole lab, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LabRole {
    /// They reach only their projects.
    None,
    View,
    Steer,
    Admin,
}

impl From<LabRole> for Option<Role> {
    fn from(role: LabRole) -> Self {
        match role {
            LabRole::None => None,
            LabRole::View => Some(Role::View),
            LabRole::Steer => Some(Role::Steer),
            LabRole::Admin => Some(Role::Admin),
        }
    }
}

/// A new password of one's own account.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// The present password; not needed where the account has none.
    #[serde(default)]
    pub present: Option<String>,
    /// The new one, at least 10 characters.
    pub password: String,
}

/// An invitation to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// Name of the person, which they may change; 1 to 80 characters.
    pub name: String,
    /// Role in the whole lab.
    #[serde(default = "no_role")]
    pub role: LabRole,
    /// Their projects.
    #[serde(default)]
    pub projects: Vec<Membership>,
    /// Validity in days, 1 to 90; 7 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

fn no_role() -> LabRole {
    LabRole::None
}

/// An invitation in a list, without its secret text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvitationView {
    /// Id, to revoke it.
    pub id: i64,
    /// Name of the person.
    pub name: String,
    /// Role in the whole lab.
    pub role: Option<Role>,
    pub projects: Vec<Membership>,
    pub created_by: String,
    /// Creation time, ms since 1970.
    pub created_ms: i64,
    /// Expiry, ms since 1970.
    pub expires_ms: i64,
}

/// An invitation that was just created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedInvitation {
    pub invitation: InvitationView,
    /// The secret text. The link is `/invite?token=` with it. It is shown once: the server keeps only its hash.
    pub text: String,
}

/// The account that an invited person creates.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    /// Text of the invitation.
    pub token: String,
    /// Name, 1 to 80 characters.
    pub name: String,
    /// Password, at least 10 characters.
    pub password: String,
}
