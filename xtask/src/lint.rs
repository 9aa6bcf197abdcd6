//! Checks that need no compiled program: `cargo xtask lint`, and the first part of `cargo xtask test`.
//!
//! Each check is one file in `lint/` with one function that returns its [`Finding`]s. [`sources`] reads the repository
//! once for all of them and [`rust`] lexes Rust. Checks of what the program answers (the API document, `--help`) are
//! tests of `server`, since they need it built.

mod commits;
mod cycles;
mod doc_comments;
mod documentation;
mod finding;
mod formatting;
mod modules;
mod named_files;
mod phrases;
mod rust;
mod sources;
mod spelling;
mod width;

pub(crate) use finding::Finding;
use sources::Sources;

use crate::shell::{Outcome, root, say};

/// A check: its name in the summary, and what it finds.
type Check = (&'static str, fn(&Sources) -> Outcome<Vec<Finding>>);

const CHECKS: [Check; 8] = [
    ("formatting", formatting::check),
    ("line width", width::check),
    ("spelling", spelling::check),
    ("banned phrases", phrases::check),
    ("doc comments", doc_comments::check),
    ("module cycles", cycles::check),
    ("files named in documents", named_files::check),
    ("commit subjects", commits::check),
];

/// Runs every check, prints what they find and a line for each. The error says how many checks found something.
pub(crate) fn run_all() -> Outcome<()> {
    say("lint");
    let sources = Sources::read(&root())?;
    let failed = CHECKS.iter().filter(|check| !passes(check, &sources)).count();
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} checks found something", CHECKS.len())) }
}

/// Builds the API documentation of every crate; a warning is an error.
pub(crate) fn documentation() -> Outcome<()> {
    say("rustdoc");
    documentation::build()
}

/// Runs one check and prints its findings.
fn passes((name, check): &Check, sources: &Sources) -> bool {
    match check(sources) {
        Ok(findings) if findings.is_empty() => eprintln!("{name}: nothing found"),
        Ok(findings) => {
            findings.iter().for_each(|finding| eprintln!("{finding}"));
            eprintln!("{name}: {} found\n", findings.len());
            return false;
        }
        Err(reason) => {
            eprintln!("{name}: could not be checked: {reason}\n");
            return false;
        }
    }
    true
}
