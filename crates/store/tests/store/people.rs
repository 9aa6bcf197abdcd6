//! People, projects, invitations and the audit log: what somebody reaches follows each change at once.

use store::{Creator, NewPerson, Store, StoreError, TokenUse};
use wire::access::audit::{AuditEntry, AuditQuery};
use wire::access::{Grants, Membership, ProjectLimits, Role, TokenKind};
use wire::device::DeviceKind::Cpu;
use wire::run::RunChange;
use wire::series::name;
use wire::{Event, RunState};

use crate::setup::{new_run, report, row};

async fn reach(store: &Store, text: &str) -> Option<Grants> {
    store.identify(text).await.unwrap().map(|identity| identity.grants)
}

fn creator(name: &str, person: Option<i64>) -> Creator<'_> {
    Creator { name, person, token: None }
}

fn named(name: &str) -> NewPerson {
    NewPerson { name: name.into(), ..NewPerson::default() }
}

#[tokio::test]
async fn a_removed_person_loses_sessions_and_tokens_and_their_runs_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let ada = store.add_person(&NewPerson { role: Some(Role::Steer), ..named("ada") }).await.unwrap().id;
    let (session, identity) = store.open_session(ada).await.unwrap();
    assert_eq!((identity.name.as_str(), identity.person, identity.grants.lab), ("ada", Some(ada), Some(Role::Steer)));
    let (token, _) = store.issue_personal_token(ada, "script", Role::Admin, None, None).await.unwrap();
    assert_eq!(reach(&store, &token).await.unwrap(), Grants::of_lab(Role::Steer), "never more than its owner");
    let run = new_run("amber-fox-7k2q", "cpu");
    store.create_run(&run).await.unwrap();
    store.change_person(ada, Some("ada l"), Some(Some(Role::View)), None).await.unwrap();
    for text in [&session, &token] {
        let identity = store.identify(text).await.unwrap().unwrap();
        assert_eq!((identity.name.as_str(), identity.grants.lab), ("ada l", Some(Role::View)), "read at each request");
    }
    store.change_person(ada, None, Some(None), None).await.unwrap();
    assert_eq!(reach(&store, &token).await.unwrap(), Grants::default());
    store.remove_person(ada, None).await.unwrap();
    assert_eq!((reach(&store, &session).await, reach(&store, &token).await), (None, None));
    assert!(store.run(&run.id).await.unwrap().is_some());
    assert!(matches!(store.remove_person(ada, None).await, Err(StoreError::UnknownPerson { .. })));
}

#[tokio::test]
async fn names_differ_in_more_than_case_and_a_taken_address_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let email = Some("ada@example.org".to_owned());
    let ada = store.add_person(&NewPerson { email: email.clone(), ..named("ada") }).await.unwrap();
    assert!(matches!(store.add_person(&named("ADA")).await, Err(StoreError::PersonExists { .. })));
    let provider = Some(("https://id.example.org".to_owned(), "7".to_owned()));
    let bob = NewPerson { email: Some("Ada@Example.org".into()), provider: provider.clone(), ..named("bob") };
    let bob = store.add_person(&bob).await.unwrap();
    assert_eq!((ada.email, bob.email), (email, None));
    let taken = store.change_person(bob.id, Some("Ada"), None, None).await;
    assert!(matches!(taken, Err(StoreError::PersonExists { .. })));
    assert_eq!(store.change_person(ada.id, Some("Ada"), None, None).await.unwrap().name, "Ada", "one's own name");
    for (login, expected) in [("ADA", Some(ada.id)), ("ada@EXAMPLE.org", Some(ada.id)), ("eve", None)] {
        assert_eq!(store.person_of_login(login).await.unwrap().map(|(id, _)| id), expected, "{login}");
    }
    let (issuer, subject) = provider.unwrap();
    assert_eq!(store.person_of_provider(&issuer, &subject).await.unwrap(), Some(bob.id));
    assert_eq!(store.person_of_provider(&issuer, "8").await.unwrap(), None);
    store.remove_person(bob.id, None).await.unwrap();
    store.remove_person(ada.id, None).await.unwrap();
    let removed = store.removed_accounts().await.unwrap();
    assert_eq!(removed.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["bob"], "ada has no such account");
    let again = NewPerson { provider: Some((issuer.clone(), subject)), ..named("bob") };
    assert!(matches!(store.add_person(&again).await, Err(StoreError::AccountRemoved)));
    store.add_person(&named("bob")).await.expect("another account of the same name");
    store.add_person(&NewPerson { provider: Some((issuer, "8".into())), ..named("eve") }).await.unwrap();
    assert!(store.let_in_again(removed[0].id).await.unwrap() && !store.let_in_again(removed[0].id).await.unwrap());
    store.add_person(&NewPerson { name: "bob 2".into(), ..again }).await.unwrap();
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let ada = store.add_person(&named("ada")).await.unwrap().id;
    let (own, identity) = store.open_session(ada).await.unwrap();
    let (other, _) = store.open_session(ada).await.unwrap();
    let (token, _) = store.issue_personal_token(ada, "script", Role::View, None, None).await.unwrap();
    assert!(!store.has_passwords().await.unwrap());
    store.set_password(ada, "$argon2id$...", identity.token_id).await.unwrap();
    let valid = [reach(&store, &own).await, reach(&store, &other).await, reach(&store, &token).await];
    assert_eq!(valid.map(|grants| grants.is_some()), [true, false, true]);
    assert!(store.has_passwords().await.unwrap());
}

#[tokio::test]
async fn an_invitation_is_used_once_and_a_taken_name_does_not_use_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    for project in ["vision", "gone"] {
        store.add_project(project, &ProjectLimits::default()).await.unwrap();
    }
    store.add_person(&named("ada")).await.unwrap();
    let projects = ["vision", "gone"].map(|project| Membership { project: project.into(), role: Role::Steer }).to_vec();
    let later = 4_000_000_000_000;
    let (text, view) = store.issue_invitation("bob", None, projects, creator("owner", None), later).await.unwrap();
    assert_eq!(store.invitations().await.unwrap(), [view]);
    store.remove_project("gone").await.unwrap();
    let accept = |name: &'static str| store.accept_invitation(&text, name, "$argon2id$...".into());
    assert!(matches!(accept("Ada").await, Err(StoreError::PersonExists { .. })));
    assert!(store.invitation(&text).await.unwrap().is_some());
    let (session, identity) = accept("bob").await.unwrap().unwrap();
    assert_eq!(identity.grants.projects.into_iter().collect::<Vec<_>>(), [("vision".to_owned(), Role::Steer)]);
    assert!(reach(&store, &session).await.is_some());
    assert!(accept("bob 2").await.unwrap().is_none());
    let (text, _) = store.issue_invitation("eve", None, vec![], creator("owner", None), 1).await.unwrap();
    assert_eq!(store.invitation(&text).await.unwrap(), None, "expired");
    let (text, view) = store.issue_invitation("eve", None, vec![], creator("owner", None), later).await.unwrap();
    assert!(store.remove_invitation(view.id).await.unwrap());
    assert!(store.accept_invitation(&text, "eve", String::new()).await.unwrap().is_none(), "revoked");
}

#[tokio::test]
async fn an_invitation_gives_no_more_than_its_creator_may_give_now() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    store.add_project("vision", &ProjectLimits::default()).await.unwrap();
    let later = 4_000_000_000_000;
    let ada = store.add_person(&NewPerson { role: Some(Role::Admin), ..named("ada") }).await.unwrap().id;
    let bob = store.add_person(&named("bob")).await.unwrap().id;
    store.set_member("vision", bob, Role::Admin, None).await.unwrap();
    let vision = vec![Membership { project: "vision".into(), role: Role::Admin }];
    let (of_lab, _) =
        store.issue_invitation("x", Some(Role::Admin), vec![], creator("ada", Some(ada)), later).await.unwrap();
    let (of_project, _) =
        store.issue_invitation("y", None, vision.clone(), creator("bob", Some(bob)), later).await.unwrap();
    let (by_token, _) =
        store.issue_invitation("z", Some(Role::Admin), vision, creator("owner", None), later).await.unwrap();
    assert_eq!(store.invitations().await.unwrap().len(), 3);
    store.change_person(ada, None, Some(Some(Role::Steer)), None).await.unwrap();
    store.set_member("vision", bob, Role::Steer, None).await.unwrap();
    for (name, text) in [("x", &of_lab), ("y", &of_project)] {
        assert_eq!(store.invitation(text).await.unwrap(), None, "{name}");
        assert!(store.accept_invitation(text, name, "$argon2id$...".into()).await.unwrap().is_none(), "{name}");
    }
    assert_eq!(store.invitations().await.unwrap().len(), 1);
    store.remove_person(ada, None).await.unwrap();
    store.set_member("vision", bob, Role::Admin, None).await.unwrap();
    for (name, text) in [("x", &of_lab), ("y", &of_project)] {
        let accepted = store.accept_invitation(text, name, "$argon2id$...".into()).await.unwrap();
        assert!(accepted.is_none(), "{name}: a later role does not bring it back");
    }
    let (_, identity) = store.accept_invitation(&by_token, "z", "$argon2id$...".into()).await.unwrap().unwrap();
    assert_eq!((identity.grants.lab, identity.grants.projects.len()), (Some(Role::Admin), 1));
}

#[tokio::test]
async fn an_invitation_of_a_token_of_a_program_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let later = 4_000_000_000_000;
    let text = store.add_token("ci", Role::Admin, TokenKind::Api, None).await.unwrap();
    let by = store.identify(&text).await.unwrap().unwrap();
    assert_eq!(by.creator(), Creator { name: "ci", person: None, token: Some(by.token_id) });
    let (text, _) = store.issue_invitation("x", Some(Role::Admin), vec![], by.creator(), later).await.unwrap();
    let projects = vec![Membership { project: "nothing".into(), role: Role::View }];
    let unknown = store.issue_invitation("x", None, projects, by.creator(), later).await;
    assert!(matches!(unknown, Err(StoreError::UnknownProject { .. })), "it would be for a later project: {unknown:?}");
    assert!(store.invitation(&text).await.unwrap().is_some());
    assert!(store.revoke(by.token_id).await.unwrap());
    assert!(store.accept_invitation(&text, "x", "$argon2id$...".into()).await.unwrap().is_none());
    assert_eq!(store.invitations().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_admins_who_take_each_others_role_one_remains() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    store.add_project("vision", &ProjectLimits::default()).await.unwrap();
    let admin = async |name: &str| {
        let id = store.add_person(&NewPerson { role: Some(Role::Admin), ..named(name) }).await.unwrap().id;
        (id, Some(store.open_session(id).await.unwrap().1.token_id))
    };
    let ((ada, by_ada), (bob, by_bob)) = (admin("ada").await, admin("bob").await);
    let check = |one: Result<(), StoreError>, other: Result<(), StoreError>| {
        let lost = one.as_ref().err().or(other.as_ref().err());
        assert!(matches!(lost, Some(StoreError::RoleLost)), "{one:?} {other:?}");
        assert!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
    };
    for _ in 0..5 {
        let (one, other) = tokio::join!(
            store.change_person(bob, None, Some(None), by_ada),
            store.change_person(ada, None, Some(Some(Role::View)), by_bob)
        );
        check(one.map(drop), other.map(drop));
        for person in [ada, bob] {
            store.change_person(person, None, Some(None), None).await.unwrap();
            store.set_member("vision", person, Role::Admin, None).await.unwrap();
        }
        let (one, other) = tokio::join!(
            store.set_member("vision", bob, Role::View, by_ada),
            store.remove_member("vision", ada, by_bob)
        );
        check(one, other);
        for person in [ada, bob] {
            store.change_person(person, None, Some(Some(Role::Admin)), None).await.unwrap();
        }
    }
    let (one, other) = tokio::join!(store.remove_person(bob, by_ada), store.remove_person(ada, by_bob));
    check(one, other);
    let left = store.people().await.unwrap();
    assert_eq!((left.len(), left[0].role), (1, Some(Role::Admin)));
}

#[tokio::test]
async fn a_run_is_in_a_project_that_exists() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let mut run = new_run("amber-fox-7k2q", "cpu");
    store.create_run(&run).await.unwrap();
    let moved = async |change: RunChange| store.change_run(&run.id, &change).await;
    let change = RunChange { name: Some("moved".into()), project: Some("vision".into()), ..RunChange::default() };
    assert!(matches!(moved(change).await, Err(StoreError::UnknownProject { .. })));
    let last = RunChange { archived: Some(true), queue_place: Some(1), ..RunChange::default() };
    store.set_state(&run.id, RunState::Running, None).await.unwrap();
    assert!(matches!(moved(last).await, Err(StoreError::NotQueued { .. })));
    let kept = store.summary(&run.id).await.unwrap().unwrap();
    assert_eq!((kept.name.as_str(), kept.is_archived, kept.project.as_str()), ("amber-fox-7k2q", false, "default"));
    (run.id, run.spec.project) = ("brass-owl-3m4n".parse().unwrap(), Some("vision".into()));
    assert!(matches!(store.create_run(&run).await, Err(StoreError::UnknownProject { .. })));
    let of_vision = store.set_dataset_project(&"tales".parse().unwrap(), Some("vision")).await;
    assert!(matches!(of_vision, Err(StoreError::UnknownProject { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_in_a_project_that_is_deleted_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let elsewhere = new_run("amber-fox-7k2q", "cpu");
    store.create_run(&elsewhere).await.unwrap();
    for at in 0..12 {
        let project = format!("p{at}");
        store.add_project(&project, &ProjectLimits::default()).await.unwrap();
        let mut run = new_run(&format!("run-{at}"), "cpu");
        run.spec.project = Some(project.clone());
        let change = RunChange { project: Some(project.clone()), ..RunChange::default() };
        let corpus = format!("c{at}").parse().unwrap();
        let spawned = |delays: usize| async move {
            for _ in 0..delays {
                tokio::task::yield_now().await;
            }
        };
        let (created, moved, limited, removed) = tokio::join!(
            async { (spawned(at % 3).await, store.create_run(&run).await).1 },
            async { (spawned(at % 4).await, store.change_run(&elsewhere.id, &change).await).1 },
            async { (spawned(at % 2).await, store.set_dataset_project(&corpus, Some(&project)).await).1 },
            async { (spawned((at + 1) % 3).await, store.remove_project(&project).await).1 },
        );
        let is_there = [created.is_ok(), moved.is_ok(), limited.is_ok()];
        assert_eq!(removed.is_err(), is_there.contains(&true), "{is_there:?}");
        assert_eq!(store.has_project(&project).await.unwrap(), removed.is_err());
        let here = RunChange { project: Some("default".into()), ..RunChange::default() };
        store.change_run(&elsewhere.id, &here).await.unwrap();
    }
}

#[tokio::test]
async fn a_project_counts_its_runs_and_is_deleted_only_when_empty() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let limits = ProjectLimits { runs_at_once: Some(1), ..ProjectLimits::default() };
    store.add_project("vision", &limits).await.unwrap();
    assert!(matches!(store.add_project("vision", &limits).await, Err(StoreError::ProjectExists { .. })));
    for (id, project) in [("amber-fox-7k2q", "vision"), ("brass-owl-3m4n", "vision"), ("coral-hare-9x8y", "default")] {
        let mut run = new_run(id, "cpu");
        run.spec.project = Some(project.into());
        store.create_run(&run).await.unwrap();
    }
    let first = "amber-fox-7k2q".parse().unwrap();
    let started = report(0, Event::Started { parameters: 1 }, Some(RunState::Running));
    let items = vec![row(0, &[(name::TRAIN, 2.0), (name::SECS, 7200.0)])];
    store.append(&first, started).await.unwrap();
    store.ingest(&first, 1, items).await.unwrap();
    let vision = store.project("vision").await.unwrap();
    assert_eq!((vision.runs, vision.training, vision.elapsed_secs), (2, 1, 7200.0));
    let device = "cpu".parse().unwrap();
    let queued = async |full: &[String]| {
        let queue = store.queue(&device, Cpu, "local", full, 9).await.unwrap();
        queue.into_iter().map(|(run, _)| run.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(queued(&[]).await, ["brass-owl-3m4n", "coral-hare-9x8y"]);
    assert_eq!(queued(&["vision".to_owned()]).await, ["coral-hare-9x8y"]);
    for (name, unknown) in [("vision", false), ("default", false), ("speech", true)] {
        let refused = store.remove_project(name).await.unwrap_err();
        assert_eq!(matches!(refused, StoreError::UnknownProject { .. }), unknown, "{name}: {refused}");
    }
    store.add_project("speech", &limits).await.unwrap();
    let ada = store.add_person(&named("ada")).await.unwrap().id;
    store.set_member("speech", ada, Role::Admin, None).await.unwrap();
    assert_eq!(store.person(ada).await.unwrap().projects.len(), 1);
    store.remove_project("speech").await.unwrap();
    assert_eq!(store.person(ada).await.unwrap().projects, []);
    assert!(matches!(store.set_member("vision", 99, Role::View, None).await, Err(StoreError::UnknownPerson { .. })));
}

#[tokio::test]
async fn nothing_gives_access_to_a_later_project_of_the_same_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let limits = ProjectLimits::default();
    for name in ["vision", "speech"] {
        store.add_project(name, &limits).await.unwrap();
    }
    let ada = store.add_person(&NewPerson { role: Some(Role::Admin), ..named("ada") }).await.unwrap().id;
    let member = |project: &str| Membership { project: project.into(), role: Role::Admin };
    let (vision, both) = (vec![member("vision")], vec![member("vision"), member("speech")]);
    let later = 4_000_000_000_000;
    let (only, _) = store.issue_invitation("x", None, vision.clone(), creator("owner", None), later).await.unwrap();
    let (other, _) = store.issue_invitation("y", None, both, creator("owner", None), later).await.unwrap();
    let (lab, _) = store.issue_invitation("z", Some(Role::View), vision, creator("owner", None), later).await.unwrap();
    let (none, _) = store.issue_invitation("n", None, vec![], creator("owner", None), later).await.unwrap();
    let limited = |names: &[&str]| {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        store.issue_personal_token(ada, "script", Role::Admin, Some(names), None)
    };
    let (one, _) = limited(&["vision"]).await.unwrap();
    let (two, _) = limited(&["vision", "speech"]).await.unwrap();
    store.remove_project("vision").await.unwrap();
    store.add_project("vision", &limits).await.unwrap();
    assert_eq!(store.invitation(&only).await.unwrap(), None);
    assert_eq!(store.invitation(&other).await.unwrap().unwrap().projects, [member("speech")]);
    assert_eq!(store.invitation(&lab).await.unwrap().unwrap().projects, []);
    assert!(store.invitation(&none).await.unwrap().is_some(), "it never gave the project");
    assert_eq!(reach(&store, &one).await.unwrap(), Grants::default(), "still limited");
    assert!(reach(&store, &two).await.unwrap().projects.into_keys().eq(["speech".to_owned()]));
}

#[tokio::test]
async fn invitations_and_tokens_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let ada = store.add_person(&NewPerson { role: Some(Role::Admin), ..named("ada") }).await.unwrap().id;
    let invite = || store.issue_invitation("x", Some(Role::View), vec![], creator("ada", Some(ada)), 4_000_000_000_000);
    for _ in 0..1000 {
        invite().await.unwrap();
    }
    let refused = invite().await.unwrap_err();
    assert!(matches!(refused, StoreError::TooManyInvitations { most: 1000 }), "{refused}");
    let open = store.invitations().await.unwrap();
    assert!(store.remove_invitation(open[0].id).await.unwrap());
    invite().await.unwrap();
    store.change_person(ada, None, Some(None), None).await.unwrap();
    let by_token = store.issue_invitation("y", None, vec![], creator("owner", None), 4_000_000_000_000).await.unwrap();
    assert_eq!(store.invitations().await.unwrap(), [by_token.1], "those that have ended leave room");
    let token = |person: i64, expires_ms: Option<i64>| {
        store.issue_personal_token(person, "script", Role::View, None, expires_ms)
    };
    token(ada, Some(1)).await.unwrap();
    for _ in 0..100 {
        token(ada, None).await.unwrap();
    }
    let refused = token(ada, None).await.unwrap_err();
    assert!(matches!(refused, StoreError::TooManyTokens { most: 100 }), "{refused}");
    let bob = store.add_person(&named("bob")).await.unwrap().id;
    token(bob, None).await.unwrap();
    store.open_session(ada).await.unwrap();
}

#[tokio::test]
async fn the_audit_log_is_read_in_pages_and_filtered() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let entry = |at_ms: i64, who: &str, status| AuditEntry {
        id: 0,
        at_ms,
        who: who.into(),
        action: "create token".into(),
        target: format!("/tokens/{at_ms}"),
        status,
        address: "192.0.2.1".into(),
    };
    let entries: Vec<_> =
        (0..9).map(|at| entry(at, if at % 2 == 0 { "ada" } else { "Bob" }, 200 + at as u16 % 3 * 100)).collect();
    let text = store.add_token("ada", Role::View, TokenKind::Api, None).await.unwrap();
    let token_id = store.identify(&text).await.unwrap().unwrap().token_id;
    let used = TokenUse { token_id, used_ms: 7, address: "192.0.2.1".into(), agent: "curl".into() };
    store.note_requests(&entries, &[used]).await.unwrap();
    let token = store.tokens().await.unwrap().remove(0);
    assert_eq!(
        (token.used_ms, token.address.as_deref(), token.agent.as_deref()),
        (Some(7), Some("192.0.2.1"), Some("curl"))
    );
    let first = store.audit(&AuditQuery::default(), 5).await.unwrap();
    let rest = store.audit(&AuditQuery { before: first.next, ..AuditQuery::default() }, 5).await.unwrap();
    let ids: Vec<i64> = first.entries.iter().chain(&rest.entries).map(|entry| entry.id).collect();
    assert_eq!((ids, rest.next), ((1..=9).rev().collect(), None));
    for (query, expected) in [
        (AuditQuery { who: Some("ada".into()), ..AuditQuery::default() }, 5),
        (AuditQuery { q: Some("bob TOKEN".into()), ..AuditQuery::default() }, 4),
        (AuditQuery { q: Some("%".into()), ..AuditQuery::default() }, 0),
        (AuditQuery { q: Some("bob ".repeat(5000)), ..AuditQuery::default() }, 4),
        (AuditQuery { q: Some("bob\0".into()), ..AuditQuery::default() }, 0),
        (AuditQuery { q: Some(" ".into()), ..AuditQuery::default() }, 9),
        (AuditQuery { refused: Some(true), ..AuditQuery::default() }, 3),
        (AuditQuery { from_ms: Some(2), to_ms: Some(5), ..AuditQuery::default() }, 3),
    ] {
        assert_eq!(store.audit(&query, 100).await.unwrap().entries.len(), expected, "{query:?}");
    }
    store.prune_audit().await.unwrap();
    assert!(store.audit(&AuditQuery::default(), 5).await.unwrap().entries.is_empty(), "older than 400 days");
}
