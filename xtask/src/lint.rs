//! Checks that need no compiled program: `cargo xtask lint`, also run by `cargo xtask test`.
//!
//! Each check is one file in `lint/` with one function that returns its [`Finding`]s. [`sources`] reads the repository
//! once for all of them and [`rust`] lexes Rust. Checks of the output of the program (the API document, `--help`) are
//! tests of `server`, because they need a built program.

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

/// A check: its name in the summary, and the function that returns its findings.
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

/// Runs every check, prints its findings and a line of summary. The error gives the number of checks that failed.
pub(crate) fn run_all() -> Outcome<()> {
    say("lint");
    let sources = Sources::read(&root())?;
    let failed = CHECKS.iter().filter(|check| !passes(check, &sources)).count();
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} checks failed", CHECKS.len())) }
}

/// Builds the API documentation of every crate; a warning is an error.
pub(crate) fn documentation() -> Outcome<()> {
    say("rustdoc");
    documentation::build()
}

/// Runs one check and prints its findings. Returns whether there are none.
fn passes((name, check): &Check, sources: &Sources) -> bool {
    match check(sources) {
        Ok(findings) if findings.is_empty() => eprintln!("{name}: no findings"),
        Ok(findings) => {
            findings.iter().for_each(|finding| eprintln!("{finding}"));
            let count = findings.len();
            eprintln!("{name}: {count} {}\n", if count == 1 { "finding" } else { "findings" });
            return false;
        }
        Err(reason) => {
            eprintln!("{name}: the check could not run: {reason}\n");
            return false;
        }
    }
    true
}
