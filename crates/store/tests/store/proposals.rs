//! Proposals of agents: a key makes one, one decision counts, and what nobody decided in time is not carried out.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, json};
use store::{DecisionRecord, NewProposal, ProposalQuery, Store, StoreError};
use wire::access::agent::{AgentLimits, AgentOrigin};
use wire::access::{Grants, Role, TokenKind, Visible};
use wire::alert::AlertKind;
use wire::proposal::{ProposalOutcome, ProposalPreview, ProposalState};
use wire::transport::link::Report;
use wire::{Author, Event};

use crate::setup::{report, store_with_run};

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// The id of a new token.
async fn token(store: &Store, name: &str) -> i64 {
    store.issue_token(name, Role::Steer, TokenKind::Api, None).await.unwrap().1.id
}

fn proposal(token: i64, key: &str) -> NewProposal {
    NewProposal {
        token,
        key: key.into(),
        hash: "00".into(),
        agent: "tuner".into(),
        origin: AgentOrigin { model: Some("opus".into()), ..AgentOrigin::default() },
        tool: "pause".into(),
        arguments: Map::from_iter([("run".to_owned(), json!("amber-fox-7k2q"))]),
        project: "default".into(),
        run: None,
        reason: "the loss is flat".into(),
        expected: None,
        preview: ProposalPreview { data: json!({}), units: Map::new(), at_ms: 1, event: 0 },
        created_ms: now_ms(),
        expires_ms: now_ms() + 3_600_000,
    }
}

fn decision(state: ProposalState, token: i64) -> DecisionRecord {
    DecisionRecord { state, edited: None, token, by: "ada".into(), reason: None }
}

fn outcome(is_done: bool) -> ProposalOutcome {
    ProposalOutcome { is_done, answer: json!({ "run": "amber-fox-7k2q" }), at_ms: 3 }
}

async fn states(store: &Store) -> Vec<(i64, ProposalState)> {
    let query = ProposalQuery { limit: 10, ..ProposalQuery::default() };
    let all = store.proposals(&Visible::All, &query).await.unwrap();
    all.into_iter().map(|proposal| (proposal.id, proposal.state)).collect()
}

#[tokio::test]
async fn a_key_makes_one_proposal_and_one_decision_about_it_counts() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let (agent, other) = (token(&store, "tuner").await, token(&store, "other").await);
    let (first, is_new) = store.propose(&proposal(agent, "a")).await.unwrap();
    assert!(is_new && first.proposal.state == ProposalState::Pending && first.proposal.decided.is_none());
    let changed = NewProposal { hash: "11".into(), ..proposal(agent, "a") };
    let (again, is_new) = store.propose(&changed).await.unwrap();
    assert!(!is_new && again == first, "the first one stays");
    let (second, _) = store.propose(&proposal(other, "a")).await.unwrap();
    let (one, two) = (first.proposal.id, second.proposal.id);
    let (pending, changes) = store.pending_proposals(&Visible::All).await.unwrap();
    assert_eq!(pending, 2);
    assert_eq!(store.proposal_of_key(agent, "a").await.unwrap(), Some(first));

    let approve = decision(ProposalState::Approved, other);
    let (left, right) = tokio::join!(store.decide_proposal(one, &approve), store.decide_proposal(one, &approve));
    assert!(left.unwrap() != right.unwrap(), "one of two people decides");
    assert!(!store.decide_proposal(one, &decision(ProposalState::Rejected, other)).await.unwrap());
    let unfinished = store.unfinished_proposals().await.unwrap();
    assert_eq!(unfinished.iter().map(|record| record.proposal.id).collect::<Vec<_>>(), [one]);
    assert_eq!(unfinished[0].decided_token, Some(other));
    store.end_proposal(one, &outcome(true)).await.unwrap();
    store.end_proposal(one, &outcome(false)).await.unwrap();
    store.end_proposal(two, &outcome(true)).await.unwrap();
    store.close().await;

    let store = Store::open(dir.path()).await.unwrap();
    let stored = store.proposal(one).await.unwrap().unwrap().proposal;
    assert_eq!(
        (stored.state, stored.outcome),
        (ProposalState::Approved, Some(outcome(true))),
        "the first outcome stays"
    );
    assert_eq!(stored.decided.unwrap().by, "ada");
    assert_eq!(stored.origin.model.as_deref(), Some("opus"));
    assert_eq!(store.proposal(two).await.unwrap().unwrap().proposal.outcome, None, "it is not approved");
    assert!(store.unfinished_proposals().await.unwrap().is_empty());
    let (pending, later) = store.pending_proposals(&Visible::All).await.unwrap();
    assert_eq!((pending, later > changes), (1, true));
    assert_eq!(states(&store).await, [(two, ProposalState::Pending), (one, ProposalState::Approved)]);
}

#[tokio::test]
async fn what_expires_and_what_a_revoked_token_proposed_cannot_be_approved() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let (agent, person) = (token(&store, "tuner").await, token(&store, "ada").await);
    let late = NewProposal { expires_ms: now_ms() - 1, ..proposal(agent, "late") };
    let late = store.propose(&late).await.unwrap().0.proposal;
    let open = store.propose(&proposal(agent, "open")).await.unwrap().0.proposal;
    assert_eq!((late.state, open.state), (ProposalState::Expired, ProposalState::Pending));
    assert!(!store.decide_proposal(late.id, &decision(ProposalState::Approved, person)).await.unwrap());
    store.revoke(agent).await.unwrap();
    assert!(!store.decide_proposal(open.id, &decision(ProposalState::Approved, person)).await.unwrap());
    assert_eq!(states(&store).await, [(open.id, ProposalState::Expired), (late.id, ProposalState::Expired)]);
    assert_eq!(store.pending_proposals(&Visible::All).await.unwrap().0, 0);
    assert!(store.unfinished_proposals().await.unwrap().is_empty());

    let busy = token(&store, "busy").await;
    for key in 0..50 {
        store.propose(&proposal(busy, &key.to_string())).await.unwrap();
    }
    let refused = store.propose(&proposal(busy, "50")).await;
    assert!(matches!(refused, Err(StoreError::TooManyProposals { most: 50 })), "{refused:?}");
    assert!(!store.propose(&proposal(busy, "0")).await.unwrap().1, "a known key is no further proposal");
    assert!(store.propose(&proposal(person, "50")).await.unwrap().1);
}

#[tokio::test]
async fn a_proposal_belongs_to_the_project_of_its_run_and_counts_what_others_did_since() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let agent = store.issue_agent_token(None, "tuner", Role::Steer, AgentLimits::default(), None).await.unwrap().1.id;
    let own = Author::Agent(store.agent_author(agent, "tuner", &AgentOrigin::default()).await.unwrap());
    let last = async || store.events(&run, 0, 100).await.unwrap().last().map_or(0, |record| record.number);
    let event = last().await;
    let preview = ProposalPreview { event, ..proposal(agent, "a").preview };
    let new = NewProposal { run: Some(run.clone()), preview, ..proposal(agent, "a") };
    let id = store.propose(&new).await.unwrap().0.proposal.id;
    store.append(&run, report(0, Event::Annotated { text: "hm".into() }, None)).await.unwrap();
    let alerts = async |grants: &Grants| store.alerts(grants, 0, 10).await.unwrap();
    let raised = alerts(&Grants::of_lab(Role::View)).await;
    let shown: Vec<_> = raised.iter().map(|alert| (alert.kind, alert.run.as_ref(), alert.path.as_str())).collect();
    assert_eq!(shown, [(AlertKind::Proposal, Some(&run), "/approvals")], "{raised:?}");
    assert!(raised[0].title.ends_with(": proposal of tuner"), "{raised:?}");
    // These do not count: an event of the lab, a sample, and a command of the agent itself.
    let sampled = Event::Sampled { prompt: "a".into(), text: "b".into(), temperature: 1.0 };
    let by = |author: Author| Report { author, ..report(0, Event::Paused, None) };
    for other in [by(Author::System), report(0, sampled, None), by(own)] {
        store.append(&run, other).await.unwrap();
    }
    let newer = store.proposal(id).await.unwrap().unwrap().proposal.newer_events;
    assert_eq!((newer, last().await), (1, event + 4));
    store.append(&run, by(Author::Agent("another".into()))).await.unwrap();
    assert_eq!(store.proposal(id).await.unwrap().unwrap().proposal.newer_events, 2);
    let fresh = ProposalPreview { event: event + 5, ..new.preview };
    store.set_proposal_preview(id, &fresh).await.unwrap();
    let stored = store.proposal(id).await.unwrap().unwrap().proposal;
    assert_eq!((stored.newer_events, stored.preview), (0, fresh));

    let of = |project: &str| Grants { projects: [(project.to_owned(), Role::View)].into(), ..Grants::default() };
    let count = async |grants: Grants| {
        let query = ProposalQuery { run: Some(run.clone()), is_pending: Some(true), limit: 10, before: None };
        let visible = grants.visible();
        let listed = store.proposals(&visible, &query).await.unwrap().len() as u64;
        assert_eq!(store.pending_proposals(&visible).await.unwrap().0, listed);
        listed
    };
    assert_eq!((count(of("default")).await, count(of("other")).await), (1, 0));
    // One about no run is of its project.
    store.propose(&NewProposal { project: "other".into(), ..proposal(agent, "b") }).await.unwrap();
    assert_eq!((alerts(&of("default")).await.len(), alerts(&of("other")).await.len()), (1, 1));
    assert_eq!(alerts(&of("other")).await[0].title, "Kindling: proposal of tuner");
    assert_eq!(store.proposals_of(agent, 10).await.unwrap().len(), 2);
    assert_eq!(store.proposals_of(agent + 1, 10).await.unwrap().len(), 0);
}
