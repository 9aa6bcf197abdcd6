//! Requests without a valid token, without the needed role, or from foreign hosts and pages are refused, on routes and sockets.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use server::api::router::description;
use wire::access::{Role, TokenKind};

use crate::lab::{Lab, ask};

/// Every route of the API document, with ids that do not exist.
fn routes() -> Vec<(String, String)> {
    let text = description().to_json().unwrap();
    let tree: serde_json::Value = serde_json::from_str(&text).unwrap();
    let paths = tree["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, methods)| {
            let path = path
                .replace("{id}", "nobody")
                .replace("{name}", "nothing")
                .replace("{cid}", "0-1")
                .replace("{file}", "loss.svg")
                .replace("{call}", "nothing");
            methods.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect()
}

/// Whether a route is used by people who are not signed in.
fn is_open((method, path): &&(String, String)) -> bool {
    let open = ["/session/password", "/invitations/accept", "/invitations/preview"];
    path.ends_with("/session") && method != "DELETE" || open.iter().any(|end| path.ends_with(end))
}

#[tokio::test]
async fn every_route_but_sign_in_needs_a_token() {
    let lab = Lab::open().await;
    let routes = routes();
    assert!(routes.len() > 25, "{routes:?}");
    for (method, path) in routes.iter().filter(|route| !is_open(route)) {
        for token in [None, Some("wrong")] {
            let answer = lab.send(ask(method, path, token).body(Body::empty()).unwrap()).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (StatusCode::UNAUTHORIZED, "unauthorized"),
                "{method} {path}"
            );
        }
    }
    assert_eq!(
        lab.send(ask("GET", "/metrics", None).body(Body::empty()).unwrap()).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_role_that_is_too_small_is_refused_before_the_run_is_looked_up() {
    let lab = Lab::open().await;
    let body = r#"{"kind":"pause"}"#;
    assert_eq!(lab.post("/api/v1/runs/nobody/commands", &lab.view, body).await.code(), "forbidden");
    assert_eq!(lab.post("/api/v1/runs/nobody/commands", &lab.steer, body).await.code(), "not_found");
    let delete =
        |token: &str| lab.send(ask("DELETE", "/api/v1/corpora/nobody", Some(token)).body(Body::empty()).unwrap());
    assert_eq!(delete(&lab.steer).await.code(), "forbidden");
    assert_eq!(delete(&lab.admin).await.code(), "not_found");
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused() {
    let lab = Lab::open().await;
    let send = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let mut request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {}", lab.admin));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        lab.send(request.body(Body::empty()).unwrap())
    };
    let own = ("host", "127.0.0.1:7878");
    for path in ["/api/v1/runs", "/", "/signin?token=x", "/healthz", "/api/v1/live", "/api/v1/link"] {
        assert_eq!(send("GET", path, &[("host", "evil.example")]).await.code(), "host_refused", "{path}");
        assert_eq!(send("GET", path, &[]).await.code(), "host_refused", "{path}");
        let method = if path.starts_with("/api/") { "GET" } else { "POST" };
        for origin in ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost:7878"] {
            assert_eq!(
                send(method, path, &[own, ("origin", origin)]).await.code(),
                "origin_refused",
                "{path} {origin}"
            );
        }
    }
    assert_eq!(send("POST", "/api/v1/runs", &[own, ("sec-fetch-site", "same-site")]).await.code(), "origin_refused");
    assert_eq!(send("GET", "/api/v1/runs", &[own, ("origin", "http://127.0.0.1:7878")]).await.status, StatusCode::OK);
    assert_eq!(
        send("GET", "/api/v1/runs", &[("host", "localhost:9"), ("origin", "http://localhost:9")]).await.status,
        StatusCode::OK
    );
}

/// A request for a WebSocket. There is no connection, so an authorized request fails at the upgrade.
fn upgrade(path: &str, token: Option<&str>) -> axum::http::request::Builder {
    ask("GET", path, token)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

#[tokio::test]
async fn sockets_check_roles_and_origins() {
    let lab = Lab::open().await;
    let code =
        |request: axum::http::request::Builder| async { lab.send(request.body(Body::empty()).unwrap()).await.code() };
    assert_eq!(code(upgrade("/api/v1/live", None)).await, "unauthorized");
    assert_eq!(code(upgrade("/api/v1/live", Some("wrong"))).await, "unauthorized");
    assert_eq!(code(upgrade("/api/v1/live", Some(&lab.worker))).await, "forbidden");
    assert_eq!(code(upgrade("/api/v1/link", Some(&lab.admin))).await, "forbidden");
    assert_eq!(
        code(upgrade("/api/v1/live", Some(&lab.view)).header("origin", "https://evil.example")).await,
        "origin_refused"
    );
    assert_eq!(code(upgrade("/api/v1/live", Some(&lab.view))).await, "no_socket");
    assert_eq!(code(upgrade("/api/v1/link", Some(&lab.worker))).await, "no_socket");
}

#[tokio::test]
async fn a_sign_in_link_works_once_and_sets_a_protected_cookie() {
    let lab = Lab::open().await;
    let token = lab.state.store().add_token("eve", Role::Steer, TokenKind::SignIn, None).await.unwrap();
    let open = |method: &str, token: &str| {
        lab.send(ask(method, &format!("/signin?token={token}"), None).body(Body::empty()).unwrap())
    };
    for method in ["HEAD", "GET", "GET"] {
        let answer = open(method, &token).await;
        assert_eq!(answer.status, StatusCode::OK, "a link preview does not use the link");
        assert!(!answer.headers.contains_key("set-cookie"));
    }
    assert_eq!(
        lab.get("/api/v1/me", &token).await.status,
        StatusCode::UNAUTHORIZED,
        "a sign-in token authorizes no request"
    );
    let answer = open("POST", &token).await;
    assert_eq!((answer.status, &answer.headers["location"]), (StatusCode::SEE_OTHER, &"./".parse().unwrap()));
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    for method in ["GET", "POST"] {
        assert_eq!(open(method, &token).await.status, StatusCode::UNAUTHORIZED);
    }
    let pair = cookie.split(';').next().unwrap();
    let with_cookie = |method: &str, path: &str| {
        lab.send(ask(method, path, None).header("cookie", pair).body(Body::empty()).unwrap())
    };
    let me = with_cookie("GET", "/api/v1/me").await.json();
    assert_eq!((me["name"].as_str(), me["grants"]["lab"].as_str()), (Some("eve"), Some("steer")));
    assert_eq!(with_cookie("DELETE", "/api/v1/session").await.status, StatusCode::NO_CONTENT);
    assert_eq!(with_cookie("GET", "/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_page_of_a_link_escapes_names_and_lets_its_form_name_its_origin() {
    let lab = Lab::open().await;
    let name = "</p><script>alert(\"1\")</script>&";
    let token = lab.state.store().add_token(name, Role::View, TokenKind::SignIn, None).await.unwrap();
    let answer = lab.send(ask("GET", &format!("/signin?token={token}"), None).body(Body::empty()).unwrap()).await;
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains("&lt;script&gt;alert(&quot;1&quot;)") && !text.contains("<script"), "{text}");
    assert!(!text.contains(&token), "the form is sent to the address of the page, which has the token");
    assert_eq!(answer.headers["referrer-policy"], "same-origin");
}

#[tokio::test]
async fn signing_out_ends_a_session_and_revokes_no_api_token() {
    let lab = Lab::open().await;
    for (name, token) in [("view", &lab.view), ("steer", &lab.steer), ("admin", &lab.admin)] {
        let answer = lab.send(ask("DELETE", "/api/v1/session", Some(token)).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::CONFLICT, "no_session"), "{name}");
        assert_eq!(lab.get("/api/v1/me", token).await.status, StatusCode::OK, "{name}");
    }
    // An API token that someone has put into the cookie stays valid too.
    let pair = format!("{}={}", server::auth::cookie_name(lab.state.store().id()), lab.steer);
    let by_cookie = ask("DELETE", "/api/v1/session", None).header("cookie", pair).body(Body::empty()).unwrap();
    assert_eq!(lab.send(by_cookie).await.code(), "no_session");
    assert_eq!(lab.get("/api/v1/me", &lab.steer).await.status, StatusCode::OK);
}

#[tokio::test]
async fn labs_under_one_host_name_do_not_sign_each_other_out() {
    let labs = [Lab::open().await, Lab::open().await, Lab::open().await];
    let mut jar = std::collections::BTreeMap::new();
    for lab in &labs {
        let token = lab.state.store().add_token("eve", Role::View, TokenKind::SignIn, None).await.unwrap();
        let cookies = jar_header(&jar);
        let request = ask("POST", &format!("/signin?token={token}"), None).header("cookie", cookies);
        let answer = lab.send(request.body(Body::empty()).unwrap()).await;
        let cookie = answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let (name, value) = cookie.split_once('=').unwrap();
        jar.insert(name.to_owned(), value.to_owned());
    }
    assert_eq!(jar.len(), labs.len(), "each lab has a cookie of its own");
    let cookies = jar_header(&jar);
    let send = |at: usize, method: &'static str, path: &'static str| {
        labs[at].send(ask(method, path, None).header("cookie", cookies.clone()).body(Body::empty()).unwrap())
    };
    for at in 0..labs.len() {
        assert_eq!(send(at, "GET", "/api/v1/me").await.status, StatusCode::OK, "lab {at}");
    }
    assert_eq!(send(1, "DELETE", "/api/v1/session").await.status, StatusCode::NO_CONTENT);
    for (at, expected) in [(0, StatusCode::OK), (1, StatusCode::UNAUTHORIZED), (2, StatusCode::OK)] {
        assert_eq!(send(at, "GET", "/api/v1/me").await.status, expected, "lab {at}");
    }
}

/// The cookies of a browser, as it sends them to one host name.
fn jar_header(jar: &std::collections::BTreeMap<String, String>) -> String {
    jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let lab = Lab::open().await;
    for path in ["/", "/api/v1/runs", "/api/v1/nothing", "/healthz"] {
        let answer = lab.send(ask("GET", path, None).body(Body::empty()).unwrap()).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'")
                && policy.contains("frame-ancestors 'none'")
                && !policy.contains("unsafe-inline"),
            "{path}"
        );
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
    }
}
