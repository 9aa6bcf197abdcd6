//! Groups of the selected runs for the fair comparison. Pure.

use wire::{RunId, RunSummary};

use crate::components::{first_of_seeds, isolated};

/// What the runs of a group have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Grouping {
    /// Each run alone.
    #[default]
    Run,
    /// Runs that differ in the seed only.
    Seeds,
    /// All tags together.
    Tag,
    Preset,
    Dataset,
    /// The run that they were forked from.
    Parent,
}

impl Grouping {
    /// All of them, with the word in addresses and the label.
    pub(super) const ALL: [(Self, &str, &str); 6] = [
        (Self::Run, "run", "each run alone"),
        (Self::Seeds, "seeds", "repeats with other seeds"),
        (Self::Tag, "tag", "tags"),
        (Self::Preset, "preset", "preset"),
        (Self::Dataset, "dataset", "datasets"),
        (Self::Parent, "parent", "parent"),
    ];

    /// Its word in addresses.
    pub(super) fn word(self) -> &'static str {
        Self::ALL.into_iter().find(|(known, ..)| *known == self).map_or("run", |(_, word, _)| word)
    }

    /// Reads [`Self::word`]; an unknown word is that of single runs.
    pub(super) fn of(word: &str) -> Self {
        Self::ALL.into_iter().find(|(_, known, _)| *known == word).map(|(grouping, ..)| grouping).unwrap_or_default()
    }

    /// What a run has in common with its group; `None` for a run that is a group of its own.
    fn key(self, run: &RunSummary) -> Option<String> {
        let key = match self {
            Self::Run => return None,
            Self::Seeds => run.tags.iter().find(|tag| first_of_seeds(tag).is_some()).cloned().unwrap_or_default(),
            Self::Tag => run.tags.join(", "),
            Self::Preset => run.preset.clone(),
            Self::Dataset => run.corpus.clone(),
            Self::Parent => run.parent.as_ref().map(|parent| parent.run.to_string()).unwrap_or_default(),
        };
        Some(key).filter(|key| !key.is_empty())
    }
}

/// Some of the selected runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// Id of its first run, by which addresses name it.
    pub(super) key: String,
    /// What its runs have in common; the name of a single run.
    pub(super) name: String,
    /// [`Self::name`] with the number of its runs.
    pub(super) label: String,
    /// The runs that are compared: of several those that have ended, if any has.
    pub(super) runs: Vec<RunId>,
}

/// The groups of the selected runs, in the order of their first runs. `name_of` gives the name of any run of the lab.
pub(super) fn groups(runs: &[RunSummary], grouping: Grouping, name_of: &dyn Fn(&RunId) -> String) -> Vec<Group> {
    let mut found: Vec<(Option<String>, Vec<RunSummary>)> = vec![];
    for run in runs {
        let key = grouping.key(run);
        match found.iter_mut().find(|(known, _)| key.is_some() && *known == key) {
            Some((_, members)) => members.push(run.clone()),
            None => found.push((key, vec![run.clone()])),
        }
    }
    let group = |(key, members): (Option<String>, Vec<RunSummary>)| {
        let (first, all) = (members[0].clone(), members.len());
        let has_ended = members.iter().any(|run| run.state.is_over());
        let counts = |run: &RunSummary| all == 1 || !has_ended || run.state.is_over();
        let runs: Vec<RunId> = members.into_iter().filter(counts).map(|run| run.id).collect();
        let (name, label) = match key {
            Some(key) if all > 1 => {
                let name = named(&key, grouping, name_of);
                let label = format!("{name}, {}", counted(runs.len(), all, grouping));
                (name, label)
            }
            _ => (name_of(&first.id), name_of(&first.id)),
        };
        Group { key: first.id.to_string(), name, label, runs }
    };
    found.into_iter().map(group).collect()
}

/// What runs have in common: of those that differ in the seed only, the name of the first of them.
fn named(key: &str, grouping: Grouping, name_of: &dyn Fn(&RunId) -> String) -> String {
    if grouping == Grouping::Parent {
        return key.parse().map_or_else(|_| isolated(key), |parent| format!("forks of {}", name_of(&parent)));
    }
    let part = |part: &str| first_of_seeds(part).map_or_else(|| isolated(part), |first| name_of(&first));
    key.split(", ").map(part).collect::<Vec<_>>().join(", ")
}

/// `4 seeds`, `1 of 4 seeds has ended`
fn counted(count: usize, all: usize, grouping: Grouping) -> String {
    let word = if grouping == Grouping::Seeds { "seeds" } else { "runs" };
    match count {
        count if count == all => format!("{all} {word}"),
        1 => format!("1 of {all} {word} has ended"),
        count => format!("{count} of {all} {word} have ended"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::RunState;

    fn run(id: &str, tags: &[&str], state: RunState) -> RunSummary {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        RunSummary { id: id.parse().unwrap(), name: id.into(), tags, state, ..crate::curves::fixture::view().summary }
    }

    #[test]
    fn runs_are_grouped_by_what_they_have_in_common_and_others_stay_alone() {
        let runs = [
            run("a", &["base", "seeds:a"], RunState::Finished),
            run("b", &["seeds:a"], RunState::Finished),
            run("c", &["seeds:a"], RunState::Running),
            run("d", &[], RunState::Finished),
            run("e", &[], RunState::Running),
        ];
        let labels = |grouping| {
            let found = groups(&runs, grouping, &|run| format!("run {run}"));
            found.into_iter().map(|group| (group.key, group.label, group.runs.len())).collect::<Vec<_>>()
        };
        let own = |id: &str, label: &str, count| (id.to_owned(), label.to_owned(), count);
        assert_eq!(
            labels(Grouping::Seeds),
            [own("a", "run a, 2 of 3 seeds have ended", 2), own("d", "run d", 1), own("e", "run e", 1)]
        );
        assert_eq!(labels(Grouping::Run).len(), 5);
        assert_eq!(labels(Grouping::Tag)[1], own("b", "run a, 1 of 2 runs has ended", 1));
        assert_eq!(labels(Grouping::Preset).len(), 1, "all have the same");
        for (grouping, word, _) in Grouping::ALL {
            assert_eq!(Grouping::of(word), grouping);
        }
    }
}
