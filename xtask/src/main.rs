//! `cargo xtask`: builds the page and the server, runs them, runs the tests.
//!
//! [`page`] turns `app/` into files under `target/page`, with a compiler found by [`compiler`]; [`server`] builds and
//! starts the program; [`package`] packs it for another machine; [`tests`] runs everything and says what did not run; [`install`] fetches what is missing;
//! [`shell`] is how commands are run. What the lab does is not here.

mod compiler;
mod install;
mod package;
mod page;
mod server;
mod shell;
mod tests;

use std::process::ExitCode;

use shell::Outcome;

const USAGE: &str = "\
cargo xtask serve [ARGS]   install what is missing, build the page and the server, start the lab (ARGS go to it)
cargo xtask test           the same, then run every test
cargo xtask page           only build the page, into target/page
cargo xtask package        build both, and pack the program for another machine, into target/package
cargo xtask setup          only install what the other commands need

The first build takes 15 to 30 minutes on two cores; later ones take seconds.";

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
        "test" => tests::run_all(),
        "page" => page::build(),
        "package" => package::package(),
        "setup" => install::everything(),
        "help" | "-h" | "--help" => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(format!("there is no task `{other}`\n\n{USAGE}")),
    }
}
