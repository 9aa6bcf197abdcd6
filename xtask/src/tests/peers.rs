//! Optional checks against third-party programs, `cargo xtask test --peers`. They need the packages of those programs and take minutes. Whoever
//! runs them writes the date and the result into docs/PEERS.md.

use std::process::Command;

use super::{Verdict, is_failure, verdict};
use crate::server;
use crate::shell::{Outcome, cargo, command, find_program, output, run, say, target_dir};

/// A check against a third-party program.
struct Peer {
    name: &'static str,
    /// What has to be installed, in words.
    needs: &'static str,
    is_there: fn() -> bool,
    check: fn() -> Outcome<()>,
}

const PEERS: [Peer; 4] = [
    Peer {
        name: "Model Context Protocol, official Python SDK",
        needs: "a python3 with the package mcp",
        is_there: || has_module("mcp"),
        check: || run(python().args(["tests/measure/agents.py", "lab"]).env("KINDLING", server::program())),
    },
    Peer {
        name: "OAuth of the Model Context Protocol, official Python SDK",
        needs: "a python3 with the package mcp",
        is_there: || has_module("mcp"),
        check: || run(python().arg("tests/measure/oauth.py").env("KINDLING", server::program())),
    },
    Peer {
        name: "HTTP API, schemathesis",
        needs: "schemathesis",
        is_there: || find_program(&["schemathesis"]).is_some(),
        check: || run(command("sh").arg("tests/measure/schemathesis.sh").env("KINDLING", server::program())),
    },
    Peer {
        name: "models, Hugging Face transformers",
        needs: "a python3 with the packages torch and transformers",
        is_there: || has_module("torch") && has_module("transformers"),
        check: transformers,
    },
];

/// Runs the checks whose programs are installed, and prints a summary.
pub(crate) fn run_peers() -> Outcome<()> {
    server::build()?;
    let mut parts = vec![];
    for peer in &PEERS {
        say(peer.name);
        parts.push((
            peer.name,
            match (peer.is_there)() {
                true => verdict((peer.check)()),
                false => Verdict::NotRun(format!("it needs {}", peer.needs)),
            },
        ));
    }
    say("summary, for docs/PEERS.md");
    let failures = parts.iter().filter(|(name, verdict)| is_failure(name, verdict)).count();
    if failures == 0 { Ok(()) } else { Err(format!("{failures} of {} peers did not pass", parts.len())) }
}

/// Exports models and loads them with `transformers`.
fn transformers() -> Outcome<()> {
    let folder = target_dir().join("peers").join("transformers");
    let test = ["test", "--release", "--workspace", "--exclude", "app", "--exclude", "xtask", "--test", "engine"];
    let ignored = ["--", "--ignored", "models_for_transformers"];
    run(cargo().args(test).args(ignored).env("INTEROP_OUT", &folder))?;
    run(python().args(["tests/measure/interop.py", "verify"]).arg(&folder))
}

fn python() -> Command {
    command("python3")
}

fn has_module(name: &str) -> bool {
    output(python().args(["-c", &format!("import {name}")])).is_some()
}
