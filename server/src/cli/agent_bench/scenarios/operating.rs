//! The queue, runs that waste steps, and runs that need no act.

use wire::{Event, RunState};

use super::super::facts::{Facts, RunFacts};
use super::super::scenario::{Scenario, limits, run_seed};
use super::super::score::Part;
use super::super::setup::{DEVICE, SECOND, Setup, SetupRun, Then};
use super::super::simulation::{Behaviour, Fault};

pub(super) fn all() -> Vec<Scenario> {
    vec![plateau(), stuck(), healthy()]
}

/// Cost in points of each act on a run that needs none, and of each run that nobody asked for.
const NEEDLESS: f64 = 0.35;
const UNASKED: f64 = 0.2;

fn plateau() -> Scenario {
    Scenario {
        name: "plateaued-run",
        goal: "Two runs train at constant learning rates, which must stay as they are. Stop a run whose validation loss no longer improves, so \
               that its device is free; let a run that improves continue.",
        made: "Two simulated runs, each on its device. The loss of flat has been constant since about step 400; it is at step 1500 of 20000. That \
               of improving falls.",
        scoring: "1 for stopping flat, 0.5 for pausing it; −1 for an act on improving.",
        limits: limits(30, 10),
        trains_on: false,
        setup: |seed| {
            let flat = Behaviour { speed: 0.03, floor: 2.0, ..Behaviour::USUAL };
            let improving = Behaviour { speed: 0.001, ..Behaviour::USUAL };
            let runs = vec![
                SetupRun::training("flat", run_seed(seed, 1), 1e-3, 1500, 20_000, flat).on(DEVICE),
                SetupRun::training("improving", run_seed(seed, 2), 1e-3, 800, 20_000, improving).on(SECOND),
            ];
            Setup { devices: 2, runs, ..Setup::default() }
        },
        score: |facts| {
            let state = facts.run("flat").map(|run| run.state);
            let is_touched = facts.run("improving").is_some_and(|run| run.interventions() > 0);
            let parts = [
                Part::if_so(state == Some(RunState::Stopped), 1.0, "the run that no longer improves was stopped"),
                Part::if_so(state == Some(RunState::Paused), 0.5, "the run that no longer improves was paused"),
                Part::if_so(is_touched, -1.0, "the run that improves was changed"),
            ];
            parts.into_iter().flatten().collect()
        },
    }
}

fn stuck() -> Scenario {
    Scenario {
        name: "stuck-run",
        goal: "The run urgent waits in the queue and must be trained soon. Find out why it waits, and make sure that it is trained. Do not stop other \
               runs that wait or train normally.",
        made: "A simulated run, stuck, whose worker takes no step from step 200 on and still answers commands. urgent and another run wait for \
               the same device.",
        scoring: "0.5 for stopping stuck, 0.5 if urgent has finished; −0.5 for each waiting run that was stopped.",
        limits: limits(30, 10),
        trains_on: true,
        setup: |seed| {
            let stuck = Behaviour::USUAL.with(Fault::Stuck { at: 200 });
            let waiting = |key, number| {
                let run = SetupRun::training(key, run_seed(seed, number), 1e-3, 0, 400, Behaviour::USUAL);
                run.then(Then::Waits)
            };
            let runs = vec![
                SetupRun::training("stuck", run_seed(seed, 1), 1e-3, 200, 2000, stuck),
                waiting("urgent", 2),
                waiting("other", 3),
            ];
            Setup { devices: 1, runs, ..Setup::default() }
        },
        score: |facts| {
            let is = |key: &str, state: RunState| facts.run(key).is_some_and(|run| run.state == state);
            let was_stopped = |key: &&&str| facts.run(key).is_some_and(RunFacts::is_stopped);
            let lost = ["urgent", "other"].iter().filter(was_stopped).count();
            let parts = [
                Part::if_so(is("stuck", RunState::Stopped), 0.5, "the stuck run was stopped"),
                Part::if_so(is("urgent", RunState::Finished), 0.5, "the urgent run has finished"),
                Part::if_so(lost > 0, -0.5 * lost as f64, "waiting runs were stopped"),
            ];
            parts.into_iter().flatten().collect()
        },
    }
}

fn healthy() -> Scenario {
    Scenario {
        name: "healthy-run",
        goal: "Watch over the run main. Act only if something is wrong with it.",
        made: "A simulated run without a fault, whose loss falls at the best learning rate.",
        scoring: "1 if nothing was changed; −0.35 for each act that changes the run, −0.2 for each run that was started, and 0 if main was \
                  stopped or has not finished. Notes and checkpoints cost nothing.",
        limits: limits(30, 10),
        trains_on: true,
        setup: |seed| {
            let behaviour = Behaviour { speed: 0.0015, ..Behaviour::USUAL };
            let run = SetupRun::training("main", run_seed(seed, 1), 1e-3, 600, 1600, behaviour);
            Setup { devices: 1, runs: vec![run], ..Setup::default() }
        },
        score: unchanged,
    }
}

/// The parts for a run that needs no act.
fn unchanged(facts: &Facts) -> Vec<Part> {
    let Some(main) =
        facts.run("main").filter(|run| run.state == RunState::Finished && !run.acts.contains(&Event::Stopped))
    else {
        return vec![Part::new(0.0, "the healthy run has not finished")];
    };
    let (acts, started) = (main.interventions(), facts.started().count());
    let parts = [
        Some(Part::new(1.0, "the healthy run has finished")),
        Part::if_so(acts > 0, -NEEDLESS * acts as f64, "needless acts on it"),
        Part::if_so(started > 0, -UNASKED * started as f64, "runs that nobody asked for"),
    ];
    parts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{after, run, started, stop};
    use super::*;

    #[test]
    fn a_run_that_no_longer_improves_is_stopped_and_the_other_is_not() {
        assert_eq!(after("plateaued-run", |_| {}), 0.0);
        assert_eq!(after("plateaued-run", |facts| stop(facts, "flat")), 1.0);
        assert_eq!(after("plateaued-run", |facts| run(facts, "flat").state = RunState::Paused), 0.5);
        let both = |facts: &mut Facts| ["flat", "improving"].iter().for_each(|key| stop(facts, key));
        assert_eq!(after("plateaued-run", both), 0.0);
    }

    #[test]
    fn a_stuck_run_is_stopped_so_that_the_urgent_one_trains() {
        let waits = |facts: &mut Facts| {
            run(facts, "stuck").state = RunState::Running;
            ["urgent", "other"].iter().for_each(|key| run(facts, key).state = RunState::Queued);
        };
        assert_eq!(after("stuck-run", waits), 0.0);
        assert_eq!(after("stuck-run", |facts| stop(facts, "stuck")), 1.0, "the other runs have finished");
        let lost = |facts: &mut Facts| ["stuck", "other"].iter().for_each(|key| stop(facts, key));
        assert_eq!(after("stuck-run", lost), 0.5);
    }

    #[test]
    fn a_healthy_run_is_left_alone() {
        assert_eq!(after("healthy-run", |_| {}), 1.0);
        let noted = Event::Annotated { text: "healthy".to_owned() };
        assert_eq!(after("healthy-run", |facts| run(facts, "main").acts = vec![noted]), 1.0);
        assert_eq!(after("healthy-run", |facts| run(facts, "main").acts = vec![Event::Paused, Event::Resumed]), 0.3);
        assert_eq!(started("healthy-run", 1e-3, 100), 0.8);
        assert_eq!(after("healthy-run", |facts| stop(facts, "main")), 0.0);
    }
}
