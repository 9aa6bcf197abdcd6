//! Presenters and followers: rates, ends and access.

use std::time::Instant;

use bytes::Bytes;
use store::{NewLinkRecord, NewPerson, OpenedBy};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;
use wire::access::link::LinkScope;
use wire::access::{ProjectLimits, Role, TokenKind};
use wire::encode;
use wire::transport::live::ToPage;
use wire::transport::presenting::Spot;

use super::super::access_changes::{AccessChanges, Concerned};
use super::page::PresentingPage;
use super::*;

struct Lab {
    store: Store,
    presentations: Presentations,
    access: AccessChanges,
    _folder: TempDir,
}

impl Lab {
    async fn open() -> Self {
        Self::ending_after(Duration::from_millis(200)).await
    }

    async fn ending_after(absence: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let presentations = Presentations::ending_after(absence);
        Self { store, presentations, access: AccessChanges::default(), _folder: folder }
    }

    async fn token(&self, name: &str) -> i64 {
        self.store.issue_token(name, Role::View, TokenKind::Api, None).await.unwrap().1.id
    }

    /// A session of a person who may view the lab.
    async fn person(&self, name: &str) -> i64 {
        let new = NewPerson { name: name.into(), role: Some(Role::View), ..NewPerson::default() };
        let id = self.store.add_person(&new).await.unwrap().id;
        self.store.open_session(id).await.unwrap().1.token_id
    }

    /// A guest with a link to the project `default`: the token and the link.
    async fn guest(&self) -> (i64, i64) {
        let new = NewLinkRecord {
            scope: LinkScope::Project("default".into()),
            path: "/".into(),
            role: Role::View,
            is_embed: false,
            passphrase: None,
            created_by: "ada".into(),
            person: None,
            token: None,
            expires_ms: None,
        };
        let (_, link) = self.store.add_link(new).await.unwrap();
        let Some(OpenedBy::Guest(text)) = self.store.open_link(link.id, None).await.unwrap() else {
            panic!("a new session")
        };
        (self.store.identify(&text).await.unwrap().unwrap().token_id, link.id)
    }

    fn page(&self, token: i64) -> Page {
        self.page_of(token, None)
    }

    fn page_of(&self, token: i64, person: Option<i64>) -> Page {
        let (to_page, received) = mpsc::channel(8);
        let (presentations, store) = (self.presentations.clone(), self.store.clone());
        let presenting = PresentingPage::new(presentations, store, token, self.access.watch(token, person), to_page);
        Page { presenting, received, newest_list: None }
    }
}

struct Page {
    presenting: PresentingPage,
    received: mpsc::Receiver<Bytes>,
    /// Lists come at their own times, also between the messages that a test waits for.
    newest_list: Option<Vec<Presentation>>,
}

impl Page {
    async fn next<T>(&mut self, take: impl Fn(ToPage) -> Option<T>) -> T {
        let found = timeout(Duration::from_secs(60), async {
            loop {
                let message = encode::from_bytes(&self.received.recv().await.unwrap()).unwrap();
                if let ToPage::Presentations { presentations } = &message {
                    self.newest_list = Some(presentations.clone());
                }
                if let Some(found) = take(message) {
                    return found;
                }
            }
        });
        found.await.unwrap()
    }

    async fn state(&mut self) -> PresenterState {
        let state = |message| match message {
            ToPage::Presenter { state, .. } => Some(state),
            _ => None,
        };
        self.next(state).await
    }

    async fn ended(&mut self) -> u64 {
        let ended = |message| match message {
            ToPage::PresentationEnded { presentation } => Some(presentation),
            _ => None,
        };
        self.next(ended).await
    }

    /// Waits until the newest list has a number of presentations.
    async fn list(&mut self, expected: usize) -> Vec<Presentation> {
        loop {
            match &self.newest_list {
                Some(list) if list.len() == expected => return list.clone(),
                _ => self.next(|message| matches!(message, ToPage::Presentations { .. }).then_some(())).await,
            }
        }
    }

    async fn watchers(&mut self, expected: u32) -> Vec<String> {
        let watchers = |message| match message {
            ToPage::Watchers { names, total, .. } if total == expected => Some(names),
            _ => None,
        };
        self.next(watchers).await
    }
}

fn spot(down: f32) -> Option<Spot> {
    Some(Spot { anchor: "chart".into(), at: [0.0, down] })
}

fn state(path: &str, down: f32) -> PresenterState {
    PresenterState { path: Some(path.into()), scroll: spot(down), ..PresenterState::default() }
}

#[tokio::test]
async fn a_follower_receives_the_newest_state_at_a_bounded_rate() {
    let lab = Lab::open().await;
    let (mut ada, mut bob) = (lab.page(lab.token("ada").await), lab.page(lab.token("bob").await));
    ada.presenting.present(7, state("/", 0.0)).await.unwrap();
    bob.presenting.follow(7).await.unwrap();
    assert_eq!(bob.state().await, state("/", 0.0));
    assert_eq!(ada.watchers(1).await, ["bob"]);
    let began = Instant::now();
    for at in 1..=400 {
        ada.presenting.present(7, state("/", at as f32 / 400.0)).await.unwrap();
        if at % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let mut received = 0;
    while bob.state().await.scroll != spot(1.0) {
        received += 1;
    }
    let most = began.elapsed().as_millis() / 50 + 2;
    assert!(received <= most, "{received} states in {:?}", began.elapsed());
    let invalid = PresenterState { pointer: spot(f32::NAN), ..state("/", 0.0) };
    assert!(matches!(ada.presenting.present(7, invalid).await, Err(PresentingError::Invalid { .. })));
    assert!(matches!(
        ada.presenting.present(7, state("//evil.example", 0.0)).await,
        Err(PresentingError::Invalid { .. })
    ));
}

#[tokio::test]
async fn a_presentation_outlives_a_short_absence_of_its_page_and_no_longer_one() {
    // Much longer than the absence of 50 ms, which a busy machine prolongs.
    let absence = Duration::from_secs(3);
    let lab = Lab::ending_after(absence).await;
    let token = lab.token("ada").await;
    let (mut ada, mut bob) = (lab.page(token), lab.page(lab.token("bob").await));
    ada.presenting.present(7, state("/", 0.0)).await.unwrap();
    bob.presenting.follow(7).await.unwrap();
    bob.state().await;
    drop(ada);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut ada = lab.page(token);
    ada.presenting.present(7, state("/data", 0.0)).await.unwrap();
    assert_eq!(bob.state().await, state("/data", 0.0), "the follower need not follow again");
    tokio::time::sleep(absence + Duration::from_millis(100)).await;
    assert_eq!(lab.presentations.lock().len(), 1);
    drop(ada);
    assert_eq!(bob.ended().await, 7);
    assert!(lab.presentations.lock().is_empty());
    bob.presenting.follow(7).await.unwrap();
    assert_eq!(bob.ended().await, 7, "a presentation that does not exist");

    let mut ada = lab.page(token);
    ada.presenting.present(8, state("/", 0.0)).await.unwrap();
    bob.presenting.follow(8).await.unwrap();
    assert_eq!(bob.state().await, state("/", 0.0));
    ada.presenting.present(9, state("/", 0.0)).await.unwrap();
    assert_eq!(bob.ended().await, 8, "a page presents one thing at a time");
    bob.presenting.follow(9).await.unwrap();
    bob.presenting.unfollow();
    ada.watchers(0).await;
    ada.presenting.stop();
    assert!(lab.presentations.lock().is_empty());
}

#[tokio::test]
async fn a_presentation_is_listed_and_shown_to_those_who_see_the_page() {
    let lab = Lab::open().await;
    let (token, link) = lab.guest().await;
    let (mut ada, mut guest) = (lab.page(lab.token("ada").await), lab.page(token));
    ada.presenting.present(7, state("/?project=default", 0.0)).await.unwrap();
    let listed = guest.list(1).await;
    assert_eq!((listed[0].id, listed[0].presenter.as_str(), listed[0].is_own), (7, "ada", false));
    assert_eq!(listed[0].project.as_deref(), Some("default"));
    assert!(ada.list(1).await[0].is_own);
    guest.presenting.follow(7).await.unwrap();
    assert_eq!(guest.state().await, state("/?project=default", 0.0));
    assert_eq!(ada.watchers(1).await, [format!("guest {token}")]);

    let elsewhere = PresenterState { step: Some(3), pointer: spot(0.2), ..state("/fleet", 0.5) };
    ada.presenting.present(7, elsewhere).await.unwrap();
    assert_eq!(guest.state().await, PresenterState::hidden(), "nothing of a page that is not shared");
    guest.list(0).await;
    ada.presenting.present(7, state("/?project=default", 1.0)).await.unwrap();
    assert_eq!(guest.state().await, state("/?project=default", 1.0), "the follower stays one");

    assert!(lab.store.revoke_link(link).await.unwrap());
    lab.access.announce(Concerned::Everyone);
    assert_eq!(guest.state().await, PresenterState::hidden(), "a revoked link shows nothing more");
    guest.presenting.follow(7).await.unwrap();
    assert_eq!(guest.ended().await, 7);
}

#[tokio::test]
async fn guests_present_nothing_and_numbers_belong_to_their_token() {
    let lab = Lab::open().await;
    let (guest, _) = lab.guest().await;
    assert_eq!(lab.page(guest).presenting.present(1, state("/", 0.0)).await, Err(PresentingError::Guest));
    let mut ada = lab.page(lab.token("ada").await);
    ada.presenting.present(1, state("/", 0.0)).await.unwrap();
    let eve = lab.token("eve").await;
    assert_eq!(lab.page(eve).presenting.present(1, state("/", 0.0)).await, Err(PresentingError::Taken));
    let (mut pages, mut token) = (vec![], lab.person("person 0").await);
    for id in 2..=PRESENTATIONS as u64 {
        let mut page = lab.page(token);
        page.presenting.present(id, state("/", 0.0)).await.unwrap();
        pages.push(page);
        if (id - 1) % OWN_PRESENTATIONS as u64 == 0 {
            let more = lab.page(token).presenting.present(998, state("/", 0.0)).await;
            let most = OWN_PRESENTATIONS;
            assert_eq!(more, Err(PresentingError::TooManyOwn { most }), "one person leaves room for others");
            token = lab.person(&format!("person {id}")).await;
        }
    }
    let last = lab.token("ida").await;
    assert_eq!(lab.page(last).presenting.present(999, state("/", 0.0)).await, Err(PresentingError::TooMany));
    drop(ada);
}

#[tokio::test]
async fn one_guest_does_not_take_all_places_of_followers() {
    let lab = Lab::open().await;
    let mut ada = lab.page(lab.token("ada").await);
    ada.presenting.present(7, state("/?project=default", 0.0)).await.unwrap();
    let (guest, _) = lab.guest().await;
    let mut pages = vec![];
    for _ in 0..OWN_FOLLOWERS {
        let mut page = lab.page(guest);
        page.presenting.follow(7).await.unwrap();
        pages.push(page);
    }
    let more = lab.page(guest).presenting.follow(7).await;
    assert_eq!(more, Err(PresentingError::TooManyOwnFollowers { most: OWN_FOLLOWERS }));
    let mut eve = lab.page(lab.token("eve").await);
    eve.presenting.follow(7).await.unwrap();
    assert_eq!(eve.state().await, state("/?project=default", 0.0));
}

#[tokio::test]
async fn a_page_that_follows_again_stays_a_follower_and_takes_no_second_place() {
    let lab = Lab::open().await;
    let (mut ada, guest) = (lab.page(lab.token("ada").await), lab.guest().await.0);
    ada.presenting.present(7, state("/?project=default", 0.0)).await.unwrap();
    let (mut pages, owner) = (vec![], Owner::Guest(guest));
    for _ in 1..OWN_FOLLOWERS {
        let mut page = lab.page(guest);
        page.presenting.follow(7).await.unwrap();
        pages.push(page);
    }
    let (presenting, page) = (lab.presentations.find(7).unwrap(), lab.presentations.new_page());
    let follow = || {
        let following = lab.presentations.new_following();
        let new = Follower { following, name: "guest".into(), owner, grants: Grants::default() };
        lab.presentations.follow(presenting.clone(), page, new).unwrap()
    };
    // The task that holds the first is aborted, and drops it after the page has followed again.
    let (first, second) = (follow(), follow());
    drop(first);
    assert_eq!(presenting.followers.borrow().len(), OWN_FOLLOWERS);
    drop(second);
    assert_eq!(presenting.followers.borrow().len(), OWN_FOLLOWERS - 1);
    let again = &mut pages[0];
    again.presenting.follow(7).await.unwrap();
    again.watchers(OWN_FOLLOWERS as u32 - 1).await;
}

#[tokio::test]
async fn a_follower_sees_the_names_of_those_with_whom_they_share_a_project() {
    let lab = Lab::open().await;
    for project in ["vision", "speech"] {
        lab.store.add_project(project, &ProjectLimits::default()).await.unwrap();
    }
    let person = async |name: &str, project: &str| {
        let new = NewPerson { name: name.into(), ..NewPerson::default() };
        let id = lab.store.add_person(&new).await.unwrap().id;
        lab.store.set_member(project, id, Role::View, None).await.unwrap();
        (id, lab.page_of(lab.store.open_session(id).await.unwrap().1.token_id, Some(id)))
    };
    let mut ada = lab.page(lab.token("ada").await);
    // Nothing of a project: everyone who reaches any may see it.
    ada.presenting.present(7, state("/", 0.0)).await.unwrap();
    let ((bob_id, mut bob), (_, mut eve), (_, mut ida)) =
        (person("bob", "vision").await, person("eve", "vision").await, person("ida", "speech").await);
    for page in [&mut bob, &mut eve, &mut ida] {
        page.presenting.follow(7).await.unwrap();
    }
    assert_eq!(ada.watchers(3).await, ["bob", "eve", "ida"], "who reaches the whole lab");
    assert_eq!(bob.watchers(3).await, ["bob", "eve"]);
    assert_eq!(ida.watchers(3).await, ["ida"], "the others are counted");
    lab.store.set_member("speech", bob_id, Role::View, None).await.unwrap();
    lab.access.announce(Concerned::Person(bob_id));
    let names = async |page: &mut Page, expected: &[&str]| {
        while page.watchers(3).await != expected {}
    };
    names(&mut ida, &["bob", "ida"]).await;
    names(&mut bob, &["bob", "eve", "ida"]).await;
}
