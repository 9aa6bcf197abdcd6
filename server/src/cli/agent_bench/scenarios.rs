//! The scenarios: [`training`], in which a run trains and can be steered; [`choosing`], in which runs have ended and the next one is
//! chosen; [`operating`], the queue and runs that need no act.

mod choosing;
mod operating;
mod training;

use super::scenario::Scenario;

/// All scenarios, in the order of the table.
pub(super) fn all() -> Vec<Scenario> {
    [training::all(), choosing::all(), operating::all()].into_iter().flatten().collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use wire::{Event, RunState};

    use super::all;
    use crate::cli::agent_bench::facts::{Facts, RunFacts};
    use crate::cli::agent_bench::score::{exceeded, total};
    use crate::cli::agent_bench::setup::{DEVICE, NOTES, SetupRun, Then};

    /// A run of a setup that nobody has changed.
    pub(super) fn untouched(run: &SetupRun, trains_on: bool) -> RunFacts {
        let (state, step) = match (run.then, trains_on) {
            (Then::Stopped, _) => (RunState::Stopped, run.planned.begin),
            (Then::Waits, false) => (RunState::Queued, 0),
            (_, true) => (RunState::Finished, run.steps),
            (_, false) if run.planned.begin >= run.steps => (RunState::Finished, run.steps),
            (_, false) => (RunState::Running, run.planned.begin),
        };
        RunFacts {
            key: Some(run.key),
            id: format!("run-{}", run.seed).parse().unwrap(),
            state,
            step,
            valid: None,
            steps: run.steps,
            rate: run.rate,
            vocab: 30,
            device: run.device.to_owned(),
            datasets: vec![NOTES.to_owned()],
            parent: None,
            acts: vec![],
        }
    }

    /// What is in the lab of a scenario if nothing was done.
    pub(super) fn nothing(name: &str) -> Facts {
        let all = all();
        let scenario = all.iter().find(|scenario| scenario.name == name).unwrap();
        let setup = (scenario.setup)(1);
        let runs = setup.runs.iter().map(|run| untouched(run, scenario.trains_on)).collect();
        Facts { runs, ..Facts::default() }
    }

    /// What is in the lab of a scenario after some acts.
    pub(super) fn after(name: &str, act: impl FnOnce(&mut Facts)) -> f64 {
        let mut facts = nothing(name);
        act(&mut facts);
        score(name, &facts)
    }

    pub(super) fn score(name: &str, facts: &Facts) -> f64 {
        let all = all();
        let scenario = all.iter().find(|scenario| scenario.name == name).unwrap();
        let parts: Vec<_> = (scenario.score)(facts).into_iter().chain(exceeded(facts)).collect();
        total(&parts)
    }

    /// The run of a setup.
    pub(super) fn run<'a>(facts: &'a mut Facts, key: &str) -> &'a mut RunFacts {
        facts.runs.iter_mut().find(|run| run.key == Some(key)).unwrap()
    }

    /// The agent stops a run.
    pub(super) fn stop(facts: &mut Facts, key: &str) {
        let run = run(facts, key);
        (run.state, run.acts) = (RunState::Stopped, vec![Event::Stopped]);
    }

    /// The agent starts a run with a learning rate.
    pub(super) fn start(facts: &mut Facts, rate: f64, steps: u64) -> &mut RunFacts {
        let id = format!("new-{}", facts.runs.len()).parse().unwrap();
        let (datasets, device, state) = (vec![NOTES.to_owned()], DEVICE.to_owned(), RunState::Finished);
        let (key, valid, parent, acts) = (None, None, None, vec![Event::Queued]);
        let run =
            RunFacts { key, id, state, step: steps, valid, steps, rate, vocab: 30, device, datasets, parent, acts };
        facts.runs.push(run);
        facts.runs.last_mut().unwrap()
    }

    /// The score after the agent has started a run with a learning rate.
    pub(super) fn started(name: &str, rate: f64, steps: u64) -> f64 {
        after(name, |facts| {
            start(facts, rate, steps);
        })
    }

    #[test]
    fn there_are_at_least_twelve_scenarios_with_names_goals_and_unique_seeds() {
        let all = all();
        assert!(all.len() >= 12, "{}", all.len());
        let names: BTreeSet<&str> = all.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), all.len());
        for scenario in &all {
            assert!(
                [scenario.goal, scenario.made, scenario.scoring].iter().all(|text| text.ends_with('.')),
                "{}",
                scenario.name
            );
            for seed in 1..=3 {
                let setup = (scenario.setup)(seed);
                let seeds: BTreeSet<u64> = setup.runs.iter().map(|run| run.seed).collect();
                assert_eq!(seeds.len(), setup.runs.len(), "{}", scenario.name);
            }
        }
    }

    #[test]
    fn a_call_beyond_the_limit_costs_points() {
        let spent = after("healthy-run", |facts| facts.is_exceeded = true);
        assert_eq!((after("healthy-run", |_| {}), spent), (1.0, 0.9));
    }
}
