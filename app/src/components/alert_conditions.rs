//! Conditions on metrics that raise alerts: those of one run on its page, and those of the lab and its projects under Settings. Each has a list
//! and a form.

mod form;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunId;
use wire::alert::ConditionView;

use super::{Failure, Skeleton, Toasts, clicks, isolated, shows};
use crate::net::api::{self, ApiFailure};
use crate::session::Session;
use form::ConditionForm;

/// The conditions that hold for a run, or all that this person may see.
#[derive(Clone, Copy)]
pub(crate) struct Conditions {
    /// The run for which they hold; `None` for all.
    run: StoredValue<Option<RunId>>,
    found: RwSignal<Option<Result<Vec<ConditionView>, ApiFailure>>>,
    /// The series of the form of a new condition, while it is open.
    pub(crate) series: RwSignal<Option<String>>,
    toasts: Toasts,
}

impl Conditions {
    /// Fetches the conditions.
    pub(crate) fn start(run: Option<RunId>) -> Self {
        let conditions = Self {
            run: StoredValue::new(run),
            found: RwSignal::new(None),
            series: RwSignal::new(None),
            toasts: expect_context(),
        };
        conditions.fetch();
        conditions
    }

    fn fetch(self) {
        let run = self.run.get_value();
        spawn_local(async move {
            let answer = api::alerts::conditions(run.as_ref()).await;
            self.found.try_set(Some(answer));
        });
    }

    fn delete(self, id: i64) {
        spawn_local(async move {
            match api::alerts::delete_condition(id).await {
                Ok(()) => self.toasts.say("The condition was deleted"),
                Err(failure) => self.toasts.fail("The condition was not deleted", &failure),
            }
            self.fetch();
        });
    }
}

/// The list, and the form behind its button.
#[component]
pub(crate) fn AlertConditions(
    conditions: Conditions,
    /// Series that the form offers; others can be typed.
    #[prop(into)]
    offered: Signal<Vec<String>>,
    /// Why this person can add none; `None` if they can.
    #[prop(into)]
    no_permission: Signal<Option<String>>,
) -> impl IntoView {
    let list = move || match conditions.found.get() {
        None => view! { <Skeleton rows=1 class="short" /> }.into_any(),
        Some(Err(failure)) => {
            let retry = move |()| conditions.fetch();
            view! { <Failure what="The conditions could not be listed" failure retry /> }.into_any()
        }
        Some(Ok(found)) if found.is_empty() => {
            view! { <p class="small dim">"No conditions: metrics raise no alerts."</p> }.into_any()
        }
        Some(Ok(found)) => {
            let lines = found.into_iter().map(|condition| view! { <ConditionLine condition conditions /> });
            view! { <ul class="tokens" aria-label="Conditions on metrics">{lines.collect_view()}</ul> }.into_any()
        }
    };
    let is_open = Memo::new(move |_| conditions.series.read().is_some());
    let title = move || {
        no_permission.get().unwrap_or_else(|| "Raise an alert when a metric is above or below a threshold".to_owned())
    };
    let new = move || match is_open.get() {
        true => view! { <ConditionForm conditions offered /> }.into_any(),
        false => view! {
            <div class="row">
                <button
                    title=title
                    disabled=move || no_permission.read().is_some()
                    on:click=clicks(move |_| conditions.series.set(Some(String::new())))
                >
                    "Add a condition"
                </button>
            </div>
        }
        .into_any(),
    };
    view! {
        <p class="small dim">
            "A condition raises one alert when the metric crosses its threshold. It can raise another only after the metric has been back on the \
             other side: for one value of a score or validation loss, or for ten values in a row of any other metric."
        </p>
        {shows(list)}
        {shows(new)}
    }
}

#[component]
fn ConditionLine(condition: ConditionView, conditions: Conditions) -> impl IntoView {
    let session = expect_context::<Session>();
    let id = condition.id;
    let text = format!("{} {} {}", condition.series, condition.side.word(), figure::number::short(condition.threshold));
    let urgent = if condition.is_urgent { " · urgent" } else { "" };
    let about = format!("{}{urgent} · set by {}", holds_for(&condition), isolated(&condition.created_by));
    let may_delete = Memo::new(move |_| match (&condition.run, &condition.project) {
        (Some(run), Some(project)) => session.can_steer_run(run, project),
        (_, Some(project)) => session.can_steer_in(project),
        _ => session.can_steer_lab(),
    });
    let delete = move || {
        may_delete.get().then(|| {
            view! {
                <button
                    class="quiet"
                    title="Delete the condition; alerts that it has raised stay"
                    on:click=clicks(move |_| conditions.delete(id))
                >
                    "Delete"
                </button>
            }
        })
    };
    view! {
        <li>
            <div class="grow">
                <p><strong>{text}</strong></p>
                <p class="small dim">{about}</p>
            </div>
            {shows(delete)}
        </li>
    }
}

fn holds_for(condition: &ConditionView) -> String {
    match (&condition.run, &condition.project) {
        (Some(run), _) => {
            let name = condition.run_name.as_deref().unwrap_or(run.as_str());
            format!("the run {}", isolated(name))
        }
        (None, Some(project)) => format!("all runs of the project {}", isolated(project)),
        (None, None) => "all runs".to_owned(),
    }
}
