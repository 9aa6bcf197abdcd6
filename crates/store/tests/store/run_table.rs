//! The table of runs: search, order, pages, groups, tags and saved filters; and how long a thousand runs take.

use std::time::{Duration, Instant};

use serde_json::json;
use store::{NewRun, Store, StoreError};
use testing::Random;
use wire::access::Visible;
use wire::run::table::{Deleted, GroupBy, RunQuery};
use wire::transport::link::Item;
use wire::{Event, RunState};

use crate::setup::{new_run, report, row, store_with_run};

/// A run of this learning rate.
fn run_with(id: &str, learning_rate: f64, created_ms: i64) -> NewRun {
    let mut run = new_run(id, "cpu");
    run.plan.recipe.optimizer.learning_rate = learning_rate;
    NewRun { created_ms, ..run }
}

fn query(change: impl FnOnce(&mut RunQuery)) -> RunQuery {
    let mut query = RunQuery::default();
    change(&mut query);
    query
}

/// Ids of the runs of a query, on one page.
async fn ids(store: &Store, query: &RunQuery) -> Vec<String> {
    store.run_page(query, &Visible::All).await.unwrap().rows.into_iter().map(|row| row.summary.id.into()).collect()
}

/// Five runs: learning rates 1e-4 .. 5e-4, the first created first. Two have metrics, one has a note, one is archived, one deleted.
async fn lab(folder: &std::path::Path) -> Store {
    let store = Store::open(folder).await.unwrap();
    for number in 1..=5i64 {
        store.create_run(&run_with(&format!("r{number}"), number as f64 * 1e-4, number)).await.unwrap();
    }
    let run = |id: &str| id.parse::<wire::RunId>().unwrap();
    let values = [("loss.train", 2.5), ("grad_norm", 7.0), ("loss.valid/a b", 3.0)];
    store.ingest(&run("r1"), 1, vec![row(0, &[("grad_norm", 9.0)]), row(1, &values)]).await.unwrap();
    store.ingest(&run("r2"), 1, vec![row(0, &[("grad_norm", 1.0)])]).await.unwrap();
    let note = report(0, Event::Annotated { text: "The GRÜNE line diverged".into() }, None);
    store.append(&run("r3"), note).await.unwrap();
    store.set_archived(&run("r4"), true).await.unwrap();
    store.delete_run(&run("r5"), 1).await.unwrap();
    store.set_tags(&run("r1"), &["baseline".into(), "lr".into()]).await.unwrap();
    store.set_tags(&run("r2"), &["baseline".into()]).await.unwrap();
    store
}

#[tokio::test]
async fn runs_are_found_by_name_tag_note_state_and_value() {
    let folder = tempfile::tempdir().unwrap();
    let store = lab(folder.path()).await;
    for (text, expected) in [
        ("", vec!["r4", "r3", "r2", "r1"]),
        ("R3", vec!["r3"]),
        ("grüne diverged", vec!["r3"]),
        ("grüne r1", vec![]),
        ("baseline", vec!["r2", "r1"]),
        ("tag:baseline tag:lr", vec!["r1"]),
        ("tag:base", vec![]),
        ("lr > 2e-4", vec!["r4", "r3"]),
        ("optimizer.learning_rate=0.0002", vec!["r2"]),
        ("grad_norm<5", vec!["r2"]),
        ("grad_norm>=7 lr<1", vec!["r1"]),
        ("model.layers>0 steps>0 optimizer.kind=adamw", vec!["r4", "r3", "r2", "r1"]),
        ("queued tales", vec!["r4", "r3", "r2", "r1"]),
        ("no_such_metric>0", vec![]),
    ] {
        assert_eq!(ids(&store, &query(|query| query.q = Some(text.into()))).await, expected, "{text}");
    }
    for (wanted, expected) in [
        (query(|query| query.archived = Some(true)), vec!["r4"]),
        (query(|query| query.deleted = Some(Deleted::Only)), vec!["r5"]),
        (query(|query| query.deleted = Some(Deleted::True)), vec!["r5", "r4", "r3", "r2", "r1"]),
        (query(|query| query.tag = Some("lr, baseline".into())), vec!["r1"]),
        (query(|query| query.state = Some("running,finished".into())), vec![]),
        (query(|query| query.dataset = Some("Tales".into())), vec!["r4", "r3", "r2", "r1"]),
        (query(|query| query.preset = Some("nope".into())), vec![]),
    ] {
        assert_eq!(ids(&store, &wanted).await, expected, "{wanted:?}");
    }
    for wrong in [query(|query| query.q = Some("lr>".into())), query(|query| query.cursor = Some("zz".into()))] {
        let error = store.run_page(&wrong, &Visible::All).await.unwrap_err();
        assert!(matches!(error, StoreError::InvalidQuery { .. }), "{error}");
    }
}

#[tokio::test]
async fn rows_have_the_chosen_values_and_are_sorted_by_any_column() {
    let folder = tempfile::tempdir().unwrap();
    let store = lab(folder.path()).await;
    let columns = "lr,metric:grad_norm,metric:loss.valid/a b,seed,model.bias,tags,progress";
    let page = store.run_page(&query(|query| query.columns = Some(columns.into())), &Visible::All).await.unwrap();
    let first = &page.rows[3];
    assert_eq!(first.summary.tags, ["baseline", "lr"]);
    for (name, value) in [
        ("optimizer.learning_rate", json!(1e-4)),
        ("metric:grad_norm", json!(7.0)),
        ("metric:loss.valid/a b", json!(3.0)),
        ("seed", json!(1)),
        ("tags", json!("baseline, lr")),
    ] {
        assert_eq!(first.values.get(name), Some(&value), "{name}");
    }
    assert!(first.values["model.bias"].is_boolean());
    assert!(!page.rows[0].values.contains_key("tags") && !page.rows[0].values.contains_key("metric:grad_norm"));
    for (sort, expected) in [
        ("lr", ["r1", "r2", "r3", "r4"]),
        ("-lr", ["r4", "r3", "r2", "r1"]),
        ("metric:grad_norm", ["r2", "r1", "r4", "r3"]),
        ("-grad_norm", ["r1", "r2", "r4", "r3"]),
        ("name", ["r1", "r2", "r3", "r4"]),
        ("created", ["r1", "r2", "r3", "r4"]),
        ("-tags", ["r1", "r2", "r4", "r3"]),
    ] {
        assert_eq!(ids(&store, &query(|query| query.sort = Some(sort.into()))).await, expected, "{sort}");
    }
    let grouped = store.run_page(&query(|query| query.group = Some(GroupBy::Tag)), &Visible::All).await.unwrap();
    let groups: Vec<(String, u64)> =
        grouped.rows.into_iter().map(|row| row.group.map(|group| (group.key, group.count)).unwrap()).collect();
    let named = |key: &str, count| (key.to_owned(), count);
    assert_eq!(groups, [named("baseline", 1), named("baseline, lr", 1), named("", 2), named("", 2)]);
    let facets = store.run_facets(&Visible::All).await.unwrap();
    assert_eq!(facets.metrics, ["grad_norm", "loss.train", "loss.valid/a b"]);
    assert_eq!(facets.tags.iter().map(|tag| (&*tag.key, tag.count)).collect::<Vec<_>>(), [("baseline", 2), ("lr", 1)]);
}

#[tokio::test]
async fn pages_contain_each_run_once_whatever_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let mut random = Random::new(testing::seed(11));
    for number in 0..40 {
        // Equal values and equal times, so that only the id decides.
        let run = run_with(&format!("r{number}"), (1 + random.below(4)) as f64 * 1e-4, random.below(3) as i64);
        store.create_run(&run).await.unwrap();
        let tags: Vec<String> = (0..random.below(3)).map(|tag| format!("t{tag}")).collect();
        store.set_tags(&run.id, &tags).await.unwrap();
    }
    for sort in ["lr", "-lr", "created", "-name", "metric:none"] {
        for group in [None, Some(GroupBy::Tag), Some(GroupBy::Parent)] {
            let limit = 1 + random.below(15) as u32;
            let whole = query(|query| (query.sort, query.group) = (Some(sort.into()), group));
            let mut paged = RunQuery { limit: Some(limit), ..whole.clone() };
            let mut seen = vec![];
            loop {
                let page = store.run_page(&paged, &Visible::All).await.unwrap();
                assert_eq!(page.total, 40);
                assert!(page.rows.len() <= limit as usize);
                seen.extend(page.rows.into_iter().map(|row| String::from(row.summary.id)));
                let Some(next) = page.next else { break };
                paged.cursor = Some(next);
            }
            assert_eq!(seen, ids(&store, &whole).await, "{sort} {group:?} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_page_continues_after_a_run_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = lab(folder.path()).await;
    let mut paged = query(|query| query.limit = Some(2));
    paged.cursor = store.run_page(&paged, &Visible::All).await.unwrap().next;
    store.delete_run(&"r3".parse().unwrap(), 1).await.unwrap();
    assert_eq!(ids(&store, &paged).await, ["r2", "r1"]);
}

#[tokio::test]
async fn filters_are_saved_by_name_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = lab(folder.path()).await;
    let wanted = query(|query| (query.q, query.limit) = (Some("lr>1e-3".into()), Some(5)));
    let saved = store.save_filter("high rates", &wanted).await.unwrap();
    assert_eq!((saved.query.q.as_deref(), saved.query.limit), (Some("lr>1e-3"), None));
    let again = store.save_filter("high rates", &RunQuery::default()).await.unwrap();
    assert_eq!(again.id, saved.id, "the one of this name is replaced");
    assert!(store.save_filter("wrong", &query(|query| query.q = Some("lr>".into()))).await.is_err());
    store.close().await;
    let store = Store::open(folder.path()).await.unwrap();
    assert_eq!(store.filters().await.unwrap(), [again]);
    assert!(store.remove_filter(saved.id).await.unwrap() && !store.remove_filter(saved.id).await.unwrap());
}

#[tokio::test]
async fn the_newest_metrics_of_runs_without_any_are_read_from_their_series() {
    let folder = tempfile::tempdir().unwrap();
    let store = lab(folder.path()).await;
    let run: wire::RunId = "r1".parse().unwrap();
    store.append(&run, report(1, Event::Started { parameters: 1 }, Some(RunState::Running))).await.unwrap();
    store.close().await;
    // As an earlier version has left it.
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("lab.db"));
    let pool = sqlx::sqlite::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("DELETE FROM newest_metrics").execute(&pool).await.unwrap();
    pool.close().await;
    let store = Store::open(folder.path()).await.unwrap();
    assert_eq!(ids(&store, &query(|query| query.q = Some("grad_norm=7".into()))).await, Vec::<String>::new());
    store.fill_newest_metrics().await.unwrap();
    assert_eq!(ids(&store, &query(|query| query.q = Some("grad_norm=7".into()))).await, ["r1"]);
}

/// The value of a metric in the table; `None` if the run has none.
async fn shown(store: &Store, metric: &str) -> Option<serde_json::Value> {
    let page = store.run_page(&query(|query| query.columns = Some(format!("metric:{metric}"))), &Visible::All).await;
    page.unwrap().rows[0].values.get(&format!("metric:{metric}")).cloned()
}

#[tokio::test]
async fn the_newest_metrics_follow_many_reports_and_are_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let run = new_run("r1", "cpu");
    store.create_run(&run).await.unwrap();
    store.set_state(&run.id, RunState::Running, None).await.unwrap();
    let item = |step: u64| row(step, &[("grad_norm", step as f64)]);
    store.ingest(&run.id, 1, vec![item(0), row(0, &[("loss.valid", 2.0)])]).await.unwrap();
    assert_eq!(shown(&store, "grad_norm").await, Some(json!(0.0)), "the first at once");
    for step in 1..30 {
        store.ingest(&run.id, step + 2, vec![item(step)]).await.unwrap();
    }
    let began = Instant::now();
    while shown(&store, "grad_norm").await != Some(json!(29.0)) {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", shown(&store, "grad_norm").await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    store.ingest(&run.id, 32, vec![item(30), item(31)]).await.unwrap();
    // Dropped without a close, as a kill leaves it. A write in flight holds the lock of the folder a moment longer.
    drop(store);
    let store = loop {
        match Store::open(folder.path()).await {
            Err(StoreError::Locked { .. }) if began.elapsed() < Duration::from_secs(120) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            opened => break opened.unwrap(),
        }
    };
    assert_eq!(shown(&store, "grad_norm").await, Some(json!(31.0)));
    assert_eq!(shown(&store, "loss.valid").await, Some(json!(2.0)));
}

#[tokio::test]
async fn the_live_list_is_bounded_and_has_every_queued_run() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    for number in 0..230 {
        let run = run_with(&format!("r{number}"), 1e-3, number);
        store.create_run(&run).await.unwrap();
        if number >= 10 {
            store.set_state(&run.id, RunState::Stopped, None).await.unwrap();
        }
    }
    let (runs, counts) = store.current_runs(&Visible::All).await.unwrap();
    assert_eq!((runs.len(), counts.active, counts.total()), (210, 230, 230));
    assert!((0..10).all(|number| runs.iter().any(|run| run.id.as_str() == format!("r{number}"))));
}

#[tokio::test]
async fn steps_that_are_trained_again_elsewhere_replace_no_newer_metric() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let note = |step| Item::Event(report(step, Event::Annotated { text: "a note".into() }, None));
    let items = |from: u64, to: u64| -> Vec<Item> {
        (from..to).map(|step| row(step, &[("loss.train", step as f64)])).chain([note(to)]).collect()
    };
    store.ingest(&run, 1, items(0, 20)).await.unwrap();
    assert_eq!(shown(&store, "loss.train").await, Some(json!(19.0)));
    let again = store.ingest(&run, 22, items(5, 10)).await.unwrap();
    assert!(again.rows.is_empty());
    assert_eq!(shown(&store, "loss.train").await, Some(json!(19.0)));
    store.ingest(&run, 28, items(15, 25)).await.unwrap();
    assert_eq!(shown(&store, "loss.train").await, Some(json!(24.0)));
}

/// Times of a thousand runs with a hundred metrics each: `cargo test --release ... -- --ignored --nocapture a_thousand_runs`.
#[tokio::test]
#[ignore = "takes a minute; prints times"]
async fn a_thousand_runs_of_a_hundred_metrics_are_listed_and_searched_quickly() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let names: Vec<String> = (0..100).map(|number| format!("metric_{number}")).collect();
    let mut random = Random::new(testing::seed(7));
    for number in 0..1000 {
        let run = run_with(&format!("run-{number}"), random.below(1000) as f64 * 1e-5, number);
        store.create_run(&run).await.unwrap();
        let values: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), random.below(1000) as f64)).collect();
        let rows = (0..3).map(|step| row(step, &[&[("loss.train", 2.0)], &values[..]].concat())).collect();
        store.ingest(&run.id, 1, rows).await.unwrap();
        if number % 10 == 0 {
            let note = report(0, Event::Annotated { text: format!("note {number}: the loss diverged") }, None);
            store.append(&run.id, note).await.unwrap();
            store.set_tags(&run.id, &["sweep".into(), format!("group-{}", number % 7)]).await.unwrap();
        }
    }
    let shown: Vec<String> = names.iter().take(20).map(|name| format!("metric:{name}")).collect();
    let columns = |query: &mut RunQuery| query.columns = Some(shown.join(","));
    for (what, wanted) in [
        ("all 1,000 runs", RunQuery::default()),
        ("100 runs", query(|query| query.limit = Some(100))),
        (
            "100 runs, 20 columns, sorted by a metric",
            query(|query| {
                columns(query);
                (query.limit, query.sort) = (Some(100), Some("-metric_50".into()));
            }),
        ),
        ("search by name", query(|query| query.q = Some("run-77".into()))),
        ("search by note", query(|query| query.q = Some("diverged 990".into()))),
        ("search by tag", query(|query| query.q = Some("tag:sweep".into()))),
        ("search by value", query(|query| query.q = Some("lr>5e-3 metric_7<500 model.layers>1".into()))),
        ("groups by tag", query(|query| (query.group, query.limit) = (Some(GroupBy::Tag), Some(100)))),
    ] {
        let mut times: Vec<f64> = vec![];
        let mut found = 0;
        for _ in 0..5 {
            let began = Instant::now();
            found = store.run_page(&wanted, &Visible::All).await.unwrap().total;
            times.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        println!("{what}: {found} found, median {:.1} ms, slowest {:.1} ms", times[2], times[4]);
        assert!(times[2] < 300.0, "{what}");
    }
    let began = Instant::now();
    let facets = store.run_facets(&Visible::All).await.unwrap();
    println!("facets: {} metrics, {:.1} ms", facets.metrics.len(), began.elapsed().as_secs_f64() * 1000.0);
    let began = Instant::now();
    let (runs, counts) = store.current_runs(&Visible::All).await.unwrap();
    let encode = |runs: Vec<wire::RunSummary>| {
        let lab = wire::transport::live::LabState { runs, counts, ..Default::default() };
        wire::encode::to_bytes(&lab).unwrap().len()
    };
    println!("live: {} runs, {:.1} ms, {} bytes", runs.len(), began.elapsed().as_secs_f64() * 1000.0, encode(runs));
    println!("all runs in one message: {} bytes", encode(store.runs(true).await.unwrap()));
}
