//! Health for load balancers, and metrics for Prometheus. [`device`]: those of the devices.

mod device;

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use wire::RunState;

use crate::auth::Viewer;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::clock::now_ms;
use crate::workers::telemetry::overview;

/// Whether the server and its store answer.
pub async fn health(State(lab): State<Lab>) -> Response {
    match lab.store().tokens().await {
        Ok(_) => (StatusCode::OK, "ok\n").into_response(),
        Err(error) => {
            tracing::error!("the store does not answer: {error}");
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response()
        }
    }
}

/// Metrics in Prometheus' text format.
pub async fn metrics(_: Viewer, State(lab): State<Lab>) -> Result<Response, ApiError> {
    let runs = lab.store().runs(false).await?;
    let mut text = Text::default();
    text.family("kindling_uptime_seconds", "gauge", "Seconds since this server started.");
    text.value("", lab.started.elapsed().as_secs_f64());
    text.family("kindling_runs", "gauge", "Runs by state.");
    use RunState::{Failed, Finished, Lost, Paused, Queued, Running, Starting, Stopped, Suspended};
    for state in [Queued, Starting, Running, Paused, Suspended, Finished, Stopped, Failed, Lost] {
        let count = runs.iter().filter(|run| run.state == state).count();
        text.value(&format!("{{state=\"{}\"}}", format!("{state:?}").to_lowercase()), count as f64);
    }
    let live: Vec<_> = runs.iter().filter(|run| run.state.is_live()).collect();
    for (name, help, value) in [
        (
            "kindling_run_step",
            "Steps done by a run that is being trained.",
            (|run| Some(run.step as f64)) as fn(&wire::RunSummary) -> Option<f64>,
        ),
        ("kindling_run_loss_nats", "Last training loss, nats per token.", |run| run.loss_train),
        ("kindling_run_valid_loss_nats", "Last validation loss, nats per token.", |run| run.loss_valid),
        ("kindling_run_tokens_per_second", "Training speed, tokens per second.", |run| run.tokens_per_sec),
    ] {
        text.family(name, "gauge", help);
        live.iter()
            .filter_map(|run| Some((run, value(run)?)))
            .for_each(|(run, value)| text.value(&format!("{{run=\"{}\"}}", run.id), value));
    }
    text.family("kindling_device_connected", "gauge", "1 for a device whose worker is connected.");
    for device in lab.workers.fleet.views() {
        text.value(&format!("{{device=\"{}\"}}", device.info.id), f64::from(u8::from(device.is_connected)));
    }
    device::write(&mut text, &overview::state(&lab.workers).await?, now_ms());
    text.family("kindling_worker_memory_bytes", "gauge", "Resident memory of a device's worker.");
    for device in lab.workers.fleet.views() {
        text.value(&format!("{{device=\"{}\"}}", device.info.id), device.load.process_bytes as f64);
    }
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.text).into_response())
}

/// The text, which grows by families of values.
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
