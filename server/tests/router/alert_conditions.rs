//! Conditions on metrics: who may state, see and delete them, what is refused, and that their alerts reach a channel.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use wire::RunId;
use wire::series::Row;
use wire::transport::link::Item;

use crate::lab::{Answer, Lab, ask};
use crate::reach::invite;
use crate::run_table::run;

const CONDITIONS: &str = "/api/v1/alert-conditions";

/// A lab with the projects `alpha` and `beta`, each with a run.
async fn lab_with_projects() -> Lab {
    let lab = Lab::open().await;
    for (at, project) in ["alpha", "beta"].into_iter().enumerate() {
        lab.post("/api/v1/projects", &lab.admin, &json!({ "name": project }).to_string()).await;
        let mut new = run(&format!("{project}-run"), at as i64);
        new.spec.project = Some(project.to_owned());
        lab.state.store().create_run(&new).await.unwrap();
    }
    lab
}

/// A request by the browser of a person.
async fn by(lab: &Lab, cookie: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
    let request = ask(method, path, None).header("cookie", cookie).header("content-type", "application/json");
    lab.send(request.body(body.map_or_else(Body::empty, |body| Body::from(body.to_string()))).unwrap()).await
}

fn condition(of: &Value) -> Value {
    let mut body = json!({ "series": "loss.valid", "side": "above", "threshold": 2.5 });
    of.as_object().unwrap().iter().for_each(|(key, value)| body[key] = value.clone());
    body
}

fn ids(answer: &Answer) -> Vec<i64> {
    answer.json().as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_steers_the_runs_of_a_condition_may_state_and_delete_it() {
    let lab = lab_with_projects().await;
    let person =
        async |name: &str, role: &str| invite(&lab, name, "none", &json!([{ "project": "alpha", "role": role }])).await;
    let (viewer, steerer) = (person("eve", "view").await, person("bob", "steer").await);
    let (of_run, of_project, of_beta) =
        (json!({ "run": "alpha-run" }), json!({ "project": "alpha" }), json!({ "project": "beta" }));
    let code = async |cookie: &str, of: &Value| {
        let answer = by(&lab, cookie, "POST", CONDITIONS, Some(condition(of))).await;
        if answer.status == StatusCode::CREATED { "created".to_owned() } else { answer.code() }
    };
    for of in [&of_run, &of_project, &json!({})] {
        assert_eq!(code(&viewer, of).await, "forbidden", "{of}");
    }
    assert_eq!(code(&steerer, &json!({})).await, "forbidden");
    for (cookie, of) in [(&viewer, &of_beta), (&steerer, &of_beta), (&steerer, &json!({ "run": "beta-run" }))] {
        assert_eq!(code(cookie, of).await, "not_found", "{of}");
    }
    assert_eq!(code(&steerer, &of_run).await, "created");
    assert_eq!(code(&steerer, &of_project).await, "created");
    for of in [&of_beta, &json!({})] {
        let made = lab.post(CONDITIONS, &lab.steer, &condition(of).to_string()).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    }
    let all = ids(&lab.get(CONDITIONS, &lab.view).await);
    let [run_id, project_id, beta_id, lab_id] = all[..] else { panic!("{all:?}") };
    assert_eq!(ids(&by(&lab, &viewer, "GET", CONDITIONS, None).await), [run_id, project_id, lab_id]);
    let of_run = |run: &str| format!("{CONDITIONS}?run={run}");
    assert_eq!(ids(&by(&lab, &viewer, "GET", &of_run("alpha-run"), None).await), [run_id, project_id, lab_id]);
    assert_eq!(ids(&lab.get(&of_run("beta-run"), &lab.view).await), [beta_id, lab_id]);
    assert_eq!(by(&lab, &viewer, "GET", &of_run("beta-run"), None).await.code(), "not_found");
    let delete = async |cookie: &str, id: i64| by(&lab, cookie, "DELETE", &format!("{CONDITIONS}/{id}"), None).await;
    assert_eq!(delete(&viewer, run_id).await.code(), "forbidden");
    assert_eq!(delete(&steerer, beta_id).await.code(), "not_found");
    assert_eq!(delete(&steerer, lab_id).await.code(), "forbidden");
    assert_eq!(delete(&steerer, run_id).await.status, StatusCode::NO_CONTENT);
    assert_eq!(delete(&steerer, run_id).await.code(), "not_found");
    assert_eq!(lab.delete(&format!("{CONDITIONS}/{lab_id}"), &lab.steer).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ids(&lab.get(CONDITIONS, &lab.view).await), [project_id, beta_id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_no_value_can_meet_is_refused_with_the_field() {
    let lab = lab_with_projects().await;
    for (of, field) in [
        (json!({ "series": "loss.unknown" }), "series"),
        (json!({ "run": "alpha-run", "project": "alpha" }), "project"),
    ] {
        let refused = lab.post(CONDITIONS, &lab.steer, &condition(&of).to_string()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:?}");
        assert_eq!(refused.json()["field"], field);
    }
    let unknown = condition(&json!({ "run": "nobody" })).to_string();
    assert_eq!(lab.post(CONDITIONS, &lab.steer, &unknown).await.code(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_beyond_the_threshold_is_listed_as_an_alert_of_its_run() {
    let lab = lab_with_projects().await;
    let of = json!({ "project": "alpha", "is_urgent": true });
    lab.post(CONDITIONS, &lab.steer, &condition(&of).to_string()).await;
    for run in ["alpha-run", "beta-run"] {
        let run: RunId = run.parse().unwrap();
        let row = Row { segment: 0, step: 99, values: vec![("loss.valid".to_owned(), 3.25)] };
        lab.state.store().ingest(&run, 1, vec![Item::Row(row)]).await.unwrap();
    }
    let listed = lab.get("/api/v1/alerts", &lab.view).await.json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed[0]["title"], "alpha-run: loss.valid above 2.5");
    assert_eq!(listed[0]["text"], "loss.valid is 3.25 at step 99, above the threshold 2.5 that ada has set.");
    assert_eq!((&listed[0]["kind"], &listed[0]["is_urgent"]), (&json!("metric"), &json!(true)));
    let limited = json!({ "name": "metrics", "is_of_lab": true, "target": { "kind": "ntfy", "topic": "runs" },
        "filter": { "kinds": ["metric"] } });
    let made = lab.post("/api/v1/alert-channels", &lab.admin, &limited.to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
}
