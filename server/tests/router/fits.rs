//! Fits and replays over HTTP: a planted scaling law, what the runs do not determine, series of one run, and a rule over its thresholds.

use axum::http::StatusCode;
use serde_json::{Value, json};
use store::NewRun;
use wire::run::plan::MixPart;
use wire::series::{Row, name};
use wire::transport::link::{Item, Report};
use wire::{Author, Event, RunId, RunState};

use crate::lab::{Answer, Lab};
use crate::run_table::run;

/// Stores a run that trained all its steps and reported these rows.
async fn finished(lab: &Lab, new: NewRun, rows: Vec<Row>) -> RunId {
    lab.state.store().create_run(&new).await.unwrap();
    let steps = rows.last().map_or(0, |row| row.step + 1);
    let event = |step, event, state| {
        let author = Author::System;
        Item::Event(Report { segment: 0, step, at_ms: 5000, author, command_id: None, reason: None, event, state })
    };
    let mut items = vec![event(0, Event::Started { parameters: 9 }, Some(RunState::Running))];
    items.extend(rows.into_iter().map(Item::Row));
    items.push(event(steps, Event::Finished, Some(RunState::Finished)));
    lab.state.store().ingest(&new.id, 1, items).await.unwrap();
    new.id
}

fn row(step: u64, values: &[(&str, f64)]) -> Row {
    Row { segment: 0, step, values: values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect() }
}

/// 16 runs on L = 1.2 + 0.4 / (N / 1e6)^0.5 + 0.1 / (D / 1e9)^0.4; returns their ids by size and then by tokens.
async fn scaling_runs(lab: &Lab) -> Vec<RunId> {
    let mut runs = vec![];
    for (size, width) in [32, 64, 128, 256].into_iter().enumerate() {
        for (more, tokens) in [2e6, 8e6, 32e6, 128e6].into_iter().enumerate() {
            let mut new = run(&format!("s{size}-{more}"), runs.len() as i64);
            let model = &mut new.plan.recipe.model;
            (model.d_model, model.d_ff) = (width, 4 * width);
            let parameters = model.body_parameters() as f64;
            let loss = 1.2 + 0.4 * (parameters / 1e6).powf(-0.5) + 0.1 * (tokens / 1e9_f64).powf(-0.4);
            runs.push(finished(lab, new, vec![row(99, &[(name::TOKENS, tokens), (name::VALID, loss)])]).await);
        }
    }
    runs
}

fn list(runs: &[RunId]) -> String {
    runs.iter().map(RunId::to_string).collect::<Vec<_>>().join(",")
}

async fn fit(lab: &Lab, kind: &str, runs: &str) -> Value {
    let answer = lab.get(&format!("/api/v1/fit?kind={kind}&runs={runs}"), &lab.view).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

fn near(value: &Value, truth: f64, within: f64) {
    let found = value.as_f64().unwrap();
    assert!((found - truth).abs() <= within, "{found} is not near {truth}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scaling_law_is_fitted_and_extrapolated_to_a_target() {
    let lab = Lab::open().await;
    let runs = scaling_runs(&lab).await;
    let found = fit(&lab, "scaling_law", &format!("{}&parameters=1e8&tokens=2e9", list(&runs))).await;
    assert_eq!((found["result"]["kind"].as_str(), &found["left_out"]), (Some("scaling_law"), &json!([])), "{found}");
    assert_eq!(found["runs"].as_array().unwrap().len(), 16);
    let law = &found["result"]["value"];
    near(&law["alpha"]["value"], 0.5, 0.02);
    near(&law["beta"]["value"], 0.4, 0.02);
    near(&law["irreducible"]["value"], 1.2, 0.02);
    near(&law["extrapolation"]["loss"]["value"], 1.2 + 0.04 + 0.1 * 2_f64.powf(-0.4), 0.02);
    near(&law["extrapolation"]["flops"], 6.0 * 1e8 * 2e9, 1.0);
    assert_eq!(law["held_out"]["runs"], 4, "a fifth of the runs, rounded up");
    near(&law["held_out"]["error"], 0.0, 0.01);
    let of_project = fit(&lab, "scaling_law", "project:default").await;
    assert_eq!(of_project["runs"].as_array().unwrap().len(), 16, "all finished runs of the project");
    near(&of_project["result"]["value"]["alpha"]["value"], 0.5, 0.02);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_runs_do_not_determine_is_refused_with_the_reason() {
    let lab = Lab::open().await;
    let runs = scaling_runs(&lab).await;
    let refused = fit(&lab, "scaling_law", &list(&runs[..8])).await;
    assert_eq!(refused["result"]["kind"], "refused");
    assert_eq!(
        refused["result"]["value"],
        json!({ "reason": "too_few", "sentence": "The fit needs at least 3 model sizes, and has 2." })
    );
    assert_eq!(refused["runs"].as_array().unwrap().len(), 8, "the points are there all the same");
    let empty = finished(&lab, run("empty", 90), vec![row(9, &[(name::TRAIN, 2.0)])]).await;
    let left_out = fit(&lab, "isoflop", &list(&[empty, runs[0].clone()])).await;
    assert_eq!((&left_out["left_out"], &left_out["result"]["value"]["reason"]), (&json!(["empty"]), &json!("too_few")));
    let mut other = run("other", 91);
    other.plan.mix[0].content_hash = "11".into();
    other.plan.mix[0].corpus = "songs".parse().unwrap();
    let other = finished(&lab, other, vec![row(99, &[(name::VALID, 2.0)])]).await;
    let unlike = fit(&lab, "scaling_law", &list(&[runs[0].clone(), other])).await;
    assert_eq!(unlike["result"]["value"]["reason"], "unlike", "{unlike}");
    let sentence = unlike["result"]["value"]["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("The losses of s0-0 and other cannot be compared: "), "{sentence}");
    let tags = |count: usize| (0..count).map(|number| format!(",tag:none-{number}")).collect::<String>();
    let ten = fit(&lab, "scaling_law", &format!("s0-0{}{}", tags(10), tags(10))).await;
    assert_eq!(ten["runs"].as_array().unwrap().len(), 1, "each name counts once: {ten}");
    let many = format!("kind=scaling_law&runs=s0-0{}", tags(11));
    for (query, status, code) in [
        ("kind=scaling_law&runs=", 422, "query_invalid"),
        ("kind=scaling_law&runs=sweep:x", 422, "query_invalid"),
        ("kind=scaling_law&runs=Not+An+Id", 422, "query_invalid"),
        ("kind=scaling_law&runs=sweep:9", 404, "not_found"),
        ("kind=scaling_law&runs=sweep:9,sweep:9,s0-0", 404, "not_found"),
        (many.as_str(), 422, "query_invalid"),
        ("kind=scaling_law&runs=project:none", 404, "not_found"),
        ("kind=scaling_law&runs=nobody", 404, "not_found"),
        ("kind=scaling_law&runs=s0-0&tokens=0", 422, "query_invalid"),
        ("kind=batch_size&runs=s0-0,s0-1", 422, "query_invalid"),
        ("kind=parabola&runs=s0-0", 400, "query_invalid"),
    ] {
        let answer = lab.get(&format!("/api/v1/fit?{query}"), &lab.view).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{query}: {answer:?}");
    }
}

/// Two datasets whose losses are least where a mix has 30 % of the first.
#[tokio::test(flavor = "multi_thread")]
async fn the_best_mix_is_found_from_runs_on_different_mixes() {
    let lab = Lab::open().await;
    let mut runs = vec![];
    for number in 0..10 {
        let weight = 0.05 + 0.1 * number as f64;
        let loss = (0.6 + (weight - 0.3).powi(2)).exp();
        let mut new = run(&format!("m{number}"), number);
        let tales = MixPart { weight: 1.0 - weight, ..new.plan.mix[0].clone() };
        new.plan.mix = vec![MixPart { corpus: "songs".parse().unwrap(), weight, ..tales.clone() }, tales];
        // The loss over the mix of each run is that of another text.
        let values = [(name::VALID, 2.0), ("loss.valid/songs", loss), ("loss.valid/tales", loss)];
        runs.push(finished(&lab, new, vec![row(99, &values)]).await);
    }
    let found = fit(&lab, "mix", &list(&runs)).await;
    let value = &found["result"]["value"];
    assert_eq!((&found["result"]["kind"], &value["target"]), (&json!("mix"), &Value::Null), "{found}");
    assert_eq!((&value["datasets"], &value["fit"]["order"]), (&json!(["songs", "tales"]), &json!("quadratic")));
    near(&value["fit"]["weights"][0]["value"], 0.3, 0.02);
    near(&value["fit"]["loss"]["value"], 0.6_f64.exp(), 0.01);
    near(&value["mixes"][9][0], 0.95, 1e-9);
    near(&found["runs"][9]["loss"], (0.6 + 0.65_f64.powi(2)).exp(), 1e-9);
    let of_songs = fit(&lab, "mix", &format!("{}&dataset=songs", list(&runs))).await;
    assert_eq!(of_songs["result"]["value"]["target"], "songs", "{of_songs}");
    let few = fit(&lab, "mix", &list(&runs[..7])).await;
    let sentence = "The fit needs at least 8 runs with different mixes, and has 7.";
    assert_eq!(few["result"]["value"], json!({ "reason": "too_few", "sentence": sentence }));
    let unknown = lab.get(&format!("/api/v1/fit?kind=mix&dataset=none&runs={}", list(&runs)), &lab.view).await;
    assert_eq!((unknown.status.as_u16(), &unknown.json()["field"]), (422, &json!("dataset")));
}

#[tokio::test(flavor = "multi_thread")]
async fn series_of_one_run_give_a_learning_rate_and_a_batch_size() {
    let lab = Lab::open().await;
    let rising = (0..40_u64).map(|step| {
        let loss = 4.0 - 0.05 * step.min(30) as f64 + step.saturating_sub(30) as f64;
        row(step, &[(name::LEARNING_RATE, 1e-5 * 1.3_f64.powi(step as i32)), (name::TRAIN, loss)])
    });
    let rates = finished(&lab, run("rates", 1), rising.collect()).await;
    let found = fit(&lab, "learning_rate", rates.as_str()).await;
    assert_eq!(found["result"]["kind"], "learning_rate", "{found}");
    assert_eq!(found["series"].as_array().unwrap().len(), 40);
    near(&found["series"][0]["x"], 1e-5, 1e-9);
    assert!(found["result"]["value"]["diverges"].is_number(), "{found}");

    let scales = (0..100).map(|step| row(step, &[(name::NOISE_SCALE, 8192.0)])).collect();
    let mut new = run("batch", 2);
    (new.plan.recipe.batch.size, new.plan.recipe.batch.accumulation, new.plan.recipe.model.seq) = (8, 4, 64);
    let batch = finished(&lab, new, scales).await;
    let found = fit(&lab, "batch_size", batch.as_str()).await;
    let value = &found["result"]["value"];
    near(&value["suggested"]["noise_scale"]["value"], 8192.0, 1.0);
    near(&value["suggested"]["batch_tokens"], 2048.0, 0.0);
    assert_eq!(
        (&value["sequences"], &value["seq"], &found["series"][0]["x"]),
        (&json!(128.0), &json!(64), &json!(1.0))
    );
    let refused = fit(&lab, "learning_rate", batch.as_str()).await;
    assert_eq!(refused["result"]["value"]["reason"], "too_few", "{refused}");
}

/// 8 runs of 1,000 steps, each 0.1 above the one before.
async fn falling_runs(lab: &Lab) {
    for number in 0..8_u64 {
        let mut new = run(&format!("r{number}"), number as i64);
        new.plan.steps = 1000;
        let loss = |at: u64| 2.0 + 0.1 * number as f64 - 0.01 * at as f64;
        let rows = (1..=10).map(|at| row(100 * at - 1, &[(name::VALID, loss(at))])).collect();
        finished(lab, new, rows).await;
    }
}

async fn replay(lab: &Lab, query: &str) -> Answer {
    lab.get(&format!("/api/v1/replay?{query}"), &lab.view).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_answer_has_a_rule_at_all_its_thresholds() {
    let lab = Lab::open().await;
    falling_runs(&lab).await;
    let found = replay(&lab, "rule=median&runs=project:default").await.json();
    assert_eq!((&found["steps"], &found["parallel"]), (&json!(8000), &json!(1)), "{found}");
    assert_eq!(found["runs"][0]["rank"], 1, "{found}");
    assert_eq!(found["runs"][0]["steps"].as_array().unwrap().len(), 10);
    let settings = found["settings"].as_array().unwrap();
    assert_eq!(settings.len(), 19);
    let median = settings.iter().find(|one| one["rule"]["percentile"] == 50.0).unwrap();
    assert_eq!((&median["label"], &median["saved"]), (&json!("median"), &json!(0.5)), "{median}");
    assert_eq!((&median["regret"], &median["winners_lost"]), (&json!(0.0), &json!(0)), "{median}");
    assert_eq!(median["stops"][0], json!({ "number": 3, "step": 200 }), "{median}");
    assert_eq!(median["stops"].as_array().unwrap().len(), 5, "{median}");
    let one = replay(&lab, "rule=asha&runs=r0").await.json();
    assert_eq!((&one["refused"]["reason"], &one["settings"]), (&json!("too_few"), &json!([])), "{one}");
    for (query, code) in [
        ("rule=asha&runs=project:default&parallel=0", "query_invalid"),
        ("rule=grid&runs=r0", "query_invalid"),
        ("rule=asha&runs=nobody", "not_found"),
    ] {
        assert_eq!(replay(&lab, query).await.code(), code, "{query}");
    }
}
