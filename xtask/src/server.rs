//! Builds the program `kindling` and starts it.

use std::path::PathBuf;
use std::process::Command;

use crate::page;
use crate::shell::{Outcome, cargo, command, run, say, target_dir};

/// Builds page and server, then starts the server.
pub(crate) fn serve(args: &[String]) -> Outcome<()> {
    build()?;
    say("starting the server; Ctrl-C stops it, runs continue training");
    start(args)
}

/// Builds the page, then the server, which embeds it.
pub(crate) fn build() -> Outcome<()> {
    if program().is_file() {
        page::build()?;
    } else {
        build_page_beside_server()?;
    }
    say("building the server");
    run(&mut cargo_build())
}

/// The first build. Large dependencies of the server are compiled one after another and leave a core idle, which the build of the page
/// uses; then only the crate `kindling`, which embeds the page, is built a second time.
fn build_page_beside_server() -> Outcome<()> {
    say("building page and server (the first time takes 15 to 30 minutes on two cores)");
    let mut server = cargo_build().spawn().map_err(|error| format!("cargo could not be started: {error}"))?;
    let page = page::build();
    if page.is_err() {
        let _ = server.kill(); // a failure of the page is reported at once
    }
    let ended = server.wait().map_err(|error| format!("the exit status of cargo could not be read: {error}"));
    page.and(ended.map(drop)) // the second build reports errors of the server again
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

/// Replaces this process by the server (`exec`), so that signals reach it directly.
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
