//! The state of the lab, the list of runs, one run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use wire::access::Me;
use wire::control::checkpoint::CheckpointView;
use wire::run::table::{CURSOR_HEADER, RunRow, TOTAL_HEADER};
use wire::transport::live::LabState;
use wire::{RunState, RunSummary, RunView};

use crate::api::mcp::answer::Answer;
use crate::api::mcp::brief;
use crate::api::mcp::caller::{Caller, encoded, query};
use crate::api::mcp::tool::Tool;
use crate::error::ApiError;

/// Runs in a list: the default and the maximum.
const RUNS: u32 = 20;
const MOST_RUNS: u32 = 25;
/// Queued runs that the state of the lab lists.
const QUEUED: usize = 10;
/// Newest checkpoints of a run that are listed.
const CHECKPOINTS: usize = 8;

pub fn tools() -> Vec<Tool> {
    vec![
        Tool::reading(
            "lab_status",
            "State of the lab",
            "The state of the lab: runs that train, the queue, devices, jobs, and the permissions of your token. \
             Begin with this tool.",
            lab_status,
        )
        .returns(&[
            ("you", "Name and permissions of your token."),
            ("runs", "Numbers of listed and archived runs."),
            ("by_state", "Number of runs by state."),
            ("active", "Runs that train or are paused."),
            ("queued", "The first runs of the queue."),
            ("queue_length", "Number of queued runs."),
            ("devices", "Devices with the run that each trains."),
            ("jobs", "Imports and downloads of datasets."),
        ]),
        Tool::reading(
            "list_runs",
            "List runs",
            "Finds runs by words, state, tag, project or comparisons such as lr>1e-3. Sorts them by any column, \
             newest first by default.",
            list_runs,
        )
        .returns(&[
            ("total", "Number of runs that match."),
            ("runs", "Runs of this page, with the requested columns."),
            ("cursor", "Cursor of the next page; absent on the last page."),
        ]),
        Tool::reading(
            "get_run",
            "One run",
            "The details of a run: state, plan with all hyperparameters, their current values, cost estimate, \
             checkpoints, names of its time series.",
            get_run,
        )
        .returns(&[
            ("run", "State, progress and losses."),
            ("now", "Current value of each hyperparameter that can change."),
            ("changes", "Number of changes while it trained."),
            ("plan", "Plan with all hyperparameters."),
            ("estimate", "Cost estimate of the plan."),
            ("references", "Losses to compare with: uniform, unigram, entropy floor; bytes per token."),
            ("segments", "Number of segments of its history."),
            ("checkpoints", "Number of checkpoints, and the newest ones."),
            ("series", "Names of its time series."),
        ]),
    ]
}

/// No arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListRuns {
    /// Words of name, id, state, preset, dataset, device, tags and notes; `tag:NAME`, `parent:ID`, and comparisons such as `lr>1e-3` or
    /// `model.layers=6`. A run must match all of them.
    query: Option<String>,
    /// States, separated by commas: queued, starting, running, paused, suspended, finished, stopped, failed, lost.
    state: Option<String>,
    /// Tags that the runs must have, separated by commas.
    tag: Option<String>,
    /// Name of a project.
    project: Option<String>,
    /// Column to sort by, `-` before it for descending order: created, name, step, valid, metric:NAME, or a path of a hyperparameter.
    sort: Option<String>,
    /// Values to show for each run, separated by commas: paths of hyperparameters, or `metric:NAME`.
    columns: Option<String>,
    /// Number of runs, at most 25; 20 by default.
    limit: Option<u32>,
    /// Cursor of the next page, from the previous answer.
    cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetRun {
    /// Id of the run: amber-fox-7k2q.
    run: String,
}

async fn lab_status(caller: Caller, _: Nothing) -> Result<Answer, ApiError> {
    let me: Me = caller.get("/me").await?;
    let lab: LabState = caller.get("/lab").await?;
    let of_state = |is: fn(RunState) -> bool| lab.runs.iter().filter(move |run| is(run.state));
    let queued: Vec<&RunSummary> = of_state(|state| state == RunState::Queued).collect();
    let device = |device: &wire::device::DeviceView| {
        brief::given(json!({
            "device": device.info.id, "name": device.info.name, "kind": device.info.kind, "pool": device.pool, "run": device.run,
            "is_connected": device.is_connected, "is_taken": device.is_taken.then_some(true),
        }))
    };
    let job = |job: &wire::data::corpus::Job| json!({ "title": job.title, "state": job.state });
    let answer = Answer::new(json!({
        "you": { "name": me.name, "grants": me.grants },
        "runs": { "listed": lab.counts.active, "archived": lab.counts.archived },
        "by_state": by_state(&lab.runs),
        "active": of_state(RunState::is_live).map(brief::run).collect::<Vec<_>>(),
        "queued": queued.iter().take(QUEUED).map(|run| brief::run(run)).collect::<Vec<_>>(),
        "queue_length": queued.len(),
        "devices": lab.devices.iter().map(device).collect::<Vec<_>>(),
        "jobs": lab.jobs.iter().map(job).collect::<Vec<_>>(),
    }));
    let answer = answer
        .note("by_state counts the active and queued runs and the newest 200 others")
        .more("list_runs with a state lists all of them");
    let first = of_state(RunState::is_live).next().map(|run| format!("get_run or diagnose with run {}", run.id));
    Ok(answer
        .units(&brief::UNITS)
        .next(first.unwrap_or_else(|| "list_runs; or estimate_cost, then start_run".to_owned())))
}

fn by_state(runs: &[RunSummary]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for run in runs {
        *counts.entry(run.state.word()).or_default() += 1;
    }
    counts
}

async fn list_runs(caller: Caller, args: ListRuns) -> Result<Answer, ApiError> {
    let limit = args.limit.unwrap_or(RUNS).clamp(1, MOST_RUNS);
    let fields = [
        ("q", args.query),
        ("state", args.state),
        ("tag", args.tag),
        ("project", args.project),
        ("sort", args.sort),
        ("columns", args.columns),
        ("limit", Some(limit.to_string())),
        ("cursor", args.cursor),
    ];
    let reply = caller.fetch(&format!("/runs?{}", query(fields)), "application/json").await?;
    let rows: Vec<RunRow> =
        serde_json::from_slice(&reply.body).map_err(|source| ApiError::internal("reading the list of runs", source))?;
    let header = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let total: Option<u64> = header(TOTAL_HEADER).and_then(|total| total.parse().ok());
    let row = |row: &RunRow| {
        let mut run = brief::run(&row.summary);
        if !row.values.is_empty() {
            run["columns"] = json!(row.values);
        }
        run
    };
    let runs: Vec<Value> = rows.iter().map(row).collect();
    let answer = Answer::new(brief::given(json!({ "total": total, "runs": runs, "cursor": header(CURSOR_HEADER) })));
    let answer =
        answer.units(&brief::UNITS).more("give a smaller limit, and the cursor of each answer for the next page");
    Ok(answer.next("get_run, diagnose or get_series of one run; compare of several"))
}

async fn get_run(caller: Caller, GetRun { run }: GetRun) -> Result<Answer, ApiError> {
    let path = format!("/runs/{}", encoded(&run));
    let view: RunView = caller.get(&path).await?;
    let checkpoints: Vec<CheckpointView> = caller.get(&format!("{path}/checkpoints")).await?;
    let series: Vec<String> = caller.get(&format!("{path}/series/names")).await?;
    let step = view.summary.step;
    let now: BTreeMap<&str, Value> = wire::LivePath::all()
        .map(|path| (path.as_str(), brief::rounded(view.hyperparameters.get(path, step))))
        .collect();
    let plan = &view.plan;
    let newest = checkpoints.iter().rev().take(CHECKPOINTS).map(brief::checkpoint).collect::<Vec<_>>();
    let answer = Answer::new(json!({
        "run": brief::run(&view.summary),
        "now": now,
        "changes": view.hyperparameters.changes,
        "plan": {
            "tokenizer": plan.tokenizer, "seed": plan.seed, "steps": plan.steps, "tokens_per_step": plan.tokens_per_step(),
            "mix": plan.mix.iter().map(|part| json!({ "dataset": part.corpus, "weight": part.weight })).collect::<Vec<_>>(),
            "recipe": plan.recipe,
        },
        "estimate": brief::estimate(&view.estimate),
        "references": view.references,
        "segments": view.segments.len(),
        "checkpoints": { "all": checkpoints.len(), "newest": newest },
        "series": series,
    }));
    let id = &view.summary.id;
    let answer = answer.units(&brief::UNITS).units(&[
        ("references", "nats/token; bytes_per_token: bytes"),
        brief::ESTIMATE_UNITS,
        ("now, plan.recipe", "units of the table of hyperparameters"),
    ]);
    let answer = answer.more("get_series, get_journal and list_runs return the parts");
    Ok(answer
        .next(format!("diagnose with run {id}"))
        .next(format!("get_series with run {id}, series [\"loss.train\", \"loss.valid\"]")))
}
