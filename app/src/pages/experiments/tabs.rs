//! The links between the list of experiments, the research loops and the research journal.

use leptos::prelude::*;

use crate::base::at;
use crate::route::{Route, Router};

#[component]
pub(super) fn Tabs() -> impl IntoView {
    let router = expect_context::<Router>();
    let current = move |route: Route| move || (*router.route.read() == route).then_some("page");
    view! {
        <nav class="tabs research-tabs" aria-label="Research">
            <a
                class="tab"
                href=at("/experiments")
                aria-current=current(Route::Experiments)
                title="Changes tested with pairs of runs"
            >
                "Experiments"
            </a>
            <a
                class="tab"
                href=at("/research")
                aria-current=current(Route::Loops)
                title="Automatic searches for better hyperparameters within a budget"
            >
                "Research loops"
            </a>
            <a
                class="tab"
                href=at("/journal")
                aria-current=current(Route::Journal)
                title="What was believed, predicted, changed, found and concluded in a project"
            >
                "Research journal"
            </a>
        </nav>
    }
}
