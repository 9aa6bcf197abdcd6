//! Builds the API documentation of every crate with rustdoc, which finds links to renamed items; the compiler does not.

use crate::shell::{Outcome, cargo, run};

/// The groups of packages that the tests build separately: the workspace, the page, this program.
const GROUPS: [&[&str]; 3] = [
    &["--release", "--workspace", "--exclude", "app", "--exclude", "xtask"],
    &["--package", "app"],
    &["--release", "--package", "xtask"],
];

/// Private items are included, because the readers are those who change the code. A warning is an error.
pub(super) fn build() -> Outcome<()> {
    const FLAGS: &str = "-D warnings -A rustdoc::private_intra_doc_links";
    for group in GROUPS {
        run(cargo().args(["doc", "--no-deps", "--document-private-items"]).args(group).env("RUSTDOCFLAGS", FLAGS))?;
    }
    Ok(())
}
