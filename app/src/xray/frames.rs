//! What is seen at which step, and how it comes: live over the socket while the run is held by a worker, from what was kept of its past,
//! or worked out again from a checkpoint. All that was kept of a look is fetched at once and held, so that scrubbing asks nobody.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::frame::{Frame, Pace};
use wire::look::{self, Look};
use wire::sight::Sight;
use wire::{RunId, RunState};

use super::clock::When;
use crate::api::inside;
use crate::live::Live;

/// Quiet after the last change of wishes before they are sent.
const SETTLED: Duration = Duration::from_millis(60);
/// Between two sendings: the server holds off who changes wishes faster than a hand can click.
const APART_MS: f64 = 280.0;
/// After a kept step has passed, until the store surely has it.
const STORED: Duration = Duration::from_millis(2_500);
/// Looks of the moment that are held; zooming into a matrix makes many.
const HELD: usize = 64;

/// How something came to be seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum How {
    /// From the worker that trains.
    Live(Pace),
    /// It was kept at its step.
    Kept,
    /// Worked out from a checkpoint.
    Again,
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Steps done then.
    pub(crate) step: u64,
    pub(crate) sight: Sight,
    pub(crate) how: How,
}

/// A hold on it; two are alike when they are the same picture.
#[derive(Debug, Clone)]
pub(crate) struct Shown(Arc<Seen>);

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for Shown {
    type Target = Seen;
    fn deref(&self) -> &Seen {
        &self.0
    }
}

/// How it stands with a look at a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seeing {
    /// It is on its way.
    Waiting,
    Seen(Shown),
    /// It cannot be seen; why, and the way out.
    Unseen(String),
    /// It was not kept at this step; a checkpoint can answer.
    NotKept,
}

/// What was kept of one look.
#[derive(Debug, Clone)]
enum Shelf {
    Loading,
    Here(Vec<Shown>),
    Failed(String),
}

/// Everything that is seen of a run.
#[derive(Clone, Copy)]
pub(crate) struct Frames {
    run: StoredValue<RunId>,
    live: Live,
    state: Memo<RunState>,
    /// Steps whose looks are kept, in order.
    pub(crate) steps: RwSignal<Vec<u64>>,
    /// The newest of each look, by its key.
    latest: RwSignal<HashMap<String, Seeing>>,
    shelves: RwSignal<HashMap<String, Shelf>>,
    /// Whose shelves they are.
    looks: StoredValue<HashMap<String, Look>>,
    /// Worked out again, by key and step.
    again: RwSignal<HashMap<(String, When), Seeing>>,
    wishes: StoredValue<Wishes>,
}

/// What the views on show want to see live.
#[derive(Default)]
struct Wishes {
    last: u32,
    looks: BTreeMap<u32, Look>,
    is_due: bool,
    is_storing: bool,
    is_hidden: bool,
    sent_ms: f64,
}

impl Frames {
    /// Of a run whose state is followed.
    pub(crate) fn new(run: RunId, live: Live, state: Memo<RunState>) -> Self {
        let gone = run.clone();
        let frames = Self {
            run: StoredValue::new(run),
            live,
            state,
            steps: RwSignal::new(vec![]),
            latest: RwSignal::default(),
            shelves: RwSignal::default(),
            looks: StoredValue::default(),
            again: RwSignal::default(),
            wishes: StoredValue::default(),
        };
        frames.fetch_steps();
        on_cleanup(move || live.probe(gone.clone(), vec![]));
        frames
    }

    /// Whether a worker holds the run and answers looks.
    pub(crate) fn is_live(self) -> bool {
        matches!(self.state.get(), RunState::Running | RunState::Paused)
    }

    /// Takes in what the run's stream brings.
    pub(crate) fn take(self, step: u64, news: Vec<Frame>) {
        if !news.is_empty() {
            self.latest.update(|latest| {
                if latest.len() > HELD {
                    latest.clear();
                }
                for frame in news {
                    latest.insert(frame.key(), seeing(frame, How::Live));
                }
            });
        }
        let known = self.steps.with_untracked(|steps| steps.last().copied());
        if known.is_none_or(|known| (known + 1..=step).rev().take(1 << 12).any(look::is_kept)) {
            self.store_soon();
        }
    }

    /// The path has changed: what was kept may be of a stretch that was left.
    pub(crate) fn forget(self) {
        self.shelves.set(HashMap::new());
        self.again.set(HashMap::new());
        self.fetch_steps();
    }

    /// A page that nobody sees wants nothing.
    pub(crate) fn hide(self, is_hidden: bool) {
        self.wishes.update_value(|wishes| wishes.is_hidden = is_hidden);
        self.send_soon();
    }

    /// What a look shows at a moment, for as long as the view lives: live ones are wished for, kept ones fetched.
    pub(crate) fn see(self, look: Signal<Option<Look>>, when: Signal<When>) -> Memo<Seeing> {
        let asked = Memo::new(move |_| look.get().map(|look| (look.key(), look)));
        let number = self.next_number();
        Effect::new(move || {
            let wished = asked.get().filter(|_| when.get() == When::Now && self.is_live());
            self.wish(number, wished.map(|(_, look)| look));
        });
        on_cleanup(move || self.wish(number, None));
        let is_past = Memo::new(move |_| when.get() != When::Now || !self.is_live());
        Effect::new(move || {
            let Some((key, look)) = asked.get().filter(|_| is_past.get()) else { return };
            let is_now = when.get() == When::Now && has_weights(self.state.get());
            let is_bare = matches!(self.shelves.read().get(&key), Some(Shelf::Here(shelf)) if shelf.is_empty());
            if is_kept(&look) {
                self.fetch_kept(key, look.clone());
            }
            // A run that keeps nothing still has its newest checkpoint, which knows nothing of what steps measured.
            if is_now && (is_bare || !is_kept(&look)) && look != (Look::Tensors {}) {
                self.compute(look, When::Now);
            }
        });
        Memo::new(move |_| {
            let Some((key, look)) = asked.get() else { return Seeing::Waiting };
            match when.get() {
                When::Now if self.is_live() => self.latest.read().get(&key).cloned().unwrap_or(Seeing::Waiting),
                When::Now if !has_weights(self.state.get()) => {
                    Seeing::Unseen("The run has not begun: there are no weights to look at yet.".into())
                }
                when => self.past(&key, &look, when),
            }
        })
    }

    fn past(self, key: &str, look: &Look, when: When) -> Seeing {
        if let Some(known) = self.again.read().get(&(key.to_owned(), when)) {
            return known.clone();
        }
        match self.shelves.read().get(key) {
            Some(Shelf::Here(shelf)) => match at(shelf, when) {
                Some(shown) => Seeing::Seen(shown.clone()),
                None => Seeing::NotKept,
            },
            Some(Shelf::Failed(message)) => Seeing::Unseen(message.clone()),
            Some(Shelf::Loading) => Seeing::Waiting,
            None if is_kept(look) || when == When::Now => Seeing::Waiting,
            None => Seeing::NotKept,
        }
    }

    /// All that was kept of a look so far, oldest first.
    pub(crate) fn all(self, look: Look) -> Memo<Vec<Shown>> {
        let key = look.key();
        self.fetch_kept(key.clone(), look);
        Memo::new(move |_| match self.shelves.read().get(&key) {
            Some(Shelf::Here(shelf)) => shelf.clone(),
            _ => vec![],
        })
    }

    /// Works a look out again, from the newest checkpoint that is not after the moment.
    pub(crate) fn compute(self, look: Look, when: When) {
        let key = (look.key(), when);
        if self.again.with_untracked(|again| again.get(&key).is_some_and(|known| !matches!(known, Seeing::Unseen(_)))) {
            return;
        }
        self.again.update(|again| {
            if again.len() > HELD {
                again.clear();
            }
            again.insert(key.clone(), Seeing::Waiting);
        });
        let run = self.run.get_value();
        spawn_local(async move {
            let step = match when {
                When::Now => None,
                When::At(step) => Some(step),
            };
            let found = match inside::look(&run, &look, step).await {
                Ok(frame) => seeing(frame, |_| How::Again),
                Err(failure) => Seeing::Unseen(failure.sentence()),
            };
            self.again.try_update(|again| again.insert(key, found));
        });
    }

    fn fetch_steps(self) {
        let run = self.run.get_value();
        spawn_local(async move {
            if let Ok(steps) = inside::kept_steps(&run).await {
                self.steps.try_set(steps);
            }
        });
    }

    /// Fetches all of a look once, and then only what is new.
    fn fetch_kept(self, key: String, look: Look) {
        if self.shelves.with_untracked(|shelves| shelves.contains_key(&key)) {
            return;
        }
        self.looks.update_value(|looks| drop(looks.insert(key.clone(), look.clone())));
        self.shelves.update(|shelves| drop(shelves.insert(key.clone(), Shelf::Loading)));
        let run = self.run.get_value();
        spawn_local(async move {
            let shelf = fetch(run, look, 0).await.map_or_else(Shelf::Failed, Shelf::Here);
            self.shelves.try_update(|shelves| shelves.insert(key, shelf));
        });
    }

    /// New kept steps, once they are stored.
    fn store_soon(self) {
        let is_new = self.wishes.try_update_value(|wishes| !std::mem::replace(&mut wishes.is_storing, true));
        if is_new == Some(true) {
            set_timeout(move || self.fetch_new(), STORED);
        }
    }

    fn fetch_new(self) {
        if self.wishes.try_update_value(|wishes| wishes.is_storing = false).is_none() {
            return;
        }
        // What failed is asked for again, no more often than this.
        self.shelves.update(|shelves| shelves.retain(|_, shelf| !matches!(shelf, Shelf::Failed(_))));
        self.fetch_steps();
        let shelves: Vec<(String, u64)> = self.shelves.with_untracked(|shelves| {
            let from = |shelf: &Shelf| match shelf {
                Shelf::Here(shelf) => Some(shelf.last().map_or(0, |last| last.step + 1)),
                _ => None,
            };
            shelves.iter().filter_map(|(key, shelf)| Some((key.clone(), from(shelf)?))).collect()
        });
        for (key, from) in shelves {
            let run = self.run.get_value();
            let Some(look) = self.looks.with_value(|looks| looks.get(&key).cloned()) else { continue };
            spawn_local(async move {
                let Ok(fresh) = fetch(run, look, from).await else { return };
                if !fresh.is_empty() {
                    self.shelves.try_update(|shelves| {
                        if let Some(Shelf::Here(shelf)) = shelves.get_mut(&key) {
                            shelf.extend(fresh);
                        }
                    });
                }
            });
        }
    }

    fn next_number(self) -> u32 {
        self.wishes
            .try_update_value(|wishes| {
                wishes.last += 1;
                wishes.last
            })
            .unwrap_or(0)
    }

    fn wish(self, number: u32, look: Option<Look>) {
        let has_changed = self.wishes.try_update_value(|wishes| {
            let was = wishes.looks.get(&number) == look.as_ref();
            match look {
                Some(look) => drop(wishes.looks.insert(number, look)),
                None => drop(wishes.looks.remove(&number)),
            }
            !was
        });
        if has_changed == Some(true) {
            self.send_soon();
        }
    }

    fn send_soon(self) {
        let is_new = self.wishes.try_update_value(|wishes| !std::mem::replace(&mut wishes.is_due, true));
        if is_new == Some(true) {
            let since = js_sys::Date::now() - self.wishes.with_value(|wishes| wishes.sent_ms);
            let wait = Duration::from_millis((APART_MS - since).max(0.0) as u64);
            set_timeout(move || self.send(), SETTLED.max(wait));
        }
    }

    fn send(self) {
        let looks = self.wishes.try_update_value(|wishes| {
            (wishes.is_due, wishes.sent_ms) = (false, js_sys::Date::now());
            let mut looks: Vec<Look> = vec![];
            for look in wishes.looks.values().filter(|_| !wishes.is_hidden) {
                if !looks.contains(look) && looks.len() < look::MOST_STANDING {
                    looks.push(look.clone());
                }
            }
            looks
        });
        if let Some(looks) = looks {
            self.live.probe(self.run.get_value(), looks);
        }
    }
}

/// Whether a run that stands so has, or had, weights.
fn has_weights(state: RunState) -> bool {
    !matches!(state, RunState::Queued | RunState::Starting)
}

/// Whether a look is among those that are kept of runs.
pub(crate) fn is_kept(look: &Look) -> bool {
    let layer = if let Look::Attention { layer, .. } = look { *layer as usize + 1 } else { 0 };
    look::kept_looks(layer).contains(look)
}

/// The kept look at a moment: at its step, or at the one before it.
fn at(shelf: &[Shown], when: When) -> Option<&Shown> {
    match when {
        When::Now => shelf.last(),
        When::At(step) => shelf.get(shelf.partition_point(|shown| shown.step <= step).checked_sub(1)?),
    }
}

fn seeing(frame: Frame, how: impl Fn(Pace) -> How) -> Seeing {
    match frame {
        Frame::Seen { step, sight, pace, .. } => Seeing::Seen(Shown(Arc::new(Seen { step, sight, how: how(pace) }))),
        Frame::Unseen { message, .. } => Seeing::Unseen(message),
        Frame::Tensors { .. } => Seeing::Waiting,
    }
}

fn kept(frame: Frame) -> Option<Shown> {
    match seeing(frame, |_| How::Kept) {
        Seeing::Seen(shown) => Some(shown),
        _ => None,
    }
}

/// All that was kept of a look from a step on, however many answers it takes.
async fn fetch(run: RunId, look: Look, mut from: u64) -> Result<Vec<Shown>, String> {
    let mut all = vec![];
    loop {
        let frames = inside::kept(&run, &look, from).await.map_err(|failure| failure.sentence())?;
        let Some(last) = frames.last().map(Frame::step) else { return Ok(all) };
        all.extend(frames.into_iter().filter_map(kept));
        from = last + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::look::{Of, Passage};

    fn shelf(steps: &[u64]) -> Vec<Shown> {
        let one = |step: &u64| {
            let frame = Frame::Seen {
                step: *step,
                segment: 0,
                look: Look::Embedding {},
                sight: Sight::Gallery { matrices: vec![] },
                pace: Pace::default(),
            };
            kept(frame).unwrap()
        };
        steps.iter().map(one).collect()
    }

    #[test]
    fn a_moment_finds_the_kept_step_at_or_before_it() {
        let shelf = shelf(&[0, 4, 8]);
        let step = |when| at(&shelf, when).map(|shown| shown.step);
        assert_eq!(step(When::Now), Some(8));
        assert_eq!(step(When::At(4)), Some(4));
        assert_eq!(step(When::At(7)), Some(4), "attention of large models is kept more rarely");
        assert!(at(&[], When::Now).is_none() && at(&shelf[1..], When::At(3)).is_none());
    }

    #[test]
    fn what_is_kept_and_what_is_worked_out_again() {
        assert!(is_kept(&Look::Attention { passage: Passage::Held(0), layer: 5 }));
        assert!(is_kept(&Look::Gallery { of: Of::Weight }) && !is_kept(&Look::Gallery { of: Of::Gradient }));
        assert!(!is_kept(&Look::Lens { passage: Passage::Own("a".into()) }));
        assert!(!is_kept(&Look::Units { passage: Passage::Held(0), layer: 0 }));
    }
}
