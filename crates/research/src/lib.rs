//! Judgement about runs: what is wrong with one, and whether a difference between two is more than noise. Pure functions over series of
//! metrics: no IO, no tensors, no clock; random numbers only from seeds that the caller gives. Also compiled for the browser.
//!
//! - [`rules`]: diagnosis. A [`rules::Checker`] reads the rows of a run as it trains and returns [`rules::Finding`]s.
//! - [`compare`]: fair comparison. [`compare::compare_runs`] over seeds, [`compare::compare_windows`] over validation text, and the
//!   [`compare::NoiseFloor`].
//! - [`experiment`]: the verdict of an experiment from its pairs of runs, and the scores of predictions.
//! - [`calibration`]: how often rules and the authors of experiments were right.
//! - [`sampling`]: the points of a sweep's trials: grid, random, quasi-random, TPE, CMA-ES.
//! - [`stopping`]: rules that stop trials early, and their replay over finished runs.
//! - [`importance`]: how much of the spread of a sweep's results each parameter explains.
//! - [`research_loop`]: the strategy of research loops, and their replay.
//! - [`fits`]: scaling laws, isoFLOP profiles, learning-rate range test, batch size.
//! - [`refused`]: why there is no fit and no replay, as data.
//! - [`statistics`]: what both use, by `statrs`, checked against SciPy and statsmodels.
//!
//! Each rule, test and interval is one file that opens with its formula and its source.
//!
//! # Diagnosis
//!
//! The server keeps one checker for each run on a device and feeds it the rows that it stores; `kindling train` does the same without a
//! server. The checker's state has a fixed size, so the cost of a step does not depend on the length of the run.
//!
//! ```
//! use research::rules::{Checker, Facts, Level, Settings};
//!
//! let facts = Facts { initial_vocab: Some(65), grad_clip: Some(1.0), ..Facts::default() };
//! let mut checker = Checker::new(Settings::default());
//! let found = checker.feed(&facts, 0, &[("loss.train".into(), 9.3), ("grad_norm".into(), 4.0)]);
//! assert_eq!((found[0].rule.as_str(), found[0].level), ("first_loss", Level::Alert));
//! assert!(checker.feed(&facts, 0, &[("loss.train".into(), 9.3)]).is_empty(), "a repeated report changes nothing");
//!
//! // A server that restarts continues from the encoded state.
//! let mut checker = Checker::decode(&checker.encode()?)?;
//!
//! // After a rollback to step 0 the checker forgets what followed. It returns the steps to feed again from the stored series: none here.
//! assert_eq!(checker.rewind(0), 0..0);
//! # Ok::<(), research::rules::StateError>(())
//! ```
//!
//! The caller is responsible for three things: rows of one path of the history, in order; the [`rules::Facts`] as they are at the step, since
//! gradient clipping and the number of steps can change live; and findings of abandoned segments, which it drops after a rewind.
//!
//! # Comparison
//!
//! ```
//! use research::compare::{Conditions, RunLoss, RunOptions, Verdict, compare_runs};
//!
//! let conditions = Conditions {
//!     tokenizer: "char".into(),
//!     bytes_per_token: Some(1.0),
//!     validation: "tales, 4096 windows".into(),
//!     tokens: 1e7,
//!     flops: 1e13,
//!     secs: 300.0,
//!     learning_rate_fraction: 0.1,
//! };
//! let run = |seed: u64, nats_per_token: f64| {
//!     RunLoss { run: format!("seed {seed}"), seed, nats_per_token, conditions: conditions.clone() }
//! };
//! let baseline = [run(1, 1.502), run(2, 1.497), run(3, 1.508), run(4, 1.500)];
//! let change = [run(5, 1.471), run(6, 1.478), run(7, 1.469), run(8, 1.480)];
//! let comparison = compare_runs(&baseline, &change, &RunOptions::default());
//! assert_eq!(comparison.verdict, Verdict::Different);
//! println!("{}", comparison.sentence());
//! ```

pub mod calibration;
pub mod compare;
pub mod experiment;
pub mod fits;
pub mod importance;
pub mod refused;
pub mod research_loop;
pub mod rules;
pub mod sampling;
pub mod statistics;
pub mod stopping;
