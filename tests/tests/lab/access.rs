//! Who may come in, and how far: refused on REST and on both sockets, over real connections.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stories::socket::Socket;
use stories::watch::speck;
use stories::{Client, Lab};
use wire::RunState;
use wire::live::ToPage;

#[test]
fn the_printed_link_signs_in_once() {
    let lab = Lab::bare();
    // The owner came in by the printed link when the lab was opened; this is a second link, for a guest.
    let output = lab.run("token", &["--sign-in", "--role", "view", "--name", "guest"]);
    let link = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let path = link.strip_prefix(&format!("http://{}", lab.address())).unwrap_or_else(|| panic!("{link}"));
    let nobody = Client::nobody(&lab.address());
    assert_eq!(nobody.send("HEAD", path, &[], b"").status, 204, "a preview of the link does not use it up");
    let answer = nobody.send("GET", path, &[], b"");
    assert_eq!((answer.status, answer.header("location")), (303, "/"));
    let cookie = answer.header("set-cookie").to_owned();
    for words in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(words), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap();
    let me: Value = nobody.send("GET", "/api/v1/me", &[("cookie", pair)], b"").read();
    assert_eq!(me, json!({"name": "guest", "role": "view"}));

    let again = nobody.send("GET", path, &[], b"");
    assert_eq!((again.status, again.header("set-cookie")), (401, ""));
    assert!(again.text().contains("has been used"), "{}", again.text());
    assert_eq!(nobody.post("/session", &json!({"token": path.split('=').nth(1)})).status, 401);

    assert_eq!(nobody.send("DELETE", "/api/v1/session", &[("cookie", pair)], b"").status, 204);
    assert_eq!(nobody.send("GET", "/api/v1/me", &[("cookie", pair)], b"").status, 401, "signed out");
}

#[test]
fn nobody_wrong_tokens_and_small_roles_are_refused_everywhere() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let run = owner.start_run(&speck(&owner.bring("walk"), 1_000_000));
    owner.wait_step(&run, 30, 1);
    let commands = format!("/runs/{run}/commands");
    let pause = json!({"kind": "pause"});

    let nobody = Client::nobody(&lab.address());
    let wrong = Client::with_token(&lab.address(), "0123456789abcdef0123456789abcdef");
    for stranger in [&nobody, &wrong] {
        stranger.get("/runs").refused(401, "unauthorized", &["token"]);
        stranger.get(&format!("/runs/{run}/series?names=loss.train")).refused(401, "unauthorized", &[]);
        stranger.post(&commands, &pause).refused(401, "unauthorized", &[]);
        stranger.upload("name=x", b"some text").refused(401, "unauthorized", &[]);
        for topic in ["live", "link"] {
            assert_eq!(Socket::open(stranger, topic, &[]).err(), Some((401, "unauthorized".into())), "{topic}");
        }
    }

    let viewer = Client::with_token(&lab.address(), &lab.token("view"));
    assert_eq!(viewer.get("/runs").status, 200);
    assert!(Socket::open(&viewer, "live", &[]).is_ok());
    viewer.post(&commands, &pause).refused(403, "forbidden", &["steer", "view"]);
    viewer.post("/runs", &speck("walk", 5)).refused(403, "forbidden", &[]);
    viewer.json("PATCH", &format!("/runs/{run}"), &json!({"name": "mine"})).refused(403, "forbidden", &[]);
    viewer.delete(&format!("/runs/{run}")).refused(403, "forbidden", &[]);
    viewer.upload("name=x", b"some text").refused(403, "forbidden", &[]);
    assert_eq!(Socket::open(&viewer, "link", &[]).err(), Some((403, "forbidden".into())));

    let worker = Client::with_token(&lab.address(), &lab.token("worker"));
    worker.get("/runs").refused(403, "forbidden", &[]);
    worker.post(&commands, &pause).refused(403, "forbidden", &[]);
    assert_eq!(Socket::open(&worker, "live", &[]).err(), Some((403, "forbidden".into())));

    let steerer = Client::with_token(&lab.address(), &lab.token("steer"));
    steerer.delete("/corpora/walk").refused(403, "forbidden", &["admin"]);
    assert_eq!(owner.summary(&run).state, RunState::Running, "nothing of all that was done");
    assert_eq!(steerer.post(&commands, &pause).status, 200);
}

#[test]
fn pages_of_other_sites_and_foreign_names_are_turned_away() {
    let lab = Lab::bare();
    let owner = lab.owner();
    let own_page = format!("http://{}", lab.address());
    let elsewhere = ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost:80"];
    for (method, path) in [("GET", "/api/v1/runs"), ("POST", "/api/v1/runs"), ("GET", "/"), ("GET", "/signin?token=x")]
    {
        for origin in elsewhere {
            owner.send(method, path, &[("origin", origin)], b"").refused(403, "origin_refused", &[]);
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "evil.example:7878"] {
            owner.send(method, path, &[("host", host)], b"").refused(403, "host_refused", &["--allow-host"]);
        }
    }
    assert_eq!(owner.send("GET", "/api/v1/runs", &[("origin", &own_page)], b"").status, 200);
    let worker = Client::with_token(&lab.address(), &lab.token("worker"));
    for (client, topic) in [(&owner, "live"), (&worker, "link")] {
        for origin in elsewhere {
            assert_eq!(
                Socket::open(client, topic, &[("origin", origin)]).err(),
                Some((403, "origin_refused".into())),
                "{topic} {origin}"
            );
        }
        assert_eq!(
            Socket::open(client, topic, &[("host", "evil.example")]).err(),
            Some((403, "host_refused".into())),
            "{topic}"
        );
        assert!(Socket::open(client, topic, &[("origin", &own_page)]).is_ok(), "{topic}");
    }
}

#[test]
fn every_answer_forbids_what_no_page_of_the_lab_needs() {
    let lab = Lab::bare();
    let owner = lab.owner();
    for path in ["/", "/api/v1/runs", "/api/v1/nothing", "/signin?token=x", "/healthz"] {
        let answer = owner.send("GET", path, &[], b"");
        let policy = answer.header("content-security-policy");
        for words in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "script-src 'self'"] {
            assert!(policy.contains(words), "{path}: {policy:?}");
        }
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"), "{policy}");
        for (name, value) in
            [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer")]
        {
            assert_eq!(answer.header(name), value, "{path}");
        }
    }
}

#[test]
fn no_path_of_a_request_reaches_the_disk_unchecked() {
    let lab = Lab::bare();
    let owner = lab.owner();
    std::fs::write(lab.data().join("corpora/secret.txt"), "a secret").unwrap();
    let climbs = [
        "../lab.db",
        "..%2flab.db",
        "%2e%2e%2flab.db",
        "....//lab.db",
        "..\\lab.db",
        "/etc/passwd",
        "%00",
        "secret.txt",
    ];
    for climb in climbs {
        for place in ["/", "/assets/", "/api/v1/corpora/", "/api/v1/runs/"] {
            let answer = owner.send("GET", &format!("{place}{climb}"), &[], b"");
            let text = answer.text();
            assert!(
                !text.contains("SQLite format") && !text.contains("root:") && !text.contains("a secret"),
                "{place}{climb}"
            );
            assert!(
                answer.status == 200 && text.contains("<html") || (400..500).contains(&answer.status),
                "{place}{climb}: {}",
                answer.status
            );
        }
    }
    let text = b"some text that is long enough to be kept as a corpus of its own";
    let brought: wire::corpus::CorpusInfo =
        owner.upload("name=..%2F..%2Fetc%2Fpasswd&filename=..%2F..%2Fx.txt", text).read();
    assert!(lab.data().join("corpora").join(brought.id.as_str()).is_dir(), "{brought:?}");
    let form: wire::corpus::CorpusInfo =
        owner.upload_form("name=form", &[("../../../escaped.txt", text), ("/absolute.txt", text)]).read();
    assert_eq!(form.documents, 2);
    assert!(!lab.data().join("escaped.txt").exists() && !lab.data().parent().unwrap().join("escaped.txt").exists());
}

#[test]
fn tokens_are_kept_as_hashes_only() {
    let lab = Lab::bare();
    let token = lab.token("steer");
    assert_eq!(Client::with_token(&lab.address(), &token).get("/me").status, 200);
    for name in ["lab.db", "lab.db-wal"] {
        let bytes = std::fs::read(lab.data().join(name)).unwrap_or_default();
        assert!(!bytes.windows(token.len()).any(|part| part == token.as_bytes()), "{name} holds a token in the clear");
    }
}

#[test]
fn a_revoked_token_ends_at_once_on_rest_and_on_the_socket_it_opened() {
    let lab = Lab::bare();
    let owner = lab.owner();
    let made: Value = owner.post("/tokens", &json!({"name": "eve", "role": "view"})).read();
    let eve = Client::with_token(&lab.address(), made["text"].as_str().unwrap());
    let mut sockets = [&eve, &owner].map(|client| Socket::open(client, "live", &[]).unwrap());
    let soon = || Instant::now() + Duration::from_secs(10);
    for socket in &mut sockets {
        assert!(socket.hear::<ToPage>(soon()).is_some(), "a beat");
    }
    assert_eq!(owner.delete(&format!("/tokens/{}", made["token"]["id"])).status, 204);
    eve.get("/runs").refused(401, "unauthorized", &[]);
    let [mut of_eve, mut of_owner] = sockets;
    let until = soon();
    while of_eve.hear::<ToPage>(until).is_some() {}
    assert!(Instant::now() < until, "the socket is shut, not silent");
    assert!(of_owner.hear::<ToPage>(soon()).is_some() && of_owner.hear::<ToPage>(soon()).is_some(), "others go on");
}
