//! Looks inside while a run trains: those that somebody watches, at most twice a second and within a share of the time, and those that are kept
//! with the run at steps spread by doublings. Looks happen between two steps, read the state and change nothing of it; a look that fails is
//! told of, and the run goes on. What a run repeats of its past is looked at by nobody.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use wire::frame::{Frame, Pace};
use wire::look::{self, Look};
use wire::sight::Sight;

use super::{Reporter, Training, millis};
use crate::cores;
use crate::error::EngineError;
use crate::gpu_stats::GpuStats;
use crate::look_error::LookError;
use crate::xray::{Eye, Scene, keep};

/// Time between two of one look, at least.
const EVERY: Duration = Duration::from_millis(500);
/// Share of the time that looks may take.
const SHARE: f64 = 0.05;

/// A place in a run's history: stretch and steps done.
type Place = (u32, u64);

/// The looks that are watched, and what has been kept.
#[derive(Default)]
pub(super) struct Probes {
    standing: Vec<Standing>,
    /// Where the rotation stands.
    turn: usize,
    /// From when on looks may take time again.
    free_at: Option<Instant>,
    /// The newest state that needs no more keeping.
    kept: Option<Place>,
    /// Time of looks since it was last told, milliseconds.
    untold_ms: f64,
}

/// A look that somebody watches.
struct Standing {
    look: Look,
    taken_at: Option<Instant>,
    /// The state it was last taken of.
    seen: Option<Place>,
    cost_ms: f64,
    /// Why it could not be answered, as told.
    refused: Option<String>,
}

impl Probes {
    /// Takes new wishes. All are answered afresh: who has just come has seen none of them.
    fn want(&mut self, looks: Vec<Look>) {
        let mut before = std::mem::take(&mut self.standing);
        let stand = |look: Look| match before.iter().position(|standing| standing.look == look) {
            Some(at) => Standing { seen: None, refused: None, ..before.swap_remove(at) },
            None => Standing { look, taken_at: None, seen: None, cost_ms: 0.0, refused: None },
        };
        self.standing = looks.into_iter().map(stand).collect();
        self.turn = 0;
    }

    /// The next look that is due: while the run holds each that this state has not been shown by yet, else by cadence and budget.
    fn due(&self, place: Place, is_held: bool) -> Option<usize> {
        let now = Instant::now();
        let count = self.standing.len();
        let is_due = |standing: &Standing| {
            let is_new = standing.seen != Some(place);
            is_new && (is_held || standing.taken_at.is_none_or(|at| now - at >= EVERY))
        };
        if !is_held && self.free_at.is_some_and(|at| now < at) {
            return None;
        }
        (0..count).map(|i| (self.turn + i) % count).find(|i| is_due(&self.standing[*i]))
    }

    /// What looks cost at present.
    fn pace(&self, cost_ms: f64) -> Pace {
        let all: f64 = self.standing.iter().map(|standing| standing.cost_ms).sum();
        let every_ms = (all / SHARE).max(EVERY.as_secs_f64() * 1000.0);
        Pace { cost_ms, every_ms, share: all / every_ms }
    }

    /// Notes that a look was taken; time of its own share must pass before the next.
    fn note(&mut self, at: usize, place: Place, began: Instant, cost_ms: f64) {
        let rest_ms = cost_ms / SHARE - cost_ms;
        self.free_at = Some(Instant::now() + Duration::from_secs_f64(rest_ms / 1000.0));
        self.turn = at + 1;
        self.untold_ms += cost_ms;
        let standing = &mut self.standing[at];
        (standing.taken_at, standing.seen, standing.cost_ms) = (Some(began), Some(place), cost_ms);
    }

    /// The state needs no keeping: another stretch has kept it.
    pub(super) fn skip(&mut self, place: Place) {
        self.kept = Some(place);
    }

    /// The state is another one, though no step was taken.
    pub(super) fn look_anew(&mut self) {
        self.standing.iter_mut().for_each(|standing| standing.seen = None);
    }

    /// Time of looks since the last call, milliseconds.
    pub(super) fn told_ms(&mut self) -> f64 {
        std::mem::take(&mut self.untold_ms)
    }
}

impl Training {
    /// Keeps what is to be kept of this state, and answers those who watch.
    pub(super) fn probe(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        if let Some(looks) = out.wanted() {
            self.probes.want(looks);
        }
        if self.replay.catching_up(self.step()).is_some() {
            return Ok(());
        }
        if look::is_kept(self.step()) {
            self.keep_looks(out)?;
        }
        let place = (self.segment, self.step());
        while let Some(at) = self.probes.due(place, self.is_held) {
            self.read_unread(out)?;
            self.answer_look(at, place, out);
        }
        Ok(())
    }

    fn answer_look(&mut self, at: usize, place: Place, out: &mut dyn Reporter) {
        let began = Instant::now();
        let look = self.probes.standing[at].look.clone();
        let seen = see(&Eye::new(self.scene()), &look);
        let cost_ms = millis(began);
        self.probes.note(at, place, began, cost_ms);
        self.count_look(cost_ms);
        let (segment, step) = place;
        match seen {
            Ok(sight) => {
                self.probes.standing[at].refused = None;
                out.look(Frame::Seen { step, segment, look, sight, pace: self.probes.pace(cost_ms) });
            }
            Err(error) => {
                let message = error.to_string();
                // A refusal is said once, however often the look is tried.
                if self.probes.standing[at].refused.as_ref() != Some(&message) {
                    self.probes.standing[at].refused = Some(message.clone());
                    out.look(Frame::Unseen { step, look, message });
                }
            }
        }
    }

    /// Keeps the looks of this state, where the run keeps any and has not kept these.
    pub(super) fn keep_looks(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        let (segment, step) = (self.segment, self.step());
        let wants = self.plan.recipe.keep.frames_mb > 0 && self.probes.kept != Some((segment, step));
        if !wants {
            return Ok(());
        }
        self.read_unread(out)?;
        let all = Instant::now();
        let frames: Vec<Frame> = self
            .see_kept()
            .into_iter()
            .map(|(look, sight, cost_ms)| {
                let pace = Pace { cost_ms, ..Pace::default() };
                Frame::Seen { step, segment, look, sight, pace }
            })
            .collect();
        self.probes.kept = Some((segment, step));
        self.probes.untold_ms += millis(all);
        self.count_look(millis(all));
        frames.into_iter().for_each(|frame| out.keep(frame));
        Ok(())
    }

    /// The looks that are kept, each with its milliseconds. On the processor those of weights are taken beside those of a text, by the threads
    /// that train.
    fn see_kept(&self) -> Vec<(Look, Sight, f64)> {
        let scene = self.scene();
        let looks = look::kept_looks(self.plan.recipe.model.layers);
        let Some(cores) = &self.cores else { return see_all(scene, looks) };
        let (of_text, of_weights) = looks.into_iter().partition(|look| look.passage().is_some());
        let (mut seen, of_weights) = cores.both(|| see_all(scene, of_text), || see_all(scene, of_weights));
        seen.extend(of_weights);
        seen
    }

    /// Looks are time at work, unless the run holds.
    fn count_look(&mut self, cost_ms: f64) {
        if !self.is_held {
            self.secs += cost_ms / 1000.0;
        }
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            plan: &self.plan,
            dials: &self.dials,
            specs: &self.specs,
            state: &self.state,
            has_moments: true,
            data: &self.data,
            device: &self.device,
            cores: self.cores.as_ref(),
            taps: self.gpu_stats.as_ref().map(GpuStats::taps),
            stats: self.newest_stats.as_ref().map(|(step, tensors)| (*step, tensors.as_slice())),
        }
    }
}

/// Several looks of one moment, each with its milliseconds. What cannot be kept is left out: whoever asks for it is told why.
fn see_all(scene: Scene<'_>, looks: Vec<Look>) -> Vec<(Look, Sight, f64)> {
    let eye = Eye::new(scene);
    let one = |look: Look| {
        let began = Instant::now();
        let sight = see(&eye, &look).ok().and_then(keep::lighten)?;
        Some((look, sight, millis(began)))
    };
    looks.into_iter().filter_map(one).collect()
}

/// A look whose panic is an error: no look may end a training.
fn see(eye: &Eye<'_>, look: &Look) -> Result<Sight, EngineError> {
    catch_unwind(AssertUnwindSafe(|| eye.see(look)))
        .unwrap_or_else(|panic| Err(LookError::Broken { message: cores::words(panic.as_ref()) }.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(window: u32) -> Look {
        Look::Map { passage: look::Passage::Held(window) }
    }

    #[test]
    fn looks_take_turns_and_keep_to_their_share() {
        let mut probes = Probes::default();
        assert_eq!(probes.due((0, 0), false), None);
        probes.want(vec![map(0), map(1)]);
        assert_eq!(probes.due((0, 1), false), Some(0));
        probes.note(0, (0, 1), Instant::now(), 100.0);
        assert_eq!(probes.due((0, 2), false), None, "the first look's time must be earned first");
        assert_eq!(probes.due((0, 2), true), Some(1), "a run that holds has time");
        assert_eq!(probes.due((0, 1), true), Some(1), "and shows each state once");
        probes.free_at = None;
        assert_eq!(probes.due((0, 2), false), Some(1), "the other's turn");
        probes.note(1, (0, 2), Instant::now(), 300.0);
        probes.free_at = None;
        assert_eq!(probes.due((0, 3), false), None, "neither is half a second old");
        let pace = probes.pace(300.0);
        assert!((pace.share - SHARE).abs() < 1e-12 && (pace.every_ms - 8000.0).abs() < 1e-9, "{pace:?}");
        assert!((probes.told_ms() - 400.0).abs() < 1e-9 && probes.told_ms() == 0.0);
    }

    #[test]
    fn new_wishes_are_answered_afresh() {
        let mut probes = Probes::default();
        probes.want(vec![map(0)]);
        probes.note(0, (0, 5), Instant::now(), 1.0);
        assert_eq!(probes.due((0, 5), true), None);
        probes.want(vec![map(1), map(0)]);
        assert_eq!(probes.due((0, 5), true), Some(0));
        probes.note(0, (0, 5), Instant::now(), 1.0);
        assert_eq!(probes.due((0, 5), true), Some(1), "for who has just come");
        probes.want(vec![]);
        assert_eq!(probes.due((0, 6), true), None);
    }
}
