//! Stored points per second, time of the first query of many long series and of zooms, and memory.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use store::{SeriesQuery, Store};
use wire::RunId;
use wire::series::{Axis, Row, name};
use wire::transport::link::Item;

use crate::{Outcome, new_run};

/// Rows in one call, as a worker that catches up sends them.
const ROWS: u64 = 1000;

/// Arguments: curves, points of each, and the folder of the lab.
pub(crate) async fn run(arguments: &[String]) -> Outcome<()> {
    let number = |at: usize, default: u64| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let (curves, points) = (number(0, 100)?.max(2), number(1, 400_000)?);
    let dir = arguments
        .get(2)
        .map_or_else(|| std::env::temp_dir().join(format!("series-bench-{}", std::process::id())), PathBuf::from);
    let store = Store::open(&dir).await?;
    let run = new_run("bench", json!({"corpus": "tales"}))?;
    store.create_run(&run).await?;
    store.set_state(&run.id, wire::RunState::Running, None).await?;
    let names: Vec<String> = [name::TOKENS.to_owned(), name::SECS.to_owned()]
        .into_iter()
        .chain((2..curves).map(|i| format!("{}block.{i}", name::GRADIENT_RMS)))
        .collect();

    ingest_all(&store, &run.id, &names, points).await?;
    drop(store);
    let began = Instant::now();
    let store = Store::open(&dir).await?;
    println!("reopened in {:.1} ms", millis(began.elapsed()));
    queries(&store, &run.id, &names, points).await?;
    println!("resident memory: {} MB, at most {} MB", status("VmRSS")?, status("VmHWM")?);
    store.close().await;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

async fn ingest_all(store: &Store, run: &RunId, names: &[String], points: u64) -> Outcome<()> {
    let (mut spent, mut slowest, mut seq) = (Duration::ZERO, Duration::ZERO, 1);
    for first in (0..points).step_by(ROWS as usize) {
        // Creating the rows is the worker's part and not measured.
        let items: Vec<Item> = (first..points.min(first + ROWS)).map(|step| Item::Row(row(step, names))).collect();
        let count = items.len() as u64;
        let began = Instant::now();
        store.ingest(run, seq, items).await?;
        spent += began.elapsed();
        slowest = slowest.max(began.elapsed());
        seq += count;
    }
    let total = points * names.len() as u64;
    println!(
        "stored {total} points in {:.1} s: {:.0} points/s, slowest call {:.0} ms",
        spent.as_secs_f64(),
        total as f64 / spent.as_secs_f64(),
        millis(slowest)
    );
    let began = Instant::now();
    for step in points..points + 200 {
        store.ingest(run, seq + step - points, vec![Item::Row(row(step, names))]).await?;
    }
    println!("one row of {} values at a time: {:.2} ms each", names.len(), millis(began.elapsed()) / 200.0);
    Ok(())
}

fn row(step: u64, names: &[String]) -> Row {
    let noise = |i: u64| ((step * 31 + i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / 16_777_216.0;
    let value = |i: usize| match i {
        0 => (step * 768) as f64,
        1 => step as f64 * 0.05,
        _ => 4.0 / (1.0 + step as f64 / 1000.0) + 0.1 * noise(i as u64),
    };
    Row { segment: 0, step, values: names.iter().enumerate().map(|(i, name)| (name.clone(), value(i))).collect() }
}

async fn queries(store: &Store, run: &RunId, names: &[String], points: u64) -> Outcome<()> {
    let all = points as f64;
    let windows = [
        ("first query", Axis::Step, None, None),
        ("the same again", Axis::Step, None, None),
        ("half", Axis::Step, Some(all * 0.25), Some(all * 0.75)),
        ("a tenth", Axis::Step, Some(all * 0.4), Some(all * 0.5)),
        ("2,500 steps", Axis::Step, Some(all * 0.6), Some(all * 0.6 + 2500.0)),
        ("500 steps", Axis::Step, Some(all * 0.6), Some(all * 0.6 + 500.0)),
        ("all, on tokens", Axis::Tokens, None, None),
        ("a third, on seconds", Axis::Secs, Some(all * 0.05 / 3.0), Some(all * 0.05 / 1.5)),
    ];
    for (title, axis, from, to) in windows {
        let began = Instant::now();
        let answer = store.series(run, SeriesQuery { names: names.to_vec(), axis, from, to, points: 1000 }).await?;
        let buckets: usize = answer.iter().map(|window| window.buckets.len()).sum();
        println!("{title}: {} series, {buckets} buckets in {:.1} ms", answer.len(), millis(began.elapsed()));
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A field of /proc/self/status, in MB.
fn status(field: &str) -> Outcome<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    Ok(line.split_whitespace().nth(1).unwrap_or("0").parse::<u64>()? / 1024)
}
