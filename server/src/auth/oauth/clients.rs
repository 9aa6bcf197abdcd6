//! Registration of programs (RFC 7591). Anybody may register: a client gets nothing before a person permits it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{redirect, refused};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::audit::Sender;
use crate::lab::name::NAME_CHARS;
use crate::lab::throttle::network;
use crate::live::clock::now_ms;

/// Addresses of a client.
const MOST_REDIRECTS: usize = 10;
/// Letters that change the direction of the text around them.
const DIRECTIONS: [char; 12] = [
    '\u{200e}', '\u{200f}', '\u{061c}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}',
    '\u{2067}', '\u{2068}', '\u{2069}',
];

/// What a program says of itself. Fields without effect here are ignored, as RFC 7591 demands.
#[derive(Deserialize)]
pub struct NewClient {
    #[serde(default)]
    redirect_uris: Vec<String>,
    client_name: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
}

/// Registers a client; the answer has its id.
///
/// # Errors
/// 400 for addresses or types that are not possible, 429 for too many clients; an error of the store.
pub async fn register(lab: &Lab, sender: &Sender, new: NewClient) -> Result<Value, ApiError> {
    check(&new)?;
    let NewClient { redirect_uris, client_name, .. } = new;
    let name = client_name.as_deref().and_then(plain_name);
    let name = name.or_else(|| redirect_uris.first().map(|address| redirect::host(address))).unwrap_or_default();
    let from = sender.address.map(network).unwrap_or_default();
    let id = lab.store().add_oauth_client(&name, redirect_uris.clone(), &from).await?;
    tracing::info!("the program {name:?} registered as a client");
    Ok(json!({
        "client_id": id,
        "client_id_issued_at": now_ms() / 1000,
        "client_name": name,
        "redirect_uris": redirect_uris,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }))
}

fn check(new: &NewClient) -> Result<(), ApiError> {
    let has = |types: &Option<Vec<String>>, needed: &str| {
        types.as_ref().is_none_or(|types| types.iter().any(|one| one == needed))
    };
    if !(1..=MOST_REDIRECTS).contains(&new.redirect_uris.len()) {
        let message = format!("1 to {MOST_REDIRECTS} redirect_uris are possible; got {}", new.redirect_uris.len());
        return Err(refused("invalid_redirect_uri", message));
    }
    if let Some(address) = new.redirect_uris.iter().find(|address| !redirect::is_valid(address)) {
        let shown: String = address.chars().take(NAME_CHARS).collect();
        let message = format!("{shown:?} is not a redirect address: use https, or http on localhost");
        return Err(refused("invalid_redirect_uri", message));
    }
    if !has(&new.grant_types, "authorization_code") || !has(&new.response_types, "code") {
        let message = "this server has the grant type authorization_code with the response type code";
        return Err(refused("invalid_client_metadata", message));
    }
    Ok(())
}

/// A name on one line that cannot look like another text; `None` for an empty one.
fn plain_name(name: &str) -> Option<String> {
    let plain = name.chars().filter(|letter| !letter.is_control() && !DIRECTIONS.contains(letter));
    let short: String = plain.collect::<String>().trim().chars().take(NAME_CHARS).collect();
    Some(short.trim_end().to_owned()).filter(|name| !name.is_empty())
}
