//! Models and datasets of the Hugging Face hub, named as there: `owner/name` at a revision.
//!
//! - [`address`]: the names and the paths of its two endpoints; [`client`]: requests; [`listing`]: the files of a repository;
//! - [`fetch`]: downloads them into a folder that a later attempt continues; [`downloads`]: these folders;
//! - [`dataset`]: imports a dataset. Models are imported by `crate::export::hub`.

pub mod address;
pub mod client;
mod dataset;
pub mod downloads;
pub mod error;
pub mod fetch;
pub mod listing;

use wire::data::hub::HubToken;

/// Address of the hub, if none is set.
pub const DEFAULT_URL: &str = "https://huggingface.co";

/// The hub that this server imports from.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Its address, without a slash at the end.
    pub url: String,
    /// Access token of requests that give none.
    pub token: Option<HubToken>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { url: DEFAULT_URL.to_owned(), token: None }
    }
}
