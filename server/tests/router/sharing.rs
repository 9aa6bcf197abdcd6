//! Share links: what they open, for whom, and how they end.
//!
//! - `guests`: guests beside others; `presenting`: a guest who follows a presentation; `embeds`: charts in pages of other sites.

mod embeds;
mod guests;
mod presenting;

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use server::live::clock::now_ms;
use store::NewLinkRecord;
use wire::access::link::LinkScope;
use wire::access::{Role, TokenKind};

use crate::lab::{Answer, Lab, ask};
use crate::run_table::run;

const LINKS: &str = "/api/v1/links";

/// A lab with the runs `fox` and `owl`.
async fn open() -> Lab {
    let lab = Lab::open().await;
    for (at, id) in ["fox", "owl"].into_iter().enumerate() {
        lab.state.store().create_run(&run(id, at as i64)).await.unwrap();
    }
    lab
}

fn fox() -> Value {
    json!({ "scope": { "runs": ["fox"] }, "path": "/runs/fox?x=tokens", "role": "view" })
}

fn with(mut link: Value, changes: Value) -> Value {
    link.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    link
}

fn embed(path: &str) -> Value {
    with(fox(), json!({ "path": path, "is_embed": true }))
}

/// Creates a link; returns it and its text.
async fn create(lab: &Lab, link: &Value) -> (Value, String) {
    let made = lab.post(LINKS, &lab.steer, &link.to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let made = made.json();
    (made["link"].clone(), made["text"].as_str().unwrap().to_owned())
}

async fn send(lab: &Lab, method: &str, path: &str, cookie: Option<&str>, form: &str) -> Answer {
    let mut request = ask(method, path, None).header("content-type", "application/x-www-form-urlencoded");
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    lab.send(request.body(Body::from(form.to_owned())).unwrap()).await
}

async fn get(lab: &Lab, path: &str) -> Answer {
    send(lab, "GET", path, None, "").await
}

/// Opens a link with a browser that has this cookie; returns the cookie that it has then.
async fn open_link(lab: &Lab, text: &str, cookie: Option<&str>) -> String {
    let answer = send(lab, "POST", &format!("/share/{text}"), cookie, "").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    match answer.headers.get("set-cookie") {
        Some(set) => set.to_str().unwrap().split(';').next().unwrap().to_owned(),
        None => cookie.unwrap().to_owned(),
    }
}

fn text_of(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[tokio::test]
async fn a_link_opens_its_page_for_a_guest_and_nothing_else() {
    let lab = open().await;
    let (link, text) = create(&lab, &fox()).await;
    assert_eq!((link["opened"].as_u64(), link["has_passphrase"].as_bool()), (Some(0), Some(false)));
    let path = format!("/share/{text}");
    for _ in 0..2 {
        let shown = get(&lab, &path).await;
        assert_eq!(shown.status, StatusCode::OK);
        assert!(text_of(&shown).contains("ada shares the run “fox” with you"), "{}", text_of(&shown));
        assert!(!shown.headers.contains_key("set-cookie"), "a preview changes nothing");
        assert_eq!(shown.headers["referrer-policy"], "strict-origin", "no address of a link is sent to another page");
        assert!(!text_of(&shown).contains(&text));
    }
    let opened = send(&lab, "POST", &path, None, "").await;
    assert_eq!(
        (opened.status, &opened.headers["location"]),
        (StatusCode::SEE_OTHER, &"../runs/fox?x=tokens".parse().unwrap())
    );
    let cookie = opened.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let api = async |method: &str, path: &str| send(&lab, method, &format!("/api/v1{path}"), Some(cookie), "").await;
    let me = api("GET", "/me").await.json();
    assert_eq!((me["kind"].as_str(), me["grants"]["runs"]["fox"].as_str()), (Some("guest"), Some("view")));
    assert!(me["name"].as_str().unwrap().starts_with("guest "), "{me}");
    let tokens = lab.get("/api/v1/tokens", &lab.admin).await.json();
    let guest = tokens.as_array().unwrap().iter().find(|token| token["kind"] == "guest").unwrap();
    assert_eq!(guest["role"], "view", "what the link gives, not the most that a link can give: {guest}");
    assert!(link["expires_ms"].as_i64().is_none_or(|end| guest["expires_ms"].as_i64() <= Some(end)), "{guest}");
    assert_eq!(api("GET", "/runs/fox").await.status, StatusCode::OK);
    assert_eq!(api("GET", "/runs/owl").await.code(), "not_found");
    assert_eq!(api("DELETE", "/runs/fox").await.code(), "forbidden");
    assert_eq!(api("GET", "/links").await.code(), "forbidden");
    open_link(&lab, &text, Some(cookie)).await;
    let listed = lab.get(LINKS, &lab.steer).await.json();
    assert_eq!(listed[0]["opened"], 1, "a browser that opens it again is counted once");
    assert!(!listed.to_string().contains(&text));
    assert_eq!(send(&lab, "POST", &path, Some(cookie), "").await.headers.get("set-cookie"), None);
}

#[tokio::test]
async fn a_second_link_adds_to_the_session_and_each_ends_by_itself() {
    let lab = open().await;
    let (first, text) = create(&lab, &fox()).await;
    let owl = json!({ "scope": { "runs": ["owl"] }, "path": "/runs/owl", "role": "steer" });
    let (second, other) = create(&lab, &owl).await;
    let cookie = open_link(&lab, &text, None).await;
    assert_eq!(open_link(&lab, &other, Some(&cookie)).await, cookie);
    let sees = async |run: &str| {
        send(&lab, "GET", &format!("/api/v1/runs/{run}"), Some(&cookie), "").await.status == StatusCode::OK
    };
    assert!(sees("fox").await && sees("owl").await);
    let mut revoked = lab.state.access.watch(0, None);
    let revoke = async |link: &Value, token: &str| lab.delete(&format!("{LINKS}/{}", link["id"]), token).await;
    assert_eq!(revoke(&first, &lab.view).await.status, StatusCode::NO_CONTENT, "another token of the same name");
    assert!(revoked.has_changed(), "open pages check what they may see");
    assert!(!sees("fox").await && sees("owl").await);
    assert_eq!(revoke(&first, &lab.admin).await.code(), "not_found");
    assert_eq!(get(&lab, &format!("/share/{text}")).await.status, StatusCode::GONE);
    let gone = send(&lab, "POST", &format!("/share/{text}"), Some(&cookie), "").await;
    assert_eq!(gone.status, StatusCode::GONE);
    assert!(text_of(&gone).contains("This link has ended"));
    assert_eq!(revoke(&second, &lab.admin).await.status, StatusCode::NO_CONTENT);
    let ended = send(&lab, "GET", "/api/v1/me", Some(&cookie), "").await;
    assert_eq!((ended.status, ended.code().as_str()), (StatusCode::UNAUTHORIZED, "link_ended"));

    // The session of someone who is signed in keeps its own rights.
    let sign_in = lab.state.store().add_token("eve", Role::View, TokenKind::SignIn, None).await.unwrap();
    let signed_in = send(&lab, "POST", &format!("/signin?token={sign_in}"), None, "").await;
    let session = signed_in.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let (_, text) = create(&lab, &with(fox(), json!({ "role": "steer" }))).await;
    assert_eq!(open_link(&lab, &text, Some(&session)).await, session);
    let me = send(&lab, "GET", "/api/v1/me", Some(&session), "").await.json();
    assert_eq!((&me["grants"]["lab"], &me["grants"]["runs"]["fox"]), (&json!("view"), &json!("steer")));
    let request = ask("POST", LINKS, None).header("cookie", &session).header("content-type", "application/json");
    let shared_on = lab.send(request.body(Body::from(fox().to_string())).unwrap()).await;
    assert_eq!(shared_on.code(), "forbidden", "what a link has opened is not shared further");
}

#[tokio::test]
async fn a_link_of_a_revoked_token_has_ended() {
    let lab = open().await;
    let made = lab.post("/api/v1/tokens", &lab.admin, r#"{"name": "ci", "role": "steer", "days": 3}"#).await.json();
    let (ci, id) = (made["text"].as_str().unwrap(), made["token"]["id"].as_i64().unwrap());
    let link = lab.post(LINKS, ci, &with(fox(), json!({ "role": "steer" })).to_string()).await.json();
    assert_eq!(link["link"]["expires_ms"], made["token"]["expires_ms"], "the list says when it ends");
    let text = link["text"].as_str().unwrap();
    let cookie = open_link(&lab, text, None).await;
    let get_fox = async || send(&lab, "GET", "/api/v1/runs/fox", Some(&cookie), "").await;
    assert_eq!(get_fox().await.status, StatusCode::OK);
    assert_eq!(lab.delete(&format!("/api/v1/tokens/{id}"), &lab.admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(get_fox().await.code(), "link_ended");
    assert_eq!(get(&lab, &format!("/share/{text}")).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn a_passphrase_is_asked_for_and_guesses_are_slowed() {
    let lab = open().await;
    let (link, text) = create(&lab, &with(fox(), json!({ "passphrase": "open sesame" }))).await;
    assert_eq!(link["has_passphrase"], true);
    let path = format!("/share/{text}");
    let shown = text_of(&get(&lab, &path).await);
    assert!(shown.contains("name=passphrase") && !shown.contains("fox"), "{shown}");
    for form in ["", "passphrase=", "passphrase=open+sesam", "passphrase=open+sesame+"] {
        let refused = send(&lab, "POST", &path, None, form).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{form:?}");
        assert!(text_of(&refused).contains("The passphrase is wrong."));
        assert!(!refused.headers.contains_key("set-cookie"));
    }
    let opened = send(&lab, "POST", &path, None, "passphrase=open+sesame").await;
    assert_eq!(opened.status, StatusCode::SEE_OTHER, "{opened:?}");
    for _ in 0..5 {
        send(&lab, "POST", &path, None, "passphrase=wrong").await;
    }
    let slowed = send(&lab, "POST", &path, None, "passphrase=open+sesame").await;
    assert_eq!(slowed.status, StatusCode::TOO_MANY_REQUESTS, "the right one too, so that it is not found by trying");
    assert!(text_of(&slowed).contains("too many attempts have failed"), "{}", text_of(&slowed));
    let stored = crate::tokens::bytes_on_disk(lab.folder.path());
    for secret in [text.as_str(), "open sesame"] {
        assert!(!stored.windows(secret.len()).any(|part| part == secret.as_bytes()), "only hashes are on disk");
    }
}

#[tokio::test]
async fn invalid_links_are_refused_with_their_field() {
    let lab = open().await;
    let many: Vec<String> = (0..17).map(|at| format!("run-{at}")).collect();
    for (changes, field) in [
        (json!({ "role": "admin" }), "role"),
        (json!({ "role": "worker" }), "role"),
        (json!({ "is_embed": true, "role": "steer" }), "role"),
        (json!({ "hours": 0 }), "hours"),
        (json!({ "hours": 8761 }), "hours"),
        (json!({ "passphrase": "abc" }), "passphrase"),
        (json!({ "is_embed": true, "passphrase": "abcdef" }), "passphrase"),
        (json!({ "scope": { "runs": [] } }), "scope"),
        (json!({ "scope": { "runs": many } }), "scope"),
        (json!({ "path": "https://evil.example/" }), "path"),
        (json!({ "path": "//evil.example" }), "path"),
        (json!({ "path": "/runs/owl" }), "path"),
        (json!({ "path": "/compare?runs=fox,owl" }), "path"),
        (json!({ "path": "/" }), "path"),
        (json!({ "path": "/settings" }), "path"),
        (json!({ "is_embed": true, "path": "/runs/fox/xray?view=interventions" }), "path"),
        (json!({ "scope": { "project": "default" }, "path": "/?project=other" }), "path"),
    ] {
        let refused = lab.post(LINKS, &lab.steer, &with(fox(), changes.clone()).to_string()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{changes}: {refused:?}");
        assert_eq!(refused.json()["field"], field, "{changes}");
    }
    let unknown = with(fox(), json!({ "scope": { "runs": ["nobody"] }, "path": "/runs/nobody" }));
    assert_eq!(lab.post(LINKS, &lab.steer, &unknown.to_string()).await.code(), "not_found");
    let unknown = with(fox(), json!({ "scope": { "project": "nothing" } }));
    assert_eq!(lab.post(LINKS, &lab.steer, &unknown.to_string()).await.code(), "not_found");
    assert_eq!(lab.post(LINKS, &lab.view, &fox().to_string()).await.code(), "forbidden");
    for path in ["/", "/?project=default", "/runs/owl", "/compare?runs=fox,owl"] {
        create(&lab, &with(fox(), json!({ "scope": { "project": "default" }, "path": path }))).await;
    }
}

#[tokio::test]
async fn an_expired_link_is_answered_as_one_that_never_existed() {
    let lab = open().await;
    let store = lab.state.store();
    // Late enough for the requests before it.
    let expires_ms = now_ms() + 5000;
    let new = NewLinkRecord {
        scope: LinkScope::Runs(vec!["fox".parse().unwrap()]),
        path: "/runs/fox".into(),
        role: Role::View,
        is_embed: false,
        passphrase: None,
        created_by: "ada".into(),
        person: None,
        token: None,
        expires_ms: Some(expires_ms),
    };
    let (text, _) = store.add_link(new.clone()).await.unwrap();
    let (image, _) = store.add_link(NewLinkRecord { is_embed: true, ..new }).await.unwrap();
    let cookie = open_link(&lab, &text, None).await;
    let token = cookie.split_once('=').unwrap().1.to_owned();
    let identity = store.identify(&token).await.unwrap().unwrap();
    assert!(identity.expires_ms.is_some_and(|at_ms| at_ms <= expires_ms), "open pages look again then");
    assert_eq!(get(&lab, &format!("/embed/{image}/image.svg")).await.status, StatusCode::OK);
    let left_ms = u64::try_from(expires_ms + 100 - now_ms()).unwrap_or(0);
    tokio::time::sleep(std::time::Duration::from_millis(left_ms)).await;
    let unknown = get(&lab, "/share/0123").await;
    let expired = get(&lab, &format!("/share/{text}")).await;
    assert_eq!((expired.status, &expired.body), (StatusCode::GONE, &unknown.body));
    assert_eq!(send(&lab, "GET", "/api/v1/runs/fox", Some(&cookie), "").await.code(), "link_ended");
    let ended = get(&lab, &format!("/embed/{image}/image.svg")).await;
    assert_eq!((ended.status, ended.body), (StatusCode::GONE, get(&lab, "/embed/0123/image.svg").await.body));
    assert_eq!(lab.get(LINKS, &lab.admin).await.json(), json!([]));
}

#[tokio::test]
async fn a_link_gives_no_more_than_its_creator_has_and_ends_with_them() {
    let lab = open().await;
    let invitation = json!({ "name": "bob", "role": "none", "projects": [{ "project": "default", "role": "steer" }] });
    let made = lab.post("/api/v1/invitations", &lab.admin, &invitation.to_string()).await.json();
    let accepted = json!({ "token": made["text"], "name": "bob", "password": "a long enough password" });
    let request = ask("POST", "/api/v1/invitations/accept", None).header("content-type", "application/json");
    let bob = lab.send(request.body(Body::from(accepted.to_string())).unwrap()).await;
    let id = bob.json()["person"].as_i64().unwrap();
    let bob = bob.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let make = async |link: Value| {
        let request = ask("POST", LINKS, None).header("cookie", &bob).header("content-type", "application/json");
        let made = lab.send(request.body(Body::from(link.to_string())).unwrap()).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        made.json()["text"].as_str().unwrap().to_owned()
    };
    let text = make(with(fox(), json!({ "role": "steer" }))).await;
    let image = make(embed("/runs/fox")).await;
    let cookie = open_link(&lab, &text, None).await;
    let role = async || {
        let me = send(&lab, "GET", "/api/v1/me", Some(&cookie), "").await;
        if me.status == StatusCode::OK { me.json()["grants"]["runs"]["fox"].clone() } else { json!(me.code()) }
    };
    assert_eq!(role().await, "steer");
    let member = format!("/api/v1/projects/default/members/{id}");
    let request = ask("PUT", &member, Some(&lab.admin)).header("content-type", "application/json");
    lab.send(request.body(Body::from(json!({ "role": "view" }).to_string())).unwrap()).await;
    assert_eq!(role().await, "view");
    assert_eq!(get(&lab, &format!("/embed/{image}")).await.status, StatusCode::OK);
    lab.delete(&member, &lab.admin).await;
    assert_eq!(role().await, "link_ended", "it would give the role again when bob gets another one");
    assert_eq!(get(&lab, &format!("/share/{text}")).await.status, StatusCode::GONE);
    let request = ask("PUT", &member, Some(&lab.admin)).header("content-type", "application/json");
    let back = lab.send(request.body(Body::from(json!({ "role": "steer" }).to_string())).unwrap()).await;
    assert_eq!(back.status, StatusCode::OK, "{back:?}");
    assert_eq!(role().await, "link_ended");
    assert_eq!(get(&lab, &format!("/embed/{image}/image.svg")).await.status, StatusCode::GONE);
    assert_eq!(lab.delete(&format!("/api/v1/people/{id}"), &lab.admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(role().await, "link_ended");
    assert_eq!(get(&lab, &format!("/share/{text}")).await.status, StatusCode::GONE);
}
