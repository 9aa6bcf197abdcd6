//! Builds the API documentation of every crate with rustdoc, which finds broken links to items.

use crate::shell::{Outcome, cargo, run};

/// The groups of packages that are built separately, as in the tests: the workspace, the page, this program.
const GROUPS: [&[&str]; 3] = [
    &["--release", "--workspace", "--exclude", "app", "--exclude", "xtask"],
    &["--package", "app"],
    &["--release", "--package", "xtask"],
];

/// Builds the documentation with private items, because its readers change the code. A warning is an error.
pub(super) fn build() -> Outcome<()> {
    const FLAGS: &str = "-D warnings -A rustdoc::private_intra_doc_links";
    for group in GROUPS {
        run(cargo().args(["doc", "--no-deps", "--document-private-items"]).args(group).env("RUSTDOCFLAGS", FLAGS))?;
    }
    Ok(())
}
