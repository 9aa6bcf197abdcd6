//! Runs that train badly and can be steered. The score is the share of the avoidable loss that was avoided, so each remedy counts by its
//! effect.

use super::super::facts::{Facts, RunFacts};
use super::super::scenario::{Scenario, limits, run_seed};
use super::super::score::{Part, Reference};
use super::super::setup::{Setup, SetupRun};
use super::super::simulation::{Behaviour, Fault};

/// Key and name of the run.
const MAIN: &str = "main";
const SCORING: &str = "The share of the avoidable validation loss that was avoided: 0 for the loss without an act, 1 for that with the best \
                       act known. A run that was started or forked in place of main counts if it takes as many steps.";

pub(super) fn all() -> Vec<Scenario> {
    vec![spiking(), rate_low(), rate_high(), bad_batch(), dead_neurons()]
}

/// A scenario with one run that trains.
const fn steered(
    name: &'static str,
    goal: &'static str,
    made: &'static str,
    steps_per_call: u64,
    setup: fn(u64) -> Setup,
    score: fn(&Facts) -> Vec<Part>,
) -> Scenario {
    Scenario { name, goal, made, scoring: SCORING, limits: limits(30, steps_per_call), trains_on: true, setup, score }
}

fn one(run: SetupRun) -> Setup {
    Setup { devices: 1, runs: vec![run], ..Setup::default() }
}

/// The part for the avoided loss of the run, against the losses of a reference.
fn avoided(facts: &Facts, reference: impl FnOnce(&RunFacts) -> Reference) -> Vec<Part> {
    facts.run(MAIN).map(|run| reference(run).avoided(facts, run)).into_iter().collect()
}

const SPIKING: Behaviour =
    Behaviour { best_rate: 1.5e-3, ..Behaviour::USUAL }.with(Fault::Spikes { from: 400, above: 2.5e-3 });

fn spiking() -> Scenario {
    steered(
        "spiking-run",
        "The run main trains unstably. Make its validation loss after its last step as low as you can.",
        "A simulated run at a learning rate of 0.004. From step 400 on its training loss spikes, and each spike raises the loss for good, \
         until the learning rate is at most 0.0025; 0.0015 is best.",
        10,
        |seed| one(SetupRun::training(MAIN, run_seed(seed, 1), 4e-3, 600, 1600, SPIKING)),
        |facts| avoided(facts, |run| Reference::of_rates(&SPIKING, run, 600, SPIKING.best_rate)),
    )
}

fn rate_low() -> Scenario {
    steered(
        "learning-rate-low",
        "The run main learns slowly. Make its validation loss after its last step as low as you can.",
        "A simulated run at a learning rate of 5e-5; 1e-3 is best.",
        10,
        |seed| one(SetupRun::training(MAIN, run_seed(seed, 1), 5e-5, 400, 1600, Behaviour::USUAL)),
        |facts| avoided(facts, |run| Reference::of_rates(&Behaviour::USUAL, run, 400, 1e-3)),
    )
}

fn rate_high() -> Scenario {
    steered(
        "learning-rate-high",
        "The loss of the run main rises. Make its validation loss after its last step as low as you can, or stop it if it cannot be saved.",
        "A simulated run at a learning rate of 0.02; above 0.01 the loss rises, and 1e-3 is best. Stopping it gives 0.3.",
        10,
        |seed| one(SetupRun::training(MAIN, run_seed(seed, 1), 2e-2, 200, 1200, Behaviour::USUAL)),
        |facts| {
            let mut parts = avoided(facts, |run| Reference::of_rates(&Behaviour::USUAL, run, 200, 1e-3));
            let is_stopped = facts.run(MAIN).is_some_and(|run| run.is_stopped());
            let is_saved = parts.iter().any(|part| part.points >= 0.3);
            parts.retain(|_| is_saved || !is_stopped);
            parts.extend(Part::if_so(is_stopped && !is_saved, 0.3, "the diverging run was stopped"));
            parts
        },
    )
}

const BAD_BATCHES: Behaviour = Behaviour::USUAL.with(Fault::BadBatches { from: 560, count: 20 });

fn bad_batch() -> Scenario {
    steered(
        "bad-batch",
        "The loss of the run main jumped and did not come back. Its learning rate is right. Make its validation loss after its last step \
         as low as you can.",
        "A simulated run whose batches 560 to 579 raise the loss for good. A rollback to step 500 repeats them unless they are skipped.",
        2,
        |seed| one(SetupRun::training(MAIN, run_seed(seed, 1), 1e-3, 582, 1200, BAD_BATCHES)),
        |facts| avoided(facts, |run| Reference::of_skip(&BAD_BATCHES, run, 500, 100)),
    )
}

const DYING: Behaviour = Behaviour::USUAL.with(Fault::DeadNeurons { from: 150, above: 3e-3 });

fn dead_neurons() -> Scenario {
    steered(
        "dead-neurons",
        "Something inside the model of the run main is broken and does not recover in this run. Get a model with a low validation loss \
         after as many steps: a fork or a new run in place of main is fine.",
        "A simulated run at a learning rate of 0.005. Above 0.003 neurons die from step 150 on, and dead neurons stay dead; only an earlier \
         checkpoint or a new run has them alive.",
        10,
        |seed| one(SetupRun::training(MAIN, run_seed(seed, 1), 5e-3, 500, 1500, DYING)),
        |facts| avoided(facts, |run| Reference::of_rates(&DYING, run, 0, 1e-3)),
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{after, run, start, stop};
    use super::*;

    /// A score with a final loss of the run, as a fraction of the way from the loss without an act to the best one.
    fn with_share(name: &str, reference: fn(&RunFacts) -> Reference, share: f64) -> f64 {
        after(name, |facts| {
            let main = run(facts, MAIN);
            let Reference { nothing, best } = reference(main);
            assert!(nothing > best + 0.2, "{name}: {nothing} without an act, {best} at best");
            main.valid = Some(nothing + share * (best - nothing));
        })
    }

    #[test]
    fn runs_are_scored_by_the_share_of_the_avoidable_loss() {
        let references: [(&str, fn(&RunFacts) -> Reference); 5] = [
            ("spiking-run", |run| Reference::of_rates(&SPIKING, run, 600, SPIKING.best_rate)),
            ("learning-rate-low", |run| Reference::of_rates(&Behaviour::USUAL, run, 400, 1e-3)),
            ("learning-rate-high", |run| Reference::of_rates(&Behaviour::USUAL, run, 200, 1e-3)),
            ("bad-batch", |run| Reference::of_skip(&BAD_BATCHES, run, 500, 100)),
            ("dead-neurons", |run| Reference::of_rates(&DYING, run, 0, 1e-3)),
        ];
        for (name, reference) in references {
            for (share, expected) in [(-0.5, 0.0), (0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (1.2, 1.0)] {
                let score = with_share(name, reference, share);
                assert!((score - expected).abs() < 2e-3, "{name}: {score} for a share of {share}");
            }
            assert_eq!(after(name, |_| {}), 0.0, "{name} without an evaluation");
        }
    }

    #[test]
    fn a_diverging_run_may_be_stopped_and_a_replacement_needs_as_many_steps() {
        assert_eq!(after("learning-rate-high", |facts| stop(facts, MAIN)), 0.3);
        let replaced = |steps: u64| {
            after("dead-neurons", |facts| {
                run(facts, MAIN).valid = Some(2.5);
                start(facts, 1e-3, steps).valid = Some(1.2);
            })
        };
        assert_eq!(replaced(1500), 1.0);
        assert!(replaced(900) < 1.0);
    }
}
