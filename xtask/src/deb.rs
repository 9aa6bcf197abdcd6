//! The Debian package: the stripped program, shell completions, a systemd unit and the licenses.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Outcome, command, find_program, output, root, run, say};

/// Version of the packed program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Packs `folder/kindling` into `folder/kindling_VERSION_ARCHITECTURE.deb`, where `dpkg-deb` is installed. Returns the path.
pub(crate) fn pack(folder: &Path) -> Outcome<Option<PathBuf>> {
    let Some(dpkg_deb) = find_program(&["dpkg-deb"]) else {
        say("no Debian package: dpkg-deb is not installed");
        return Ok(None);
    };
    let program = folder.join("kindling");
    let tree = folder.join("deb");
    if tree.exists() {
        fs::remove_dir_all(&tree).map_err(|error| format!("{} could not be removed: {error}", tree.display()))?;
    }
    let packaged = root().join("packaging").join("kindling.service");
    put(&tree, "usr/bin/kindling", &read(&program)?)?;
    make_executable(&tree.join("usr/bin/kindling"))?;
    put(&tree, "usr/lib/systemd/user/kindling.service", &read(&packaged)?)?;
    for (shell, path) in [
        ("bash", "usr/share/bash-completion/completions/kindling"),
        ("zsh", "usr/share/zsh/vendor-completions/_kindling"),
        ("fish", "usr/share/fish/vendor_completions.d/kindling.fish"),
    ] {
        let script = output(command(&program).args(["completions", shell]));
        let script = script.ok_or_else(|| format!("`kindling completions {shell}` failed"))?;
        put(&tree, path, script.as_bytes())?;
    }
    put(&tree, "usr/share/doc/kindling/copyright", copyright()?.as_bytes())?;
    let architecture = architecture();
    put(&tree, "DEBIAN/control", control(architecture, &glibc_of(&program)?).as_bytes())?;
    let package = folder.join(format!("kindling_{VERSION}_{architecture}.deb"));
    run(command(dpkg_deb).args(["--build", "--root-owner-group"]).arg(&tree).arg(&package))?;
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

/// The newest version of the C library whose symbols the program uses.
fn glibc_of(program: &Path) -> Outcome<String> {
    let symbols = output(command("objdump").arg("-T").arg(program)).ok_or("`objdump -T` failed: install binutils")?;
    newest_glibc(&symbols).ok_or_else(|| format!("{} uses no symbol of glibc", program.display()))
}

fn newest_glibc(symbols: &str) -> Option<String> {
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        rest[..end].split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>()
    });
    let newest = versions.max()?;
    Some(newest.iter().map(u32::to_string).collect::<Vec<_>>().join("."))
}

fn copyright() -> Outcome<String> {
    let [mit, apache] = ["LICENSE-MIT", "LICENSE-APACHE"].map(|name| fs::read_to_string(root().join(name)));
    let failed = |error| format!("a license could not be read: {error}");
    Ok(format!(
        "Licensed under MIT or Apache-2.0, at your option.\n\n{}\n\n{}",
        mit.map_err(failed)?,
        apache.map_err(failed)?
    ))
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    fs::read(path).map_err(|error| format!("{} could not be read: {error}", path.display()))
}

fn put(tree: &Path, name: &str, content: &[u8]) -> Outcome<()> {
    let path = tree.join(name);
    let folder = path.parent().unwrap_or(tree);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, content))
        .map_err(|error| format!("{} could not be written: {error}", path.display()))
}

#[cfg(unix)]
fn make_executable(path: &Path) -> Outcome<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(|error| format!("{} could not be made executable: {error}", path.display()))
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> Outcome<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_of_the_c_library_is_found() {
        let symbols =
            "0 DF *UND* 0 (GLIBC_2.2.5) read\n0 DF *UND* 0 (GLIBC_2.34) dlsym\n0 DF *UND* 0 (GLIBC_2.9) pipe2";
        assert_eq!(newest_glibc(symbols).as_deref(), Some("2.34"));
        assert_eq!(newest_glibc("no symbols"), None);
    }
}
