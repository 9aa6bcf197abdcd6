//! Packs a release: everything that is published for one version, into `target/package`.
//!
//! [`archive`] packs the program with licenses, README and systemd unit; [`deb`] makes the Debian package; [`older_systems`] links the program
//! for older C libraries; [`chroot`] starts the archives where there is nothing but the C library; [`symbols`] reads which version of it a
//! program needs. Programs that run on this machine keep their symbols, because a backtrace without symbols names no function.

mod archive;
mod chroot;
mod deb;
mod older_systems;
mod symbols;

use std::fs;
use std::path::{Path, PathBuf};

use crate::server;
use crate::shell::{Outcome, command, find_program, is_ci, output, root, run, say, target_dir};

/// Version of the packed program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Largest archive, bytes.
const MAX_BYTES: u64 = 60_000_000;

/// Builds page and server, packs them, and starts what was packed.
pub(crate) fn release() -> Outcome<()> {
    if !cfg!(target_os = "linux") {
        return Err("a release is packed on Linux; other systems are not supported".to_owned());
    }
    server::build()?;
    say("packing the release");
    let folder = empty(&target_dir().join("package"))?;
    let mut files = vec![pack(&server::program(), &folder, "")?];
    match older_systems::link(&folder)? {
        Some(program) => {
            files.push(pack(&program, &folder, &format!("-glibc{}", older_systems::GLIBC))?);
            remove(&program)?;
        }
        None if is_ci() => return Err("the release is incomplete: see above".to_owned()),
        None => {}
    }
    chroot::check(&folder, &files)?;
    let stripped = folder.join("kindling");
    strip(&server::program(), &stripped)?;
    files.extend(deb::pack(&folder, &stripped)?);
    remove(&stripped)?;
    let containerfile = folder.join("Containerfile");
    copy(&root().join("packaging").join("Containerfile"), &containerfile)?;
    files.push(containerfile);
    write_sums(&folder, &files)?;
    say(&format!("{} holds the release:", folder.display()));
    for file in &files {
        eprintln!("{:6.1} MB  {}", size(file)? as f64 / 1e6, file_name(file));
    }
    Ok(())
}

/// Packs a program without its symbols into an archive; `suffix` ends the name of the archive.
fn pack(program: &Path, folder: &Path, suffix: &str) -> Outcome<PathBuf> {
    let archive = archive::pack(program, folder, suffix)?;
    let [built, packed] = [size(program)?, size(&archive)?].map(|bytes| bytes as f64 / 1e6);
    let glibc = symbols::glibc_of(program)?;
    eprintln!("{}: program of {built:.1} MB, packed {packed:.1} MB, needs glibc {glibc}", file_name(&archive));
    if size(&archive)? > MAX_BYTES {
        return Err(format!("{} is larger than {MAX_BYTES} bytes", archive.display()));
    }
    Ok(archive)
}

/// Copies a program without its symbols, or with them if `strip` is not installed.
fn strip(program: &Path, to: &Path) -> Outcome<()> {
    match find_program(&["strip"]) {
        Some(strip) => run(command(strip).arg("-o").arg(to).arg(program)),
        None => copy(program, to),
    }
}

/// Writes the SHA-256 of files of a folder into its file `SHA256SUMS`, as `sha256sum --check` reads them.
fn write_sums(folder: &Path, files: &[PathBuf]) -> Outcome<()> {
    let names = files.iter().map(|file| file.strip_prefix(folder).unwrap_or(file));
    let sums = output(command("sha256sum").current_dir(folder).args(names)).ok_or("`sha256sum` failed")?;
    write(&folder.join("SHA256SUMS"), format!("{sums}\n").as_bytes())
}

/// A folder without what was in it.
fn empty(folder: &Path) -> Outcome<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| format!("{} could not be removed: {error}", folder.display()))?;
    }
    fs::create_dir_all(folder).map_err(|error| format!("{} could not be created: {error}", folder.display()))?;
    Ok(folder.to_owned())
}

/// Writes a file and the folders above it.
fn write(path: &Path, content: &[u8]) -> Outcome<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .map_err(|error| format!("{} could not be written: {error}", path.display()))
}

/// Copies a file with its permissions, and creates the folders above the copy.
fn copy(from: &Path, to: &Path) -> Outcome<()> {
    let folder = to.parent().unwrap_or(to);
    fs::create_dir_all(folder)
        .and_then(|()| fs::copy(from, to))
        .map(drop)
        .map_err(|error| format!("{} could not be copied to {}: {error}", from.display(), to.display()))
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("{} could not be read: {error}", path.display()))
}

fn remove(path: &Path) -> Outcome<()> {
    fs::remove_file(path).map_err(|error| format!("{} could not be removed: {error}", path.display()))
}

fn size(path: &Path) -> Outcome<u64> {
    fs::metadata(path)
        .map(|metadata| metadata.len())
        .map_err(|error| format!("{} could not be read: {error}", path.display()))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
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
