//! Pools, join tokens and workers: what a token admits, what a queue of a pool holds, and labs of the version before.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use store::{JoinRefusal, Store, StoreError};
use wire::access::{Role, TokenKind};
use wire::device::DeviceKind::Cpu;
use wire::fleet::{JoinRequest, LOCAL_POOL, WorkerChange};
use wire::{DeviceId, RunId, RunPlan, Slot};

use crate::setup::new_run;

fn request(pool: &str, device: &str) -> JoinRequest {
    JoinRequest { pool: pool.into(), host: "box".into(), device: device.parse().unwrap() }
}

fn refusal(result: Result<wire::fleet::Joined, StoreError>) -> JoinRefusal {
    match result {
        Err(StoreError::Join(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_joined_device_keeps_its_name_and_its_earlier_token_is_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    assert!(matches!(store.add_pool(LOCAL_POOL).await, Err(StoreError::PoolExists { .. })));
    store.add_pool("gpu-lab").await.unwrap();
    let (token, view) = store.issue_join_token("gpu-lab", "ada", None, Some(2)).await.unwrap();
    let first = store.join(&token, &request("gpu-lab", "box-1")).await.unwrap();
    let name = Some("the box".to_owned());
    store.change_worker(first.worker, WorkerChange { name, ..WorkerChange::default() }).await.unwrap();
    let second = store.join(&token, &request("gpu-lab", "box-1")).await.unwrap();
    assert_eq!((second.worker, second.token == first.token), (first.worker, false));
    assert_eq!(store.identify(&first.token).await.unwrap(), None, "a machine that lost its folder");
    store.add_pool("cpu-lab").await.unwrap();
    let (other, _) = store.issue_join_token("cpu-lab", "ada", None, Some(1)).await.unwrap();
    let refused = refusal(store.join(&other, &request("cpu-lab", "box-1")).await);
    assert_eq!(refused, JoinRefusal::DeviceTaken { device: "box-1".parse().unwrap(), pool: "gpu-lab".into() });
    assert_eq!(store.join_tokens("cpu-lab").await.unwrap()[0].used, 0);
    let identity = store.identify(&second.token).await.unwrap().unwrap();
    let worker = store.worker_of_token(identity.token_id).await.unwrap().unwrap();
    assert_eq!((worker.name.as_str(), worker.pool.as_str(), identity.role), ("the box", "gpu-lab", Role::Worker));
    let refused = refusal(store.join(&token, &request("gpu-lab", "box-1")).await);
    assert_eq!(refused, JoinRefusal::UsedUp { used: 2 });
    assert_eq!(store.join_tokens("gpu-lab").await.unwrap()[0].used, 2);
    assert!(store.revoke_join_token(view.id).await.unwrap() && !store.revoke_join_token(view.id).await.unwrap());
    assert_eq!(refusal(store.join(&token, &request("gpu-lab", "box-1")).await), JoinRefusal::Revoked);

    assert!(matches!(store.remove_pool("gpu-lab").await, Err(StoreError::PoolInUse { workers: 1, .. })));
    store.remove_worker(first.worker).await.unwrap();
    assert_eq!(store.identify(&second.token).await.unwrap(), None);
    store.remove_pool("gpu-lab").await.unwrap();
    assert!(matches!(store.remove_pool("gpu-lab").await, Err(StoreError::UnknownPool { .. })));
    assert_eq!(store.pool_of_join_token(&token).await.unwrap(), None, "the tokens of a pool are deleted with it");
}

#[tokio::test]
async fn a_run_of_a_pool_starts_on_any_of_its_devices_and_has_its_place_in_its_queue() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    for pool in ["gpu-lab", "cpu-lab"] {
        store.add_pool(pool).await.unwrap();
    }
    for (id, device, pool) in [
        ("a", "any", Some("gpu-lab")),
        ("b", "any", Some("cpu-lab")),
        ("c", "box-1", Some("gpu-lab")),
        ("d", "box-1", None),
        ("e", "any", None),
    ] {
        let mut run = new_run(id, device);
        run.spec.pool = pool.map(str::to_owned);
        store.create_run(&run).await.unwrap();
    }
    let device = |id: &str| id.parse::<DeviceId>().unwrap();
    let ids = |queue: Vec<(RunId, RunPlan)>| queue.into_iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(store.queue(&device("box-1"), Cpu, "gpu-lab", &[], 9).await.unwrap()), ["a", "c", "d"]);
    assert_eq!(ids(store.queue(&device("box-2"), Cpu, "gpu-lab", &[], 9).await.unwrap()), ["a", "c"]);
    assert_eq!(ids(store.queue(&device("box-3"), Cpu, "cpu-lab", &[], 9).await.unwrap()), ["b"]);
    assert_eq!(store.queue_length(&device("any"), None, Some("gpu-lab")).await.unwrap(), 2);
    assert_eq!(store.queue_length(&device("box-1"), None, None).await.unwrap(), 1);
    let mut waiting = store.waiting().await.unwrap();
    waiting.sort_by(|one, other| one.run.cmp(&other.run));
    assert_eq!(waiting.iter().map(|run| run.place).collect::<Vec<_>>(), [1, 1, 2, 1, 1]);
    let run: RunId = "a".parse().unwrap();
    let changed = store.set_waits(&[(run.clone(), "First.".to_owned())]).await.unwrap();
    assert_eq!((changed[0].waits.as_deref(), changed[0].pool.as_deref()), (Some("First."), Some("gpu-lab")));
    let started = store.set_state(&run, wire::RunState::Starting, None).await.unwrap();
    assert_eq!((started.waits, started.pool), (None, None));
    store.set_device(&run, &Slot::first(device("box-2")), "a box").await.unwrap();
    store.set_state(&run, wire::RunState::Queued, None).await.unwrap();
    assert_eq!(
        ids(store.queue(&device("box-1"), Cpu, "gpu-lab", &[], 9).await.unwrap()),
        ["c", "d"],
        "its device is chosen"
    );
}

#[tokio::test]
async fn runs_at_once_is_a_setting_of_the_pool_and_each_process_has_a_token_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(store.pool(LOCAL_POOL).await.unwrap().runs_at_once, 1);
    store.set_runs_at_once(LOCAL_POOL, 4).await.unwrap();
    let unknown = store.set_runs_at_once("nowhere", 4).await;
    assert!(matches!(unknown, Err(StoreError::UnknownPool { .. })), "{unknown:?}");
    let cpu: DeviceId = "cpu".parse().unwrap();
    let slot = |number| Slot { device: cpu.clone(), number };
    // A further process may start before the first.
    let early = store.local_slot_token(&slot(2)).await.unwrap();
    let first = store.local_worker_token(&cpu).await.unwrap();
    let third = store.local_slot_token(&slot(3)).await.unwrap();
    let owner = async |token: &str| {
        let identity = store.identify(token).await.unwrap()?;
        store.worker_of_token(identity.token_id).await.unwrap()
    };
    let worker = owner(&first).await.unwrap();
    for token in [&early, &third] {
        assert_eq!(owner(token).await.as_ref(), Some(&worker), "one worker, whose processes have tokens");
    }
    let second = store.local_slot_token(&slot(2)).await.unwrap();
    assert_eq!(owner(&early).await, None, "the token of its predecessor is revoked");
    assert!(owner(&second).await.is_some() && owner(&third).await.is_some());
    assert_eq!(store.workers().await.unwrap().len(), 1);
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(store.pool(LOCAL_POOL).await.unwrap().runs_at_once, 4);
    store.remove_worker(worker.id).await.unwrap();
    for token in [&first, &second, &third] {
        assert_eq!(store.identify(token).await.unwrap(), None, "all of its tokens are revoked");
    }
}

#[tokio::test]
async fn a_local_worker_of_the_version_before_keeps_its_token() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let token = store.add_token("local worker cpu", Role::Worker, TokenKind::Api, None).await.unwrap();
    let remote = store.add_token("gpu-box", Role::Worker, TokenKind::Api, None).await.unwrap();
    store.close().await;
    // The database of that version, with the same tokens.
    let (file, now) = (dir.path().join("lab.db"), dir.path().join("now.db"));
    std::fs::rename(&file, &now).unwrap();
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(include_str!("../../migrations/1.sql")).execute(&mut database).await.unwrap();
    sqlx::query("ATTACH ? AS now").bind(now.to_string_lossy()).execute(&mut database).await.unwrap();
    let columns = "id, name, role, kind, hash, created_ms, expires_ms";
    let copy = format!("INSERT INTO tokens ({columns}) SELECT {columns} FROM now.tokens; PRAGMA user_version = 1");
    sqlx::raw_sql(sqlx::AssertSqlSafe(copy)).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let of = async |token: &str| {
        let identity = store.identify(token).await.unwrap().unwrap();
        store.worker_of_token(identity.token_id).await.unwrap()
    };
    let local = of(&token).await.unwrap();
    assert_eq!((local.pool.as_str(), local.device.as_str()), (LOCAL_POOL, "cpu"));
    assert_eq!(of(&remote).await, None, "other machines join again");
    let next = store.local_worker_token(&local.device).await.unwrap();
    assert_eq!(store.identify(&token).await.unwrap(), None);
    assert_eq!(of(&next).await.unwrap().id, local.id);
}
