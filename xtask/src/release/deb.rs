//! The Debian package: the stripped program, shell completions, a systemd unit and the licenses.

use std::fs;
use std::path::{Path, PathBuf};

use super::symbols::glibc_of;
use super::{VERSION, copy, empty, make_executable, read, write};
use crate::shell::{Outcome, command, find_program, output, root, run, say};

/// Packs a program into `folder/kindling_VERSION_ARCHITECTURE.deb`, where `dpkg-deb` is installed. Returns the path.
pub(super) fn pack(folder: &Path, program: &Path) -> Outcome<Option<PathBuf>> {
    let Some(dpkg_deb) = find_program(&["dpkg-deb"]) else {
        say("no Debian package: dpkg-deb is not installed");
        return Ok(None);
    };
    let tree = empty(&folder.join("deb"))?;
    copy(program, &tree.join("usr/bin/kindling"))?;
    make_executable(&tree.join("usr/bin/kindling"))?;
    copy(&root().join("packaging/kindling.service"), &tree.join("usr/lib/systemd/user/kindling.service"))?;
    for (shell, path) in [
        ("bash", "usr/share/bash-completion/completions/kindling"),
        ("zsh", "usr/share/zsh/vendor-completions/_kindling"),
        ("fish", "usr/share/fish/vendor_completions.d/kindling.fish"),
    ] {
        let script = output(command(program).args(["completions", shell]));
        let script = script.ok_or_else(|| format!("`kindling completions {shell}` failed"))?;
        write(&tree.join(path), script.as_bytes())?;
    }
    write(&tree.join("usr/share/doc/kindling/copyright"), copyright()?.as_bytes())?;
    let architecture = architecture();
    write(&tree.join("DEBIAN/control"), control(architecture, &glibc_of(program)?).as_bytes())?;
    let package = folder.join(format!("kindling_{VERSION}_{architecture}.deb"));
    run(command(dpkg_deb).args(["--build", "--root-owner-group"]).arg(&tree).arg(&package))?;
    fs::remove_dir_all(&tree).map_err(|error| format!("{} could not be removed: {error}", tree.display()))?;
    Ok(Some(package))
}

/// Debian's name of this machine's architecture.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn control(architecture: &str, glibc: &str) -> String {
    format!(
        "Package: kindling\nVersion: {VERSION}\nArchitecture: {architecture}\nMaintainer: The Kindling authors <kindling@localhost>\n\
         Section: science\nPriority: optional\nDepends: libc6 (>= {glibc}), libgcc-s1\nRecommends: libvulkan1\n\
         Description: visual training lab for language models\n \
         Trains small and medium language models on a GPU (Vulkan) or the CPU, shows training, activations and weights\n \
         in the browser, and steers runs.\n"
    )
}

fn copyright() -> Outcome<String> {
    let [mit, apache] = ["LICENSE-MIT", "LICENSE-APACHE"].map(|name| read(&root().join(name)));
    Ok(format!("Licensed under MIT or Apache-2.0, at your option.\n\n{}\n\n{}", mit?, apache?))
}
