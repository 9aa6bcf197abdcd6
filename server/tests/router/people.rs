//! People, invitations, projects and their own tokens: what each may do, and that it ends at once.

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use std::net::SocketAddr;

use crate::lab::{Answer, Lab, ask};
use crate::run_table::run;

const PASSWORD: &str = "correct horse battery";

/// A browser that may be signed in.
struct Browser<'a> {
    lab: &'a Lab,
    cookie: String,
}

impl<'a> Browser<'a> {
    /// Somebody who accepts a new invitation.
    async fn invited(lab: &'a Lab, name: &str, role: &str, projects: Value) -> Self {
        let made = invite(lab, &lab.admin, json!({ "name": name, "role": role, "projects": projects })).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        let answer = accept(lab, made.json()["text"].as_str().unwrap(), name).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        Self { lab, cookie: cookie_of(&answer) }
    }

    async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let request = ask(method, &format!("/api/v1{path}"), None).header("cookie", &self.cookie);
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.lab.send(request.unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    async fn person(&self) -> i64 {
        self.get("/me").await.json()["person"].as_i64().unwrap()
    }

    async fn token(&self, new: Value) -> String {
        let made = self.send("POST", "/me/tokens", Some(new)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        made.json()["text"].as_str().unwrap().to_owned()
    }
}

fn cookie_of(answer: &Answer) -> String {
    answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

async fn invite(lab: &Lab, token: &str, invitation: Value) -> Answer {
    lab.post("/api/v1/invitations", token, &invitation.to_string()).await
}

async fn post(lab: &Lab, path: &str, body: &Value) -> Answer {
    let request = ask("POST", &format!("/api/v1{path}"), None).header("content-type", "application/json");
    lab.send(request.body(Body::from(body.to_string())).unwrap()).await
}

async fn accept(lab: &Lab, text: &str, name: &str) -> Answer {
    post(lab, "/invitations/accept", &json!({ "token": text, "name": name, "password": PASSWORD })).await
}

async fn sign_in(lab: &Lab, name: &str, password: &str) -> Answer {
    post(lab, "/session/password", &json!({ "name": name, "password": password })).await
}

async fn project(lab: &Lab, name: &str) {
    let made = lab.post("/api/v1/projects", &lab.admin, &json!({ "name": name }).to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invited_person_creates_an_account_once_and_signs_in_with_their_password() {
    let lab = Lab::open().await;
    let info = || async { lab.send(ask("GET", "/api/v1/session", None).body(Body::empty()).unwrap()).await.json() };
    assert_eq!(info().await["has_passwords"], false);
    let made = invite(&lab, &lab.admin, json!({ "name": "bob", "role": "steer" })).await.json();
    let text = made["text"].as_str().unwrap();
    let preview = async |text: &str| {
        let path = format!("/api/v1/invitations/preview?token={text}");
        lab.send(ask("GET", &path, None).body(Body::empty()).unwrap()).await
    };
    assert_eq!(preview(text).await.json()["name"], "bob");
    let short = post(&lab, "/invitations/accept", &json!({ "token": text, "name": "bob", "password": "short" })).await;
    assert_eq!((short.status, short.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "password_invalid"));
    let accepted = accept(&lab, text, "bob").await;
    assert_eq!(accepted.status, StatusCode::OK);
    let me = accepted.json();
    assert_eq!((&me["name"], &me["grants"]["lab"], &me["is_shared"]), (&json!("bob"), &json!("steer"), &json!(true)));
    let cookie = accepted.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    for gone in [accept(&lab, text, "bob 2").await, preview(text).await, preview("unknown").await] {
        assert_eq!((gone.status, gone.code().as_str()), (StatusCode::GONE, "invitation_gone"));
    }
    assert_eq!(info().await["has_passwords"], true);
    assert_eq!(sign_in(&lab, " BOB ", PASSWORD).await.status, StatusCode::OK);
    let stored = crate::tokens::bytes_on_disk(lab.folder.path());
    for secret in [text, PASSWORD] {
        assert!(!stored.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret} is on disk");
    }
    let other = invite(&lab, &lab.admin, json!({ "name": "eve", "role": "view" })).await.json();
    let taken = accept(&lab, other["text"].as_str().unwrap(), "Bob").await;
    assert_eq!((taken.status, taken.code().as_str()), (StatusCode::CONFLICT, "person_exists"));
    let id = other["invitation"]["id"].as_i64().unwrap();
    assert_eq!(lab.delete(&format!("/api/v1/invitations/{id}"), &lab.admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(accept(&lab, other["text"].as_str().unwrap(), "eve").await.status, StatusCode::GONE, "revoked");
    for (invitation, code) in [
        (json!({ "name": "eve", "days": 91 }), "days_invalid"),
        (json!({ "name": "eve", "projects": [{ "project": "nothing", "role": "view" }] }), "not_found"),
        (json!({ "name": "eve", "projects": [{ "project": "default", "role": "worker" }] }), "role_invalid"),
    ] {
        assert_eq!(invite(&lab, &lab.admin, invitation.clone()).await.code(), code, "{invitation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_of_passwords_wait_longer_and_longer_also_for_names_that_do_not_exist() {
    let lab = Lab::open().await;
    Browser::invited(&lab, "bob", "view", json!([])).await;
    for name in ["bob", "nobody"] {
        for _ in 0..5 {
            let wrong = sign_in(&lab, name, "wrong wrong wrong").await;
            assert_eq!((wrong.status, wrong.code().as_str()), (StatusCode::UNAUTHORIZED, "unauthorized"), "{name}");
        }
        let waits = sign_in(&lab, name, PASSWORD).await;
        assert_eq!((waits.status, waits.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "too_many_failures"));
        assert_eq!(waits.headers["retry-after"], "1");
    }
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(sign_in(&lab, "bob", PASSWORD).await.status, StatusCode::OK);
    assert_eq!(sign_in(&lab, "bob", "wrong wrong wrong").await.status, StatusCode::UNAUTHORIZED, "forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_of_tokens_are_slowed_down_and_valid_tokens_are_not() {
    let lab = Lab::open().await;
    let from = |address: &str, token: &str| {
        let peer: SocketAddr = format!("{address}:4000").parse().unwrap();
        lab.send(ask("GET", "/api/v1/me", Some(token)).extension(ConnectInfo(peer)).body(Body::empty()).unwrap())
    };
    for _ in 0..20 {
        assert_eq!(from("192.0.2.1", "expired").await.status, StatusCode::UNAUTHORIZED, "the same one is no guess");
    }
    let mut statuses = vec![];
    for guess in 0..8 {
        statuses.push(from("192.0.2.1", &format!("guess {guess}")).await.status);
    }
    assert!(statuses.contains(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
    assert_eq!(from("192.0.2.1", &lab.view).await.status, StatusCode::OK);
    assert_eq!(from("192.0.2.2", "guess").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lowered_role_and_a_removed_person_count_at_once_everywhere() {
    let lab = Lab::open().await;
    let bob = Browser::invited(&lab, "bob", "admin", json!([])).await;
    let (id, token) = (bob.person().await, bob.token(json!({ "name": "script", "role": "admin" })).await);
    assert_eq!(lab.get("/api/v1/tokens", &token).await.status, StatusCode::OK);
    let change = async |body: Value| lab.patch(&format!("/api/v1/people/{id}"), &lab.admin, &body.to_string()).await;
    assert_eq!(change(json!({ "role": "view", "name": "bob b" })).await.json()["name"], "bob b");
    assert_eq!(lab.get("/api/v1/tokens", &token).await.code(), "forbidden", "a token has at most the owner's role");
    assert_eq!(lab.get("/api/v1/me", &token).await.json()["name"], "bob b");
    assert_eq!(change(json!({ "role": "none" })).await.status, StatusCode::OK);
    assert_eq!(lab.get("/api/v1/runs/amber-fox", &token).await.code(), "not_found");
    let listed = lab.get("/api/v1/people", &lab.admin).await.json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert!(listed[0]["seen_ms"].as_i64().is_some() && listed[0]["has_password"] == true, "{listed}");
    assert_eq!(lab.delete(&format!("/api/v1/people/{id}"), &lab.admin).await.status, StatusCode::NO_CONTENT);
    for status in [bob.get("/me").await.status, lab.get("/api/v1/me", &token).await.status] {
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(sign_in(&lab, "bob b", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(lab.delete(&format!("/api/v1/people/{id}"), &lab.admin).await.code(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_can_neither_remove_nor_lower_their_own_account() {
    let lab = Lab::open().await;
    let bob = Browser::invited(&lab, "bob", "admin", json!([])).await;
    let path = format!("/people/{}", bob.person().await);
    assert_eq!(bob.send("DELETE", &path, None).await.code(), "own_account");
    assert_eq!(bob.send("PATCH", &path, Some(json!({ "role": "view" }))).await.code(), "own_account");
    assert_eq!(bob.send("PATCH", &path, Some(json!({ "name": "rob" }))).await.json()["name"], "rob");
    Browser::invited(&lab, "eve", "view", json!([])).await;
    assert_eq!(bob.send("PATCH", &path, Some(json!({ "name": "EVE" }))).await.code(), "person_exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_limited_to_a_project_reaches_nothing_else_and_creates_nothing() {
    let lab = Lab::open().await;
    for (at, name) in ["vision", "speech"].into_iter().enumerate() {
        project(&lab, name).await;
        let mut new = run(&format!("{name}-run"), at as i64);
        new.spec.project = Some(name.to_owned());
        lab.state.store().create_run(&new).await.unwrap();
    }
    let bob = Browser::invited(&lab, "bob", "admin", json!([])).await;
    let token = bob.token(json!({ "name": "script", "role": "admin", "projects": ["vision"] })).await;
    assert_eq!(lab.get("/api/v1/runs/vision-run", &token).await.status, StatusCode::OK);
    assert_eq!(lab.get("/api/v1/runs/speech-run", &token).await.code(), "not_found");
    assert_eq!(lab.get("/api/v1/runs", &token).await.json().as_array().unwrap().len(), 1);
    let projects = lab.get("/api/v1/projects", &token).await.json();
    assert_eq!((projects.as_array().unwrap().len(), &projects[0]["name"]), (1, &json!("vision")));
    assert_eq!(lab.get("/api/v1/tokens", &token).await.code(), "forbidden");
    let more = json!({ "name": "more", "role": "admin" }).to_string();
    assert_eq!(lab.post("/api/v1/me/tokens", &token, &more).await.code(), "session_needed");
    let sessions = bob.get("/me/sessions").await.json();
    assert_eq!((sessions.as_array().unwrap().len(), &sessions[0]["is_own"]), (1, &json!(true)));
    Browser::invited(&lab, "eve", "view", json!([])).await;
    let all = lab.get("/api/v1/tokens", &lab.admin).await.json();
    let of_eve = all.as_array().unwrap().iter().find(|token| token["name"] == "eve").unwrap();
    assert_eq!(of_eve["role"], "view", "a session has the role of the person");
    let session = format!("/api/v1/me/sessions/{}", sessions[0]["id"]);
    assert_eq!(lab.delete(&session, &token).await.code(), "session_needed");
    let tokens = bob.get("/me/tokens").await.json();
    assert_eq!((&tokens[0]["name"], &tokens[0]["projects"]), (&json!("script"), &json!(["vision"])));
    assert!(tokens[0]["used_ms"].as_i64().is_some(), "{tokens}");
    assert_eq!(
        bob.send("DELETE", &format!("/me/tokens/{}", tokens[0]["id"]), None).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(lab.get("/api/v1/me", &token).await.status, StatusCode::UNAUTHORIZED);
    let of_lab = lab.post("/api/v1/me/tokens", &lab.admin, r#"{"name": "x", "role": "view"}"#).await;
    assert_eq!(of_lab.code(), "no_account");
    assert_eq!(lab.delete(&session, &lab.admin).await.code(), "not_found", "a session of somebody else");
    let invalid = bob.send("POST", "/me/tokens", Some(json!({ "name": "x", "role": "view", "projects": [] }))).await;
    assert_eq!(invalid.code(), "projects_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_program_gives_no_rights_that_outlive_it_and_sees_nothing_else_of_its_owner() {
    let lab = Lab::open().await;
    project(&lab, "vision").await;
    project(&lab, "speech").await;
    let admin = |project: &str| json!({ "project": project, "role": "admin" });
    let bob = Browser::invited(&lab, "bob", "none", json!([admin("vision"), admin("speech")])).await;
    let token = bob.token(json!({ "name": "script", "role": "admin", "projects": ["vision"] })).await;
    bob.token(json!({ "name": "other", "role": "view" })).await;
    let eve = Browser::invited(&lab, "eve", "none", json!([{ "project": "vision", "role": "view" }])).await;
    assert_eq!(lab.get("/api/v1/me/sessions", &token).await.json(), json!([]));
    let listed = lab.get("/api/v1/me/tokens", &token).await.json();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["is_own"]), (1, &json!(true)));
    let people = lab.get("/api/v1/people", &token).await.json();
    assert!(!people.to_string().contains("speech"), "{people}");
    assert_eq!(people[0]["projects"], json!([admin("vision")]), "{people}");
    let send = async |method: &str, path: &str, body: Value| {
        let request = ask(method, &format!("/api/v1{path}"), Some(&token)).header("content-type", "application/json");
        lab.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let member = format!("/projects/vision/members/{}", eve.person().await);
    for answer in [
        send("POST", "/invitations", json!({ "name": "ida", "projects": [admin("vision")] })).await,
        send("PUT", &member, json!({ "role": "admin" })).await,
    ] {
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::CONFLICT, "session_needed"), "{answer:?}");
    }
    let link = json!({ "scope": { "project": "vision" }, "path": "/", "role": "steer" });
    let made = send("POST", "/links", link.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!(bob.send("POST", "/links", Some(link)).await.status, StatusCode::CREATED);
    assert_eq!(lab.get("/api/v1/links", &token).await.json().as_array().unwrap().len(), 2, "an admin of the project");
    let share = format!("/share/{}", made.json()["text"].as_str().unwrap());
    let shown = async || lab.send(ask("GET", &share, None).body(Body::empty()).unwrap()).await.status;
    assert_eq!(shown().await, StatusCode::OK);
    let path = format!("/me/tokens/{}", listed[0]["id"]);
    assert_eq!(bob.send("DELETE", &path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(shown().await, StatusCode::GONE);

    let ida = Browser::invited(&lab, "ida", "admin", json!([])).await;
    let token = ida.token(json!({ "name": "script", "role": "admin" })).await;
    let person = format!("/api/v1/people/{}", eve.person().await);
    for answer in [
        lab.post("/api/v1/tokens", &token, r#"{"name": "x", "role": "admin"}"#).await,
        lab.post("/api/v1/pools/gpu-lab/join-tokens", &token, "{}").await,
        lab.post(&format!("{person}/reset"), &token, "").await,
        lab.patch(&person, &token, r#"{"role": "admin"}"#).await,
    ] {
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::CONFLICT, "session_needed"), "{answer:?}");
    }
    assert_eq!(lab.patch(&person, &token, r#"{"name": "eva"}"#).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_needs_the_present_one_and_ends_the_other_browsers() {
    let lab = Lab::open().await;
    let bob = Browser::invited(&lab, "bob", "view", json!([])).await;
    let other = Browser { lab: &lab, cookie: cookie_of(&sign_in(&lab, "bob", PASSWORD).await) };
    let set = |present: &str, new: &str| {
        bob.send("PUT", "/me/password", Some(json!({ "present": present, "password": new })))
    };
    assert_eq!(set("wrong wrong wrong", "another long password").await.code(), "password_wrong");
    assert_eq!(set(PASSWORD, "short").await.code(), "password_invalid");
    assert_eq!(other.get("/me").await.status, StatusCode::OK);
    assert_eq!(set(PASSWORD, "another long password").await.status, StatusCode::NO_CONTENT);
    assert_eq!(
        (bob.get("/me").await.status, other.get("/me").await.status),
        (StatusCode::OK, StatusCode::UNAUTHORIZED)
    );
    assert_eq!(sign_in(&lab, "bob", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(sign_in(&lab, "bob", "another long password").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_password_is_set_again_with_a_link_that_works_once() {
    let lab = Lab::open().await;
    let bob = Browser::invited(&lab, "bob", "view", json!([])).await;
    let path = format!("/api/v1/people/{}/reset", bob.person().await);
    let made = lab.post(&path, &lab.admin, "").await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!(bob.get("/me").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(sign_in(&lab, "bob", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    let link = json!({ "token": made.json()["text"] });
    let entered = post(&lab, "/session", &link).await;
    assert_eq!((&entered.json()["name"], &entered.json()["grants"]["lab"]), (&json!("bob"), &json!("view")));
    let bob = Browser { lab: &lab, cookie: cookie_of(&entered) };
    let set = bob.send("PUT", "/me/password", Some(json!({ "password": "another long password" }))).await;
    assert_eq!(set.status, StatusCode::NO_CONTENT, "{set:?}");
    assert_eq!(sign_in(&lab, "bob", "another long password").await.status, StatusCode::OK);
    assert_eq!(post(&lab, "/session", &link).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_reset_and_a_new_password_end_the_links_of_earlier_resets() {
    let lab = Lab::open().await;
    let bob = Browser::invited(&lab, "bob", "view", json!([])).await;
    let path = format!("/api/v1/people/{}/reset", bob.person().await);
    let reset = async || json!({ "token": lab.post(&path, &lab.admin, "").await.json()["text"] });
    let (first, second) = (reset().await, reset().await);
    assert_eq!(post(&lab, "/session", &first).await.status, StatusCode::UNAUTHORIZED, "a later reset ends it");
    let entered = post(&lab, "/session", &second).await;
    assert_eq!(entered.status, StatusCode::OK, "{entered:?}");
    let bob = Browser { lab: &lab, cookie: cookie_of(&entered) };
    let person = bob.person().await;
    let expires_ms = Some(4_000_000_000_000);
    let (third, _) = lab.state.store().reset_password(person, expires_ms, None).await.unwrap();
    let (_, identity) = lab.state.store().open_session(person).await.unwrap();
    lab.state.store().set_password(person, "$argon2id$...", identity.token_id).await.unwrap();
    let ended = post(&lab, "/session", &json!({ "token": third })).await;
    assert_eq!(ended.status, StatusCode::UNAUTHORIZED, "a new password ends it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_of_a_project_manages_its_people_and_nobody_elses() {
    let lab = Lab::open().await;
    project(&lab, "vision").await;
    project(&lab, "speech").await;
    let of = |project: &str, role: &str| json!([{ "project": project, "role": role }]);
    let ada = Browser::invited(&lab, "ada", "none", of("vision", "admin")).await;
    let bob = Browser::invited(&lab, "bob", "none", of("speech", "view")).await;
    let invite = |invitation: Value| ada.send("POST", "/invitations", Some(invitation));
    let made = invite(json!({ "name": "eve", "projects": of("vision", "steer") })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!(
        invite(json!({ "name": "eve", "role": "view", "projects": of("vision", "view") })).await.code(),
        "forbidden"
    );
    assert_eq!(invite(json!({ "name": "eve" })).await.code(), "forbidden");
    assert_eq!(invite(json!({ "name": "eve", "projects": of("speech", "view") })).await.code(), "not_found");
    assert_eq!(ada.get("/invitations").await.json().as_array().unwrap().len(), 1);
    assert_eq!(bob.get("/invitations").await.json(), json!([]));
    let id = made.json()["invitation"]["id"].as_i64().unwrap();
    assert_eq!(bob.send("DELETE", &format!("/invitations/{id}"), None).await.code(), "not_found");
    let names = |answer: Answer| {
        let people = answer.json();
        people.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(ada.get("/people").await), ["ada"]);
    assert_eq!(names(bob.get("/people").await), ["bob"]);
    let member = format!("/projects/vision/members/{}", bob.person().await);
    assert_eq!(bob.send("PUT", &member, Some(json!({ "role": "admin" }))).await.code(), "not_found");
    let hidden = ada.send("PUT", &member, Some(json!({ "role": "steer" }))).await;
    assert_eq!((hidden.status, hidden.code().as_str()), (StatusCode::NOT_FOUND, "not_found"), "ada may not see bob");
    let unknown = ada.send("PUT", "/projects/vision/members/999", Some(json!({ "role": "steer" }))).await;
    let (id, text) = (bob.person().await.to_string(), |answer: &Answer| answer.json()["message"].to_string());
    assert_eq!(text(&hidden).replace(&id, "999"), text(&unknown));
    let request = ask("PUT", &format!("/api/v1{member}"), Some(&lab.admin)).header("content-type", "application/json");
    let by_admin = lab.send(request.body(Body::from(r#"{ "role": "view" }"#)).unwrap()).await;
    assert_eq!(by_admin.status, StatusCode::OK, "{by_admin:?}");
    let added = ada.send("PUT", &member, Some(json!({ "role": "steer" }))).await.json();
    assert_eq!(added["people"].as_array().unwrap().len(), 2, "{added}");
    assert_eq!(bob.get("/me").await.json()["grants"]["projects"], json!({ "speech": "view", "vision": "steer" }));
    assert_eq!(names(bob.get("/people").await), ["ada", "bob"]);
    let ada_seen = bob.get("/people").await.json();
    assert_eq!((&ada_seen[0]["seen_ms"], &ada_seen[0]["projects"]), (&Value::Null, &of("vision", "admin")));
    assert_eq!(ada.send("PUT", &member, Some(json!({ "role": "worker" }))).await.code(), "role_invalid");
    assert_eq!(ada.send("DELETE", &member, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(bob.get("/me").await.json()["grants"]["projects"], json!({ "speech": "view" }));
    assert_eq!(ada.send("DELETE", &member, None).await.code(), "not_found");
    let unknown = lab.delete("/api/v1/projects/nope/members/1", &lab.admin).await;
    assert_eq!(unknown.json()["message"], "unknown project \"nope\"", "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_ends_when_its_creator_is_removed_or_lowered() {
    let lab = Lab::open().await;
    project(&lab, "vision").await;
    let ada = Browser::invited(&lab, "ada l", "admin", json!([])).await;
    let vision = json!([{ "project": "vision", "role": "admin" }]);
    let bob = Browser::invited(&lab, "bob", "none", vision.clone()).await;
    let text = |made: &Answer| made.json()["text"].as_str().unwrap().to_owned();
    let of_lab = text(&ada.send("POST", "/invitations", Some(json!({ "name": "x", "role": "admin" }))).await);
    let of_project = text(&bob.send("POST", "/invitations", Some(json!({ "name": "y", "projects": vision }))).await);
    let member = format!("/api/v1/projects/vision/members/{}", bob.person().await);
    let ada = format!("/api/v1/people/{}", ada.person().await);
    assert_eq!(lab.delete(&ada, &lab.admin).await.status, StatusCode::NO_CONTENT);
    let put = ask("PUT", &member, Some(&lab.admin)).header("content-type", "application/json");
    assert_eq!(lab.send(put.body(Body::from(r#"{"role":"view"}"#)).unwrap()).await.status, StatusCode::OK);
    for text in [of_lab, of_project] {
        let gone = accept(&lab, &text, "eve").await;
        assert_eq!((gone.status, gone.code().as_str()), (StatusCode::GONE, "invitation_gone"));
    }
    assert_eq!(lab.get("/api/v1/invitations", &lab.admin).await.json(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_and_tokens_with_too_many_or_too_long_projects_are_refused() {
    let lab = Lab::open().await;
    let member = |project: String| json!({ "project": project, "role": "view" });
    let many: Vec<Value> = (0..101).map(|at| member(format!("p{at}"))).collect();
    let refused = invite(&lab, &lab.admin, json!({ "name": "x", "projects": many })).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "projects_invalid"));
    assert!(refused.json()["hint"].is_string(), "{refused:?}");
    let same: Vec<Value> = (0..500).map(|_| member("default".to_owned())).collect();
    let made = invite(&lab, &lab.admin, json!({ "name": "x", "projects": same })).await;
    assert_eq!(made.json()["invitation"]["projects"], json!([member("default".to_owned())]));
    let bob = Browser::invited(&lab, "bob", "view", json!([])).await;
    let token = |project: String| json!({ "name": "x", "role": "view", "projects": [project] });
    let refused = bob.send("POST", "/me/tokens", Some(token("p".repeat(41)))).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "projects_invalid"));
    for _ in 0..100 {
        bob.token(token("p".repeat(40))).await;
    }
    let refused = bob.send("POST", "/me/tokens", Some(token("default".to_owned()))).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::CONFLICT, "tokens_full"));
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_a_project_are_checked_shown_and_refuse_what_exceeds_the_disk() {
    let lab = Lab::open().await;
    let create = async |body: Value| lab.post("/api/v1/projects", &lab.admin, &body.to_string()).await;
    assert_eq!(create(json!({ "name": "vision", "limits": { "disk_bytes": 10 } })).await.status, StatusCode::CREATED);
    assert_eq!(create(json!({ "name": "vision" })).await.code(), "project_exists");
    assert_eq!(create(json!({ "name": "Vision" })).await.code(), "name_invalid");
    assert_eq!(create(json!({ "name": "x", "limits": { "device_hours": -1 } })).await.code(), "limit_invalid");
    let text = "Once upon a time there was a text. ".repeat(2000);
    let first = lab.upload("name=first&project=vision", text.as_bytes()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    let limit = async |body: Value| lab.patch("/api/v1/projects/vision", &lab.admin, &body.to_string()).await;
    assert_eq!(limit(json!({ "disk_bytes": 0 })).await.json()["limits"]["disk_bytes"], 0);
    let refused = lab.upload("name=second&project=vision", text.as_bytes()).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::CONFLICT, "disk_limit"), "{refused:?}");
    let spec = json!({ "preset": "tiny", "corpus": "first", "project": "vision" }).to_string();
    let refused = lab.post("/api/v1/runs", &lab.steer, &spec).await;
    assert!(
        refused.code() == "disk_limit" && refused.json()["hint"].as_str().unwrap().contains("delete"),
        "{refused:?}"
    );
    assert_eq!(limit(json!({})).await.json()["limits"]["disk_bytes"], Value::Null);
    let listed = lab.get("/api/v1/projects", &lab.view).await.json();
    let vision = listed.as_array().unwrap().iter().find(|one| one["name"] == "vision").unwrap();
    assert_eq!(
        (&listed[0]["name"], &vision["role"], &vision["usage"]["runs"]),
        (&json!("default"), &json!("view"), &json!(0))
    );
    assert_eq!(lab.delete("/api/v1/projects/vision", &lab.admin).await.code(), "project_in_use");
    assert_eq!(lab.delete("/api/v1/projects/default", &lab.admin).await.code(), "project_in_use");
    project(&lab, "empty").await;
    assert_eq!(lab.delete("/api/v1/projects/empty", &lab.admin).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_names_who_did_what_and_has_no_secrets() {
    let lab = Lab::open().await;
    let bob = Browser::invited(&lab, "=bob", "view", json!([])).await;
    bob.send("POST", "/tokens", Some(json!({ "name": "x", "role": "admin" }))).await;
    sign_in(&lab, "=bob", "wrong wrong wrong").await;
    lab.post("/api/v1/plan", &lab.view, "{}").await;
    bob.get("/runs").await;
    let link = lab.post("/api/v1/tokens", &lab.admin, r#"{"name": "eve", "role": "view", "sign_in": true}"#).await;
    let text = link.json()["text"].as_str().unwrap().to_owned();
    let peer: SocketAddr = "192.0.2.7:4000".parse().unwrap();
    let used = ask("POST", &format!("/signin?token={text}"), None).extension(ConnectInfo(peer));
    assert_eq!(lab.send(used.body(Body::empty()).unwrap()).await.status, StatusCode::SEE_OTHER);
    let foreign = Request::builder().method("POST").uri("/api/v1/runs").header("host", "evil.example");
    lab.send(foreign.body(Body::empty()).unwrap()).await;
    let page = lab.get("/api/v1/audit", &lab.admin).await.json();
    let entries: Vec<(String, String, String, u64)> = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|one| {
            let text = |field: &str| one[field].as_str().unwrap().to_owned();
            (text("who"), text("action"), text("target"), one["status"].as_u64().unwrap())
        })
        .collect();
    let entry = |who: &str, action: &str, target: &str, status| (who.into(), action.into(), target.into(), status);
    let expected: Vec<(String, String, String, u64)> = vec![
        entry("ada", "create invitation", "/invitations", 201),
        entry("=bob", "accept invitation", "/invitations/accept", 200),
        entry("=bob", "create token", "/tokens", 403),
        entry("", "sign in with password", "/session/password", 401),
        entry("ada", "create token", "/tokens", 201),
        entry("eve", "use sign-in link", "/signin", 303),
        entry("", "create run", "/runs", 403),
    ];
    assert_eq!(entries, expected);
    assert_eq!(page["entries"][1]["address"], "192.0.2.7");
    let refused = lab.get("/api/v1/audit?refused=true&limit=2", &lab.admin).await.json();
    assert_eq!((refused["entries"].as_array().unwrap().len(), refused["next"].is_i64()), (2, true));
    assert_eq!(lab.get("/api/v1/audit?limit=0", &lab.admin).await.code(), "limit_invalid");
    let csv = String::from_utf8(lab.get("/api/v1/audit.csv", &lab.admin).await.body).unwrap();
    assert!(csv.starts_with("number,time,who,") && csv.contains(",'=bob,accept invitation,"), "{csv}");
    assert_eq!(csv.lines().count(), 1 + expected.len());
    assert!(!csv.contains(&text), "{csv}");
}
