//! Requests as reverse proxies and tunnels pass them on: which are answered, and what a refusal names.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use wire::access::{Role, TokenKind};

use crate::lab::{Answer, Lab};

type Headers<'a> = &'a [(&'a str, &'a str)];

/// A request with exactly these headers, from the address of a proxy.
async fn send(lab: &Lab, method: &str, path: &str, from: &str, headers: Headers<'_>) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let peer: SocketAddr = format!("{from}:40000").parse().unwrap();
    lab.send(request.extension(ConnectInfo(peer)).body(Body::empty()).unwrap()).await
}

async fn behind(public_url: Option<&str>, proxies: &[&str]) -> Lab {
    let (public_url, proxies) = (public_url.map(|url| url.parse().unwrap()), proxies.to_vec());
    Lab::open_with(move |settings| {
        settings.public_url = public_url;
        settings.trusted_proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
    })
    .await
}

/// Signs in with a new link and gives the cookie as it was set.
async fn signed_in(lab: &Lab, path: &str, headers: Headers<'_>) -> String {
    let token = lab.state.store().add_token("eve", Role::Steer, TokenKind::SignIn, None).await.unwrap();
    let answer = send(lab, "POST", &format!("{path}signin?token={token}"), "127.0.0.1", headers).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{headers:?}: {}", String::from_utf8_lossy(&answer.body));
    answer.headers["set-cookie"].to_str().unwrap().to_owned()
}

/// A POST of the page, as far as its Host and Origin decide.
async fn code_of_post(lab: &Lab, headers: Headers<'_>) -> String {
    send(lab, "POST", "/api/v1/session", "127.0.0.1", headers).await.code()
}

#[tokio::test]
async fn requests_of_the_page_pass_common_proxies_or_are_refused_with_both_headers() {
    let plain = behind(None, &[]).await;
    let public = behind(Some("https://lab.example.org/"), &[]).await;
    let trusting = behind(None, &["127.0.0.1"]).await;
    // Past the check of Host and Origin, a POST without a body is refused for its content type.
    let passes = "content_type";
    let local = ("host", "127.0.0.1:7878");
    for (lab, name, headers, expected) in [
        (
            &plain,
            "a tunnel to another port",
            &[("host", "localhost:9000"), ("origin", "http://localhost:9000")][..],
            passes,
        ),
        (&plain, "an SSH tunnel by address", &[("host", "127.0.0.1:1"), ("origin", "http://127.0.0.1:1")], passes),
        (
            &plain,
            "nginx without Host, local browser",
            &[local, ("origin", "http://127.0.0.1:7910"), ("sec-fetch-site", "same-origin")],
            passes,
        ),
        (
            &plain,
            "nginx with $host",
            &[("host", "127.0.0.1"), ("origin", "http://127.0.0.1:7911"), ("sec-fetch-site", "same-origin")],
            passes,
        ),
        (
            &plain,
            "Codespaces, Host rewritten",
            &[
                ("host", "localhost:7878"),
                ("origin", "https://fuzzy-7878.app.github.dev"),
                ("sec-fetch-site", "same-origin"),
            ],
            passes,
        ),
        (
            &plain,
            "the same from another site",
            &[("host", "localhost:7878"), ("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
            "origin_refused",
        ),
        (
            &plain,
            "a sibling of the public host",
            &[("host", "localhost:7878"), ("origin", "https://other.github.dev"), ("sec-fetch-site", "same-site")],
            "origin_refused",
        ),
        (&plain, "a browser without Sec-Fetch-Site", &[local, ("origin", "http://lab.example.org")], "origin_refused"),
        (
            &plain,
            "a name that is not allowed",
            &[("host", "lab.example.org"), ("origin", "https://lab.example.org")],
            "host_refused",
        ),
        (&public, "the public name", &[("host", "lab.example.org"), ("origin", "https://lab.example.org")], passes),
        (&public, "the public name, Host rewritten", &[local, ("origin", "https://lab.example.org")], passes),
        (&public, "the own address", &[local, ("origin", "http://127.0.0.1:7878")], passes),
        (&public, "the public name by http", &[local, ("origin", "http://lab.example.org")], "origin_refused"),
        (
            &public,
            "the form of a page without referrers",
            &[("host", "lab.example.org"), ("origin", "null")],
            "origin_refused",
        ),
        (
            &trusting,
            "a forwarded host",
            &[local, ("x-forwarded-host", "localhost:9000"), ("origin", "http://localhost:9000")],
            passes,
        ),
        (
            &trusting,
            "two proxies",
            &[local, ("x-forwarded-host", "localhost, 10.0.0.1"), ("origin", "http://localhost")],
            passes,
        ),
        (
            &trusting,
            "a forwarded name that is not allowed",
            &[local, ("x-forwarded-host", "evil.example"), ("origin", "http://evil.example")],
            "host_refused",
        ),
        (
            &plain,
            "a forwarded host of an untrusted proxy",
            &[local, ("x-forwarded-host", "localhost:9000"), ("origin", "http://localhost:9000")],
            "origin_refused",
        ),
    ] {
        assert_eq!(code_of_post(lab, headers).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_headers_seen_and_the_option_to_set() {
    let lab = behind(None, &[]).await;
    for (headers, words) in [
        (
            &[("host", "127.0.0.1:7878"), ("origin", "https://lab.example.org")][..],
            &["\"https://lab.example.org\"", "\"127.0.0.1:7878\"", "--public-url https://lab.example.org/"][..],
        ),
        (
            &[("host", "lab.example.org"), ("origin", "https://lab.example.org")],
            &["\"lab.example.org\"", "\"https://lab.example.org\"", "--allow-host lab.example.org", "--public-url"],
        ),
        (
            &[("host", "127.0.0.1:7878"), ("origin", "http://a.example"), ("x-forwarded-host", "a.example")],
            &["X-Forwarded-Host \"a.example\" was not used", "127.0.0.1 is not a --trusted-proxy"],
        ),
        (&[("origin", "http://a.example")], &["the Host header is \"\""]),
    ] {
        let answer = send(&lab, "POST", "/api/v1/runs", "127.0.0.1", headers).await;
        let text = String::from_utf8(answer.body).unwrap().replace("\\\"", "\"");
        words.iter().for_each(|word| assert!(text.contains(word), "{word} is not in {text}"));
    }
    let opened = [("host", "a<b>.example"), ("accept", "text/html,*/*")];
    let answer = send(&lab, "GET", "/", "127.0.0.1", &opened).await;
    let text = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(text.contains("<h1>Request refused</h1>") && text.contains("a&lt;b&gt;.example"), "{text}");
}

#[tokio::test]
async fn a_lab_under_a_path_is_reached_with_the_path_kept_or_removed() {
    let lab = behind(Some("https://example.org/lab/"), &["10.0.0.0/8"]).await;
    let host = [("host", "example.org")];
    let cookie = signed_in(&lab, "/lab/", &host).await;
    assert!(cookie.contains("; Path=/lab/;") && cookie.ends_with("; Secure"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    for path in ["/lab/api/v1/me", "/api/v1/me", "/lab/api/v1/runs?limit=1", "/lab/signin?token=used"] {
        let answer = send(&lab, "GET", path, "127.0.0.1", &[host[0], ("cookie", pair)]).await;
        let expected = if path.contains("signin") { StatusCode::SEE_OTHER } else { StatusCode::OK };
        assert_eq!(answer.status, expected, "{path}");
    }
    let bare = send(&lab, "GET", "/lab?x=1", "127.0.0.1", &host).await;
    assert_eq!(
        (bare.status, &bare.headers["location"]),
        (StatusCode::PERMANENT_REDIRECT, &"/lab/?x=1".parse().unwrap())
    );
    assert_eq!(
        send(&lab, "GET", "/labs/api/v1/me", "127.0.0.1", &host).await.status,
        StatusCode::OK,
        "another path: the page"
    );
    assert_eq!(send(&lab, "GET", "/lab/api/v1/nothing", "127.0.0.1", &host).await.code(), "not_found");

    // Reached by its own address, the same lab is at the top and without TLS.
    let direct = signed_in(&lab, "/", &[("host", "127.0.0.1:7878")]).await;
    assert!(direct.contains("; Path=/;") && !direct.contains("Secure"), "{direct}");
    // A path that only the proxy knows, as JupyterHub and Traefik report it.
    let told = [("host", "127.0.0.1:7878"), ("x-forwarded-prefix", "/user/ada"), ("x-forwarded-proto", "https")];
    assert!(signed_in(&lab, "/", &told).await.contains("; Path=/;"), "127.0.0.1 is not trusted");
    let trusting = behind(None, &["127.0.0.0/8"]).await;
    for (path, prefix) in [("/", "/user/ada"), ("/user/ada/", "/user/ada/"), ("/user/ada/", "user/ada")] {
        let told = [told[0], ("x-forwarded-prefix", prefix), told[2]];
        let cookie = signed_in(&trusting, path, &told).await;
        assert!(cookie.contains("; Path=/user/ada/;") && cookie.ends_with("; Secure"), "{path} {prefix}: {cookie}");
    }
    for prefix in ["/a;b", "/../x", "//evil.example/", "/a\"b", "/a b"] {
        let told = [("host", "127.0.0.1:7878"), ("x-forwarded-prefix", prefix)];
        let cookie = signed_in(&trusting, "/", &told).await;
        let expected = if prefix.starts_with("//") { "; Path=/evil.example/;" } else { "; Path=/;" };
        assert!(cookie.contains(expected), "{prefix}: {cookie}");
    }
}

#[tokio::test]
async fn files_of_the_page_are_sent_whatever_their_origin_and_sockets_are_not() {
    let lab = behind(None, &[]).await;
    let headers = [("host", "127.0.0.1:7878"), ("origin", "http://lab.example.org")];
    for path in ["/", "/start", "/runs/amber-fox/xray"] {
        assert_eq!(send(&lab, "GET", path, "127.0.0.1", &headers).await.status, StatusCode::OK, "{path}");
    }
    for path in ["/api/v1/live", "/api/v1/link", "/api/v1/runs", "/api/v1/nothing"] {
        assert_eq!(send(&lab, "GET", path, "127.0.0.1", &headers).await.code(), "origin_refused", "{path}");
    }
    assert_eq!(send(&lab, "POST", "/start", "127.0.0.1", &headers).await.code(), "origin_refused");
}
