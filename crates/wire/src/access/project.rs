//! Projects: groups of runs, datasets and people.

use serde::{Deserialize, Serialize};

use super::Role;

/// The project of everything that names no other one. It cannot be deleted.
pub const DEFAULT_PROJECT: &str = "default";

/// The name of [`DEFAULT_PROJECT`], for fields that are absent.
pub fn default_project() -> String {
    DEFAULT_PROJECT.to_owned()
}

/// A project, as someone who may see it lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectView {
    /// Name: 1 to 40 lower-case letters, digits and dashes.
    pub name: String,
    /// Creation time, ms since 1970; 0 for `default`.
    pub created_ms: i64,
    pub limits: ProjectLimits,
    pub usage: ProjectUsage,
    /// Its people, for those who may see the project.
    pub people: Vec<ProjectMember>,
    /// Role of the asker in it.
    pub role: Role,
}

/// A person in a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectMember {
    /// Id of the person.
    pub person: i64,
    pub name: String,
    pub role: Role,
}

/// Limits of a project; `None` for no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ProjectLimits {
    /// Runs that train at once; further ones wait.
    pub runs_at_once: Option<u32>,
    /// Training time on devices, hours, over all runs; once used, runs wait until the limit is raised.
    pub device_hours: Option<f64>,
    /// Files of its runs and datasets, bytes; once used, no run starts and no dataset is added.
    pub disk_bytes: Option<u64>,
}

/// Runs, training time and files of a project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectUsage {
    /// Runs that are not deleted.
    pub runs: u64,
    /// Of these, those that a device trains.
    pub training: u32,
    /// Training time of all its runs, hours, deleted ones included until they are purged.
    pub device_hours: f64,
    /// Files of its runs and datasets, bytes, as last measured; `None` before the first measurement.
    pub disk_bytes: Option<u64>,
}

/// A project to create.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    /// Name: 1 to 40 lower-case letters, digits and dashes, the first no dash.
    pub name: String,
    #[serde(default)]
    pub limits: ProjectLimits,
}

/// A role in a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// Name of the project.
    pub project: String,
    pub role: Role,
}

/// The role that a person gets in a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    pub role: Role,
}
