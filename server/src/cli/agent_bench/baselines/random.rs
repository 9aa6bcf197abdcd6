//! Random acts: each is valid, and none follows from what the lab shows.

use serde_json::{Value, json};

use super::super::simulation::uniform;
use super::super::tools::Tools;
use super::{STEPS, runs};

/// Acts in a lab.
const ACTS: u64 = 4;
/// Range of learning rates, by powers of 10.
const RATES: (f64, f64) = (-4.0, -2.0);

/// Random numbers of a seed.
struct Random {
    seed: u64,
    drawn: u64,
}

impl Random {
    fn uniform(&mut self) -> f64 {
        self.drawn += 1;
        uniform(self.seed, self.drawn, 77)
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let at = (self.uniform() * all.len() as f64) as usize;
        all.get(at.min(all.len().saturating_sub(1)))
    }

    fn rate(&mut self) -> f64 {
        10f64.powf(RATES.0 + (RATES.1 - RATES.0) * self.uniform())
    }
}

/// Acts in a lab.
pub(in super::super) async fn act(tools: &Tools, seed: u64) {
    let mut random = Random { seed, drawn: 0 };
    for _ in 0..ACTS {
        let all = runs(tools).await;
        match random.one_of(&all).cloned() {
            Some(run) => act_on(tools, &run, &mut random).await,
            // A lab without runs.
            None => start(tools, "notes", &mut random).await,
        }
    }
}

async fn act_on(tools: &Tools, run: &Value, random: &mut Random) {
    let id = run["id"].as_str().unwrap_or_default();
    let found = tools.read("get_run", json!({ "run": id })).await.unwrap_or_default();
    let dataset = found["plan"]["mix"][0]["dataset"].as_str().unwrap_or("notes").to_owned();
    let options: &[&str] = match run["state"].as_str() {
        Some("running") => &["set", "pause", "stop", "rollback", "fork", "start", "add_note"],
        Some("paused") => &["set", "resume", "stop", "fork", "start", "add_note"],
        Some("queued") => &["stop", "start", "add_note"],
        _ => &["fork", "start", "add_note"],
    };
    let reason = "a random act";
    let checkpoints = found["checkpoints"]["newest"].as_array().cloned().unwrap_or_default();
    let checkpoint = random.one_of(&checkpoints).map(|found| found["id"].clone());
    let (tool, arguments) = match (random.one_of(options).copied().unwrap_or_default(), checkpoint) {
        ("set", _) => {
            let value = random.rate();
            ("set_hyperparameter", json!({ "run": id, "path": "optimizer.learning_rate", "value": value }))
        }
        ("rollback", Some(checkpoint)) => ("rollback", json!({ "run": id, "checkpoint": checkpoint })),
        ("fork", Some(checkpoint)) => {
            let set = json!({ "optimizer.learning_rate": random.rate() });
            ("fork", json!({ "run": id, "checkpoint": checkpoint, "set": set }))
        }
        ("pause", _) => ("pause", json!({ "run": id })),
        ("resume", _) => ("resume", json!({ "run": id })),
        ("stop", _) => ("stop", json!({ "run": id })),
        ("start", _) => return start(tools, &dataset, random).await,
        _ => ("add_note", json!({ "run": id, "text": "A random note." })),
    };
    tools.act(tool, arguments, reason).await;
}

async fn start(tools: &Tools, dataset: &str, random: &mut Random) {
    let overrides = json!({ "optimizer.learning_rate": random.rate() });
    let spec = json!({ "preset": "tiny", "corpus": dataset, "steps": STEPS, "overrides": overrides });
    tools.act("start_run", json!({ "spec": spec }), "a random act").await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_choices_are_those_of_the_seed_and_in_range() {
        let draw = |seed: u64| {
            let mut random = Random { seed, drawn: 0 };
            (0..50).map(|_| (random.rate(), *random.one_of(&[1, 2, 3]).unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(draw(1).iter().all(|(rate, _)| (1e-4..=1e-2).contains(rate)));
        assert!([1, 2, 3].iter().all(|one| draw(1).iter().any(|(_, found)| found == one)), "each is chosen");
        assert_eq!(Random { seed: 1, drawn: 0 }.one_of::<u8>(&[]), None);
    }
}
