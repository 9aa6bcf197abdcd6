//! `cargo xtask`: builds the page and the server, starts the server, and runs the checks and tests.
//!
//! [`page`] compiles `app/` with the compiler that [`compiler`] finds and writes the page to `target/page`; [`server`] builds and starts the
//! program; [`tests`] runs all tests; [`mod@release`] packs a release; [`install`] installs missing tools;
//! [`mod@lint`] checks the source; [`shell`] runs commands.

mod compiler;
mod install;
mod lint;
mod page;
mod release;
mod server;
mod shell;
mod tests;

use std::process::ExitCode;

use compiler::Compiler;
use shell::{Outcome, say};

const USAGE: &str = "\
Builds Kindling from source, starts it, and runs its tests.

Usage: cargo xtask TASK

Tasks:
  serve [OPTIONS]  Install missing tools, build the page and the server, and start the server with OPTIONS
  test [--peers]   Install missing tools, build the page and the server, and run all checks and tests; with --peers instead the
                   slow checks against third-party programs that are installed
  lint [--docs]    Check formatting, line width, spelling, wording, module cycles and commit subjects; with --docs also the API
                   documentation
  page             Build only the page, into target/page
  release          Build the page and the server, and pack a release into target/package: an archive, an archive for older
                   systems, a Debian package, the Containerfile and checksums
  setup            Install the tools that the other tasks need

Examples:
  Start a lab on another port:
    cargo xtask serve --listen 8090
  List the options of the server, after a build:
    target/release/kindling serve --help

The first build takes 15 to 30 minutes on two cores; later builds take seconds.";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\nxtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: Vec<String>) -> Outcome<()> {
    if args.is_empty() {
        println!("{USAGE}");
        return Ok(());
    }
    let task = args.remove(0);
    match task.as_str() {
        "serve" => server::serve(&args),
        "test" => test(&args),
        "lint" => lint(&args),
        "page" => page::build(),
        "release" => release::release(),
        "setup" => setup(),
        "help" | "-h" | "--help" => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(format!("unknown task {other:?}\n\n{USAGE}")),
    }
}

/// Installs the tools of all tasks and reports those that could not be installed.
fn setup() -> Outcome<()> {
    Compiler::find()?;
    let missing = install::for_tests();
    if missing.is_empty() {
        say("all tools are installed");
    }
    missing.iter().for_each(|line| eprintln!("missing: {line}"));
    Ok(())
}

fn test(args: &[String]) -> Outcome<()> {
    match args {
        [] => tests::run_all(),
        [peers] if peers == "--peers" => tests::run_peers(),
        other => Err(format!("`cargo xtask test` has only the option `--peers`, but was given `{}`", other.join(" "))),
    }
}

fn lint(args: &[String]) -> Outcome<()> {
    match args {
        [] => lint::run_all(),
        [docs] if docs == "--docs" => lint::run_all().and(lint::documentation()),
        other => Err(format!("`cargo xtask lint` has only the option `--docs`, but was given `{}`", other.join(" "))),
    }
}
