//! The table of runs over HTTP: queries, pages, tags, bulk actions with failures, saved filters, and the charts of a long run.

use axum::body::Body;
use axum::http::StatusCode;
use store::NewRun;
use wire::{Author, RunId};

use crate::lab::{Answer, Lab, ask};

/// Stores queued runs of these ids, each a millisecond newer than the one before.
async fn with_runs(ids: &[&str]) -> Lab {
    let lab = Lab::open().await;
    for (created_ms, id) in (1..).zip(ids) {
        lab.state.store().create_run(&run(id, created_ms)).await.unwrap();
    }
    lab
}

pub(crate) fn run(id: &str, created_ms: i64) -> NewRun {
    let corpora = r#"[{"id":"tales","name":"Tales","source":{"kind":"generated","generator":"tales","seed":1},"documents":1000,"text_bytes":1000000,
        "chars":1000000,"alphabet":"abc","sample":"Once","valid_share":0.1,"content_hash":"00","entropy_nats":1.0,"created_ms":0,"datasets":[]}]"#;
    let devices = r#"[{"id":"cpu","name":"a device","kind":"cpu","backend":"flex","cores":2,"memory_bytes":8000000000,"flops_per_sec":1e11}]"#;
    let (corpora, devices): (Vec<_>, Vec<_>) =
        (serde_json::from_str(corpora).unwrap(), serde_json::from_str(devices).unwrap());
    let spec: wire::RunSpec = serde_json::from_str(r#"{"corpus":"tales"}"#).unwrap();
    let view = wire::run::plan::resolve(&spec, &corpora, &devices).unwrap();
    NewRun {
        id: id.parse().unwrap(),
        name: id.into(),
        corpus: "Tales".into(),
        spec,
        plan: view.plan,
        estimate: view.estimate,
        references: Default::default(),
        device_name: "a device".into(),
        created_ms,
        author: Author::Person("ada".into()),
    }
}

async fn patch(lab: &Lab, run: &str, body: &str) -> Answer {
    let request = ask("PATCH", &format!("/api/v1/runs/{run}"), Some(&lab.steer));
    lab.send(request.header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap()).await
}

fn ids(answer: &Answer) -> Vec<String> {
    let rows = answer.json();
    rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_list_is_filtered_sorted_and_paged_with_its_total_in_a_header() {
    let lab = with_runs(&["a", "b", "c", "d", "e"]).await;
    patch(&lab, "b", r#"{"tags": ["x", "base"]}"#).await;
    let whole = lab.get("/api/v1/runs", &lab.view).await;
    assert_eq!(
        (ids(&whole), whole.headers["kindling-total"].to_str().unwrap()),
        (["e", "d", "c", "b", "a"].map(str::to_owned).to_vec(), "5")
    );
    assert!(!whole.headers.contains_key("kindling-cursor"));
    assert_eq!(whole.json()[3]["tags"], serde_json::json!(["base", "x"]));
    let first = lab.get("/api/v1/runs?sort=name&limit=2&columns=seed,lr", &lab.view).await;
    assert_eq!(ids(&first), ["a", "b"]);
    assert_eq!(first.json()[0]["values"]["seed"], 1);
    assert!(first.json()[0]["values"]["optimizer.learning_rate"].is_number());
    let cursor = first.headers["kindling-cursor"].to_str().unwrap();
    let second = lab.get(&format!("/api/v1/runs?sort=name&limit=2&cursor={cursor}"), &lab.view).await;
    assert_eq!(ids(&second), ["c", "d"]);
    assert_eq!(ids(&lab.get("/api/v1/runs?tag=base&q=queued%20lr%3C1", &lab.view).await), ["b"]);
    for (query, status, field) in [
        ("q=lr%3E", 422, Some("q")),
        ("cursor=zz", 422, Some("cursor")),
        ("nothing=1", 400, Some("nothing")),
        ("limit=x", 400, Some("limit")),
    ] {
        let answer = lab.get(&format!("/api/v1/runs?{query}"), &lab.view).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["field"].as_str()),
            (status, field),
            "{query} {:?}",
            answer.json()
        );
    }
    let facets = lab.get("/api/v1/runs/facets", &lab.view).await.json();
    assert_eq!(facets["tags"], serde_json::json!([{"key": "base", "count": 1}, {"key": "x", "count": 1}]));
}

#[tokio::test]
async fn tags_have_limits() {
    let lab = with_runs(&["a"]).await;
    let many: Vec<String> = (0..21).map(|number| format!("t{number}")).collect();
    for tags in [
        r#"["a b"]"#.to_owned(),
        r#"[""]"#.into(),
        format!("[\"{}\"]", "x".repeat(41)),
        serde_json::to_string(&many).unwrap(),
    ] {
        let answer = patch(&lab, "a", &format!(r#"{{"tags": {tags}}}"#)).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, "value_invalid"),
            "{tags}"
        );
        assert!(answer.json()["hint"].is_string());
    }
    assert_eq!(patch(&lab, "a", r#"{"tags": ["b", "a", "b"]}"#).await.json()["tags"], serde_json::json!(["a", "b"]));
    assert_eq!(
        patch(&lab, "a", r#"{"name": "new"}"#).await.json()["tags"],
        serde_json::json!(["a", "b"]),
        "others stay"
    );
    assert_eq!(patch(&lab, "a", r#"{"tags": []}"#).await.json()["tags"], serde_json::json!([]));
    let full: Vec<String> = (0..20).map(|number| format!("t{number}")).collect();
    patch(&lab, "a", &format!(r#"{{"tags": {}}}"#, serde_json::to_string(&full).unwrap())).await;
    let body = r#"{"runs": ["a"], "action": {"kind": "tag", "tag": "one-more"}}"#;
    let outcomes = lab.post("/api/v1/runs/bulk", &lab.steer, body).await.json();
    assert_eq!(outcomes[0]["error"]["code"], "value_invalid");
}

#[tokio::test]
async fn tags_that_are_added_at_the_same_time_are_all_kept() {
    let lab = with_runs(&["a"]).await;
    let add = async |tag: &str| {
        let body = format!(r#"{{"runs": ["a"], "action": {{"kind": "tag", "tag": "{tag}"}}}}"#);
        assert_eq!(lab.post("/api/v1/runs/bulk", &lab.steer, &body).await.status, StatusCode::OK);
    };
    for round in 0..5 {
        let [one, two, three] = ["x", "y", "z"].map(|letter| format!("{letter}{round}"));
        tokio::join!(add(&one), add(&two), add(&three));
    }
    let view = lab.get("/api/v1/runs/a", &lab.view).await.json();
    assert_eq!(view["summary"]["tags"].as_array().unwrap().len(), 15, "{view}");
}

#[tokio::test]
async fn a_bulk_action_has_an_outcome_for_each_run() {
    let lab = with_runs(&["a", "b", "c"]).await;
    let run = |id: &str| id.parse::<RunId>().unwrap();
    lab.state.store().set_state(&run("b"), wire::RunState::Running, None).await.unwrap();
    let bulk = |action: &str| {
        let body = format!(r#"{{"runs": ["a", "b", "nobody"], "action": {action}}}"#);
        let lab = &lab;
        async move { lab.post("/api/v1/runs/bulk", &lab.steer, &body).await }
    };
    for (action, codes) in [
        (r#"{"kind": "tag", "tag": "x"}"#, [None, None, Some("not_found")]),
        (r#"{"kind": "archive"}"#, [None, None, Some("not_found")]),
        (r#"{"kind": "delete"}"#, [None, Some("run_live"), Some("not_found")]),
        (r#"{"kind": "restore"}"#, [None, None, Some("not_found")]),
        (r#"{"kind": "stop"}"#, [None, Some("worker_away"), Some("not_found")]),
    ] {
        let answer = bulk(action).await;
        assert_eq!(answer.status, StatusCode::OK, "{action}");
        let found: Vec<Option<String>> = answer
            .json()
            .as_array()
            .unwrap()
            .iter()
            .map(|outcome| outcome["error"]["code"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(found, codes.map(|code| code.map(str::to_owned)), "{action} {:?}", answer.json());
    }
    let a = lab.get("/api/v1/runs/a", &lab.view).await.json()["summary"].clone();
    assert_eq!(
        (a["state"].as_str(), a["is_archived"].as_bool(), &a["tags"]),
        (Some("stopped"), Some(true), &serde_json::json!(["x"]))
    );
    bulk(r#"{"kind": "unarchive"}"#).await;
    bulk(r#"{"kind": "untag", "tag": "x"}"#).await;
    let a = lab.get("/api/v1/runs/a", &lab.view).await.json()["summary"].clone();
    assert_eq!((a["is_archived"].as_bool(), &a["tags"]), (Some(false), &serde_json::json!([])));
    let many: Vec<String> = (0..501).map(|number| format!("\"r{number}\"")).collect();
    for body in [
        format!(r#"{{"runs": [{}], "action": {{"kind": "archive"}}}}"#, many.join(",")),
        r#"{"runs": [], "action": {"kind": "archive"}}"#.into(),
        r#"{"runs": ["c", "c"], "action": {"kind": "archive"}}"#.into(),
        r#"{"runs": ["c"], "action": {"kind": "tag", "tag": "a b"}}"#.into(),
        r#"{"runs": ["c"], "action": {"kind": "explode"}}"#.into(),
    ] {
        let answer = lab.post("/api/v1/runs/bulk", &lab.steer, &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{:?}", answer.json());
    }
    assert_eq!(lab.get("/api/v1/runs/c", &lab.view).await.json()["summary"]["is_archived"], false);
}

#[tokio::test]
async fn filters_are_saved_for_everyone_and_replaced_by_name() {
    let lab = with_runs(&["a"]).await;
    let save = |body: &str| {
        let (lab, body) = (&lab, body.to_owned());
        async move { lab.post("/api/v1/filters", &lab.steer, &body).await }
    };
    let saved = save(r#"{"name": " high ", "query": {"q": "lr>1e-3", "limit": 5}}"#).await;
    assert_eq!(saved.status, StatusCode::CREATED);
    assert_eq!(
        (saved.json()["name"].as_str(), &saved.json()["query"]),
        (Some("high"), &serde_json::json!({"q": "lr>1e-3"}))
    );
    save(r#"{"name": "high", "query": {"tag": "x"}}"#).await;
    let listed = lab.get("/api/v1/filters", &lab.view).await.json();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["query"]), (1, &serde_json::json!({"tag": "x"})));
    for body in [
        r#"{"name": "", "query": {}}"#,
        r#"{"name": "x", "query": {"q": "lr>"}}"#,
        r#"{"name": "x", "query": {"nope": 1}}"#,
    ] {
        assert_eq!(save(body).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    let delete = |id: &str| {
        lab.send(ask("DELETE", &format!("/api/v1/filters/{id}"), Some(&lab.steer)).body(Body::empty()).unwrap())
    };
    let id = listed[0]["id"].as_u64().unwrap().to_string();
    assert_eq!(delete(&id).await.status, StatusCode::NO_CONTENT);
    assert_eq!(delete(&id).await.code(), "not_found");
}

#[tokio::test]
async fn a_change_of_several_fields_happens_as_a_whole_or_not_at_all() {
    let lab = with_runs(&["a"]).await;
    let run: RunId = "a".parse().unwrap();
    assert_eq!(lab.post("/api/v1/projects", &lab.admin, r#"{"name": "vision"}"#).await.status, StatusCode::CREATED);
    for (body, code) in [
        (r#"{"name": "renamed", "project": "nothing"}"#, "not_found"),
        (r#"{"project": "vision", "tags": ["two words"]}"#, "value_invalid"),
        (r#"{"project": "vision", "name": ""}"#, "name_invalid"),
        (r#"{"project": "vision", "priority": 5000}"#, "value_invalid"),
    ] {
        assert_eq!(patch(&lab, "a", body).await.code(), code, "{body}");
    }
    lab.state.store().set_state(&run, wire::RunState::Stopped, None).await.unwrap();
    let place = patch(&lab, "a", r#"{"project": "vision", "archived": true, "queue_place": 1}"#).await;
    assert_eq!((place.status, place.code().as_str()), (StatusCode::CONFLICT, "not_queued"));
    let kept = lab.state.store().summary(&run).await.unwrap().unwrap();
    assert_eq!((kept.name.as_str(), kept.project.as_str(), kept.is_archived), ("a", "default", false));
    let whole = patch(&lab, "a", r#"{"project": "vision", "archived": true, "name": "b"}"#).await;
    assert_eq!(whole.status, StatusCode::OK, "{whole:?}");
    let kept = lab.state.store().summary(&run).await.unwrap().unwrap();
    assert_eq!((kept.name.as_str(), kept.project.as_str(), kept.is_archived), ("b", "vision", true));
}

#[tokio::test]
async fn no_text_of_a_query_makes_the_database_fail() {
    let lab = with_runs(&["a"]).await;
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let texts =
        ["\0", "\"", "a\\", "'", "$.x", "metric:\"]", "%", "--", "\u{202e}", &"a>1 ".repeat(2000), &"x".repeat(9000)];
    for text in texts.iter().map(|text| encoded(text)) {
        for query in
            [format!("sort={text}&q=%22"), format!("sort=-{text}"), format!("q={text}"), format!("q={text}%3d1")]
                .into_iter()
                .chain(
                    ["columns", "tag", "state", "dataset", "preset", "project", "cursor"]
                        .map(|key| format!("{key}={text}")),
                )
        {
            let answer = lab.get(&format!("/api/v1/runs?{query}"), &lab.view).await;
            let status = answer.status.as_u16();
            assert!(matches!(status, 200 | 422), "{query}: {answer:?}");
            assert!(status == 200 || answer.json()["field"].is_string(), "{query}: {answer:?}");
        }
        for path in
            [format!("/runs/a/series?names={text}"), format!("/audit?q={text}&who={text}"), format!("/corpora/{text}")]
        {
            let answer = lab.get(&format!("/api/v1{path}"), &lab.admin).await;
            assert!(answer.status.as_u16() < 500, "{path}: {answer:?}");
        }
    }
    let filter = r#"{"name": "x", "query": {"sort": "\u0000"}}"#;
    assert_eq!(lab.post("/api/v1/filters", &lab.steer, filter).await.code(), "value_invalid");
    let filter = r#"{"name": "x", "query": {"columns": "a\"b"}}"#;
    assert_eq!(lab.post("/api/v1/filters", &lab.steer, filter).await.code(), "value_invalid");
    let hidden = lab.get("/api/v1/corpora/..%2f..", &lab.view).await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND);
    assert!(hidden.json()["message"].as_str().unwrap().starts_with("\"../..\" is not an id"), "{hidden:?}");
}
