//! Who reaches what: every route, list and socket message by every kind of sender, against a model of the rules that is written down here
//! a second time. What may not be seen must be answered exactly as what does not exist.
//!
//! - `rules`: the model; here are the senders, and what they get from routes and lists;
//! - `pages`: open pages; `projects`: what a project keeps to itself.

mod pages;
mod projects;
mod rules;

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use server::api::router::description;
use store::NewRun;
use wire::access::Role;

use crate::experiments::experiment_of;
use crate::lab::{Answer, Lab, ask};
use crate::research_loops::loop_of;
use crate::run_table::run;
use rules::{Needs, Outcome, expected, needs, outcome};

/// The project, run and dataset that the requests are about. The senders of `beta` have nothing to do with them.
const PROJECT: &str = "alpha";
const RUN: &str = "alpha-run";
const OTHER_RUN: &str = "beta-run";
const DATASET: &str = "alpha-text";
/// The first sweep of a lab.
const SWEEP: &str = "1";
/// The first experiment of the lab, in the project.
const EXPERIMENT: u64 = 1;
/// The first research loop of the lab, in the project.
const LOOP: u64 = 1;

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
        let sweep = crate::sweeps::new_sweep(PROJECT);
        assert_eq!(lab.state.store().create_sweep(&sweep).await.unwrap().id.to_string(), SWEEP);
        let id = lab.state.store().create_experiment(&experiment_of(PROJECT)).await.unwrap().summary.id;
        assert_eq!(id, EXPERIMENT);
        lab.state.store().create_experiment(&experiment_of("beta")).await.unwrap();
        let id = lab.state.store().create_loop(&loop_of(PROJECT)).await.unwrap().summary.id;
        assert_eq!(id, LOOP);
        lab.state.store().create_loop(&loop_of("beta")).await.unwrap();
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
pub(crate) async fn open_link(lab: &Lab, link: &Value) -> String {
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
pub(crate) fn routes() -> Vec<(String, String)> {
    let tree: Value = serde_json::from_str(&description().to_json().unwrap()).unwrap();
    let paths = tree["paths"].as_object().unwrap().clone();
    let methods = |(path, methods): (String, Value)| {
        let methods: Vec<String> = methods.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        methods.into_iter().map(move |method| (method, path.clone()))
    };
    paths.into_iter().flat_map(methods).collect()
}

/// A pattern with the ids of what the requests are about.
pub(crate) fn filled(pattern: &str) -> String {
    let (experiment, research_loop) = (EXPERIMENT.to_string(), LOOP.to_string());
    let id = match pattern {
        path if path.contains("/research-loops/{id}") => research_loop.as_str(),
        path if path.contains("/experiments/{id}") => experiment.as_str(),
        path if path.contains("/runs/{id}") => RUN,
        path if path.contains("/corpora/{id}") => DATASET,
        path if path.contains("/sweeps/{id}") => SWEEP,
        path if path.contains("/devices/{id}") || path.contains("/catalogue/{id}") => "nothing",
        _ => "999999",
    };
    let name = if pattern.contains("/projects/") { PROJECT } else { "nothing" };
    let filled = pattern.replace("{id}", id).replace("{name}", name).replace("{cid}", "0-1");
    filled
        .replace("{file}", "loss.svg")
        .replace("{person}", "999999")
        .replace("{task}", "nothing")
        .replace("{checkpoint}", "0-1")
        .replace("{call}", "nothing")
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
        let sweeps = String::from_utf8(get("/api/v1/sweeps").await.body).unwrap();
        assert_eq!(sweeps.contains("alpha"), sender.on_project().is_some(), "{}: {sweeps}", sender.name);
        let experiments = get("/api/v1/experiments").await;
        let is_listed = experiments.json().as_array().is_some_and(|all| all.iter().any(|one| one["id"] == EXPERIMENT));
        assert_eq!(is_listed, sender.on_project().is_some(), "{}: {experiments:?}", sender.name);
        let loops = get("/api/v1/research-loops").await;
        let is_listed = loops.json().as_array().is_some_and(|all| all.iter().any(|one| one["id"] == LOOP));
        assert_eq!(is_listed, sender.on_project().is_some(), "{}: {loops:?}", sender.name);
        let compared = get(&format!("/api/v1/compare?baseline={RUN}&change={RUN}")).await;
        assert_eq!(compared.status == StatusCode::OK, sees, "{}: {compared:?}", sender.name);
        let sees_project = sender.on_project().is_some();
        for (list, sees) in [(RUN, sees), ("sweep:1", sees_project), ("project:alpha", sees_project)] {
            for path in ["fit?kind=isoflop", "replay?rule=asha"] {
                let answer = get(&format!("/api/v1/{path}&runs={list}")).await;
                assert_eq!(answer.status == StatusCode::OK, sees, "{path} of {list} by {}: {answer:?}", sender.name);
            }
        }
        for (method, path, body) in bodies() {
            let answer = crowd.send(sender, method, path, Some(&body)).await;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            let (allowed, is_run) = match path {
                "/api/v1/plan" => (sender.on_project().is_some(), false),
                "/api/v1/runs" => (sender.on_project().is_some_and(|role| role.includes(Role::Steer)), false),
                "/api/v1/sweeps" | "/api/v1/sweeps/preview" => {
                    (sender.on_project().is_some_and(|role| role.includes(Role::Steer)), false)
                }
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
    let sweep = json!({
        "name": "rates", "trials": 2, "base": spec,
        "space": { "parameters": { "optimizer.learning_rate": { "log": [1e-4, 1e-2] } } },
    });
    vec![
        ("POST", "/api/v1/sweeps/preview", sweep.clone()),
        ("POST", "/api/v1/sweeps", sweep),
        ("POST", "/api/v1/plan", spec.clone()),
        ("POST", "/api/v1/runs", spec),
        ("POST", "/api/v1/completions", json!({ "run": RUN, "prompt": "Once" })),
        ("POST", "/api/v1/runs/bulk", json!({ "runs": [RUN], "action": { "kind": "tag", "tag": "x" } })),
    ]
}
