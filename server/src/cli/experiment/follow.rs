//! An experiment started on the server, and its journal printed until it no longer runs.

use std::thread::sleep;
use std::time::Duration;

use wire::experiment::ExperimentSpec;
use wire::experiment::record::{ExperimentState, ExperimentView};

use crate::cli::client::{Client, ClientError};
use crate::output;

/// Time between two looks at the experiment.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Starts an experiment, and prints its journal on standard error until it is not running any more.
pub(super) fn start(client: &Client, spec: &ExperimentSpec) -> Result<ExperimentView, ClientError> {
    let mut view: ExperimentView = client.post("/experiments", spec)?;
    let id = view.summary.id;
    output::notice(format_args!("The server continues the experiment {id} even if this command ends."));
    let mut shown = 0;
    loop {
        for event in view.events.iter().filter(|event| event.number > shown) {
            output::notice(&event.text);
        }
        shown = view.events.last().map_or(shown, |event| event.number);
        if view.summary.state != ExperimentState::Running {
            return Ok(view);
        }
        sleep(LOOK_EVERY);
        view = client.get_patiently(&format!("/experiments/{id}"))?;
    }
}
