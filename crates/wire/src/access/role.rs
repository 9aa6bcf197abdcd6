//! Roles.

use serde::{Deserialize, Serialize};

/// A role: the rights of a token, in the whole lab or in one project.
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
