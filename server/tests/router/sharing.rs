//! Share links and embeds: what they open, for whom, and how they end.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use server::live::places::Owner;
use store::NewLinkRecord;
use wire::access::link::LinkScope;
use wire::access::{Role, TokenKind};
use wire::inspect::request::{Inspection, InspectionText};
use wire::inspect::result::{HeatMap, InspectionResult};
use wire::inspect::update::{InspectionOverhead, InspectionUpdate};
use wire::series::Row;
use wire::transport::link::Item;
use wire::transport::live::{FromPage, Poll, ToPage};
use wire::transport::presenting::PresenterState;
use wire::{RunId, encode};

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
async fn a_guest_of_a_deleted_project_does_not_reach_a_later_one_of_its_name() {
    let lab = open().await;
    let make = async || lab.post("/api/v1/projects", &lab.admin, r#"{"name":"vision"}"#).await.status;
    assert_eq!(make().await, StatusCode::CREATED);
    let (_, text) = create(&lab, &json!({ "scope": { "project": "vision" }, "path": "/", "role": "steer" })).await;
    let cookie = open_link(&lab, &text, None).await;
    let me = async || send(&lab, "GET", "/api/v1/me", Some(&cookie), "").await;
    assert_eq!(me().await.json()["grants"]["projects"], json!({ "vision": "steer" }));
    assert_eq!(lab.delete("/api/v1/projects/vision", &lab.admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(me().await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(make().await, StatusCode::CREATED);
    assert_eq!(me().await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(get(&lab, &format!("/share/{text}")).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn a_new_guest_wakes_no_open_page_and_another_link_of_a_browser_does() {
    let lab = open().await;
    let (_, text) = create(&lab, &fox()).await;
    let (_, other) = create(&lab, &fox()).await;
    let token = async |cookie: &str| {
        let text = cookie.split_once('=').unwrap().1;
        lab.state.store().identify(text).await.unwrap().unwrap().token_id
    };
    let mut neighbour = lab.state.access.watch(token(&open_link(&lab, &text, None).await).await, None);
    let cookie = open_link(&lab, &text, None).await;
    let mut own = lab.state.access.watch(token(&cookie).await, None);
    assert!(!neighbour.has_changed(), "a new session has no page");
    open_link(&lab, &other, Some(&cookie)).await;
    assert!(own.has_changed() && !neighbour.has_changed(), "only the pages of this browser see more");
}

#[tokio::test]
async fn one_guest_leaves_room_for_the_pages_of_others() {
    let lab = open().await;
    let (_, text) = create(&lab, &fox()).await;
    let cookie = open_link(&lab, &text, None).await;
    let begin = async |header: (&'static str, &str), page: u64| {
        // It is answered at once, so that the poll does not wait for a message.
        let messages = vec![FromPage::Follow { presentation: 1 }];
        let body = encode::to_bytes(&Poll { page, begins: true, messages }).unwrap();
        let request = ask("POST", "/api/v1/live/poll", None).header(header.0, header.1).body(Body::from(body)).unwrap();
        lab.send(request).await
    };
    for page in 0..16 {
        assert_eq!(begin(("cookie", &cookie), page).await.status, StatusCode::OK, "page {page}");
    }
    let full = begin(("cookie", &cookie), 99).await;
    assert_eq!((full.status, full.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "busy"), "{full:?}");
    assert_eq!(begin(("cookie", &cookie), 3).await.status, StatusCode::OK, "a page that begins again has its place");
    let bearer = format!("Bearer {}", lab.view);
    assert_eq!(begin(("authorization", &bearer), 1).await.status, StatusCode::OK);
    let owner = Owner::of(&lab.state.store().identify(cookie.split_once('=').unwrap().1).await.unwrap().unwrap());
    let sockets: Vec<_> = (0..100).filter_map(|_| lab.state.sockets.take(owner).ok()).collect();
    assert_eq!(sockets.len(), 64);
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
async fn a_reader_who_must_wait_gets_a_page_in_the_frame() {
    let lab = open().await;
    let peer: std::net::SocketAddr = "192.0.2.1:4000".parse().unwrap();
    let guess = async |number: u32| {
        let request = ask("GET", &format!("/embed/{number}"), None).extension(axum::extract::ConnectInfo(peer));
        lab.send(request.body(Body::empty()).unwrap()).await
    };
    for number in 0..5 {
        assert_eq!(guess(number).await.status, StatusCode::GONE);
    }
    let waits = guess(5).await;
    assert_eq!((waits.status, &waits.headers["retry-after"]), (StatusCode::TOO_MANY_REQUESTS, &"1".parse().unwrap()));
    assert_eq!(waits.headers["content-type"], "text/html; charset=utf-8");
    assert!(text_of(&waits).contains("too many tries have failed; try again in 1 s."), "{}", text_of(&waits));
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
async fn a_guest_does_not_change_the_order_of_the_queue() {
    let lab = open().await;
    let (_, of_run) = create(&lab, &with(fox(), json!({ "role": "steer" }))).await;
    let project = json!({ "scope": { "project": "default" }, "path": "/", "role": "steer" });
    let (_, of_project) = create(&lab, &project).await;
    let as_guest = async |cookie: &str, method: &str, path: &str, body: Value| {
        let request = ask(method, &format!("/api/v1{path}"), None).header("cookie", cookie);
        let request = request.header("content-type", "application/json");
        lab.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    for text in [of_run, of_project.clone()] {
        let cookie = open_link(&lab, &text, None).await;
        for change in [json!({ "queue_place": 1 }), json!({ "priority": 1000, "name": "first" })] {
            let refused = as_guest(&cookie, "PATCH", "/runs/fox", change).await;
            assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "forbidden"), "{refused:?}");
        }
        let renamed = as_guest(&cookie, "PATCH", "/runs/fox", json!({ "name": "red fox" })).await;
        assert_eq!(renamed.status, StatusCode::OK, "{renamed:?}");
    }
    let cookie = open_link(&lab, &of_project, None).await;
    let first = as_guest(&cookie, "POST", "/runs", json!({ "preset": "tiny", "corpus": "tales", "priority": 1 })).await;
    assert_eq!((first.status, first.code().as_str()), (StatusCode::FORBIDDEN, "forbidden"), "{first:?}");
    let plain = as_guest(&cookie, "POST", "/runs", json!({ "preset": "tiny", "corpus": "tales" })).await;
    assert_ne!(plain.status, StatusCode::FORBIDDEN, "{plain:?}");
    let patched = lab.patch("/api/v1/runs/fox", &lab.steer, r#"{"priority": 2, "queue_place": 1}"#).await;
    assert_eq!(patched.status, StatusCode::OK, "{patched:?}");
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
    assert!(text_of(&slowed).contains("too many tries have failed"), "{}", text_of(&slowed));
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
    let new = NewLinkRecord {
        scope: LinkScope::Runs(vec!["fox".parse().unwrap()]),
        path: "/runs/fox".into(),
        role: Role::View,
        is_embed: false,
        passphrase: None,
        created_by: "ada".into(),
        person: None,
        token: None,
        expires_ms: Some(now_ms() + 1500),
    };
    let (text, _) = store.add_link(new.clone()).await.unwrap();
    let (image, _) = store.add_link(NewLinkRecord { is_embed: true, ..new }).await.unwrap();
    let cookie = open_link(&lab, &text, None).await;
    let token = cookie.split_once('=').unwrap().1.to_owned();
    let identity = store.identify(&token).await.unwrap().unwrap();
    assert!(identity.expires_ms.is_some_and(|at_ms| at_ms <= now_ms() + 1500), "open pages look again then");
    assert_eq!(get(&lab, &format!("/embed/{image}/image.svg")).await.status, StatusCode::OK);
    tokio::time::sleep(std::time::Duration::from_millis(1600)).await;
    let unknown = get(&lab, "/share/0123").await;
    let expired = get(&lab, &format!("/share/{text}")).await;
    assert_eq!((expired.status, &expired.body), (StatusCode::GONE, &unknown.body));
    assert_eq!(send(&lab, "GET", "/api/v1/runs/fox", Some(&cookie), "").await.code(), "link_ended");
    let ended = get(&lab, &format!("/embed/{image}/image.svg")).await;
    assert_eq!((ended.status, ended.body), (StatusCode::GONE, get(&lab, "/embed/0123/image.svg").await.body));
    assert_eq!(lab.get(LINKS, &lab.admin).await.json(), json!([]));
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis() as i64
}

fn row(step: u64) -> Item {
    Item::Row(Row { segment: 0, step, values: vec![("loss.train".into(), 3.0 - step as f64 / 100.0)] })
}

fn attention(step: u64) -> Item {
    let result = InspectionResult::Attention {
        tokens: vec!["a".into(), " b".into()],
        patterns: vec![HeatMap::of(2, 2, &[1.0, 0.0, 0.25, 0.75])],
        heads: vec![],
    };
    let inspection = Inspection::Attention { text: InspectionText::default(), layer: 0 };
    let overhead = InspectionOverhead::default();
    Item::Snapshot(Box::new(InspectionUpdate::Result { step, segment: 0, inspection, result, overhead }))
}

#[tokio::test]
async fn an_embed_shows_its_chart_on_any_site_and_opens_nothing_else() {
    let lab = open().await;
    let (_, text) = create(&lab, &embed("/runs/fox")).await;
    let (_, share) = create(&lab, &fox()).await;
    let page = get(&lab, &format!("/embed/{text}?theme=dark")).await;
    assert_eq!(page.status, StatusCode::OK);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-ancestors *") && policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !page.headers.contains_key("x-frame-options"));
    assert_eq!(page.headers["cross-origin-resource-policy"], "cross-origin");
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert!(!page.headers.contains_key("set-cookie"));
    let html = text_of(&page);
    assert!(html.contains("data-theme=dark") && !html.contains("<a ") && !html.contains("://"), "{html}");
    for asset in ["/embed/embed.js", "/embed/embed.css"] {
        let asset = get(&lab, asset).await;
        assert_eq!(
            (asset.status, &asset.headers["cross-origin-resource-policy"]),
            (StatusCode::OK, &"cross-origin".parse().unwrap())
        );
    }
    // A cookie and a token add nothing, and the text of the embed is no token.
    for path in ["/api/v1/runs/fox", "/api/v1/live", "/api/v1/me", "/api/v1/runs/fox/figures/loss.svg"] {
        assert_eq!(lab.get(path, &text).await.code(), "unauthorized", "{path}");
    }
    for (method, path) in [
        ("GET", format!("/share/{text}")),
        ("POST", format!("/share/{text}")),
        ("GET", format!("/embed/{share}")),
        ("GET", format!("/embed/{share}/image.svg")),
    ] {
        assert_eq!(send(&lab, method, &path, None, "").await.status, StatusCode::GONE, "{method} {path}");
    }
    for file in ["image.jpg", "loss.svg", "image"] {
        assert_eq!(get(&lab, &format!("/embed/{text}/{file}")).await.status, StatusCode::NOT_FOUND, "{file}");
    }
    for path in ["/", "/share/0123", "/api/v1/me", "/healthz", "/embed"] {
        let other = get(&lab, path).await;
        assert!(
            other.headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert_eq!(
            (&other.headers["x-frame-options"], &other.headers["cross-origin-resource-policy"]),
            (&"DENY".parse().unwrap(), &"same-origin".parse().unwrap()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_image_changes_with_its_run_and_is_sent_once() {
    let lab = open().await;
    let fox_id: RunId = "fox".parse().unwrap();
    let (link, text) = create(&lab, &embed("/runs/fox")).await;
    let path = format!("/embed/{text}/image.svg");
    let image = async |path: &str, etag: Option<&str>| {
        let mut request = ask("GET", path, None);
        if let Some(etag) = etag {
            request = request.header("if-none-match", etag);
        }
        lab.send(request.body(Body::empty()).unwrap()).await
    };
    let empty = image(&path, None).await;
    assert!(text_of(&empty).contains("no values of this series yet"), "{}", text_of(&empty));
    lab.state.store().ingest(&fox_id, 1, (0..50).map(row).chain([attention(0)]).collect()).await.unwrap();
    lab.state.feed.publish_summary(&fox_id).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let first = image(&path, None).await;
    assert_eq!((first.status, &first.headers["content-type"]), (StatusCode::OK, &"image/svg+xml".parse().unwrap()));
    assert_eq!(first.headers["cache-control"], "no-cache");
    assert_eq!(first.headers["cross-origin-resource-policy"], "cross-origin");
    assert_eq!(first.headers["kindling-refresh"], "30", "a queued run");
    assert!(text_of(&first).contains("fox: loss"));
    let etag = first.headers["etag"].to_str().unwrap().to_owned();
    let known = image(&path, Some(&format!("\"x\", W/{etag}"))).await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(known.headers["etag"], etag.as_str());
    lab.state.store().ingest(&fox_id, 52, (50..60).map(row).collect()).await.unwrap();
    lab.state.feed.publish_summary(&fox_id).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let newer = image(&path, Some(&etag)).await;
    assert_eq!(newer.status, StatusCode::OK);
    assert_ne!(newer.headers["etag"], etag.as_str());
    assert_eq!(lab.get(LINKS, &lab.steer).await.json()[0]["opened"], 4);
    assert!(link["path"] == "/runs/fox");

    let png = image(&format!("/embed/{text}/image.png?theme=dark&width=300&height=200"), None).await;
    if png.status == StatusCode::OK {
        assert_eq!(&png.body[..4], b"\x89PNG");
    }
    for (path, title) in [
        ("/runs/fox/xray?view=attention&layer=0&head=0", "fox: attention, block 0, head 0"),
        ("/runs/fox/xray?view=logit_lens", "The run has kept no snapshot of this inspection yet."),
        ("/runs/fox?chart=grad_norm", "no values of this series yet"),
    ] {
        let (_, text) = create(&lab, &embed(path)).await;
        let drawn = image(&format!("/embed/{text}/image.svg"), None).await;
        assert!(text_of(&drawn).contains(title), "{path}: {}", text_of(&drawn));
    }
    let both = with(embed("/compare?runs=fox,owl"), json!({ "scope": { "runs": ["fox", "owl"] } }));
    let (_, text) = create(&lab, &both).await;
    assert!(text_of(&image(&format!("/embed/{text}/image.svg"), None).await).contains(">fox<"));
    lab.delete("/api/v1/runs/fox", &lab.steer).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(image(&path, None).await.status, StatusCode::GONE, "a deleted run is shown no longer");
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

/// A page that polls, with the messages that it has not looked at yet.
struct PollingPage<'a> {
    lab: &'a Lab,
    header: (&'static str, String),
    received: Vec<ToPage>,
}

impl<'a> PollingPage<'a> {
    async fn open(lab: &'a Lab, header: (&'static str, String)) -> Self {
        let mut page = Self { lab, header, received: vec![] };
        page.poll(true, vec![]).await;
        page
    }

    async fn poll(&mut self, begins: bool, messages: Vec<FromPage>) -> StatusCode {
        let body = encode::to_bytes(&Poll { page: 1, begins, messages }).unwrap();
        let request = ask("POST", "/api/v1/live/poll", None).header(self.header.0, &self.header.1);
        let answer = self.lab.send(request.body(Body::from(body)).unwrap()).await;
        if answer.status == StatusCode::OK {
            self.received.extend(encode::from_bytes::<Vec<ToPage>>(&answer.body).unwrap());
        }
        answer.status
    }

    async fn present(&mut self, path: &str) {
        self.poll(false, vec![FromPage::Present { presentation: 5, state: state(path) }]).await;
    }

    /// Polls until a message has come, and forgets those before it. Some messages come at most once per second.
    async fn until(&mut self, is_wanted: impl Fn(&ToPage) -> bool) {
        for _ in 0..10 {
            if let Some(at) = self.received.iter().position(&is_wanted) {
                self.received.drain(..=at);
                return;
            }
            self.poll(false, vec![]).await;
        }
        panic!("{:?}", self.received);
    }

    async fn sees(&mut self, expected: PresenterState) {
        self.until(|message| matches!(message, ToPage::Presenter { state, .. } if *state == expected)).await;
    }
}

fn state(path: &str) -> PresenterState {
    PresenterState { path: Some(path.into()), step: Some(3), ..PresenterState::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_follow_a_presenter_over_polls() {
    let lab = open().await;
    let (link, text) = create(&lab, &fox()).await;
    let cookie = open_link(&lab, &text, None).await;
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let mut presenter = PollingPage::open(&lab, bearer(&lab.steer)).await;
    let mut guest = PollingPage::open(&lab, ("cookie", cookie)).await;
    presenter.present("/runs/fox").await;
    let is_listed = |message: &ToPage| matches!(message, ToPage::Presentations { presentations } if presentations.iter().any(|one| one.id == 5 && one.presenter == "ada"));
    guest.until(is_listed).await;
    guest.poll(false, vec![FromPage::Follow { presentation: 5 }]).await;
    guest.sees(state("/runs/fox")).await;
    presenter.present("/runs/fox/xray").await;
    guest.sees(state("/runs/fox/xray")).await;
    let is_guest = |message: &ToPage| matches!(message, ToPage::Watchers { names, total: 1, .. } if names[0].starts_with("guest "));
    presenter.until(is_guest).await;
    presenter.present("/runs/owl").await;
    guest.sees(PresenterState::hidden()).await;
    presenter.poll(false, vec![FromPage::StopPresenting]).await;
    guest.until(|message| matches!(message, ToPage::PresentationEnded { presentation: 5 })).await;

    presenter.present("/runs/fox").await;
    guest.until(is_listed).await;
    let mut other = PollingPage::open(&lab, bearer(&lab.view)).await;
    other.present("/").await;
    other.until(|message| matches!(message, ToPage::Refused { .. })).await;
    guest.poll(false, vec![FromPage::Present { presentation: 6, state: state("/runs/fox") }]).await;
    guest.until(|message| matches!(message, ToPage::Refused { .. })).await;
    assert_eq!(lab.delete(&format!("{LINKS}/{}", link["id"]), &lab.steer).await.status, StatusCode::NO_CONTENT);
    assert_eq!(guest.poll(false, vec![]).await, StatusCode::UNAUTHORIZED);
}
