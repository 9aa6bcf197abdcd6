//! Share links: one run, some runs or a project for everyone who has the link.
//!
//! The secret text of a link is a part of its address. `/share/TEXT` opens its `path` in the lab, with the rights of the link. An embed has
//! two addresses: `/embed/TEXT` is a page for an `<iframe>`, and `/embed/TEXT/image.svg` (or `.png`) is an image; both take `theme=light` or
//! `theme=dark`, the image also `width` and `height` in pixels. [`super::embed`] says which paths can be embedded. `path` must show nothing
//! outside `scope`.

use serde::{Deserialize, Serialize};

use super::Role;
use crate::id::RunId;

/// Most runs of one link.
pub const MAX_LINK_RUNS: usize = 16;

/// The runs or the project that a link shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LinkScope {
    /// Single runs: one, or those of a comparison, at most 16.
    Runs(Vec<RunId>),
    /// All runs and datasets of a project.
    Project(String),
}

/// A link to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    pub scope: LinkScope,
    /// Path and query of the page that it opens, from the root of the lab: `/runs/amber-fox-7k2q`. At most 2,000 characters.
    pub path: String,
    /// `view` or `steer`.
    pub role: Role,
    /// Whether it is for pages of other sites: it opens charts as images and in frames, and signs nobody in. Its role is `view`.
    #[serde(default)]
    pub is_embed: bool,
    /// Validity in hours, 1 to 8760; `None` for no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<u32>,
    /// A passphrase that is asked for, 4 to 200 characters. Not for embeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<String>,
}

/// A link in a list, without its secret text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LinkView {
    /// Id, to revoke it.
    pub id: i64,
    pub scope: LinkScope,
    /// Path and query of the page that it opens.
    pub path: String,
    pub role: Role,
    pub is_embed: bool,
    pub has_passphrase: bool,
    /// Name of its creator.
    pub created_by: String,
    /// Creation time, ms since 1970.
    pub created_ms: i64,
    /// Expiry, ms since 1970; `None` for never.
    pub expires_ms: Option<i64>,
    /// Browsers that have opened it; for an embed, images and frames that were requested.
    pub opened: u64,
    /// Time of the last of them, ms since 1970.
    pub opened_ms: Option<i64>,
}

/// A link that was just created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedLink {
    pub link: LinkView,
    /// The secret text: the address is `/share/` or `/embed/` with it. It is shown once: the server keeps only its hash.
    pub text: String,
}
