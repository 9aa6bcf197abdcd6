//! Limits of projects: a project that has reached that of its runs at once or of its device hours starts no run, and one that has reached
//! that of its disk gets no run and no dataset.

use std::collections::HashMap;

use store::ProjectRecord;
use wire::access::ProjectLimits;

use super::Lab;
use crate::error::ApiError;

/// The limit that a project has reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reached {
    /// As many runs train as may at once.
    Runs(u32),
    /// All device hours are used.
    Hours(f64),
}

/// The projects that start no further run, with the limit that each has reached.
///
/// # Errors
/// An error of the store.
pub async fn full_projects(lab: &Lab) -> Result<HashMap<String, Reached>, ApiError> {
    let projects = lab.store().projects().await?.into_iter();
    Ok(projects.filter_map(|project| Some((project.name.clone(), reached(&project)?))).collect())
}

fn reached(project: &ProjectRecord) -> Option<Reached> {
    let ProjectLimits { runs_at_once, device_hours, .. } = project.limits;
    let hours = device_hours.filter(|most| project.elapsed_secs >= most * 3600.0);
    let runs = runs_at_once.filter(|most| project.training >= *most);
    hours.map(Reached::Hours).or(runs.map(Reached::Runs))
}

/// Checks that limits can be limits.
///
/// # Errors
/// 422.
pub fn check(limits: &ProjectLimits) -> Result<(), ApiError> {
    match limits.device_hours {
        Some(hours) if !hours.is_finite() || hours < 0.0 => {
            let message = format!("the device hours must be 0 or more; got {hours}");
            Err(ApiError::invalid("limit_invalid", message).field("device_hours"))
        }
        _ => Ok(()),
    }
}

/// Checks that a project may get another run or dataset.
///
/// # Errors
/// 409 where its files take more than its limit; an error of the store.
pub async fn check_disk(lab: &Lab, project: &str) -> Result<(), ApiError> {
    let Some(most) = lab.store().project(project).await?.limits.disk_bytes else { return Ok(()) };
    let used = disk_uses(lab).await?.get(project).copied().unwrap_or(0);
    if used < most {
        return Ok(());
    }
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let message = format!(
        "the files of the project {project} take {:.1} GB, and its limit is {:.1} GB",
        gigabytes(used),
        gigabytes(most)
    );
    Err(ApiError::conflict("disk_limit", message)
        .field("project")
        .hint("delete checkpoints, runs or datasets of the project, or ask an admin for a higher limit"))
}

/// The files of the runs and datasets of each project, bytes, measured at most a minute ago.
///
/// # Errors
/// An error of the store; the measurement was interrupted.
pub async fn disk_uses(lab: &Lab) -> Result<HashMap<String, u64>, ApiError> {
    let runs = lab.store().runs(true).await?;
    let project_of: HashMap<_, _> = runs.iter().map(|run| (run.id.clone(), run.project.clone())).collect();
    let (uses, datasets) = lab.disk_uses.with_datasets(&lab.settings.data, runs).await?;
    let mut bytes: HashMap<String, u64> = HashMap::new();
    for used in &uses.runs {
        if let Some(project) = project_of.get(&used.run) {
            *bytes.entry(project.clone()).or_default() += used.bytes();
        }
    }
    for (dataset, project) in lab.store().dataset_projects().await? {
        *bytes.entry(project).or_default() += datasets.get(&dataset).copied().unwrap_or(0);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_reached_when_it_is_used_up() {
        let project = |training, hours: f64, limits| ProjectRecord {
            name: "vision".into(),
            created_ms: 0,
            limits,
            runs: 9,
            training,
            elapsed_secs: hours * 3600.0,
        };
        let two_runs = ProjectLimits { runs_at_once: Some(2), ..ProjectLimits::default() };
        let ten_hours = ProjectLimits { device_hours: Some(10.0), ..two_runs };
        for (training, hours, limits, expected) in [
            (9, 1e9, ProjectLimits::default(), None),
            (1, 0.0, two_runs, None),
            (2, 0.0, two_runs, Some(Reached::Runs(2))),
            (0, 9.9, ten_hours, None),
            (2, 10.0, ten_hours, Some(Reached::Hours(10.0))),
        ] {
            assert_eq!(reached(&project(training, hours, limits)), expected);
        }
        assert!(check(&ProjectLimits { device_hours: Some(-1.0), ..two_runs }).is_err());
    }
}
