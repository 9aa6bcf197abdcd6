//! What a request may reach: the lab, projects, and single runs by share links.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Membership, Role};
use crate::id::RunId;

/// Roles in the lab, in projects, and on single runs. The highest one that covers a thing holds for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Grants {
    /// Role in the whole lab, all projects included.
    pub lab: Option<Role>,
    /// Roles in projects, by name.
    #[serde(default)]
    pub projects: BTreeMap<String, Role>,
    /// Roles on single runs, by share links.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, Role>))]
    pub runs: BTreeMap<RunId, Role>,
}

impl Grants {
    /// A role in the whole lab.
    pub fn of_lab(role: Role) -> Self {
        Self { lab: Some(role), ..Self::default() }
    }

    /// Whether `needed` is granted in the whole lab.
    pub fn has_lab(&self, needed: Role) -> bool {
        self.lab.is_some_and(|role| role.includes(needed))
    }

    /// The role in a project.
    pub fn in_project(&self, project: &str) -> Option<Role> {
        higher(self.lab, self.projects.get(project).copied())
    }

    /// The role on a run of a project.
    pub fn on_run(&self, run: &RunId, project: &str) -> Option<Role> {
        higher(self.in_project(project), self.runs.get(run).copied())
    }

    /// Whether `needed` is granted in the lab or in at least one project.
    pub fn has_anywhere(&self, needed: Role) -> bool {
        self.lab.iter().chain(self.projects.values()).any(|role| role.includes(needed))
    }

    /// Whether both reach the same project. A role in the lab reaches all.
    pub fn shares_project(&self, other: &Self) -> bool {
        match (self.lab, other.lab) {
            (None, None) => self.projects.keys().any(|project| other.projects.contains_key(project)),
            _ => self.has_anywhere(Role::View) && other.has_anywhere(Role::View),
        }
    }

    /// Whether these roles of a new person may be given: by admins of the lab all, by admins of projects those in their projects.
    pub fn may_give(&self, lab: Option<Role>, projects: &[Membership]) -> bool {
        let administers = |project: &str| self.in_project(project).is_some_and(|role| role.includes(Role::Admin));
        let is_theirs = || projects.iter().all(|membership| administers(&membership.project));
        self.has_lab(Role::Admin) || lab.is_none() && !projects.is_empty() && is_theirs()
    }

    /// The runs that may be seen.
    pub fn visible(&self) -> Visible {
        if self.has_lab(Role::View) {
            return Visible::All;
        }
        Visible::Only { projects: self.projects.keys().cloned().collect(), runs: self.runs.keys().cloned().collect() }
    }

    /// Adds a grant of a project; the higher role holds.
    pub fn add_project(&mut self, project: String, role: Role) {
        let entry = self.projects.entry(project).or_insert(role);
        *entry = higher(Some(*entry), Some(role)).unwrap_or(role);
    }

    /// Adds a grant of a run; the higher role holds.
    pub fn add_run(&mut self, run: RunId, role: Role) {
        let entry = self.runs.entry(run).or_insert(role);
        *entry = higher(Some(*entry), Some(role)).unwrap_or(role);
    }

    /// What both reach: in the lab and in each project the lower of the two roles. Roles on single runs are left out.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        let named = self.projects.keys().chain(other.projects.keys());
        let role_in =
            |project: &String| Some((project.clone(), lower(self.in_project(project), other.in_project(project))?));
        Self { lab: lower(self.lab, other.lab), projects: named.filter_map(role_in).collect(), runs: BTreeMap::new() }
    }

    /// No role above `most`, and, with `projects`, only what these projects contain.
    #[must_use]
    pub fn limited(self, most: Role, projects: Option<&[String]>) -> Self {
        let cap = |role: Role| if most.includes(role) { role } else { most };
        let Self { lab, projects: own, runs } = self;
        let Some(chosen) = projects else {
            return Self {
                lab: lab.map(cap),
                projects: own.into_iter().map(|(project, role)| (project, cap(role))).collect(),
                runs: runs.into_iter().map(|(run, role)| (run, cap(role))).collect(),
            };
        };
        let role_in =
            |project: &String| higher(lab, own.get(project).copied()).map(|role| (project.clone(), cap(role)));
        Self { lab: None, projects: chosen.iter().filter_map(role_in).collect(), runs: BTreeMap::new() }
    }
}

/// The runs that someone may see.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Visible {
    /// All runs.
    All,
    /// Those of some projects, and single ones.
    Only { projects: BTreeSet<String>, runs: BTreeSet<RunId> },
}

impl Visible {
    /// Whether a run of a project may be seen.
    pub fn has_run(&self, run: &RunId, project: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only { projects, runs } => projects.contains(project) || runs.contains(run),
        }
    }

    /// Whether a project may be seen.
    pub fn has_project(&self, project: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only { projects, .. } => projects.contains(project),
        }
    }
}

fn higher(one: Option<Role>, other: Option<Role>) -> Option<Role> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if one.includes(other) { one } else { other }),
        (one, other) => one.or(other),
    }
}

/// The lower of two roles; `None` if one of them is missing.
fn lower(one: Option<Role>, other: Option<Role>) -> Option<Role> {
    let (one, other) = (one?, other?);
    Some(if one.includes(other) { other } else { one })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str) -> RunId {
        id.parse().unwrap()
    }

    #[test]
    fn the_highest_role_that_covers_a_run_holds() {
        let mut grants = Grants { lab: Some(Role::View), ..Grants::default() };
        grants.add_project("vision".to_owned(), Role::Steer);
        grants.add_run(run("amber-fox"), Role::View);
        assert_eq!(grants.on_run(&run("amber-fox"), "vision"), Some(Role::Steer));
        assert_eq!(grants.on_run(&run("amber-fox"), "other"), Some(Role::View));
        assert!(!grants.has_lab(Role::Steer) && grants.has_anywhere(Role::Steer));
        grants.add_project("vision".to_owned(), Role::View);
        assert_eq!(grants.in_project("vision"), Some(Role::Steer));
    }

    #[test]
    fn a_limit_takes_rights_away_and_adds_none() {
        let mut person = Grants { lab: Some(Role::View), ..Grants::default() };
        person.add_project("vision".to_owned(), Role::Admin);
        let capped = person.clone().limited(Role::Steer, None);
        assert_eq!((capped.lab, capped.in_project("vision")), (Some(Role::View), Some(Role::Steer)));
        let one = person.clone().limited(Role::Admin, Some(&["speech".to_owned()]));
        assert_eq!((one.lab, one.in_project("speech"), one.in_project("vision")), (None, Some(Role::View), None));
        let none = Grants::default().limited(Role::Admin, Some(&["vision".to_owned()]));
        assert_eq!(none, Grants::default());
        assert!(!person.limited(Role::Steer, Some(&[])).has_anywhere(Role::View));
    }

    #[test]
    fn both_together_reach_what_each_of_them_reaches() {
        let mut agent = Grants { lab: Some(Role::View), ..Grants::default() };
        agent.add_project("vision".to_owned(), Role::Steer);
        agent.add_run(run("amber-fox"), Role::Steer);
        let mut person = Grants::default();
        person.add_project("vision".to_owned(), Role::Admin);
        person.add_project("speech".to_owned(), Role::Steer);
        let both = agent.within(&person);
        assert_eq!(both, person.within(&agent));
        assert_eq!((both.lab, both.in_project("vision")), (None, Some(Role::Steer)));
        assert_eq!((both.in_project("speech"), both.runs.len()), (Some(Role::View), 0));
        assert_eq!(agent.within(&Grants::of_lab(Role::Admin)).in_project("vision"), Some(Role::Steer));
        assert_eq!(agent.within(&Grants::default()), Grants::default());
    }

    #[test]
    fn a_project_is_shared_by_those_who_reach_it() {
        let of = |project: &str| Grants { projects: [(project.to_owned(), Role::View)].into(), ..Grants::default() };
        let mut guest = Grants::default();
        guest.add_run(run("amber-fox"), Role::View);
        for (one, other, expected) in [
            (of("vision"), of("vision"), true),
            (of("vision"), of("speech"), false),
            (of("vision"), Grants::of_lab(Role::View), true),
            (Grants::of_lab(Role::View), Grants::of_lab(Role::Admin), true),
            (guest.clone(), guest.clone(), false),
            (guest, Grants::of_lab(Role::Admin), false),
        ] {
            assert_eq!(
                (one.shares_project(&other), other.shares_project(&one)),
                (expected, expected),
                "{one:?} {other:?}"
            );
        }
    }

    #[test]
    fn only_granted_runs_are_visible() {
        let mut guest = Grants::default();
        guest.add_run(run("amber-fox"), Role::View);
        let visible = guest.visible();
        assert!(visible.has_run(&run("amber-fox"), "default") && !visible.has_run(&run("brass-owl"), "default"));
        assert!(!visible.has_project("default"));
        assert_eq!(Grants::of_lab(Role::View).visible(), Visible::All);
    }
}
