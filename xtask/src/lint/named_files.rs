//! Checks that each file that a document names exists.

use super::sources::{Source, Sources};
use super::{Finding, phrases::GLOSSARY};
use crate::shell::Outcome;

/// A log, which names files by their names at the time.
const HISTORY: &str = "docs/LAB_LOG.md";
/// Extensions of source files: a name that has one is taken as a file of the repository.
const EXTENSIONS: [&str; 7] = ["css", "html", "md", "mjs", "rs", "sql", "wgsl"];
/// Top-level folders: a name that begins with one is taken as a file or folder of the repository.
const FOLDERS: [&str; 10] =
    ["app/", "crates/", "docs/", "program/", "public/", "server/", "shaders/", "tests/", "xtask/", ".ci/"];

/// Names in backquotes and targets of links that do not exist. A name may leave out its parent folders: `train.rs`.
pub(super) fn check(sources: &Sources) -> Outcome<Vec<Finding>> {
    let mut findings = vec![];
    for document in sources.with_extension(&["md"]).filter(|file| file.path != HISTORY && file.path != GLOSSARY) {
        for (line, name) in names(document) {
            if !sources.has_path_ending(name) {
                findings.push(Finding::new(&document.path, line, format!("the file `{name}` does not exist")));
            }
        }
    }
    Ok(findings)
}

fn names(document: &Source) -> impl Iterator<Item = (usize, &str)> {
    document.numbered_lines().flat_map(|(number, line)| {
        let quoted = line.split('`').skip(1).step_by(2).filter(|name| is_file_name(name));
        quoted.chain(link_targets(line)).map(move |name| (number, name))
    })
}

fn is_file_name(name: &str) -> bool {
    let is_plain = name.chars().all(|letter| letter.is_alphanumeric() || "._-/".contains(letter));
    let is_of_a_kind = name.rsplit_once('.').is_some_and(|(stem, kind)| !stem.is_empty() && EXTENSIONS.contains(&kind));
    is_plain && (is_of_a_kind || FOLDERS.iter().any(|folder| name.starts_with(folder)))
}

/// Targets of `[text](target)` inside the repository, without the fragment after `#`.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_missing_files_are_found() {
        let text = "`crates/wire` has `plan.rs` and `run/spec.rs`, `cargo test`, `run.state`, `lab.db`\n\
            [guide](docs/guide.md#start) [no](docs/none.md) [out](https://example.org/a.md) `gone.rs` `crates/old/`";
        let files = [
            ("README.md", text),
            ("crates/wire/src/run/spec.rs", ""),
            ("crates/wire/src/plan.rs", ""),
            ("docs/guide.md", ""),
        ];
        let found: Vec<String> =
            check(&Sources::of(&files)).unwrap().into_iter().map(|finding| finding.message).collect();
        let missing = ["crates/wire", "gone.rs", "crates/old/", "docs/none.md"];
        assert_eq!(found, missing.map(|name| format!("the file `{name}` does not exist")));
    }
}
