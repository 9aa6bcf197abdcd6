//! Many runs at once: time until reports are stored, and CPU time per point.
//!
//! Each run reports its steps as a worker does: those of 50 ms together, one message at a time. The messages are made on the same
//! cores, so the CPU time includes a little for them.

use std::time::{Duration, Instant};

use serde_json::json;
use store::Store;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};
use wire::series::{Row, name};
use wire::transport::link::Item;
use wire::{RunId, RunState};

use crate::{Outcome, new_run};

/// Time between two messages of a worker.
const GATHER: Duration = Duration::from_millis(50);

/// Arguments: runs, steps per second of each, metrics and seconds.
pub(crate) async fn run(arguments: &[String]) -> Outcome<()> {
    let mut arguments = arguments.iter().map(|text| text.parse::<u64>());
    let mut number = |usual: u64| arguments.next().unwrap_or(Ok(usual));
    let (runs, rate, metrics, secs) = (number(50)?, number(20)?, number(100)?, number(10)?);
    let dir = std::env::temp_dir().join(format!("many-runs-{}", std::process::id()));
    let store = Store::open(&dir).await?;
    let names: Vec<String> = [name::TRAIN, name::TOKENS, name::SECS]
        .into_iter()
        .map(str::to_owned)
        .chain((0..).map(|i| format!("{}block.{i}.mlp.up", name::GRADIENT_RMS)))
        .take(metrics as usize)
        .collect();
    let mut tasks = JoinSet::new();
    let (begin, cpu_before) = (Instant::now(), cpu_secs()?);
    for number in 0..runs {
        let run = new_run(&format!("run-{number}"), json!({"corpus": "tales"}))?;
        store.create_run(&run).await?;
        store.set_state(&run.id, RunState::Running, None).await?;
        tasks.spawn(report_all(store.clone(), run.id, names.clone(), rate as f64, rate * secs));
    }
    let mut times_ms = vec![];
    while let Some(times) = tasks.join_next().await {
        times_ms.extend(times??);
    }
    let cpu = cpu_secs()? - cpu_before;
    times_ms.sort_by(f64::total_cmp);
    let at = |share: f64| times_ms[((times_ms.len() - 1) as f64 * share) as usize];
    println!(
        "{} messages in {:.1} s: p50 {:.1} ms, p99 {:.1} ms, maximum {:.1} ms",
        times_ms.len(),
        begin.elapsed().as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    println!("CPU time {cpu:.1} s, {:.2} µs per point", cpu / (runs * rate * secs * metrics) as f64 * 1e6);
    store.close().await;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// Reports the steps of a run at a rate. Returns the time that each message took, ms.
async fn report_all(store: Store, run: RunId, names: Vec<String>, rate: f64, steps: u64) -> Outcome<Vec<f64>> {
    let (begin, mut done, mut times_ms) = (Instant::now(), 0, vec![]);
    while done < steps {
        sleep(GATHER).await;
        let due = ((begin.elapsed().as_secs_f64() * rate) as u64).min(steps);
        if due == done {
            sleep_until((begin + Duration::from_secs_f64((done + 1) as f64 / rate)).into()).await;
            continue;
        }
        let items = (done..due).map(|step| Item::Row(row(step, &names))).collect();
        let sent = Instant::now();
        store.ingest(&run, done + 1, items).await?;
        times_ms.push(sent.elapsed().as_secs_f64() * 1000.0);
        done = due;
    }
    Ok(times_ms)
}

fn row(step: u64, names: &[String]) -> Row {
    let value = |i: usize| ((step * 31 + i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / 16_777_216.0;
    Row { segment: 0, step, values: names.iter().enumerate().map(|(i, name)| (name.clone(), value(i))).collect() }
}

/// CPU time of this process, seconds, in the clock ticks of Linux, 10 ms each.
fn cpu_secs() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| after.get(at).map_or(Ok(0), |text| text.parse::<u64>());
    Ok((ticks(11)? + ticks(12)?) as f64 / 100.0)
}
