//! Labs behind the real nginx and Caddy, with the configurations of the guide, and behind a plain tunnel.

use std::time::{Duration, Instant};

use scenarios::proxy::{Proxy, free_port, tunnel};
use scenarios::socket::Socket;
use scenarios::{Answer, Client, Lab, given_up_after};
use serde_json::{Value, json};
use wire::encode;
use wire::transport::live::{FromPage, Poll, ToPage};

/// Which program stands before the lab.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Nginx,
    Caddy,
}

/// The examples of the guide in one language, in their order: at the top of a host name, and under `/lab/`.
fn examples(kind: Kind) -> Vec<String> {
    let fence = match kind {
        Kind::Nginx => "```nginx\n",
        Kind::Caddy => "```caddy\n",
    };
    let blocks = include_str!("../../../docs/guide.md").split(fence).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// An example of the guide with the addresses of a test in place of its own.
fn adapt(kind: Kind, example: &str, port: u16, lab: &str) -> String {
    let with_lab = example.replace("127.0.0.1:7878", lab);
    match kind {
        Kind::Nginx => with_lab.replace("listen 80;", &format!("listen 127.0.0.1:{port};")),
        Kind::Caddy => {
            let site = with_lab.split_whitespace().next().unwrap().to_owned();
            with_lab.replacen(&site, &format!("http://{site}:{port}"), 1)
        }
    }
}

fn start(kind: Kind, config: &str, port: u16) -> Proxy {
    match kind {
        Kind::Nginx => Proxy::nginx(config, port),
        Kind::Caddy => Proxy::caddy(config, port),
    }
}

/// A browser that opens a lab under a public address, which leads to a port of this machine.
struct Browser {
    client: Client,
    /// What the address line shows before the path: `lab.example.org:1234`.
    host: String,
    /// Path of the lab.
    base: String,
    cookie: String,
}

impl Browser {
    fn new(port: u16, host: &str, base: &str) -> Self {
        let client = Client::anonymous(&format!("127.0.0.1:{port}"));
        Self { client, host: format!("{host}:{port}"), base: base.to_owned(), cookie: String::new() }
    }

    fn headers(&self) -> [(&'static str, String); 3] {
        [("host", self.host.clone()), ("origin", format!("http://{}", self.host)), ("cookie", self.cookie.clone())]
    }

    /// A request below the path of the lab, with the headers that browsers send.
    fn send(&self, method: &str, path: &str, more: &[(&str, &str)], body: &[u8]) -> Answer {
        let own = self.headers();
        let mut headers: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if method == "GET" {
            headers.retain(|(name, _)| *name != "origin");
        }
        headers.extend(more);
        self.client.send(method, &format!("{}{path}", self.base), &headers, body)
    }

    /// Opens a sign-in link of the lab under this address and presses its button.
    fn sign_in(&mut self, lab: &Lab) {
        let link = String::from_utf8(lab.run("token", &["--sign-in", "--name", "ada"]).stdout).unwrap();
        let path = &link.trim()[link.find("signin").unwrap()..];
        let shown = self.send("GET", path, &[], b"");
        assert!(shown.status == 200 && shown.text().contains("<form method=post>"), "{shown:?}");
        let answer = self.send("POST", path, &[], b"");
        assert_eq!((answer.status, answer.header("location")), (303, "./"), "{}", answer.text());
        let cookie = answer.header("set-cookie").split(';').next().unwrap();
        self.cookie = [self.cookie.as_str(), cookie]
            .iter()
            .filter(|part| !part.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join("; ");
    }

    fn me(&self) -> u16 {
        self.send("GET", "api/v1/me", &[], b"").status
    }

    fn post_plan(&self, more: &[(&str, &str)]) -> Answer {
        let json = ("content-type", "application/json");
        let body = json!({"preset": "tiny", "corpus": "nothing"}).to_string();
        self.send("POST", "api/v1/plan", &[&[json], more].concat(), body.as_bytes())
    }

    fn socket(&self) -> Result<Socket, (u16, String)> {
        let own = self.headers();
        let headers: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Socket::open_at(&self.client, &format!("{}api/v1/live", self.base), &headers)
    }

    fn poll(&self, poll: &Poll, more: &[(&str, &str)]) -> Answer {
        let json = ("content-type", "application/x-postcard");
        self.send("POST", "api/v1/live/poll", &[&[json], more].concat(), &encode::to_bytes(poll).unwrap())
    }

    /// Opens the page and some of its addresses, and each file that they name.
    fn open_page(&self) {
        for path in ["", "start", "runs/amber-fox-7k2q", "runs/amber-fox-7k2q/xray?view=batch"] {
            let page = self.send("GET", path, &[("accept", "text/html")], b"");
            let text = page.text();
            assert!(page.status == 200 && text.contains("<html"), "{path}: {} {text}", page.status);
            let up = path.split('?').next().unwrap().matches('/').count();
            for named in text.split('"').filter(|word| word.contains("assets/")) {
                let below = match named.strip_prefix(&self.base) {
                    Some(below) => below.to_owned(),
                    None => named.strip_prefix(&"../".repeat(up)).unwrap_or(named).trim_start_matches("./").to_owned(),
                };
                assert!(below.starts_with("assets/"), "{path} under {} names {named}", self.base);
                assert_eq!(self.send("GET", &below, &[], b"").status, 200, "{path} names {named}");
            }
        }
    }

    /// All that a page does, and a heartbeat over its socket.
    fn check(&mut self, lab: &Lab) {
        self.open_page();
        self.sign_in(lab);
        assert_eq!(self.me(), 200, "signed in");
        self.post_plan(&[]).refused(422, "plan_invalid", &["nothing"]);
        let mut socket = self.socket().unwrap();
        socket.send(&FromPage::WatchLab);
        assert!(socket.receive::<ToPage>(given_up_after(10)).is_some(), "a message");
        self.send("DELETE", "api/v1/session", &[], b"");
        assert_eq!(self.me(), 401, "signed out");
    }
}

#[test]
fn the_examples_of_the_guide_work_at_the_top_and_under_a_path() {
    for kind in [Kind::Nginx, Kind::Caddy] {
        let [top, under] = examples(kind).try_into().unwrap();
        let removed = match kind {
            Kind::Nginx => under.replace("127.0.0.1:7878;", "127.0.0.1:7878/;"),
            Kind::Caddy => under.replace("handle /lab/*", "handle_path /lab/*"),
        };
        for (name, example, host, base) in [
            ("top", &top, "lab.example.org", "/"),
            ("path kept", &under, "example.org", "/lab/"),
            ("path removed", &removed, "example.org", "/lab/"),
        ] {
            eprintln!("{kind:?}, {name}");
            let port = free_port();
            let lab = Lab::bare_with(&["--no-workers", "--public-url", &format!("http://{host}:{port}{base}")]);
            let _proxy = start(kind, &adapt(kind, example, port, &lab.address()), port);
            let mut browser = Browser::new(port, host, base);
            browser.check(&lab);
            let bare = browser.client.send("GET", base.trim_end_matches('/'), &[("host", &browser.host)], b"");
            assert!(base == "/" || bare.header("location").ends_with("/lab/"), "{kind:?} {name}: {bare:?}");
            assert_eq!(lab.owner().get("/me").status, 200, "the address of the server itself works too");
        }
    }
}

#[test]
fn a_proxy_with_default_settings_shows_the_page_and_polls_in_place_of_a_socket() {
    let lab = Lab::bare_with(&["--no-workers"]);
    let (plain, no_port, no_upgrade, under) = (free_port(), free_port(), free_port(), free_port());
    let to = lab.address();
    let upgrade =
        "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;";
    let config = format!(
        "server {{ listen 127.0.0.1:{plain}; location / {{ proxy_pass http://{to}; }} }}\n\
         server {{ listen 127.0.0.1:{no_port}; location / {{ proxy_pass http://{to}; proxy_set_header Host $host; {upgrade} }} }}\n\
         server {{ listen 127.0.0.1:{no_upgrade}; location / {{ proxy_pass http://{to}; proxy_set_header Host $http_host; }} }}\n\
         server {{ listen 127.0.0.1:{under}; location /lab/ {{ proxy_pass http://{to}/; proxy_set_header Host $http_host; {upgrade} }} }}"
    );
    let _proxy = Proxy::nginx(&config, under);
    let same_origin = ("sec-fetch-site", "same-origin");
    for (name, port, passes_host, passes_upgrade, base) in [
        ("default", plain, false, false, "/"),
        ("Host without its port", no_port, false, true, "/"),
        ("no upgrade", no_upgrade, true, false, "/"),
        ("a removed path that the server does not know", under, true, true, "/lab/"),
    ] {
        let mut browser = Browser::new(port, "127.0.0.1", base);
        browser.open_page();
        let link = String::from_utf8(lab.run("token", &["--sign-in"]).stdout).unwrap();
        let path = &link.trim()[link.find("signin").unwrap()..];
        let answer = browser.send("POST", path, &[same_origin], b"");
        assert_eq!(answer.status, 303, "{name}: {}", answer.text());
        browser.cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        assert_eq!(browser.me(), 200, "{name}");
        browser.post_plan(&[same_origin]).refused(422, "plan_invalid", &[]);
        let by_old_browser = browser.post_plan(&[]);
        match passes_host {
            true => by_old_browser.refused(422, "plan_invalid", &[]),
            // A browser that does not say where a request comes from: the message names both headers and the option.
            false => {
                let origin = format!("http://127.0.0.1:{port}");
                let host = if port == plain { to.as_str() } else { "127.0.0.1" };
                by_old_browser.refused(403, "origin_refused", &[&origin, host, "--public-url"]);
            }
        }
        let socket = browser.socket().map(drop);
        match (passes_host, passes_upgrade) {
            (true, true) => assert_eq!(socket, Ok(()), "{name}"),
            (true, false) => assert_eq!(socket.map_err(|(_, code)| code), Err("no_socket".to_owned()), "{name}"),
            _ => assert_eq!(socket, Err((403, "origin_refused".to_owned())), "{name}"),
        }
        let begins = browser.poll(&Poll { page: 1, begins: true, messages: vec![FromPage::WatchLab] }, &[same_origin]);
        assert_eq!(begins.status, 200, "{name}: {}", begins.text());
        let messages: Vec<ToPage> = encode::from_bytes(&begins.body).unwrap();
        assert!(matches!(messages[..], [ToPage::Lab(_), ToPage::Heartbeat { .. }]), "{name}: {messages:?}");
    }
}

#[test]
fn two_labs_side_by_side_under_one_host_name_keep_their_sessions() {
    for kind in [Kind::Nginx, Kind::Caddy] {
        let port = free_port();
        let labs = ["/a/", "/b/"]
            .map(|base| Lab::bare_with(&["--no-workers", "--public-url", &format!("http://example.org:{port}{base}")]));
        let [one, two] = [&labs[0], &labs[1]].map(Lab::address);
        let config = match kind {
            Kind::Nginx => {
                let passes = "proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade; \
                              proxy_set_header Connection upgrade;";
                format!(
                    "server {{ listen 127.0.0.1:{port}; location /a/ {{ proxy_pass http://{one}; {passes} }} \
                     location /b/ {{ proxy_pass http://{two}/; {passes} }} }}"
                )
            }
            Kind::Caddy => format!(
                "http://example.org:{port} {{\n  handle /a/* {{\n    reverse_proxy {one}\n  }}\n  handle_path /b/* {{\n    \
                 reverse_proxy {two}\n  }}\n}}"
            ),
        };
        let _proxy = start(kind, &config, port);
        // One browser, whose cookies are all sent to both, as they are where neither has a path.
        let mut browsers = ["/a/", "/b/"].map(|base| Browser::new(port, "example.org", base));
        for (browser, lab) in browsers.iter_mut().zip(&labs) {
            browser.open_page();
            browser.sign_in(lab);
        }
        let all = format!("{}; {}", browsers[0].cookie, browsers[1].cookie);
        browsers.iter_mut().for_each(|browser| browser.cookie.clone_from(&all));
        assert_eq!([browsers[0].me(), browsers[1].me()], [200, 200], "{kind:?}");
        let mut sockets = [browsers[0].socket().unwrap(), browsers[1].socket().unwrap()];
        let until = given_up_after(10);
        assert!(sockets.iter_mut().all(|socket| socket.receive::<ToPage>(until).is_some()), "{kind:?}");
        assert_eq!(browsers[0].send("DELETE", "api/v1/session", &[], b"").status, 204);
        assert_eq!([browsers[0].me(), browsers[1].me()], [401, 200], "{kind:?}: only one is signed out");
    }
}

#[test]
fn tunnels_to_other_ports_need_no_option_and_their_labs_share_a_host_name() {
    let labs = [Lab::bare_with(&["--no-workers"]), Lab::bare_with(&["--no-workers"])];
    let mut cookies = String::new();
    let mut browsers = vec![];
    for (lab, host) in labs.iter().zip(["localhost", "127.0.0.1"]) {
        let mut browser = Browser::new(tunnel(&lab.address()), host, "/");
        browser.open_page();
        browser.cookie.clone_from(&cookies);
        browser.sign_in(lab);
        cookies.clone_from(&browser.cookie);
        browser.post_plan(&[]).refused(422, "plan_invalid", &[]);
        assert!(browser.socket().is_ok());
        browsers.push(browser);
    }
    browsers[0].cookie.clone_from(&cookies);
    assert_eq!([browsers[0].me(), browsers[1].me()], [200, 200], "the second sign-in does not end the first");
}

#[test]
fn a_trusted_proxy_may_report_host_scheme_and_path() {
    let lab = Lab::bare_with(&["--no-workers", "--allow-host", "hub.example.org", "--trusted-proxy", "127.0.0.0/8"]);
    let port = free_port();
    let config = format!(
        "server {{ listen 127.0.0.1:{port}; location /user/ada/ {{ proxy_pass http://{}/; proxy_http_version 1.1; \
         proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Proto https; \
         proxy_set_header X-Forwarded-Prefix /user/ada; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }} }}",
        lab.address()
    );
    let _proxy = Proxy::nginx(&config, port);
    let mut browser = Browser::new(port, "hub.example.org", "/user/ada/");
    browser.check(&lab);
    let token = lab.run("token", &["--sign-in"]);
    let link = String::from_utf8(token.stdout).unwrap();
    let answer = browser.send("POST", &link.trim()[link.find("signin").unwrap()..], &[], b"");
    let cookie = answer.header("set-cookie");
    assert!(cookie.contains("Path=/user/ada/") && cookie.ends_with("; Secure"), "{cookie}");
}

#[test]
fn an_idle_socket_stays_open_for_70_seconds() {
    let lab = Lab::bare_with(&["--no-workers", "--allow-host", "lab.example.org"]);
    let mut open = vec![];
    for kind in [Kind::Nginx, Kind::Caddy] {
        let port = free_port();
        let proxy = start(kind, &adapt(kind, &examples(kind)[0], port, &lab.address()), port);
        let mut browser = Browser::new(port, "lab.example.org", "/");
        browser.sign_in(&lab);
        open.push((kind, browser.socket().unwrap(), proxy));
    }
    let begun = Instant::now();
    let mut heartbeats = [0, 0];
    while begun.elapsed() < Duration::from_secs(70) {
        for (at, (kind, socket, _)) in open.iter_mut().enumerate() {
            let message = socket.receive::<ToPage>(given_up_after(20));
            assert!(message.is_some(), "{kind:?}: closed after {:?}", begun.elapsed());
            heartbeats[at] += 1;
        }
    }
    assert!(heartbeats.iter().all(|count| *count > 30), "{heartbeats:?}");
}

#[test]
fn a_printed_link_has_the_public_address() {
    let lab = Lab::bare_with(&["--no-workers", "--public-url", "https://example.org/lab"]);
    let link = String::from_utf8(lab.run("token", &["--sign-in"]).stdout).unwrap();
    assert!(link.starts_with("https://example.org/lab/signin?token="), "{link}");
    let me: Value = lab.owner().get("/me").read();
    assert_eq!(me["grants"]["lab"], "admin", "the link that the server printed signed the owner in");
}
