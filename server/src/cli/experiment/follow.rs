//! An experiment started on the server, and its journal printed until it goes on no more.

use std::thread::sleep;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::Response;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE};
use wire::ApiErrorBody;
use wire::experiment::ExperimentSpec;
use wire::experiment::record::{ExperimentState, ExperimentView};

use super::ExperimentError;

/// Time between two looks at the experiment.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks without an answer before the command gives up: the server may be restarted meanwhile.
const SILENT_LOOKS: u32 = 120;

/// Starts an experiment, and prints its journal on standard error until it is not running any more.
pub(super) fn start(url: &str, bearer: &str, spec: &ExperimentSpec) -> Result<ExperimentView, ExperimentError> {
    let agent: Agent = Agent::config_builder().http_status_as_error(false).build().into();
    let request = agent.post(format!("{url}/api/v1/experiments")).header(AUTHORIZATION, bearer);
    let body = serde_json::to_vec(spec)?;
    let created = request.header(CONTENT_TYPE, "application/json").send(&body[..]);
    let mut view: ExperimentView = answer(url, created)?;
    let id = view.summary.id;
    eprintln!("The server leads the experiment {id} also if this command is ended.");
    let (mut shown, mut silent) = (0, 0);
    loop {
        for event in view.events.iter().filter(|event| event.number > shown) {
            eprintln!("{}", event.text);
        }
        shown = view.events.last().map_or(shown, |event| event.number);
        if view.summary.state != ExperimentState::Running {
            return Ok(view);
        }
        sleep(LOOK_EVERY);
        match answer(url, agent.get(format!("{url}/api/v1/experiments/{id}")).header(AUTHORIZATION, bearer).call()) {
            Ok(found) => (view, silent) = (found, 0),
            Err(ExperimentError::Server { .. }) if silent < SILENT_LOOKS => silent += 1,
            Err(error) => return Err(error),
        }
    }
}

fn answer<T: DeserializeOwned>(
    url: &str,
    response: Result<Response<ureq::Body>, ureq::Error>,
) -> Result<T, ExperimentError> {
    let unreachable = |source: ureq::Error| ExperimentError::Server { url: url.to_owned(), source: source.into() };
    let mut response = response.map_err(unreachable)?;
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string().map_err(unreachable)?;
    match status {
        200 | 201 => Ok(serde_json::from_str(&text)?),
        _ => Err(ExperimentError::Refused { url: url.to_owned(), status, message: refusal(text) }),
    }
}

/// The field, the message and the hint of an error of the server; a proxy in between may have sent something else.
fn refusal(text: String) -> String {
    let Ok(ApiErrorBody { message, field, hint, .. }) = serde_json::from_str(&text) else { return text };
    let field = field.map(|field| format!("{field}: ")).unwrap_or_default();
    let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("{field}{message}{hint}")
}
