//! Tasks of a lab, and the scores of its runs on them, as the API has them.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /tasks` | all [`TaskInfo`]s, the built-in tasks first |
//! | `POST /tasks` | adds a [`Task`](super::Task) and answers its [`TaskInfo`] |
//! | `GET /runs/{id}/tasks` | the [`RunTasks`] of a run |
//! | `PUT /runs/{id}/tasks` | replaces its [`TaskSchedule`]s |
//! | `POST /runs/{id}/scores` | requests the score of a checkpoint by a [`NewScore`] |

use serde::{Deserialize, Serialize};

use super::result::TaskResult;
use super::{TaskKind, TaskName};
use crate::CheckpointId;
use crate::error::{ApiErrorBody, PlanError};

/// A task without its items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskInfo {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: TaskName,
    /// What it measures, in a sentence; may be empty.
    pub about: String,
    pub kind: TaskKind,
    /// Number of items.
    pub items: u64,
    /// Whether it is a part of the program. It cannot be deleted.
    pub is_built_in: bool,
}

/// A request to score a checkpoint of a run on a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewScore {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub task: TaskName,
    /// The checkpoint; the newest by default.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub checkpoint: Option<CheckpointId>,
}

/// A task on which the checkpoints of a run are scored: those that are saved already, and each new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TaskSchedule {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub task: TaskName,
    /// Checkpoints whose step is a multiple of this are scored, and those that are saved when the run ends or is suspended; 1 for all.
    pub every: u64,
}

/// Maximum number of tasks in the schedules of a run.
const SCHEDULES: usize = 20;
/// Largest interval of a schedule, steps.
pub const MAX_EVERY: u64 = 1_000_000_000;

/// Checks the schedules of a run, apart from whether their tasks exist.
///
/// # Errors
/// The field `task` or `every`: too many tasks, one that is given twice, an interval out of range.
pub fn check_schedules(schedules: &[TaskSchedule]) -> Result<(), PlanError> {
    if schedules.len() > SCHEDULES {
        let message = format!("{} tasks were given; give at most {SCHEDULES}", schedules.len());
        return Err(PlanError::new("task", message));
    }
    for (at, TaskSchedule { task, every }) in schedules.iter().enumerate() {
        if !(1..=MAX_EVERY).contains(every) {
            let message = format!("the interval of {task} must be 1 to {MAX_EVERY} steps; got {every}");
            return Err(PlanError::new("every", message));
        }
        if schedules[..at].iter().any(|other| other.task == *task) {
            return Err(PlanError::new("task", format!("{task} is given twice")));
        }
    }
    Ok(())
}

/// The tasks of a run: scores, those that are being computed, and those that failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunTasks {
    /// Every task of the lab.
    pub tasks: Vec<TaskInfo>,
    /// Tasks on which the checkpoints are scored.
    pub schedules: Vec<TaskSchedule>,
    /// Scores by task, segment and step.
    pub results: Vec<StoredResult>,
    /// Scores that wait or are being computed, in order.
    pub waiting: Vec<WaitingScore>,
    /// Scores that failed since the start of the server, and were not repeated since.
    pub failed: Vec<FailedScore>,
}

/// A score that is stored with its run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoredResult {
    /// Checkpoint of the run that was scored.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub checkpoint: CheckpointId,
    /// Time of the score, ms since 1970.
    pub at_ms: i64,
    pub result: TaskResult,
}

/// A score that waits or is being computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaitingScore {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub task: TaskName,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub checkpoint: CheckpointId,
    /// Whether it is being computed.
    pub is_running: bool,
}

/// A score that could not be computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FailedScore {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub task: TaskName,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub checkpoint: CheckpointId,
    pub at_ms: i64,
    pub error: ApiErrorBody,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_name_each_task_once_with_an_interval_in_range() {
        let check = |tasks: &[(&str, u64)], field: Option<&str>| {
            let schedule = |(task, every): &(&str, u64)| TaskSchedule { task: task.parse().unwrap(), every: *every };
            let schedules: Vec<TaskSchedule> = tasks.iter().map(schedule).collect();
            assert_eq!(check_schedules(&schedules).err().map(|error| error.field).as_deref(), field, "{tasks:?}");
        };
        check(&[], None);
        check(&[("a", 1), ("b", MAX_EVERY)], None);
        check(&[("a", 0)], Some("every"));
        check(&[("a", MAX_EVERY + 1)], Some("every"));
        check(&[("a", 1), ("a", 2)], Some("task"));
        let names: Vec<String> = (0..21).map(|at| format!("t{at}")).collect();
        check(&names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>(), Some("task"));
    }
}
