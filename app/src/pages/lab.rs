//! The Lab page: all runs, the devices, and the jobs of the server. Everything comes from one live message.

mod actions;
mod devices;
mod first_run;
mod import;
mod row;

use leptos::prelude::*;
use wire::{RunId, RunSummary};

use crate::components::{Empty, JobList, RunSearch, Skeleton, matches};
use crate::net::live::Live;
use crate::route::compare_path;
use devices::DeviceList;
use first_run::FirstRun;
use import::ImportRun;
use row::RunRow;

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
        (Self::Archived, "Archived", "Runs that were archived. Nothing of them is deleted."),
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

/// The runs that are selected for a comparison.
#[derive(Clone, Copy)]
struct Picked(RwSignal<Vec<RunId>>);

#[component]
pub(crate) fn LabPage() -> impl IntoView {
    let picked = Picked(RwSignal::new(vec![]));
    provide_context(picked);
    let live = expect_context::<Live>();
    let filter = RwSignal::new(Filter::Active);
    let search = RwSignal::new(String::new());
    let count = move |of: Filter| {
        live.lab.read().as_ref().map_or(0, |lab| lab.runs.iter().filter(|run| Filter::of(run) == of).count())
    };
    let shown = Memo::new(move |_| {
        let (lab, search) = (live.lab.read(), search.read());
        let runs = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
        runs.iter()
            .filter(|run| Filter::of(run) == filter.get() && matches(run, &search))
            .map(|run| run.id.clone())
            .collect::<Vec<RunId>>()
    });
    // 0: loading, 1: no run at all, 2: none here, 3: some.
    let stage = Memo::new(move |_| match live.lab.read().as_ref() {
        None => 0,
        Some(lab) if lab.runs.is_empty() => 1,
        Some(_) if shown.read().is_empty() => 2,
        Some(_) => 3,
    });
    view! {
        <main class="page lab">
            <section class="stack" aria-labelledby="runs-title">
                <div class="row lab-head">
                    <h1 id="runs-title">"Runs"</h1>
                    {move || (picked.0.read().len() > 1).then(|| view! {
                        <a
                            class="button"
                            href=compare_path(&*picked.0.read())
                            title="Opens the losses of the selected runs in one chart, with the differences of their plans"
                        >
                            {format!("Compare {}", picked.0.read().len())}
                        </a>
                    })}
                    <Show when=move || { stage.get() > 1 }>
                        <div class="tabs" role="group" aria-label="Filter runs">
                            {Filter::ALL.map(|(of, word, meaning)| view! {
                                <button
                                    class="tab"
                                    title=meaning
                                    aria-pressed=move || (filter.get() == of).to_string()
                                    on:click=move |_| filter.set(of)
                                >
                                    {word}<span class="dim">{move || count(of)}</span>
                                </button>
                            })}
                        </div>
                        <RunSearch search />
                    </Show>
                </div>
                {move || match stage.get() {
                    0 => view! { <Skeleton rows=5 /> }.into_any(),
                    1 => view! { <FirstRun /> }.into_any(),
                    2 => view! { <NoRuns filter search /> }.into_any(),
                    _ => view! { <RunTable shown /> }.into_any(),
                }}
            </section>
            <aside class="stack" aria-label="Devices, jobs and import">
                <DeviceList />
                <JobList />
                <ImportRun />
            </aside>
        </main>
    }
}

#[component]
fn RunTable(shown: Memo<Vec<RunId>>) -> impl IntoView {
    view! {
        <div class="sheet">
            <table class="runs">
                <thead>
                    <tr>
                        <th scope="col" title="State of the run">"State"</th>
                        <th scope="col" title="Name, dataset, preset and number of parameters">"Run"</th>
                        <th scope="col" title="Training loss over steps">"Loss"</th>
                        <th scope="col" class="right" title="Training loss of the last step">
                            "Train loss"
                            <span class="unit">"nats/token"</span>
                        </th>
                        <th scope="col" class="right" title="Validation loss of the last evaluation">
                            "Val loss"
                            <span class="unit">"nats/token"</span>
                        </th>
                        <th scope="col" title="Trained steps / planned steps">
                            "Progress"
                            <span class="unit">"steps"</span>
                        </th>
                        <th scope="col" title="Device that trains the run">"Device"</th>
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
    let text = move || match (search.read().trim().is_empty(), filter.get()) {
        (false, _) => {
            format!("No runs match \"{}\". Searched: name, state, preset, dataset, device.", search.read().trim())
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
