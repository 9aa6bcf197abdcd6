//! Registration of programs (RFC 7591). Anybody may register: a client gets nothing before a person permits it.

use serde::Deserialize;
use serde_json::{Value, json};
use wire::access::agent::AgentOrigin;

use super::{redirect, refused};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::audit::Sender;
use crate::lab::name::NAME_CHARS;
use crate::lab::throttle::network;
use crate::live::clock::now_ms;

/// Addresses of a client.
const MOST_REDIRECTS: usize = 10;
/// The name of a program without one.
const NAMELESS: &str = "program";

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
    let of_host = || redirect_uris.first().and_then(|address| plain_name(&redirect::host(address)));
    let name = name.or_else(of_host).unwrap_or_else(|| NAMELESS.to_owned());
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

/// The name of a program as it may stand in journals, where it becomes the name of an agent: it cannot look like the part that the server
/// writes, such as the person who has approved an action. `None` for one without a usable character.
fn plain_name(name: &str) -> Option<String> {
    AgentOrigin { client: Some(name.to_owned()), ..AgentOrigin::default() }.cleaned().client
}

#[cfg(test)]
mod tests {
    use super::plain_name;

    #[test]
    fn the_name_of_a_program_is_only_a_name() {
        for (given, expected) in [
            (" Claude Code ", Some("Claude Code")),
            ("VS Code (lab)", Some("VS Code lab")),
            ("Claude (approved by ada)", None),
            (
                "Claude\u{201d} of ada. It returns to claude.ai. \u{201c}",
                Some("Claude of ada. It returns to claude.ai."),
            ),
            ("tuner (model x)\u{202e}\u{200b}", Some("tuner model x")),
            ("\u{200b}\u{feff}", None),
        ] {
            assert_eq!(plain_name(given).as_deref(), expected, "{given:?}");
        }
    }
}
