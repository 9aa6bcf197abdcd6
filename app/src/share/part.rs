//! The part of the program with the dialog; see [`crate::pages`].

use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};
use wire::access::link::LinkScope;

use super::dialog::ShareDialog;

/// What is shared, the address of its view, and whether the dialog is open.
pub(super) type Shared = (LinkScope, String, RwSignal<bool>);
/// Builds the dialog.
pub(super) type Build = fn(Shared) -> AnyView;

#[wasm_split(share, wasm_split_path = ::leptos::wasm_split, fallible)]
fn share_part() -> Result<Build, SplitLoaderError> {
    Ok(|(scope, path, is_open)| view! { <ShareDialog scope path is_open /> }.into_any())
}

/// Loads the part; at once if it is loaded.
pub(super) async fn load() -> Result<Build, SplitLoaderError> {
    share_part().await
}
