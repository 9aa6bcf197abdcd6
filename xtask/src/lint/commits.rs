//! Subjects of commits. The history before this file is as it is.

use super::{Finding, sources::Sources};
use crate::shell::{Outcome, command, output};

/// Characters of a subject: what `git log --oneline` and forges show without cutting it.
const MOST: usize = 72;
/// This file: the commit that added it is the first after which subjects are checked.
const MARKER: &str = "xtask/src/lint/commits.rs";

/// Commits after the one that added [`MARKER`] whose subject is too long; merges are left out.
///
/// The oldest commit of a shallow clone counts as adding every file, so there the commits after that one are checked.
/// Without git or outside of a repository there is nothing to check.
pub(super) fn check(_: &Sources) -> Outcome<Vec<Finding>> {
    let added = git(&["log", "--diff-filter=A", "--format=%H", "--", MARKER]);
    let Some(marker) = added.as_deref().and_then(|commits| commits.lines().last()) else { return Ok(vec![]) };
    let log = git(&["log", "--no-merges", "--format=%h %s", &format!("{marker}..HEAD")]).unwrap_or_default();
    Ok(log.lines().filter_map(too_long).collect())
}

fn too_long(line: &str) -> Option<Finding> {
    let (commit, subject) = line.split_once(' ')?;
    let length = subject.chars().count();
    (length > MOST)
        .then(|| Finding::new(format!("commit {commit}"), 0, format!("{length} characters, at most {MOST}: {subject}")))
}

fn git(args: &[&str]) -> Option<String> {
    output(command("git").args(args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_may_have_72_characters() {
        let subject = "é".repeat(72);
        assert!(too_long(&format!("0123abc {subject}")).is_none());
        assert!(too_long(&format!("0123abc {subject}.")).is_some());
        assert!(too_long("0123abc ").is_none(), "an empty subject is git's matter");
    }
}
