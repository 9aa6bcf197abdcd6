//! Analyses that the lab computes: findings of its rules, fair comparisons, scaling laws, costs, replays; sweeps and experiments.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use wire::diagnosis::{Diagnosis, FindingView};
use wire::experiment::record::ExperimentView;
use wire::run::plan::PlanView;
use wire::sweep::record::{SweepView, Trial};

use super::create;
use crate::api::mcp::answer::Answer;
use crate::api::mcp::brief::{given, rounded};
use crate::api::mcp::caller::{Caller, encoded, query};
use crate::api::mcp::tool::Tool;
use crate::error::ApiError;

/// Findings in an answer.
const FINDINGS: usize = 15;
/// Trials of a sweep in an answer: the best ones.
const TRIALS: usize = 20;

pub fn tools() -> Vec<Tool> {
    vec![
        Tool::reading(
            "diagnose",
            "What is wrong with a run",
            "The findings of the lab's rules in a run, with measured values and thresholds, the change that may be \
             the cause, and remedies that can be carried out now.",
            diagnose,
        )
        .returns(&[
            ("run", "The run."),
            ("health", "Number of findings by level, in words."),
            ("checked_step", "Step up to which the rules have checked it."),
            ("all", "Number of findings."),
            ("findings", "Findings with measured value, threshold, evidence, cause and remedies."),
        ]),
        Tool::reading(
            "compare",
            "Compare runs",
            "Compares runs or groups of runs by validation loss at an equal budget: difference, confidence interval, \
             noise floor, and a conclusion. If a fair comparison is not possible, it returns the reasons.",
            compare,
        )
        .returns(&[
            ("equal", "What is equal."),
            ("budget", "Its amount."),
            ("unit", "Unit of losses and differences."),
            ("validation", "The validation text."),
            ("baseline", "Runs of the baseline with their losses."),
            (
                "changes",
                "Each group: runs, over_seeds and over_text with difference, interval and verdict, and a sentence.",
            ),
            ("noise", "Noise floor over seeds."),
            ("noise_runs", "Runs of the noise floor."),
            ("tasks", "Scores on the tasks that all runs have."),
        ]),
        Tool::reading(
            "fit_scaling_law",
            "Fit a scaling law",
            "Fits L = E + A / N^alpha + B / D^beta to finished runs, with 95 % intervals, and extrapolates it. If \
             the runs do not determine the law, it returns the reason.",
            fit_scaling_law,
        )
        .returns(&[
            ("runs", "Runs that were fitted."),
            ("left_out", "Names of runs without an evaluation."),
            ("series", "Empty for a scaling law."),
            ("result", "The law with intervals and its extrapolation, or the reason for its refusal."),
        ]),
        Tool::reading(
            "estimate_cost",
            "Estimate a cost",
            "Parameters, tokens, FLOPs, memory and training time of a run or a sweep, without starting it. Names the \
             first invalid field. A sweep needs the role steer in its project, because the server computes its points.",
            estimate_cost,
        )
        .returns(&[
            ("estimate", "Parameters, tokens, FLOPs, memory and training time of a run."),
            ("notes", "Remarks on the plan."),
            ("plan", "The resolved plan."),
            ("preview", "Number of trials, tokens, training time and first points of a sweep."),
        ]),
        Tool::reading(
            "replay_early_stopping",
            "Replay a stopping rule",
            "Simulates a rule that stops trials early on runs that have ended, for a range of its thresholds: \
             compute saved, regret, winners lost.",
            replay_early_stopping,
        )
        .returns(&[
            ("rule", "The rule."),
            ("metric", "Name of the series that the rule reads."),
            ("direction", "Whether lower or higher values are better."),
            ("parallel", "Number of runs that train at the same time."),
            ("steps", "Steps that all runs trained."),
            ("runs", "The runs with their values."),
            ("settings", "For each threshold: compute saved, regret, winners lost. Empty if there is no replay."),
            ("refused", "The reason, if there is no replay."),
        ]),
        Tool::reading(
            "get_sweep",
            "One sweep",
            "A sweep with its best trials: state, counts, best point, values of the metric.",
            get_sweep,
        )
        .returns(&[
            ("sweep", "Id of the sweep."),
            ("name", "Its name."),
            ("state", "Its state."),
            ("message", "Why it waits or was paused."),
            ("trials", "Number of planned trials."),
            ("counts", "Trials by state."),
            ("metric", "The metric and its direction."),
            ("space", "The hyperparameters that are searched."),
            ("best_trials", "Trials, best first."),
        ]),
        Tool::reading(
            "get_experiment",
            "One experiment",
            "An experiment: hypothesis, prediction, values of its pairs, and the verdict after the decision rule has \
             given it.",
            get_experiment,
        )
        .returns(&[
            ("experiment", "Id of the experiment."),
            ("title", "Its title."),
            ("hypothesis", "The hypothesis."),
            ("state", "Its state."),
            ("reason", "Why it was stopped or paused."),
            ("prediction", "Predicted difference and probability."),
            ("rule_of_decision", "The decision rule."),
            ("pairs", "Pairs that have ended."),
            ("verdict", "The verdict; null before there is one."),
            ("runs", "The runs with their seeds and values."),
        ]),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Diagnose {
    /// Id of the run.
    run: String,
    /// Also findings that have ended, are dismissed, or belong to an abandoned branch; false by default.
    #[serde(default)]
    all: bool,
}

/// The budget at which runs are compared.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Equal {
    #[default]
    Tokens,
    Flops,
    Secs,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Compare {
    /// Ids of the runs of the baseline, or tag:NAME for all finished runs with a tag.
    baseline: Vec<String>,
    /// The groups that are compared with the baseline; each is a list of ids or tag:NAME.
    changes: Vec<Vec<String>>,
    /// Tokens by default.
    #[serde(default)]
    equal: Equal,
    /// The budget; by default the largest one that all runs have reached.
    at: Option<f64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FitScalingLaw {
    /// Ids of runs, tag:NAME or project:NAME for the finished runs, sweep:ID for the finished trials.
    runs: Vec<String>,
    /// Parameters without embeddings to extrapolate to; 4 times the largest by default.
    parameters: Option<f64>,
    /// Training tokens to extrapolate to; 4 times the largest by default.
    tokens: Option<f64>,
    /// Training FLOPs to find the best size for; those of the extrapolation by default.
    flops: Option<f64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EstimateCost {
    /// Specification of a run, as start_run takes it. Give this or sweep.
    spec: Option<Map<String, Value>>,
    /// Specification of a sweep, as start_sweep takes it.
    sweep: Option<Map<String, Value>>,
}

/// A rule that stops trials early.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Rule {
    Median,
    Asha,
    Hyperband,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReplayEarlyStopping {
    /// Rule that stops trials early.
    rule: Rule,
    /// Ids of runs, tag:NAME or project:NAME for the finished runs; a single sweep:ID for the trials of a sweep that have ended.
    runs: Vec<String>,
    /// Number of runs that train at the same time; by default that of the sweep, else 1.
    parallel: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetSweep {
    /// Id of the sweep, a number.
    sweep: i64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetExperiment {
    /// Id of the experiment, a number.
    experiment: u64,
}

async fn diagnose(caller: Caller, Diagnose { run, all }: Diagnose) -> Result<Answer, ApiError> {
    let found: Diagnosis = caller.get(&format!("/runs/{}/findings", encoded(&run))).await?;
    let is_shown = |view: &&FindingView| all || view.found.counts();
    let shown: Vec<&FindingView> = found.findings.iter().filter(is_shown).collect();
    let data = json!({
        "run": run,
        "health": found.health.sentence(),
        "checked_step": found.checked_step,
        "all": shown.len(),
        "findings": shown.iter().take(FINDINGS).map(|view| finding(view)).collect::<Vec<_>>(),
    });
    let answer =
        Answer::new(data).units(&[("step", "optimizer steps"), ("value, threshold", "in the unit that text names")]);
    let answer = answer.more("get_series shows the evidence");
    Ok(match shown.first() {
        None => answer.note("no rule has an active finding"),
        Some(_) => answer.next("set_hyperparameter, rollback or fork, according to a remedy; dry_run shows the plan"),
    })
}

fn finding(view: &FindingView) -> Value {
    let found = &view.found;
    let remedy = |remedy: &wire::diagnosis::Remedy| {
        given(
            json!({ "label": remedy.label, "effect": remedy.effect, "action": remedy.action, "obstacle": remedy.obstacle }),
        )
    };
    given(json!({
        "number": found.id,
        "level": found.finding.level,
        "rule": found.finding.rule,
        "step": found.finding.step,
        "text": found.text,
        "value": found.finding.value.map(rounded),
        "threshold": rounded(found.finding.threshold),
        "is_active": found.is_active(),
        "ended_step": found.ended_step,
        "evidence": found.finding.evidence.iter().map(|evidence| &evidence.series).collect::<Vec<_>>(),
        "change": view.change.as_ref().map(|change| change.event),
        "remedies": view.remedies.iter().map(remedy).collect::<Vec<_>>(),
    }))
}

async fn compare(caller: Caller, args: Compare) -> Result<Answer, ApiError> {
    let equal = match args.equal {
        Equal::Tokens => "tokens",
        Equal::Flops => "flops",
        Equal::Secs => "secs",
    };
    let groups: Vec<String> = args.changes.iter().map(|group| group.join(",")).collect();
    let fields = [
        ("baseline", Some(args.baseline.join(","))),
        ("change", Some(groups.join(";"))),
        ("equal", Some(equal.to_owned())),
        ("at", args.at.map(|at| at.to_string())),
    ];
    let mut found: Value = caller.get(&format!("/compare?{}", query(fields))).await?;
    // Only for the chart.
    if let Some(band) = found.get_mut("band") {
        band.take();
    }
    let answer = Answer::new(given(found)).units(&[("loss", "see unit"), ("budget", equal)]);
    let answer = answer.more("compare fewer groups, or fewer runs in each");
    Ok(answer.next("propose_experiment, if the runs are not enough for a conclusion"))
}

async fn fit_scaling_law(caller: Caller, args: FitScalingLaw) -> Result<Answer, ApiError> {
    let number = |value: Option<f64>| value.map(|value| value.to_string());
    let fields = [
        ("kind", Some("scaling_law".to_owned())),
        ("runs", Some(args.runs.join(","))),
        ("parameters", number(args.parameters)),
        ("tokens", number(args.tokens)),
        ("flops", number(args.flops)),
    ];
    let mut fit: Value = caller.get(&format!("/fit?{}", query(fields))).await?;
    // The fits of the residual bootstrap are only for the chart.
    if let Some(value) = fit.pointer_mut("/result/value").and_then(Value::as_object_mut) {
        value.remove("law");
    }
    let answer = Answer::new(fit).units(&[
        ("irreducible, a, b, loss", "nats/token"),
        ("residual", "fraction of the loss"),
        ("parameters, best_parameters", "parameters without embeddings"),
        ("tokens", "training tokens"),
        ("flops", "FLOPs"),
    ]);
    let answer = answer.note(
        "L = E + A / (N / 1e6)^alpha + B / (D / 1e9)^beta; N counts parameters without embeddings, D training tokens",
    );
    Ok(answer
        .note("if result.kind is refused, the runs do not determine the law; result.value gives the reason")
        .more("fit fewer runs"))
}

async fn estimate_cost(caller: Caller, args: EstimateCost) -> Result<Answer, ApiError> {
    match (args.spec, args.sweep) {
        (Some(spec), None) => {
            let view: PlanView = caller.post("/plan", &Value::Object(spec)).await?;
            Ok(create::plan(&view).next("start_run with this spec"))
        }
        (None, Some(sweep)) => {
            let preview = create::preview(&caller, &Value::Object(sweep)).await?;
            Ok(preview.next("start_sweep with this spec"))
        }
        _ => Err(ApiError::invalid("arguments_invalid", "exactly one of spec and sweep is required")
            .field("spec")
            .hint("give the specification of a run as spec, or of a sweep as sweep")),
    }
}

async fn replay_early_stopping(caller: Caller, args: ReplayEarlyStopping) -> Result<Answer, ApiError> {
    let rule = match args.rule {
        Rule::Median => "median",
        Rule::Asha => "asha",
        Rule::Hyperband => "hyperband",
    };
    let fields = [
        ("rule", Some(rule.to_owned())),
        ("runs", Some(args.runs.join(","))),
        ("parallel", args.parallel.map(|parallel| parallel.to_string())),
    ];
    let replay: Value = caller.get(&format!("/replay?{}", query(fields))).await?;
    Ok(Answer::new(replay).units(&[("steps", "optimizer steps")]).more("replay the rule over fewer runs"))
}

async fn get_sweep(caller: Caller, args: GetSweep) -> Result<Answer, ApiError> {
    let SweepView { sweep, mut trials } = caller.get(&format!("/sweeps/{}", args.sweep)).await?;
    let direction = sweep.spec.metric.direction;
    let order = |trial: &Trial| trial.last.map_or(f64::INFINITY, |value| direction.as_lower_is_better(value));
    trials.sort_by(|a, b| order(a).total_cmp(&order(b)));
    let trial = |trial: &Trial| {
        given(json!({
            "number": trial.number, "run": trial.run, "state": trial.state, "point": trial.point, "last": trial.last.map(rounded),
            "last_step": trial.last_step,
        }))
    };
    let data = given(json!({
        "sweep": sweep.id, "name": sweep.spec.name, "state": sweep.state, "message": sweep.message, "trials": sweep.trials,
        "counts": sweep.counts, "metric": sweep.spec.metric, "space": sweep.spec.space,
        "best_trials": trials.iter().take(TRIALS).map(trial).collect::<Vec<_>>(),
    }));
    let answer = Answer::new(data).units(&[("last", "value of the metric"), ("last_step", "optimizer steps")]);
    Ok(answer
        .more("list_runs with the name of the sweep as query, sorted by the metric")
        .next("compare the best trials with a baseline"))
}

async fn get_experiment(caller: Caller, args: GetExperiment) -> Result<Answer, ApiError> {
    let view: ExperimentView = caller.get(&format!("/experiments/{}", args.experiment)).await?;
    let found = &view.summary;
    let run = |run: &wire::experiment::record::ExperimentRun| {
        given(json!({
            "pair": run.pair, "side": run.side, "seed": run.seed, "run": run.run, "value": run.value.map(rounded), "failure": run.failure,
        }))
    };
    let data = given(json!({
        "experiment": found.id, "title": found.spec.title, "hypothesis": found.spec.hypothesis, "state": found.state, "reason": found.reason,
        "prediction": found.spec.prediction, "rule_of_decision": found.spec.rule, "pairs": found.pairs, "verdict": found.verdict,
        "runs": view.runs.iter().map(run).collect::<Vec<_>>(),
    }));
    let unit = found.spec.metric.unit();
    let answer = Answer::new(data).units(&[("value, prediction.difference", unit.as_str())]);
    Ok(match found.verdict {
        Some(_) => answer,
        None => answer.next("wait_for with the run that trains, then get_experiment again"),
    })
}
