//! Jobs of the server: downloads, imports, tokenization.

use leptos::prelude::*;
use wire::data::corpus::{Job, JobState};

use super::Progress;
use super::number::{bytes, short};
use crate::net::live::Live;

/// Number of running jobs; their results are fetched again when it decreases.
pub(crate) fn running_jobs() -> Memo<usize> {
    let live = expect_context::<Live>();
    Memo::new(move |_| {
        live.lab.read().iter().flat_map(|lab| &lab.jobs).filter(|job| job.state == JobState::Running).count()
    })
}

/// The jobs that are running or have failed; the result of a finished job is shown by itself.
#[component]
pub(crate) fn JobList() -> impl IntoView {
    let live = expect_context::<Live>();
    let jobs = Memo::new(move |_| {
        let lab = live.lab.read();
        lab.iter().flat_map(|lab| &lab.jobs).filter(|job| job.state != JobState::Done).cloned().collect::<Vec<Job>>()
    });
    view! {
        <Show when=move || !jobs.read().is_empty()>
            <section class="stack" aria-labelledby="jobs-title">
                <h2 id="jobs-title">"Server jobs"</h2>
                <ul class="sheet jobs">{move || jobs.get().iter().rev().map(job_line).collect_view()}</ul>
            </section>
        </Show>
    }
}

fn job_line(job: &Job) -> AnyView {
    let amount =
        |value: u64| if job.unit == "bytes" { bytes(value) } else { format!("{} {}", short(value as f64), job.unit) };
    let progress = match job.total {
        Some(total) => format!("{} of {}", amount(job.done), amount(total)),
        None => amount(job.done),
    };
    let share = job.total.map(|total| job.done as f64 / total.max(1) as f64);
    let status = match job.state {
        JobState::Running => {
            view! { <Progress share=share label=job.title.clone() is_live=true /><p class="small dim">{progress}</p> }
                .into_any()
        }
        JobState::Done => view! { <p class="small dim">"done"</p> }.into_any(),
        JobState::Failed => {
            view! { <p class="small over">{job.message.clone().unwrap_or_else(|| "failed".into())}</p> }.into_any()
        }
    };
    view! { <li><p>{job.title.clone()}</p>{status}</li> }.into_any()
}
