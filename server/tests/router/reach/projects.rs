//! What a project keeps to itself: its runs, datasets and people, from other projects and from guests.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use wire::encode;
use wire::run::Cursor;
use wire::transport::live::{FromPage, Poll, ToPage};

use super::{Crowd, DATASET, PROJECT, RUN};
use crate::lab::ask;

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
