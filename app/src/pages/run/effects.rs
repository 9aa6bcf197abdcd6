//! Where the effect of a change is shown: few runs have a control run, so [`super::control_run`] is loaded for those.

use leptos::prelude::*;

use super::RunContext;
use super::control_run::is_control_run;
use super::details::{Detail, Loaded};
use crate::components::shows;
use crate::net::live::Live;

/// The panel; nothing while there is no control run.
#[component]
pub(super) fn EffectOfChanges() -> impl IntoView {
    let (context, live) = (expect_context::<RunContext>(), expect_context::<Live>());
    let has_any = Memo::new(move |_| {
        let id = context.id();
        live.lab.read().iter().flat_map(|lab| &lab.runs).any(|run| is_control_run(run, &id))
    });
    shows(move || has_any.get().then(|| view! { <Loaded detail=Detail::ControlRuns /> }))
}
