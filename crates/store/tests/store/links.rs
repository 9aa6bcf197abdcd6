//! Share links: found by their text, added to sessions, ended with their time, their creator or by hand.

use store::{NewLinkRecord, NewPerson, OpenedBy, Store, StoreError};
use wire::access::link::LinkScope;
use wire::access::{ProjectLimits, Role, TokenKind};

use crate::setup::store_with_run;

fn link(scope: LinkScope) -> NewLinkRecord {
    NewLinkRecord {
        scope,
        path: "/".into(),
        role: Role::View,
        is_embed: false,
        passphrase: None,
        created_by: "ada".into(),
        person: None,
        token: None,
        expires_ms: None,
    }
}

fn project() -> LinkScope {
    LinkScope::Project("default".into())
}

async fn open(store: &Store, id: i64, session: Option<i64>) -> Option<OpenedBy> {
    store.open_link(id, session).await.unwrap()
}

#[tokio::test]
async fn a_link_is_found_by_its_text_and_keeps_what_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let new =
        NewLinkRecord { passphrase: Some("$argon2id$x".into()), role: Role::Steer, ..link(LinkScope::Runs(vec![run])) };
    let (text, made) = store.add_link(new).await.unwrap();
    assert_eq!(store.find_link(&text).await.unwrap().as_ref(), Some(&made));
    assert_eq!(store.links().await.unwrap(), [made.clone()]);
    assert_eq!(store.find_link("another text").await.unwrap(), None);
    assert!(store.identify(&text).await.unwrap().is_none(), "the text of a link is no token");
    assert!(store.revoke_link(made.id).await.unwrap());
    assert!(!store.revoke_link(made.id).await.unwrap());
    assert_eq!(store.find_link(&text).await.unwrap(), None);
}

#[tokio::test]
async fn links_add_to_sessions_and_take_their_rights_along_when_they_end() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let (_, of_run) = store.add_link(link(LinkScope::Runs(vec![run.clone()]))).await.unwrap();
    let (_, of_project) = store.add_link(NewLinkRecord { role: Role::Steer, ..link(project()) }).await.unwrap();
    let Some(OpenedBy::Guest(text)) = open(&store, of_run.id, None).await else { panic!("a new session") };
    let guest = store.identify(&text).await.unwrap().unwrap();
    assert_eq!((guest.kind, guest.name), (TokenKind::Guest, format!("guest {}", guest.token_id)));
    assert_eq!(guest.grants.on_run(&run, "default"), Some(Role::View));
    assert_eq!(guest.grants.in_project("default"), None);
    assert_eq!(open(&store, of_project.id, Some(guest.token_id)).await, Some(OpenedBy::Session));
    assert_eq!(open(&store, of_project.id, Some(guest.token_id)).await, Some(OpenedBy::Session));
    let grants = store.identity(guest.token_id).await.unwrap().unwrap().grants;
    assert_eq!(grants.on_run(&run, "default"), Some(Role::Steer), "the higher role holds");
    assert_eq!(store.own_grants(guest.token_id).await.unwrap(), Default::default());
    assert_eq!(store.links().await.unwrap()[1].opened, 1, "each browser counts once");
    store.revoke_link(of_project.id).await.unwrap();
    let grants = store.identity(guest.token_id).await.unwrap().unwrap().grants;
    assert_eq!(grants.on_run(&run, "default"), Some(Role::View));
    store.revoke_link(of_run.id).await.unwrap();
    assert_eq!(store.identity(guest.token_id).await.unwrap(), None, "a guest without links is nobody");
    assert!(store.is_guest(&text).await.unwrap());
    let (api, token) = store.issue_token("ada", Role::View, TokenKind::Api, None).await.unwrap();
    let (_, again) = store.add_link(link(project())).await.unwrap();
    assert!(
        matches!(open(&store, again.id, Some(token.id)).await, Some(OpenedBy::Guest(_))),
        "a program has no session"
    );
    assert_eq!(store.identify(&api).await.unwrap().unwrap().grants.in_project("default"), Some(Role::View));
}

#[tokio::test]
async fn an_expired_link_and_an_embed_open_no_session() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = store_with_run(dir.path()).await;
    let (text, past) = store.add_link(NewLinkRecord { expires_ms: Some(1), ..link(project()) }).await.unwrap();
    assert_eq!(store.find_link(&text).await.unwrap(), None);
    assert_eq!(open(&store, past.id, None).await, None);
    let (_, embed) = store.add_link(NewLinkRecord { is_embed: true, ..link(project()) }).await.unwrap();
    assert_eq!(open(&store, embed.id, None).await, None);
    assert_eq!(store.links().await.unwrap().len(), 1);
    assert!(store.grants_of_link(past.id).await.unwrap().projects.is_empty());
    assert_eq!(store.grants_of_link(embed.id).await.unwrap().in_project("default"), Some(Role::View));
    store.count_embeds(&[(embed.id, 3), (999, 1)]).await.unwrap();
    assert_eq!(store.links().await.unwrap()[0].opened, 3);
    let soon = i64::MAX / 2;
    let (_, later) = store.add_link(NewLinkRecord { expires_ms: Some(soon), ..link(project()) }).await.unwrap();
    let Some(OpenedBy::Guest(text)) = open(&store, later.id, None).await else { panic!("a new session") };
    assert!(store.identify(&text).await.unwrap().unwrap().expires_ms.is_some_and(|at_ms| at_ms < soon), "30 days");
}

#[tokio::test]
async fn the_links_of_a_project_end_with_it_also_where_its_name_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = store_with_run(dir.path()).await;
    let vision = || link(LinkScope::Project("vision".into()));
    let early = store.add_link(vision()).await;
    assert!(matches!(early, Err(StoreError::UnknownProject { .. })), "it would share a later project: {early:?}");
    store.add_project("vision", &ProjectLimits::default()).await.unwrap();
    let (text, made) = store.add_link(vision()).await.unwrap();
    let (_, other) = store.add_link(link(project())).await.unwrap();
    let Some(OpenedBy::Guest(guest)) = open(&store, made.id, None).await else { panic!("a new session") };
    assert_eq!(store.identify(&guest).await.unwrap().unwrap().grants.in_project("vision"), Some(Role::View));
    store.remove_project("vision").await.unwrap();
    store.add_project("vision", &ProjectLimits::default()).await.unwrap();
    assert_eq!(store.find_link(&text).await.unwrap(), None);
    assert_eq!(store.identify(&guest).await.unwrap(), None);
    assert_eq!(store.links().await.unwrap(), [other]);
}

#[tokio::test]
async fn a_link_of_a_token_of_a_program_gives_what_the_token_has_and_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    store.add_project("vision", &ProjectLimits::default()).await.unwrap();
    let ada = NewPerson { name: "ada".into(), role: Some(Role::Admin), ..NewPerson::default() };
    let ada = store.add_person(&ada).await.unwrap().id;
    let of_vision = Some(vec!["vision".to_owned()]);
    let (_, limited) = store.issue_personal_token(ada, "script", Role::View, of_vision, None).await.unwrap();
    let (_, of_lab) = store.issue_token("ci", Role::Steer, TokenKind::Api, None).await.unwrap();
    let steer = |scope: LinkScope, person: Option<i64>, token: i64| NewLinkRecord {
        role: Role::Steer,
        person,
        token: Some(token),
        ..link(scope)
    };
    let vision = || LinkScope::Project("vision".into());
    let (_, inside) = store.add_link(steer(vision(), Some(ada), limited.id)).await.unwrap();
    let (_, outside) = store.add_link(steer(LinkScope::Runs(vec![run]), Some(ada), limited.id)).await.unwrap();
    let (_, by_ci) = store.add_link(steer(vision(), None, of_lab.id)).await.unwrap();
    let role = async |id: i64| store.grants_of_link(id).await.unwrap().in_project("vision");
    assert_eq!((role(inside.id).await, role(by_ci.id).await), (Some(Role::View), Some(Role::Steer)));
    assert_eq!(store.grants_of_link(outside.id).await.unwrap(), Default::default());
    assert!(store.revoke(of_lab.id).await.unwrap());
    assert_eq!(store.links().await.unwrap(), [inside, outside]);
    assert!(store.revoke(limited.id).await.unwrap());
    assert_eq!(store.links().await.unwrap(), []);
}

#[tokio::test]
async fn a_link_that_gives_nothing_any_more_does_not_come_back_with_a_later_role() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let ada = NewPerson { name: "ada".into(), role: Some(Role::View), ..NewPerson::default() };
    let ada = store.add_person(&ada).await.unwrap().id;
    store.add_project("vision", &ProjectLimits::default()).await.unwrap();
    for project in ["vision", "default"] {
        store.set_member(project, ada, Role::Steer, None).await.unwrap();
    }
    let vision = LinkScope::Project("vision".into());
    for scope in [vision.clone(), LinkScope::Runs(vec![run]), project()] {
        store.add_link(NewLinkRecord { person: Some(ada), ..link(scope) }).await.unwrap();
    }
    store.add_link(link(vision)).await.unwrap();
    store.remove_member("vision", ada, None).await.unwrap();
    assert_eq!(store.links().await.unwrap().len(), 4, "a role in the lab is enough");
    store.set_member("vision", ada, Role::Steer, None).await.unwrap();
    store.change_person(ada, None, Some(None), None).await.unwrap();
    assert_eq!(store.links().await.unwrap().len(), 4);
    store.remove_member("vision", ada, None).await.unwrap();
    store.set_member("vision", ada, Role::Admin, None).await.unwrap();
    assert_eq!(store.links().await.unwrap().len(), 3, "that of ada to vision has ended");
    store.remove_member("default", ada, None).await.unwrap();
    let left = store.links().await.unwrap();
    assert_eq!((left.len(), left[0].person), (1, None));
}

#[tokio::test]
async fn one_creator_has_at_most_500_links_and_leaves_room_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = store_with_run(dir.path()).await;
    for _ in 0..500 {
        store.add_link(link(project())).await.unwrap();
    }
    let refused = store.add_link(link(project())).await.unwrap_err();
    assert!(matches!(refused, StoreError::TooManyOwnLinks { most: 500, .. }), "{refused}");
    let ada = store.add_person(&NewPerson { name: "ada".into(), ..NewPerson::default() }).await.unwrap().id;
    store.add_link(NewLinkRecord { person: Some(ada), ..link(project()) }).await.unwrap();
    store.add_link(NewLinkRecord { created_by: "bob".into(), ..link(project()) }).await.unwrap();
    store.revoke_link(store.links().await.unwrap()[0].id).await.unwrap();
    store.add_link(link(project())).await.unwrap();
}

#[tokio::test]
async fn the_oldest_guest_of_a_link_leaves_when_there_are_more_than_1000() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = store_with_run(dir.path()).await;
    let (_, crowded) = store.add_link(link(project())).await.unwrap();
    let (_, quiet) = store.add_link(link(project())).await.unwrap();
    let guest = async |id: i64| match open(&store, id, None).await {
        Some(OpenedBy::Guest(text)) => text,
        other => panic!("a new session, got {other:?}"),
    };
    let of_quiet = guest(quiet.id).await;
    let mut texts = vec![];
    for _ in 0..1001 {
        texts.push(guest(crowded.id).await);
    }
    let is_valid = async |text: &str| store.identify(text).await.unwrap().is_some();
    assert!(!is_valid(&texts[0]).await);
    assert!(is_valid(&texts[1]).await && is_valid(&texts[1000]).await && is_valid(&of_quiet).await);
}
