//! `kindling bench`: speed and quality of nanoGPT's CPU recipe on this machine, by the lab's own loop, as a table. A second program can be
//! run in turn with it, so that a ratio is taken on one machine in one sitting.

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use engine::bench::{self, Figures};
use server::cli::BenchWish;
use wire::CorpusId;

/// Measures and prints.
pub(crate) fn bench(wish: &BenchWish) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("no temporary folder for the bench's text")?;
    let corpora = folder.path();
    let corpus: CorpusId = "bench".parse()?;
    match &wish.text {
        Some(file) => bench::bring_text(corpora, &corpus, file)?,
        None => drop(engine::corpus::generate(corpora, &corpus, "tales", 1, &mut |_, _, _| true)?),
    }
    println!(
        "nanogpt-cpu, {} steps, {}",
        wish.steps,
        wish.text.as_deref().map_or("Tales".into(), Path::to_string_lossy)
    );
    println!(
        "{:>5} {:>9} {:>11} {:>11} {:>9} {:>9}  beside",
        "round", "tok/s", "valid nats", "train nats", "not step", "secs"
    );
    let (mut ratios, mut ours, mut theirs) = (vec![], vec![], vec![]);
    for round in 1..=wish.rounds {
        let figures = train(corpora, &corpus, wish.steps, round)?;
        let beside = wish.beside.as_deref().map(run_beside).transpose()?;
        println!("{}", line(round, &figures, beside.as_ref()));
        ours.extend(figures.valid_nats);
        if let Some(beside) = beside {
            ratios.push(figures.tokens_per_sec / beside.tokens_per_sec);
            theirs.extend(beside.valid_nats);
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    if !ours.is_empty() {
        println!("validation, mean of {}: {:.4} nats", ours.len(), mean(&ours));
    }
    if !theirs.is_empty() {
        println!("validation beside, mean of {}: {:.4} nats", theirs.len(), mean(&theirs));
    }
    if !ratios.is_empty() {
        ratios.sort_by(f64::total_cmp);
        println!("speed as a share of the command beside: median {:.2} of {:.2?}", ratios[ratios.len() / 2], ratios);
    }
    Ok(())
}

fn train(corpora: &Path, corpus: &CorpusId, steps: u64, seed: u64) -> anyhow::Result<Figures> {
    let spec = serde_json::json!({
        "preset": "nanogpt-cpu", "corpus": corpus, "tokenizer": "char", "steps": steps, "seed": seed, "device": "cpu",
        "overrides": {"cadence.sample_every": 0}
    });
    Ok(bench::train(&serde_json::from_value(spec)?, corpora)?)
}

fn line(round: u64, figures: &Figures, beside: Option<&Beside>) -> String {
    let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.4}"));
    let beside = beside.map_or(String::new(), |beside| {
        format!("{:.0} tok/s, {} nats", beside.tokens_per_sec, number(beside.valid_nats))
    });
    format!(
        "{round:>5} {:>9.0} {:>11} {:>11} {:>8.2}% {:>9.1}  {beside}",
        figures.tokens_per_sec,
        number(figures.valid_nats),
        number(figures.train_nats),
        figures.other_share * 100.0,
        figures.secs
    )
}

/// What the other program said of itself.
struct Beside {
    tokens_per_sec: f64,
    valid_nats: Option<f64>,
}

fn run_beside(command: &str) -> anyhow::Result<Beside> {
    let mut words = command.split_whitespace();
    let program = words.next().context("--beside is empty: give a command")?;
    let output =
        Command::new(program).args(words).output().with_context(|| format!("{program} could not be started"))?;
    anyhow::ensure!(output.status.success(), "{command} failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().with_context(|| format!("{command} printed nothing"))?;
    let said: serde_json::Value =
        serde_json::from_str(last).with_context(|| format!("{command} did not end with JSON: {last:?}"))?;
    let tokens_per_sec = said["tokens_per_sec"].as_f64().with_context(|| format!("{last:?} has no tokens_per_sec"))?;
    Ok(Beside { tokens_per_sec, valid_nats: said["valid_loss_nats"].as_f64() })
}
