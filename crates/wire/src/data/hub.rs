//! Requests for models and datasets of the Hugging Face hub, named as there.

use std::fmt;

use serde::Deserialize;

use crate::data::import::ImportOptions;

/// An access token of the hub. It is used for one import, and neither stored nor printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HubToken(pub String);

impl fmt::Debug for HubToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubToken")
    }
}

/// A dataset of the hub, and how its files become documents.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct HubDatasetArgs {
    /// Name on the hub: `owner/name`.
    pub repo: String,
    /// Branch, tag or commit; `main` by default.
    #[serde(default)]
    pub revision: Option<String>,
    /// A file or a folder of the repository; by default all its files of text, JSON, CSV, TSV and Parquet.
    #[serde(default)]
    pub path: Option<String>,
    /// Access token for private and gated repositories; default: the server's token, if it has one.
    #[serde(default)]
    pub token: Option<HubToken>,
    /// Display name of the dataset, at most 120 characters; by default the name on the hub without its owner.
    #[serde(default)]
    pub name: Option<String>,
    /// Field, separator, encoding, line ends and strictness.
    #[serde(default)]
    pub options: ImportOptions,
    /// The project that alone may use the dataset; all by default, for whoever may steer the whole lab.
    #[serde(default)]
    pub project: Option<String>,
}

/// The model to import, at a revision.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct HubModelArgs {
    /// Name on the hub: `owner/name`.
    pub repo: String,
    /// Branch, tag or commit; `main` by default.
    #[serde(default)]
    pub revision: Option<String>,
    /// Access token for private and gated repositories; default: the server's token, if it has one.
    #[serde(default)]
    pub token: Option<HubToken>,
    /// Display name of the run; by default the name on the hub without its owner.
    #[serde(default)]
    pub name: Option<String>,
    /// The project that the run belongs to; `default` by default.
    #[serde(default)]
    pub project: Option<String>,
}
