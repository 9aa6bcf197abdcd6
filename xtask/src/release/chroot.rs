//! Starts the archives of a release in an empty root directory that has the libraries of the C library and nothing else: no shell, no `/tmp`, no
//! `/proc`, no other program or library.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{copy, empty, file_name};
use crate::shell::{Outcome, command, find_program, output, run, say};

/// Names with which the files of the C library begin. Debian's package of it depends on that of the compiler's run time, `libgcc_s`.
const C_LIBRARY: [&str; 9] =
    ["ld-linux", "libc.", "libm.", "libdl.", "libpthread.", "librt.", "libutil.", "libresolv.", "libgcc_s."];

/// Unpacks each archive into an empty root and starts the program there: its version, its help, and a server.
pub(super) fn check(folder: &Path, archives: &[PathBuf]) -> Outcome<()> {
    if output(command("id").arg("-u")).as_deref() != Some("0") {
        say(
            "NOT RUN: the archives are started in an empty root directory by root alone; see `cargo xtask release` in docs/guide.md",
        );
        return Ok(());
    }
    for archive in archives {
        let root = empty(&folder.join("chroot"))?;
        let checked = starts(archive, &root);
        fs::remove_dir_all(&root).map_err(|error| format!("{} could not be removed: {error}", root.display()))?;
        eprintln!("{} starts with the C library alone: {}", file_name(archive), checked?);
    }
    Ok(())
}

/// Starts the program of an archive in this root; returns the libraries that it has.
fn starts(archive: &Path, root: &Path) -> Outcome<String> {
    run(command("tar").arg("-xzf").arg(archive).arg("-C").arg(root).arg("--strip-components=1"))?;
    let libraries = libraries(&root.join("kindling"))?;
    libraries.iter().try_for_each(|library| copy(library, &root.join(library.strip_prefix("/").unwrap_or(library))))?;
    let version =
        output(&mut inside(root, &["--version"])).ok_or("`kindling --version` failed in an empty root directory")?;
    let help = output(&mut inside(root, &["serve", "--help"]))
        .ok_or("`kindling serve --help` failed in an empty root directory")?;
    if !version.starts_with("kindling ") || !help.contains("--listen") {
        return Err(format!("unexpected answers in an empty root directory: {version:?}, {help:?}"));
    }
    let line = first_line(inside(root, &["serve", "--no-workers", "--data", "/lab", "--listen", "127.0.0.1:0"]))?;
    if !line.contains("http://") {
        return Err(format!("the server printed {line:?} in an empty root directory"));
    }
    Ok(libraries.iter().map(|library| file_name(library)).collect::<Vec<_>>().join(", "))
}

/// The program in a root, without the environment of this process.
fn inside(root: &Path, arguments: &[&str]) -> Command {
    // Looked for here: the program has no PATH. Debian's is where that of a usual account does not lead.
    let mut chroot = command(find_program(&["chroot"]).unwrap_or_else(|| "/usr/sbin/chroot".into()));
    chroot.env_clear().arg(root).arg("/kindling").args(arguments).stdin(Stdio::null());
    chroot
}

/// Starts a program, and ends it once it has printed a line.
fn first_line(mut command: Command) -> Outcome<String> {
    let failed = |error| format!("the server could not be started in an empty root directory: {error}");
    let mut process = command.stdout(Stdio::piped()).spawn().map_err(failed)?;
    let mut line = String::new();
    let read = process.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
    // It may have ended by itself; then it has printed nothing.
    let _ = process.kill();
    process.wait().map_err(failed)?;
    read.transpose().map_err(failed)?;
    Ok(line)
}

/// The libraries that a program is linked with, and the loader, by `ldd`.
fn libraries(program: &Path) -> Outcome<Vec<PathBuf>> {
    let listed = output(command("ldd").arg(program)).ok_or_else(|| format!("`ldd {}` failed", program.display()))?;
    let libraries = library_paths(&listed);
    match libraries.iter().find(|path| !C_LIBRARY.iter().any(|part| file_name(path).starts_with(part))) {
        Some(other) => Err(format!("{} needs {}, which is not of the C library", program.display(), other.display())),
        None => Ok(libraries),
    }
}

/// The paths in the output of `ldd`.
fn library_paths(listed: &str) -> Vec<PathBuf> {
    let words = listed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    words.map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_and_the_libraries_are_read_and_the_kernels_page_is_not() {
        let listed = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f8e)\n\t/lib64/ld-linux-x86-64.so.2 (0x7f)";
        let expected = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(library_paths(listed), expected);
    }
}
