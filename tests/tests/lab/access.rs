//! Roles: requests without a token, with a wrong one or with too small a role are refused on routes and sockets, over real connections.

use std::time::{Duration, Instant};

use scenarios::socket::Socket;
use scenarios::watch::speck;
use scenarios::{Client, Lab};
use serde_json::{Value, json};
use wire::RunState;
use wire::transport::live::ToPage;

#[test]
fn the_printed_link_signs_in_once() {
    let lab = Lab::bare();
    // The owner signed in with the printed link when the lab was opened; this is a second link.
    let output = lab.run("token", &["--sign-in", "--role", "view", "--name", "ada"]);
    let link = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let path = link.strip_prefix(&format!("http://{}", lab.address())).unwrap_or_else(|| panic!("{link}"));
    let anonymous = Client::anonymous(&lab.address());
    for agent in ["Slackbot-LinkExpanding 1.0", "facebookexternalhit/1.1", "TelegramBot", "curl/8", "Mozilla/5.0"] {
        for method in ["HEAD", "GET"] {
            let preview = anonymous.send(method, path, &[("user-agent", agent)], b"");
            assert_eq!((preview.status, preview.header("set-cookie")), (200, ""), "{method} by {agent} uses nothing");
        }
    }
    let shown = anonymous.send("GET", path, &[], b"").text();
    assert!(shown.contains("<form method=post>") && shown.contains("as “ada” (role view)"), "{shown}");
    let answer = anonymous.send("POST", path, &[], b"");
    assert_eq!((answer.status, answer.header("location")), (303, "./"));
    let cookie = answer.header("set-cookie").to_owned();
    for words in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(words), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap();
    let me: Value = anonymous.send("GET", "/api/v1/me", &[("cookie", pair)], b"").read();
    assert_eq!((&me["name"], &me["grants"]["lab"], &me["is_shared"]), (&json!("ada"), &json!("view"), &json!(false)));

    for method in ["GET", "POST"] {
        let again = anonymous.send(method, path, &[], b"");
        assert_eq!((again.status, again.header("set-cookie")), (401, ""), "{method}");
        assert!(again.text().contains("<html"), "the page has a form for another link: {}", again.text());
        let signed_in = anonymous.send(method, path, &[("cookie", pair)], b"");
        assert_eq!((signed_in.status, signed_in.header("location")), (303, "./"), "{method}");
    }
    let info: Value = anonymous.get("/session").read();
    let folder = std::path::absolute(lab.data()).unwrap();
    assert_eq!(info, json!({"data_folder": folder, "has_passwords": false, "provider": null}));
    assert_eq!(anonymous.post("/session", &json!({"token": path.split('=').nth(1)})).status, 401);

    assert_eq!(anonymous.send("DELETE", "/api/v1/session", &[("cookie", pair)], b"").status, 204);
    assert_eq!(anonymous.send("GET", "/api/v1/me", &[("cookie", pair)], b"").status, 401, "signed out");
}

#[test]
fn missing_and_wrong_tokens_and_small_roles_are_refused() {
    let lab = Lab::bare();
    let owner = lab.owner();
    lab.device();
    let run = owner.start_run(&speck(&owner.add_corpus("walk"), 1_000_000));
    owner.wait_step(&run, 30, 1);
    let commands = format!("/runs/{run}/commands");
    let pause = json!({"kind": "pause"});

    let anonymous = Client::anonymous(&lab.address());
    let wrong = Client::with_token(&lab.address(), "0123456789abcdef0123456789abcdef");
    for client in [&anonymous, &wrong] {
        client.get("/runs").refused(401, "unauthorized", &["token"]);
        client.get(&format!("/runs/{run}/series?names=loss.train")).refused(401, "unauthorized", &[]);
        client.post(&commands, &pause).refused(401, "unauthorized", &[]);
        client.upload("name=x", b"some text").refused(401, "unauthorized", &[]);
        for topic in ["live", "link"] {
            assert_eq!(Socket::open(client, topic, &[]).err(), Some((401, "unauthorized".into())), "{topic}");
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

    let worker = Client::with_token(&lab.address(), &lab.worker_token("far-cpu"));
    worker.get("/runs").refused(403, "forbidden", &[]);
    worker.post(&commands, &pause).refused(403, "forbidden", &[]);
    assert_eq!(Socket::open(&worker, "live", &[]).err(), Some((403, "forbidden".into())));

    let steerer = Client::with_token(&lab.address(), &lab.token("steer"));
    steerer.delete("/corpora/walk").refused(403, "forbidden", &["admin"]);
    assert_eq!(owner.summary(&run).state, RunState::Running, "none of it was carried out");
    assert_eq!(steerer.post(&commands, &pause).status, 200);
}

#[test]
fn foreign_origins_and_hosts_are_refused() {
    let lab = Lab::bare();
    let owner = lab.owner();
    let own_page = format!("http://{}", lab.address());
    let foreign = ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost:80"];
    for (method, path) in [("GET", "/api/v1/runs"), ("POST", "/api/v1/runs"), ("GET", "/"), ("POST", "/signin?token=x")]
    {
        // The files of the page are no secret and change nothing.
        for origin in foreign.iter().filter(|_| path != "/") {
            let words = [*origin, &lab.address()];
            owner.send(method, path, &[("origin", origin)], b"").refused(403, "origin_refused", &words);
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "evil.example:7878"] {
            owner.send(method, path, &[("host", host)], b"").refused(403, "host_refused", &["--allow-host"]);
        }
    }
    assert_eq!(owner.send("GET", "/api/v1/runs", &[("origin", &own_page)], b"").status, 200);
    let worker = Client::with_token(&lab.address(), &lab.worker_token("far-cpu"));
    for (client, topic) in [(&owner, "live"), (&worker, "link")] {
        for origin in foreign {
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
fn every_response_has_the_security_headers() {
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
fn no_path_of_a_request_leads_out_of_its_folder() {
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
    let corpus: wire::data::corpus::CorpusInfo =
        owner.upload("name=..%2F..%2Fetc%2Fpasswd&filename=..%2F..%2Fx.txt", text).read();
    assert!(lab.data().join("corpora").join(corpus.id.as_str()).is_dir(), "{corpus:?}");
    let form: wire::data::corpus::CorpusInfo =
        owner.upload_form("name=form", &[("../../../escaped.txt", text), ("/absolute.txt", text)]).read();
    assert_eq!(form.documents, 2);
    assert!(!lab.data().join("escaped.txt").exists() && !lab.data().parent().unwrap().join("escaped.txt").exists());
}

#[test]
fn only_hashes_of_tokens_are_stored() {
    let lab = Lab::bare();
    let token = lab.token("steer");
    assert_eq!(Client::with_token(&lab.address(), &token).get("/me").status, 200);
    for name in ["lab.db", "lab.db-wal"] {
        let bytes = std::fs::read(lab.data().join(name)).unwrap_or_default();
        assert!(
            !bytes.windows(token.len()).any(|part| part == token.as_bytes()),
            "{name} contains the text of a token"
        );
    }
}

#[test]
fn a_revoked_token_is_refused_and_its_socket_is_closed() {
    let lab = Lab::bare();
    let owner = lab.owner();
    let created: Value = owner.post("/tokens", &json!({"name": "eve", "role": "view"})).read();
    let eve = Client::with_token(&lab.address(), created["text"].as_str().unwrap());
    let mut sockets = [&eve, &owner].map(|client| Socket::open(client, "live", &[]).unwrap());
    let soon = || Instant::now() + Duration::from_secs(10);
    for socket in &mut sockets {
        assert!(socket.receive::<ToPage>(soon()).is_some(), "a heartbeat");
    }
    assert_eq!(owner.delete(&format!("/tokens/{}", created["token"]["id"])).status, 204);
    eve.get("/runs").refused(401, "unauthorized", &[]);
    let [mut of_eve, mut of_owner] = sockets;
    let until = soon();
    while of_eve.receive::<ToPage>(until).is_some() {}
    assert!(Instant::now() < until, "the socket is closed");
    assert!(
        of_owner.receive::<ToPage>(soon()).is_some() && of_owner.receive::<ToPage>(soon()).is_some(),
        "other sockets stay open"
    );
}
