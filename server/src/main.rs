//! The program `kindling`: reads the command line and hands over.

mod bench;
mod full_check;

use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use engine::check::Finding;
use server::cli::{self, Invocation, WorkerWish};
use server::{complete, export, looks, serve, token, train, workers};
use tracing_subscriber::filter::LevelFilter;
use wire::DeviceId;
use wire::device::{DeviceInfo, DeviceKind};

/// A third faster training than with the system's allocator (measured; docs/LAB_LOG.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    if let Err(error) = start() {
        eprintln!("kindling: {error}");
        std::process::exit(1);
    }
}

fn start() -> anyhow::Result<()> {
    let began = Instant::now();
    let invocation = cli::read(std::env::args_os().skip(1))?;
    log();
    match invocation {
        Invocation::Say(text) => println!("{text}"),
        Invocation::Devices { as_json } => list_devices(as_json)?,
        Invocation::Check(args) if args.full => full_check::check(&args)?,
        Invocation::Check(args) => check_devices(args.device)?,
        Invocation::CheckPart => full_check::run_part(began)?,
        Invocation::Complete { data } => complete_text(&data)?,
        Invocation::Export(wish) => println!("{}", runtime()?.block_on(export::export(wish))?),
        Invocation::Look { data, is_postcard } => look(&data, is_postcard)?,
        Invocation::Bench(wish) => bench::bench(&wish)?,
        Invocation::Serve(settings) => runtime()?.block_on(serve::serve(settings))?,
        Invocation::Train(wish) => runtime()?.block_on(train::train(wish))?,
        Invocation::Worker(wish) => work(wish)?,
        Invocation::Token(wish) => {
            let (token, about) = runtime()?.block_on(token::make(wish))?;
            println!("{token}");
            eprintln!("{about}");
        }
    }
    Ok(())
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the system gives no threads")
}

/// What happens is told on standard error; standard output is for results.
fn log() {
    let level = std::env::var("KINDLING_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

fn list_devices(as_json: bool) -> anyhow::Result<()> {
    let devices = engine::device::list();
    if as_json {
        println!("{}", serde_json::to_string(&devices)?);
        return Ok(());
    }
    for DeviceInfo { id, name, backend, memory_bytes, .. } in devices {
        println!("{id}: {name} ({backend}), {:.1} GB free", memory_bytes as f64 / 1e9);
    }
    Ok(())
}

/// Prints what is found as it is found; ends in an error where a device cannot be trusted.
fn check_devices(wanted: Option<DeviceId>) -> anyhow::Result<()> {
    let ids = match wanted {
        Some(id) => vec![id],
        None => engine::device::list().into_iter().map(|device| device.id).collect(),
    };
    let mut bad = vec![];
    for id in ids {
        let device = engine::device::open(&id)?;
        println!("{id}: {} ({})", device.info.name, device.info.backend);
        let tell = &mut |finding: &Finding| {
            println!("  {} {}: {}", if finding.is_good { "ok " } else { "BAD" }, finding.what, finding.found);
        };
        if !engine::check::check(&device, tell)?.is_good() {
            bad.push(id.to_string());
        }
    }
    anyhow::ensure!(bad.is_empty(), "not to be trusted with a run: {}", bad.join(", "));
    Ok(())
}

/// What is made for whoever reads along lets the trainings of this machine go first.
fn step_back() {
    #[cfg(unix)]
    if let Err(error) = rustix::process::nice(10) {
        tracing::debug!("at full priority: {error}");
    }
}

fn look(data: &Path, is_postcard: bool) -> anyhow::Result<()> {
    step_back();
    let is_seen = looks::viewer::answer(data, std::io::stdin().lock(), std::io::stdout().lock(), is_postcard);
    anyhow::ensure!(is_seen, "nothing could be seen; what was written says why");
    Ok(())
}

fn complete_text(data: &Path) -> anyhow::Result<()> {
    step_back();
    let is_written = complete::writer::answer(data, std::io::stdin().lock(), std::io::stdout().lock());
    anyhow::ensure!(is_written, "the text could not be written; the last line says why");
    Ok(())
}

fn work(wish: WorkerWish) -> anyhow::Result<()> {
    leave_session();
    let device = match wish.device {
        Some(device) => device,
        None => {
            let found = engine::device::list();
            let card = found.iter().find(|device| device.kind == DeviceKind::Gpu);
            card.or(found.first()).context("this machine has no device")?.id.clone()
        }
    };
    let config = worker::WorkerConfig::new(wish.server, wish.data, device, wish.token);
    runtime()?.block_on(worker::run(config))?;
    Ok(())
}

/// A worker that a server started outlives it: what ends the server's session must not end the training.
#[cfg(unix)]
fn leave_session() {
    if std::env::var_os(workers::OWN_SESSION).is_some()
        && let Err(error) = rustix::process::setsid()
    {
        tracing::warn!("this worker stays in its server's session and ends with it: {error}");
    }
}

#[cfg(not(unix))]
fn leave_session() {}
