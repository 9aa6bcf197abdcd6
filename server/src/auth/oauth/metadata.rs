//! What a program reads to find the authorization server of a lab: RFC 9728 and RFC 8414. `lab` is the address of the lab with a slash at
//! its end, under which the program has reached it.

use serde_json::{Value, json};

/// Paths below the address of a lab.
pub const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";
pub const SERVER_METADATA: &str = "/.well-known/oauth-authorization-server";
pub const OPENID_METADATA: &str = "/.well-known/openid-configuration";
pub const AUTHORIZE: &str = "/oauth/authorize";
pub const CONSENT: &str = "/oauth/consent";
pub const REGISTER: &str = "/oauth/register";
pub const TOKEN: &str = "/oauth/token";
pub const REVOKE: &str = "/oauth/revoke";
pub const KEYS: &str = "/oauth/keys";

/// The address of `/mcp`, for which tokens are issued.
pub fn resource(lab: &str) -> String {
    format!("{lab}mcp")
}

/// The name of the lab as an issuer.
pub fn issuer(lab: &str) -> String {
    lab.trim_end_matches('/').to_owned()
}

/// The value of `WWW-Authenticate` in an answer to a request without a valid token.
pub fn challenge(lab: &str) -> String {
    format!("Bearer realm=\"kindling\", resource_metadata=\"{}{RESOURCE_METADATA}/mcp\"", issuer(lab))
}

/// The description of `/mcp` as a protected resource.
pub fn protected_resource(lab: &str) -> Value {
    json!({
        "resource": resource(lab),
        "authorization_servers": [issuer(lab)],
        "bearer_methods_supported": ["header"],
        "resource_name": "Kindling",
    })
}

/// The description of the authorization server. Clients are public: they prove by PKCE that a code was issued to them.
pub fn authorization_server(lab: &str) -> Value {
    let issuer = issuer(lab);
    let at = |path: &str| format!("{issuer}{path}");
    json!({
        "issuer": issuer,
        "authorization_endpoint": at(AUTHORIZE),
        "token_endpoint": at(TOKEN),
        "registration_endpoint": at(REGISTER),
        "revocation_endpoint": at(REVOKE),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    })
}

/// As [`authorization_server`], at the address of OpenID Connect Discovery. A lab under a path has only this one below its path, and
/// programs require these fields there. The lab issues no ID tokens, so the list of keys is empty.
pub fn openid(lab: &str) -> Value {
    let mut described = authorization_server(lab);
    described["jwks_uri"] = json!(format!("{}{KEYS}", issuer(lab)));
    described["subject_types_supported"] = json!(["public"]);
    described["id_token_signing_alg_values_supported"] = json!(["RS256"]);
    described
}
