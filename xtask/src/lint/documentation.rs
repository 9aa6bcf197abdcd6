//! rustdoc over every crate. It finds links to items that were renamed, which no compiler does.

use crate::shell::{Outcome, cargo, run};

/// The groups of packages that cargo builds apart, as the tests do: the workspace, the page, this program.
const GROUPS: [&[&str]; 3] = [
    &["--release", "--workspace", "--exclude", "app", "--exclude", "xtask"],
    &["--package", "app"],
    &["--release", "--package", "xtask"],
];

/// Builds the documentation of our crates, not of those they depend on; the first warning of a crate is its error.
pub(super) fn build() -> Outcome<()> {
    for group in GROUPS {
        run(cargo().args(["doc", "--no-deps"]).args(group).env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(())
}
