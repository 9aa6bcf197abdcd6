//! Who reaches what: every route, list and socket message by every kind of sender, against a model of the rules that is written down here
//! a second time. What may not be seen must be answered exactly as what does not exist.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use server::api::router::description;
use store::NewRun;
use wire::access::{Role, TokenKind};
use wire::encode;
use wire::run::Cursor;
use wire::transport::live::{FromPage, Poll, ToPage};

use crate::lab::{Answer, Lab, ask};
use crate::run_table::run;

/// The project, run and dataset that the requests are about. The senders of `beta` have nothing to do with them.
const PROJECT: &str = "alpha";
const RUN: &str = "alpha-run";
const OTHER_RUN: &str = "beta-run";
const DATASET: &str = "alpha-text";

/// A sender, and what the rules give them.
struct Sender {
    name: &'static str,
    /// Header that proves who it is.
    header: (&'static str, String),
    lab: Option<Role>,
    alpha: Option<Role>,
    /// A role on `alpha-run` alone, by a link.
    run: Option<Role>,
    /// Whether it has a project besides.
    is_member: bool,
    steers_elsewhere: bool,
}

impl Sender {
    fn on_project(&self) -> Option<Role> {
        best(self.lab, self.alpha)
    }

    fn on_run(&self) -> Option<Role> {
        best(self.on_project(), self.run)
    }

    fn views_anything(&self) -> bool {
        self.lab.is_some() || self.alpha.is_some() || self.is_member
    }

    fn steers_anything(&self) -> bool {
        let steers = |role: Option<Role>| role.is_some_and(|role| role.includes(Role::Steer));
        steers(self.lab) || steers(self.alpha) || self.steers_elsewhere
    }
}

fn best(one: Option<Role>, other: Option<Role>) -> Option<Role> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if one.includes(other) { one } else { other }),
        (one, other) => one.or(other),
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Needs {
    /// No token at all.
    Nothing,
    /// Anybody who is signed in.
    SignedIn,
    /// A role in the lab or in any project.
    Member,
    /// `steer` in the lab or in any project.
    Contributor,
    /// As [`Needs::Contributor`], for the project that the query names.
    ContributorTo,
    Lab(Role),
    Run(Role),
    Dataset(Role),
    Project(Role),
    /// A worker's or a join token.
    Machine,
}

/// The rule of each route. A route that is missing here fails the test: decide who may use it.
fn needs(method: &str, path: &str) -> Needs {
    use Needs::{Contributor, Dataset, Machine, Member, Nothing, Project, Run, SignedIn};
    let path = path.strip_prefix("/api/v1").unwrap_or(path);
    if path == "/link" || path == "/join" || path.starts_with("/transfer/") {
        return Machine;
    }
    if path.starts_with("/runs/{id}") {
        let reads = method == "GET" || (method == "POST" && path.ends_with("/inspections"));
        return Run(if reads { Role::View } else { Role::Steer });
    }
    if path.starts_with("/corpora/{id}") {
        return match (method, path) {
            ("GET", _) => Dataset(Role::View),
            ("DELETE", _) => Dataset(Role::Admin),
            _ => Contributor,
        };
    }
    match (method, path) {
        ("GET", "/session") | ("POST", "/session" | "/session/password" | "/invitations/accept") => Nothing,
        ("GET", "/invitations/preview") => Nothing,
        (_, "/session" | "/me" | "/me/password" | "/live" | "/live/poll" | "/runs" | "/runs/facets" | "/lab") => {
            SignedIn
        }
        ("GET", "/compare") => SignedIn,
        (_, "/runs/bulk" | "/plan" | "/presets" | "/rules" | "/hyperparameters" | "/completions") => SignedIn,
        (_, path) if path.starts_with("/me/") => SignedIn,
        ("GET", "/corpora" | "/devices" | "/jobs" | "/catalogue" | "/pools" | "/people" | "/links" | "/alerts") => {
            Member
        }
        ("GET" | "POST", "/projects") => {
            if method == "GET" {
                Member
            } else {
                Needs::Lab(Role::Admin)
            }
        }
        (_, path) if path.starts_with("/alert-channels") => Member,
        ("POST", "/links") => Member,
        ("DELETE", "/links/{id}") => Member,
        (_, "/runs/import" | "/corpora") => Needs::ContributorTo,
        (_, "/catalogue/{id}" | "/hub/datasets" | "/hub/models") => Contributor,
        (_, path) if path.starts_with("/uploads") || path == "/jobs/{id}" => Contributor,
        ("GET", "/tokens" | "/backup" | "/pools/{name}/join-tokens" | "/audit" | "/audit.csv") => {
            Needs::Lab(Role::Admin)
        }
        (
            "GET",
            "/filters"
            | "/disk"
            | "/fleet"
            | "/fleet/devices/{id}/history"
            | "/workers"
            | "/workers/{id}/log"
            | "/checks",
        ) => Needs::Lab(Role::View),
        (_, "/filters" | "/filters/{id}") => Needs::Lab(Role::Steer),
        ("PATCH", "/workers/{id}") => Needs::Lab(Role::Steer),
        (_, path) if path.starts_with("/projects/{name}/members") => Project(Role::Admin),
        (_, path) if path.starts_with("/invitations") => Member,
        (
            _,
            "/tokens"
            | "/tokens/{id}"
            | "/removed-accounts"
            | "/removed-accounts/{id}"
            | "/pools"
            | "/pools/{name}"
            | "/pools/{name}/join-tokens"
            | "/join-tokens/{id}",
        ) => Needs::Lab(Role::Admin),
        (_, "/workers/{id}" | "/people/{id}" | "/people/{id}/reset" | "/projects/{name}") => Needs::Lab(Role::Admin),
        _ => panic!("{method} {path}: decide who may use this route, and add it to the table"),
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Unauthorized,
    Forbidden,
    /// As something that does not exist.
    Hidden,
    /// Neither: the route itself answers.
    Allowed,
}

fn expected(sender: &Sender, needs: Needs) -> Outcome {
    let by_role = |role: Option<Role>, needed: Role| match role {
        Some(role) if role.includes(needed) => Outcome::Allowed,
        Some(_) => Outcome::Forbidden,
        None => Outcome::Hidden,
    };
    let only = |is_allowed: bool| if is_allowed { Outcome::Allowed } else { Outcome::Forbidden };
    match needs {
        Needs::Nothing | Needs::SignedIn => Outcome::Allowed,
        Needs::Member => only(sender.views_anything()),
        Needs::Contributor => only(sender.steers_anything()),
        Needs::ContributorTo if !sender.steers_anything() => Outcome::Forbidden,
        Needs::ContributorTo => by_role(sender.on_project(), Role::Steer),
        Needs::Lab(needed) => only(sender.lab.is_some_and(|role| role.includes(needed))),
        Needs::Run(needed) => by_role(sender.on_run(), needed),
        Needs::Project(needed) => by_role(sender.on_project(), needed),
        Needs::Dataset(_) if !sender.views_anything() => Outcome::Forbidden,
        Needs::Dataset(needed) => by_role(sender.on_project(), needed),
        Needs::Machine => Outcome::Forbidden,
    }
}

fn outcome(answer: &Answer) -> Outcome {
    let message = || answer.json()["message"].as_str().unwrap_or_default().to_owned();
    match answer.status {
        StatusCode::UNAUTHORIZED => Outcome::Unauthorized,
        StatusCode::FORBIDDEN if answer.code() == "forbidden" => Outcome::Forbidden,
        StatusCode::NOT_FOUND => {
            let hidden = [
                format!("unknown run {RUN}"),
                format!("unknown project {PROJECT:?}"),
                format!("unknown dataset {DATASET}"),
            ];
            if hidden.contains(&message()) { Outcome::Hidden } else { Outcome::Allowed }
        }
        _ => Outcome::Allowed,
    }
}

/// A lab with two projects, and everyone who may come.
struct Crowd {
    lab: Lab,
    senders: Vec<Sender>,
}

impl Crowd {
    async fn gather() -> Self {
        let lab = Lab::open().await;
        for project in [PROJECT, "beta"] {
            let made = lab.post("/api/v1/projects", &lab.admin, &json!({ "name": project }).to_string()).await;
            assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        }
        for (at, (id, project)) in
            [(RUN, PROJECT), (OTHER_RUN, "beta"), ("free-run", "default")].into_iter().enumerate()
        {
            let mut new: NewRun = run(id, at as i64);
            new.spec.project = Some(project.to_owned());
            lab.state.store().create_run(&new).await.unwrap();
        }
        for (name, project) in [(DATASET, Some(PROJECT)), ("beta-text", Some("beta")), ("free-text", None)] {
            add_dataset(&lab, name, project).await;
        }
        let senders = senders(&lab).await;
        Self { lab, senders }
    }

    async fn send(&self, sender: &Sender, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let (name, value) = &sender.header;
        let request = ask(method, path, None).header(*name, value);
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.lab.send(request.unwrap()).await
    }
}

async fn add_dataset(lab: &Lab, name: &str, project: Option<&str>) {
    let query = project.map(|project| format!("&project={project}")).unwrap_or_default();
    let made = lab.upload(&format!("name={name}{query}"), b"Once upon a time there was a text.").await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
}

async fn senders(lab: &Lab) -> Vec<Sender> {
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let sender = |name, header| Sender {
        name,
        header,
        lab: None,
        alpha: None,
        run: None,
        is_member: false,
        steers_elsewhere: false,
    };
    let mut all = vec![
        Sender { lab: Some(Role::View), ..sender("view token of the lab", bearer(&lab.view)) },
        Sender { lab: Some(Role::Steer), ..sender("steer token of the lab", bearer(&lab.steer)) },
        Sender { lab: Some(Role::Admin), ..sender("admin token of the lab", bearer(&lab.admin)) },
        sender("worker", bearer(&lab.worker)),
    ];
    for (name, role, projects) in [
        ("viewer of alpha", "none", json!([{ "project": PROJECT, "role": "view" }])),
        ("steerer of alpha", "none", json!([{ "project": PROJECT, "role": "steer" }])),
        ("admin of alpha", "none", json!([{ "project": PROJECT, "role": "admin" }])),
        ("admin of beta", "none", json!([{ "project": "beta", "role": "admin" }])),
        ("person without projects", "none", json!([])),
        ("viewer of the lab, steerer of alpha", "view", json!([{ "project": PROJECT, "role": "steer" }])),
    ] {
        let cookie = invite(lab, name, role, &projects).await;
        let role_in = |project: &str| {
            let found = projects.as_array().unwrap().iter().find(|one| one["project"] == project)?;
            Some(serde_json::from_value(found["role"].clone()).unwrap())
        };
        all.push(Sender {
            lab: (role == "view").then_some(Role::View),
            alpha: role_in(PROJECT),
            is_member: role_in("beta").is_some(),
            steers_elsewhere: role_in("beta").is_some(),
            ..sender(name, ("cookie", cookie))
        });
    }
    let token_of = async |cookie: &str, body: Value| {
        let made = lab.send(
            ask("POST", "/api/v1/me/tokens", None)
                .header("cookie", cookie)
                .header("content-type", "application/json")
                .body(Body::from(body.to_string()))
                .unwrap(),
        );
        made.await.json()["text"].as_str().unwrap().to_owned()
    };
    let admin_of_alpha = all.iter().find(|one| one.name == "admin of alpha").unwrap().header.1.clone();
    let capped = token_of(&admin_of_alpha, json!({ "name": "script", "role": "view" })).await;
    all.push(Sender { alpha: Some(Role::View), ..sender("view token of the admin of alpha", bearer(&capped)) });
    let elsewhere = token_of(&admin_of_alpha, json!({ "name": "script", "role": "admin", "projects": ["beta"] })).await;
    all.push(sender("token of the admin of alpha for beta", bearer(&elsewhere)));
    for (name, scope, path, role) in [
        ("guest who views alpha-run", json!({ "runs": [RUN] }), format!("/runs/{RUN}"), "view"),
        ("guest who steers alpha-run", json!({ "runs": [RUN] }), format!("/runs/{RUN}"), "steer"),
        ("guest who views alpha", json!({ "project": PROJECT }), "/".to_owned(), "view"),
        ("guest of beta-run", json!({ "runs": [OTHER_RUN] }), format!("/runs/{OTHER_RUN}"), "steer"),
    ] {
        let cookie = open_link(lab, &json!({ "scope": scope, "path": path, "role": role })).await;
        let role: Role = serde_json::from_value(json!(role)).unwrap();
        let is_alpha_run = scope["runs"][0] == RUN;
        all.push(Sender {
            run: is_alpha_run.then_some(role),
            alpha: (scope["project"] == PROJECT).then_some(role),
            ..sender(name, ("cookie", cookie))
        });
    }
    all
}

/// Invites somebody who accepts; returns the cookie of their browser.
pub(crate) async fn invite(lab: &Lab, name: &str, role: &str, projects: &Value) -> String {
    let invitation = json!({ "name": name, "role": role, "projects": projects });
    let made = lab.post("/api/v1/invitations", &lab.admin, &invitation.to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let accepted = json!({ "token": made.json()["text"], "name": name, "password": "a long enough password" });
    let request = ask("POST", "/api/v1/invitations/accept", None).header("content-type", "application/json");
    cookie_of(&lab.send(request.body(Body::from(accepted.to_string())).unwrap()).await)
}

/// Creates a link, and opens it with a new browser.
async fn open_link(lab: &Lab, link: &Value) -> String {
    let made = lab.post("/api/v1/links", &lab.admin, &link.to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let path = format!("/share/{}", made.json()["text"].as_str().unwrap());
    let request = ask("POST", &path, None).header("content-type", "application/x-www-form-urlencoded");
    cookie_of(&lab.send(request.body(Body::empty()).unwrap()).await)
}

fn cookie_of(answer: &Answer) -> String {
    let cookie = answer.headers.get("set-cookie").unwrap_or_else(|| panic!("no cookie in {answer:?}"));
    cookie.to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// Every route of the API document, with its pattern.
fn routes() -> Vec<(String, String)> {
    let tree: Value = serde_json::from_str(&description().to_json().unwrap()).unwrap();
    let paths = tree["paths"].as_object().unwrap().clone();
    let methods = |(path, methods): (String, Value)| {
        let methods: Vec<String> = methods.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        methods.into_iter().map(move |method| (method, path.clone()))
    };
    paths.into_iter().flat_map(methods).collect()
}

/// A pattern with the ids of what the requests are about.
fn filled(pattern: &str) -> String {
    let id = match pattern {
        path if path.contains("/runs/{id}") => RUN,
        path if path.contains("/corpora/{id}") => DATASET,
        path if path.contains("/devices/{id}") || path.contains("/catalogue/{id}") => "nothing",
        _ => "999999",
    };
    let name = if pattern.contains("/projects/") { PROJECT } else { "nothing" };
    let filled = pattern.replace("{id}", id).replace("{name}", name).replace("{cid}", "0-1");
    filled.replace("{file}", "loss.svg").replace("{person}", "999999")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_every_sender_as_the_rules_say() {
    let crowd = Crowd::gather().await;
    let mut checked = 0;
    for (method, pattern) in routes() {
        let needs = needs(&method, &pattern);
        // These end the sender's own session, or change what the next request needs.
        let ends = method == "DELETE" && pattern.ends_with("/session")
            || (method.as_str(), pattern.as_str()) == ("DELETE", "/api/v1/projects/{name}");
        if ends || needs == Needs::Nothing {
            continue;
        }
        for sender in &crowd.senders {
            let is_worker = sender.name == "worker";
            if is_worker && needs == Needs::Machine {
                continue;
            }
            let named = if needs == Needs::ContributorTo { "?project=alpha" } else { "" };
            let answer = crowd.send(sender, &method, &(filled(&pattern) + named), None).await;
            let wanted = if is_worker { Outcome::Forbidden } else { expected(sender, needs) };
            assert_eq!(outcome(&answer), wanted, "{method} {pattern} by {}: {answer:?}", sender.name);
            checked += 1;
            if (method.as_str(), pattern.as_str(), &wanted) == ("DELETE", "/api/v1/corpora/{id}", &Outcome::Allowed) {
                // It is gone now; the next sender finds it again.
                add_dataset(&crowd.lab, DATASET, Some(PROJECT)).await;
            }
        }
    }
    assert!(checked > 1000, "{checked} pairs");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_searches_and_bodies_reach_only_what_their_sender_sees() {
    let crowd = Crowd::gather().await;
    for sender in crowd.senders.iter().filter(|sender| sender.name != "worker") {
        let get = async |path: &str| crowd.send(sender, "GET", path, None).await;
        let sees = sender.on_run().is_some();
        for path in ["/api/v1/runs", "/api/v1/runs?q=alpha", "/api/v1/runs?deleted=true&project=alpha", "/api/v1/lab"] {
            let text = String::from_utf8(get(path).await.body).unwrap();
            assert_eq!(text.contains(RUN), sees, "{path} by {}: {text}", sender.name);
        }
        let total = get("/api/v1/runs").await.headers["kindling-total"].to_str().unwrap().to_owned();
        let seen = [sees, crowd_sees_beta(sender), sender.lab.is_some()];
        assert_eq!(total, seen.iter().filter(|sees| **sees).count().to_string(), "{}", sender.name);
        let corpora = String::from_utf8(get("/api/v1/corpora").await.body).unwrap();
        assert_eq!(corpora.contains(DATASET), sender.on_project().is_some(), "{}: {corpora}", sender.name);
        let compared = get(&format!("/api/v1/compare?baseline={RUN}&change={RUN}")).await;
        assert_eq!(compared.status == StatusCode::OK, sees, "{}: {compared:?}", sender.name);
        for (method, path, body) in bodies() {
            let answer = crowd.send(sender, method, path, Some(&body)).await;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            let (allowed, is_run) = match path {
                "/api/v1/plan" => (sender.on_project().is_some(), false),
                "/api/v1/runs" => (sender.on_project().is_some_and(|role| role.includes(Role::Steer)), false),
                "/api/v1/runs/bulk" => (sender.on_run().is_some_and(|role| role.includes(Role::Steer)), true),
                _ => (sees, true),
            };
            let is_refused =
                text.contains("\"forbidden\"") || text.contains("unknown run") || text.contains("unknown project");
            assert_eq!(is_refused, !allowed, "{method} {path} by {}: {text}", sender.name);
            assert!(is_run || allowed || !text.contains("layers"), "{path} by {}: {text}", sender.name);
        }
    }
}

fn crowd_sees_beta(sender: &Sender) -> bool {
    sender.lab.is_some() || sender.is_member || sender.name == "guest of beta-run"
}

/// Requests that name the run or the project in their body.
fn bodies() -> Vec<(&'static str, &'static str, Value)> {
    let spec = json!({ "preset": "tiny", "corpus": DATASET, "project": PROJECT });
    vec![
        ("POST", "/api/v1/plan", spec.clone()),
        ("POST", "/api/v1/runs", spec),
        ("POST", "/api/v1/completions", json!({ "run": RUN, "prompt": "Once" })),
        ("POST", "/api/v1/runs/bulk", json!({ "runs": [RUN], "action": { "kind": "tag", "tag": "x" } })),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_send_only_what_their_sender_sees() {
    let crowd = Crowd::gather().await;
    let inspection: wire::inspect::request::Inspection = serde_json::from_value(json!({ "overview": {} })).unwrap();
    for (page, sender) in (1..).zip(crowd.senders.iter().filter(|sender| sender.name != "worker")) {
        let run: wire::RunId = RUN.parse().unwrap();
        let messages = vec![
            FromPage::WatchLab,
            FromPage::WatchRun { run: run.clone(), since: Cursor::default() },
            FromPage::Inspect { run: run.clone(), inspections: vec![inspection.clone()] },
        ];
        let poll = encode::to_bytes(&Poll { page, begins: true, messages }).unwrap();
        let (name, value) = &sender.header;
        let request = ask("POST", "/api/v1/live/poll", None).header(*name, value).body(Body::from(poll)).unwrap();
        let answer = crowd.lab.send(request).await;
        let received: Vec<ToPage> = encode::from_bytes(&answer.body).unwrap();
        let sees = sender.on_run().is_some();
        let refused = received.iter().filter(|message| matches!(message, ToPage::Refused { .. })).count();
        assert_eq!(refused, if sees { 0 } else { 2 }, "{}: {received:?}", sender.name);
        let labs: Vec<_> = received
            .iter()
            .filter_map(|message| if let ToPage::Lab(lab) = message { Some(lab) } else { None })
            .collect();
        assert!(!labs.is_empty(), "{}: {received:?}", sender.name);
        for lab in labs {
            assert_eq!(lab.runs.iter().any(|seen| seen.id == run), sees, "{}", sender.name);
            assert_eq!(lab.disk.is_some(), sender.lab.is_some(), "{}", sender.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_loses_what_its_sender_may_no_longer_see() {
    let crowd = Crowd::gather().await;
    let (lab, run): (_, wire::RunId) = (&crowd.lab, RUN.parse().unwrap());
    let sender = crowd.senders.iter().find(|one| one.name == "viewer of alpha").unwrap();
    let poll = async |begins: bool, messages: Vec<FromPage>| {
        let body = encode::to_bytes(&Poll { page: 7, begins, messages }).unwrap();
        let request = ask("POST", "/api/v1/live/poll", None).header(sender.header.0, &sender.header.1);
        let answer = lab.send(request.body(Body::from(body)).unwrap()).await;
        (answer.status, encode::from_bytes::<Vec<ToPage>>(&answer.body).unwrap_or_default())
    };
    let watch = vec![FromPage::WatchRun { run: run.clone(), since: Cursor::default() }];
    let (_, first) = poll(true, watch).await;
    assert!(!first.iter().any(|message| matches!(message, ToPage::Refused { .. })), "{first:?}");
    let people = lab.get("/api/v1/people", &lab.admin).await.json();
    let by_name: BTreeMap<String, i64> = people
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["name"].as_str().unwrap().to_owned(), one["id"].as_i64().unwrap()))
        .collect();
    let id = by_name["viewer of alpha"];
    let removed = lab.delete(&format!("/api/v1/projects/{PROJECT}/members/{id}"), &lab.admin).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{removed:?}");
    let (_, then) = poll(false, vec![]).await;
    assert!(then.iter().any(|message| matches!(message, ToPage::Refused { .. })), "{then:?}");
    assert!(then.contains(&ToPage::Rights), "the page fetches what it may do: {then:?}");
    let removed = lab.delete(&format!("/api/v1/people/{id}"), &lab.admin).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{removed:?}");
    assert_eq!(poll(false, vec![]).await.0, StatusCode::UNAUTHORIZED);
    let kept = lab.state.store().summary(&run).await.unwrap();
    assert!(kept.is_some(), "the runs of a person who is removed stay");
    let sign_in = lab.state.store().add_token("x", Role::View, TokenKind::SignIn, None).await.unwrap();
    assert!(lab.state.store().identify(&sign_in).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_a_link_is_not_kept_by_a_move_or_a_fork() {
    let crowd = Crowd::gather().await;
    let (lab, path) = (&crowd.lab, format!("/api/v1/runs/{RUN}"));
    let sender = crowd.senders.iter().find(|one| one.name == "admin of beta").unwrap();
    let link = json!({ "scope": { "project": PROJECT }, "path": "/", "role": "steer" });
    let text = lab.post("/api/v1/links", &lab.admin, &link.to_string()).await.json()["text"].clone();
    let share = ask("POST", &format!("/share/{}", text.as_str().unwrap()), None)
        .header("content-type", "application/x-www-form-urlencoded")
        .header(sender.header.0, &sender.header.1);
    lab.send(share.body(Body::empty()).unwrap()).await;
    let rename = crowd.send(sender, "PATCH", &path, Some(&json!({ "name": "renamed" }))).await;
    assert_eq!(rename.status, StatusCode::OK, "{rename:?}");
    let moved = crowd.send(sender, "PATCH", &path, Some(&json!({ "project": "beta" }))).await;
    assert_eq!(moved.code(), "not_found", "{moved:?}");
    let fork = json!({ "parent": { "run": RUN, "step": 0 }, "project": "beta" });
    for path in ["/api/v1/plan", "/api/v1/runs"] {
        let forked = crowd.send(sender, "POST", path, Some(&fork)).await;
        assert_eq!(forked.code(), "forbidden", "{path}: {forked:?}");
    }
    assert_eq!(lab.state.store().summary(&RUN.parse().unwrap()).await.unwrap().unwrap().project, PROJECT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_moves_only_where_its_datasets_may_be_used_and_leaves_the_pages_of_its_project() {
    let crowd = Crowd::gather().await;
    let (lab, run): (_, wire::RunId) = (&crowd.lab, RUN.parse().unwrap());
    let store = lab.state.store();
    let to_beta = || lab.patch("/api/v1/runs/alpha-run", &lab.admin, r#"{ "project": "beta" }"#);
    store.set_dataset_project(&"tales".parse().unwrap(), Some(PROJECT)).await.unwrap();
    let fork = json!({ "parent": { "run": RUN, "step": 0 }, "project": "beta" }).to_string();
    for refused in [to_beta().await, lab.post("/api/v1/plan", &lab.admin, &fork).await] {
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:?}");
        assert_eq!(refused.json()["message"], "unknown dataset tales", "{refused:?}");
    }
    store.set_dataset_project(&"tales".parse().unwrap(), None).await.unwrap();
    let limit = async |limits: Value| lab.patch("/api/v1/projects/beta", &lab.admin, &limits.to_string()).await;
    assert_eq!(limit(json!({ "disk_bytes": 0 })).await.status, StatusCode::OK);
    assert_eq!(to_beta().await.code(), "disk_limit");
    assert_eq!(limit(json!({})).await.status, StatusCode::OK);

    let sender = crowd.senders.iter().find(|one| one.name == "viewer of alpha").unwrap();
    let poll = async |begins: bool, messages: Vec<FromPage>| {
        let body = encode::to_bytes(&Poll { page: 8, begins, messages }).unwrap();
        let request = ask("POST", "/api/v1/live/poll", None).header(sender.header.0, &sender.header.1);
        encode::from_bytes::<Vec<ToPage>>(&lab.send(request.body(Body::from(body)).unwrap()).await.body).unwrap()
    };
    let is_refused = |message: &ToPage| matches!(message, ToPage::Refused { .. });
    let first = poll(true, vec![FromPage::WatchRun { run: run.clone(), since: Cursor::default() }]).await;
    assert!(!first.iter().any(is_refused), "{first:?}");
    assert_eq!(to_beta().await.status, StatusCode::OK);
    let then = poll(false, vec![]).await;
    assert!(then.iter().any(is_refused), "its rights are the same, and the run has moved: {then:?}");
    let renamed = lab.patch("/api/v1/runs/alpha-run", &lab.admin, r#"{ "name": "secret" }"#).await;
    assert_eq!(renamed.status, StatusCode::OK);
    let later = poll(false, vec![]).await;
    assert!(!format!("{later:?}").contains("secret"), "{later:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_of_an_upload_tells_nothing_of_other_projects() {
    let crowd = Crowd::gather().await;
    let sender = crowd.senders.iter().find(|one| one.name == "admin of beta").unwrap();
    let upload = async |name: &str| {
        let path = format!("/api/v1/corpora?name={name}&project=beta");
        let request = ask("POST", &path, None).header(sender.header.0, &sender.header.1);
        let made = crowd.lab.send(request.body(Body::from("Once upon a time there was a text.")).unwrap()).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        let id = made.json()["id"].as_str().unwrap().to_owned();
        let (stem, tail) = id.rsplit_once('-').unwrap();
        assert!(stem == name && tail.len() == 4, "{id}");
        id
    };
    let (taken, free) = (upload(DATASET).await, upload("nothing-here").await);
    assert_ne!(upload("nothing-here").await, free);
    let seen = crowd.send(sender, "GET", &format!("/api/v1/corpora/{taken}"), None).await;
    assert_eq!(seen.status, StatusCode::OK, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_of_a_project_does_not_see_its_people() {
    let crowd = Crowd::gather().await;
    let get = async |name: &str, path: &str| {
        let sender = crowd.senders.iter().find(|one| one.name == name).unwrap();
        crowd.send(sender, "GET", path, None).await.json()
    };
    assert_eq!(get("guest who views alpha", "/api/v1/people").await, json!([]));
    let projects = get("guest who views alpha", "/api/v1/projects").await;
    assert_eq!((&projects[0]["name"], &projects[0]["people"]), (&json!(PROJECT), &json!([])));
    let people = get("viewer of alpha", "/api/v1/people").await;
    let admin = people.as_array().unwrap().iter().find(|one| one["name"] == "admin of alpha").unwrap();
    assert!(admin["has_password"].is_null() && admin["created_ms"].is_null(), "only admins of the lab see it: {admin}");
    let own = people.as_array().unwrap().iter().find(|one| one["is_you"] == true).unwrap();
    assert!(own["has_password"] == true && own["created_ms"].is_i64(), "{own}");
    assert!(!get("viewer of alpha", "/api/v1/projects").await[0]["people"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_of_another_project_is_answered_as_one_that_does_not_exist() {
    let crowd = Crowd::gather().await;
    let sender = crowd.senders.iter().find(|one| one.name == "admin of beta").unwrap();
    let plan = async |corpus: &str, mut spec: Value| {
        (spec["preset"], spec["corpus"], spec["project"]) = (json!("tiny"), json!(corpus), json!("beta"));
        let answer = crowd.send(sender, "POST", "/api/v1/plan", Some(&spec)).await;
        (answer.status, answer.json().to_string().replace(corpus, "X"))
    };
    assert_eq!(plan(DATASET, json!({})).await, plan("nothing-here", json!({})).await);
    let wrong = json!({ "device": "nowhere" });
    assert_eq!(plan(DATASET, wrong.clone()).await, plan("nothing-here", wrong).await, "the first error is the same");
}
