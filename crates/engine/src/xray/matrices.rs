//! Matrices as pictures: thumbnails of all, and one down to single values. Of weights, of gradients on held-out text, of the optimizer's updates.

use burn::tensor::Tensor;
use wire::frame::Moments;
use wire::look::{Of, Passage, Window};
use wire::sight::{Field, Histogram, Sight, Thumbnail};

use super::Eye;
use super::plane::{strongest, strongest_on_device};
use crate::batch::Batch;
use crate::device::read;
use crate::error::EngineError;
use crate::gradient::{self, Pass};
use crate::look_error::LookError;
use crate::muon;
use crate::optimizer::{self, Dial};
use crate::params::ParamSpec;
use crate::reduce::{Grid, Tile, Wishes, with_values};

/// Tiles of a thumbnail either way.
const THUMBNAIL: usize = 32;
/// Tiles of a large picture either way.
const PICTURE: usize = 128;
/// Parameters named where one is not found.
const NAMED: usize = 12;
/// How well the strongest direction of a thumbnail is found: its value is then right to about the square.
const TOLERANCE: f64 = 3e-3;

pub(super) fn gallery(eye: &Eye<'_>, of: Of) -> Result<Sight, EngineError> {
    let all = values(eye, of)?;
    let shown: Vec<(&ParamSpec, Tensor<2>)> = eye
        .scene
        .specs
        .iter()
        .zip(all)
        .filter(|(spec, _)| spec.shape.len() == 2)
        .map(|(spec, flat)| (spec, as_matrix(spec, flat)))
        .collect();
    let matrices: Vec<Tensor<2>> = shown.iter().map(|(_, matrix)| matrix.clone()).collect();
    let tiles = |matrix: &Tensor<2>| {
        let [rows, columns] = matrix.dims();
        (matrix.clone(), Grid::whole(rows, columns, THUMBNAIL))
    };
    let found = eye.reduce(Wishes {
        tiles: matrices.iter().map(tiles).collect(),
        moments: matrices.clone(),
        histograms: matrices.clone(),
        ..Wishes::default()
    })?;
    let strengths = strengths(eye, &matrices)?;
    let parts = shown.into_iter().zip(found.tiles).zip(found.moments).zip(found.histograms).zip(strengths);
    let matrices = parts.map(|(((((spec, matrix), tiles), moments), histogram), strength)| {
        thumbnail(spec, matrix.dims(), &tiles, moments, histogram, strength)
    });
    Ok(Sight::Gallery { matrices: matrices.collect() })
}

fn thumbnail(
    spec: &ParamSpec,
    [rows, columns]: [usize; 2],
    tiles: &[Tile],
    moments: Moments,
    histogram: Histogram,
    strength: f64,
) -> Thumbnail {
    let grid = Grid::whole(rows, columns, THUMBNAIL);
    let squares = moments.rms * moments.rms * moments.count as f64;
    Thumbnail {
        tensor: spec.name.clone(),
        shape: [rows as u32, columns as u32],
        mean: field(grid, tiles, |tile| tile.mean),
        moments,
        histogram,
        stable_rank: if strength > 0.0 { (squares / strength) as f32 } else { f32::NAN },
    }
}

fn field(grid: Grid, tiles: &[Tile], of: impl Fn(&Tile) -> f32) -> Field {
    Field::of(grid.tile_rows, grid.tile_columns, &tiles.iter().map(of).collect::<Vec<_>>())
}

/// The squared spectral norm of each matrix.
fn strengths(eye: &Eye<'_>, matrices: &[Tensor<2>]) -> Result<Vec<f64>, EngineError> {
    if eye.scene.device.is_cpu() {
        let strength = |matrix: &Tensor<2>| {
            with_values(matrix, |values| strongest(values, matrix.dims()[1], &[], TOLERANCE).value)
        };
        return Ok(matrices.iter().map(strength).collect());
    }
    let all = matrices.iter().map(|matrix| strongest_on_device(matrix.clone())).collect();
    Ok(read(Tensor::cat(all, 0))?.into_iter().map(f64::from).collect())
}

pub(super) fn one(eye: &Eye<'_>, tensor: &str, of: Of, window: Option<Window>) -> Result<Sight, EngineError> {
    let specs = eye.scene.specs;
    let Some(place) = specs.iter().position(|spec| spec.name == tensor) else {
        let known = specs.iter().take(NAMED).map(|spec| spec.name.clone()).collect();
        return Err(LookError::NoTensor { tensor: tensor.to_owned(), known }.into());
    };
    let matrix = as_matrix(&specs[place], values(eye, of)?.swap_remove(place));
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
        tile_rows: (window.rows as usize).min(PICTURE),
        tile_columns: (window.columns as usize).min(PICTURE),
    };
    let part = matrix.clone().slice([grid.row..grid.row + grid.rows, grid.column..grid.column + grid.columns]);
    let mut found = eye.reduce(Wishes {
        tiles: vec![(matrix, grid)],
        moments: vec![part.clone()],
        histograms: vec![part],
        ..Wishes::default()
    })?;
    let tiles = &found.tiles[0];
    Ok(Sight::Matrix {
        shape: [rows as u32, columns as u32],
        window,
        mean: field(grid, tiles, |tile| tile.mean),
        min: field(grid, tiles, |tile| tile.min),
        max: field(grid, tiles, |tile| tile.max),
        moments: found.moments[0],
        histogram: found.histograms.swap_remove(0),
    })
}

/// A window as far as the matrix goes.
fn inside(tensor: &str, window: Window, rows: usize, columns: usize) -> Result<Window, LookError> {
    let Window { row, column, .. } = window;
    if row as usize >= rows || column as usize >= columns {
        return Err(LookError::Outside { tensor: tensor.to_owned(), rows, columns, row, column });
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

/// All parameters' numbers of a kind, flat, in the model's order.
fn values(eye: &Eye<'_>, of: Of) -> Result<Vec<Tensor<1>>, EngineError> {
    match of {
        Of::Weight => Ok(eye.scene.state.weights.clone()),
        Of::Gradient => gradient_on_held(eye),
        Of::Update => updates(eye),
    }
}

/// Of the mean loss of the first held-out window, without dropout.
fn gradient_on_held(eye: &Eye<'_>) -> Result<Vec<Tensor<1>>, EngineError> {
    let text = super::passage::read(eye, &Passage::default())?;
    let ids = |tokens: &mut dyn Iterator<Item = u32>| tokens.map(|token| token as i32).collect::<Vec<i32>>();
    let batch = Batch {
        rows: 1,
        seq: text.tokens.len(),
        inputs: ids(&mut text.tokens.iter().copied()),
        targets: ids(&mut text.next.iter().map(|next| next.unwrap_or(0))),
    };
    let mut model = eye.model().clone();
    model.dropout = 0.0;
    let pass = Pass { model, z_loss: 0.0, key: 0 };
    Ok(gradient::of_step(&pass, &eye.weights, vec![batch], None, &eye.scene.device.burn)?.flat)
}

/// What the optimizer would change each parameter by if its moments were all it had; decay is left out.
fn updates(eye: &Eye<'_>) -> Result<Vec<Tensor<1>>, EngineError> {
    let scene = &eye.scene;
    if !scene.has_moments {
        return Err(LookError::NoUpdate {
            why: "this state came without the optimizer's moments; look at a later one",
        }
        .into());
    }
    if scene.state.steps == 0 {
        return Err(LookError::NoUpdate { why: "the optimizer has not taken a step yet; look after the first" }.into());
    }
    let numbers = &scene.plan.recipe.optimizer;
    let dial = Dial {
        kind: numbers.kind,
        rate: scene.dials.schedule.rate(scene.state.steps),
        beta1: numbers.beta1,
        beta2: numbers.beta2,
        eps: numbers.eps,
        weight_decay: 0.0,
        clip: 0.0,
    };
    let parts = scene.specs.iter().zip(&scene.state.first).zip(&scene.state.second);
    Ok(parts
        .map(|((spec, first), second)| update(spec, first.clone(), second.clone(), dial, scene.state.steps))
        .collect())
}

fn update(spec: &ParamSpec, first: Tensor<1>, second: Tensor<1>, dial: Dial, steps: u64) -> Tensor<1> {
    match muon::shape_of(spec, dial.kind) {
        Some(shape) => muon::change(first, shape, dial.rate),
        None => optimizer::change(first, second, dial, steps),
    }
}
