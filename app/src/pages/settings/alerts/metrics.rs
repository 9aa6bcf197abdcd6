//! Conditions on metrics of all runs, of projects and of single runs.

use leptos::prelude::*;
use wire::series::name;

use crate::components::{AlertConditions, Conditions};
use crate::session::Session;

#[component]
pub(super) fn MetricAlerts() -> impl IntoView {
    let session = expect_context::<Session>();
    let conditions = Conditions::start(None);
    let offered = Signal::stored(name::ALL.map(str::to_owned).to_vec());
    let no_permission = Signal::derive(move || {
        (!session.can_steer())
            .then(|| "Stating a condition needs the role steer in the lab or in a project.".to_owned())
    });
    view! {
        <h3 id="alert-metrics">"Conditions on metrics"</h3>
        <AlertConditions conditions offered no_permission />
    }
}
