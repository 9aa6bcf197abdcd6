//! Heat maps of matrices: small ones of all matrices, or one matrix down to single values; of weights, of gradients on validation text, or of
//! the optimizer's updates.

use burn::tensor::Tensor;
use wire::inspect::request::{InspectionText, TensorValues, Window};
use wire::inspect::result::{HeatMap, Histogram, InspectionResult, MatrixSummary};
use wire::inspect::statistics::Moments;

use super::Inspector;
use super::lanczos::{largest_eigenpair, largest_eigenvalue_on_device};
use crate::data::batch::Batch;
use crate::device::{read, with_host_values};
use crate::error::{EngineError, InspectError};
use crate::kernels::reduce::{Grid, Reductions, Tile};
use crate::model::gradient::{self, GradientArgs};
use crate::model::params::ParamSpec;
use crate::optim::muon;
use crate::optim::optimizer;
use crate::optim::step_hyperparameters::StepHyperparameters;

/// Rows and columns of tiles of a small heat map.
const SMALL: usize = 32;
/// Rows and columns of tiles of a large heat map.
const LARGE: usize = 128;
/// Maximum number of parameters that the error for an unknown parameter lists.
const LISTED: usize = 12;
/// Tolerance of the largest singular vector: the relative error of its value is about the square.
const TOLERANCE: f64 = 3e-3;

pub(super) fn all(inspector: &Inspector<'_>, kind: TensorValues) -> Result<InspectionResult, EngineError> {
    let all = values(inspector, kind)?;
    let shown: Vec<(&ParamSpec, Tensor<2>)> = inspector
        .subject
        .specs
        .iter()
        .zip(all)
        .filter(|(spec, _)| spec.shape.len() == 2)
        .map(|(spec, flat)| (spec, as_matrix(spec, flat)))
        .collect();
    let matrices: Vec<Tensor<2>> = shown.iter().map(|(_, matrix)| matrix.clone()).collect();
    let tiles = |matrix: &Tensor<2>| {
        let [rows, columns] = matrix.dims();
        (matrix.clone(), Grid::whole(rows, columns, SMALL))
    };
    let found = inspector.reduce(Reductions {
        tiles: matrices.iter().map(tiles).collect(),
        moments: matrices.clone(),
        histograms: matrices.clone(),
        ..Reductions::default()
    })?;
    let norms = squared_spectral_norms(inspector, &matrices)?;
    let parts = shown.into_iter().zip(found.tiles).zip(found.moments).zip(found.histograms).zip(norms);
    let matrices = parts.map(|(((((spec, matrix), tiles), moments), histogram), norm)| {
        summary(spec, matrix.dims(), &tiles, moments, histogram, norm)
    });
    Ok(InspectionResult::Weights { matrices: matrices.collect() })
}

fn summary(
    spec: &ParamSpec,
    [rows, columns]: [usize; 2],
    tiles: &[Tile],
    moments: Moments,
    histogram: Histogram,
    squared_norm: f64,
) -> MatrixSummary {
    let grid = Grid::whole(rows, columns, SMALL);
    let squares = moments.rms * moments.rms * moments.count as f64;
    MatrixSummary {
        tensor: spec.name.clone(),
        shape: [rows as u32, columns as u32],
        mean: heat_map(grid, tiles, |tile| tile.mean),
        moments,
        histogram,
        stable_rank: if squared_norm > 0.0 { (squares / squared_norm) as f32 } else { f32::NAN },
    }
}

fn heat_map(grid: Grid, tiles: &[Tile], of: impl Fn(&Tile) -> f32) -> HeatMap {
    HeatMap::of(grid.tile_rows, grid.tile_columns, &tiles.iter().map(of).collect::<Vec<_>>())
}

/// The squared spectral norm of each matrix.
fn squared_spectral_norms(inspector: &Inspector<'_>, matrices: &[Tensor<2>]) -> Result<Vec<f64>, EngineError> {
    if inspector.subject.device.is_cpu() {
        let norm = |matrix: &Tensor<2>| {
            with_host_values(matrix, |values| largest_eigenpair(values, matrix.dims()[1], &[], TOLERANCE).value)
        };
        return Ok(matrices.iter().map(norm).collect());
    }
    let all = matrices.iter().map(|matrix| largest_eigenvalue_on_device(matrix.clone())).collect();
    Ok(read(Tensor::cat(all, 0))?.into_iter().map(f64::from).collect())
}

pub(super) fn one(
    inspector: &Inspector<'_>,
    tensor: &str,
    kind: TensorValues,
    window: Option<Window>,
) -> Result<InspectionResult, EngineError> {
    let specs = inspector.subject.specs;
    let Some(index) = specs.iter().position(|spec| spec.name == tensor) else {
        let known = specs.iter().take(LISTED).map(|spec| spec.name.clone()).collect();
        return Err(InspectError::NoTensor { tensor: tensor.to_owned(), known }.into());
    };
    let matrix = as_matrix(&specs[index], values(inspector, kind)?.swap_remove(index));
    let [rows, columns] = matrix.dims();
    let window = match window {
        None => Window { row: 0, column: 0, rows: rows as u32, columns: columns as u32 },
        Some(window) => inside(tensor, window, rows, columns)?,
    };
    let grid = Grid {
        row: window.row as usize,
        column: window.column as usize,
        rows: window.rows as usize,
        columns: window.columns as usize,
        tile_rows: (window.rows as usize).min(LARGE),
        tile_columns: (window.columns as usize).min(LARGE),
    };
    let part = matrix.clone().slice([grid.row..grid.row + grid.rows, grid.column..grid.column + grid.columns]);
    let mut found = inspector.reduce(Reductions {
        tiles: vec![(matrix, grid)],
        moments: vec![part.clone()],
        histograms: vec![part],
        ..Reductions::default()
    })?;
    let tiles = &found.tiles[0];
    Ok(InspectionResult::Matrix {
        shape: [rows as u32, columns as u32],
        window,
        mean: heat_map(grid, tiles, |tile| tile.mean),
        min: heat_map(grid, tiles, |tile| tile.min),
        max: heat_map(grid, tiles, |tile| tile.max),
        moments: found.moments[0],
        histogram: found.histograms.swap_remove(0),
    })
}

/// Clips a window to the matrix.
fn inside(tensor: &str, window: Window, rows: usize, columns: usize) -> Result<Window, InspectError> {
    let Window { row, column, .. } = window;
    if row as usize >= rows || column as usize >= columns {
        return Err(InspectError::Outside { tensor: tensor.to_owned(), rows, columns, row, column });
    }
    Ok(Window {
        rows: window.rows.min(rows as u32 - row),
        columns: window.columns.min(columns as u32 - column),
        ..window
    })
}

/// A parameter as a matrix; a vector is one row.
fn as_matrix(spec: &ParamSpec, flat: Tensor<1>) -> Tensor<2> {
    match spec.shape.as_slice() {
        [rows, columns] => flat.reshape([*rows, *columns]),
        _ => flat.reshape([1, spec.len()]),
    }
}

/// The values of all parameters, flat, in the model's order.
fn values(inspector: &Inspector<'_>, kind: TensorValues) -> Result<Vec<Tensor<1>>, EngineError> {
    match kind {
        TensorValues::Weight => Ok(inspector.subject.state.weights.clone()),
        TensorValues::Gradient => validation_gradient(inspector),
        TensorValues::Update => updates(inspector),
    }
}

/// The gradient of the mean loss over the first validation window, without dropout.
fn validation_gradient(inspector: &Inspector<'_>) -> Result<Vec<Tensor<1>>, EngineError> {
    let text = super::text::read(inspector, &InspectionText::default())?;
    let ids = |tokens: &mut dyn Iterator<Item = u32>| tokens.map(|token| token as i32).collect::<Vec<i32>>();
    let batch = Batch {
        size: 1,
        seq: text.tokens.len(),
        inputs: ids(&mut text.tokens.iter().copied()),
        targets: ids(&mut text.next.iter().map(|next| next.unwrap_or(0))),
    };
    let mut model = inspector.model().clone();
    model.dropout = 0.0;
    let args = GradientArgs::new(model);
    Ok(gradient::of_step(&args, &inspector.weights, vec![batch], None, &inspector.subject.device.burn)?.flat)
}

/// The update that the optimizer would make with its current moments, without weight decay.
fn updates(inspector: &Inspector<'_>) -> Result<Vec<Tensor<1>>, EngineError> {
    let subject = &inspector.subject;
    if !subject.has_moments {
        return Err(
            InspectError::NoUpdate { why: "imported weights have no optimizer moments; inspect a later step" }.into()
        );
    }
    if subject.state.steps == 0 {
        return Err(InspectError::NoUpdate {
            why: "the optimizer has not taken a step yet; inspect after the first step",
        }
        .into());
    }
    let live = subject.hyperparameters;
    let hyperparameters = StepHyperparameters::new(&live.optimizer, live.schedule.learning_rate(subject.state.steps));
    let parts = subject.specs.iter().zip(&subject.state.first).zip(&subject.state.second);
    Ok(parts
        .map(|((spec, first), second)| {
            update(spec, first.clone(), second.clone(), hyperparameters, subject.state.steps)
        })
        .collect())
}

fn update(
    spec: &ParamSpec,
    first: Tensor<1>,
    second: Tensor<1>,
    hyperparameters: StepHyperparameters,
    steps: u64,
) -> Tensor<1> {
    match muon::shape_of(spec, hyperparameters.kind) {
        Some(shape) => muon::update(first, shape, hyperparameters.learning_rate),
        None => optimizer::update(spec, first, second, hyperparameters, steps),
    }
}
