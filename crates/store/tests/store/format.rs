//! Lab folders of other versions: those of the current format must stay readable, older and newer ones are refused unchanged.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use store::{FORMAT, NewRun, Store, StoreError};
use wire::control::checkpoint::Cause;
use wire::inspect::update::InspectionUpdate;
use wire::series::{Row, name};
use wire::transport::link::Item;
use wire::{Command, Event, LivePath, RunId, RunState};

use crate::setup::{new_run, report};
use crate::snapshots::{attention, snapshot};
use crate::steering::{Worker, fork_of, id, info};

const RUNNING: &str = "amber-fox-7k2q";
const FINISHED: &str = "brass-owl-3m4n";
const FORK: &str = "coral-hare-9x8y";

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Copies a folder with everything in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// All files in a folder with their contents.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
            found.insert(path, vec![]);
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// Rows of a segment: loss, learning rate, tokens and time; a validation loss every 20 steps.
fn rows(segment: u32, from: u64, to: u64) -> Vec<Item> {
    let row = |step: u64| {
        let loss = 4.0 - step as f64 / 100.0 + f64::from(segment) / 8.0;
        let mut values = vec![
            (name::TRAIN.to_owned(), loss),
            (name::LEARNING_RATE.to_owned(), 1e-3 * (1.0 - step as f64 / 1000.0)),
            (name::TOKENS.to_owned(), (step + 1) as f64 * 2048.0),
            (name::SECS.to_owned(), step as f64 * 0.25),
        ];
        if step % 20 == 19 {
            values.push((name::VALID.to_owned(), loss + 0.1));
        }
        Item::Row(Row { segment, step, values })
    };
    (from..to).map(row).collect()
}

fn snapshots(segment: u32, steps: impl IntoIterator<Item = u64>) -> Vec<Item> {
    steps.into_iter().map(|step| Item::Snapshot(Box::new(snapshot(segment, step, 0, 64)))).collect()
}

/// Trains the running run: a changed hyperparameter, a sample, an evaluation, checkpoints, snapshots, some of them without files.
async fn running_run(store: &Store) {
    let run = new_run(RUNNING, "cpu");
    store.create_run(&run).await.unwrap();
    let mut worker = Worker::at(store, &run.id).await;
    worker.send(snapshots(0, [0, 8])).await;
    worker.send(rows(0, 0, 30)).await;
    worker.report_event(30, Event::Changed { path: LivePath::GRAD_CLIP, old: 1.0, new: 0.5 }, None).await;
    worker.save(info(id(0, 30), Cause::BeforeChange, Some(3.8), 0)).await;
    worker.send(rows(0, 30, 60)).await;
    worker.report_event(40, Event::Evaluated { loss_nats: 3.7, bits_per_byte: 2.2, windows: None }, None).await;
    worker
        .report_event(50, Event::Sampled { prompt: "Once".into(), text: " upon".into(), temperature: 0.8 }, None)
        .await;
    worker.save(info(id(0, 60), Cause::Interval, Some(3.5), 1)).await;
    worker.send(snapshots(0, [16, 32])).await;
    let update = InspectionUpdate::ParameterStats { step: 60, tensors: vec![], cost_ms: 1.5 };
    store.put_update(&run.id, &update).await.unwrap();
}

/// Trains the finished run, with a rollback and so an abandoned branch.
async fn finished_run(store: &Store) -> NewRun {
    let run = NewRun { created_ms: 2000, name: "finished".into(), ..new_run(FINISHED, "cpu") };
    store.create_run(&run).await.unwrap();
    let mut worker = Worker::at(store, &run.id).await;
    worker.send(snapshots(0, [0, 16])).await;
    worker.send(rows(0, 0, 40)).await;
    worker.save(info(id(0, 40), Cause::Interval, Some(3.6), 0)).await;
    worker.send(rows(0, 40, 80)).await;
    worker.roll_back(id(0, 40), 80).await;
    worker.send(rows(1, 40, 100)).await;
    worker.send(snapshots(1, [40, 48, 64])).await;
    worker.save(info(id(1, 100), Cause::End, Some(3.1), 1)).await;
    worker.report_event(100, Event::Finished, Some(RunState::Finished)).await;
    store.pin_checkpoint(&run.id, id(1, 100), true).await.unwrap();
    run
}

/// Forks the finished run with a change, and suspends the fork after some steps.
async fn forked_run(store: &Store, parent: &NewRun) {
    let origin = store.origin(&parent.id, id(1, 100)).await.unwrap().unwrap();
    let change = Command::Set { path: LivePath::WEIGHT_DECAY, value: 0.2, reason: Some("stronger".into()) };
    let event = origin.hyperparameters.change(&change, 100).unwrap().unwrap();
    let fork = NewRun { created_ms: 3000, name: "fork".into(), ..fork_of(parent, origin, FORK) };
    store.create_fork(&fork, &[(change, event)]).await.unwrap();
    let mut worker = Worker::at(store, &fork.id).await;
    worker.send(rows(0, 100, 130)).await;
    worker.send(snapshots(0, [112])).await;
    worker.save(info(id(0, 130), Cause::End, Some(2.9), 1)).await;
    worker.report_event(130, Event::Suspended, Some(RunState::Suspended)).await;
}

/// Everything that a lab shows of a run, as JSON.
async fn everything(store: &Store, run: &str) -> Value {
    let run: RunId = run.parse().unwrap();
    let mut curves = vec![];
    for mut curve in store.curves(&run, None).await.unwrap() {
        let mut points = vec![];
        loop {
            let read = curve.read().unwrap();
            if read.is_empty() {
                break;
            }
            points.extend(read.iter().map(|point| json!([point.step, point.value.to_string(), point.is_abandoned])));
        }
        curves.push(json!({"segment": curve.segment, "name": curve.name, "points": points}));
    }
    let found = json!({
        "run": store.run(&run).await.unwrap().unwrap(),
        "stored_seq": store.stored_seq(&run).await.unwrap(),
        "events": store.events(&run, 0, 1000).await.unwrap(),
        "curves": curves,
        "checkpoints": store.checkpoints(&run).await.unwrap(),
        "snapshot_steps": store.snapshot_steps(&run).await.unwrap(),
        "snapshots": store.snapshots(&run, &attention(0), (0, u64::MAX), u64::MAX).await.unwrap(),
        "updates": store.updates(&run, None).await.unwrap(),
        "past": store.past(&run).await.unwrap(),
    });
    // As it is read back: serde_json reads numbers to the last digit but one.
    serde_json::from_str(&found.to_string()).unwrap()
}

/// Checks that `found` has everything of `expected`; later versions may add fields.
fn assert_contains(expected: &Value, found: &Value, at: &str) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected.iter().for_each(|(key, value)| {
            let other = found.get(key).unwrap_or_else(|| panic!("{at}.{key} is missing"));
            assert_contains(value, other, &format!("{at}.{key}"));
        }),
        (Value::Array(expected), Value::Array(found)) => {
            assert_eq!(expected.len(), found.len(), "{at}");
            expected.iter().zip(found).enumerate().for_each(|(i, (a, b))| assert_contains(a, b, &format!("{at}[{i}]")));
        }
        _ => assert_eq!(expected, found, "{at}"),
    }
}

/// Writes the fixture of the current format, once:
/// `cargo test --release --workspace --exclude app --exclude xtask --test store -- --ignored write_the_fixture`.
#[tokio::test]
#[ignore = "writes tests/fixtures"]
async fn write_the_fixture() {
    let dir = fixtures().join(format!("lab-{FORMAT}"));
    assert!(!dir.exists(), "{} exists: a fixture is never written again; remove it first", dir.display());
    let store = Store::open(&dir).await.unwrap();
    running_run(&store).await;
    let parent = finished_run(&store).await;
    forked_run(&store, &parent).await;
    let mut recorded = json!({});
    for run in [RUNNING, FINISHED, FORK] {
        recorded[run] = everything(&store, run).await;
    }
    store.close().await;
    fs::remove_file(dir.join("lock")).unwrap();
    fs::write(dir.with_extension("json"), serde_json::to_string(&recorded).unwrap() + "\n").unwrap();
}

#[tokio::test]
async fn a_lab_folder_of_format_1_opens_with_the_same_curves_snapshots_and_journal() {
    let recorded = fs::read_to_string(fixtures().join("lab-1.json")).unwrap();
    let recorded: BTreeMap<String, Value> = serde_json::from_str(&recorded).unwrap();
    let dir = tempfile::tempdir().unwrap();
    copy(&fixtures().join("lab-1"), dir.path());
    for opening in ["first", "second"] {
        let store = Store::open(dir.path()).await.unwrap();
        for (run, expected) in &recorded {
            assert_contains(expected, &everything(&store, run).await, &format!("{opening}: {run}"));
        }
        store.close().await;
    }
    assert_eq!(recorded.len(), 3);
}

#[tokio::test]
async fn runs_of_a_folder_of_format_1_continue() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixtures().join("lab-1"), dir.path());
    let store = Store::open(dir.path()).await.unwrap();
    let running: RunId = RUNNING.parse().unwrap();
    let next = store.stored_seq(&running).await.unwrap() + 1;
    let done = store.ingest(&running, next, rows(0, 60, 70)).await.unwrap();
    assert_eq!((done.rows.len(), done.summary.step, done.summary.state), (10, 70, RunState::Running));
    let fork: RunId = FORK.parse().unwrap();
    let (_, line) = store.resume_run(&fork, None, report(130, Event::Resumed, None)).await.unwrap().unwrap();
    assert_eq!((line.state, line.queue_place), (RunState::Queued, Some(1)));
    let past = store.past(&fork).await.unwrap();
    let newest = &past.checkpoints[0].at;
    assert!(store.checkpoint_dir(&newest.run, newest.checkpoint).join("state.safetensors").is_file());
}

/// A folder as the development versions before the first format wrote it.
async fn folder_without_a_format(dir: &Path) {
    let options = SqliteConnectOptions::new().filename(dir.join("lab.db")).create_if_missing(true);
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("CREATE TABLE runs (id TEXT PRIMARY KEY) STRICT; PRAGMA user_version = 3")
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
    for folder in ["series/old-fox-1234/0", "corpora", "frames"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    fs::write(dir.join("series/old-fox-1234/0/loss.train.l0"), [0; 16]).unwrap();
    fs::write(dir.join("lock"), "1234").unwrap();
}

/// Checks that neither opening changes anything. Returns the message.
async fn refusal(dir: &Path) -> String {
    let before = contents(dir);
    let Err(error) = Store::open(dir).await else { panic!("the folder was opened") };
    let Err(of_tokens) = Store::open_access(dir).await else { panic!("the tokens were opened") };
    assert_eq!(error.to_string(), of_tokens.to_string());
    assert!(contents(dir) == before, "the folder was changed");
    error.to_string()
}

#[tokio::test]
async fn a_folder_of_an_earlier_version_is_refused_and_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    folder_without_a_format(dir.path()).await;
    let message = refusal(dir.path()).await;
    for part in ["earlier development version of Kindling (format 0)", "reads format 1", "another --data folder"] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn a_folder_of_a_later_version_is_refused_and_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path()).await.unwrap().close().await;
    fs::write(dir.path().join("format"), format!("{}\n", FORMAT + 1)).unwrap();
    assert!(refusal(dir.path()).await.contains("newer version of Kindling (format 2)"));
    fs::write(dir.path().join("format"), "one").unwrap();
    assert!(refusal(dir.path()).await.contains("contains no format number"));
}

#[tokio::test]
async fn a_database_with_a_later_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path()).await.unwrap().close().await;
    let options = SqliteConnectOptions::new().filename(dir.path().join("lab.db"));
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    let Err(error) = Store::open(dir.path()).await else { panic!("the folder was opened") };
    assert!(matches!(error, StoreError::NewerSchema { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn tokens_of_a_folder_without_a_lab_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("nowhere")] {
        let Err(error) = Store::open_access(&path).await else { panic!("tokens were opened") };
        assert!(matches!(error, StoreError::NoLab { .. }) && error.to_string().contains("start a server"), "{error}");
        assert!(!path.join("lab.db").exists());
    }
}

async fn query<T>(file: &Path, sql: &'static str) -> T
where
    T: Send + Unpin + for<'row> sqlx::Decode<'row, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    let mut database = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file)).await.unwrap();
    let found = sqlx::query_scalar(sql).fetch_one(&mut database).await.unwrap();
    database.close().await.unwrap();
    found
}

#[tokio::test]
async fn a_migration_keeps_a_copy_and_is_refused_while_an_older_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixtures().join("lab-1"), dir.path());
    let (database, kept) = (dir.path().join("lab.db"), dir.path().join("lab.db.schema-1"));
    let runs: i64 = query(&database, "SELECT COUNT(*) FROM runs").await;
    let server = fs::File::create(dir.path().join("lock")).unwrap();
    server.lock().unwrap();
    fs::write(dir.path().join("lock"), "4321").unwrap();
    let Err(error) = Store::open_access(dir.path()).await else { panic!("the tokens were opened") };
    assert!(matches!(error, StoreError::OlderServer { pid: 4321 }), "{error}");
    assert_eq!(query::<i64>(&database, "PRAGMA user_version").await, 1);
    drop(server);
    Store::open(dir.path()).await.unwrap().close().await;
    assert!(query::<i64>(&database, "PRAGMA user_version").await > 1);
    assert_eq!(query::<i64>(&kept, "PRAGMA user_version").await, 1);
    assert_eq!(query::<i64>(&kept, "SELECT COUNT(*) FROM runs").await, runs);
    let before = fs::read(&kept).unwrap();
    Store::open(dir.path()).await.unwrap().close().await;
    assert_eq!(fs::read(&kept).unwrap(), before, "a folder without migrations keeps the copy");
}

/// Tables and indices with their SQL, without comments and white space.
async fn schema(file: &Path) -> BTreeMap<String, String> {
    let mut database = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file)).await.unwrap();
    let found: Vec<(String, String)> =
        sqlx::query_as("SELECT name, COALESCE(sql, '') FROM sqlite_schema").fetch_all(&mut database).await.unwrap();
    database.close().await.unwrap();
    let bare = |sql: &str| {
        let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
        lines.flat_map(str::split_whitespace).collect::<String>()
    };
    found.into_iter().map(|(name, sql)| (name, bare(&sql))).collect()
}

#[tokio::test]
async fn a_new_lab_has_the_schema_of_a_migrated_one() {
    let (new, migrated) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copy(&fixtures().join("lab-1"), migrated.path());
    for dir in [&new, &migrated] {
        Store::open(dir.path()).await.unwrap().close().await;
    }
    let [new, migrated] = [&new, &migrated].map(|dir| dir.path().join("lab.db"));
    assert_eq!(schema(&new).await, schema(&migrated).await);
    for rows in [
        "SELECT json_group_array(json_array(name, created_ms, runs_at_once)) FROM pools",
        "SELECT json_group_array(json_array(name, created_ms, limits)) FROM projects",
    ] {
        assert_eq!(query::<String>(&new, rows).await, query::<String>(&migrated, rows).await);
    }
}
