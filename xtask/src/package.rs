//! The program as one file to carry to another machine: without symbols, compressed. Programs that are built to be run here keep theirs, since
//! a backtrace without symbols names no function.

use std::fs;
use std::path::Path;

use crate::server;
use crate::shell::{Outcome, command, find_program, run, say, target_dir};

/// Largest archive, bytes.
const MOST_BYTES: u64 = 60_000_000;

/// Builds page and server, and packs the program into `target/package`.
pub(crate) fn package() -> Outcome<()> {
    server::build()?;
    say("packing the program");
    let folder = target_dir().join("package");
    fs::create_dir_all(&folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    let program = server::program();
    let name = program.file_name().ok_or("the program has no name")?;
    strip(&program, &folder.join(name))?;
    let archive = format!("kindling-{}-{}.tar.gz", std::env::consts::OS, std::env::consts::ARCH);
    run(command("tar").current_dir(&folder).args(["-czf", &archive]).arg(name))?;
    let bytes = size(&folder.join(&archive))?;
    let places = [size(&program)?, size(&folder.join(name))?, bytes].map(|bytes| bytes as f64 / 1e6);
    say(&format!("{}: {:.1} MB; without symbols {:.1} MB; packed {:.1} MB", archive, places[0], places[1], places[2]));
    if bytes <= MOST_BYTES { Ok(()) } else { Err(format!("{archive} has {bytes} bytes, more than {MOST_BYTES}")) }
}

/// Copies a program without its symbols; with them if this machine has no `strip`.
fn strip(program: &Path, to: &Path) -> Outcome<()> {
    match find_program(&["strip"]) {
        Some(strip) => run(command(strip).arg("-o").arg(to).arg(program)),
        None => fs::copy(program, to).map(drop).map_err(|error| format!("{} cannot be written: {error}", to.display())),
    }
}

fn size(path: &Path) -> Outcome<u64> {
    fs::metadata(path).map(|about| about.len()).map_err(|error| format!("{}: {error}", path.display()))
}
