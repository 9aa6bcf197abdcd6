//! The charts of the metrics that diagnosis reads, below the small charts. They are closed at first: their code is a part of the program of
//! its own, and it and their series are loaded when they are first opened.

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

use super::RunContext;
use super::diagnosis_charts::DiagnosisCharts;
use crate::components::{Skeleton, shows};

/// Builds the charts.
type Build = fn(()) -> AnyView;

#[wasm_split(diagnosis, wasm_split_path = ::leptos::wasm_split, fallible)]
fn diagnosis_part() -> Result<Build, SplitLoaderError> {
    Ok(|()| view! { <DiagnosisCharts /> }.into_any())
}

/// The button that opens the charts, and the charts.
#[component]
pub(super) fn MoreCharts() -> impl IntoView {
    let is_open = expect_context::<RunContext>().has_more_charts;
    // `Some(None)`: it could not be loaded.
    let loaded = RwSignal::new(None::<Option<Build>>);
    let toggle = move |_| {
        is_open.update(|open| *open = !*open);
        if is_open.get_untracked() && !matches!(loaded.get_untracked(), Some(Some(_))) {
            loaded.set(None);
            spawn_local(async move {
                let build = diagnosis_part().await.ok();
                loaded.try_set(Some(build));
            });
        }
    };
    let content = move || match (is_open.get(), loaded.get()) {
        (false, _) => ().into_any(),
        (true, None) => view! { <Skeleton rows=3 /> }.into_any(),
        (true, Some(Some(build))) => build(()),
        (true, Some(None)) => view! {
            <p role="alert">"The charts could not be loaded. Reload the page: the server may have been updated."</p>
        }
        .into_any(),
    };
    view! {
        <div class="more-charts">
            <button
                class="quiet"
                aria-expanded=move || is_open.get().to_string()
                title="Attention entropy, largest attention scores, dead neurons, duplicate windows, gradient noise scale"
                on:click=toggle
            >
                {move || if is_open.get() { "Hide metrics for diagnosis" } else { "Show metrics for diagnosis" }}
            </button>
            {shows(content)}
        </div>
    }
}
