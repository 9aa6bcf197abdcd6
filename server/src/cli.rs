//! The command line: which subcommand, with which flags. Each subcommand has one reader here and one file elsewhere.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::{Long, Short, Value};
use lexopt::{Parser, ValueExt};
use store::Role;
use wire::DeviceId;

use crate::check_args::CheckArgs;
use crate::export::{ExportWish, What};
use crate::settings::{self, SettingError, Settings};
use crate::token::TokenWish;
use crate::train::{TrainWhat, TrainWish};

/// What the program was asked to do.
pub enum Invocation {
    /// Serve a lab.
    Serve(Settings),
    /// Be a worker.
    Worker(WorkerWish),
    /// Train without a server.
    Train(TrainWish),
    /// Make a token.
    Token(TokenWish),
    /// List this machine's devices.
    Devices {
        /// As JSON, for programs.
        as_json: bool,
    },
    /// Check devices.
    Check(CheckArgs),
    /// Run one part of a full check, given as JSON on standard input; for `check` itself.
    CheckPart,
    /// Complete one text: the question on standard input, a line for each token on standard output.
    Complete {
        /// The lab's folder.
        data: PathBuf,
    },
    /// Take something away.
    Export(ExportWish),
    /// See one thing inside a model: the question on standard input, what is seen on standard output.
    Look {
        /// The lab's folder.
        data: PathBuf,
        /// In postcard rather than JSON.
        is_postcard: bool,
    },
    /// Measure training on this machine.
    Bench(BenchWish),
    /// Print this text.
    Say(String),
}

/// What a worker is told.
pub struct WorkerWish {
    /// Server, unless it is this machine's own.
    pub server: Option<String>,
    /// The lab's folder here.
    pub data: PathBuf,
    /// Device; the fastest-looking one unless told.
    pub device: Option<DeviceId>,
    /// Its token.
    pub token: String,
}

/// What to measure.
#[derive(Debug, Clone)]
pub struct BenchWish {
    /// A text; generated Tales unless told.
    pub text: Option<PathBuf>,
    /// Steps of a training.
    pub steps: u64,
    /// Trainings, each with a seed of its own.
    pub rounds: u64,
    /// A command to run in turn, whose last line is JSON with `tokens_per_sec` and perhaps `valid_loss_nats`.
    pub beside: Option<String>,
}

/// Why the command line could not be understood.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A flag or its value.
    #[error("{0}; `kindling help` lists all there is")]
    Flag(#[from] lexopt::Error),
    /// A value.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// No such subcommand.
    #[error("there is no `kindling {0}`; `kindling help` lists all there is")]
    Subcommand(String),
    /// Something is missing.
    #[error("{0}")]
    Missing(&'static str),
}

const HELP: &str = "\
Kindling, a training lab for language models in the browser

kindling serve  [--data DIR] [--listen ADDRESS] [--allow-host NAME]... [--no-workers] [--queue-limit N]
    Serve the lab and train on this machine's devices. Prints the address, at first with a link to sign in.
kindling worker [--server URL] [--device ID] [--data DIR]
    Train for a lab on another machine. KINDLING_TOKEN holds a token of the role worker.
kindling train SPEC.toml [--data DIR] [--device ID]
    Train one run here, without a server, with a progress bar.
kindling train --resume RUN [--data DIR] [--device ID]
    Go on with a run of the folder that was stopped or killed, from its newest checkpoint.
kindling token [--role view|steer|admin|worker] [--name NAME] [--days N] [--sign-in] [--data DIR]
    Make a token for programs, or with --sign-in a link for one person to sign in with, once.
kindling devices [--json]
    List this machine's devices.
kindling check [--device ID]
    Try this machine's devices: one training step on each against the CPU, kernels, memory, speed.
kindling check --full --report FOLDER [--device ID] [--only SECTION,...] [--seconds N] [--beside COMMAND]... [--data DIR]
    Check one device in all that a run needs, within N seconds (350), and write report.json and report.md. Sections: adapter, parity,
    resume, speed, memory, overhead, beside. COMMAND is run in turn; its last line is JSON with tokens_per_sec.
kindling bench [--text FILE] [--steps N] [--rounds N] [--beside COMMAND]
    Train nanoGPT's CPU recipe here, once a round, and print speed and loss; COMMAND is run in turn and compared by its last line, JSON.
kindling complete [--data DIR]
    Complete a text with a checkpoint: reads {\"run\", \"checkpoint\", \"prompt\", ...} as JSON, writes a JSON line for each token.
kindling export hf RUN [CHECKPOINT] --to FOLDER [--data DIR]
    Write a checkpoint, the newest unless told, as a folder that Hugging Face's transformers loads.
kindling export series RUN --to FILE.csv|FILE.parquet [--data DIR]
    Write every point of every curve.
kindling export archive RUN --to FILE.tar [--data DIR]
    Write the whole run for another lab to import.
kindling look [--postcard] [--data DIR]
    See inside a model with a checkpoint: reads {\"run\", \"checkpoint\", \"look\"} as JSON, writes what is seen as JSON or in postcard.
kindling help | --version

DIR is kindling-data and ADDRESS 127.0.0.1:7878 unless given here or in KINDLING_DATA and KINDLING_LISTEN.
KINDLING_LOG sets how much is told: error, warn, info, debug.";

/// Reads the arguments, the program's name left out.
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, CliError> {
    let mut parser = Parser::from_args(arguments);
    match parser.next()? {
        None | Some(Long("help") | Short('h')) => Ok(Invocation::Say(HELP.to_owned())),
        Some(Long("version") | Short('V')) => Ok(Invocation::Say(format!("kindling {}", env!("CARGO_PKG_VERSION")))),
        Some(Value(subcommand)) => match subcommand.string()?.as_str() {
            "serve" => read_serve(parser).map(Invocation::Serve),
            "worker" => read_worker(parser).map(Invocation::Worker),
            "train" => read_train(parser).map(Invocation::Train),
            "token" => read_token(parser).map(Invocation::Token),
            "devices" => read_devices(parser),
            "check" => CheckArgs::read(parser).map(Invocation::Check),
            "check-part" => Ok(Invocation::CheckPart),
            "bench" => read_bench(parser).map(Invocation::Bench),
            "complete" => read_complete(parser),
            "export" => read_export(parser).map(Invocation::Export),
            "look" => read_look(parser),
            "help" => Ok(Invocation::Say(HELP.to_owned())),
            other => Err(CliError::Subcommand(other.to_owned())),
        },
        Some(other) => Err(other.unexpected().into()),
    }
}

fn read_serve(mut parser: Parser) -> Result<Settings, CliError> {
    let (mut data, mut listen, mut allowed_hosts, mut starts_workers) = (None, None, vec![], true);
    let mut queue_limit = settings::QUEUE_LIMIT;
    while let Some(flag) = parser.next()? {
        match flag {
            Long("data") => data = Some(PathBuf::from(parser.value()?)),
            Long("listen") => listen = Some(parser.value()?.string()?),
            Long("allow-host") => allowed_hosts.push(parser.value()?.string()?),
            Long("no-workers") => starts_workers = false,
            Long("queue-limit") => queue_limit = parser.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let settings = Settings::new(settings::data(data), settings::listen(listen)?);
    Ok(Settings { allowed_hosts, starts_workers, queue_limit, ..settings })
}

fn read_bench(mut parser: Parser) -> Result<BenchWish, CliError> {
    let mut wish = BenchWish { text: None, steps: 200, rounds: 3, beside: None };
    while let Some(flag) = parser.next()? {
        match flag {
            Long("text") => wish.text = Some(PathBuf::from(parser.value()?)),
            Long("steps") => wish.steps = parser.value()?.parse()?,
            Long("rounds") => wish.rounds = parser.value()?.parse()?,
            Long("beside") => wish.beside = Some(parser.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(wish)
}

fn read_worker(mut parser: Parser) -> Result<WorkerWish, CliError> {
    let (mut server, mut data, mut device) = (None, None, None);
    while let Some(flag) = parser.next()? {
        match flag {
            Long("server") => server = Some(parser.value()?.string()?),
            Long("data") => data = Some(PathBuf::from(parser.value()?)),
            Long("device") => device = Some(parser.value()?.parse()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let token = std::env::var("KINDLING_TOKEN").map_err(|_| {
        CliError::Missing("KINDLING_TOKEN is not set: on the lab's machine `kindling token --role worker` makes a token, which goes there")
    })?;
    Ok(WorkerWish { server, data: settings::data(data), device, token })
}

fn read_train(mut parser: Parser) -> Result<TrainWish, CliError> {
    let (mut what, mut data, mut device) = (None, None, None);
    while let Some(flag) = parser.next()? {
        match flag {
            Value(path) if what.is_none() => what = Some(TrainWhat::Spec(PathBuf::from(path))),
            Long("resume") if what.is_none() => what = Some(TrainWhat::Resume(parser.value()?.parse()?)),
            Long("data") => data = Some(PathBuf::from(parser.value()?)),
            Long("device") => device = Some(parser.value()?.parse()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let what = what.ok_or(CliError::Missing("which run? kindling train SPEC.toml, where SPEC.toml says for example: preset = \"tiny\" and corpus = \"tales\""))?;
    Ok(TrainWish { what, data: settings::data(data), device })
}

fn read_token(mut parser: Parser) -> Result<TokenWish, CliError> {
    let (mut role, mut name, mut days, mut is_sign_in, mut data) = (None, None, None, false, None);
    while let Some(flag) = parser.next()? {
        match flag {
            Long("role") => role = Some(role_of(&parser.value()?.string()?)?),
            Long("name") => name = Some(parser.value()?.string()?),
            Long("days") => days = Some(parser.value()?.parse()?),
            Long("sign-in") => is_sign_in = true,
            Long("data") => data = Some(PathBuf::from(parser.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    let role = role.unwrap_or(if is_sign_in { Role::Admin } else { Role::Steer });
    Ok(TokenWish { role, name, days, is_sign_in, data: settings::data(data) })
}

fn role_of(text: &str) -> Result<Role, SettingError> {
    let roles = [Role::View, Role::Steer, Role::Admin, Role::Worker];
    let found = roles.into_iter().find(|role| crate::auth::role_name(*role) == text);
    found.ok_or_else(|| SettingError {
        setting: "--role",
        value: text.to_owned(),
        expected: "role: view, steer, admin, worker",
    })
}

fn read_devices(mut parser: Parser) -> Result<Invocation, CliError> {
    let mut as_json = false;
    while let Some(flag) = parser.next()? {
        match flag {
            Long("json") => as_json = true,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Invocation::Devices { as_json })
}

fn read_look(mut parser: Parser) -> Result<Invocation, CliError> {
    let (mut data, mut is_postcard) = (None, false);
    while let Some(flag) = parser.next()? {
        match flag {
            Long("data") => data = Some(PathBuf::from(parser.value()?)),
            Long("postcard") => is_postcard = true,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Invocation::Look { data: settings::data(data), is_postcard })
}

fn read_complete(mut parser: Parser) -> Result<Invocation, CliError> {
    let mut data = None;
    while let Some(flag) = parser.next()? {
        match flag {
            Long("data") => data = Some(PathBuf::from(parser.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Invocation::Complete { data: settings::data(data) })
}

fn read_export(mut parser: Parser) -> Result<ExportWish, CliError> {
    let (mut words, mut to, mut data) = (vec![], None, None);
    while let Some(flag) = parser.next()? {
        match flag {
            Value(word) if words.len() < 3 => words.push(word.string()?),
            Long("to") => to = Some(PathBuf::from(parser.value()?)),
            Long("data") => data = Some(PathBuf::from(parser.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    let usage = CliError::Missing(
        "what of which run? kindling export hf RUN [CHECKPOINT] --to FOLDER, kindling export series RUN --to FILE.csv, or kindling export archive RUN --to FILE.tar",
    );
    let unfit = |setting, value: &str, expected| SettingError { setting, value: value.to_owned(), expected };
    let (what, run, checkpoint) = match words.as_slice() {
        [what, run] => (what.as_str(), run, None),
        [what, run, checkpoint] => (what.as_str(), run, Some(checkpoint)),
        _ => return Err(usage),
    };
    let checkpoint = checkpoint.map(|id| id.parse().map_err(|_| unfit("CHECKPOINT", id, "checkpoint like 0-1200")));
    let what = match (what, checkpoint.transpose()?) {
        ("hf", id) => What::Hf(id),
        ("series", None) => What::Series,
        ("archive", None) => What::Archive,
        _ => return Err(usage),
    };
    let run = run.parse().map_err(|_| unfit("RUN", run, "id of a run like amber-fox-7k2q"))?;
    let to = to.ok_or(CliError::Missing("where to? --to names the file, or the folder of a model"))?;
    Ok(ExportWish { data: settings::data(data), run, what, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Invocation, CliError> {
        read(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn command_lines_are_read_or_refused_in_words() {
        let Ok(Invocation::Serve(settings)) = of("serve --data x --listen 9000 --allow-host lab.example") else {
            panic!("serve")
        };
        assert_eq!(
            (settings.data, settings.listen.port(), settings.allowed_hosts.len()),
            (PathBuf::from("x"), 9000, 1)
        );
        assert!(matches!(
            of("token --role worker --days 3"),
            Ok(Invocation::Token(TokenWish { role: Role::Worker, days: Some(3), .. }))
        ));
        assert!(matches!(of("train spec.toml --device cpu"), Ok(Invocation::Train(_))));
        assert!(matches!(
            of("train --resume amber-fox"),
            Ok(Invocation::Train(wish)) if wish.what == TrainWhat::Resume("amber-fox".parse().unwrap())
        ));
        assert!(matches!(of(""), Ok(Invocation::Say(_))));
        assert!(matches!(of("complete --data x"), Ok(Invocation::Complete { data }) if data == PathBuf::from("x")));
        assert!(matches!(
            of("export hf amber-fox 0-12 --to x"),
            Ok(Invocation::Export(ExportWish { what: What::Hf(Some(id)), .. })) if id.step == 12
        ));
        assert!(
            matches!(of("export archive a --to x --data y"), Ok(Invocation::Export(wish)) if wish.what == What::Archive)
        );
        assert!(matches!(of("look --postcard"), Ok(Invocation::Look { is_postcard: true, .. })));
        for bad in [
            "export",
            "export hf --to x",
            "export hf amber-fox",
            "export hf amber-fox 12 --to x",
            "export series amber-fox 0-12 --to x",
            "export songs amber-fox --to x",
            "export archive ../x --to x",
            "complete prompt",
            "look inside",
            "sing",
            "serve --listen",
            "serve --listen x",
            "serve extra",
            "token --role king",
            "train",
            "train a b",
            "train a --resume amber-fox",
            "train --resume ../x",
            "worker --device ../x",
        ] {
            let error = of(bad).err().unwrap_or_else(|| panic!("{bad} was taken"));
            assert!(!error.to_string().is_empty());
        }
    }
}
