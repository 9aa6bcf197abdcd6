//! A process that ingests until it is killed, and its killing: what no test in one process can show.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use store::Store;
use wire::RunId;
use wire::link::Item;

use crate::lab::Random;

/// Names the folder to the process.
const DOOMED: &str = "STORE_TEST_DOOMED_DIR";

/// What the process does: sends at most `most` reports at a time for ever, some of them again, as a worker does that was not
/// acknowledged, and says what is. By itself, without a folder, it does nothing.
pub(crate) async fn ingest_for_ever(most: u64, items: impl Fn(u64, u64) -> Vec<Item>) {
    let Ok(dir) = std::env::var(DOOMED) else { return };
    let store = Store::open(Path::new(&dir)).await.unwrap();
    let run: RunId = "amber-fox-7k2q".parse().unwrap();
    let mut random = Random(u64::from(std::process::id()));
    loop {
        let stored = store.stored_seq(&run).await.unwrap();
        let first = stored.saturating_sub(random.below(most / 2)) + 1;
        let done = store.ingest(&run, first, items(first, 1 + random.below(most))).await.unwrap();
        println!("\nacknowledged {}", done.stored_seq);
    }
}

/// Starts the test that plays the process, and kills it within `most` of its first word. Answers the last number it acknowledged.
pub(crate) fn kill_soon(test: &str, dir: &Path, most: Duration, random: &mut Random) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(DOOMED, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = |line: std::io::Result<String>| line.ok()?.strip_prefix("acknowledged ")?.parse::<u64>().ok();
    let mut numbers = lines.filter_map(told);
    let first = numbers.next().expect("it lives");
    std::thread::sleep(Duration::from_micros(random.below(most.as_micros() as u64)));
    child.kill().unwrap();
    child.wait().unwrap();
    numbers.last().unwrap_or(first)
}
