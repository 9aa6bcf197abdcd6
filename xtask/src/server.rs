//! Building the program `kindling` and starting it.

use std::path::PathBuf;
use std::process::Command;

use crate::page;
use crate::shell::{Outcome, cargo, command, run, say, target_dir};

/// Builds page and server, then becomes the server.
pub(crate) fn serve(args: &[String]) -> Outcome<()> {
    build()?;
    say("starting the lab; Ctrl-C stops it, running trainings go on");
    start(args)
}

/// Builds the page, and the server with the page inside.
pub(crate) fn build() -> Outcome<()> {
    if program().is_file() {
        page::build()?;
    } else {
        build_page_beside_server()?;
    }
    say("building the server");
    run(&mut cargo_build())
}

/// The first build. Large crates of the server's are compiled one after another and leave a core idle, which the page
/// uses; only the server's last crate is then built a second time, around the page.
fn build_page_beside_server() -> Outcome<()> {
    say("building page and server (the first time takes 15 to 30 minutes on two cores)");
    let mut ahead = cargo_build().spawn().map_err(|error| format!("cargo could not be started: {error}"))?;
    let page = page::build();
    if page.is_err() {
        let _ = ahead.kill(); // whoever waits should hear of the page now
    }
    let ended = ahead.wait().map_err(|error| format!("cargo was lost: {error}"));
    page.and(ended.map(drop)) // what failed of the server, the build around the page says again
}

fn cargo_build() -> Command {
    let mut build = cargo();
    build.args(["build", "--release", "--bin", "kindling"]);
    build
}

/// Path of the built program.
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
