//! The Lab: every run in one line, the devices that train them, and long work on the server. All from one live message.

mod actions;
mod devices;
mod first;
mod row;

use leptos::prelude::*;
use wire::{RunId, RunSummary};

use crate::live::Live;
use crate::parts::{Empty, JobList, RunSearch, Skeleton, matches};
use crate::route::compare_path;
use devices::DeviceList;
use first::FirstRun;
use row::RunRow;

/// Which runs are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shelf {
    Active,
    Archived,
    Deleted,
}

impl Shelf {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Active, "Active"), (Self::Archived, "Archived"), (Self::Deleted, "Deleted")];

    fn of(run: &RunSummary) -> Self {
        match run {
            RunSummary { deleted_ms: Some(_), .. } => Self::Deleted,
            RunSummary { is_archived: true, .. } => Self::Archived,
            _ => Self::Active,
        }
    }
}

/// Runs picked to be compared.
#[derive(Clone, Copy)]
struct Picked(RwSignal<Vec<RunId>>);

/// The page.
#[component]
pub(crate) fn LabPage() -> impl IntoView {
    let picked = Picked(RwSignal::new(vec![]));
    provide_context(picked);
    let live = expect_context::<Live>();
    let shelf = RwSignal::new(Shelf::Active);
    let search = RwSignal::new(String::new());
    let count = move |of: Shelf| {
        live.lab.read().as_ref().map_or(0, |lab| lab.runs.iter().filter(|run| Shelf::of(run) == of).count())
    };
    let shown = Memo::new(move |_| {
        let (lab, search) = (live.lab.read(), search.read());
        let runs = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
        runs.iter()
            .filter(|run| Shelf::of(run) == shelf.get() && matches(run, &search))
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
                        <a class="button" href=compare_path(&*picked.0.read()) title="Their losses over each other, their plans, their lineage">{format!("Compare {}", picked.0.read().len())}</a>
                    })}
                    <Show when=move || { stage.get() > 1 }>
                        <div class="tabs" role="group" aria-label="Which runs">
                            {Shelf::ALL.map(|(of, word)| view! {
                                <button class="tab" aria-pressed=move || (shelf.get() == of).to_string() on:click=move |_| shelf.set(of)>
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
                    2 => view! { <NoneHere shelf search /> }.into_any(),
                    _ => view! { <RunTable shown /> }.into_any(),
                }}
            </section>
            <aside class="stack" aria-label="Devices and work">
                <DeviceList />
                <JobList />
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
                        <th scope="col">"State"</th>
                        <th scope="col">"Run"</th>
                        <th scope="col">"Loss over steps"</th>
                        <th scope="col" class="right">"Train"<span class="unit">" nats"</span></th>
                        <th scope="col" class="right">"Valid"<span class="unit">" nats"</span></th>
                        <th scope="col">"Progress"<span class="unit">" steps"</span></th>
                        <th scope="col">"Device"</th>
                        <th scope="col">"Time"</th>
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
fn NoneHere(shelf: RwSignal<Shelf>, search: RwSignal<String>) -> impl IntoView {
    let text = move || match (search.read().trim().is_empty(), shelf.get()) {
        (false, _) => "No run here matches the search. Names, states, presets, texts and devices are searched.",
        (true, Shelf::Active) => "Every run has been put away. Archived and deleted ones are a tab away.",
        (true, Shelf::Archived) => "Runs you put away to keep the list short will stand here.",
        (true, Shelf::Deleted) => "Deleted runs stay here for a while and can be brought back.",
    };
    view! {
        <div class="sheet">
            {move || view! { <Empty title="None here" text=text() /> }}
        </div>
    }
}
