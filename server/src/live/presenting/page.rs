//! What one page presents and follows. Its tasks end with it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use store::Store;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use wire::encode;
use wire::transport::live::ToPage;
use wire::transport::presenting::{Presentation, PresenterState};

use super::super::access_changes::AccessWatch;
use super::super::places::Owner;
use super::sight::Sight;
use super::{Current, Follower, Following, Presentations, Presenter, Presenting, PresentingError, View, checked_path};

/// Minimum time between two states that a follower is sent.
const STATE_EVERY: Duration = Duration::from_millis(50);
/// Minimum time between two lists of presentations, or of watchers.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// The part of a page that presents and follows.
pub struct PresentingPage {
    number: u64,
    presentations: Presentations,
    sight: Sight,
    to_page: mpsc::Sender<Bytes>,
    /// Sends the list of presentations.
    list: AbortHandle,
    /// What this page presents, and the task that sends its watchers.
    own: Option<(Arc<Presenting>, AbortHandle)>,
    /// The task that sends what the followed presenter shows. It holds the place among the followers.
    followed: Option<AbortHandle>,
}

impl PresentingPage {
    /// A page of a token. Its messages are sent into `to_page`.
    pub fn new(
        presentations: Presentations,
        store: Store,
        token_id: i64,
        access: AccessWatch,
        to_page: mpsc::Sender<Bytes>,
    ) -> Self {
        let sight = Sight::new(store, token_id, access);
        let number = presentations.new_page();
        let list = tokio::spawn(send_list(presentations.clone(), number, sight.again(), to_page.clone()));
        Self { number, presentations, sight, to_page, list: list.abort_handle(), own: None, followed: None }
    }

    /// Presents the page, or continues to.
    ///
    /// # Errors
    /// The state is invalid; a guest; too many presentations.
    pub async fn present(&mut self, id: u64, state: PresenterState) -> Result<(), PresentingError> {
        let path = checked_path(&state)?;
        let presenting = match &self.own {
            Some((presenting, _)) if presenting.id == id && presenting.current.borrow().is_some() => presenting.clone(),
            _ => self.begin(id).await?,
        };
        let shown = presenting.current.borrow().as_ref().map(|current| current.view.clone());
        let view = match shown {
            Some(view) if view.path == path => view,
            _ => Arc::new(View::of(self.sight.store(), path).await),
        };
        self.presentations.show(&presenting, Current { view, state: Arc::new(state) });
        Ok(())
    }

    async fn begin(&mut self, id: u64) -> Result<Arc<Presenting>, PresentingError> {
        let (name, owner) = self.sight.owner().await.ok_or(PresentingError::Guest)?;
        if matches!(owner, Owner::Guest(_)) {
            return Err(PresentingError::Guest);
        }
        self.stop();
        let presenter = Presenter { token_id: self.sight.token_id(), owner, name };
        let presenting = self.presentations.begin(id, presenter, self.number)?;
        let (sight, to_page) = (self.sight.again(), self.to_page.clone());
        let watchers = tokio::spawn(send_watchers(presenting.clone(), self.number, sight, to_page));
        self.own = Some((presenting.clone(), watchers.abort_handle()));
        Ok(presenting)
    }

    /// Ends the presentation of this page.
    pub fn stop(&mut self) {
        if let Some((presenting, watchers)) = self.own.take() {
            watchers.abort();
            self.presentations.end(&presenting);
        }
    }

    /// Follows a presentation instead of the one before.
    ///
    /// # Errors
    /// Too many pages follow it.
    pub async fn follow(&mut self, id: u64) -> Result<(), PresentingError> {
        self.unfollow();
        let grants = self.sight.grants().await;
        let found = self.presentations.find(id).filter(|found| found.entry(self.number, &grants).is_some());
        let (Some(presenting), Some((name, owner))) = (found, self.sight.owner().await) else {
            send(&self.to_page, ToPage::PresentationEnded { presentation: id }).await;
            return Ok(());
        };
        let follower = Follower { following: self.presentations.new_following(), name, owner, grants };
        let following = self.presentations.follow(presenting, self.number, follower)?;
        let task = tokio::spawn(send_states(following, self.sight.again(), self.to_page.clone()));
        self.followed = Some(task.abort_handle());
        Ok(())
    }

    /// Follows none.
    pub fn unfollow(&mut self) {
        self.followed.take().iter().for_each(AbortHandle::abort);
    }
}

impl Drop for PresentingPage {
    fn drop(&mut self) {
        self.list.abort();
        self.unfollow();
        if let Some((presenting, watchers)) = self.own.take() {
            watchers.abort();
            // Another page may have continued the presentation.
            presenting.page.send_if_modified(|page| match *page == Some(self.number) {
                true => page.take().is_some(),
                false => false,
            });
        }
    }
}

/// Sends what a presenter shows, until the presentation ends or the page leaves.
async fn send_states(following: Following, mut sight: Sight, to_page: mpsc::Sender<Bytes>) {
    let presentation = following.presenting.id;
    let watchers = send_watchers(following.presenting.clone(), following.page, sight.again(), to_page.clone());
    let states = async {
        let mut current = following.presenting.current.subscribe();
        let (mut sent, mut reads) = (None, 0);
        loop {
            let now = current.borrow_and_update().clone();
            let Some(Current { view, state }) = now else { break };
            let grants = sight.grants().await;
            if sight.reads() != reads {
                reads = sight.reads();
                following.set_grants(&grants);
                view.read_projects(sight.store()).await;
            }
            let shown = if view.is_visible_to(&grants) { (*state).clone() } else { PresenterState::hidden() };
            if sent.as_ref() != Some(&shown) {
                if !send(&to_page, ToPage::Presenter { presentation, state: shown.clone() }).await {
                    return;
                }
                sent = Some(shown);
                sleep(STATE_EVERY).await;
            }
            tokio::select! {
                changed = current.changed() => if changed.is_err() { break },
                () = sight.changed() => {}
            }
        }
        send(&to_page, ToPage::PresentationEnded { presentation }).await;
    };
    // The list of watchers ends with the states.
    tokio::select! {
        () = states => {}
        () = async { watchers.await; std::future::pending().await } => {}
    }
}

/// Sends who follows a presentation, until it ends: to each page the names of those with whom it shares a project, and the number of all.
async fn send_watchers(presenting: Arc<Presenting>, page: u64, mut sight: Sight, to_page: mpsc::Sender<Bytes>) {
    let mut followers = presenting.followers.subscribe();
    loop {
        followers.mark_unchanged();
        let grants = sight.grants().await;
        let (names, total) = presenting.names(page, &grants);
        if !send(&to_page, ToPage::Watchers { presentation: presenting.id, names, total }).await {
            return;
        }
        sleep(LIST_EVERY).await;
        tokio::select! {
            changed = followers.changed() => if changed.is_err() { return },
            () = sight.changed() => {}
        }
    }
}

/// Sends the presentations that a page may follow, whenever they have changed.
async fn send_list(presentations: Presentations, page: u64, mut sight: Sight, to_page: mpsc::Sender<Bytes>) {
    let mut changed = presentations.follow_list();
    let (mut sent, mut reads): (Vec<Presentation>, u64) = (vec![], 0);
    loop {
        changed.mark_unchanged();
        let grants = sight.grants().await;
        if sight.reads() != reads {
            reads = sight.reads();
            presentations.read_projects(sight.store()).await;
        }
        let listed = presentations.list(page, &grants);
        if listed != sent {
            if !send(&to_page, ToPage::Presentations { presentations: listed.clone() }).await {
                return;
            }
            sent = listed;
            sleep(LIST_EVERY).await;
        }
        tokio::select! {
            changed = changed.changed() => if changed.is_err() { return },
            () = sight.changed() => {}
        }
    }
}

/// Sends a message to the page. Returns whether the page is still there.
async fn send(to_page: &mpsc::Sender<Bytes>, message: ToPage) -> bool {
    // Plain data of known types; should it fail, the page drops an empty message.
    let bytes = encode::to_bytes(&message).map(Bytes::from).unwrap_or_default();
    to_page.send(bytes).await.is_ok()
}
