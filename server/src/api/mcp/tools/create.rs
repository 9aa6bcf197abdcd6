//! New runs, forks, sweeps and experiments.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use store::AgentAct;
use wire::experiment::ExperimentSpec;
use wire::experiment::record::{ExperimentSummary, ExperimentView};
use wire::hyperparameters::table;
use wire::run::copy::spec_of;
use wire::run::plan::PlanView;
use wire::run::preset;
use wire::run::table::RunRow;
use wire::sweep::record::Sweep;
use wire::sweep::spec::SweepSpec;
use wire::{Author, EventRecord, LivePath, RunSpec, RunView};

use crate::api::extract::read;
use crate::api::mcp::acts::{Act, Recovery, acting, dry_run};
use crate::api::mcp::answer::Answer;
use crate::api::mcp::brief;
use crate::api::mcp::caller::{Caller, encoded};
use crate::api::mcp::tool::Tool;
use crate::error::ApiError;

/// How many of the newest runs, sweeps or experiments are searched for the one whose result was not stored.
pub(super) const NEWEST: usize = 50;
/// How many of the newest acts of a token are searched for the calls that created something.
const ACTS: u32 = 1_000;
/// Where these calls need their role.
pub(super) const PLACE: &str = "in the project";

pub fn tools() -> Vec<Tool> {
    vec![
        Tool::acting(
            "start_run",
            "Start a run",
            "Creates a run and adds it to the queue of its device. With dry_run it returns the plan, the cost and \
             notes.",
            start_run,
        )
        .returns(&[
            ("run", "The run that was created."),
            ("estimate", "Its cost."),
            ("notes", "With dry_run: remarks on the plan."),
            ("plan", "With dry_run: the resolved plan."),
            ("difference", "With dry_run: the changed hyperparameters, now and then."),
            ("dry_run", "Whether nothing was changed."),
        ]),
        Tool::acting(
            "fork",
            "Fork a run",
            "Creates a run that starts with the state of another one at a checkpoint, with changed hyperparameters. \
             The parent does not change.",
            fork,
        )
        .returns(&[
            ("run", "The run that was created."),
            ("estimate", "Its cost."),
            ("notes", "With dry_run: remarks on the plan."),
            ("plan", "With dry_run: the resolved plan."),
            ("difference", "With dry_run: the changed hyperparameters, now and then."),
            ("dry_run", "Whether nothing was changed."),
        ]),
        Tool::acting(
            "start_sweep",
            "Start a sweep",
            "Starts a sweep over hyperparameters; its trials are runs in the queue. With dry_run it returns the \
             number of trials, tokens and training time.",
            start_sweep,
        )
        .returns(&[
            ("sweep", "Id of the sweep."),
            ("name", "Its name."),
            ("state", "Its state."),
            ("trials", "Number of trials."),
            ("project", "Its project."),
            ("preview", "With dry_run: number of trials, tokens, training time and first points."),
            ("dry_run", "Whether nothing was changed."),
        ]),
        Tool::acting(
            "propose_experiment",
            "Test a change",
            "Creates an experiment: a hypothesis with a numeric prediction and a decision rule, and pairs of runs \
             with equal seeds until there is a verdict. With dry_run it returns the cost of a pair.",
            propose_experiment,
        )
        .returns(&[
            ("experiment", "Id of the experiment."),
            ("title", "Its title."),
            ("state", "Its state."),
            ("project", "Its project."),
            ("change", "With dry_run: the change in words."),
            ("metric", "With dry_run: the metric and its unit."),
            ("pair", "With dry_run: training time and tokens of a pair."),
            ("most_pairs", "With dry_run: maximum number of pairs."),
            ("most_secs", "With dry_run: training time of all pairs."),
            ("budget", "With dry_run: the budget."),
            ("notes", "With dry_run: remarks on the plans."),
            ("dry_run", "Whether nothing was changed."),
        ]),
    ]
}

acting!(StartRun {
    /// {"preset": "nanogpt-cpu", "corpus": "tales", "steps": 2000, "seed": 1, "overrides": {"optimizer.learning_rate": 1e-3}}; also mix,
    /// tokenizer, device, pool, project, name, priority, depth, tasks. Missing fields have the values of the preset. estimate_cost checks
    /// the specification.
    spec: Map<String, Value>,
});

acting!(Fork {
    /// Id of the parent run.
    run: String,
    /// Checkpoint of the parent to start from, such as 0-1200; get_run lists them. Without checkpoint and step, a running parent saves one
    /// now, and the newest one of any other parent is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<String>,
    /// Step in the history of the parent that has a checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<u64>,
    /// Step at which the fork ends; by default that of the parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    steps: Option<u64>,
    /// Name of the fork; generated by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Hyperparameters to change before the first step, by path: {"optimizer.learning_rate": 1e-4}.
    #[serde(default)]
    set: BTreeMap<String, f64>,
    /// Fits the planned learning-rate schedule to the length of the fork.
    #[serde(default)]
    refit_schedule: bool,
});

acting!(StartSweep {
    /// {"name": "rates", "sampler": "tpe", "trials": 20, "at_once": 2, "base": {"preset": "tiny", "corpus": "tales", "steps": 500},
    /// "space": {"parameters": {"optimizer.learning_rate": {"log": [1e-4, 1e-2]}}}, "stopping": {"rule": "asha"}}. Samplers: grid, random,
    /// quasi_random, tpe, cma_es.
    spec: Map<String, Value>,
});

acting!(ProposeExperiment {
    /// {"title": "...", "hypothesis": "...", "baseline": {"run": "ID"} or {"spec": {...}}, "change": {"overrides":
    /// {"optimizer.learning_rate": 1e-3}}, "prediction": {"difference": -0.05, "probability": 0.7}, "rule": {"effect": 0.02, "max_pairs":
    /// 8}, "budget": {"steps": 300, "device_hours": 1.0}}. The metric is the validation loss in bits/byte by default.
    spec: Map<String, Value>,
});

async fn start_run(caller: Caller, args: StartRun) -> Result<Answer, ApiError> {
    let act = args.act(caller, "start_run", None)?;
    let spec = Value::Object(args.spec);
    if !act.is_dry() {
        return create_run(act, spec).await;
    }
    let mut plan = create_run(act, spec.clone()).await?;
    plan.data["difference"] = from_preset(&parse(&spec)?, &plan.data)?;
    Ok(plan)
}

/// The overrides of a spec, each with the value of the preset of its plan.
fn from_preset(spec: &RunSpec, planned: &Value) -> Result<Value, ApiError> {
    let name = planned["plan"]["preset"].as_str().unwrap_or_default();
    let recipe = json!(preset::find(name, spec.depth)?.recipe);
    let change = |(path, value): (&String, &Value)| {
        let row = table::find(path);
        let now = row.and_then(|row| row.value_in(&recipe));
        json!({ "path": path, "now": now, "then": value, "unit": row.map_or("", |row| row.unit) })
    };
    Ok(spec.overrides.iter().map(change).collect())
}

async fn fork(caller: Caller, args: Fork) -> Result<Answer, ApiError> {
    let act = args.act(caller, "fork", None)?;
    let set =
        |(path, value): (&String, &f64)| json!({ "kind": "set", "path": path, "value": value, "reason": act.text() });
    let parent = brief::given(json!({
        "run": args.run, "checkpoint": args.checkpoint, "step": args.step, "changes": args.set.iter().map(set).collect::<Vec<_>>(),
        "refit_schedule": args.refit_schedule,
    }));
    let spec = brief::given(json!({ "parent": parent, "steps": args.steps, "name": args.name }));
    if !act.is_dry() {
        return create_run(act, spec).await;
    }
    let caller = act.caller.clone();
    let mut plan = create_run(act, spec).await?;
    plan.data["difference"] = from_parent(&caller, &args.run, &args.set).await?;
    Ok(plan)
}

/// The changes of a fork, each with the value of its parent.
async fn from_parent(caller: &Caller, run: &str, set: &BTreeMap<String, f64>) -> Result<Value, ApiError> {
    let view: RunView = caller.get(&format!("/runs/{}", encoded(run))).await?;
    let change = |(path, value): (&String, &f64)| -> Result<Value, ApiError> {
        let path: LivePath = path.parse()?;
        let now = brief::rounded(view.hyperparameters.get(path, view.summary.step));
        Ok(json!({ "path": path, "now": now, "then": value, "unit": path.row().unit }))
    };
    set.iter().map(change).collect()
}

/// Creates a run once, or returns its plan.
async fn create_run(act: Act, spec: Value) -> Result<Answer, ApiError> {
    let parsed: RunSpec = parse(&spec)?;
    if act.is_dry() {
        let view: PlanView = act.caller.post("/plan", &spec).await?;
        return Ok(dry_run(plan(&view), PLACE));
    }
    let text = act.text();
    let perform = move |caller: Caller| async move {
        let view: RunView = caller.post("/runs", &spec).await?;
        let path = format!("/runs/{}/commands", encoded(view.summary.id.as_str()));
        let noted = caller.post::<EventRecord>(&path, &json!({ "kind": "annotate", "text": text })).await;
        let answer = created(&view);
        Ok(if noted.is_ok() { answer } else { answer.note("the reason could not be added to the journal of the run") })
    };
    let recover = move |caller: Caller, known: AgentAct| -> Recovery {
        Box::pin(async move { find_run(&caller, &parsed, &known).await })
    };
    act.carry_out(perform, recover).await
}

fn created(view: &RunView) -> Answer {
    let data = json!({ "run": brief::run(&view.summary), "estimate": brief::estimate(&view.estimate) });
    let answer = Answer::new(data).units(&brief::UNITS).units(&[brief::ESTIMATE_UNITS]);
    answer.next(format!("wait_for with run {} and kinds [\"started\"]", view.summary.id))
}

/// The plan of a run with its cost.
pub fn plan(view: &PlanView) -> Answer {
    let plan = &view.plan;
    let data = json!({
        "estimate": brief::estimate(&view.estimate), "notes": view.notes,
        "plan": {
            "preset": plan.preset, "device": plan.device, "tokenizer": plan.tokenizer, "steps": plan.steps, "seed": plan.seed,
            "tokens_per_step": plan.tokens_per_step(), "recipe": plan.recipe,
            "parent": plan.origin.as_ref().map(|origin| &origin.from),
        },
    });
    Answer::new(data).units(&[brief::ESTIMATE_UNITS, ("plan.recipe", "units of the table of hyperparameters")])
}

/// The ids of the runs, sweeps or experiments that the calls of this agent whose results are stored have created. `pointer` is the JSON
/// pointer of the id in a result.
pub(super) async fn created_by_other_calls(caller: &Caller, pointer: &str) -> Result<Vec<Value>, ApiError> {
    let acts = caller.store().agent_acts(caller.token(), ACTS).await?;
    let id = |act: AgentAct| {
        let answer: Value = serde_json::from_str(&act.answer?).ok()?;
        answer.pointer(pointer).cloned()
    };
    Ok(acts.into_iter().filter_map(id).collect())
}

/// The run of a call whose result was not stored: one with the same specification that this agent created after the call, and by no
/// other call.
async fn find_run(caller: &Caller, spec: &RunSpec, known: &AgentAct) -> Result<Option<Answer>, ApiError> {
    let others = created_by_other_calls(caller, "/data/run/id").await?;
    let rows: Vec<RunRow> = caller.get(&format!("/runs?limit={NEWEST}")).await?;
    for row in rows.iter().filter(|row| row.summary.created_ms >= known.started_ms) {
        if others.contains(&json!(row.summary.id)) {
            continue;
        }
        let path = format!("/runs/{}", encoded(row.summary.id.as_str()));
        let view: RunView = caller.get(&path).await?;
        // The server adds the project.
        let stored = RunSpec { project: spec.project.clone(), ..view.spec.clone() };
        let first: Vec<EventRecord> = caller.get(&format!("{path}/events?limit=1")).await?;
        if stored == *spec && first.iter().any(|record| caller.is_author(&record.author)) {
            return Ok(Some(created(&view)));
        }
    }
    Ok(None)
}

async fn start_sweep(caller: Caller, args: StartSweep) -> Result<Answer, ApiError> {
    let act = args.act(caller, "start_sweep", None)?;
    let spec = Value::Object(args.spec);
    let parsed: SweepSpec = parse(&spec)?;
    if act.is_dry() {
        return Ok(dry_run(preview(&act.caller, &spec).await?, PLACE));
    }
    let perform = move |caller: Caller| async move {
        let sweep: Sweep = caller.post("/sweeps", &spec).await?;
        Ok(started(&sweep))
    };
    let recover = move |caller: Caller, known: AgentAct| -> Recovery {
        Box::pin(async move {
            let others = created_by_other_calls(&caller, "/data/sweep").await?;
            let sweeps: Vec<Sweep> = caller.get(&format!("/sweeps?limit={NEWEST}")).await?;
            let is_own = |sweep: &&Sweep| {
                let mut spec = sweep.spec.clone();
                spec.base.project.clone_from(&parsed.base.project);
                let creator = Author::Agent(sweep.creator.clone());
                let is_by_agent = sweep.created_ms >= known.started_ms && caller.is_author(&creator);
                is_by_agent && spec == parsed && !others.contains(&json!(sweep.id))
            };
            Ok(sweeps.iter().find(is_own).map(started))
        })
    };
    act.carry_out(perform, recover).await
}

/// The first trials of a sweep, and the cost of all of them.
pub async fn preview(caller: &Caller, spec: &Value) -> Result<Answer, ApiError> {
    let preview: Value = caller.post("/sweeps/preview", spec).await?;
    Ok(Answer::new(json!({ "preview": preview })).units(&[("tokens", "tokens"), ("secs, training_secs", "s")]))
}

fn started(sweep: &Sweep) -> Answer {
    let data = json!({
        "sweep": sweep.id, "name": sweep.spec.name, "state": sweep.state, "trials": sweep.trials, "project": sweep.project,
    });
    Answer::new(data).next("list_runs with the name of the sweep as query finds its trials")
}

async fn propose_experiment(caller: Caller, args: ProposeExperiment) -> Result<Answer, ApiError> {
    let act = args.act(caller, "propose_experiment", None)?;
    let spec = Value::Object(args.spec);
    let parsed: ExperimentSpec = parse(&spec)?;
    parsed.check()?;
    if act.is_dry() {
        return plan_experiment(&act.caller, &parsed).await;
    }
    let perform = move |caller: Caller| async move {
        let view: ExperimentView = caller.post("/experiments", &spec).await?;
        Ok(proposed(&view.summary))
    };
    let recover = move |caller: Caller, known: AgentAct| -> Recovery {
        Box::pin(async move {
            let others = created_by_other_calls(&caller, "/data/experiment").await?;
            let all: Vec<ExperimentSummary> = caller.get("/experiments").await?;
            let is_own = |found: &&ExperimentSummary| {
                let is_by_agent = found.created_ms >= known.started_ms && caller.is_author(&found.author);
                is_by_agent && found.spec == parsed && !others.contains(&json!(found.id))
            };
            Ok(all.iter().take(NEWEST).find(is_own).map(proposed))
        })
    };
    act.carry_out(perform, recover).await
}

fn proposed(found: &ExperimentSummary) -> Answer {
    let data =
        json!({ "experiment": found.id, "title": found.spec.title, "state": found.state, "project": found.project });
    Answer::new(data).next(format!("list_runs with tag experiment:{} finds its runs", found.id))
}

/// The runs that an experiment would train. If the baseline is a run, its plan is used.
async fn plan_experiment(caller: &Caller, spec: &ExperimentSpec) -> Result<Answer, ApiError> {
    let baseline = match (&spec.baseline.run, &spec.baseline.spec) {
        (Some(run), _) => {
            let view: RunView = caller.get(&format!("/runs/{}", encoded(run.as_str()))).await?;
            let copy = spec_of(&view.plan);
            let (device, pool, project) = (view.spec.device, view.spec.pool, Some(view.summary.project));
            RunSpec { steps: spec.baseline.steps.or(copy.steps), device, pool, project, ..copy }
        }
        (None, given) => given.clone().unwrap_or_default(),
    };
    let variant = spec.change.applied_to(&baseline);
    let one: PlanView = caller.post("/plan", &json!(baseline)).await?;
    let other: PlanView = caller.post("/plan", &json!(variant)).await?;
    let pairs = spec.budget.pairs.unwrap_or(spec.rule.max_pairs).min(spec.rule.max_pairs);
    let secs = one.estimate.secs.zip(other.estimate.secs).map(|(one, other)| one + other);
    let notes = [one.notes, other.notes].concat();
    let answer = Answer::new(json!({
        "change": spec.change.phrase(),
        "metric": { "label": spec.metric.label(), "unit": spec.metric.unit() },
        "pair": { "secs": secs, "tokens": one.estimate.tokens + other.estimate.tokens },
        "most_pairs": pairs,
        "most_secs": secs.map(|secs| secs * f64::from(pairs)),
        "budget": spec.budget,
        "notes": notes,
    }));
    let answer = answer.units(&[("secs, most_secs", "s of training on one device"), ("budget.device_hours", "h")]);
    Ok(dry_run(answer, PLACE))
}

/// A parsed specification, for code that needs its fields. The routes check it again.
pub(super) fn parse<T: serde::de::DeserializeOwned>(spec: &Value) -> Result<T, ApiError> {
    read(spec.to_string().as_bytes()).map_err(|error| match error.body.field.clone() {
        Some(field) => error.field(format!("spec.{field}")),
        None => error.field("spec"),
    })
}
