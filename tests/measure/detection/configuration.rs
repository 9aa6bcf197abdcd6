//! The healthy runs: six pairs of a preset and a dataset, each small enough for some ten seconds to a minute on one core.

use serde_json::{Map, Value, json};
use wire::run::spec::RunSpec;

use crate::Outcome;

/// A preset on a dataset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Configuration {
    pub(crate) name: &'static str,
    preset: &'static str,
    depth: Option<u32>,
    pub(crate) corpus: &'static str,
    pub(crate) steps: u64,
    /// The peak learning rate with the lowest final validation loss, of 0.002, 0.006, 0.02, 0.06 and 0.2, with a seed of neither part; `None`
    /// where no fault needs it.
    pub(crate) best_learning_rate: Option<f64>,
}

pub(crate) const TINY_TALES: Configuration = of("tiny-tales", "tiny", "tales", 1000).best_at(0.02);
pub(crate) const TINY_CODE: Configuration = of("tiny-code", "tiny", "code", 1000).best_at(0.006);
pub(crate) const NANOGPT: Configuration = of("nanogpt-tales", "nanogpt-cpu", "tales", 600).best_at(0.006);
pub(crate) const INDUCTION: Configuration = of("induction", "induction", "induction", 800);
const SUMS: Configuration = of("sums", "grokking", "modular-addition", 500);
pub(crate) const DEPTH: Configuration =
    Configuration { depth: Some(1), ..of("depth-tales", "depth", "tales", 600).best_at(0.02) };

pub(crate) const ALL: [Configuration; 6] = [TINY_TALES, TINY_CODE, NANOGPT, INDUCTION, SUMS, DEPTH];

const fn of(name: &'static str, preset: &'static str, corpus: &'static str, steps: u64) -> Configuration {
    Configuration { name, preset, depth: None, corpus, steps, best_learning_rate: None }
}

impl Configuration {
    const fn best_at(self, learning_rate: f64) -> Self {
        Self { best_learning_rate: Some(learning_rate), ..self }
    }

    /// As in "a run of the preset tiny on the dataset tales".
    pub(crate) fn sentence_part(&self) -> String {
        format!("the preset {} on the dataset {}", self.preset, self.corpus)
    }

    /// The specification of a run. One replica, because several runs train at once; evaluations are twice as frequent as by default,
    /// because the runs are short.
    pub(crate) fn spec(&self, corpus: &str, seed: u64, changes: &[(&str, Value)]) -> Outcome<RunSpec> {
        let fixed =
            [("batch.replicas", json!(1)), ("intervals.eval_every", json!(50)), ("intervals.sample_every", json!(0))];
        let all = fixed.iter().chain(changes).map(|(path, value)| ((*path).to_owned(), value.clone()));
        Ok(serde_json::from_value(json!({
            "preset": self.preset,
            "depth": self.depth,
            "corpus": corpus,
            "steps": self.steps,
            "seed": seed,
            "device": "cpu",
            "overrides": all.collect::<Map<_, _>>(),
        }))?)
    }
}
