//! Building the program `kindling` and starting it.

use std::path::PathBuf;

use crate::page;
use crate::shell::{Outcome, cargo, command, run, say, target_dir};

/// Builds page and server, then becomes the server.
pub(crate) fn serve(args: &[String]) -> Outcome<()> {
    page::build()?;
    build()?;
    say("starting the lab; Ctrl-C stops it, running trainings go on");
    start(args)
}

/// Builds the server with the page inside.
pub(crate) fn build() -> Outcome<()> {
    say("building the server (the first time takes 15 to 30 minutes on two cores)");
    run(cargo().args(["build", "--release", "--bin", "kindling"]))
}

/// Where the built program lies.
pub(crate) fn program() -> PathBuf {
    target_dir().join("release").join("kindling").with_extension(std::env::consts::EXE_EXTENSION)
}

/// On Unix the server takes this program's place, so that signals reach it directly.
#[cfg(unix)]
fn start(args: &[String]) -> Outcome<()> {
    use std::os::unix::process::CommandExt;

    let error = command(program()).arg("serve").args(args).exec();
    Err(format!("{} could not be started: {error}", program().display()))
}

#[cfg(not(unix))]
fn start(args: &[String]) -> Outcome<()> {
    run(command(program()).arg("serve").args(args))
}
