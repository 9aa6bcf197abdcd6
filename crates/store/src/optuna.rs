//! Studies of Optuna as sweeps whose trials have ended. The sweep is stopped, so nothing of it trains; its trials have no runs.
//!
//! A parameter with the name of a hyperparameter, and values that it accepts, keeps its name; others are called `imported.NAME`.
//! [`ranges`] reads their ranges.

mod ranges;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use wire::RunSpec;
use wire::number::grouped;
use wire::sweep::record::{DecisionKind, Sweep, SweepState, Trial, TrialState};
use wire::sweep::sampler::SamplerKind;
use wire::sweep::space::{Point, Space};
use wire::sweep::spec::{Direction, MAX_TRIALS, Metric, SweepSpec};

use crate::access::{Creator, check_project};
use crate::clock::now_ms;
use crate::database::optuna::{PointRow, StudyError, StudyRows, TrialRow, read};
use crate::database::{self, commit};
use crate::error::StoreError;
use crate::store::Store;
use crate::sweep_records::{NewDecision, NewSweep};
use crate::sweeps::sweep_in;
use ranges::Ranges;

/// Time within which a file has to be read.
const WITHIN: Duration = Duration::from_secs(60);
/// Name of a metric that Optuna does not name.
const OBJECTIVE: &str = "objective";
/// Longest name of a sweep, characters.
const NAME_CHARS: usize = 60;
/// Studies that an error names.
const NAMED: usize = 10;

/// A study as it is stored.
struct Study {
    spec: SweepSpec,
    /// Trials, each with the values that curves show: step and value, where a lower value is better.
    trials: Vec<(Trial, Vec<(u64, f64)>)>,
    message: String,
}

impl Store {
    /// Imports the study of this name, or the only one of a SQLite file of Optuna 4, as a stopped sweep. The file is not written to.
    ///
    /// # Errors
    /// [`StoreError::InvalidImport`] with what is wrong with the file; [`StoreError::UnknownProject`].
    pub async fn import_study(
        &self,
        file: &Path,
        wanted: Option<&str>,
        project: &str,
        creator: Creator<'_>,
    ) -> Result<Sweep, StoreError> {
        let reading = read(file, wanted, MAX_TRIALS as usize, Instant::now() + 2 * WITHIN);
        let reading = tokio::time::timeout(WITHIN, reading);
        let rows = match reading.await {
            Ok(rows) => rows.map_err(|error| invalid(in_words(error, wanted)))?,
            Err(_) => return Err(invalid("it could not be read within a minute".to_owned())),
        };
        let Study { mut spec, trials, message } = study(rows).map_err(invalid)?;
        spec.base = RunSpec { project: Some(project.to_owned()), ..RunSpec::default() };
        let sentence = format!("{} imported the sweep. {message}", creator.name);
        let new = NewSweep {
            spec,
            project: project.to_owned(),
            trials: trials.len() as u64,
            creator: creator.name.to_owned(),
            person: creator.person,
            token: creator.token,
            created_ms: now_ms(),
        };
        let mut transaction = self.database().write().await?;
        check_project(&mut transaction, project).await?;
        let id = database::sweeps::insert(&mut transaction, &new).await?;
        for (trial, kept) in &trials {
            database::trials::insert_ended(&mut transaction, id, trial, kept).await?;
        }
        let ended_ms = Some(new.created_ms);
        database::sweeps::change(&mut transaction, id, SweepState::Stopped, Some(&message), new.trials, ended_ms)
            .await?;
        let decision = NewDecision::about_sweep(DecisionKind::Command, creator.name, sentence);
        database::sweeps::decide(&mut transaction, id, None, &decision, new.created_ms).await?;
        let sweep = sweep_in(&mut transaction, id).await?;
        commit(transaction).await?;
        Ok(sweep)
    }
}

fn invalid(message: String) -> StoreError {
    StoreError::InvalidImport { what: "the Optuna study".to_owned(), message }
}

fn in_words(error: StudyError, wanted: Option<&str>) -> String {
    match error {
        StudyError::Sqlite(source) => {
            format!(
                "the file cannot be read as a SQLite database of Optuna ({source}); give the FILE in its URL sqlite:///FILE"
            )
        }
        StudyError::Table(name) => format!("the file has no plain table {name} as in files of Optuna"),
        StudyError::Texts => {
            "its texts are larger than a file may be, so the file is damaged; copy it with sqlite3 FILE .recover"
                .to_owned()
        }
        StudyError::Schema(found) => {
            let found = found.map_or_else(|| "no version".to_owned(), |found| format!("version {found}"));
            format!(
                "the file has {found} of Optuna's schema, but this program reads version 12; run \
                 `optuna storage upgrade --storage sqlite:///FILE` with Optuna 4"
            )
        }
        StudyError::Study(names) if names.is_empty() => "the file has no study".to_owned(),
        StudyError::Study(names) => {
            let listed: Vec<String> = names.iter().take(NAMED).map(|name| format!("{:?}", cut(name))).collect();
            let more = if names.len() > NAMED { format!(" and {} more", names.len() - NAMED) } else { String::new() };
            let found = match wanted {
                Some(wanted) => format!("the file has no study {:?}", cut(wanted)),
                None => format!("the file has {} studies", grouped(names.len() as u64)),
            };
            format!("{found}; name one of {}{more}", listed.join(", "))
        }
    }
}

fn cut(name: &str) -> String {
    name.chars().filter(|char| !char.is_control()).take(NAME_CHARS).collect()
}

/// The sweep of a study.
///
/// # Errors
/// Why this study cannot become a sweep, in words.
fn study(rows: StudyRows) -> Result<Study, String> {
    let StudyRows { name, directions, metric_names, trials, parameters, points } = rows;
    let direction = match directions.as_slice() {
        [one] if one == "MINIMIZE" => Direction::Lower,
        [one] if one == "MAXIMIZE" => Direction::Higher,
        [_] => return Err("its direction is not set".to_owned()),
        several => return Err(format!("it has {} objectives, but a sweep compares one", several.len())),
    };
    if trials.len() as u64 > MAX_TRIALS {
        return Err(format!("it has more trials than a sweep may have, {}", grouped(MAX_TRIALS)));
    }
    let ranges = Ranges::new(&parameters)?;
    let mut values: BTreeMap<i64, Point> = BTreeMap::new();
    for row in &parameters {
        let (name, value) = ranges.value(row)?;
        values.entry(row.trial).or_default().values.insert(name, value);
    }
    let mut curves: BTreeMap<i64, Vec<PointRow>> = BTreeMap::new();
    for point in points.into_iter().filter(|point| point.value.is_finite()) {
        curves.entry(point.trial).or_default().push(point);
    }
    let (all, shown) = (trials.len(), cut(&name));
    let ended = trials.into_iter().filter_map(|row| {
        let point = values.remove(&row.id).unwrap_or_default();
        let curve = curves.remove(&row.id).unwrap_or_default();
        trial(&row, point, &curve, direction)
    });
    let trials: Vec<(Trial, Vec<(u64, f64)>)> = ended.collect();
    if trials.is_empty() {
        return Err(format!("the study {shown:?} has no trial that has ended"));
    }
    if trials.windows(2).any(|pair| pair[0].0.number == pair[1].0.number) {
        return Err(format!("the study {shown:?} has two trials with the same number"));
    }
    let left_out = match all - trials.len() {
        0 => String::new(),
        count => format!(" Trials that had not ended were left out: {}.", grouped(count as u64)),
    };
    let source = format!("Optuna study {shown:?}");
    let message = format!("Imported from the {source}.{left_out}");
    let spec = SweepSpec {
        name: if shown.trim().is_empty() { "Optuna study".to_owned() } else { shown },
        base: RunSpec::default(),
        space: Space { parameters: ranges.parameters(), ..Space::default() },
        sampler: SamplerKind::Random,
        seed: 1,
        trials: Some(trials.len() as u64),
        seeds_per_point: 1,
        at_once: 1,
        metric: Metric { name: metric_name(metric_names.as_deref()), direction },
        stopping: None,
        stop_on_alerts: false,
        priority: None,
        imported_from: Some(source),
    };
    spec.check().map_err(|error| error.to_string())?;
    Ok(Study { spec, trials, message })
}

/// The name of the objective, if it can be that of a metric.
fn metric_name(names: Option<&str>) -> String {
    let names: Vec<String> = names.and_then(|names| serde_json::from_str(names).ok()).unwrap_or_default();
    let usable = |name: &String| !name.is_empty() && name.chars().count() <= NAME_CHARS && !name.starts_with("eval/");
    let first = names.into_iter().next().filter(usable);
    first.filter(|name| !name.chars().any(char::is_control)).unwrap_or_else(|| OBJECTIVE.to_owned())
}

/// A trial that has ended, with the values of its curve; `None` for one that has not.
fn trial(row: &TrialRow, point: Point, curve: &[PointRow], direction: Direction) -> Option<(Trial, Vec<(u64, f64)>)> {
    let last = row.value.filter(|value| value.is_finite()).or_else(|| curve.last().map(|point| point.value));
    let (state, reason) = match (row.state.as_str(), row.value) {
        ("COMPLETE", Some(value)) if value.is_finite() => (TrialState::Finished, None),
        ("COMPLETE", _) => (TrialState::Failed, Some("Its value is not finite.")),
        ("PRUNED", _) => (TrialState::Stopped, Some("Optuna pruned it.")),
        ("FAIL", _) => (TrialState::Failed, Some("It failed in Optuna.")),
        _ => return None,
    };
    let ends = curve.first().map(|point| match direction {
        Direction::Lower => point.smallest,
        Direction::Higher => point.largest,
    });
    let best = last.into_iter().chain(ends.filter(|end| end.is_finite())).reduce(|a, b| direction.better(a, b));
    let created_ms = row.started_ms.unwrap_or(0);
    let trial = Trial {
        number: u64::try_from(row.number).ok()?,
        point,
        run: None,
        attempt: 1,
        state,
        last,
        last_step: curve.last().map(|point| point.step as u64),
        best,
        reason: reason.map(str::to_owned),
        is_exempt: false,
        created_ms,
        ended_ms: Some(row.ended_ms.unwrap_or(created_ms)),
    };
    let kept = curve.iter().map(|point| (point.step as u64, direction.as_lower_is_better(point.value))).collect();
    Some((trial, kept))
}
