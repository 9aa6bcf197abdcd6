//! Import cycles between modules. If two modules need each other's types, move the types into a third module that
//! both import.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{self, Crate, Use};
use super::{Finding, sources::Sources};
use crate::shell::Outcome;

/// For each module of a folder, the other modules of the folder that it uses.
type Graph<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// A finding for every group of sibling modules that use each other, with each use inside the group.
pub(super) fn check(sources: &Sources) -> Outcome<Vec<Finding>> {
    Ok(modules::crates(sources)?.iter().flat_map(in_crate).collect())
}

fn in_crate(of: &Crate) -> Vec<Finding> {
    let uses = of.uses();
    let mut by_parent: BTreeMap<&[String], Vec<&Use>> = BTreeMap::new();
    for one in &uses {
        by_parent.entry(&one.parent).or_default().push(one);
    }
    let findings = by_parent.into_iter().flat_map(|(parent, uses)| {
        let place = [&["crate".to_owned()], parent].concat().join("::");
        groups(&graph(&uses)).into_iter().map(move |group| finding(of, &place, &group, &uses)).collect::<Vec<_>>()
    });
    findings.collect()
}

fn finding(of: &Crate, place: &str, group: &BTreeSet<&str>, uses: &[&Use]) -> Finding {
    let is_inside = |one: &&&Use| group.contains(one.user.as_str()) && group.contains(one.used.as_str());
    let shown = uses.iter().filter(is_inside).map(|one| format!("\n    {} -> {}  {}", one.user, one.used, one.example));
    let names: Vec<&str> = group.iter().copied().collect();
    let message = format!("{} modules of {place} use each other: {}", group.len(), names.join(", "));
    Finding::new(of.folder.clone(), 0, message + &shown.collect::<String>())
}

fn graph<'a>(uses: &[&'a Use]) -> Graph<'a> {
    let mut graph = Graph::new();
    for one in uses {
        graph.entry(&one.user).or_default().insert(&one.used);
        graph.entry(&one.used).or_default();
    }
    graph
}

/// Strongly connected components of more than one module. Computed from the reachability of each module, because a crate has few
/// modules.
fn groups<'a>(graph: &Graph<'a>) -> BTreeSet<BTreeSet<&'a str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = graph.keys().map(|module| (*module, reach(graph, module))).collect();
    let group_of = |module: &&'a str| -> BTreeSet<&'a str> {
        reached[module].iter().copied().filter(|other| reached[other].contains(module)).collect()
    };
    graph.keys().map(group_of).filter(|group| group.len() > 1).collect()
}

/// The modules that a module uses directly or through others.
fn reach<'a>(graph: &Graph<'a>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut pending: Vec<&str> = graph[from].iter().copied().collect();
    while let Some(module) = pending.pop() {
        if reached.insert(module) {
            pending.extend(&graph[module]);
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First lines of the findings for a crate of these files.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let findings = check(&Sources::of(files)).unwrap();
        let first_line = |finding: Finding| finding.message.lines().next().unwrap_or_default().to_owned();
        findings.into_iter().map(first_line).collect()
    }

    #[test]
    fn a_cycle_is_found_for_every_form_of_path() {
        let lib = "mod a; mod b; mod c; pub use c::Item;";
        let a = "use crate::{b::{self, f}, Other};";
        for b in [
            "use crate::a;",
            "fn f() { super::a::g() }",
            "mod inner { use super::super::a; }",
            "struct S { field: crate::a::T }",
            "use super::{c, a as d};",
        ] {
            let files = [("x/src/lib.rs", lib), ("x/src/a.rs", a), ("x/src/b.rs", b), ("x/src/c.rs", "")];
            assert_eq!(found(&files), ["2 modules of crate use each other: a, b"], "{b}");
        }
    }

    #[test]
    fn a_reexported_name_is_resolved_to_its_definition() {
        let reexport = "mod a; mod b; pub use a::Item;";
        let glob = "mod a; mod b; pub use a::*;";
        for lib in [reexport, glob] {
            let files = [
                ("x/src/lib.rs", lib),
                ("x/src/a.rs", "use crate::b; pub struct Item;"),
                ("x/src/b.rs", "use crate::Item;"),
            ];
            assert_eq!(found(&files), ["2 modules of crate use each other: a, b"], "{lib}");
        }
    }

    #[test]
    fn tests_parents_and_other_crates_make_no_cycle() {
        let files = [
            ("x/src/lib.rs", "mod a; mod b; #[cfg(test)] mod t;"),
            ("x/src/a.rs", "mod deep; use crate::b; use deep::D;"),
            ("x/src/a/deep.rs", "use super::Shared; use crate::b;"),
            ("x/src/b.rs", "use serde::a; #[cfg(test)] mod tests { use crate::a; }"),
            ("x/src/t.rs", "use crate::a;"),
        ];
        assert!(found(&files).is_empty(), "{:?}", found(&files));
    }

    #[test]
    fn a_cycle_of_nested_modules_is_found() {
        let files = [
            ("x/src/lib.rs", "mod a;"),
            ("x/src/a.rs", "mod b; mod c;"),
            ("x/src/a/b.rs", "use super::c;"),
            ("x/src/a/c.rs", "use crate::a::b;"),
        ];
        assert_eq!(found(&files), ["2 modules of crate::a use each other: b, c"]);
    }
}
