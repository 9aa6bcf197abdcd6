//! Health for probes and numbers for Prometheus.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use wire::RunState;

use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::auth::Viewer;

/// Whether the server answers and its store does, too.
pub async fn health(State(state): State<AppState>) -> Response {
    match state.store.tokens().await {
        Ok(_) => (StatusCode::OK, "ok\n").into_response(),
        Err(error) => {
            tracing::error!("the store does not answer: {error}");
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response()
        }
    }
}

/// Numbers in Prometheus' text form.
pub async fn metrics(_: Viewer, State(state): State<AppState>) -> Result<Response, ApiError> {
    let runs = state.store.runs(false).await.map_err(|source| ApiError::internal("listing the runs", source))?;
    let mut text = Text::default();
    text.family("kindling_uptime_seconds", "gauge", "Seconds since this server started.");
    text.value("", state.started.elapsed().as_secs_f64());
    text.family("kindling_runs", "gauge", "Runs by state.");
    use RunState::{Failed, Finished, Lost, Paused, Queued, Running, Starting, Stopped};
    for stands in [Queued, Starting, Running, Paused, Finished, Stopped, Failed, Lost] {
        let count = runs.iter().filter(|run| run.state == stands).count();
        text.value(&format!("{{state=\"{}\"}}", format!("{stands:?}").to_lowercase()), count as f64);
    }
    let live: Vec<_> = runs.iter().filter(|run| run.state.is_live()).collect();
    for (name, help, value) in [
        (
            "kindling_run_step",
            "Steps done by a run at work.",
            (|run| Some(run.step as f64)) as fn(&wire::RunSummary) -> Option<f64>,
        ),
        ("kindling_run_loss_nats", "Its last training loss, nats per token.", |run| run.loss_train),
        ("kindling_run_valid_loss_nats", "Its last validation loss, nats per token.", |run| run.loss_valid),
        ("kindling_run_tokens_per_second", "Its speed.", |run| run.tokens_per_sec),
    ] {
        text.family(name, "gauge", help);
        live.iter()
            .filter_map(|run| Some((run, value(run)?)))
            .for_each(|(run, value)| text.value(&format!("{{run=\"{}\"}}", run.id), value));
    }
    text.family("kindling_device_connected", "gauge", "1 for a device whose worker is connected.");
    for device in state.fleet.views() {
        text.value(&format!("{{device=\"{}\"}}", device.info.id), f64::from(u8::from(device.is_connected)));
    }
    text.family("kindling_worker_memory_bytes", "gauge", "Resident memory of a device's worker.");
    for device in state.fleet.views() {
        text.value(&format!("{{device=\"{}\"}}", device.info.id), device.load.process_bytes as f64);
    }
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.text).into_response())
}

/// Text that grows by families of values.
#[derive(Default)]
struct Text {
    text: String,
    family: &'static str,
}

impl Text {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.family = name;
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, labels: &str, value: f64) {
        let _ = writeln!(self.text, "{}{labels} {value}", self.family);
    }
}
