//! Fits over the selected runs, over the finished runs with a tag, or over those of a project.

use std::collections::BTreeMap;

use leptos::prelude::*;
use wire::access::project::DEFAULT_PROJECT;
use wire::{RunId, RunState, RunSummary};

use super::Choice;
use crate::components::fits::FitsPanel;
use crate::components::number::counted;
use crate::components::{Select, isolated, tag_name};
use crate::net::live::Live;
use crate::projects::Projects;

/// Minimum number of finished runs of a tag in the list.
const FEWEST: usize = 3;
/// The value of the selected runs in the list.
const SELECTED: &str = "";

#[component]
pub(super) fn CompareFits() -> impl IntoView {
    let (choice, live, projects) = (expect_context::<Choice>(), expect_context::<Live>(), expect_context::<Projects>());
    let wanted = RwSignal::new(SELECTED.to_owned());
    let entries = Memo::new(move |_| {
        let lab = live.lab.read();
        let runs = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
        let tag = |tag: &str| tag_name(live, tag);
        entries(choice.known(live).len(), runs, &projects.names.read(), &tag)
    });
    // An entry that is gone, such as a tag that no run has any more, stands for the selected runs.
    let chosen = Memo::new(move |_| {
        let wanted = wanted.get();
        let is_known = entries.read().iter().any(|(value, _)| *value == wanted);
        if is_known { wanted } else { SELECTED.to_owned() }
    });
    let list = Signal::derive(move || match chosen.get() {
        chosen if chosen == SELECTED => ids(&choice.known(live)),
        chosen => chosen,
    });
    let single = Memo::new(move |_| {
        let known = choice.known(live);
        known.iter().map(|run| (run.to_string(), isolated(&choice.name(run)))).collect::<Vec<_>>()
    });
    // Fits read the last evaluation of a run, which changes until it has ended.
    let version = Memo::new(move |_| {
        let lab = live.lab.read();
        lab.iter().flat_map(|lab| &lab.runs).filter(|run| run.state.is_over()).count() as u64
    });
    view! {
        <FitsPanel runs=list single version>
            <label class="pick" title="The runs over which a law is fitted">
                <span class="unseen">"Runs of the fit"</span>
                <Select entries chosen choose=move |value| wanted.set(value) />
            </label>
        </FitsPanel>
    }
}

fn ids(runs: &[RunId]) -> String {
    runs.iter().map(RunId::to_string).collect::<Vec<_>>().join(",")
}

/// Lists of the API with their texts: the selected runs, each tag that several finished runs have, and each project. `tag_name` is the text of
/// a tag.
fn entries(
    selected: usize,
    runs: &[RunSummary],
    projects: &[String],
    tag_name: &dyn Fn(&str) -> String,
) -> Vec<(String, String)> {
    let finished = || runs.iter().filter(|run| run.state == RunState::Finished && run.deleted_ms.is_none());
    let text = |what: &str, count: usize| format!("{what} ({})", counted(count as u64, "run"));
    let mut found = vec![(SELECTED.to_owned(), text("the selected runs", selected))];
    let mut tags: BTreeMap<&str, usize> = BTreeMap::new();
    finished().flat_map(|run| &run.tags).for_each(|tag| *tags.entry(tag).or_default() += 1);
    let tags = tags.into_iter().filter(|(_, count)| *count >= FEWEST);
    // The list of the API is separated by commas.
    let tags = tags.filter(|(tag, _)| !tag.contains(','));
    found.extend(tags.map(|(tag, count)| {
        (format!("tag:{tag}"), text(&format!("finished runs with the tag {}", tag_name(tag)), count))
    }));
    let default = [DEFAULT_PROJECT.to_owned()];
    let projects = if projects.is_empty() { &default[..] } else { projects };
    for project in projects {
        let count = finished().filter(|run| run.project == *project).count();
        let of = if projects.len() > 1 { format!(" of {}", isolated(project)) } else { String::new() };
        if count > 0 {
            found.push((format!("project:{project}"), text(&format!("all finished runs{of}"), count)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_with_several_finished_runs_and_projects_are_offered() {
        let run = |id: &str, tags: &[&str], state: RunState| RunSummary {
            id: id.parse().unwrap(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            state,
            project: DEFAULT_PROJECT.to_owned(),
            ..crate::curves::fixture::view().summary
        };
        let runs = [
            run("a", &["scaling", "rare"], RunState::Finished),
            run("b", &["scaling"], RunState::Finished),
            run("c", &["scaling"], RunState::Finished),
            run("d", &["scaling"], RunState::Running),
        ];
        let found = entries(2, &runs, &[], &str::to_owned);
        let texts: Vec<(&str, &str)> = found.iter().map(|(value, text)| (value.as_str(), text.as_str())).collect();
        assert_eq!(
            texts,
            [
                ("", "the selected runs (2 runs)"),
                ("tag:scaling", "finished runs with the tag scaling (3 runs)"),
                ("project:default", "all finished runs (3 runs)"),
            ]
        );
        let two = entries(2, &runs, &["default".to_owned(), "empty".to_owned()], &str::to_owned);
        assert_eq!(two.last().unwrap().1, "all finished runs of default (3 runs)");
    }
}
