//! Research loops: a round and what trains it are stored together or not at all, a round is decided once, and hints and vetoes stay.

use store::{LoopEventPart, NewLoop, NewRoundRuns, NewSweep, Store, StoreError};
use wire::Author;
use wire::access::agent::{AgentLimits, AgentMode, AgentOrigin};
use wire::access::{Role, Visible};
use wire::experiment::Prediction;
use wire::research_loop::record::{
    LoopDecision, LoopHints, LoopProposal, LoopRound, LoopState, LoopVeto, PromotedValue, ProposalSource, RoundKind,
    RoundOutcome,
};

use crate::experiments::experiment;
use crate::setup::ada;

const RATE: &str = "optimizer.learning_rate";

fn new_loop() -> NewLoop {
    let goal = serde_json::json!({
        "title": "Tune", "base": { "corpus": "tales" }, "parameters": { RATE: { "log": [1e-4, 1e-1] } },
        "budget": { "device_hours": 0.5 }
    });
    let (goal, start) = (serde_json::from_value(goal).unwrap(), Default::default());
    NewLoop { project: "default".into(), author: ada(), person: None, token: None, goal, start }
}

fn proposal(value: f64) -> LoopProposal {
    let prediction = Prediction { difference: -0.02, probability: 0.5 };
    let (parameter, reason) = (RATE.to_owned(), "Larger steps.".to_owned());
    let (source, author) = (ProposalSource::Strategy, Author::Rule("research loop".into()));
    LoopProposal { parameter, values: vec![value.into()], prediction, reason, source, author }
}

fn round(number: u32, kind: RoundKind) -> LoopRound {
    LoopRound {
        number,
        kind,
        proposal: (kind == RoundKind::Change).then(|| proposal(1e-2)),
        hints: LoopHints::default(),
        created_ms: 1,
        sweep: None,
        screened: vec![],
        promoted: None,
        experiment: None,
        pairs: vec![],
        veto: None,
        decision: None,
        device_secs: 0.0,
    }
}

fn sweep() -> NewRoundRuns {
    let spec = serde_json::json!({
        "name": "Tune", "sampler": "grid", "base": { "corpus": "tales" }, "space": { "parameters": { RATE: { "choices": [1e-2] } } }
    });
    NewRoundRuns::Sweep(NewSweep {
        spec: serde_json::from_value(spec).unwrap(),
        project: "default".into(),
        trials: 1,
        creator: "ada".into(),
        person: None,
        token: None,
        created_ms: 1,
    })
}

fn decision(outcome: RoundOutcome) -> LoopDecision {
    LoopDecision { outcome, verdict: None, sentence: "Seen.".into(), at_ms: 2 }
}

async fn sweeps(store: &Store) -> usize {
    store.sweeps(&Visible::All, None, 100).await.unwrap().len()
}

#[tokio::test]
async fn a_round_and_what_trains_it_are_stored_together_and_decided_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let id = store.create_loop(&new_loop()).await.unwrap().summary.id;
    let elsewhere = NewLoop { project: "absent".into(), ..new_loop() };
    assert!(matches!(store.create_loop(&elsewhere).await, Err(StoreError::UnknownProject { .. })));
    let first = round(1, RoundKind::NoiseFloor);
    let begun = store.begin_round(id, &first, &sweep()).await.unwrap().unwrap();
    assert_eq!(begun.sweep, Some(1));
    // Another process that has read the same state begins nothing, and no sweep is left of it.
    assert_eq!(store.begin_round(id, &first, &sweep()).await.unwrap(), None);
    assert_eq!(store.begin_round(id, &round(2, RoundKind::Change), &sweep()).await.unwrap(), None, "one at a time");
    assert_eq!(sweeps(&store).await, 1);
    store.set_round_secs(id, 1, 12.5).await.unwrap();
    assert_eq!(store.active_loops().await.unwrap(), [id]);
    store.close().await;

    let store = Store::open(dir.path()).await.unwrap();
    let view = store.research_loop(id).await.unwrap().unwrap();
    assert_eq!((view.current().map(|round| round.number), view.used_secs()), (Some(1), 12.5));
    let measured = LoopRound { device_secs: 20.0, ..begun };
    assert!(store.decide_round(id, &measured, decision(RoundOutcome::Measured)).await.unwrap());
    assert!(!store.decide_round(id, &measured, decision(RoundOutcome::Failed)).await.unwrap());
    let view = store.research_loop(id).await.unwrap().unwrap();
    assert_eq!((view.current(), view.used_secs()), (None, 20.0));
    assert_eq!(view.rounds[0].decision.as_ref().map(|decision| decision.outcome), Some(RoundOutcome::Measured));
    // Decided rounds are given, and only those after them are read.
    let given = LoopRound { created_ms: 77, ..view.rounds[0].clone() };
    store.begin_round(id, &round(2, RoundKind::Change), &sweep()).await.unwrap().unwrap();
    let standing = store.loop_standing(id, vec![given.clone()]).await.unwrap().unwrap();
    assert_eq!((standing.rounds.len(), &standing.rounds[0]), (2, &given));
    assert_eq!(standing.current().map(|round| round.number), Some(2));
    let texts: Vec<&str> = view.events.iter().map(|event| event.text.as_str()).collect();
    let created = format!("created: {RATE}");
    assert_eq!(texts, [created.as_str(), "round 1: noise floor of the default recipe", "round 1: measured. Seen."]);
}

#[tokio::test]
async fn a_test_begins_once_and_not_after_a_veto() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let id = store.create_loop(&new_loop()).await.unwrap().summary.id;
    let begun = store.begin_round(id, &round(1, RoundKind::Change), &sweep()).await.unwrap().unwrap();
    let prediction = Prediction { difference: -0.02, probability: 0.5 };
    let promoted = Some(PromotedValue { value: 1e-2.into(), screened_difference: -0.04, prediction });
    let promoted = LoopRound { promoted, ..begun };
    let tested = store.promote_round(id, &promoted, experiment("default")).await.unwrap().unwrap();
    assert_eq!(tested.experiment, Some(1));
    assert_eq!(store.promote_round(id, &promoted, experiment("default")).await.unwrap(), None);
    assert_eq!(store.experiments(&Visible::All, 10).await.unwrap().len(), 1);
    let veto = LoopVeto { author: ada(), reason: "Too slow.".into() };
    assert!(store.veto_round(id, 1, veto.clone()).await.unwrap());
    assert!(!store.veto_round(id, 1, veto.clone()).await.unwrap(), "once");
    // Somebody who has read the round before the veto cannot keep the change; a veto stays with its decision.
    assert!(!store.decide_round(id, &tested, decision(RoundOutcome::Kept)).await.unwrap());
    assert!(store.decide_round(id, &tested, decision(RoundOutcome::Vetoed)).await.unwrap());
    let view = store.research_loop(id).await.unwrap().unwrap();
    assert_eq!((view.rounds[0].veto.as_ref(), view.rounds[0].experiment), (Some(&veto), Some(1)));
    assert!(!store.veto_round(id, 1, veto.clone()).await.unwrap(), "it is decided");

    let second = store.begin_round(id, &round(2, RoundKind::Change), &sweep()).await.unwrap().unwrap();
    assert!(store.veto_round(id, 2, veto).await.unwrap());
    assert_eq!(store.promote_round(id, &second, experiment("default")).await.unwrap(), None, "a vetoed round");
    let open = [LoopState::Running, LoopState::Paused];
    assert!(store.move_loop(id, &open, LoopState::Stopped, &ada(), Some("no time")).await.unwrap());
    assert!(!store.move_loop(id, &open, LoopState::Stopped, &ada(), Some("no time")).await.unwrap());
    assert_eq!(store.active_loops().await.unwrap(), [id], "until its round is decided");
    assert!(store.decide_round(id, &second, decision(RoundOutcome::Vetoed)).await.unwrap());
    assert_eq!(store.begin_round(id, &round(3, RoundKind::Change), &sweep()).await.unwrap(), None, "it is stopped");
    assert!(store.active_loops().await.unwrap().is_empty());
}

#[tokio::test]
async fn hints_and_a_proposal_wait_for_the_next_round() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let id = store.create_loop(&new_loop()).await.unwrap().summary.id;
    let pin = |hints: &mut LoopHints| {
        hints.pinned.insert(RATE.into());
    };
    assert!(store.change_loop_hints(id, &ada(), "pinned", pin).await.unwrap());
    assert!(store.change_loop_hints(id, &ada(), "pinned", pin).await.unwrap(), "again");
    assert_eq!(store.research_loop(id).await.unwrap().unwrap().events.len(), 2, "created and pinned once");
    assert!(store.queue_proposal(id, &proposal(1e-3)).await.unwrap());
    assert!(!store.queue_proposal(id, &proposal(1e-3)).await.unwrap(), "one waits already");
    let summary = store.research_loop(id).await.unwrap().unwrap().summary;
    assert_eq!((summary.queued, summary.hints.pinned.len()), (Some(proposal(1e-3)), 1));
    store.begin_round(id, &round(1, RoundKind::NoiseFloor), &sweep()).await.unwrap().unwrap();
    let of_loop = async || store.research_loop(id).await.unwrap().unwrap().summary;
    assert!(of_loop().await.queued.is_some(), "the noise floor is no change");
    assert!(store.decide_round(id, &round(1, RoundKind::NoiseFloor), decision(RoundOutcome::Measured)).await.unwrap());
    let suggested = round(2, RoundKind::Change);
    store.begin_round(id, &suggested, &sweep()).await.unwrap().unwrap();
    assert_eq!(of_loop().await.queued, Some(proposal(1e-3)), "a round of another proposal leaves it");
    assert!(store.decide_round(id, &suggested, decision(RoundOutcome::NotPromising)).await.unwrap());
    let own = LoopRound { proposal: Some(proposal(1e-3)), ..round(3, RoundKind::Change) };
    store.begin_round(id, &own, &sweep()).await.unwrap().unwrap();
    assert_eq!(of_loop().await.queued, None);
    assert!(store.queue_proposal(id, &proposal(1e-4)).await.unwrap());
    store.drop_proposal(id, &proposal(1e-3), "it is pinned").await.unwrap();
    assert!(of_loop().await.queued.is_some(), "another one waits");
    store.drop_proposal(id, &proposal(1e-4), "it is pinned").await.unwrap();
    assert_eq!(of_loop().await.queued, None);
    assert!(store.move_loop(id, &[LoopState::Running], LoopState::Stopped, &ada(), Some("no time")).await.unwrap());
    assert!(!store.change_loop_hints(id, &ada(), "pinned", pin).await.unwrap());
    assert!(matches!(store.queue_proposal(99, &proposal(1e-3)).await, Err(StoreError::UnknownLoop { id: 99 })));
}

#[tokio::test]
async fn the_waiting_proposal_of_a_stopped_agent_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let mut authors = vec![];
    for name in ["tuner", "other"] {
        let limits = AgentLimits { mode: AgentMode::Act, ..AgentLimits::default() };
        let (_, token) = store.issue_agent_token(None, name, Role::Steer, limits, None).await.unwrap();
        let origin = AgentOrigin { model: Some("x".into()), ..AgentOrigin::default() };
        authors.push((token.id, store.agent_author(token.id, name, &origin).await.unwrap()));
    }
    let mut loops = vec![];
    for (_, name) in &authors {
        let id = store.create_loop(&new_loop()).await.unwrap().summary.id;
        let of_agent = LoopProposal { author: Author::Agent(name.clone()), ..proposal(0.02) };
        assert!(store.queue_proposal(id, &of_agent).await.unwrap());
        loops.push(id);
    }
    store.stop_agent(authors[0].0, "ada").await.unwrap();
    let view = store.research_loop(loops[0]).await.unwrap().unwrap();
    assert_eq!(view.summary.queued, None);
    let last = view.events.last().unwrap();
    assert_eq!(last.text, "the proposal of tuner (model x) was dropped: its agent was stopped");
    assert!(store.research_loop(loops[1]).await.unwrap().unwrap().summary.queued.is_some(), "another agent's stays");
}

#[tokio::test]
async fn a_loop_has_its_newest_events_and_earlier_ones_are_paged() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let id = store.create_loop(&new_loop()).await.unwrap().summary.id;
    for turn in 0..52 {
        let (running, paused) = (LoopState::Running, LoopState::Paused);
        assert!(store.move_loop(id, &[running], paused, &ada(), Some(&turn.to_string())).await.unwrap());
        assert!(store.move_loop(id, &[paused], running, &ada(), None).await.unwrap());
    }
    let numbers = async |part: LoopEventPart| {
        let events = store.loop_events(id, part).await.unwrap();
        events.iter().map(|event| event.number).collect::<Vec<_>>()
    };
    let shown = store.research_loop(id).await.unwrap().unwrap().events;
    let ends = (shown.first().map(|event| event.number), shown.last().map(|event| event.number));
    assert_eq!(ends, (Some(6), Some(105)), "the newest 100 of 105");
    let part = |since, before, limit| LoopEventPart { since, before, limit };
    assert_eq!(numbers(part(None, Some(6), 3)).await, [3, 4, 5]);
    assert_eq!(numbers(part(None, None, 2)).await, [104, 105]);
    assert_eq!(numbers(part(Some(1), None, 2)).await, [2, 3]);
    assert_eq!(numbers(part(Some(1), Some(3), 9)).await, [2]);
}
