//! The chapters of a report on a project, as a document.

mod loops;

use figure::{ReliabilityBin, Size, number, reliability};
use research::calibration::RuleScore;
use research::experiment::AuthorScore;
use wire::RunSummary;
use wire::experiment::ExperimentSpec;
use wire::experiment::record::{ExperimentRun, ExperimentView, Outcome, Side, Verdict};
use wire::number::{brief, counted, grouped, in_sentence};
use wire::research_journal::JournalEntry;
use wire::series::describe;
use wire::sweep::record::{Sweep, Trial};
use wire::sweep::space::Point;

use super::document::Document;
use super::gathered::{CHARTS, Gathered};
use crate::live::clock::utc_minute;

const DIAGRAM: Size = Size::new(300.0, 310.0);
const NONE: &str = "–";

/// The whole report.
pub(super) fn document(found: &Gathered) -> Document {
    let mut document = Document { title: format!("Research journal of {}", found.project), blocks: vec![] };
    document.paragraph(summary(found));
    experiments(&mut document, found);
    loops::write(&mut document, &found.loops);
    sweeps(&mut document, found);
    runs(&mut document, found);
    charts(&mut document, found);
    findings(&mut document, found);
    calibration(&mut document, found);
    timeline(&mut document, found);
    document
}

fn summary(found: &Gathered) -> String {
    let of = |outcome| {
        let verdicts = found.all_experiments.iter().filter_map(|experiment| experiment.verdict.as_ref());
        verdicts.filter(|verdict| verdict.outcome == outcome).count()
    };
    let sweeps = counted(found.sweeps.len() as u64, "sweep");
    format!(
        "As of {}: {} ({} confirmed, {} refuted, {} inconclusive), {} and {}. Times are in UTC; losses are in nats per token unless a unit is named.",
        utc_minute(found.made_ms),
        counted(found.all_experiments.len() as u64, "experiment"),
        of(Outcome::Confirmed),
        of(Outcome::Refuted),
        of(Outcome::Inconclusive),
        if found.has_more_sweeps { format!("more than {sweeps}") } else { sweeps },
        counted(found.all_runs, "run"),
    )
}

fn experiments(document: &mut Document, found: &Gathered) {
    document.heading(2, "Hypotheses and verdicts");
    if found.experiments.is_empty() {
        return document.paragraph("No experiment was stated in this project.");
    }
    left_out(document, found.all_experiments.len() - found.experiments.len(), "older experiment");
    for view in &found.experiments {
        experiment(document, view);
    }
}

fn experiment(document: &mut Document, view: &ExperimentView) {
    let (summary, spec) = (&view.summary, &view.summary.spec);
    document.heading(3, format!("Experiment {}: {}", summary.id, spec.title));
    let verdict = match (&summary.verdict, &summary.reason) {
        (Some(verdict), _) => verdict.sentence.clone(),
        (None, Some(reason)) => format!("{}: {reason}", summary.state.word()),
        (None, None) => format!("{}, {}", summary.state.word(), counted(summary.pairs.into(), "pair")),
    };
    let mut facts = vec![
        ("Hypothesis", spec.hypothesis.clone()),
        ("Stated", format!("{} by {}", utc_minute(summary.created_ms), summary.author.name())),
        ("Change", spec.change.phrase()),
        ("Prediction", spec.prediction_phrase()),
        ("Decision rule", rule(spec)),
        ("Verdict", verdict),
    ];
    facts.extend(summary.verdict.as_ref().and_then(|verdict| measured(spec, verdict)).map(|text| ("Measured", text)));
    document.facts(facts);
    let rows = pairs(view);
    if !rows.is_empty() {
        document.table(&["Pair", "Seed", "Baseline", "Variant", "Difference"], rows);
    }
}

/// `smallest effect 0.02 bits/byte, alpha 0.05, 3 to 10 pairs`
fn rule(spec: &ExperimentSpec) -> String {
    let rule = &spec.rule;
    let effect = spec.in_metric(rule.effect);
    format!("smallest effect {effect}, alpha {}, {} to {} pairs", brief(rule.alpha), rule.min_pairs, rule.max_pairs)
}

/// `−0.031 bits/byte, 95 % interval −0.05 to −0.012, 4 pairs`
fn measured(spec: &ExperimentSpec, verdict: &Verdict) -> Option<String> {
    let difference = spec.in_metric(verdict.difference?);
    let interval = verdict.interval.map_or_else(
        || "without an interval".to_owned(),
        |[low, high]| {
            format!("{} % interval {} to {}", brief(100.0 * verdict.level), in_sentence(low), in_sentence(high))
        },
    );
    Some(format!("{difference}, {interval}, {}", counted(verdict.pairs.into(), "pair")))
}

/// The runs of each pair that have a value.
fn pairs(view: &ExperimentView) -> Vec<Vec<String>> {
    let last = view.runs.iter().map(|run| run.pair).max().unwrap_or(0);
    let row = |pair: u32| {
        let of =
            |side: Side| view.runs.iter().rev().find(|run| run.pair == pair && run.side == side && run.value.is_some());
        let (baseline, variant): (&ExperimentRun, &ExperimentRun) = (of(Side::Baseline)?, of(Side::Variant)?);
        let (before, after) = (baseline.value?, variant.value?);
        // All values of a column have the same number of decimals, so that they can be compared.
        let named = |run: &ExperimentRun, value: f64| format!("{value:.4} ({})", run.run);
        Some(vec![
            pair.to_string(),
            baseline.seed.to_string(),
            named(baseline, before),
            named(variant, after),
            format!("{:+.4}", after - before).replace('-', "−"),
        ])
    };
    (1..=last).filter_map(row).collect()
}

fn sweeps(document: &mut Document, found: &Gathered) {
    document.heading(2, "Sweeps");
    if found.sweeps.is_empty() {
        return document.paragraph("No sweep was started in this project.");
    }
    if found.has_more_sweeps {
        document.paragraph(format!("The newest {}, oldest first.", counted(found.sweeps.len() as u64, "sweep")));
    }
    for (sweep, best) in &found.sweeps {
        one_sweep(document, sweep, best);
    }
}

fn one_sweep(document: &mut Document, sweep: &Sweep, best: &[Trial]) {
    let (spec, counts) = (&sweep.spec, &sweep.counts);
    let metric = describe(&spec.metric.name);
    document.heading(3, format!("Sweep {}: {}", sweep.id, spec.name));
    let parameters: Vec<&str> = spec.space.parameters.keys().map(String::as_str).collect();
    let stopping = spec.stopping.as_ref().map_or_else(|| "none".to_owned(), |rule| rule.label());
    document.facts(vec![
        ("Started", format!("{} by {}", utc_minute(sweep.created_ms), sweep.creator)),
        ("Parameters", parameters.join(", ")),
        ("Sampler", format!("{}, early stopping: {stopping}", spec.sampler.label())),
        (
            "Trials",
            format!(
                "{}: {} finished, {} stopped, {} failed",
                sweep.state.label(),
                grouped(counts.finished),
                grouped(counts.stopped),
                grouped(counts.failed)
            ),
        ),
        ("Metric", format!("{}, last value of each trial", metric.label)),
    ]);
    if best.is_empty() {
        return document.paragraph("No trial has finished.");
    }
    let row = |trial: &Trial| {
        let value = trial.last.map_or_else(|| NONE.to_owned(), in_sentence);
        let run = trial.run.as_ref().map_or_else(|| NONE.to_owned(), ToString::to_string);
        vec![trial.number.to_string(), value, point(&trial.point), run]
    };
    document.table(&["Trial, best first", "Value", "Point", "Run"], best.iter().map(row).collect());
}

/// `optimizer.learning_rate = 0.001, seed 2`
fn point(point: &Point) -> String {
    let values = point.values.iter().map(|(name, value)| format!("{name} = {value}"));
    values.chain(point.seed.map(|seed| format!("seed {seed}"))).collect::<Vec<_>>().join(", ")
}

fn runs(document: &mut Document, found: &Gathered) {
    document.heading(2, "Runs");
    if found.runs.is_empty() {
        return document.paragraph("The project has no runs.");
    }
    left_out(document, found.all_runs as usize - found.runs.len(), "older run");
    let heads =
        ["Run", "Id", "State", "Preset", "Dataset", "Steps", "Training loss", "Best validation loss", "Created"];
    document.table(&heads, found.runs.iter().map(run).collect());
}

fn run(run: &RunSummary) -> Vec<String> {
    let loss = |value: Option<f64>| value.map_or_else(|| NONE.to_owned(), |value| format!("{value:.3}"));
    vec![
        run.name.clone(),
        run.id.to_string(),
        run.state.word().to_owned(),
        run.preset.clone(),
        run.corpus.clone(),
        format!("{} of {}", grouped(run.step), grouped(run.steps)),
        loss(run.loss_train),
        loss(run.best_valid),
        utc_minute(run.created_ms),
    ]
}

fn charts(document: &mut Document, found: &Gathered) {
    if found.charts.is_empty() {
        return;
    }
    document.heading(2, "Loss curves");
    if found.charts.len() == CHARTS {
        document.paragraph(format!(
            "At most {CHARTS} runs are shown: the newest with values, and runs of sweeps and experiments after all others."
        ));
    }
    for chart in &found.charts {
        document.figure(chart.draw());
    }
}

fn findings(document: &mut Document, found: &Gathered) {
    document.heading(2, "Findings");
    if found.findings.is_empty() {
        return document.paragraph("The rules found nothing in the runs of this project.");
    }
    if found.has_more_findings {
        document.paragraph(format!("The newest {} findings.", found.findings.len()));
    }
    let row = |entry: &JournalEntry| {
        vec![
            utc_minute(entry.at_ms()),
            entry.subject.name().to_owned(),
            entry.step.map_or_else(|| NONE.to_owned(), grouped),
            entry.author.name().to_owned(),
            entry.text.clone(),
        ]
    };
    document.table(&["Time", "Run", "Step", "Rule", "Finding"], found.findings.iter().map(row).collect());
}

fn calibration(document: &mut Document, found: &Gathered) {
    document.heading(2, "Calibration");
    document.paragraph(
        "How often what was predicted came true. Of a rule: the fraction of correct findings among those that people marked as correct \
         or wrong, with its 95 % interval (Wilson). Of an author of experiments: the Brier score, which is the mean squared \
         difference of the predicted probability and the result; 0 is best, 0.25 is that of 0.5 every time.",
    );
    let rules = &found.calibration.rules;
    if rules.is_empty() {
        document.paragraph("No rule has found anything yet.");
    } else {
        let heads = ["Rule", "Findings", "Correct", "Wrong", "Fraction correct", "False alarms in healthy runs"];
        document.table(&heads, rules.iter().map(rule_score).collect());
    }
    let authors = &found.calibration.authors;
    if authors.is_empty() {
        return document.paragraph("No experiment has a verdict yet.");
    }
    let heads =
        ["Author", "Verdicts", "Confirmed", "Refuted", "Inconclusive", "Brier score", "Prediction within the interval"];
    document.table(&heads, authors.iter().map(author_score).collect());
    for score in authors {
        document.figure(diagram(score));
    }
}

fn rule_score(score: &RuleScore) -> Vec<String> {
    let percent = |fraction: f64| format!("{:.0} %", 100.0 * fraction);
    let fraction = score.fraction.zip(score.interval).map_or_else(
        || NONE.to_owned(),
        |(fraction, [low, high])| format!("{} ({} to {})", percent(fraction), percent(low), percent(high)),
    );
    let measured = score
        .measured
        .map_or_else(|| NONE.to_owned(), |measured| format!("{} of {}", measured.false_alarms, measured.healthy_runs));
    let counts = &score.counts;
    vec![
        counts.label.clone(),
        grouped(counts.findings),
        grouped(counts.correct),
        grouped(counts.wrong),
        fraction,
        measured,
    ]
}

fn author_score(score: &AuthorScore) -> Vec<String> {
    vec![
        score.author.name().to_owned(),
        score.experiments.to_string(),
        score.confirmed.to_string(),
        score.refuted.to_string(),
        score.inconclusive.to_string(),
        number::short(score.brier),
        format!("{} of {}", score.within, score.intervals),
    ]
}

fn diagram(score: &AuthorScore) -> figure::Scene {
    let bin = |bin: &research::experiment::ProbabilityBin| ReliabilityBin {
        predicted: bin.predicted,
        came_true: bin.confirmed,
        count: bin.count,
    };
    let bins: Vec<ReliabilityBin> = score.bins.iter().map(bin).collect();
    reliability(&format!("Predictions of {}", score.author.name()), &bins, DIAGRAM)
}

fn timeline(document: &mut Document, found: &Gathered) {
    document.heading(2, "Timeline");
    if found.entries.is_empty() {
        return document.paragraph("Nothing was recorded yet.");
    }
    if found.has_more_entries {
        document.paragraph(format!("The newest {} entries, oldest first.", found.entries.len()));
    }
    let row = |entry: &JournalEntry| {
        vec![
            utc_minute(entry.at_ms()),
            entry.kind.word().to_owned(),
            entry.subject.name().to_owned(),
            entry.author.name().to_owned(),
            entry.text.clone(),
        ]
    };
    document.table(&["Time", "Kind", "Subject", "Author", "Entry"], found.entries.iter().map(row).collect());
}

/// Says how many older ones a list leaves out.
fn left_out(document: &mut Document, count: usize, noun: &str) {
    if count > 0 {
        document.paragraph(format!("{} left out.", counted(count as u64, noun)));
    }
}
