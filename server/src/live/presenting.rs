//! Presentations: pages that other pages follow. They are kept in memory only. A presenter's newest state is a `watch` channel: a follower
//! that reads slowly skips states and delays nobody.
//!
//! - [`page`]: what one page presents and follows; [`sight`]: what it may see.
//!
//! A presentation survives a lost connection of its presenter for [`LEFT_AFTER`]. It is listed for those who may see what it shows; a
//! follower receives the address of the page only while they may see it.

pub mod page;
mod sight;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::Store;
use tokio::sync::watch;
use tokio::time::sleep;
use wire::RunId;
use wire::access::address::{self, Shown};
use wire::access::{Grants, Role};
use wire::transport::presenting::{MAX_WATCHER_NAMES, Presentation, PresenterState};

use super::places::Owner;

/// Presentations at a time, and those of one person.
const PRESENTATIONS: usize = 64;
const OWN_PRESENTATIONS: usize = 4;
/// Pages that follow one presentation, and those of one person or guest.
const FOLLOWERS: usize = 1_000;
const OWN_FOLLOWERS: usize = 32;
/// A presentation ends when its page has left for so long.
const LEFT_AFTER: Duration = Duration::from_secs(30);

/// Why a page cannot present or follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PresentingError {
    #[error("a share link lets you follow presentations; sign in to present")]
    Guest,
    #[error("{PRESENTATIONS} presentations run at the same time, which is the maximum: end one")]
    TooMany,
    #[error("you present on {most} pages at the same time, which is the maximum: end one")]
    TooManyOwn {
        /// The maximum.
        most: usize,
    },
    #[error("{FOLLOWERS} pages follow this presentation, which is the maximum")]
    TooManyFollowers,
    #[error("{most} pages of yours follow this presentation, which is the maximum")]
    TooManyOwnFollowers {
        /// The maximum.
        most: usize,
    },
    #[error("the number of the presentation is taken: begin again")]
    Taken,
    #[error("the state of the presenter is invalid: {reason}")]
    Invalid {
        /// The invalid value.
        reason: String,
    },
}

/// The address of the presented page and what it shows, with the projects of the runs in it.
#[derive(Debug)]
struct View {
    path: String,
    shown: Shown,
    projects: Mutex<HashMap<RunId, String>>,
}

impl View {
    async fn of(store: &Store, path: &str) -> Self {
        let view = Self { path: path.to_owned(), shown: Shown::of(path), projects: Mutex::default() };
        view.read_projects(store).await;
        view
    }

    /// Reads the projects of its runs, which may have moved.
    async fn read_projects(&self, store: &Store) {
        let mut projects = HashMap::new();
        for run in self.shown.runs() {
            // A store that does not answer shows nothing to anyone.
            if let Ok(Some(project)) = store.project_of_run(run).await {
                projects.insert(run.clone(), project);
            }
        }
        *self.lock() = projects;
    }

    fn is_visible_to(&self, grants: &Grants) -> bool {
        let projects = self.lock();
        self.shown.is_visible_to(grants, |run| projects.get(run).cloned())
    }

    // A map is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, String>> {
        self.projects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The newest state of a presenter, with the page in it.
#[derive(Debug, Clone)]
struct Current {
    view: Arc<View>,
    state: Arc<PresenterState>,
}

/// The sender who presents a page.
struct Presenter {
    /// Only pages of this token may continue the presentation.
    token_id: i64,
    owner: Owner,
    name: String,
}

/// A page that follows.
#[derive(Clone)]
struct Follower {
    /// Number of its [`Following`]: a page that follows again has a new one.
    following: u64,
    name: String,
    owner: Owner,
    /// What it reaches, which decides who sees its name.
    grants: Grants,
}

/// One presentation.
struct Presenting {
    id: u64,
    presenter: Presenter,
    /// `None` once it has ended.
    current: watch::Sender<Option<Current>>,
    /// The page that presents; `None` while it has left.
    page: watch::Sender<Option<u64>>,
    /// The followers by the number of their page, which is in the order of arrival.
    followers: watch::Sender<BTreeMap<u64, Follower>>,
}

impl Presenting {
    /// The names of the followers with whom a page shares a project, its own among them, and the number of all.
    fn names(&self, page: u64, grants: &Grants) -> (Vec<String>, u32) {
        let followers = self.followers.borrow();
        let is_seen = |number: u64, follower: &Follower| {
            number == page || grants.has_lab(Role::View) || grants.shares_project(&follower.grants)
        };
        let seen = followers.iter().filter(|(number, follower)| is_seen(**number, follower));
        (seen.take(MAX_WATCHER_NAMES).map(|(_, follower)| follower.name.clone()).collect(), followers.len() as u32)
    }

    /// Its entry in the list of a page; `None` for a page that may not see what it shows.
    fn entry(&self, page: u64, grants: &Grants) -> Option<Presentation> {
        let current = self.current.borrow();
        let view = &current.as_ref()?.view;
        let is_own = *self.page.borrow() == Some(page);
        if !is_own && !view.is_visible_to(grants) {
            return None;
        }
        let (run, project) = match &view.shown {
            Shown::Runs(runs) if runs.len() == 1 => (runs.first().cloned(), None),
            Shown::Project(project) => (None, Some(project.clone())),
            _ => (None, None),
        };
        let (presenter, watchers) = (self.presenter.name.clone(), self.followers.borrow().len() as u32);
        Some(Presentation { id: self.id, presenter, run, project, watchers, is_own })
    }
}

/// All presentations; cloning shares them.
#[derive(Clone)]
pub struct Presentations(Arc<Shared>);

struct Shared {
    all: Mutex<BTreeMap<u64, Arc<Presenting>>>,
    /// Changes with every list.
    changed: watch::Sender<()>,
    last_page: AtomicU64,
    last_following: AtomicU64,
    left_after: Duration,
}

impl Default for Presentations {
    fn default() -> Self {
        Self::ending_after(LEFT_AFTER)
    }
}

impl Presentations {
    fn ending_after(left_after: Duration) -> Self {
        let (all, changed) = (Mutex::default(), watch::Sender::new(()));
        let [last_page, last_following] = [(); 2].map(|()| AtomicU64::new(1));
        Self(Arc::new(Shared { all, changed, last_page, last_following, left_after }))
    }

    fn new_page(&self) -> u64 {
        self.0.last_page.fetch_add(1, Ordering::Relaxed)
    }

    fn new_following(&self) -> u64 {
        self.0.last_following.fetch_add(1, Ordering::Relaxed)
    }

    fn follow_list(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// The presentations that a page may see, in the order of their numbers.
    fn list(&self, page: u64, grants: &Grants) -> Vec<Presentation> {
        self.lock().values().filter_map(|presenting| presenting.entry(page, grants)).collect()
    }

    /// Reads the projects of all presented runs.
    async fn read_projects(&self, store: &Store) {
        let view = |presenting: &Arc<Presenting>| presenting.current.borrow().as_ref().map(|now| now.view.clone());
        let views: Vec<Arc<View>> = self.lock().values().filter_map(view).collect();
        for view in views {
            view.read_projects(store).await;
        }
    }

    fn find(&self, id: u64) -> Option<Arc<Presenting>> {
        self.lock().get(&id).cloned()
    }

    /// Begins a presentation, or continues one of the same token.
    ///
    /// # Errors
    /// There are too many, the presenter has too many, or another token has the number.
    fn begin(&self, id: u64, presenter: Presenter, page: u64) -> Result<Arc<Presenting>, PresentingError> {
        let mut all = self.lock();
        if let Some(found) = all.get(&id) {
            if found.presenter.token_id != presenter.token_id {
                return Err(PresentingError::Taken);
            }
            found.page.send_replace(Some(page));
            // The lists name the page that presents.
            self.0.changed.send_replace(());
            return Ok(found.clone());
        }
        let most = presenter.owner.most(OWN_PRESENTATIONS, PRESENTATIONS);
        if all.values().filter(|other| other.presenter.owner == presenter.owner).count() >= most {
            return Err(PresentingError::TooManyOwn { most });
        }
        if all.len() >= PRESENTATIONS {
            return Err(PresentingError::TooMany);
        }
        let presenting = Arc::new(Presenting {
            id,
            presenter,
            current: watch::Sender::new(None),
            page: watch::Sender::new(Some(page)),
            followers: watch::Sender::new(BTreeMap::new()),
        });
        all.insert(id, presenting.clone());
        tokio::spawn(self.clone().end_when_left(presenting.clone()));
        Ok(presenting)
    }

    /// Shows a state to the followers.
    fn show(&self, presenting: &Presenting, current: Current) {
        let mut is_other_page = true;
        presenting.current.send_modify(|shown| {
            is_other_page = shown.as_ref().is_none_or(|shown| !Arc::ptr_eq(&shown.view, &current.view));
            *shown = Some(current);
        });
        if is_other_page {
            self.0.changed.send_replace(());
        }
    }

    /// Adds a follower; it follows until the result is dropped. A page that still follows is replaced, not added.
    ///
    /// # Errors
    /// Too many follow.
    fn follow(&self, presenting: Arc<Presenting>, page: u64, new: Follower) -> Result<Following, PresentingError> {
        let number = new.following;
        let (mut added, most) = (Ok(()), new.owner.most(OWN_FOLLOWERS, FOLLOWERS));
        presenting.followers.send_if_modified(|followers| {
            let others = followers.iter().filter(|(other, _)| **other != page);
            if others.clone().filter(|(_, other)| other.owner == new.owner).count() >= most {
                added = Err(PresentingError::TooManyOwnFollowers { most });
            } else if others.count() >= FOLLOWERS {
                added = Err(PresentingError::TooManyFollowers);
            } else {
                followers.insert(page, new);
            }
            added.is_ok()
        });
        added?;
        self.0.changed.send_replace(());
        Ok(Following { presentations: self.clone(), presenting, page, number })
    }

    fn end(&self, presenting: &Arc<Presenting>) {
        let mut all = self.lock();
        if all.get(&presenting.id).is_some_and(|found| Arc::ptr_eq(found, presenting)) {
            all.remove(&presenting.id);
        }
        drop(all);
        presenting.current.send_replace(None);
        presenting.page.send_replace(None);
        self.0.changed.send_replace(());
    }

    async fn end_when_left(self, presenting: Arc<Presenting>) {
        let mut page = presenting.page.subscribe();
        loop {
            // The sender is in `presenting`, so waiting does not fail.
            let _ = page.wait_for(Option::is_none).await;
            tokio::select! {
                () = sleep(self.0.left_after) => break,
                _ = page.wait_for(Option::is_some) => {}
            }
        }
        self.end(&presenting);
    }

    // A map is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Presenting>>> {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A page that follows; it leaves when this is dropped.
struct Following {
    presentations: Presentations,
    presenting: Arc<Presenting>,
    page: u64,
    number: u64,
}

impl Following {
    /// Takes what the page reaches now.
    fn set_grants(&self, grants: &Grants) {
        self.presenting.followers.send_if_modified(|followers| match followers.get_mut(&self.page) {
            Some(follower) if follower.grants != *grants => {
                follower.grants.clone_from(grants);
                true
            }
            _ => false,
        });
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // The task of a page that follows again is aborted later than the page follows again.
        let is_own = |follower: &Follower| follower.following == self.number;
        let has_left = self.presenting.followers.send_if_modified(|followers| {
            followers.get(&self.page).is_some_and(is_own) && followers.remove(&self.page).is_some()
        });
        if has_left {
            self.presentations.0.changed.send_replace(());
        }
    }
}

/// Checks the state that a page sends, and returns its path.
fn checked_path(state: &PresenterState) -> Result<&str, PresentingError> {
    let invalid = |reason: String| PresentingError::Invalid { reason };
    let path = state.path.as_deref().ok_or_else(|| invalid("it has no path".to_owned()))?;
    address::check(path).map_err(|error| invalid(error.message))?;
    if !state.is_valid() {
        return Err(invalid("a number is outside its range".to_owned()));
    }
    Ok(path)
}
