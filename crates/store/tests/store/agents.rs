//! Agents: budgets hold for every order of calls, also parallel and repeated ones, and names in journals belong to one token.

use std::collections::BTreeMap;

use store::{NewExperiment, NewExperimentRun, NewRun, Store, StoreError};
use testing::{Random, SEED, seeds};
use tokio::task::JoinSet;
use wire::access::agent::{AgentBudget, AgentBudgets, AgentLimits, AgentMode, AgentOrigin, BudgetUse};
use wire::access::{Role, TokenKind};
use wire::agent::AgentAction;
use wire::experiment::record::Side;
use wire::series::name;
use wire::transport::link::{Item, Report};
use wire::{Author, Event, RunId, RunState};

use crate::experiments::experiment;
use crate::setup::{new_run, report, row};

const STEPS: u64 = 1_000;
const HOURS: f64 = 1.0;
const AT_ONCE: u32 = 4;
const PER_DAY: u32 = 25;

fn acting(budgets: AgentBudgets) -> AgentLimits {
    AgentLimits { mode: AgentMode::Act, budgets, ..AgentLimits::default() }
}

/// Creates an agent; returns the id of its token and its author.
async fn agent(store: &Store, name: &str, budgets: AgentBudgets) -> (i64, Author) {
    let (_, token) = store.issue_agent_token(None, name, Role::Steer, acting(budgets), None).await.unwrap();
    let author = store.agent_author(token.id, name, &AgentOrigin::default()).await.unwrap();
    (token.id, Author::Agent(author))
}

fn run_of(author: &Author, id: &str, steps: u64, secs: f64) -> NewRun {
    let mut run = NewRun { author: author.clone(), ..new_run(id, "cpu") };
    (run.plan.steps, run.estimate.secs) = (steps, Some(secs));
    run
}

/// A run as the test knows it.
struct Known {
    steps: u64,
    trained: u64,
    secs_per_step: f64,
    seq: u64,
    is_purged: bool,
}

/// Runs by id, as a worker and people would treat them.
struct World {
    store: Store,
    author: Author,
    token: i64,
    runs: BTreeMap<RunId, Known>,
}

impl World {
    /// Trains a run by some steps, to its end at most.
    async fn train(&mut self, run: &RunId, steps: u64) {
        let known = self.runs.get_mut(run).unwrap();
        let steps = steps.min(known.steps - known.trained);
        self.store.set_state(run, RunState::Running, None).await.unwrap();
        let mut items = vec![];
        for step in known.trained..known.trained + steps {
            items.push(row(step, &[(name::TRAIN, 1.0), (name::SECS, (step + 1) as f64 * known.secs_per_step)]));
        }
        known.trained += steps;
        if known.trained == known.steps {
            items.push(Item::Event(report(known.trained, Event::Finished, Some(RunState::Finished))));
        }
        if items.is_empty() {
            return;
        }
        let first = known.seq + 1;
        known.seq += items.len() as u64;
        self.store.ingest(run, first, items).await.unwrap();
    }

    async fn state(&self, run: &RunId) -> Option<RunState> {
        self.store.summary(run).await.unwrap().map(|summary| summary.state)
    }

    async fn check(&self, at: &str) {
        let (uses, unfinished) = self.store.agent_uses(self.token).await.unwrap();
        for BudgetUse { budget, used, reserved, most } in &uses {
            let most = most.unwrap();
            assert!(used + reserved <= most + 1e-6, "{at}: {budget:?} {used} + {reserved} of {most}");
        }
        let trained: u64 = self.runs.values().map(|known| known.trained).sum();
        let of = |budget| uses.iter().find(|one| one.budget == budget).unwrap();
        assert_eq!(of(AgentBudget::Steps).used, trained as f64, "{at}");
        assert_eq!(of(AgentBudget::TrialsPerDay).used, self.runs.len() as f64, "{at}");
        let mut loaded = 0;
        for run in self.runs.keys() {
            let state = self.state(run).await;
            loaded += u32::from(state.is_some_and(|state| state == RunState::Queued || state.is_live()));
        }
        assert_eq!((unfinished, of(AgentBudget::RunsAtOnce).used), (loaded, f64::from(loaded)), "{at}");
        assert!(trained <= STEPS && loaded <= AT_ONCE && self.runs.len() <= PER_DAY as usize, "{at}");
    }

    /// Something that may happen to a run.
    async fn happen(&mut self, run: &RunId, random: &mut Random) {
        let Some(state) = self.state(run).await else { return };
        match random.below(4) {
            0 | 1 if state == RunState::Queued || state == RunState::Running => self.train(run, random.below(80)).await,
            2 if !state.is_over() => {
                self.store.set_state(run, RunState::Stopped, None).await.unwrap();
            }
            3 if state.is_over() => {
                self.store.delete_run(run, 1).await.unwrap();
                assert_eq!(self.store.purge_deleted(2).await.unwrap(), std::slice::from_ref(run));
                self.runs.get_mut(run).unwrap().is_purged = true;
            }
            _ => {}
        }
    }

    /// Resumes all stopped runs at once, each twice.
    async fn resume_at_once(&self) {
        let mut calls = JoinSet::new();
        for run in self.runs.keys() {
            if self.state(run).await != Some(RunState::Stopped) {
                continue;
            }
            for _ in 0..2 {
                let (store, run, author) = (self.store.clone(), run.clone(), self.author.clone());
                calls.spawn(async move {
                    let resumed = Report { author, ..report(0, Event::Resumed, None) };
                    store.resume_run(&run, Some(RunState::Stopped), resumed).await
                });
            }
        }
        while let Some(done) = calls.join_next().await {
            match done.unwrap() {
                Ok(_) | Err(StoreError::AgentBudget { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_and_repeated_calls_never_exceed_a_budget() {
    for seed in seeds(0..4) {
        let at = |round: u64| format!("round {round}, {SEED}={seed}");
        let (dir, mut random) = (tempfile::tempdir().unwrap(), Random::new(seed));
        let store = Store::open(dir.path()).await.unwrap();
        let budgets = AgentBudgets {
            device_hours: Some(HOURS),
            steps: Some(STEPS),
            runs_at_once: Some(AT_ONCE),
            trials_per_day: Some(PER_DAY),
        };
        let (token, author) = agent(&store, "tuner", budgets).await;
        let mut world = World { store: store.clone(), author: author.clone(), token, runs: BTreeMap::new() };
        for round in 0..8 {
            let mut calls = JoinSet::new();
            for _ in 0..6 {
                // Some ids are taken: the call is repeated.
                let (id, steps) = (format!("run-{}", random.below(60)), 1 + random.below(150));
                let secs_per_step = 1.0 + random.below(8) as f64;
                let run = run_of(&author, &id, steps, steps as f64 * secs_per_step);
                // The id of a run that was purged is not given again.
                if world.runs.get(&run.id).is_some_and(|known| known.is_purged) {
                    continue;
                }
                let store = store.clone();
                calls.spawn(async move {
                    let created = store.create_run(&run).await;
                    (run.id, steps, secs_per_step, created)
                });
            }
            while let Some(done) = calls.join_next().await {
                let (id, steps, secs_per_step, created) = done.unwrap();
                match created {
                    Ok(_) => {
                        let known = Known { steps, trained: 0, secs_per_step, seq: 0, is_purged: false };
                        world.runs.insert(id, known);
                    }
                    Err(StoreError::AgentBudget { .. } | StoreError::RunExists { .. }) => {}
                    Err(error) => panic!("{}: {error}", at(round)),
                }
            }
            world.resume_at_once().await;
            world.check(&at(round)).await;
            let all: Vec<RunId> = world.runs.keys().cloned().collect();
            for run in &all {
                world.happen(run, &mut random).await;
                world.check(&at(round)).await;
            }
        }
        let open: Vec<RunId> =
            world.runs.iter().filter(|(_, known)| !known.is_purged).map(|(run, _)| run.clone()).collect();
        for run in open {
            if world.state(&run).await.is_some_and(|state| !state.is_over()) {
                world.train(&run, u64::MAX).await;
            }
        }
        world.check(&at(u64::MAX)).await;
    }
}

#[tokio::test]
async fn a_run_is_paused_when_a_budget_is_used_up_and_counts_no_more_once_a_person_resumes_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let budgets = AgentBudgets { steps: Some(100), ..AgentBudgets::default() };
    let (token, author) = agent(&store, "tuner", budgets).await;
    let refused = store.create_run(&run_of(&author, "too-long", 101, 1.0)).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the budget of the agent \"tuner\" is 100 steps: 0 steps are used, 100 steps are left, and this needs 101 steps"
    );
    let run = run_of(&author, "amber-fox-7k2q", 100, 1.0);
    store.create_run(&run).await.unwrap();
    store.set_state(&run.id, RunState::Running, None).await.unwrap();
    store.ingest(&run.id, 1, (0..10).map(|step| row(step, &[(name::TRAIN, 1.0)])).collect()).await.unwrap();
    assert!(store.exhausted_agent_runs(std::slice::from_ref(&run.id)).await.unwrap().is_empty());
    let limits = acting(AgentBudgets { steps: Some(10), ..budgets });
    store.set_agent_limits(token, &limits).await.unwrap();
    let exhausted = store.exhausted_agent_runs(std::slice::from_ref(&run.id)).await.unwrap();
    assert_eq!(exhausted.len(), 1);
    assert_eq!(exhausted[0].run, run.id);
    assert_eq!(exhausted[0].reason, "the agent \"tuner\" has used up its budget: 10 steps of 10 steps");
    // A person lets it train on.
    store.append(&run.id, report(10, Event::Resumed, Some(RunState::Running))).await.unwrap();
    assert!(store.exhausted_agent_runs(std::slice::from_ref(&run.id)).await.unwrap().is_empty());
    store.ingest(&run.id, 11, (10..20).map(|step| row(step, &[(name::TRAIN, 1.0)])).collect()).await.unwrap();
    let steps = store.agent_uses(token).await.unwrap().0[1];
    assert_eq!((steps.used, steps.reserved), (10.0, 0.0));
    // A stopped agent starts nothing, whatever its budget.
    store.set_agent_limits(token, &acting(AgentBudgets::default())).await.unwrap();
    assert_eq!(store.stop_agent(token, "ada").await.unwrap(), (vec![token], 1));
    let refused = store.create_run(&run_of(&author, "after", 1, 1.0)).await.unwrap_err();
    assert!(matches!(refused, StoreError::AgentEnded { .. }), "{refused}");
    assert!(store.summary(&"after".parse().unwrap()).await.unwrap().is_none(), "nothing was created");
}

#[tokio::test]
async fn a_budget_holds_for_the_runs_of_an_agent_whose_token_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let budgets = AgentBudgets { steps: Some(100), ..AgentBudgets::default() };
    let (token, author) = agent(&store, "tuner", budgets).await;
    let run = run_of(&author, "amber-fox-7k2q", 100, 1.0);
    store.create_run(&run).await.unwrap();
    store.set_state(&run.id, RunState::Running, None).await.unwrap();
    store.ingest(&run.id, 1, (0..10).map(|step| row(step, &[(name::TRAIN, 1.0)])).collect()).await.unwrap();
    store.set_agent_limits(token, &acting(AgentBudgets { steps: Some(10), ..budgets })).await.unwrap();
    assert!(store.revoke(token).await.unwrap());
    let exhausted = store.exhausted_agent_runs(std::slice::from_ref(&run.id)).await.unwrap();
    assert_eq!(exhausted.iter().map(|one| &one.run).collect::<Vec<_>>(), [&run.id]);
}

#[tokio::test]
async fn runs_whose_author_is_a_strategy_count_for_the_agent_that_has_started_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let (token, _) = agent(&store, "tuner", AgentBudgets { trials_per_day: Some(1), ..AgentBudgets::default() }).await;
    let strategy = Author::Rule("strategy".into());
    let new = NewExperiment { author: strategy.clone(), token: Some(token), ..experiment("default") };
    let id = store.create_experiment(&new).await.unwrap().summary.id;
    assert_eq!(store.agent_groups(token).await.unwrap().experiments, [id]);
    let start = async |side: Side| {
        let run = run_of(&strategy, side.word(), 5, 1.0);
        store.start_experiment_runs(id, &[NewExperimentRun { pair: 1, side, attempt: 1, run }]).await
    };
    assert_eq!(start(Side::Baseline).await.unwrap().unwrap().len(), 1);
    let refused = start(Side::Variant).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::AgentBudget { budget: AgentBudget::TrialsPerDay, used: 1.0, .. }),
        "{refused}"
    );
    assert_eq!(store.agent_runs(token).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_name_of_an_agent_in_journals_belongs_to_its_token() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let (first, _) = agent(&store, "claude", AgentBudgets::default()).await;
    let (second, other) = agent(&store, "claude", AgentBudgets::default()).await;
    assert_eq!(other, Author::Agent(format!("claude ({second})")));
    let (_, third) = store.issue_token("claude", Role::Steer, TokenKind::Api, None).await.unwrap();
    let none = AgentOrigin::default();
    assert_eq!(store.agent_author(third.id, "claude", &none).await.unwrap(), format!("claude ({})", third.id));
    let origin = AgentOrigin { model: Some("opus".into()), conversation: Some("7f)".into()), ..none };
    let named = store.agent_author(first, "claude", &origin).await.unwrap();
    assert_eq!(named, "claude (model opus, conversation 7f)");
    // Its events are found again, those of others with its name are not.
    let run = run_of(&Author::Agent(named), "amber-fox-7k2q", 5, 1.0);
    store.create_run(&run).await.unwrap();
    let note = |name: &str| {
        let text = Event::Annotated { text: name.to_owned() };
        Report { author: Author::Agent(name.to_owned()), ..report(0, text, None) }
    };
    store.append(&run.id, note("claude (model opus)")).await.unwrap();
    store.append(&run.id, note("claude")).await.unwrap();
    let phrases =
        |actions: Vec<AgentAction>| actions.iter().map(|action| action.record.event.phrase()).collect::<Vec<_>>();
    // The note is from later than the creation of the run.
    assert_eq!(phrases(store.agent_actions(first, 10).await.unwrap()), ["claude", "queued"]);
    assert_eq!(store.agent_event_numbers(first, &run.id).await.unwrap(), [1, 3]);
    assert!(store.agent_actions(second, 10).await.unwrap().is_empty());
}
