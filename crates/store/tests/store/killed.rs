//! A process that stores reports until it is killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use store::Store;
use testing::Random;
use wire::RunId;
use wire::transport::link::Item;

/// Environment variable with the lab folder of the process.
const KILLED: &str = "STORE_TEST_KILLED_DIR";

/// The process: stores at most `most` reports at a time, some of them repeatedly, as after a missing acknowledgement, and prints the last
/// acknowledged number. Without a folder it does nothing.
pub(crate) async fn ingest_until_killed(most: u64, items: impl Fn(u64, u64) -> Vec<Item>) {
    let Ok(dir) = std::env::var(KILLED) else { return };
    let store = Store::open(Path::new(&dir)).await.unwrap();
    let run: RunId = "amber-fox-7k2q".parse().unwrap();
    let mut random = Random::new(testing::seed(0));
    loop {
        let stored = store.stored_seq(&run).await.unwrap();
        let first = stored.saturating_sub(random.below(most / 2)) + 1;
        let done = store.ingest(&run, first, items(first, 1 + random.below(most))).await.unwrap();
        println!("\nacknowledged {}", done.stored_seq);
    }
}

/// Starts the test `test` as the process and kills it within `most` of its first line. Returns the last acknowledged number.
pub(crate) fn start_and_kill(test: &str, dir: &Path, most: Duration, random: &mut Random) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(KILLED, dir)
        .env(testing::SEED, random.bits().to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let acknowledged = |line: std::io::Result<String>| line.ok()?.strip_prefix("acknowledged ")?.parse::<u64>().ok();
    let mut numbers = lines.filter_map(acknowledged);
    let first = numbers.next().expect("the process prints a number");
    std::thread::sleep(Duration::from_micros(random.below(most.as_micros() as u64)));
    child.kill().unwrap();
    child.wait().unwrap();
    numbers.last().unwrap_or(first)
}
