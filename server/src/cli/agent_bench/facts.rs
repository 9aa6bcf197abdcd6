//! The contents of the store of a lab after an agent has ended. Scores are computed from them alone, not from what the agent says.

use std::collections::BTreeMap;

use store::{Store, StoreError};
use wire::access::Visible;
use wire::{Author, Event, EventRecord, RunId, RunPlan, RunState, RunSummary};

/// Beginning of the tag of runs that an experiment started.
const OF_EXPERIMENT: &str = "experiment:";
/// Events of a run that are read.
const EVENTS: u32 = 10_000;
/// Experiments that are read.
const EXPERIMENTS: u32 = 100;

/// A run after an agent has ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RunFacts {
    /// Key in the setup; `None` for a run that the agent started.
    pub(super) key: Option<&'static str>,
    pub(super) id: RunId,
    pub(super) state: RunState,
    pub(super) step: u64,
    /// Last validation loss, nats/token.
    pub(super) valid: Option<f64>,
    /// Steps, peak of the learning-rate schedule, and size of the vocabulary as planned.
    pub(super) steps: u64,
    pub(super) rate: f64,
    pub(super) vocab: usize,
    pub(super) device: String,
    /// Datasets with a weight above 0.
    pub(super) datasets: Vec<String>,
    /// The run that it was forked from.
    pub(super) parent: Option<RunId>,
    /// Acts of the agent, in order.
    pub(super) acts: Vec<Event>,
}

/// An experiment that the agent proposed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ProposedExperiment {
    /// The change, in a phrase.
    pub(super) change: String,
    pub(super) max_pairs: u32,
}

/// What is in a lab after an agent has ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) runs: Vec<RunFacts>,
    pub(super) proposed: Vec<ProposedExperiment>,
    /// Whether the agent tried to make more calls than it may.
    pub(super) is_exceeded: bool,
}

impl Facts {
    /// Reads the store. `keys`: the runs of the setup.
    ///
    /// # Errors
    /// An error of the store.
    pub(super) async fn read(store: &Store, keys: &BTreeMap<&'static str, RunId>) -> Result<Self, StoreError> {
        let mut runs = vec![];
        for summary in store.runs(true).await? {
            let Some(view) = store.run(&summary.id).await? else { continue };
            if summary.tags.iter().any(|tag| tag.starts_with(OF_EXPERIMENT)) {
                continue;
            }
            let key = keys.iter().find(|(_, id)| **id == summary.id).map(|(key, _)| *key);
            runs.push(run_facts(key, summary, view.plan, store.events(&view.summary.id, 0, EVENTS).await?));
        }
        let experiments = store.experiments(&Visible::All, EXPERIMENTS).await?;
        let by_agent = experiments.into_iter().filter(|found| matches!(found.author, Author::Agent(_)));
        let proposed = by_agent.map(|found| ProposedExperiment {
            change: found.spec.change.phrase(),
            max_pairs: found.spec.rule.max_pairs,
        });
        Ok(Self { runs, proposed: proposed.collect(), is_exceeded: false })
    }

    /// A run of the setup.
    pub(super) fn run(&self, key: &str) -> Option<&RunFacts> {
        self.runs.iter().find(|run| run.key == Some(key))
    }

    /// The runs that the agent started, forks included.
    pub(super) fn started(&self) -> impl Iterator<Item = &RunFacts> {
        self.runs.iter().filter(|run| run.key.is_none())
    }

    /// The runs that the agent started which are no forks.
    pub(super) fn new_runs(&self) -> impl Iterator<Item = &RunFacts> {
        self.started().filter(|run| run.parent.is_none())
    }
}

fn run_facts(key: Option<&'static str>, run: RunSummary, plan: RunPlan, events: Vec<EventRecord>) -> RunFacts {
    let by_agent = events.into_iter().filter(|record| matches!(record.author, Author::Agent(_)));
    let acts = by_agent.map(|record| record.event).collect();
    let datasets = plan.mix.iter().filter(|part| part.weight > 0.0).map(|part| part.corpus.to_string()).collect();
    RunFacts {
        key,
        id: run.id,
        state: run.state,
        step: run.step,
        valid: run.loss_valid,
        steps: plan.steps,
        rate: plan.recipe.optimizer.learning_rate,
        vocab: plan.recipe.model.vocab,
        device: plan.device.to_string(),
        datasets,
        parent: plan.origin.map(|origin| origin.from.run),
        acts,
    }
}

impl RunFacts {
    /// Whether the agent stopped it.
    pub(super) fn is_stopped(&self) -> bool {
        self.acts.contains(&Event::Stopped)
    }

    /// Acts of the agent that changed its training: notes and checkpoints change nothing.
    pub(super) fn interventions(&self) -> usize {
        let is_harmless = |event: &&Event| {
            matches!(
                event,
                Event::Annotated { .. } | Event::Checkpointed { .. } | Event::Evaluated { .. } | Event::Queued
            )
        };
        self.acts.iter().filter(|event| !is_harmless(event)).count()
    }
}
