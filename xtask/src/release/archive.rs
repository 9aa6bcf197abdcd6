//! The tar archive of a release: the stripped program with all that its user needs, in one folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::{VERSION, copy, empty, make_executable, read, strip, write, write_sums};
use crate::shell::{Outcome, command, root, run};

/// Files of the repository that the archive has under the same paths.
const DOCUMENTS: [&str; 4] = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "docs/guide.md"];

/// Packs a program as `folder/kindling-VERSION-SYSTEM-ARCHITECTURE<suffix>.tar.gz`; returns the path.
pub(super) fn pack(program: &Path, folder: &Path, suffix: &str) -> Outcome<PathBuf> {
    let name = format!("kindling-{VERSION}-{}-{}{suffix}", std::env::consts::OS, std::env::consts::ARCH);
    let tree = empty(&folder.join(&name))?;
    strip(program, &tree.join("kindling"))?;
    make_executable(&tree.join("kindling"))?;
    DOCUMENTS.iter().try_for_each(|document| copy(&root().join(document), &tree.join(document)))?;
    // Without a package, the program is in the home of its user.
    let unit = read(&root().join("packaging").join("kindling.service"))?;
    let unit = unit.replace("/usr/bin/kindling", "%h/.local/bin/kindling");
    write(&tree.join("kindling.service"), unit.as_bytes())?;
    let members = ["kindling", "kindling.service"].iter().chain(&DOCUMENTS).map(|member| tree.join(member));
    write_sums(&tree, &members.collect::<Vec<_>>())?;
    let archive = folder.join(format!("{name}.tar.gz"));
    let owner = ["--owner=0", "--group=0", "--numeric-owner", "--sort=name"];
    run(command("tar").current_dir(folder).args(owner).arg("-czf").arg(&archive).arg(&name))?;
    fs::remove_dir_all(&tree).map_err(|error| format!("{} could not be removed: {error}", tree.display()))?;
    Ok(archive)
}
