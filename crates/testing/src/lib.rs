//! Seeds of random tests: each seed is printed, and `KINDLING_TEST_SEED` sets it.
//!
//! `cargo test` shows what a test printed when it fails, so a failing random test shows its seed. Running that test
//! alone with the variable set repeats its choices:
//!
//! ```sh
//! KINDLING_TEST_SEED=7 cargo test --release --workspace --exclude app --exclude xtask -- every_window
//! ```
//!
//! A separate crate, so that the tests of all crates draw random numbers in the same way. Only tests use it.

mod random;

pub use random::Random;

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

/// The variable that sets the seed of every random test.
pub const SEED: &str = "KINDLING_TEST_SEED";

/// The seeds of a test that runs with several: the usual ones, or the one that is set. Each seed is printed when it is used.
pub fn seeds(usual: Range<u64>) -> impl Iterator<Item = u64> {
    let range = given().map_or(usual, |seed| seed..seed.saturating_add(1));
    range.inspect(|seed| print(*seed))
}

/// The seed of a test that runs with one: the usual seed, unless another is set.
pub fn seed(usual: u64) -> u64 {
    let seed = given().unwrap_or(usual);
    print(seed);
    seed
}

/// A new seed in each run unless one is set, for tests of timing, which are not repeatable with the same seed anyway.
pub fn fresh_seed() -> u64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64);
    seed(nanos)
}

fn given() -> Option<u64> {
    let text = std::env::var(SEED).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{SEED} is `{text}`; it must be an integer from 0 to 2^64 - 1")))
}

fn print(seed: u64) {
    eprintln!("{SEED}={seed}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a test of this file again with the variable set. Returns its output.
    fn printed_with(value: &str, test: &str) -> String {
        let mut program = std::process::Command::new(std::env::current_exe().unwrap());
        let output = program.args([test, "--exact", "--nocapture"]).env(SEED, value).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }

    #[test]
    fn usual_seeds() {
        let expected = given().map_or(vec![3, 4, 5], |seed| vec![seed]);
        assert_eq!(seeds(3..6).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_variable_sets_the_seed_and_each_seed_is_printed() {
        let printed = printed_with("41", "tests::usual_seeds");
        assert_eq!(printed.matches("KINDLING_TEST_SEED=").count(), 1, "{printed}");
        assert!(printed.contains("KINDLING_TEST_SEED=41"), "{printed}");
        let refused = printed_with("many", "tests::usual_seeds");
        assert!(refused.contains("must be an integer"), "{refused}");
    }
}
