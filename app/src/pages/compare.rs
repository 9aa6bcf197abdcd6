//! Compare: runs over each other on any axis, what differs in their plans, how far two of them are apart, and the tree of stretches
//! that they come from. Which runs is in the address, so that a comparison can be sent to someone.

mod apart;
mod colours;
mod curves;
mod family;
mod picker;
mod plans;
mod plot;
mod tree;

use leptos::prelude::*;
use wire::RunId;
use wire::series::{Axis, name};

use crate::parts::Empty;
use crate::route::{Router, compare_path};
use apart::Apart;
use colours::Colours;
use curves::{Bench, ChosenRuns, LossPlot};
use picker::Picker;
use plans::PlanTable;
use tree::Tree;

/// Most runs over each other; more cannot be told apart.
const MOST: usize = 16;

/// Which runs, and how they are looked at.
#[derive(Clone, Copy)]
struct Choice {
    router: Router,
    /// In the order of the address.
    runs: Memo<Vec<RunId>>,
    colours: Memo<Colours>,
    axis: RwSignal<Axis>,
    /// Which loss: `loss.train` or `loss.valid`.
    series: RwSignal<&'static str>,
    is_smooth: RwSignal<bool>,
}

impl Choice {
    fn new() -> Self {
        let router = expect_context::<Router>();
        let runs = Memo::new(move |_| {
            let mut runs: Vec<RunId> = vec![];
            for run in router.query("runs").unwrap_or_default().split(',').filter_map(|run| run.parse().ok()) {
                if runs.len() < MOST && !runs.contains(&run) {
                    runs.push(run);
                }
            }
            runs
        });
        Self {
            router,
            runs,
            colours: Memo::new(move |_| Colours::of(&runs.read())),
            axis: RwSignal::new(Axis::Step),
            series: RwSignal::new(name::TRAIN),
            is_smooth: RwSignal::new(true),
        }
    }

    fn holds(self, run: &RunId) -> bool {
        self.runs.read().contains(run)
    }

    fn turn(self, run: &RunId) {
        let mut runs = self.runs.get_untracked();
        match runs.iter().position(|chosen| chosen == run) {
            Some(place) => drop(runs.remove(place)),
            None if runs.len() < MOST => runs.push(run.clone()),
            None => return,
        }
        self.router.say(&compare_path(&runs));
    }
}

/// The page.
#[component]
pub(crate) fn ComparePage() -> impl IntoView {
    let choice = Choice::new();
    provide_context(choice);
    let bench = Bench::start(choice);
    provide_context(bench);
    let is_empty = Memo::new(move |_| choice.runs.read().is_empty());
    view! {
        <main class="page compare">
            <div class="compare-main stack">
                <h1>"Compare"</h1>
                {move || if is_empty.get() {
                    view! {
                        <div class="sheet"><Empty title="No run chosen" text="Choose two or more runs from the list: their losses are laid over each other, their plans side by side, and their common past is drawn as a tree." /></div>
                    }.into_any()
                } else {
                    view! {
                        <LossPlot />
                        <ChosenRuns />
                        <Apart />
                        <Tree />
                        <PlanTable />
                    }.into_any()
                }}
            </div>
            <Picker />
        </main>
    }
}
