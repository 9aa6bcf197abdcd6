//! The validation text on which some runs can be compared: the windows that all of them have, the whole split, or what each evaluation read.

use std::collections::BTreeSet;

use wire::evaluation::{DatasetLosses, place_of};
use wire::number::counted;

use super::evaluation::{Evaluation, MeasuredRun};
use super::windows::WindowLoss;

/// Parts of consecutive windows of a split. Windows of one part count as one document, because neighbouring text is correlated.
const PARTS: u64 = 100;

/// A run at the budget of a comparison.
pub(super) type Point<'a> = (&'a MeasuredRun, &'a Evaluation);

/// The validation text of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Text {
    /// The first windows of the fixed order of each dataset that all runs have: content hash, whole windows of its split, windows.
    Windows { seq: u32, datasets: Vec<Part> },
    /// The whole splits of these datasets, by content hash.
    Whole { datasets: Vec<(String, String)> },
    /// What each evaluation read; it may differ.
    Evaluated,
}

/// The windows of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    name: String,
    hash: String,
    split: u64,
    count: usize,
}

impl Text {
    /// The best text that all points have.
    pub(super) fn of(points: &[Point<'_>]) -> Self {
        windows(points).or_else(|| whole(points)).unwrap_or(Self::Evaluated)
    }

    /// Its name; equal names are the same text.
    pub(super) fn name(&self, (run, evaluation): Point<'_>) -> String {
        match self {
            Self::Windows { seq, datasets } => {
                let part =
                    |part: &Part| format!("{}: {} of {seq} tokens", part.name, counted(part.count as u64, "window"));
                datasets.iter().map(part).collect::<Vec<_>>().join(", ")
            }
            Self::Whole { datasets } => {
                let name = |(name, _): &(String, String)| format!("{name}: whole validation split");
                datasets.iter().map(name).collect::<Vec<_>>().join(", ")
            }
            Self::Evaluated => match (evaluation.is_last, &evaluation.windows) {
                (false, _) => run.evaluated.clone(),
                (true, Some(_)) => format!("{}, last evaluation", run.evaluated),
                // Of a large dataset it read other windows than that of this version.
                (true, None) => format!("{}, last evaluation by an earlier version", run.evaluated),
            },
        }
    }

    /// The mean loss of a run on it, nats per token; `None` if the run does not have it.
    pub(super) fn loss(&self, (run, evaluation): Point<'_>) -> Option<f64> {
        match self {
            Self::Windows { .. } => {
                let windows = self.windows((run, evaluation), 1.0)?;
                let (nats, size) =
                    windows.iter().fold((0.0, 0.0), |(nats, size), loss| (nats + loss.nats, size + loss.size));
                Some(nats / size)
            }
            Self::Whole { datasets } => {
                let of = |(_, hash): &(String, String)| losses(run, evaluation, hash)?.whole;
                let losses: Option<Vec<f64>> = datasets.iter().map(of).collect();
                losses.map(|losses| losses.iter().sum::<f64>() / losses.len() as f64)
            }
            Self::Evaluated => Some(evaluation.loss),
        }
    }

    /// The losses of a run by window; `None` if the run does not have them, or if this text has no windows.
    pub(super) fn windows(&self, (run, evaluation): Point<'_>, bytes_per_token: f64) -> Option<Vec<WindowLoss>> {
        let Self::Windows { seq, datasets } = self else { return None };
        if evaluation.windows.as_ref()?.seq != *seq {
            return None;
        }
        let mut all = vec![];
        for (number, part) in (0u64..).zip(datasets) {
            let losses = losses(run, evaluation, &part.hash)?;
            if losses.split != part.split || losses.nats.len() < part.count {
                return None;
            }
            let tokens = f64::from(*seq);
            let window = |(k, nats): (u64, &f32)| WindowLoss {
                window: (number << 48) + k,
                document: (number << 48) + place_of(k, part.split).saturating_mul(PARTS) / part.split.max(1),
                nats: f64::from(*nats) * tokens,
                size: tokens * bytes_per_token,
            };
            all.extend((0..).zip(&losses.nats[..part.count]).map(window));
        }
        Some(all)
    }
}

/// The losses of a run on the dataset with this content hash.
fn losses<'a>(run: &MeasuredRun, evaluation: &'a Evaluation, hash: &str) -> Option<&'a DatasetLosses> {
    let at = run.datasets.iter().position(|(_, own)| own == hash)?;
    evaluation.windows.as_ref()?.datasets.get(at)
}

/// Name and hash of the datasets that all runs have.
fn shared(points: &[Point<'_>]) -> Vec<(String, String)> {
    let Some(((first, _), others)) = points.split_first() else { return vec![] };
    let all_have = |hash: &String| others.iter().all(|(run, _)| run.datasets.iter().any(|(_, own)| own == hash));
    first.datasets.iter().filter(|(_, hash)| all_have(hash)).cloned().collect()
}

/// Windows have the same text only with the same tokenizer and length.
fn windows(points: &[Point<'_>]) -> Option<Text> {
    let (first, evaluation) = points.first()?;
    let seq = evaluation.windows.as_ref()?.seq;
    let is_same = |(run, evaluation): &Point<'_>| {
        run.tokenizer == first.tokenizer && evaluation.windows.as_ref().is_some_and(|windows| windows.seq == seq)
    };
    if !points.iter().all(is_same) {
        return None;
    }
    let part = |(name, hash): (String, String)| {
        let all: Option<Vec<&DatasetLosses>> =
            points.iter().map(|(run, evaluation)| losses(run, evaluation, &hash)).collect();
        let all = all?;
        let split = all.first()?.split;
        let count = all.iter().map(|losses| losses.nats.len()).min()?;
        (count > 0 && all.iter().all(|losses| losses.split == split)).then_some(Part { name, hash, split, count })
    };
    let datasets: Vec<Part> = shared(points).into_iter().filter_map(part).collect();
    (!datasets.is_empty()).then_some(Text::Windows { seq, datasets })
}

fn whole(points: &[Point<'_>]) -> Option<Text> {
    let datasets = shared(points);
    let tokenizers: BTreeSet<&str> = points.iter().map(|(run, _)| run.tokenizer.as_str()).collect();
    // The bytes per token of a run are those of all its datasets together.
    let is_one = datasets.len() == 1 && points.iter().all(|(run, _)| run.datasets.len() == 1);
    let text = Text::Whole { datasets };
    let is_whole = points.iter().all(|point| text.loss(*point).is_some_and(f64::is_finite));
    (is_whole && (tokenizers.len() == 1 || is_one)).then_some(text)
}
