//! Length of commit subjects, from the commit that added this file on.

use super::{Finding, sources::Sources};
use crate::shell::{Outcome, command, output};

/// Maximum length of a subject, characters: `git log --oneline` and code hosts show it whole.
const MAX_CHARS: usize = 72;
/// This file: subjects are checked after the commit that added it.
const MARKER: &str = "xtask/src/lint/commits.rs";

/// Commits after the one that added [`MARKER`] whose subject is too long; merges are left out.
///
/// In a shallow clone, git reports that the oldest commit added every file, so the commits after that one are checked.
/// Without git or outside of a repository nothing is checked.
pub(super) fn check(_: &Sources) -> Outcome<Vec<Finding>> {
    let added = git(&["log", "--diff-filter=A", "--format=%H", "--", MARKER]);
    let Some(marker) = added.as_deref().and_then(|commits| commits.lines().last()) else { return Ok(vec![]) };
    let log = git(&["log", "--no-merges", "--format=%h %s", &format!("{marker}..HEAD")]).unwrap_or_default();
    Ok(log.lines().filter_map(too_long).collect())
}

fn too_long(line: &str) -> Option<Finding> {
    let (commit, subject) = line.split_once(' ')?;
    let length = subject.chars().count();
    let message = || format!("{length} characters, at most {MAX_CHARS}: {subject}");
    (length > MAX_CHARS).then(|| Finding::new(format!("commit {commit}"), 0, message()))
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
        assert!(too_long("0123abc ").is_none(), "an empty subject is not a finding");
    }
}
