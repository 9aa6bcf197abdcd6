//! One cube (workgroup) for each row of a matrix: how many are launched, and sums and maxima over their units (threads). Each unit visits
//! every [`UNITS`]-th value of its row; the partial results are combined as a tree in shared memory, so a sum has a fixed order.

use cubecl::prelude::*;

/// Units of a cube; a power of two that every adapter allows.
pub(super) const UNITS: u32 = 128;
/// Largest number of cubes in one dimension of a launch.
const MAX_CUBES: usize = 65_535;

/// At least `rows` cubes. A kernel leaves out those whose position is not a row.
pub(super) fn cubes(rows: usize) -> CubeCount {
    CubeCount::Static(rows.min(MAX_CUBES) as u32, rows.div_ceil(MAX_CUBES) as u32, 1)
}

/// The dimensions of such a cube.
pub(super) fn units() -> CubeDim {
    CubeDim::new_1d(UNITS)
}

/// The sum of the values of all units. Every unit calls it.
#[cube]
pub(super) fn sum_of_units(value: f32) -> f32 {
    let mut partial = Shared::<[f32]>::new_slice(UNITS as usize);
    let unit = UNIT_POS as usize;
    partial[unit] = value;
    sync_cube();
    let mut half = (UNITS as usize / 2).runtime();
    while half > 0 {
        if unit < half {
            let sum = partial[unit] + partial[unit + half];
            partial[unit] = sum;
        }
        sync_cube();
        half /= 2;
    }
    partial[0]
}

/// The largest of the values of all units. Every unit calls it.
#[cube]
pub(super) fn max_of_units(value: f32) -> f32 {
    let mut partial = Shared::<[f32]>::new_slice(UNITS as usize);
    let unit = UNIT_POS as usize;
    partial[unit] = value;
    sync_cube();
    let mut half = (UNITS as usize / 2).runtime();
    while half > 0 {
        if unit < half {
            let largest = max(partial[unit], partial[unit + half]);
            partial[unit] = largest;
        }
        sync_cube();
        half /= 2;
    }
    partial[0]
}
