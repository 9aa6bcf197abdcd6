//! Jobs of the server: downloads, imports, tokenization.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::project::DEFAULT_PROJECT;
use wire::data::corpus::{Job, JobState};

use super::number::{bytes, short};
use super::{Icon, Progress, Toasts, visible};
use crate::net::api;
use crate::net::live::Live;
use crate::session::Session;

/// Number of running jobs; their results are fetched again when it decreases.
pub(crate) fn running_jobs() -> Memo<usize> {
    let live = expect_context::<Live>();
    Memo::new(move |_| {
        live.lab.read().iter().flat_map(|lab| &lab.jobs).filter(|job| job.state == JobState::Running).count()
    })
}

/// Failed jobs that are not listed any more, in the context of all components.
#[derive(Clone, Copy)]
pub(crate) struct DismissedJobs(RwSignal<Vec<u64>>);

impl DismissedJobs {
    /// None.
    pub(crate) fn new() -> Self {
        Self(RwSignal::new(vec![]))
    }
}

/// The jobs that are running or have failed; the result of a finished job is shown by itself.
#[component]
pub(crate) fn JobList() -> impl IntoView {
    let (live, dismissed) = (expect_context::<Live>(), expect_context::<DismissedJobs>());
    let (session, toasts) = (expect_context::<Session>(), expect_context::<Toasts>());
    let jobs = Memo::new(move |_| {
        let lab = live.lab.read();
        let dismissed = dismissed.0.read();
        let is_listed = |job: &&Job| job.state != JobState::Done && !dismissed.contains(&job.id);
        lab.iter().flat_map(|lab| &lab.jobs).filter(is_listed).cloned().collect::<Vec<Job>>()
    });
    view! {
        <Show when=move || !jobs.read().is_empty()>
            <section class="stack" aria-labelledby="jobs-title">
                <h2 id="jobs-title">"Server jobs"</h2>
                <ul class="sheet jobs">{move || {
                    let can_cancel = |job: &Job| session.can_steer_in(job.project.as_deref().unwrap_or(DEFAULT_PROJECT)).then_some(toasts);
                    jobs.get().iter().rev().map(|job| job_line(job, dismissed, can_cancel(job))).collect_view()
                }}</ul>
            </section>
        </Show>
    }
}

fn job_line(job: &Job, dismissed: DismissedJobs, can_cancel: Option<Toasts>) -> AnyView {
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
    let (id, is_failed) = (job.id, job.state == JobState::Failed);
    let title = visible(&if is_failed { failed_title(&job.title) } else { job.title.clone() }).into_owned();
    let dismiss = is_failed.then(|| {
        view! {
            <button
                class="quiet icon-only"
                aria-label=format!("Dismiss: {title}")
                title="Remove this message from the list"
                on:click=move |_| dismissed.0.update(|ids| ids.push(id))
            >
                <Icon name="close" />
            </button>
        }
    });
    let cancel = can_cancel.filter(|_| job.state == JobState::Running).map(|toasts| {
        let cancel = move |_| {
            spawn_local(async move {
                if let Err(failure) = api::hub::cancel(id).await {
                    toasts.fail("The job was not cancelled", &failure);
                }
            });
        };
        view! {
            <button
                class="quiet icon-only"
                aria-label=format!("Cancel: {title}")
                title="Cancel this job"
                on:click=cancel
            >
                <Icon name="close" />
            </button>
        }
    });
    view! { <li><div class="row"><p class="grow">{title.clone()}</p>{dismiss}{cancel}</div>{status}</li> }.into_any()
}

/// The title of a failed job: "Import of tales failed" for "Importing tales".
fn failed_title(title: &str) -> String {
    let nouns = [("Importing ", "Import of "), ("Downloading ", "Download of "), ("Tokenizing ", "Tokenization of ")];
    let named = nouns.into_iter().find_map(|(verb, noun)| Some(format!("{noun}{}", title.strip_prefix(verb)?)));
    format!("{} failed", named.unwrap_or_else(|| title.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::failed_title;

    #[test]
    fn a_failed_job_is_not_in_progress() {
        for (title, expected) in [
            ("Importing bin", "Import of bin failed"),
            ("Tokenizing tales with char", "Tokenization of tales with char failed"),
            ("Cleaning", "Cleaning failed"),
        ] {
            assert_eq!(failed_title(title), expected);
        }
    }
}
