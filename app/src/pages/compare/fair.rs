//! The verdict on the selected runs: groups of them against a baseline at an equal budget, with the interval of each difference and the
//! variation that it contains. What cannot be compared fairly is said instead.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use research::compare::FairComparison;
use wire::RunId;
use wire::series::Axis;

use super::Choice;
use super::groups::{Group, Grouping, groups};
use super::seeds::MoreSeeds;
use super::verdicts::Verdicts;
use crate::components::{Failure, Select, Toasts, clicks, interval, run_name, shows, switches};
use crate::net::api::{self, ApiFailure};
use crate::net::live::Live;
use crate::session::Session;

/// Interval between requests while one of the runs trains.
const REFRESH: Duration = Duration::from_secs(6);

/// What can be equal: axis, word, meaning.
const EQUAL: [(Axis, &str, &str); 3] = [
    (Axis::Tokens, "tokens", "Compare after equal numbers of training tokens. Default."),
    (
        Axis::Flops,
        "FLOPs",
        "Compare after equal numbers of floating-point operations. A larger model has then seen fewer tokens.",
    ),
    (Axis::Secs, "time", "Compare after equal training time, without pauses."),
];

/// The groups as they are compared, of which the first is the baseline, and what is equal.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    groups: Vec<Group>,
    equal: Axis,
}

/// The selected runs that are known, in groups, with the chosen baseline first.
fn wanted(choice: Choice, live: Live) -> Wanted {
    let lab = live.lab.read();
    let all = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
    let chosen = choice.runs.read();
    let runs: Vec<_> = chosen.iter().filter_map(|id| all.iter().find(|run| run.id == *id)).cloned().collect();
    let mut groups = groups(&runs, choice.grouping.get(), &|run| run_name(live, run));
    let baseline = choice.baseline.read();
    if let Some(at) = groups.iter().position(|group| group.key == *baseline) {
        let first = groups.remove(at);
        groups.insert(0, first);
    }
    Wanted { groups, equal: choice.equal.get() }
}

async fn fetch(wanted: &Wanted) -> Option<Result<FairComparison, ApiFailure>> {
    let (baseline, changes) = wanted.groups.split_first().filter(|(_, changes)| !changes.is_empty())?;
    let changes: Vec<Vec<RunId>> = changes.iter().map(|group| group.runs.clone()).collect();
    Some(api::comparison::fair(&baseline.runs, &changes, wanted.equal).await)
}

/// The panel; nothing while there are fewer than two runs.
#[component]
pub(super) fn FairPanel() -> impl IntoView {
    let choice = expect_context::<Choice>();
    let live = expect_context::<Live>();
    let shown = Memo::new(move |_| wanted(choice, live));
    let found = RwSignal::new(None::<(Wanted, Result<FairComparison, ApiFailure>)>);
    let update = move || {
        spawn_local(async move {
            let Some(wanted) = shown.try_get_untracked() else { return };
            let Some(answer) = fetch(&wanted).await else { return };
            // The answer to an older request is ignored. After a failure the last verdict on the same groups stays.
            let is_current = shown.try_get_untracked().as_ref() == Some(&wanted);
            let has_verdict = |found: &Option<(Wanted, Result<FairComparison, ApiFailure>)>| {
                found.as_ref().is_some_and(|(of, answer)| *of == wanted && answer.is_ok())
            };
            if is_current && !(answer.is_err() && found.try_with_untracked(has_verdict) == Some(true)) {
                let band = answer.as_ref().map(|answer| answer.band.clone()).unwrap_or_default();
                choice.band.try_set(band);
                found.try_set(Some((wanted, answer)));
            }
        });
    };
    Effect::new(move |_| {
        shown.track();
        choice.band.set(vec![]);
        update();
    });
    let is_growing = Memo::new(move |_| {
        let (lab, chosen) = (live.lab.read(), choice.runs.read());
        lab.iter().flat_map(|lab| &lab.runs).any(|run| run.state.is_live() && chosen.contains(&run.id))
    });
    interval::while_growing(REFRESH, is_growing.into(), update);
    let has_pair = Memo::new(move |_| shown.read().groups.len() > 1);
    let verdict = move || match &*found.read() {
        Some((of, answer)) if *of == *shown.read() => match answer {
            Ok(comparison) => {
                let labels = of.groups.iter().map(|group| group.label.clone()).collect();
                view! { <Verdicts comparison=comparison.clone() labels /> }.into_any()
            }
            Err(failure) => view! {
                <Failure what="The runs could not be compared" failure=failure.clone() retry=move |()| update() />
            }
            .into_any(),
        },
        _ => view! { <p class="none" role="status">"Comparing …"</p> }.into_any(),
    };
    view! {
        <section class="panel fair" aria-labelledby="fair-title" hidden=move || choice.known(live).len() < 2>
            <div class="fair-head">
                <h2
                    id="fair-title"
                    title="Differences of the validation loss at an equal budget, on the same validation text, with 95 % intervals. An \
                           interval over seeds shows whether a change would also help with other seeds; an interval over validation text \
                           shows whether these particular models differ on other text of this kind."
                >
                    "Fair comparison"
                </h2>
                <Controls shown />
            </div>
            <Show
                when=move || has_pair.get()
                fallback=|| view! { <p class="none">"All selected runs are in one group. Choose another grouping."</p> }
            >
                {verdict}
            </Show>
            <AddToJournal shown />
            <SeedButtons shown />
        </section>
    }
}

/// The project of all runs that are compared, if this person may steer in it.
fn project_of(wanted: &Wanted, live: Live, session: Session) -> Option<String> {
    let lab = live.lab.read();
    let all = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
    let named = wanted.groups.iter().flat_map(|group| &group.runs);
    let projects: Vec<&str> =
        named.filter_map(|id| all.iter().find(|run| run.id == *id)).map(|run| run.project.as_str()).collect();
    let first = projects.first()?;
    let is_one = wanted.groups.len() > 1 && projects.iter().all(|project| project == first);
    (is_one && session.can_steer_in(first)).then(|| (*first).to_owned())
}

/// Adds the conclusion to the research journal of the project.
#[component]
fn AddToJournal(shown: Memo<Wanted>) -> impl IntoView {
    let (live, session, toasts) = (expect_context::<Live>(), expect_context::<Session>(), expect_context::<Toasts>());
    let project = Memo::new(move |_| project_of(&shown.read(), live, session));
    let is_sending = RwSignal::new(false);
    let add = move |_| {
        let Wanted { groups, equal } = shown.get_untracked();
        let Some((baseline, changes)) = groups.split_first() else { return };
        let (baseline, changes) =
            (baseline.runs.clone(), changes.iter().map(|group| group.runs.clone()).collect::<Vec<_>>());
        is_sending.set(true);
        spawn_local(async move {
            match api::comparison::add(&baseline, &changes, equal).await {
                Ok(_) => toasts.say("The comparison was added to the research journal"),
                Err(failure) => toasts.fail("The comparison was not added", &failure),
            }
            is_sending.try_set(false);
        });
    };
    shows(move || {
        project.get().map(|project| view! {
            <div class="row">
                <button
                    title=format!("Add the conclusion to the research journal of the project {project}, where it stays as it is now")
                    disabled=move || is_sending.get()
                    on:click=clicks(add)
                >
                    "Add to the research journal"
                </button>
            </div>
        })
    })
}

/// How the runs are grouped, which group is the baseline, and what is equal.
#[component]
fn Controls(shown: Memo<Wanted>) -> impl IntoView {
    let choice = expect_context::<Choice>();
    let groupings = Grouping::ALL.map(|(_, word, label)| (word.to_owned(), label.to_owned())).to_vec();
    let baselines = Signal::derive(move || {
        let mut entries: Vec<(String, String)> =
            shown.read().groups.iter().map(|group| (group.key.clone(), group.label.clone())).collect();
        entries.sort();
        entries
    });
    let baseline =
        Signal::derive(move || shown.read().groups.first().map(|group| group.key.clone()).unwrap_or_default());
    view! {
        <div class="tools">
            <label class="pick" title="Which runs count as repeats of the same experiment; a group of several runs has a spread over seeds">
                <span>"Groups "</span>
                <Select
                    entries=Signal::stored(groupings)
                    chosen=Signal::derive(move || choice.grouping.get().word().to_owned())
                    choose=move |word| choice.grouping.set(Grouping::of(&word))
                />
            </label>
            <label class="pick" title="The run or group with which the others are compared">
                <span>"Baseline "</span>
                <Select entries=baselines chosen=baseline choose=move |key| choice.baseline.set(key) />
            </label>
            <span class="small dim">"At equal"</span>
            {switches("At equal", &EQUAL, choice.equal)}
        </div>
    }
}

/// A button for each group that adds runs with other seeds.
#[component]
fn SeedButtons(shown: Memo<Wanted>) -> impl IntoView {
    let groups = Memo::new(move |_| {
        let first = |group: &Group| group.runs.first().map(|run| (run.clone(), group.name.clone()));
        shown.read().groups.iter().filter_map(first).collect::<Vec<_>>()
    });
    view! {
        <div class="more-seeds">
            <For each=move || groups.get() key=Clone::clone let((run, name))>
                <MoreSeeds run name />
            </For>
        </div>
    }
}
