//! `kindling fit`: fits over finished runs of a lab, whether or not a server holds the folder.

use clap::{Args, Subcommand};
use research::fits::batch_size::batch_size;
use research::fits::isoflop::{Isoflop, IsoflopRun, isoflop};
use research::fits::learning_rate::{RangeTest, range_test};
use research::fits::report::{BatchSizeFit, MixFit, ScalingLawFit, Target};
use research::fits::scaling_law::{HeldOut, ScalingLaw, ScalingRun};
use research::fits::{Estimate, Refusal};
use store::{Store, StoreError};
use wire::number::brief;

use super::data::{DataArgs, UnusedFolder};
use super::run_group::{RunGroupArgs, RunGroupError};
use super::run_name::{RunNameError, run_named};
use crate::output::{self, OutputError};
use crate::runs::fits::SEED;
use crate::runs::mixes::{RunsWithMixes, is_in_a_mix, with_mixes};
use crate::runs::trial_curves::{TrialRun, learning_rates, noise_scales};

const EXAMPLES: &str = "\
Examples:
  Fit a scaling law to the finished runs with the tag scaling, and extrapolate it:
    kindling fit law --tag scaling --parameters 1e8 --tokens 2e9
  Find the best model size for each amount of compute:
    kindling fit isoflop --tag isoflop
  Find the best weights of datasets:
    kindling fit mix --tag sweep:3
  Read a learning-rate range test:
    kindling fit learning-rate amber-fox
  Ask which batch size the gradient noise scale of a run suggests:
    kindling fit batch-size amber-fox";
const LAW_EXAMPLES: &str = "\
Examples:
  Fit the law, and extrapolate it to 100 million parameters and 2 billion tokens:
    kindling fit law --tag scaling --parameters 1e8 --tokens 2e9
  Ask for the best size at 1e17 FLOPs:
    kindling fit law --tag scaling --flops 1e17";
const ISOFLOP_EXAMPLES: &str = "\
Examples:
  Profiles of all finished runs with a tag:
    kindling fit isoflop --tag isoflop";
const MIX_EXAMPLES: &str = "\
Examples:
  Best mix for the mean loss of all datasets, from the finished trials of a sweep with the sampler dirichlet:
    kindling fit mix --tag sweep:3
  Best mix for one of them:
    kindling fit mix --tag sweep:3 --dataset tales";
const LEARNING_RATE_EXAMPLES: &str = "\
Examples:
  Train with a learning rate that rises exponentially, and read where the loss falls fastest and where it rises:
    kindling fit learning-rate amber-fox";
const BATCH_SIZE_EXAMPLES: &str = "\
Examples:
  Batch size by the gradient noise scale of a run with several micro-batches or replicas:
    kindling fit batch-size amber-fox";

/// Fits a law to finished runs, with intervals; fails if the runs do not determine the law.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct FitArgs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Fits the scaling law L = E + A / N^alpha + B / D^beta over model sizes and training tokens.
    #[command(after_help = LAW_EXAMPLES)]
    Law {
        #[command(flatten)]
        runs: RunGroupArgs,
        /// Parameters without embeddings to extrapolate to [default: 4 times the largest]
        #[arg(long, value_name = "COUNT", value_parser = positive)]
        parameters: Option<f64>,
        /// Training tokens to extrapolate to [default: 4 times the most]
        #[arg(long, value_name = "COUNT", value_parser = positive)]
        tokens: Option<f64>,
        /// Training FLOPs to find the best size for [default: the FLOPs of the extrapolation]
        #[arg(long, value_name = "FLOPS", value_parser = positive)]
        flops: Option<f64>,
    },
    /// Finds the model size with the least loss for each amount of compute.
    #[command(after_help = ISOFLOP_EXAMPLES)]
    Isoflop {
        #[command(flatten)]
        runs: RunGroupArgs,
    },
    /// Finds the weights of datasets with the least predicted loss, from short runs on different mixes.
    #[command(after_help = MIX_EXAMPLES)]
    Mix {
        #[command(flatten)]
        runs: RunGroupArgs,
        /// Dataset whose validation loss is predicted [default: the mean over all datasets]
        #[arg(long, value_name = "DATASET")]
        dataset: Option<String>,
    },
    /// Reads a learning-rate range test from a run whose learning rate rises.
    #[command(after_help = LEARNING_RATE_EXAMPLES)]
    LearningRate {
        /// Run, by its name or id
        run: String,
    },
    /// Suggests a batch size by the gradient noise scale of a run.
    #[command(after_help = BATCH_SIZE_EXAMPLES)]
    BatchSize {
        /// Run, by its name or id
        run: String,
    },
}

/// Errors of `kindling fit`.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    #[error(transparent)]
    Unused(#[from] UnusedFolder),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Runs(#[from] RunGroupError),
    #[error(transparent)]
    Run(#[from] RunNameError),
    #[error("the runs do not train on the dataset {dataset}; name one of their datasets, or leave out --dataset")]
    Dataset { dataset: String },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("{0}")]
    Output(#[from] OutputError),
}

/// A text that is not a number above 0.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a number above 0, such as 1e8")]
struct NotPositive {
    text: String,
}

fn positive(text: &str) -> Result<f64, NotPositive> {
    let number: Option<f64> = text.parse().ok();
    number.filter(|number| number.is_finite() && *number > 0.0).ok_or_else(|| NotPositive { text: text.to_owned() })
}

impl FitArgs {
    /// Prints the fit on standard output.
    ///
    /// # Errors
    /// There is no lab in the folder, the runs do not exist or do not determine the fit, or the store fails.
    pub async fn run(self) -> Result<(), FitError> {
        let store = Store::open_access(self.data.used()?).await?;
        let text = match self.what {
            What::Law { runs, parameters, tokens, flops } => {
                law(&runs.read(&store).await?, Target { parameters, tokens, flops })?
            }
            What::Isoflop { runs } => {
                let runs = runs.read(&store).await?;
                let points = runs.iter().filter_map(TrialRun::fitted).map(|run| run.isoflop_run());
                profiles(&isoflop(&points.collect::<Vec<IsoflopRun>>(), SEED)?)
            }
            What::Mix { runs, dataset } => {
                let runs = runs.read(&store).await?;
                if let Some(dataset) = dataset.as_ref().filter(|dataset| !is_in_a_mix(&runs, dataset)) {
                    return Err(FitError::Dataset { dataset: dataset.clone() });
                }
                let RunsWithMixes { runs, mixes, left_out } = with_mixes(&store, &runs, dataset.as_deref()).await?;
                best_mix(&mixes.fit(&runs, SEED)?, &left_out)
            }
            What::LearningRate { run } => {
                let run = run_named(&run, &store.runs(false).await?)?;
                rates(&range_test(&learning_rates(&store, &run).await?)?)
            }
            What::BatchSize { run } => {
                let run = run_named(&run, &store.runs(false).await?)?;
                let Some(view) = store.run(&run).await? else { return Err(StoreError::UnknownRun { run }.into()) };
                let scales: Vec<f64> = noise_scales(&store, &run).await?.into_iter().map(|(_, scale)| scale).collect();
                let suggested = batch_size(&scales, view.plan.tokens_per_step() as f64)?;
                batch(&BatchSizeFit::new(suggested, view.plan.recipe.model.seq))
            }
        };
        Ok(output::line(text)?)
    }
}

fn law(runs: &[TrialRun], target: Target) -> Result<String, Refusal> {
    let points: Vec<ScalingRun> = runs.iter().filter_map(TrialRun::fitted).map(|run| run.scaling_run()).collect();
    let law = ScalingLaw::fit(&points, SEED)?;
    Ok(described(&ScalingLawFit::new(law, &points, target)))
}

fn described(fit: &ScalingLawFit) -> String {
    let at = &fit.extrapolation;
    let best = at.best_parameters.map_or("none".to_owned(), |best| format!("{} parameters", interval(best)));
    let lines = [
        format!(
            "L(N, D) = E + A / (N / 1e6)^alpha + B / (D / 1e9)^beta over {} runs; N counts parameters without embeddings, D training tokens",
            fit.law.runs
        ),
        format!("E      {}", interval(fit.irreducible)),
        format!("A      {}", interval(fit.a)),
        format!("alpha  {}", interval(fit.alpha)),
        format!("B      {}", interval(fit.b)),
        format!("beta   {}", interval(fit.beta)),
        format!("Standard deviation of the residuals: {} % of the loss", brief(100.0 * fit.residual)),
        match fit.held_out {
            Some(HeldOut { runs, error }) => format!(
                "Prediction error on the {runs} runs with the most compute, held out of the fit: {} % of the loss (root mean square)",
                brief(100.0 * error)
            ),
            None => "Too few runs to hold some out and measure the prediction error".to_owned(),
        },
        format!(
            "Loss at {} parameters and {} tokens: {} nats/token",
            brief(at.parameters),
            brief(at.tokens),
            interval(at.loss)
        ),
        format!("Best size at {} FLOPs: {best}", brief(at.flops)),
    ];
    lines.join("\n")
}

/// A value with its interval.
fn interval(Estimate { value, low, high }: Estimate) -> String {
    format!("{} (95 % interval {} to {})", brief(value), brief(low), brief(high))
}

fn profiles(found: &Isoflop) -> String {
    let mut lines: Vec<String> = vec![];
    for profile in &found.profiles {
        let best = interval(profile.best_parameters);
        let (flops, sizes, loss) = (brief(profile.flops), profile.points.len(), brief(profile.best_loss));
        lines.push(format!("{flops} FLOPs, {sizes} runs: best size {best} parameters, loss {loss} nats/token"));
    }
    lines.extend(found.exponent.map(|exponent| format!("Best size = k x FLOPs^a with a = {}", interval(exponent))));
    lines.join("\n")
}

fn best_mix(MixFit { datasets, target, fit, .. }: &MixFit, left_out: &[String]) -> String {
    let of =
        target.as_ref().map_or_else(|| "the mean over all datasets".to_owned(), |dataset| format!("dataset {dataset}"));
    let mut lines =
        vec![format!("Best mix for the validation loss of {of}, over {} runs ({} fit):", fit.runs, fit.order.word())];
    lines
        .extend(datasets.iter().zip(&fit.weights).map(|(dataset, weight)| format!("{dataset}  {}", interval(*weight))));
    lines.push(format!("Predicted loss: {} nats/token", interval(fit.loss)));
    lines.push(format!("Predicted loss with equal weights: {} nats/token", interval(fit.uniform_loss)));
    lines.push(format!(
        "Prediction error on a run that is left out of the fit: {} % of the loss (root mean square); {:.0} % of the variance explained",
        brief(100.0 * fit.error),
        100.0 * fit.explained
    ));
    if !left_out.is_empty() {
        lines.push(format!(
            "Left out, without a loss of the target or with a mix that has changed: {}",
            left_out.join(", ")
        ));
    }
    lines.join("\n")
}

fn rates(found: &RangeTest) -> String {
    let diverges =
        found.diverges.map_or("not in the tested range".to_owned(), |rate| format!("from {} on", brief(rate)));
    format!(
        "Suggested peak learning rate: {}\nThe loss falls fastest at {}, is lowest at {}, and rises {diverges}.",
        brief(found.suggested),
        brief(found.steepest),
        brief(found.lowest),
    )
}

fn batch(BatchSizeFit { suggested, seq, sequences }: &BatchSizeFit) -> String {
    format!(
        "Gradient noise scale over the second half of the run: {} tokens\nA batch of about {} sequences of {seq} tokens balances steps and \
         tokens: half the progress per step of an unlimited batch.\nThe batch of this run, {} tokens, makes {:.0} % of that progress per step.",
        interval(suggested.noise_scale),
        brief(*sequences),
        brief(suggested.batch_tokens),
        100.0 * suggested.progress,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_as_text() {
        let loss = |n: f64, d: f64| 1.2 + 0.4 * (n / 1e6).powf(-0.5) + 0.1 * (d / 1e9).powf(-0.4);
        let sizes = [1e5, 4e5, 16e5, 64e5];
        let run = |parameters: f64, tokens: f64| ScalingRun { parameters, tokens, loss: loss(parameters, tokens) };
        let runs: Vec<ScalingRun> = sizes.iter().flat_map(|n| [2e6, 8e6, 32e6, 128e6].map(|d| run(*n, d))).collect();
        let target = Target { parameters: Some(1e8), tokens: Some(2e9), flops: Some(1e17) };
        let text = described(&ScalingLawFit::new(ScalingLaw::fit(&runs, SEED).unwrap(), &runs, target));
        assert!(
            text.contains("\nPrediction error on the 4 runs with the most compute, held out of the fit: "),
            "{text}"
        );
        assert!(text.contains("\nalpha  0.5 (95 % interval "), "{text}");
        assert!(text.contains("Loss at 1e8 parameters and 2e9 tokens: 1.32 (95 % interval 1.32 to 1.32)"), "{text}");
        let refused = ScalingLaw::fit(&runs[..8], SEED).unwrap_err().to_string();
        assert_eq!(refused, "the fit needs at least 3 model sizes, and has 2");
    }

    #[test]
    fn counts_are_positive() {
        assert_eq!(positive("1e8").unwrap(), 1e8);
        for bad in ["0", "-1", "many", "inf", "nan"] {
            assert!(positive(bad).is_err(), "{bad}");
        }
    }
}
