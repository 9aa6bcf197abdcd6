//! The disk of the server: free space, and what the files of the lab take, by kind and by run.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::disk::{DiskKind, DiskUse, KindUse, RunUse};

use crate::components::number::{ago, bytes, counted};
use crate::components::{Failure, Skeleton, isolated};
use crate::net::api::{self, ApiFailure};
use crate::route::run_path;

/// Runs in the table; the rest is one row.
const RUNS: usize = 10;

/// The section of the page.
#[component]
pub(super) fn Disk() -> impl IntoView {
    let found = RwSignal::new(None::<Result<DiskUse, ApiFailure>>);
    let fetch = move || {
        spawn_local(async move {
            let answer = api::disk().await;
            found.try_set(Some(answer));
        })
    };
    fetch();
    let content = move || match found.get() {
        None => view! { <Skeleton rows=3 class="short" /> }.into_any(),
        Some(Err(failure)) => {
            view! { <Failure what="The disk use could not be measured" failure retry=move |()| fetch() /> }.into_any()
        }
        Some(Ok(disk)) => view! { <Uses disk /> }.into_any(),
    };
    view! {
        <section class="sheet padded stack" aria-labelledby="disk-title">
            <h2 id="disk-title">"Disk"</h2>
            {content}
        </section>
    }
}

#[component]
fn Uses(disk: DiskUse) -> impl IntoView {
    let space = disk.space.map(|space| {
        let used = 100.0 * (1.0 - space.free_bytes as f64 / space.total_bytes.max(1) as f64);
        let text = format!("{} of {} are free", bytes(space.free_bytes), bytes(space.total_bytes));
        view! {
            <p>
                <span class:over=space.is_low()>{text}</span>
                <span class="dim">{format!(" ({used:.0} % of the server's disk is used)")}</span>
            </p>
        }
    });
    let total: u64 = disk.kinds.iter().map(|kind| kind.bytes).sum();
    let kinds = disk.kinds.iter().filter(|kind| kind.bytes > 0).map(kind_row).collect_view();
    let rest: u64 = disk.runs.iter().skip(RUNS).map(RunUse::bytes).sum();
    let others = disk.runs.len().saturating_sub(RUNS);
    let rest = (others > 0).then(|| {
        view! { <tr><td class="dim">{counted(others as u64, "more run")}</td><td></td><td></td><td></td><td class="right">{bytes(rest)}</td></tr> }
    });
    let has_runs = !disk.runs.is_empty();
    let names: Vec<String> = disk.runs.iter().map(|used| used.name.clone()).collect();
    let is_shared = |name: &str| names.iter().filter(|other| *other == name).count() > 1;
    let runs = disk.runs.into_iter().take(RUNS).map(|used| {
        let is_shared = is_shared(&used.name);
        run_row(used, is_shared)
    });
    let runs = runs.collect_view();
    view! {
        {space}
        <div class="scroll">
            <table>
                <caption class="unseen">"Files of the lab by kind"</caption>
                <thead><tr>
                    <th title="What the files are">"Files"</th>
                    <th class="right" title="Size of all files of the kind">"Size"</th>
                </tr></thead>
                <tbody>{kinds}</tbody>
                <tfoot><tr><th scope="row">"All files of the lab"</th><td class="right">{bytes(total)}</td></tr></tfoot>
            </table>
        </div>
        {has_runs.then(|| view! {
            <div class="scroll">
                <table>
                    <caption class="unseen">"Files of the lab by run, largest first"</caption>
                    <thead><tr>
                        <th title="The runs with the largest files; a deleted run keeps its files for a week">"Run"</th>
                        <th class="right" title="Size of its checkpoints: weights and optimizer state">"Checkpoints"</th>
                        <th class="right" title="Size of every point of its metrics">"Metrics"</th>
                        <th class="right" title="Size of its kept inspection results; snapshots without a file are in the database">"Snapshots"</th>
                        <th class="right" title="Size of all its files">"Size"</th>
                    </tr></thead>
                    <tbody>{runs}{rest}</tbody>
                </table>
            </div>
        })}
        <p class="small dim">
            {format!("Measured {}. ", ago(disk.measured_ms as f64))}
            "To free space, delete checkpoints on the page of a run, runs on the Lab page, or datasets on the Data page."
        </p>
    }
}

fn kind_row(used: &KindUse) -> impl IntoView + use<> {
    let (name, meaning) = describe(used.kind);
    view! { <tr><td title=meaning>{name}</td><td class="right">{bytes(used.bytes)}</td></tr> }
}

/// A run; where several have its name, with its id.
fn run_row(used: RunUse, is_shared: bool) -> impl IntoView {
    let id = is_shared.then(|| view! { " "<span class="mono small dim">{used.run.to_string()}</span> });
    let total = bytes(used.bytes());
    view! {
        <tr>
            <td><a href=run_path(&used.run) title="Open the run">{isolated(&used.name)}</a>{id}</td>
            <td class="right">{bytes(used.checkpoint_bytes)}</td>
            <td class="right">{bytes(used.metric_bytes)}</td>
            <td class="right">{bytes(used.snapshot_bytes)}</td>
            <td class="right">{total}</td>
        </tr>
    }
}

/// Name and tooltip of a kind of files.
fn describe(kind: DiskKind) -> (&'static str, &'static str) {
    match kind {
        DiskKind::Checkpoints => ("Checkpoints", "Weights and optimizer state of runs"),
        DiskKind::Datasets => ("Datasets", "Text, tokens and tokenizers"),
        DiskKind::Metrics => ("Metrics", "Every point of every metric"),
        DiskKind::Snapshots => ("Snapshots", "Kept inspection results"),
        DiskKind::Database => ("Database", "Journals, runs, access tokens, and snapshots that have no file yet"),
        DiskKind::Spool => (
            "Worker data not stored yet",
            "Metrics and events of this machine's workers that the server has not stored yet",
        ),
        DiskKind::Incoming => ("Incoming files", "Uploads and downloads that are not complete"),
    }
}
