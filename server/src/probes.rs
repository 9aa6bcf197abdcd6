//! What is being watched inside of runs: each page says what it wants to see, the worker that holds the run hears the union, and what a
//! page wanted is gone with its connection. Looks change nothing, so whoever may view may look; what bounds them is how many stand and
//! how often they change.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wire::RunId;
use wire::look::{Look, MOST_STANDING};

use crate::fleet::Fleet;

/// Different looks that may stand at one run, over all pages.
pub const MOST_OF_RUN: usize = 16;
/// Changes of mind that one page may have within [`CHANGES_WITHIN`].
const CHANGES: usize = 8;
const CHANGES_WITHIN: Duration = Duration::from_secs(2);

/// Longest look as JSON, bytes; the longest text of one's own fits in whatever its characters are.
const LOOK_BYTES: usize = 64 * 1024;

/// Refuses a look that no model could answer, or that is too long to be passed on, with the sentence to show.
pub fn check(look: &Look) -> Result<(), String> {
    look.check()?;
    let bytes = look.key().len();
    if bytes > LOOK_BYTES {
        return Err(format!("this look is {bytes} bytes long, and {LOOK_BYTES} are the most: name something shorter"));
    }
    Ok(())
}

/// Who wants to see what, by run.
#[derive(Clone)]
pub struct Probes {
    last_page: Arc<AtomicU64>,
    wishes: Arc<Mutex<HashMap<RunId, Wishes>>>,
    fleet: Fleet,
}

/// The looks that pages want of one run, by page.
type Wishes = BTreeMap<u64, Vec<Look>>;

impl Probes {
    /// Nobody watches anything yet; workers are told by way of the fleet.
    pub fn new(fleet: Fleet) -> Self {
        Self { last_page: Arc::default(), wishes: Arc::default(), fleet }
    }

    /// Someone who may want to see something; dropped, they want nothing more.
    pub fn seer(&self) -> Seer {
        let number = self.last_page.fetch_add(1, Ordering::Relaxed);
        Seer { number, probes: self.clone(), wanted: Arc::default(), changes: VecDeque::new() }
    }

    /// Tells the worker which holds the run what is watched of it, nothing included: it has just been given the run, or has come back.
    pub fn tell(&self, run: &RunId) {
        let wishes = self.lock();
        self.fleet.probe(run, wishes.get(run).map(union).unwrap_or_default());
    }

    /// Whether anyone wants a look of this key.
    pub fn is_wanted(&self, run: &RunId, key: &str) -> bool {
        self.lock().get(run).is_some_and(|wishes| wishes.values().flatten().any(|look| look.key() == key))
    }

    /// Puts a page's wishes in place of those before; tells the worker where that changes what is watched. Gives the keys of those that
    /// were watched already.
    fn wish(&self, page: u64, run: &RunId, looks: Vec<Look>) -> Result<BTreeSet<String>, String> {
        let mut all = self.lock();
        let wishes = all.entry(run.clone()).or_default();
        let before = union(wishes);
        let mut watched: BTreeSet<String> = before.iter().map(Look::key).collect();
        let keys: BTreeSet<String> = looks.iter().map(Look::key).collect();
        watched.retain(|key| keys.contains(key));
        let mut after = wishes.clone();
        match looks.is_empty() {
            true => after.remove(&page),
            false => after.insert(page, looks),
        };
        let wanted = union(&after);
        if wanted.len() > MOST_OF_RUN && wanted.len() > before.len() {
            return Err(format!(
                "{} different looks at {run} would be standing, for all who watch it, and {MOST_OF_RUN} are the most: close one, or look \
                 at what others look at",
                wanted.len()
            ));
        }
        *wishes = after;
        // Within the lock, so that of two changes the later one is told last.
        if wanted != before {
            self.fleet.probe(run, wanted);
        }
        all.retain(|_, wishes| !wishes.is_empty());
        Ok(watched)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Wishes>> {
        locked(&self.wishes)
    }
}

// Nothing under these locks can panic half-way through a change.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all pages want together, each look once, in the order in which pages came.
fn union(wishes: &Wishes) -> Vec<Look> {
    let mut known = BTreeSet::new();
    wishes.values().flatten().filter(|look| known.insert(look.key())).cloned().collect()
}

/// What one page wants to see, by run and key.
type Wanted = BTreeMap<RunId, BTreeSet<String>>;

/// One page, or one who asks once.
pub struct Seer {
    number: u64,
    probes: Probes,
    wanted: Arc<Mutex<Wanted>>,
    /// When it last changed its mind.
    changes: VecDeque<Instant>,
}

/// What a page wants to see of one run, for whoever sends it that run's stream.
pub struct Eyes {
    run: RunId,
    wanted: Arc<Mutex<Wanted>>,
}

impl Seer {
    /// Wants to see this of a run from now on, in place of what it wanted before. Gives the keys of what others watch already.
    ///
    /// # Errors
    /// What is wrong with it, in words for people; then everything stays as it was.
    pub fn want(&mut self, run: &RunId, looks: Vec<Look>) -> Result<BTreeSet<String>, String> {
        self.check_haste()?;
        let mut wanted = locked(&self.wanted);
        let elsewhere: usize = wanted.iter().filter(|(other, _)| *other != run).map(|(_, keys)| keys.len()).sum();
        if looks.len() + elsewhere > MOST_STANDING {
            let many = looks.len() + elsewhere;
            return Err(format!("{many} looks at once, and {MOST_STANDING} are the most for one page: close some"));
        }
        for look in &looks {
            check(look).map_err(|message| format!("{}: {message}", look.kind()))?;
        }
        let keys: BTreeSet<String> = looks.iter().map(Look::key).collect();
        let watched = self.probes.wish(self.number, run, looks)?;
        match keys.is_empty() {
            true => wanted.remove(run),
            false => wanted.insert(run.clone(), keys),
        };
        Ok(watched)
    }

    /// Wants nothing more of a run.
    pub fn leave(&self, run: &RunId) {
        if locked(&self.wanted).remove(run).is_some() {
            // To want less is never refused.
            let _ = self.probes.wish(self.number, run, vec![]);
        }
    }

    /// Its eyes for one run, which follow its wishes.
    pub fn eyes(&self, run: &RunId) -> Eyes {
        Eyes { run: run.clone(), wanted: self.wanted.clone() }
    }

    /// A page that asks faster than a hand can click is held off, so that nobody else waits for it.
    fn check_haste(&mut self) -> Result<(), String> {
        self.changes.retain(|at| at.elapsed() < CHANGES_WITHIN);
        if self.changes.len() >= CHANGES {
            let secs = CHANGES_WITHIN.as_secs();
            return Err(format!("what to look at may change {CHANGES} times within {secs} s: wait a moment"));
        }
        self.changes.push_back(Instant::now());
        Ok(())
    }
}

impl Drop for Seer {
    fn drop(&mut self) {
        let runs: Vec<RunId> = locked(&self.wanted).keys().cloned().collect();
        runs.iter().for_each(|run| self.leave(run));
    }
}

impl Eyes {
    /// Whether the page wants to see what has this key.
    pub fn want(&self, key: &str) -> bool {
        locked(&self.wanted).get(&self.run).is_some_and(|keys| keys.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use wire::link::FromServer;
    use wire::look::{Of, Passage};

    use super::*;
    use crate::fleet::tests::arrival;

    fn attention(layer: u32) -> Look {
        Look::Attention { passage: Passage::default(), layer }
    }

    fn run() -> RunId {
        "amber-fox-7k2q".parse().unwrap()
    }

    /// A worker that holds the run, and what it is told to look at.
    fn staffed() -> (Probes, impl FnMut() -> Vec<Vec<u32>>) {
        let (to, mut from) = mpsc::channel(64);
        let fleet = Fleet::default();
        let mut arrival = arrival("a", "cpu");
        arrival.holding = Some(run());
        fleet.join(arrival, 1, to).unwrap();
        let layers = |looks: Vec<Look>| {
            let layer = |look: &Look| if let Look::Attention { layer, .. } = look { *layer } else { 99 };
            looks.iter().map(layer).collect()
        };
        let told = move || {
            let mut told = vec![];
            while let Ok(FromServer::Probe { looks, .. }) = from.try_recv() {
                told.push(layers(looks));
            }
            told
        };
        (Probes::new(fleet), told)
    }

    #[test]
    fn the_wishes_of_pages_are_united_and_go_with_them() {
        let (probes, mut told) = staffed();
        let (mut one, mut two) = (probes.seer(), probes.seer());
        one.want(&run(), vec![attention(0), attention(1)]).unwrap();
        two.want(&run(), vec![attention(1), attention(2), attention(2)]).unwrap();
        assert_eq!(told(), [vec![0, 1], vec![0, 1, 2]]);
        two.want(&run(), vec![attention(1)]).unwrap();
        assert_eq!(told(), [vec![0, 1]]);
        let eyes = two.eyes(&run());
        assert_eq!(two.want(&run(), vec![attention(0)]).unwrap(), BTreeSet::from([attention(0).key()]));
        assert!(told().is_empty(), "nothing new to see");
        assert!(eyes.want(&attention(0).key()) && !eyes.want(&attention(1).key()), "its eyes follow its wishes");
        assert!(probes.is_wanted(&run(), &attention(0).key()));
        drop(one);
        assert_eq!(told(), [vec![0]]);
        probes.tell(&run());
        assert_eq!(told(), [vec![0]], "a worker that comes back is told again");
        drop(two);
        assert_eq!(told(), [Vec::<u32>::new()]);
        probes.tell(&run());
        assert_eq!(told(), [Vec::<u32>::new()], "and also that there is nothing");
        assert!(probes.lock().is_empty());
    }

    #[test]
    fn what_is_too_much_is_refused_and_changes_nothing() {
        let (probes, mut told) = staffed();
        let mut first = probes.seer();
        let many = |from: u32, count: u32| (from..from + count).map(attention).collect::<Vec<_>>();
        assert!(first.want(&run(), many(0, 9)).unwrap_err().contains("8 are the most"));
        first.want(&run(), many(0, 8)).unwrap();
        let other: RunId = "red-owl-1111".parse().unwrap();
        assert!(first.want(&other, many(0, 1)).unwrap_err().contains("9 looks"), "of all runs together");
        let (mut second, mut third) = (probes.seer(), probes.seer());
        second.want(&run(), many(8, 8)).unwrap();
        let refused = third.want(&run(), many(15, 2)).unwrap_err();
        assert!(refused.contains("17 different") && !third.eyes(&run()).want(&attention(15).key()), "{refused}");
        third.want(&run(), many(3, 8)).unwrap();
        let empty = Look::Lens { passage: Passage::Own(String::new()) };
        assert!(second.want(&run(), vec![empty]).unwrap_err().starts_with("lens: the text is empty"));
        let long = Look::Matrix { tensor: "x".repeat(100_000), of: Of::Weight, window: None };
        assert!(second.want(&run(), vec![long]).unwrap_err().contains("100"));
        assert_eq!(told().last().unwrap().len(), 16);
    }

    #[test]
    fn a_page_that_floods_is_held_off() {
        let (probes, mut told) = staffed();
        let mut page = probes.seer();
        let asked: Vec<bool> = (0..100).map(|layer| page.want(&run(), vec![attention(layer)]).is_ok()).collect();
        assert_eq!((asked.iter().filter(|is_taken| **is_taken).count(), told().len()), (CHANGES, CHANGES));
        assert!(probes.seer().want(&run(), vec![attention(1)]).is_ok(), "another page is not held off with it");
        page.changes.iter_mut().for_each(|at| *at -= CHANGES_WITHIN);
        assert!(page.want(&run(), vec![]).is_ok());
    }
}
