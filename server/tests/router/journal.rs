//! The research journal over HTTP: filters, pages, who may read it, calibration, and reports that are complete files.

use axum::http::StatusCode;
use serde_json::{Value, json};
use store::{Moment, NewFinding};
use wire::RunId;
use wire::diagnosis::{Finding, Level};

use crate::experiments::experiment_of;
use crate::lab::{Lab, ask};
use crate::reach::open_link;
use crate::run_table::run;

const PATH: &str = "/api/v1/projects/default";

/// A lab with a run that has a note and a finding, and an experiment. Names and texts contain markup.
async fn recorded() -> (Lab, RunId) {
    let lab = Lab::open().await;
    let mut new = run("amber-fox", 1);
    new.name = "<b>fox</b> | \"x\"".into();
    lab.state.store().create_run(&new).await.unwrap();
    let path = format!("/api/v1/runs/{}/commands", new.id);
    let note = json!({ "kind": "annotate", "text": "<script>alert(1)</script> `code` | next\nline" }).to_string();
    let noted = lab.post(&path, &lab.steer, &note).await;
    assert_eq!(noted.status, StatusCode::OK, "{noted:?}");
    let finding = Finding {
        rule: "plateau".into(),
        level: Level::Alert,
        step: 5,
        first_step: 1,
        value: Some(1.0),
        threshold: 2.0,
        subject: String::new(),
        details: Default::default(),
        evidence: vec![],
    };
    let found = NewFinding {
        segment: 0,
        finding,
        label: "Plateau".into(),
        text: "The loss stopped falling.".into(),
        action: None,
    };
    let moment = Moment { step: 5, found: vec![found], active: vec![] };
    lab.state.store().record_findings(&new.id, &[(0, 0, None)], &[moment], 1).await.unwrap();
    lab.state.store().create_experiment(&experiment_of("default")).await.unwrap();
    (lab, new.id)
}

async fn entries(lab: &Lab, query: &str) -> Vec<Value> {
    let answer = lab.get(&format!("{PATH}/journal?{query}"), &lab.view).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()["entries"].as_array().unwrap().clone()
}

fn kinds(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_journal_is_filtered_searched_and_paged() {
    let (lab, run) = recorded().await;
    let all = entries(&lab, "").await;
    assert_eq!(kinds(&all), ["hypothesis", "finding", "note", "run"]);
    assert_eq!(all[0]["subject"], json!({ "of": "experiment", "id": 1, "name": "Lower rate" }));
    assert_eq!((&all[2]["subject"]["id"], &all[2]["author"]), (&json!(run), &json!({ "person": "ada" })));
    assert_eq!(kinds(&entries(&lab, "kinds=finding,run").await), ["finding", "run"]);
    assert_eq!(kinds(&entries(&lab, "q=LOSS%20stopped").await), ["finding"]);
    assert_eq!(kinds(&entries(&lab, "author=Plateau").await), ["finding"]);
    let (mut paged, mut before) = (vec![], String::new());
    while paged.len() <= all.len() {
        let page = lab.get(&format!("{PATH}/journal?limit=1{before}"), &lab.view).await.json();
        paged.extend(page["entries"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        before = format!("&before={next}");
    }
    assert_eq!(paged, all);
    let (longest, longer) = ("q=".to_owned() + &"qx%20".repeat(66) + "qx", "q=".to_owned() + &"qx%20".repeat(67));
    assert_eq!(entries(&lab, &longest).await.len(), 0, "200 characters");
    for (query, field) in
        [("kinds=look", "kinds"), ("before=yesterday", "before"), ("limit=501", "limit"), (longer.as_str(), "q")]
    {
        let refused = lab.get(&format!("{PATH}/journal?{query}"), &lab.view).await;
        assert_eq!((refused.status, &refused.json()["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)));
    }
    for what in ["journal", "calibration", "report.md", "report.html"] {
        let path = format!("/api/v1/projects/absent/{what}");
        assert_eq!(lab.get(&path, &lab.admin).await.status, StatusCode::NOT_FOUND, "{what}");
    }
}

#[tokio::test]
async fn a_guest_of_the_project_reads_its_journal_and_one_of_a_run_does_not() {
    let (lab, run) = recorded().await;
    let project = open_link(&lab, &json!({ "scope": { "project": "default" }, "path": "/", "role": "view" })).await;
    let path = format!("/runs/{run}");
    let of_run = open_link(&lab, &json!({ "scope": { "runs": [run] }, "path": path, "role": "view" })).await;
    for what in ["journal", "calibration", "report.md", "report.html"] {
        let status = async |cookie: &str| {
            let request = ask("GET", &format!("{PATH}/{what}"), None).header("cookie", cookie);
            lab.send(request.body(axum::body::Body::empty()).unwrap()).await.status
        };
        assert_eq!(status(&project).await, StatusCode::OK, "{what}");
        assert_eq!(status(&of_run).await, StatusCode::NOT_FOUND, "{what}");
    }
}

#[tokio::test]
async fn findings_are_judged_and_the_calibration_counts_them() {
    let (lab, run) = recorded().await;
    let path = format!("/api/v1/runs/{run}/findings/1/judgement");
    let put = async |token: &str, body: &str| {
        let request = ask("PUT", &path, Some(token)).header("content-type", "application/json");
        lab.send(request.body(axum::body::Body::from(body.to_owned())).unwrap()).await
    };
    let before = lab.get(&format!("{PATH}/calibration"), &lab.view).await.json();
    assert_eq!((&before["rules"][0]["findings"], &before["rules"][0]["correct"]), (&json!(1), &json!(0)));
    assert_eq!((&before["rules"][0]["fraction"], &before["authors"]), (&Value::Null, &json!([])));
    let judged = put(&lab.steer, r#"{"judgement":"correct"}"#).await;
    assert_eq!((judged.status, &judged.json()["judgement"]), (StatusCode::OK, &json!("correct")));
    let after = lab.get(&format!("{PATH}/calibration"), &lab.view).await.json();
    let rule = &after["rules"][0];
    assert_eq!((&rule["rule"], &rule["correct"], &rule["fraction"]), (&json!("plateau"), &json!(1), &json!(1.0)));
    // Wilson's interval of 1 of 1: 1 / (1 + z²) to 1, with z = 1.959964.
    assert!((rule["interval"][0].as_f64().unwrap() - 0.206549).abs() < 1e-5, "{rule}");
    assert_eq!(put(&lab.steer, r#"{"judgement":null}"#).await.json()["judgement"], Value::Null);
    assert_eq!(put(&lab.view, r#"{"judgement":"wrong"}"#).await.code(), "forbidden");
    assert_eq!(put(&lab.steer, r#"{"judgement":"maybe"}"#).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn reports_are_complete_files_without_markup_of_people() {
    let (lab, _) = recorded().await;
    let html = lab.get(&format!("{PATH}/report.html"), &lab.view).await;
    assert_eq!(
        (html.status, html.headers["content-type"].to_str().unwrap()),
        (StatusCode::OK, "text/html; charset=utf-8")
    );
    assert_eq!(html.headers["content-disposition"].to_str().unwrap(), "attachment; filename=\"default.html\"");
    let text = String::from_utf8(html.body).unwrap();
    for part in [
        "<!doctype html>",
        "<h1>Research journal of default</h1>",
        "Experiment 1: Lower rate",
        "−0.1 nats/token, confirmed with a probability of 0.7",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "&lt;b&gt;fox&lt;/b&gt;",
        "The loss stopped falling.",
        "</html>",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    for part in ["<script", "<b>", "<link", "src=", "href=", "@import", "https://"] {
        assert!(!text.contains(part), "{part} is in {text}");
    }
    let markdown = lab.get(&format!("{PATH}/report.md"), &lab.view).await;
    assert_eq!(markdown.headers["content-disposition"].to_str().unwrap(), "attachment; filename=\"default.md\"");
    let text = String::from_utf8(markdown.body).unwrap();
    assert!(text.starts_with("# Research journal of default\n"), "{text}");
    assert!(text.contains(r"\<script\>alert(1)\</script\> \`code\` \| next line |"), "{text}");
    assert!(!text.replace(r"\<", "").contains('<') && text.contains(r"\<b\>fox\</b\> \|"), "{text}");
}
