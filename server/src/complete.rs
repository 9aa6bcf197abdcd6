//! Texts completed by a checkpoint. Each is written by a process of its own ([`writer`]), so that no model lives in the server and one
//! that is too large takes only itself; whoever goes away takes their process along.

pub mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as Stream;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wire::ApiErrorBody;
use wire::complete::{CompleteAsk, CompleteLine};

use crate::apart;
use crate::api_error::{ApiError, Body};
use crate::app_state::AppState;
use crate::auth::Viewer;
use crate::runs;

/// Texts written at once; each has a model in memory.
const AT_ONCE: usize = 4;
/// A model that takes longer to load than this is given up.
const FIRST_LINE_WITHIN: Duration = Duration::from_secs(120);

/// Seats for those who write.
#[derive(Clone)]
pub struct Seats(Arc<Semaphore>);

impl Default for Seats {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Seats {
    /// A seat, given back when it is dropped.
    ///
    /// # Errors
    /// All are taken.
    pub fn take(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        self.0.clone().try_acquire_owned().map_err(|_| {
            let message = format!("{AT_ONCE} texts are being written already");
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "busy", message).hint("try again when one of them is done")
        })
    }
}

/// Completes a prompt with a checkpoint of a run: one JSON line for each token as it is drawn, and a last one that says how it ended.
#[utoipa::path(post, path = "/complete", tag = "runs", request_body = CompleteAsk,
    responses((status = 200, description = "JSON lines.", content_type = "application/x-ndjson", body = CompleteLine),
        (status = 404, description = "No such run or checkpoint.", body = ApiErrorBody), (status = 422, body = ApiErrorBody),
        (status = 429, description = "Too many texts are being written.", body = ApiErrorBody)))]
pub async fn complete(
    _: Viewer,
    State(state): State<AppState>,
    Body(ask): Body<CompleteAsk>,
) -> Result<Response, ApiError> {
    ask.check().map_err(|(field, message)| ApiError::invalid("value_invalid", message).field(field))?;
    let ask = resolve(&state, ask).await?;
    let seat = state.seats.take()?;
    let mut pen = Pen::start(&state.settings.data, &ask, seat).await?;
    let first = pen.first_line().await?;
    let lines = stream::unfold((Some(first), pen), |(waiting, mut pen)| async move {
        let line = match waiting {
            Some(line) => line,
            None => pen.next_line().await?,
        };
        Some((Ok::<_, io::Error>(line), (None, pen)))
    });
    let headers = [(CONTENT_TYPE, "application/x-ndjson"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Stream::from_stream(lines)).into_response())
}

/// A run that has no checkpoint of its own yet writes with the one it was forked from.
async fn resolve(state: &AppState, ask: CompleteAsk) -> Result<CompleteAsk, ApiError> {
    runs::summary(state, &ask.run).await?;
    let folder = writer::folder(&state.settings.data, &ask.run);
    if let Some(checkpoint) = ask.checkpoint {
        return match folder.join(checkpoint.to_string()).is_dir() {
            true => Ok(ask),
            false => Err(no_checkpoint(format!("{} has no checkpoint {checkpoint}", ask.run)).field("checkpoint")),
        };
    }
    if !writer::listed(&folder).is_empty() {
        return Ok(ask);
    }
    let view = state.store.run(&ask.run).await.map_err(|source| runs::store_error(&ask.run, source))?;
    let origin = view.and_then(|view| view.plan.origin).map(|origin| origin.from);
    let Some(from) = origin else { return Err(no_checkpoint(format!("{} has no checkpoint yet", ask.run))) };
    Ok(CompleteAsk { run: from.run, checkpoint: Some(from.checkpoint), ..ask })
}

pub(crate) fn no_checkpoint(message: String) -> ApiError {
    ApiError::not_found(message)
        .hint("GET .../checkpoints lists them; POST .../commands {\"kind\": \"checkpoint\"} takes one")
}

/// A process that writes. Dropped, it is killed and its seat is free.
struct Pen {
    lines: Lines<BufReader<ChildStdout>>,
    is_over: bool,
    _process: Child,
    _seat: OwnedSemaphorePermit,
}

impl Pen {
    async fn start(data: &Path, ask: &CompleteAsk, seat: OwnedSemaphorePermit) -> Result<Self, ApiError> {
        let mut process = apart::ask(&["complete"], data, ask).await?;
        let output = process.stdout.take();
        let output = output.ok_or_else(|| ApiError::internal("starting a process that writes", "it has no pipes"))?;
        Ok(Self { lines: BufReader::new(output).lines(), is_over: false, _process: process, _seat: seat })
    }

    /// The first line, or the refusal that it is.
    async fn first_line(&mut self) -> Result<String, ApiError> {
        let line = tokio::time::timeout(FIRST_LINE_WITHIN, self.next_line()).await;
        let late = || format!("no token after {} s", FIRST_LINE_WITHIN.as_secs());
        let line = line.map_err(|_| ApiError::internal("loading the checkpoint", late()))?;
        let line = line.unwrap_or_default();
        match serde_json::from_str(&line) {
            Ok(CompleteLine::Failed { error }) => {
                let mut refusal = ApiError::new(status_of(&error.code), &error.code, "");
                *refusal.body = error;
                Err(refusal)
            }
            _ => Ok(line),
        }
    }

    /// The next line with its end; a process that went silent is given a last one.
    async fn next_line(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        let line = self.lines.next_line().await.ok().flatten().unwrap_or_else(broken_off);
        self.is_over = !line.starts_with("{\"token\"");
        Some(line + "\n")
    }
}

fn broken_off() -> String {
    let error = ApiErrorBody {
        code: "internal".into(),
        message: "the process that wrote this text has died".into(),
        field: None,
        hint: Some("too little memory is the usual cause; the server's log may say more".into()),
    };
    serde_json::to_string(&CompleteLine::Failed { error }).unwrap_or_default()
}

pub(crate) fn status_of(code: &str) -> StatusCode {
    match code {
        "not_found" => StatusCode::NOT_FOUND,
        "checkpoint_damaged" | "text_missing" => StatusCode::CONFLICT,
        "prompt_unknown" | "look_invalid" | "value_invalid" | "body_invalid" => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
