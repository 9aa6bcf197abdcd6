//! Checks the formatting of every crate with rustfmt, which does not format `view!`; CONTRIBUTING.md says why nothing else does.

use std::path::Path;

use super::{Finding, sources::Sources};
use crate::shell::{Outcome, cargo, root};

/// Files that `cargo fmt` would change.
pub(super) fn check(_: &Sources) -> Outcome<Vec<Finding>> {
    let mut fmt = cargo();
    let output = fmt.args(["fmt", "--all", "--", "--check", "--files-with-diff"]).output();
    let output = output.map_err(|error| format!("cargo fmt could not be started: {error}"))?;
    let files = String::from_utf8_lossy(&output.stdout);
    let findings: Vec<Finding> = files.lines().map(unformatted).collect();
    if findings.is_empty() && !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(format!("cargo fmt failed; if rustfmt is missing, run `rustup component add rustfmt`: {reason}"));
    }
    Ok(findings)
}

/// A finding for a file; rustfmt prints absolute paths.
fn unformatted(file: &str) -> Finding {
    let short = Path::new(file).strip_prefix(root()).unwrap_or(Path::new(file));
    Finding::new(short.to_string_lossy(), 0, "is not formatted: run `cargo fmt --all`")
}
