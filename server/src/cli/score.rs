//! `kindling score`: scores a checkpoint on a task, in a separate process. Reads one request as JSON from standard input and writes the result to
//! standard output.

use std::io::{self, Read, Write};
use std::path::Path;

use clap::Args;
use engine::EngineError;
use engine::optim::checkpoint;
use engine::task::TaskModel;
use wire::ApiErrorBody;
use wire::task::MAX_FILE_BYTES;
use wire::task::result::TaskResult;

use super::data::DataArgs;
use super::subprocess::{Refused, lower_priority, refusal};
use crate::runs::completion::checkpoints_dir;
use crate::runs::scoring::process::ScoreRequest;

const EXAMPLES: &str = "\
Examples:
  Score a checkpoint by the request in a file, which has run, checkpoint and task:
    kindling score < request.json";

/// Longest request, bytes: a task, in which JSON escapes at most some characters.
const REQUEST_BYTES: u64 = 2 * MAX_FILE_BYTES;

/// Scores a checkpoint on a task: reads one request as JSON from standard input and prints the result.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ScoreArgs {
    #[command(flatten)]
    data: DataArgs,
}

impl ScoreArgs {
    /// Answers one request.
    ///
    /// # Errors
    /// The request was refused; what was printed says why, as JSON.
    pub fn run(self) -> Result<(), Refused> {
        lower_priority();
        let result = score(&self.data.folder, io::stdin().lock());
        let bytes = match &result {
            Ok(result) => serde_json::to_vec(result),
            Err(error) => serde_json::to_vec(error),
        };
        let mut out = io::stdout().lock();
        // An error here means that the reader has closed its end.
        let _ = out.write_all(&bytes.unwrap_or_default()).and_then(|()| out.flush());
        result.map(drop).map_err(|_| Refused)
    }
}

fn score(data: &Path, request: impl Read) -> Result<TaskResult, ApiErrorBody> {
    let ScoreRequest { run, checkpoint, task } = serde_json::from_reader(request.take(REQUEST_BYTES))
        .map_err(|source| refusal("body_invalid", source, "GET /api/v1/openapi.json describes a task"))?;
    let damaged = |source: EngineError| refusal("checkpoint_damaged", source, "choose another checkpoint");
    let folder = checkpoints_dir(data, &run).join(checkpoint.to_string());
    let saved = checkpoint::open(&folder).map_err(damaged)?;
    let model = TaskModel::open(&saved, &data.join("corpora")).map_err(|error| match error {
        EngineError::Data(source) => {
            refusal("text_missing", source, "the tokenizer was made from the run's dataset: add that dataset again")
        }
        other => damaged(other),
    })?;
    model.score(&task).map_err(|error| match error {
        EngineError::Task(source) => ApiErrorBody {
            field: Some("task".into()),
            ..refusal("task_invalid", source, "change the task, or score another run")
        },
        other => refusal("internal", other, "the server's log may contain more details"),
    })
}
