//! The Lab page: all runs, the devices, and the jobs of the server. A few runs come from one live message; many are a [`table`] with search,
//! filters, columns and pages.

mod actions;
mod devices;
mod first_run;
mod import;
mod project_filter;
mod row;
mod selection;
mod table;
mod tags;

use leptos::prelude::*;
use wire::run::table::Deleted;
use wire::{RunId, RunSummary};

use crate::components::{Empty, JobList, RunSearch, Skeleton, matches};
use crate::net::live::Live;
use crate::projects::Projects;
use crate::route::{Router, compare_path};
use crate::session::Session;
use devices::DeviceList;
use first_run::FirstRun;
use import::ImportRun;
use project_filter::ProjectFilter;
use row::RunRow;
use selection::Selection;
use table::{RunBrowser, TableState};
use tags::TagFilter;

/// From this many runs on, the list has tools: below, everything is seen at once.
const MANY: u64 = 8;

/// The filter of the list of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    Active,
    Archived,
    Deleted,
}

impl Filter {
    const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Active, "Active", "Runs that are neither archived nor deleted"),
        (Self::Archived, "Archived", "Archived runs. None of their data is deleted."),
        (Self::Deleted, "Deleted", "Deleted runs, which can be restored for 7 days"),
    ];

    fn of(run: &RunSummary) -> Self {
        match run {
            RunSummary { deleted_ms: Some(_), .. } => Self::Deleted,
            RunSummary { is_archived: true, .. } => Self::Archived,
            _ => Self::Active,
        }
    }
}

#[component]
pub(crate) fn LabPage() -> impl IntoView {
    provide_context(Selection::new());
    let (live, session) = (expect_context::<Live>(), expect_context::<Session>());
    let is_many = Memo::new(move |_| live.lab.read().as_ref().map(|lab| lab.counts.total() >= MANY));
    view! {
        <main class="page lab" class:many=move || is_many.get() == Some(true)>
            <section class="stack" aria-labelledby="runs-title">
                {move || match is_many.get() {
                    None => view! { <h1 id="runs-title">"Runs"</h1><Skeleton rows=5 /> }.into_any(),
                    Some(false) => view! { <FewRuns /> }.into_any(),
                    Some(true) => view! { <ManyRuns /> }.into_any(),
                }}
            </section>
            <aside class="stack" aria-label="Devices, jobs and import">
                <Show when=move || session.is_member()><DeviceList /></Show>
                <JobList />
                <ImportRun />
            </aside>
        </main>
    }
}

/// The table of many runs, with its lists.
#[component]
fn ManyRuns() -> impl IntoView {
    let table = TableState::start();
    provide_context(table);
    provide_context(TagFilter(Callback::new(move |tag| table.change(|query| query.tag = Some(tag)))));
    let live = expect_context::<Live>();
    let counts = move || live.lab.read().as_ref().map(|lab| lab.counts).unwrap_or_default();
    let count = move |of: Filter| match of {
        Filter::Active => counts().active,
        Filter::Archived => counts().archived,
        Filter::Deleted => counts().deleted,
    };
    let filter = Signal::derive(move || {
        let query = table.query.read();
        match (query.deleted, query.archived) {
            (Some(Deleted::Only), _) => Filter::Deleted,
            (_, Some(true)) => Filter::Archived,
            _ => Filter::Active,
        }
    });
    let choose = move |of: Filter| {
        table.change(|query| {
            (query.archived, query.deleted) = match of {
                Filter::Active => (Some(false), None),
                Filter::Archived => (Some(true), None),
                Filter::Deleted => (None, Some(Deleted::Only)),
            };
        });
    };
    view! {
        <div class="row lab-head">
            <h1 id="runs-title">"Runs"</h1>
            <FilterTabs filter choose count />
        </div>
        <RunBrowser />
    }
}

/// The lists: active, archived and deleted runs, with their numbers.
#[component]
fn FilterTabs(
    filter: Signal<Filter>,
    choose: impl Fn(Filter) + Copy + 'static,
    count: impl Fn(Filter) -> u64 + Copy + Send + 'static,
) -> impl IntoView {
    view! {
        <div class="tabs" role="group" aria-label="Filter runs">
            {Filter::ALL.map(|(of, word, meaning)| view! {
                <button
                    class="tab"
                    title=meaning
                    aria-pressed=move || (filter.get() == of).to_string()
                    on:click=move |_| choose(of)
                >
                    {word}<span class="dim">{move || count(of)}</span>
                </button>
            })}
        </div>
    }
}

/// All runs in one list.
#[component]
fn FewRuns() -> impl IntoView {
    let picked = expect_context::<Selection>().runs;
    let (live, projects) = (expect_context::<Live>(), expect_context::<Projects>());
    // A link to the runs of a project names it in the address.
    if let Some(project) = untrack(|| expect_context::<Router>().query("project")) {
        projects.chosen.set(Some(project));
    }
    let filter = RwSignal::new(Filter::Active);
    let search = RwSignal::new(String::new());
    provide_context(TagFilter(Callback::new(move |tag| search.set(format!("tag:{tag}")))));
    let count = move |of: Filter| {
        live.lab.read().as_ref().map_or(0, |lab| lab.runs.iter().filter(|run| Filter::of(run) == of).count() as u64)
    };
    let by_health = RwSignal::new(false);
    let shown = Memo::new(move |_| {
        let (lab, search, project) = (live.lab.read(), search.read(), projects.shown());
        let runs = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
        let is_in_project = |run: &RunSummary| project.as_ref().is_none_or(|project| run.project == *project);
        let is_shown =
            |run: &&RunSummary| Filter::of(run) == filter.get() && is_in_project(run) && matches(run, &search);
        let mut runs: Vec<&RunSummary> = runs.iter().filter(is_shown).collect();
        if by_health.get() {
            // Stable: runs of equal urgency stay newest first.
            runs.sort_by_key(|run| std::cmp::Reverse(run.health.urgency()));
        }
        runs.into_iter().map(|run| run.id.clone()).collect::<Vec<RunId>>()
    });
    // 1: no run at all, 2: none here, 3: some.
    let stage = Memo::new(move |_| match live.lab.read().as_ref() {
        None => 1,
        Some(lab) if lab.runs.is_empty() => 1,
        Some(_) if shown.read().is_empty() => 2,
        Some(_) => 3,
    });
    view! {
        <div class="row lab-head">
            <h1 id="runs-title">"Runs"</h1>
            {move || (picked.read().len() > 1).then(|| view! {
                <a
                    class="button"
                    href=compare_path(&*picked.read())
                    title="Open the losses of the selected runs in one chart, with the differences of their plans"
                >
                    {format!("Compare {} runs", picked.read().len())}
                </a>
            })}
            <Show when=move || { stage.get() > 1 }>
                <FilterTabs filter=Signal::derive(move || filter.get()) choose=move |of| filter.set(of) count />
                <ProjectFilter choose=move |project| projects.chosen.set(project) />
                <RunSearch search />
            </Show>
        </div>
        {move || match stage.get() {
            1 => view! { <FirstRun /> }.into_any(),
            2 => view! { <NoRuns filter search /> }.into_any(),
            _ => view! { <RunTable shown by_health /> }.into_any(),
        }}
    }
}

#[component]
fn RunTable(shown: Memo<Vec<RunId>>, by_health: RwSignal<bool>) -> impl IntoView {
    let listed = expect_context::<Selection>().listed;
    let projects = expect_context::<Projects>();
    Effect::new(move |_| listed.set(shown.get()));
    view! {
        <div class="sheet">
            <table class="runs">
                <thead>
                    <tr>
                        <th scope="col" title="State of the run">"State"</th>
                        <th scope="col" aria-sort=move || by_health.get().then_some("descending")>
                            <button
                                class="quiet sort"
                                title="What the rules found in the run. Press to list the runs with alerts first, then those with notes."
                                on:click=move |_| by_health.update(|is_on| *is_on = !*is_on)
                            >
                                "Health"<span aria-hidden="true">{move || by_health.get().then_some(" ↓")}</span>
                            </button>
                        </th>
                        <th scope="col" title="Name, dataset, preset and number of parameters">"Run"</th>
                        <th scope="col" title="Training loss over steps">"Loss"</th>
                        <th scope="col" class="right" title="Training loss of the last step">
                            "Train loss"
                            <span class="unit">" nats/token"</span>
                        </th>
                        <th scope="col" class="right" title="Validation loss of the last evaluation">
                            "Val loss"
                            <span class="unit">" nats/token"</span>
                        </th>
                        <th scope="col" title="Trained steps / planned steps">
                            "Progress"
                            <span class="unit">" steps"</span>
                        </th>
                        <th scope="col" title="Device that trains the run">"Device"</th>
                        {move || projects.are_several().then(|| view! {
                            <th scope="col" title="Project that the run belongs to">"Project"</th>
                        })}
                        <th scope="col" title="Running: time left and end. Queued: position in the queue. Ended: training time and end.">"Time"</th>
                        <th scope="col"><span class="unseen">"Actions"</span></th>
                    </tr>
                </thead>
                <tbody>
                    <For each=move || shown.get() key=Clone::clone let(id)>
                        <RunRow id />
                    </For>
                </tbody>
            </table>
        </div>
    }
}

#[component]
fn NoRuns(filter: RwSignal<Filter>, search: RwSignal<String>) -> impl IntoView {
    let projects = expect_context::<Projects>();
    let text = move || match (search.read().trim().is_empty(), filter.get()) {
        (true, _) if projects.shown().is_some() => {
            format!("The project {} has no runs in this list.", projects.shown().unwrap_or_default())
        }
        (false, _) => {
            format!("No runs match \"{}\". Searched: name, state, preset, dataset, device, tags.", search.read().trim())
        }
        (true, Filter::Active) => "No active runs. The other runs are under Archived and Deleted.".to_owned(),
        (true, Filter::Archived) => "Archive a run to hide it from the active runs. Nothing is deleted.".to_owned(),
        (true, Filter::Deleted) => "Deleted runs stay here for 7 days and can be restored.".to_owned(),
    };
    view! {
        <div class="sheet">
            {move || view! { <Empty title="No runs" text=text() /> }}
        </div>
    }
}
