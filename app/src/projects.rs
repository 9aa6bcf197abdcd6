//! The projects that this person sees: fetched once the lab is shared. The pages mention projects only where there are several.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::Role;
use wire::access::project::{DEFAULT_PROJECT, ProjectView};

use crate::net::api;
use crate::session::Session;

/// The projects, in the context of all components.
#[derive(Clone, Copy)]
pub(crate) struct Projects {
    found: RwSignal<Vec<ProjectView>>,
    /// Names of the projects, `default` first.
    pub(crate) names: Memo<Vec<String>>,
    /// Those in which this person can start runs.
    pub(crate) steerable: Memo<Vec<String>>,
    /// The project whose runs the Lab page shows alone; a new run belongs to it by default.
    pub(crate) chosen: RwSignal<Option<String>>,
}

impl Projects {
    /// Fetches the projects of a shared lab, and again when the rights of this person change.
    pub(crate) fn start(session: Session) -> Self {
        let found = RwSignal::new(Vec::<ProjectView>::new());
        let projects = Self {
            found,
            names: Memo::new(move |_| found.read().iter().map(|project| project.name.clone()).collect()),
            steerable: Memo::new(move |_| {
                let steers = |project: &&ProjectView| project.role.includes(Role::Steer);
                found.read().iter().filter(steers).map(|project| project.name.clone()).collect()
            }),
            chosen: RwSignal::new(None),
        };
        let reached = Memo::new(move |_| session.me().filter(|me| me.is_shared).map(|me| me.grants));
        Effect::new(move || {
            if reached.get().is_some_and(|grants| grants.has_anywhere(Role::View)) {
                projects.fetch();
            } else {
                found.set(vec![]);
            }
        });
        projects
    }

    /// Fetches the projects again.
    pub(crate) fn fetch(self) {
        spawn_local(async move {
            // Without the list the pages mention no project; the People page says what failed.
            if let Ok(projects) = api::projects::list().await {
                self.found.try_set(projects);
            }
        });
    }

    /// The project whose runs are shown alone; `None` for all.
    pub(crate) fn shown(self) -> Option<String> {
        self.chosen.get().filter(|chosen| self.are_several() && self.names.read().contains(chosen))
    }

    /// Whether the pages mention projects.
    pub(crate) fn are_several(self) -> bool {
        self.names.read().len() > 1
    }

    /// The project that alone may use a new dataset: the chosen one; `None` for all, where this person may import for all.
    pub(crate) fn of_new_dataset(self, session: Session) -> Option<String> {
        let chosen = self.chosen.get().filter(|chosen| self.steerable.read().contains(chosen));
        if session.can_steer_lab() { chosen } else { self.of_new_run() }
    }

    /// The project of a new run: the chosen one, else `default`, else the first in which this person can start runs. `None`
    /// leaves it to the server.
    pub(crate) fn of_new_run(self) -> Option<String> {
        let steerable = self.steerable.read();
        let has = |name: &str| steerable.iter().any(|known| known == name);
        let chosen = self.chosen.get().filter(|chosen| has(chosen));
        let default = || has(DEFAULT_PROJECT).then(|| DEFAULT_PROJECT.to_owned());
        chosen.or_else(default).or_else(|| steerable.first().cloned())
    }
}
