//! Programs that connect to `/mcp` by OAuth: metadata, registration, the decision of a person, tokens, and what is refused.

use std::collections::HashMap;
use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use server::api::mcp::caller::query;
use store::{NewPerson, OAuthCode};
use wire::access::{AgentLimits, Role, TokenKind};

use crate::lab::{Answer, Lab, ask};
use crate::mcp;
use crate::tokens::bytes_on_disk;

const VERIFIER: &str = "verifier-of-the-test-verifier-of-the-test-1";
/// SHA-256 of the verifier.
const CHALLENGE: &str = "NKr2sDBB5DM5UJryVr7-2hkBoEjpDvHK9Qdl2nkdw44";
const REDIRECT: &str = "https://claude.example/callback?kind=mcp";
const RESOURCE: &str = "http://127.0.0.1:7878/mcp";
const ORIGIN: &str = "http://127.0.0.1:7878";

type Fields<'a> = &'a [(&'a str, &'a str)];

/// A form or a query; of a name that is given twice, the last value.
fn form(fields: Fields<'_>, changed: Fields<'_>) -> String {
    let all = fields.iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name)).chain(changed);
    query(all.map(|(name, value)| (*name, Some((*value).to_owned()))))
}

async fn get(lab: &Lab, path: &str) -> Answer {
    lab.send(ask("GET", path, None).body(Body::empty()).unwrap()).await
}

async fn post(lab: &Lab, path: &str, kind: &str, body: String) -> Answer {
    lab.send(ask("POST", path, None).header("content-type", kind).body(Body::from(body)).unwrap()).await
}

async fn register(lab: &Lab, new: Value) -> Answer {
    post(lab, "/oauth/register", "application/json", new.to_string()).await
}

/// Registers a program and returns its id.
async fn client(lab: &Lab) -> String {
    let made = register(lab, json!({ "client_name": "Claude", "redirect_uris": [REDIRECT], "scope": "x" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    made.json()["client_id"].as_str().unwrap().to_owned()
}

/// Somebody with an account, and the cookie of their browser.
async fn person(lab: &Lab, name: &str, role: Role) -> (i64, String) {
    let new = NewPerson { name: name.to_owned(), role: Some(role), ..NewPerson::default() };
    let id = lab.state.store().add_person(&new).await.unwrap().id;
    (id, cookie(lab, &lab.state.store().open_session(id).await.unwrap().0))
}

fn cookie(lab: &Lab, session: &str) -> String {
    format!("{}={session}", server::auth::cookie_name(lab.state.store().id()))
}

/// The address of the consent page for the request of a client.
fn consent(client: &str, changed: Fields<'_>) -> String {
    let fields = [
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", REDIRECT),
        ("state", "s 1&2"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("resource", RESOURCE),
    ];
    format!("/oauth/consent?{}", form(&fields, changed))
}

async fn open(lab: &Lab, cookie: &str, address: &str) -> Answer {
    lab.send(ask("GET", address, None).header("cookie", cookie).body(Body::empty()).unwrap()).await
}

async fn decide(lab: &Lab, cookie: &str, client: &str, decision: Fields<'_>) -> Answer {
    let request = ask("POST", &consent(client, &[]), None).header("cookie", cookie).header("origin", ORIGIN);
    lab.send(request.body(Body::from(form(decision, &[]))).unwrap()).await
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// What the address of a program has, to which a page leads.
fn returned(answer: &Answer) -> HashMap<String, String> {
    assert_eq!(answer.status, StatusCode::OK, "{}", text(answer));
    let page = text(answer);
    let address = page.split_once("0;url=").unwrap().1.split_once('"').unwrap().0.replace("&amp;", "&");
    let (redirect, answer) = address.split_at(REDIRECT.len());
    assert_eq!(redirect, REDIRECT, "{page}");
    let pairs = answer.split('&').filter_map(|pair| pair.split_once('='));
    let decoded = |value: &str| percent_decode_str(value).decode_utf8().unwrap().into_owned();
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

/// A code that somebody has approved.
async fn approved(lab: &Lab, cookie: &str, client: &str, mode: &str) -> String {
    let decision = [("decision", "approve"), ("mode", mode), ("device_hours", "2.5"), ("steps", "")];
    returned(&decide(lab, cookie, client, &decision).await)["code"].clone()
}

async fn exchange(lab: &Lab, client: &str, code: &str, changed: Fields<'_>) -> Answer {
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
        ("resource", RESOURCE),
    ];
    post(lab, "/oauth/token", "application/x-www-form-urlencoded", form(&fields, changed)).await
}

async fn refresh(lab: &Lab, client: &str, refresh_token: &str, changed: Fields<'_>) -> Answer {
    let fields = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", refresh_token)];
    post(lab, "/oauth/token", "application/x-www-form-urlencoded", form(&fields, changed)).await
}

/// Access token and refresh token of an answer.
fn tokens(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, StatusCode::OK, "{}", text(answer));
    let given = answer.json();
    assert_eq!((&given["token_type"], &given["expires_in"]), (&json!("Bearer"), &json!(3_600)));
    (given["access_token"].as_str().unwrap().to_owned(), given["refresh_token"].as_str().unwrap().to_owned())
}

/// Status and code of a refusal.
fn error(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

fn refused(code: &str) -> (u16, String) {
    (400, code.to_owned())
}

/// The status of a message to `/mcp` with a token.
async fn status(lab: &Lab, token: &str) -> StatusCode {
    mcp::send(lab, Some(token), &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_finds_the_lab_registers_and_gets_the_token_that_a_person_permits() {
    let lab = Lab::open().await;
    let (id, bob) = person(&lab, "bob", Role::Steer).await;
    let described = get(&lab, "/.well-known/oauth-protected-resource/mcp").await.json();
    assert_eq!((&described["resource"], &described["authorization_servers"]), (&json!(RESOURCE), &json!([ORIGIN])));
    let server = get(&lab, "/.well-known/oauth-authorization-server").await.json();
    assert_eq!(server["issuer"], ORIGIN);
    assert_eq!(server["token_endpoint"], format!("{ORIGIN}/oauth/token"));
    assert_eq!(server["code_challenge_methods_supported"], json!(["S256"]));
    let client = client(&lab).await;

    // The address that the program opens leads on by a request of this site, which has the cookie.
    let address = consent(&client, &[]);
    let led = text(&get(&lab, &address.replace("consent", "authorize")).await);
    assert!(led.contains("0;url=consent?response_type=code&amp;client_id="), "{led}");
    assert_eq!(get(&lab, &address).await.status, StatusCode::UNAUTHORIZED);
    let page = text(&open(&lab, &bob, &address).await);
    for part in ["“Claude”", "“bob”", "claude.example", "the role steer", "<option value=\"propose\" selected>"]
    {
        assert!(page.contains(part), "{part} in {page}");
    }
    for part in ["type=checkbox required", "value=\"approve\" class=primary>", "value=\"refuse\" formnovalidate>"] {
        assert!(page.contains(part), "one click does not approve: {part} in {page}");
    }

    // No code without the form of the page, sent by the browser of somebody who is signed in.
    let decision = || Body::from("decision=approve");
    let unsigned = lab.send(ask("POST", &address, None).body(decision()).unwrap()).await;
    assert_eq!(unsigned.status, StatusCode::UNAUTHORIZED);
    let foreign = ask("POST", &address, None).header("cookie", &bob).header("origin", "https://claude.example");
    assert_eq!(lab.send(foreign.body(decision()).unwrap()).await.code(), "origin_refused");
    let program = lab.send(ask("POST", &address, Some(&lab.admin)).body(decision()).unwrap()).await;
    assert_eq!(program.status, StatusCode::FORBIDDEN, "{program:?}");

    let decision = [("decision", "approve"), ("mode", "act"), ("device_hours", "2.5"), ("steps", "")];
    let given = returned(&decide(&lab, &bob, &client, &decision).await);
    assert_eq!((given["state"].as_str(), given["iss"].as_str()), ("s 1&2", ORIGIN));
    let answer = exchange(&lab, &client, &given["code"], &[]).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let (access, renewal) = tokens(&answer);
    assert_eq!(status(&lab, &access).await, StatusCode::OK);
    let agents = async || open(&lab, &bob, "/api/v1/agents").await.json();
    let agent = agents().await[0].clone();
    assert_eq!((&agent["name"], &agent["owner"], &agent["state"]), (&json!("Claude"), &json!("bob"), &json!("active")));
    assert_eq!(agent["limits"], json!({ "mode": "act", "budgets": { "device_hours": 2.5 } }));
    let stored = bytes_on_disk(lab.folder.path());
    for secret in [&client, &given["code"], &access, &renewal] {
        assert!(!stored.windows(secret.len()).any(|part| part == secret.as_bytes()), "only hashes are on disk");
    }

    // A refresh gives the same agent another token, once.
    let (second, next) = tokens(&refresh(&lab, &client, &renewal, &[("resource", RESOURCE)]).await);
    let repeated = tokens(&refresh(&lab, &client, &renewal, &[]).await);
    assert_eq!(repeated, (second.clone(), next.clone()), "the answer may have been lost");
    assert_eq!(status(&lab, &access).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&lab, &second).await, StatusCode::OK);
    assert_eq!(agents().await[0]["id"], agent["id"]);
    assert_eq!(error(&refresh(&lab, "other", &next, &[]).await), refused("invalid_grant"));
    assert_eq!(error(&refresh(&lab, &client, &next, &[("resource", ORIGIN)]).await), refused("invalid_target"));
    let (later, last) = tokens(&refresh(&lab, &client, &next, &[]).await);
    assert_eq!(error(&refresh(&lab, &client, &renewal, &[]).await), refused("invalid_grant"), "it was used");
    assert_eq!(status(&lab, &later).await, StatusCode::UNAUTHORIZED, "a copy may have been stolen");
    assert_eq!(error(&refresh(&lab, &client, &last, &[]).await), refused("invalid_grant"));

    // Two refreshes at a time have the same answer.
    let code = approved(&lab, &bob, &client, "propose").await;
    let (_, renewal) = tokens(&exchange(&lab, &client, &code, &[]).await);
    let (one, other) = tokio::join!(refresh(&lab, &client, &renewal, &[]), refresh(&lab, &client, &renewal, &[]));
    assert_eq!(tokens(&one), tokens(&other));
    assert_eq!(status(&lab, &tokens(&one).0).await, StatusCode::OK);

    // A code is used once too; approving again replaces the token of the program.
    let code = approved(&lab, &bob, &client, "propose").await;
    let (third, _) = tokens(&exchange(&lab, &client, &code, &[]).await);
    assert_eq!(error(&exchange(&lab, &client, &code, &[]).await), refused("invalid_grant"));
    assert_eq!(status(&lab, &third).await, StatusCode::UNAUTHORIZED);
    let code = approved(&lab, &bob, &client, "propose").await;
    let (fourth, _) = tokens(&exchange(&lab, &client, &code, &[]).await);
    let code = approved(&lab, &bob, &client, "propose").await;
    let (fifth, renewal) = tokens(&exchange(&lab, &client, &code, &[]).await);
    assert_eq!(status(&lab, &fourth).await, StatusCode::UNAUTHORIZED);

    let revoke = async |client: &str, token: &str| {
        let body = form(&[("token", token), ("client_id", client)], &[]);
        post(&lab, "/oauth/revoke", "application/x-www-form-urlencoded", body).await.status
    };
    assert_eq!(revoke("other", &fifth).await, StatusCode::OK);
    assert_eq!(status(&lab, &fifth).await, StatusCode::OK);
    assert_eq!(revoke(&client, &renewal).await, StatusCode::OK);
    assert_eq!(status(&lab, &fifth).await, StatusCode::UNAUTHORIZED);

    // A removed person's programs lose their access, and codes end too.
    let code = approved(&lab, &bob, &client, "read").await;
    let (last, renewal) = tokens(&exchange(&lab, &client, &code, &[]).await);
    let code = approved(&lab, &bob, &client, "read").await;
    lab.state.store().remove_person(id, None).await.unwrap();
    assert_eq!(status(&lab, &last).await, StatusCode::UNAUTHORIZED);
    assert_eq!(error(&refresh(&lab, &client, &renewal, &[]).await), refused("invalid_grant"));
    assert_eq!(error(&exchange(&lab, &client, &code, &[]).await), refused("invalid_grant"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_for_one_client_address_verifier_and_resource_and_ends_soon() {
    let lab = Lab::open().await;
    let (_, bob) = person(&lab, "bob", Role::Steer).await;
    let (client, other) = (client(&lab).await, client(&lab).await);
    let short = "x".repeat(43);
    for (changed, expected) in [
        (("code_verifier", short.as_str()), "invalid_grant"),
        (("code_verifier", CHALLENGE), "invalid_grant"),
        (("redirect_uri", "https://claude.example/other"), "invalid_grant"),
        (("client_id", other.as_str()), "invalid_grant"),
        (("resource", "https://other.example/mcp"), "invalid_target"),
    ] {
        let code = approved(&lab, &bob, &client, "act").await;
        assert_eq!(error(&exchange(&lab, &client, &code, &[changed]).await), refused(expected), "{changed:?}");
        assert_eq!(error(&exchange(&lab, &client, &code, &[]).await), refused("invalid_grant"), "{changed:?}: used up");
    }
    assert_eq!(error(&exchange(&lab, &client, "unknown", &[]).await), refused("invalid_grant"));
    let grant = [("grant_type", "password")];
    assert_eq!(error(&exchange(&lab, &client, "unknown", &grant).await), refused("unsupported_grant_type"));
    let known = lab.state.store().oauth_client(&client).await.unwrap().unwrap();
    let expired = OAuthCode {
        client: known.id,
        person: None,
        role: Role::Steer,
        limits: AgentLimits::default(),
        redirect: REDIRECT.to_owned(),
        challenge: CHALLENGE.to_owned(),
        resource: RESOURCE.to_owned(),
        expires_ms: 1,
    };
    let code = lab.state.store().issue_oauth_code(&expired).await.unwrap();
    let answer = exchange(&lab, &client, &code, &[]).await;
    assert_eq!(answer.json()["error_description"], "the code has expired");
    assert_eq!(lab.get("/api/v1/agents", &lab.admin).await.json(), json!([]), "nothing was created");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_permits_more_than_they_may_do_and_invalid_requests_lead_nowhere() {
    let lab = Lab::open().await;
    let (_, eve) = person(&lab, "eve", Role::View).await;
    let client = client(&lab).await;
    let code = approved(&lab, &eve, &client, "act").await;
    let (access, _) = tokens(&exchange(&lab, &client, &code, &[]).await);
    assert_eq!(lab.get("/api/v1/me", &access).await.json()["grants"]["lab"], "view");
    let started = lab.post("/api/v1/runs", &access, r#"{"preset": "tiny", "corpus": "play"}"#).await;
    assert_eq!(started.status, StatusCode::FORBIDDEN, "{started:?}");

    let refusal = returned(&decide(&lab, &eve, &client, &[("decision", "refuse")]).await);
    assert_eq!((refusal["error"].as_str(), refusal.get("code")), ("access_denied", None));
    let wrong = decide(&lab, &eve, &client, &[("decision", "approve"), ("device_hours", "-1")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", text(&wrong));
    for changed in [
        ("client_id", "unknown"),
        ("redirect_uri", "https://claude.example/callback"),
        ("response_type", "token"),
        ("code_challenge_method", "plain"),
        ("code_challenge", VERIFIER.get(1..).unwrap()),
        ("resource", "https://other.example/mcp"),
    ] {
        let answer = open(&lab, &eve, &consent(&client, &[changed])).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{changed:?}");
        assert!(!text(&answer).contains("url=") && !text(&answer).contains("<form"), "{changed:?}: {}", text(&answer));
    }
    // Without an account, only an admin of the lab can.
    for (role, expected) in [(Role::Steer, StatusCode::FORBIDDEN), (Role::Admin, StatusCode::OK)] {
        let store = lab.state.store();
        let link = store.add_token("dan", role, TokenKind::SignIn, None).await.unwrap();
        let (session, _) = store.sign_in(&link).await.unwrap().unwrap();
        let answer = open(&lab, &cookie(&lab, &session), &consent(&client, &[])).await;
        assert_eq!(answer.status, expected, "{role:?}: {}", text(&answer));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_agent_does_not_come_back_with_a_code_that_it_has_kept() {
    let lab = Lab::open().await;
    let (_, bob) = person(&lab, "bob", Role::Steer).await;
    let (_, eve) = person(&lab, "eve", Role::Steer).await;
    let client = client(&lab).await;
    let first = approved(&lab, &bob, &client, "act").await;
    let (access, renewal) = tokens(&exchange(&lab, &client, &first, &[]).await);
    let (kept, of_eve) = (approved(&lab, &bob, &client, "act").await, approved(&lab, &eve, &client, "act").await);
    let id = open(&lab, &bob, "/api/v1/agents").await.json()[0]["id"].clone();
    let stopped = lab.post(&format!("/api/v1/agents/{id}/stop"), &lab.admin, "").await;
    assert_eq!(stopped.json()["revoked"], 1, "{stopped:?}");
    assert_eq!(status(&lab, &access).await, StatusCode::UNAUTHORIZED);
    assert_eq!(error(&refresh(&lab, &client, &renewal, &[]).await), refused("invalid_grant"));
    assert_eq!(error(&exchange(&lab, &client, &kept, &[]).await), refused("invalid_grant"));
    assert_eq!(status(&lab, &tokens(&exchange(&lab, &client, &of_eve, &[]).await).0).await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_access_tokens_of_an_address_are_no_guesses() {
    let lab = Lab::open().await;
    let client = client(&lab).await;
    let mut texts = vec![];
    for name in ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"] {
        let (_, cookie) = person(&lab, name, Role::View).await;
        let code = approved(&lab, &cookie, &client, "read").await;
        let (_, renewal) = tokens(&exchange(&lab, &client, &code, &[]).await);
        let expired = lab.state.store().refresh_oauth_token(&renewal, &client, None, 1).await.unwrap();
        texts.push(expired.access);
    }
    let peer: SocketAddr = "192.0.2.1:4000".parse().unwrap();
    let from_peer = async |text: &str| {
        let request = ask("POST", "/mcp", Some(text)).extension(ConnectInfo(peer));
        lab.send(request.body(Body::empty()).unwrap()).await
    };
    for text in &texts {
        let answer = from_peer(text).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "access_expired"));
        assert!(answer.headers["www-authenticate"].to_str().unwrap().contains("resource_metadata="));
    }
    assert_eq!(from_peer("unknown").await.code(), "unauthorized");

    // Unknown codes are, and the answer says when to try again.
    let mut refusals = vec![];
    for guess in 0..20 {
        let body = form(&[("grant_type", "authorization_code"), ("code", &guess.to_string())], &[]);
        let request = ask("POST", "/oauth/token", None).extension(ConnectInfo(peer));
        let answer = lab.send(request.body(Body::from(body)).unwrap()).await;
        refusals.push((error(&answer), answer.headers.contains_key("retry-after")));
    }
    assert_eq!(refusals[0], (refused("invalid_grant"), false));
    assert!(refusals.contains(&((429, "temporarily_unavailable".to_owned()), true)), "{refusals:?}");
}

#[tokio::test]
async fn registrations_are_checked_and_bounded() {
    let lab = Lab::open().await;
    for (new, code) in [
        (json!({}), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["http://claude.example/callback"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": vec![REDIRECT; 11] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": [REDIRECT], "grant_types": ["implicit"] }), "invalid_client_metadata"),
        (json!({ "redirect_uris": REDIRECT }), "invalid_client_metadata"),
    ] {
        assert_eq!(error(&register(&lab, new.clone()).await), refused(code), "{new}");
    }
    let long = json!({ "redirect_uris": [REDIRECT], "client_name": "x".repeat(30_000) });
    assert_eq!(register(&lab, long).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let local = json!({ "redirect_uris": ["http://localhost:1/callback"], "token_endpoint_auth_method": "none" });
    let made = register(&lab, local.clone()).await.json();
    assert_eq!(
        (&made["client_name"], &made["token_endpoint_auth_method"]),
        (&json!("localhost:1"), &json!("none")),
        "{made:#}"
    );
    let forged = json!({ "redirect_uris": [REDIRECT], "client_name": "Claude (approved by ada)" });
    assert_eq!(register(&lab, forged).await.json()["client_name"], "claude.example");
    for _ in 2..20 {
        client(&lab).await;
    }
    assert_eq!(error(&register(&lab, local).await), (429, "temporarily_unavailable".to_owned()));
}

#[tokio::test]
async fn a_lab_behind_a_proxy_describes_its_public_address() {
    let lab =
        Lab::open_with(|settings| settings.public_url = Some("https://lab.example.org/x/".parse().unwrap())).await;
    let get = async |path: &str| {
        let request = axum::http::Request::builder().uri(path).header("host", "lab.example.org");
        lab.send(request.body(Body::empty()).unwrap()).await
    };
    let described = get("/x/.well-known/oauth-protected-resource/mcp").await.json();
    assert_eq!(described["resource"], "https://lab.example.org/x/mcp");
    assert_eq!(described["authorization_servers"], json!(["https://lab.example.org/x"]));
    for path in ["/.well-known/oauth-authorization-server/x", "/x/.well-known/openid-configuration"] {
        let server = get(path).await.json();
        assert_eq!(server["issuer"], "https://lab.example.org/x", "{path}");
        assert_eq!(server["authorization_endpoint"], "https://lab.example.org/x/oauth/authorize", "{path}");
    }
    let challenge = get("/x/mcp").await.headers["www-authenticate"].to_str().unwrap().to_owned();
    let metadata = "resource_metadata=\"https://lab.example.org/x/.well-known/oauth-protected-resource/mcp\"";
    assert!(challenge.starts_with("Bearer ") && challenge.ends_with(metadata), "{challenge}");
}
