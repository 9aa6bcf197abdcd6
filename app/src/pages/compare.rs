//! The Compare page: the losses of several runs in one chart, the verdict on groups of them with their scores on tasks, the difference of two of them,
//! fits over them or over more runs, the tree of their segments, and the differences of their plans. The address names the runs, so that a comparison can be shared.

mod difference;
mod fair;
mod family;
mod fits;
mod groups;
mod lineage;
mod loss_chart;
mod picker;
mod plans;
mod scores;
mod seeds;
mod verdicts;

use std::collections::BTreeMap;

use figure::Colours;
use leptos::prelude::*;
use research::compare::BandPoint;
use wire::RunId;
use wire::series::{Axis, name};

use crate::base::at;
use crate::components::chart::Range;
use crate::components::{Empty, axis_of, axis_word, run_name, shows, visible};
use crate::net::live::Live;
use crate::open_view::{OpenView, PageView};
use crate::route::{Router, compare_path};
use difference::DifferencePanel;
use fair::FairPanel;
use fits::CompareFits;
use groups::Grouping;
use lineage::LineageTree;
use loss_chart::{ChosenRuns, ComparedRuns, LossChart};
use picker::Picker;
use plans::PlanTable;

/// Maximum number of runs in one chart: more cannot be distinguished.
const MAX_RUNS: usize = 16;

/// The compared runs and how they are shown.
#[derive(Clone, Copy)]
struct Choice {
    router: Router,
    /// In the order of the address.
    runs: Memo<Vec<RunId>>,
    /// What else the address has in their place.
    others: Memo<Others>,
    colours: Memo<Colours>,
    /// Names of the runs and of those that they were forked from.
    names: Memo<BTreeMap<RunId, String>>,
    axis: RwSignal<Axis>,
    /// Which loss: `loss.train` or `loss.valid`.
    series: RwSignal<&'static str>,
    is_smooth: RwSignal<bool>,
    /// The groups of the fair comparison.
    grouping: RwSignal<Grouping>,
    /// Id of the first run of the baseline's group; the first group if it is none of them.
    baseline: RwSignal<String>,
    /// What is equal in the fair comparison.
    equal: RwSignal<Axis>,
    /// Range of the validation loss over seeds, once it is known.
    band: RwSignal<Vec<BandPoint>>,
}

impl Choice {
    fn new() -> Self {
        let (router, live) = (expect_context::<Router>(), expect_context::<Live>());
        let named = Memo::new(move |_| named(&router.query("runs").unwrap_or_default()));
        let runs = Memo::new(move |_| named.read().0.clone());
        Self {
            router,
            runs,
            others: Memo::new(move |_| named.read().1.clone()),
            colours: Memo::new(move |_| Colours::of(&runs.read())),
            names: Memo::new(move |_| names(&runs.read(), live)),
            axis: RwSignal::new(Axis::Step),
            series: RwSignal::new(name::TRAIN),
            is_smooth: RwSignal::new(true),
            grouping: RwSignal::new(Grouping::default()),
            baseline: RwSignal::new(String::new()),
            equal: RwSignal::new(Axis::Tokens),
            band: RwSignal::new(vec![]),
        }
    }

    /// The present name of one of the runs, or of the parent of one.
    fn name(self, run: &RunId) -> String {
        self.names.read().get(run).cloned().unwrap_or_else(|| run.to_string())
    }

    /// The selected runs that the lab has and this page may see.
    fn known(self, live: Live) -> Vec<RunId> {
        let (lab, runs) = (live.lab.read(), self.runs.read());
        let is_known = |run: &&RunId| lab.iter().flat_map(|lab| &lab.runs).any(|known| known.id == **run);
        runs.iter().filter(is_known).cloned().collect()
    }

    fn contains(self, run: &RunId) -> bool {
        self.runs.read().contains(run)
    }

    /// Adds runs, as long as there is room. Nothing once the page is closed.
    fn add(self, added: &[RunId]) {
        let Some(mut runs) = self.runs.try_get_untracked() else { return };
        for run in added {
            if runs.len() < MAX_RUNS && !runs.contains(run) {
                runs.push(run.clone());
            }
        }
        self.router.replace(&compare_path(&runs));
    }

    fn toggle(self, run: &RunId) {
        let mut runs = self.runs.get_untracked();
        match runs.iter().position(|chosen| chosen == run) {
            Some(place) => drop(runs.remove(place)),
            None if runs.len() < MAX_RUNS => runs.push(run.clone()),
            None => return,
        }
        self.router.replace(&compare_path(&runs));
    }
}

/// Words of the address in place of runs that are not shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Others {
    /// Words that are no ids of runs.
    words: Vec<String>,
    /// Runs beyond [`MAX_RUNS`].
    beyond: usize,
}

impl Others {
    /// What is not shown and why, as sentences; empty if everything is.
    fn sentences(&self) -> String {
        let words: Vec<String> = self.words.iter().map(|word| format!("“{}”", visible(word))).collect();
        let of_words = match words.as_slice() {
            [] => String::new(),
            [word] => format!("{word} in the address is not the id of a run. "),
            words => format!("{} in the address are not ids of runs. ", words.join(", ")),
        };
        let beyond = match self.beyond {
            0 => String::new(),
            beyond => format!("The address names more than {MAX_RUNS} runs; {beyond} of them are not shown."),
        };
        (of_words + &beyond).trim_end().to_owned()
    }
}

/// The runs that a list in the address names, and what else is in it.
fn named(list: &str) -> (Vec<RunId>, Others) {
    let (mut runs, mut others) = (Vec::<RunId>::new(), Others::default());
    for word in list.split(',').filter(|word| !word.is_empty()) {
        match word.parse() {
            Ok(run) if runs.contains(&run) => {}
            Ok(_) if runs.len() == MAX_RUNS => others.beyond += 1,
            Ok(run) => runs.push(run),
            Err(_) => others.words.push(word.chars().take(80).collect()),
        }
    }
    (runs, others)
}

fn names(runs: &[RunId], live: Live) -> BTreeMap<RunId, String> {
    let lab = live.lab.read();
    let all = lab.iter().flat_map(|lab| &lab.runs).filter(|run| runs.contains(&run.id));
    let parents = all.filter_map(|run| Some(run.parent.as_ref()?.run.clone()));
    runs.iter().cloned().chain(parents).map(|run| (run.clone(), run_name(live, &run))).collect()
}

/// Registers the view of the chart, with which the page is shared and presented.
fn register(choice: Choice, compared: ComparedRuns) {
    let query = move || {
        let runs: Vec<String> = choice.runs.read().iter().map(RunId::to_string).collect();
        let mut parts = vec![format!("runs={}", runs.join(","))];
        parts.extend((choice.series.get() != name::TRAIN).then(|| format!("chart={}", choice.series.get())));
        parts.extend((choice.axis.get() != Axis::Step).then(|| format!("x={}", axis_word(choice.axis.get()))));
        parts.extend((!choice.is_smooth.get()).then(|| "smooth=0".to_owned()));
        let (grouping, baseline, equal) = (choice.grouping.get(), choice.baseline.get(), choice.equal.get());
        parts.extend((grouping != Grouping::default()).then(|| format!("group={}", grouping.word())));
        parts.extend((!baseline.is_empty()).then(|| format!("baseline={baseline}")));
        parts.extend((equal != Axis::Tokens).then(|| format!("equal={}", axis_word(equal))));
        parts.extend(compared.range().map(|range| format!("range={},{}", range.from, range.to)));
        parts.join("&")
    };
    let show = move || {
        let query = |key: &str| untrack(|| choice.router.query(key));
        let series = if query("chart").as_deref() == Some(name::VALID) { name::VALID } else { name::TRAIN };
        choice.series.set(series);
        choice.is_smooth.set(query("smooth").as_deref() != Some("0"));
        choice.grouping.set(Grouping::of(&query("group").unwrap_or_default()));
        choice.baseline.set(query("baseline").unwrap_or_default());
        let equal = query("equal").map_or(Axis::Tokens, |word| axis_of(&word));
        choice.equal.set(if equal == Axis::Step { Axis::Tokens } else { equal });
        compared.show(axis_of(&query("x").unwrap_or_default()), query("range").as_deref().and_then(range_of));
    };
    if untrack(|| {
        ["chart", "x", "smooth", "range", "group", "baseline", "equal"]
            .iter()
            .any(|key| choice.router.query(key).is_some())
    }) {
        show();
    }
    expect_context::<OpenView>().register(PageView {
        query: Signal::derive(query),
        show: Callback::new(move |()| show()),
        step: None,
        crosshair: Some(compared.crosshair()),
    });
}

fn range_of(text: &str) -> Option<Range> {
    let (from, to) = text.split_once(',')?;
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let (from, to) = (number(from)?, number(to)?);
    (from < to).then_some(Range { from, to })
}

#[component]
pub(crate) fn ComparePage() -> impl IntoView {
    let choice = Choice::new();
    provide_context(choice);
    let compared = ComparedRuns::start(choice);
    provide_context(compared);
    register(choice, compared);
    let live = expect_context::<Live>();
    let is_empty = Memo::new(move |_| choice.runs.read().is_empty());
    let has_runs = Memo::new(move |_| {
        live.lab.read().as_ref().is_none_or(|lab| lab.runs.iter().any(|run| run.deleted_ms.is_none()))
    });
    view! {
        <main class="page compare">
            <div class="compare-main stack">
                <h1>"Compare"</h1>
                {shows(move || {
                    let sentences = choice.others.read().sentences();
                    (!sentences.is_empty()).then(|| view! { <p class="small" role="status">{sentences}</p> })
                })}
                {move || if is_empty.get() && !has_runs.get() {
                    view! {
                        <div class="sheet">
                            <Empty title="No runs yet" text="Compare shows the losses of two or more runs in one chart.">
                                <a class="button primary" href=at("/start") title="Configure and start a run">"New run"</a>
                            </Empty>
                        </div>
                    }.into_any()
                } else if is_empty.get() {
                    view! {
                        <div class="sheet">
                            <Empty
                                title="No runs selected"
                                text="Select two or more runs in the list. The page draws their losses in one chart, \
                                      their plans side by side, and their forks as a tree."
                            />
                        </div>
                    }.into_any()
                } else {
                    view! {
                        <LossChart />
                        <ChosenRuns />
                        <FairPanel />
                        <DifferencePanel />
                        <CompareFits />
                        <LineageTree />
                        <PlanTable />
                    }.into_any()
                }}
            </div>
            <Picker />
        </main>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_run_is_said_and_leaves_the_others() {
        let (runs, others) = named("amber-fox,Red Owl,amber-fox,,x_y");
        assert_eq!(runs, ["amber-fox".parse().unwrap()]);
        assert_eq!(others.sentences(), "“Red Owl”, “x_y” in the address are not ids of runs.");
        let many: Vec<String> = (0..MAX_RUNS + 2).map(|number| format!("run-{number}")).collect();
        let (runs, others) = named(&many.join(","));
        assert_eq!((runs.len(), others.beyond), (MAX_RUNS, 2));
        assert!(others.sentences().ends_with("; 2 of them are not shown."));
        assert_eq!(named("").1.sentences(), "");
    }
}
