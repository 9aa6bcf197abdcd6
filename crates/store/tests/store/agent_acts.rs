//! Acts of agents: a key is used once per token, also after a restart of the store, and a refused act frees its key.

use std::time::{SystemTime, UNIX_EPOCH};

use store::{AgentAct, Store};

fn act(token: i64, key: &str, started_ms: i64) -> AgentAct {
    AgentAct {
        token,
        key: key.to_owned(),
        tool: "pause".into(),
        arguments: "00".into(),
        run: Some("amber-fox".into()),
        before: 3,
        reason: "the loss is flat".into(),
        expected: None,
        started_ms,
        answer: None,
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

#[tokio::test]
async fn an_act_is_found_again_after_a_new_start_with_its_first_result() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let now = now_ms();
    assert_eq!(store.begin_agent_act(&act(1, "a", now)).await.unwrap(), None);
    assert_eq!(store.begin_agent_act(&act(2, "a", now)).await.unwrap(), None, "keys are those of a token");
    store.close().await;

    let store = Store::open(dir.path()).await.unwrap();
    let known = store.begin_agent_act(&act(1, "a", now + 1)).await.unwrap().unwrap();
    assert_eq!(known, act(1, "a", now), "it has no result yet");
    assert_eq!(store.agent_act(1, "a").await.unwrap(), Some(known));
    assert_eq!(store.agent_act(1, "b").await.unwrap(), None);
    store.end_agent_act(1, "a", "first").await.unwrap();
    store.end_agent_act(1, "a", "second").await.unwrap();
    store.forget_agent_act(1, "a").await.unwrap();
    let known = store.begin_agent_act(&act(1, "a", now + 2)).await.unwrap().unwrap();
    assert_eq!(known.answer.as_deref(), Some("first"), "an act with a result is not forgotten");
}

#[tokio::test]
async fn a_refused_act_frees_its_key_and_old_acts_are_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let now = now_ms();
    store.begin_agent_act(&act(1, "a", now)).await.unwrap();
    store.forget_agent_act(1, "a").await.unwrap();
    assert_eq!(store.begin_agent_act(&act(1, "a", now + 1)).await.unwrap(), None);
    let hundred_days = 100 * 24 * 3600 * 1000;
    assert_eq!(store.begin_agent_act(&act(1, "old", now - hundred_days)).await.unwrap(), None);
    assert_eq!(store.begin_agent_act(&act(1, "b", now + 2)).await.unwrap(), None);
    let keys: Vec<String> = store.agent_acts(1, 10).await.unwrap().into_iter().map(|act| act.key).collect();
    assert_eq!(keys, ["b", "a"], "newest first");
    assert_eq!(store.agent_acts(1, 1).await.unwrap().len(), 1);
}
