//! The modules of each crate, and the uses between them.

use std::collections::{BTreeMap, BTreeSet};

use super::rust::{self, Module};
use super::sources::{Source, Sources};
use crate::shell::Outcome;

/// Path of a module from the root of its crate; empty for the root.
type Place = Vec<String>;

/// The modules of one crate.
pub(super) struct Crate {
    /// Folder of the crate: `crates/wire`.
    pub(super) folder: String,
    modules: BTreeMap<Place, Module>,
    files: BTreeMap<Place, String>,
}

/// The use of one module by another with the same parent.
pub(super) struct Use {
    /// Path of the common parent.
    pub(super) parent: Place,
    pub(super) user: String,
    pub(super) used: String,
    /// Location of the first use: `server/src/runs.rs:12`.
    pub(super) example: String,
}

/// All crates of the workspace: folders that contain `src`.
pub(super) fn crates(sources: &Sources) -> Outcome<Vec<Crate>> {
    let files: Vec<&Source> = sources.with_extension(&["rs"]).collect();
    let folders: BTreeSet<&str> = files.iter().filter_map(|file| Some(file.path.split_once("/src/")?.0)).collect();
    folders.into_iter().map(|folder| Crate::read(folder, &files)).collect()
}

impl Crate {
    fn read(folder: &str, files: &[&Source]) -> Outcome<Self> {
        let mut read = Self { folder: folder.to_owned(), modules: BTreeMap::new(), files: BTreeMap::new() };
        let mut tests = vec![];
        for file in files {
            let Some(inside) = file.path.strip_prefix(&format!("{folder}/src/")) else { continue };
            let (place, tokens) = (place_of(inside), rust::tokens(file)?);
            tests.extend(
                rust::test_modules(tokens.clone()).into_iter().map(|name| [place.clone(), vec![name]].concat()),
            );
            read.files.insert(place.clone(), file.path.clone());
            for module in rust::modules(tokens, place) {
                read.modules.insert(module.place.clone(), module);
            }
        }
        read.modules.retain(|place, _| !tests.iter().any(|test| place.starts_with(test)));
        Ok(read)
    }

    /// The uses between modules with the same parent, each with its first location. Uses between a module and those above or below it
    /// are left out: `a.rs` may use the modules of `a/`.
    pub(super) fn uses(&self) -> Vec<Use> {
        let mut uses = BTreeMap::new();
        for module in self.modules.values() {
            for (line, path) in &module.paths {
                let Some(used) = self.module_of(&module.place, path, 0) else { continue };
                let shared = module.place.iter().zip(&used).take_while(|(a, b)| a == b).count();
                if let (Some(from), Some(to)) = (module.place.get(shared), used.get(shared)) {
                    let key = (used[..shared].to_vec(), from.clone(), to.clone());
                    uses.entry(key).or_insert_with(|| format!("{}:{line}", self.file_of(&module.place)));
                }
            }
        }
        let made = |((parent, user, used), example)| Use { parent, user, used, example };
        uses.into_iter().map(made).collect()
    }

    /// The module in which the item at the end of a path is defined; `None` for an item of another crate.
    fn module_of(&self, from: &[String], path: &[String], depth: usize) -> Option<Place> {
        // Stops at cycles of re-exports; no real chain is this long.
        if depth > 8 {
            return None;
        }
        let (mut place, names) = self.start_of(from, path)?;
        for (index, name) in names.iter().enumerate() {
            let inner = [place.clone(), vec![name.clone()]].concat();
            if self.modules.contains_key(&inner) {
                place = inner;
                continue;
            }
            let rest = &names[index + 1..];
            return Some(self.definition(&place, name, rest, depth).unwrap_or(place));
        }
        Some(place)
    }

    /// The module in which a path starts, and the names that follow.
    fn start_of<'a>(&self, from: &[String], path: &'a [String]) -> Option<(Place, &'a [String])> {
        let ups = path.iter().take_while(|name| *name == "super").count();
        match path.first()?.as_str() {
            "crate" => Some((vec![], &path[1..])),
            "self" => Some((from.to_vec(), &path[1..])),
            "super" => Some((from[..from.len().checked_sub(ups)?].to_vec(), &path[ups..])),
            first => {
                let is_child = self.modules.contains_key(&[from, &[first.to_owned()]].concat());
                is_child.then(|| (from.to_vec(), path))
            }
        }
    }

    /// The module in which a name that `place` imports is defined; `None` if `place` defines it itself or does not know it.
    fn definition(&self, place: &Place, name: &String, rest: &[String], depth: usize) -> Option<Place> {
        let module = self.modules.get(place)?;
        if module.items.contains(name) {
            return None;
        }
        if let Some((_, path)) = module.imports.iter().find(|(imported, _)| imported == name) {
            return self.module_of(place, &[path, rest].concat(), depth + 1);
        }
        let globs = module.imports.iter().filter(|(imported, _)| imported == "*");
        let mut sources = globs.filter_map(|(_, path)| self.module_of(place, path, depth + 1));
        sources.find_map(|source| {
            let defines = self.modules.get(&source).is_some_and(|module| module.items.contains(name));
            if defines { Some(source) } else { self.definition(&source, name, rest, depth + 1) }
        })
    }

    fn file_of(&self, place: &[String]) -> &str {
        let with_file = (0..=place.len()).rev().find_map(|length| self.files.get(&place[..length]));
        with_file.map_or(&self.folder, |file| file)
    }
}

/// `train/replay.rs` is the module `train::replay`; `lib.rs` and `main.rs` are the root.
fn place_of(inside: &str) -> Place {
    let path = inside.trim_end_matches(".rs").trim_end_matches("/mod");
    if path == "lib" || path == "main" { vec![] } else { path.split('/').map(str::to_owned).collect() }
}
