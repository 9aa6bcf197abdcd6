//! The program `kindling`: reads the command line and runs the subcommand.

#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use server::api::page::{self, PageFile};
use server::cli::{Cli, Subcommand};
use server::output::{self, OutputError};
use tokio::runtime::Runtime;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::writer::MakeWriterExt;
use worker::WorkerLog;

/// A third faster training than with the system's allocator (measured; docs/LAB_LOG.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The files of the page, sorted by path; empty if the page was not built.
const PAGE: &[PageFile] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

fn main() -> ExitCode {
    let began = Instant::now();
    let cli = Cli::parse();
    let log = WorkerLog::default();
    start_log(log.clone(), cli.subcommand.log_level());
    cli.subcommand.choose_pages();
    page::embed(PAGE);
    match run(cli.subcommand, began, log) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe, such as `head`, has read what it wants.
        Err(error) if is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::notice(format_args!("kindling: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether a command has ended because nobody reads its result.
fn is_closed(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(OutputError::Closed)))
}

fn run(subcommand: Subcommand, began: Instant, log: WorkerLog) -> anyhow::Result<()> {
    match subcommand {
        Subcommand::Serve(args) => runtime()?.block_on(args.run())?,
        Subcommand::Status(args) => runtime()?.block_on(args.run())?,
        #[cfg(unix)]
        Subcommand::Stop(args) => runtime()?.block_on(args.run())?,
        Subcommand::Train(args) => runtime()?.block_on(args.run())?,
        Subcommand::Sweep(args) => runtime()?.block_on(args.run())?,
        Subcommand::Worker(args) => runtime()?.block_on(args.run(log))?,
        Subcommand::Join(args) => runtime()?.block_on(args.run(log))?,
        Subcommand::Diagnose(args) => runtime()?.block_on(args.run())?,
        Subcommand::Token(args) => runtime()?.block_on(args.run())?,
        Subcommand::Mcp(args) => runtime()?.block_on(args.run())?,
        Subcommand::Compare(args) => runtime()?.block_on(args.run())?,
        Subcommand::Replay(args) => runtime()?.block_on(args.run())?,
        Subcommand::Fit(args) => runtime()?.block_on(args.run())?,
        Subcommand::Experiment(args) => runtime()?.block_on(args.run())?,
        Subcommand::Research(args) => runtime()?.block_on(args.run())?,
        Subcommand::Report(args) => runtime()?.block_on(args.run())?,
        Subcommand::Evaluate(args) => runtime()?.block_on(args.run())?,
        Subcommand::Export(args) => runtime()?.block_on(args.run())?,
        Subcommand::Backup(args) => runtime()?.block_on(args.run())?,
        Subcommand::Restore(args) => runtime()?.block_on(args.run())?,
        Subcommand::Devices(args) => args.run()?,
        Subcommand::Check(args) => args.run()?,
        Subcommand::CheckPart(args) => args.run(began)?,
        Subcommand::Bench(args) => args.run()?,
        Subcommand::AgentBench(args) => runtime()?.block_on(args.run())?,
        Subcommand::Completions(args) => args.run()?,
        Subcommand::Reference(args) => args.run()?,
        Subcommand::Complete(args) => args.run()?,
        Subcommand::Inspect(args) => args.run()?,
        Subcommand::Score(args) => args.run()?,
    }
    Ok(())
}

fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the system starts no threads")
}

/// Writes the log to standard error, and its last lines to where a worker sends them from.
struct LogWriter(WorkerLog);

impl Write for LogWriter {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.add(text);
        io::stderr().write_all(text)?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Whether a line of the log is written. The library of the Model Context Protocol logs the end of each request, which is left out.
fn is_logged(line: &Metadata<'_>) -> bool {
    *line.level() <= Level::WARN || !line.target().starts_with("rmcp")
}

/// The log goes to standard error; standard output is for results.
fn start_log(log: WorkerLog, usual: Level) {
    let wanted = std::env::var("KINDLING_LOG").ok();
    let level = wanted.as_deref().map_or(Ok(LevelFilter::from_level(usual)), str::parse);
    tracing_subscriber::fmt()
        .with_max_level(*level.as_ref().unwrap_or(&LevelFilter::INFO))
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer((move || LogWriter(log.clone())).with_filter(is_logged))
        .init();
    if level.is_err() {
        let wanted = wanted.unwrap_or_default();
        tracing::warn!(
            "KINDLING_LOG is {wanted:?}, which is not a level (error, warn, info, debug, trace): logging from info on"
        );
    }
}
