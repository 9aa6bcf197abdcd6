//! Fair comparison of runs: the difference, its confidence interval, and whether it is more than noise.
//!
//! Two questions, two kinds of variation, which an interval never mixes ([`Variation`]):
//!
//! - [`compare_runs`]: does a change help, whatever the seed? Groups of runs; the interval contains the variation over seeds.
//! - [`compare_windows`]: is this model better than that one? The same validation windows of two runs; the interval contains the variation
//!   over validation text.
//!
//! What is unfair is said instead of computed ([`Reason`]): another tokenizer without bits per byte, another validation text, unequal
//! budgets, another phase of the schedule, runs that diverged, seeds that occur twice.
//!
//! [`NoiseFloor`] is the spread over seeds; it serves groups of one run, [`band`]s in charts, and the number of runs that a plan needs.
//! [`compare_groups`] answers both for the runs of a lab: it finds the largest budget and the validation text that all of them have.
//! [`compare_scores`] compares the scores on evaluation tasks that all runs have, over items or over seeds.
//! [`holm`] adjusts the p-values of several changes against one baseline.

mod bits;
mod bootstrap;
mod conditions;
mod difference;
mod evaluation;
mod fair;
mod holm;
mod noise;
mod permutation;
mod runs;
mod scores;
mod sequential;
mod validation;
mod verdict;
mod windows;

pub use bits::bits_per_byte;
pub use bootstrap::{BcaInterval, bca_ratio};
pub use conditions::{Conditions, Reason, unfair};
pub use difference::{Difference, Method, Variation, paired, welch};
pub use evaluation::{Evaluation, MeasuredRun};
pub use fair::{ComparedGroup, ComparedRun, FairComparison, Groups, compare_groups};
pub use holm::holm;
pub use noise::{BandPoint, NoiseFloor, band, detectable};
pub use permutation::permutation_p;
pub use runs::{RunLoss, RunOptions, compare_runs};
pub use scores::{ComparedScore, ScoredGroup, ScoredRun, TaskComparison, compare_scores, newcombe, wilson};
pub use sequential::confidence_sequence;
pub use verdict::{Comparison, Names, Unit, Verdict};
pub use windows::{WindowLoss, compare_windows, mean_of_runs};
