//! What the Run page shows only when somebody opens it, or for few runs: the findings, the charts of the metrics for diagnosis, the times of operators, the
//! evaluation tasks, the effect of a change with a control run, and the longer forms. One part of the program, loaded when the first of them is shown: with
//! a part for each, the code that they share is divided into so many modules that the page transfers a third more.

use figure::Layout;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

use super::accumulation::AccumulationForm;
use super::control_run::ControlRuns;
use super::diagnosis_charts::DiagnosisCharts;
use super::findings::FindingsPanel;
use super::fork::ForkForm;
use super::mix::MixForm;
use super::note::NoteForm;
use super::operator_table::OperatorTable;
use super::rollback::RollbackForm;
use super::sample::SampleForm;
use super::schedule_editor::ScheduleEditor;
use super::schedule_points::SchedulePoints;
use super::tasks::TasksPanel;
use crate::components::{Skeleton, shows};

/// A view of this part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Findings,
    DiagnosisCharts,
    Accumulation,
    ControlRuns,
    Fork,
    Mix,
    Note,
    Rollback,
    Sample,
    ScheduleEditor,
    /// The points of the edited schedule, over the chart with this layout.
    SchedulePoints(RwSignal<Option<Layout>>),
}

/// Shown in place of a view that could not be loaded.
const MISSING: &str = "This part of the page could not be loaded. The server did not answer, or it was updated after the page was opened. \
                       Reload the page; runs are not affected.";

/// Builds a view.
type Build = fn(Detail) -> AnyView;

#[wasm_split(details, wasm_split_path = ::leptos::wasm_split, fallible)]
fn details_part() -> Result<Build, SplitLoaderError> {
    Ok(|detail| match detail {
        Detail::Findings => view! { <FindingsPanel /> }.into_any(),
        Detail::DiagnosisCharts => view! {
            <DiagnosisCharts />
            <OperatorTable />
            <TasksPanel />
        }
        .into_any(),
        Detail::Accumulation => view! { <AccumulationForm /> }.into_any(),
        Detail::ControlRuns => view! { <ControlRuns /> }.into_any(),
        Detail::Fork => view! { <ForkForm /> }.into_any(),
        Detail::Mix => view! { <MixForm /> }.into_any(),
        Detail::Note => view! { <NoteForm /> }.into_any(),
        Detail::Rollback => view! { <RollbackForm /> }.into_any(),
        Detail::Sample => view! { <SampleForm /> }.into_any(),
        Detail::ScheduleEditor => view! { <ScheduleEditor /> }.into_any(),
        Detail::SchedulePoints(layout) => view! { <SchedulePoints layout /> }.into_any(),
    })
}

/// A view, once the part is loaded.
#[component]
pub(super) fn Loaded(
    detail: Detail,
    /// Whether a placeholder is shown until then.
    #[prop(default = true)]
    has_placeholder: bool,
) -> impl IntoView {
    // `Some(None)`: it could not be loaded.
    let loaded = RwSignal::new(None::<Option<Build>>);
    spawn_local(async move {
        let build = details_part().await.ok();
        loaded.try_set(Some(build));
    });
    shows(move || match loaded.get() {
        None => has_placeholder.then(|| view! { <Skeleton rows=3 /> }).into_any(),
        Some(Some(build)) => build(detail),
        // The editor below the chart says it.
        Some(None) if matches!(detail, Detail::SchedulePoints(_)) => ().into_any(),
        Some(None) => view! { <p class="small" role="alert">{MISSING}</p> }.into_any(),
    })
}
