//! Packs the program for another machine: stripped and compressed. Programs that run on this machine keep their symbols, because a
//! backtrace without symbols names no function.

use std::fs;
use std::path::Path;

use crate::deb;
use crate::server;
use crate::shell::{Outcome, command, find_program, run, say, target_dir};

/// Largest archive, bytes.
const MAX_BYTES: u64 = 60_000_000;

/// Builds page and server, and packs the program into `target/package`.
pub(crate) fn package() -> Outcome<()> {
    server::build()?;
    say("packing the program");
    let folder = target_dir().join("package");
    fs::create_dir_all(&folder).map_err(|error| format!("{} could not be created: {error}", folder.display()))?;
    let program = server::program();
    let name = program.file_name().ok_or("the path of the program has no file name")?;
    strip(&program, &folder.join(name))?;
    let archive = format!("kindling-{}-{}.tar.gz", std::env::consts::OS, std::env::consts::ARCH);
    run(command("tar").current_dir(&folder).args(["-czf", &archive]).arg(name))?;
    let bytes = size(&folder.join(&archive))?;
    let [built, stripped, packed] = [size(&program)?, size(&folder.join(name))?, bytes].map(|bytes| bytes as f64 / 1e6);
    say(&format!("{archive}: built {built:.1} MB, stripped {stripped:.1} MB, packed {packed:.1} MB"));
    if bytes > MAX_BYTES {
        return Err(format!("{archive} has {bytes} bytes; the limit is {MAX_BYTES}"));
    }
    if let Some(package) = deb::pack(&folder)? {
        say(&format!("{}: {:.1} MB", package.display(), size(&package)? as f64 / 1e6));
    }
    Ok(())
}

/// Copies a program without its symbols, or with them if `strip` is not installed.
fn strip(program: &Path, to: &Path) -> Outcome<()> {
    match find_program(&["strip"]) {
        Some(strip) => run(command(strip).arg("-o").arg(to).arg(program)),
        None => {
            fs::copy(program, to).map(drop).map_err(|error| format!("{} could not be written: {error}", to.display()))
        }
    }
}

fn size(path: &Path) -> Outcome<u64> {
    fs::metadata(path)
        .map(|metadata| metadata.len())
        .map_err(|error| format!("{} could not be read: {error}", path.display()))
}
