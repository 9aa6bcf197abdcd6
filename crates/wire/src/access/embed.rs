//! What an embed shows: one chart or one inspection. The path of its link decides it, as it decides what a share link opens.
//!
//! | path | shows |
//! | --- | --- |
//! | `/runs/ID` | the training and the validation loss of a run |
//! | `/runs/ID?chart=grad_norm` | another time series of it, by its name |
//! | `/compare?runs=A,B` | the training losses of up to 16 runs in one chart |
//! | `/compare?runs=A,B&chart=loss.valid` | another time series of them |
//! | `/runs/ID/xray?view=attention&layer=1&head=2` | the attention pattern of a head |
//! | `/runs/ID/xray?view=logit_lens` | the logit lens |
//! | `/runs/ID/xray?view=weights&tensor=block.0.attention.query` | a weight matrix and the histogram of its values |
//!
//! Charts also take `x=tokens`, `secs` or `flops`, and `log=1` for a logarithmic y axis. Inspections are read from the snapshots that the
//! run keeps, so that an embed costs the training nothing: the newest one, or with `step=N` the newest one up to that step.

use super::address::{parts, value};
use super::link::MAX_LINK_RUNS;
use crate::error::PlanError;
use crate::id::RunId;
use crate::series::{Axis, name};

/// A chart or an inspection, as the path of a link names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EmbedView {
    Chart(EmbedChart),
    Inspection(EmbedInspection),
}

/// A chart of one run or of several.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmbedChart {
    /// The runs, at most 16.
    pub runs: Vec<RunId>,
    /// Name of the series; `loss` for the training and the validation loss of one run.
    pub series: String,
    pub axis: Axis,
    /// Whether the y axis is logarithmic.
    pub is_log: bool,
}

/// An inspection of a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmbedInspection {
    pub run: RunId,
    pub view: InspectionView,
    /// The newest snapshot up to this step; the newest of all by default.
    pub step: Option<u64>,
}

/// The inspections that are drawn as images.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum InspectionView {
    /// The attention pattern of one head.
    Attention { layer: u32, head: u32 },
    /// The probability of the actual next token after each block.
    LogitLens,
    /// One weight matrix.
    Weights { tensor: String },
}

impl EmbedView {
    /// Reads the path and the query of a page.
    ///
    /// # Errors
    /// The page, or the view of it, cannot be embedded.
    pub fn of(address: &str) -> Result<Self, PlanError> {
        let (path, query) = parts(address);
        let chart = |runs: Vec<RunId>, usual: &str| Self::Chart(EmbedChart::read(runs, usual, query));
        match path.trim_matches('/').split('/').collect::<Vec<_>>()[..] {
            ["runs", run] => Ok(chart(vec![run.parse().map_err(|_| unknown(address))?], LOSS)),
            ["runs", run, "xray"] => {
                let run = run.parse().map_err(|_| unknown(address))?;
                EmbedInspection::read(run, query).map(Self::Inspection)
            }
            ["compare"] => match compared(&value(query, "runs").unwrap_or_default()) {
                runs if runs.is_empty() || runs.len() > MAX_LINK_RUNS => Err(unknown(address)),
                runs => Ok(chart(runs, name::TRAIN)),
            },
            _ => Err(unknown(address)),
        }
    }

    /// The runs that it shows.
    pub fn runs(&self) -> &[RunId] {
        match self {
            Self::Chart(chart) => &chart.runs,
            Self::Inspection(inspection) => std::slice::from_ref(&inspection.run),
        }
    }
}

/// The name under which the training and the validation loss are one chart.
pub const LOSS: &str = "loss";

impl EmbedChart {
    fn read(runs: Vec<RunId>, usual: &str, query: &str) -> Self {
        let axis = match value(query, "x").as_deref() {
            Some("tokens") => Axis::Tokens,
            Some("secs") => Axis::Secs,
            Some("flops") => Axis::Flops,
            _ => Axis::Step,
        };
        let series = value(query, "chart").filter(|name| !name.is_empty()).unwrap_or_else(|| usual.to_owned());
        let is_log = value(query, "log").is_some_and(|text| text == "1" || text == "true");
        Self { runs, series, axis, is_log }
    }
}

impl EmbedInspection {
    fn read(run: RunId, query: &str) -> Result<Self, PlanError> {
        let number = |key: &str| value(query, key).and_then(|text| text.parse().ok()).unwrap_or(0);
        let view = match (value(query, "view").as_deref(), value(query, "tensor")) {
            (Some("attention"), _) => InspectionView::Attention { layer: number("layer"), head: number("head") },
            (Some("logit_lens"), _) => InspectionView::LogitLens,
            (Some("weights"), Some(tensor)) if is_weight(query) => InspectionView::Weights { tensor },
            _ => {
                let message = "this view of the X-ray cannot be embedded";
                return Err(PlanError::new("path", message).hint(
                    "open an attention pattern, the logit lens, or one matrix of the weights: view=attention&layer=0&head=0, \
                     view=logit_lens, or view=weights&tensor=block.0.attention.query",
                ));
            }
        };
        Ok(Self { run, view, step: value(query, "step").and_then(|step| step.parse().ok()) })
    }
}

/// Whether the values of a matrix are its weights: snapshots have no gradients and no updates.
fn is_weight(query: &str) -> bool {
    value(query, "values").is_none_or(|values| values.is_empty() || values == "weight")
}

fn compared(list: &str) -> Vec<RunId> {
    let mut runs: Vec<RunId> = vec![];
    for run in list.split(',').filter_map(|run| run.parse().ok()) {
        if !runs.contains(&run) {
            runs.push(run);
        }
    }
    runs
}

fn unknown(address: &str) -> PlanError {
    let shown: String = address.chars().take(80).collect();
    PlanError::new("path", format!("{shown:?} shows no chart and no inspection that can be embedded"))
        .hint("give /runs/ID, /compare?runs=A,B or /runs/ID/xray?view=attention")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_one_chart_or_one_inspection() {
        let run = |id: &str| id.parse::<RunId>().unwrap();
        let chart = |runs: &[&str], series: &str| EmbedChart {
            runs: runs.iter().map(|id| run(id)).collect(),
            series: series.into(),
            axis: Axis::Step,
            is_log: false,
        };
        let xray = |view, step| Ok(EmbedView::Inspection(EmbedInspection { run: run("a"), view, step }));
        let of_chart = |chart| Ok(EmbedView::Chart(chart));
        for (address, expected) in [
            ("/runs/a", of_chart(chart(&["a"], "loss"))),
            ("/runs/a?chart=grad_norm", of_chart(chart(&["a"], "grad_norm"))),
            (
                "/runs/a?x=tokens&log=1",
                of_chart(EmbedChart { axis: Axis::Tokens, is_log: true, ..chart(&["a"], "loss") }),
            ),
            ("/compare?runs=a,b,a", of_chart(chart(&["a", "b"], "loss.train"))),
            ("/compare?runs=a%2Cb&chart=loss.valid", of_chart(chart(&["a", "b"], "loss.valid"))),
            ("/runs/a/xray?view=attention&layer=1&head=2", xray(InspectionView::Attention { layer: 1, head: 2 }, None)),
            ("/runs/a/xray?view=logit_lens&step=64", xray(InspectionView::LogitLens, Some(64))),
            (
                "/runs/a/xray?view=weights&values=weight&tensor=head",
                xray(InspectionView::Weights { tensor: "head".into() }, None),
            ),
        ] {
            assert_eq!(EmbedView::of(address), expected, "{address}");
        }
        let many: Vec<String> = (0..=MAX_LINK_RUNS).map(|at| format!("r{at}")).collect();
        let many = format!("/compare?runs={}", many.join(","));
        for bad in [
            "/",
            "/runs/A B",
            "/compare",
            "/compare?runs=",
            "/settings",
            "/runs/a/xray",
            "/runs/a/xray?view=weights",
            "/runs/a/xray?view=weights&values=gradient&tensor=head",
            "/runs/a/xray?view=interventions",
            &many,
        ] {
            assert!(EmbedView::of(bad).is_err(), "{bad}");
        }
    }
}
