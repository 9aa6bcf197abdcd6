//! The WGSL kernels against their reference implementations, on tensors of every kind: whole, sliced, transposed, broadcast, empty, extreme,
//! not finite.

use burn::tensor::{Distribution, Tensor, TensorData, activation};
use wire::inspect::statistics::Moments;

use super::faults::Faults;
use super::part::Sink;
use crate::device::{EngineDevice, read};
use crate::error::EngineError;
use crate::kernels::gpu::{GpuKernels, GpuTensor};
use crate::kernels::moments::moments;
use crate::kernels::reduce::{self, ChannelStats, Grid, ReductionResults, Reductions, RowStats, Tile};
use crate::model::params;

/// A tensor reduced by the kernels and by their reference implementations.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelCase {
    /// What kind of tensor.
    pub name: String,
    /// By the kernels, on the device.
    pub kernel: ReductionResults,
    /// By the reference implementations, on the host.
    pub reference: ReductionResults,
}

impl KernelCase {
    /// The kernels that differ from their reference implementations. Counts and extrema are exact; means and rms agree to 1e-6 of the largest value, entropies of
    /// shares to 1e-5; sizes below 2^-126 may be flushed to zero.
    pub fn wrong(&self) -> Vec<&'static str> {
        let (a, b) = (&self.kernel, &self.reference);
        let is_near =
            |a: f64, b: f64, size: f64| a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-6 * size + 1e-37;
        let largest = |min: f32, max: f32| f64::from(max.abs().max(min.abs()));
        let moments = |(a, b): (&Moments, &Moments)| {
            (a.count, a.non_finite, a.min, a.max) == (b.count, b.non_finite, b.min, b.max)
                && is_near(a.mean, b.mean, b.rms)
                && is_near(a.rms, b.rms, b.rms)
        };
        let same = |a: f32, b: f32| a == b || a.is_nan() && b.is_nan();
        let tile = |(a, b): (&Tile, &Tile)| {
            same(a.min, b.min) && same(a.max, b.max) && is_near(a.mean.into(), b.mean.into(), largest(b.min, b.max))
        };
        let row = |(a, b): (&RowStats, &RowStats)| {
            let is_of_shares = b.min >= 0.0 && b.max <= 1.0;
            (a.min, a.max, a.non_finite) == (b.min, b.max, b.non_finite)
                && (!is_of_shares || (a.entropy - b.entropy).abs() <= 1e-5 * (1.0 + b.entropy))
        };
        let channel = |(a, b): (&ChannelStats, &ChannelStats)| {
            (a.min, a.max, a.non_finite) == (b.min, b.max, b.non_finite)
                && is_near(a.rms, b.rms, 2.0 * largest(b.min, b.max))
        };
        let found = [
            ("moments", a.moments.iter().zip(&b.moments).all(moments)),
            ("histogram", a.histograms == b.histograms),
            ("tiles", pairs(&a.tiles, &b.tiles).is_some_and(|mut pairs| pairs.all(tile))),
            ("rows", pairs(&a.rows, &b.rows).is_some_and(|mut pairs| pairs.all(row))),
            ("channels", pairs(&a.channels, &b.channels).is_some_and(|mut pairs| pairs.all(channel))),
        ];
        found.into_iter().filter(|(_, is_same)| !is_same).map(|(kernel, _)| kernel).collect()
    }

    /// Whether all are.
    pub fn is_same(&self) -> bool {
        self.wrong().is_empty()
    }
}

/// Two lists of lists element by element, where they have the same lengths.
fn pairs<'a, T>(a: &'a [Vec<T>], b: &'a [Vec<T>]) -> Option<impl Iterator<Item = (&'a T, &'a T)>> {
    let fits = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.len() == b.len());
    fits.then(|| a.iter().flatten().zip(b.iter().flatten()))
}

impl std::fmt::Display for KernelCase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (a, b) = (&self.kernel, &self.reference);
        write!(f, "{} of {}:", self.wrong().join(", "), self.name)?;
        write!(f, " kernel {:?} {:?}, reference {:?} {:?}", a.moments, a.histograms, b.moments, b.histograms)?;
        for (kernel, reference) in
            [first_apart(&a.tiles, &b.tiles), first_apart(&a.rows, &b.rows), first_apart(&a.channels, &b.channels)]
                .into_iter()
                .flatten()
        {
            write!(f, "; kernel {kernel}, reference {reference}")?;
        }
        Ok(())
    }
}

fn first_apart<T: PartialEq + std::fmt::Debug>(a: &[Vec<T>], b: &[Vec<T>]) -> Option<(String, String)> {
    let apart = a.iter().flatten().zip(b.iter().flatten()).find(|(a, b)| a != b)?;
    Some((format!("{:?}", apart.0), format!("{:?}", apart.1)))
}

/// Each kernel against its reference implementation.
///
/// # Errors
/// A device that has gone away.
pub(super) fn report(device: &EngineDevice, faults: Faults, sink: &mut Sink<'_>) -> Result<(), EngineError> {
    let Some(setup) = &device.setup else {
        sink.not_run("kernels", "the CPU runs the reference implementations themselves");
        return Ok(());
    };
    let cases = kernel_cases(device, &faults.kernels(setup))?;
    for kernel in ["moments", "histogram", "tiles", "rows", "channels"] {
        let wrong: Vec<&KernelCase> = cases.iter().filter(|case| case.wrong().contains(&kernel)).collect();
        let found = match wrong.first() {
            None => format!("equals its reference implementation on {} tensors", cases.len()),
            Some(first) => format!("wrong on {} of {} tensors; {first}", wrong.len(), cases.len()),
        };
        sink.check(format!("kernel {kernel}"), wrong.is_empty(), found);
    }
    Ok(())
}

/// Many kinds of tensors, reduced by all kernels and by their reference implementations, in one transfer.
///
/// # Errors
/// A device that has gone away.
pub fn kernel_cases(device: &EngineDevice, taps: &GpuKernels) -> Result<Vec<KernelCase>, EngineError> {
    let put = |values: Vec<f32>| params::upload(values, &device.burn);
    let normal = |n: usize| Tensor::<1>::random([n], Distribution::Normal(0.1, 1.0), &device.burn);
    let mut bad: Vec<f32> = (0..40_000).map(|i| (i as f32).sin()).collect();
    for (place, value) in [
        (0, f32::NAN),
        (777, f32::INFINITY),
        (16_384, f32::NEG_INFINITY),
        (39_999, -f32::NAN),
        (20_000, f32::from_bits(0x7f80_0001)),
    ] {
        bad[place] = value;
    }
    let grid = Tensor::<3>::random([20, 30, 50], Distribution::Normal(-3.0, 0.5), &device.burn);
    let four = grid.clone().reshape([4, 5, 30, 50]);
    let chain = (normal(70_000) * 3.0 + 1.0).exp();
    let shares = activation::softmax(normal(4 * 40 * 40).reshape([4, 40, 40]) * 3.0, 2);
    let mut torn = read(shares.clone().reshape([6400]))?;
    (0..40).for_each(|i| torn[i * 130] = f32::NAN);
    let mut list = Cases::default();
    list.add("normal numbers", normal(100_000))?;
    list.add("one workgroup to the last element", normal(16_384))?;
    list.add("one element more", normal(16_385))?;
    list.add("a single element", put(vec![-2.5]))?;
    list.add("no element", put(vec![]))?;
    list.add("zeros of both signs", put(vec![0.0, -0.0, 0.0]))?;
    list.add("the largest floats", put([f32::MAX, f32::MIN, 3e38, 1e30].repeat(9000)))?;
    list.add("the smallest floats", put([f32::MIN_POSITIVE, -f32::MIN_POSITIVE, 1e-30, 3e-25].repeat(9000)))?;
    list.add(
        "all magnitudes",
        put((0..50_000).map(|i| ((i % 251) as f32 - 125.0).exp2() * (i as f32).cos()).collect()),
    )?;
    list.add("a small spread far from zero", put((0..90_000).map(|i| 1000.0 + (i as f32).sin()).collect()))?;
    list.add("NaN and infinities", put(bad.clone()))?;
    list.add("NaN and infinities in a matrix", put(bad).reshape([200, 200]))?;
    list.add("nothing but NaN", put(vec![f32::NAN; 300]).reshape([20, 15]))?;
    list.add("a fused chain", chain)?;
    list.add("a long matrix", normal(131_072).reshape([2048, 64]))?;
    list.add("a single column", normal(5000).reshape([5000, 1]))?;
    list.add("shares of attention", shares.clone())?;
    list.add("a part of a pattern, transposed", shares.slice([1..3, 5..40, 0..33]).swap_dims(1, 2))?;
    list.add("shares with holes", put(torn).reshape([160, 40]))?;
    list.add("shares in one place", Tensor::<2>::eye(70, &device.burn))?;
    list.add("a transposed matrix", grid.clone().slice_dim(0, 3..4).squeeze_dim::<2>(0).transpose())?;
    list.add("permuted axes", grid.clone().permute([2, 0, 1]))?;
    list.add("an even slice", grid.clone().slice([2..18, 0..30, 0..50]))?;
    list.add("an odd slice", grid.slice([1..19, 3..29, 7..44]))?;
    list.add("four axes, permuted and sliced", four.permute([3, 1, 0, 2]).slice([5..45, 1..4, 0..3, 2..29]))?;
    list.add("five axes", normal(720).reshape([2, 3, 4, 5, 6]).permute([4, 3, 2, 1, 0]))?;
    list.add("a broadcast vector", normal(64).reshape([1, 64]).expand([500, 64]))?;
    let all = Reductions {
        tiles: list.taps.iter().cloned().zip(list.grids.iter().copied()).collect(),
        moments: list.taps.clone(),
        histograms: list.taps.clone(),
        rows: list.taps.clone(),
        channels: list.taps,
    };
    let found = taps.start(&all)?.wait()?;
    let case = |(place, (name, host)): (usize, (&'static str, Vec<f32>))| {
        let (width, grid) = (list.widths[place], list.grids[place]);
        let reference = ReductionResults {
            moments: vec![moments(&host)],
            histograms: vec![reduce::histogram(&host)],
            tiles: vec![reduce::tiles(&host, width, grid)],
            rows: vec![reduce::rows(&host, width)],
            channels: vec![reduce::channels(&host, width)],
        };
        let kernel = ReductionResults {
            moments: vec![found.moments[place]],
            histograms: vec![found.histograms[place].clone()],
            tiles: vec![found.tiles[place].clone()],
            rows: vec![found.rows[place].clone()],
            channels: vec![found.channels[place].clone()],
        };
        KernelCase { name: name.to_owned(), kernel, reference }
    };
    Ok(list.names.into_iter().zip(list.hosts).enumerate().map(case).collect())
}

#[derive(Default)]
struct Cases {
    names: Vec<&'static str>,
    taps: Vec<GpuTensor>,
    /// Length of the last dimension.
    widths: Vec<usize>,
    grids: Vec<Grid>,
    hosts: Vec<Vec<f32>>,
}

impl Cases {
    fn add<const D: usize>(&mut self, name: &'static str, tensor: Tensor<D>) -> Result<(), EngineError> {
        let dims = tensor.dims();
        // Tapped, more than four dimensions become one.
        let width = if D > 4 { dims.iter().product() } else { dims[D - 1] };
        let rows = dims.iter().product::<usize>() / width.max(1);
        self.names.push(name);
        self.widths.push(width);
        self.grids.push(odd_part(rows, width));
        self.taps.push(GpuTensor::new(tensor.clone())?);
        let data: TensorData = tensor.try_into_data().map_err(|source| EngineError::read_back(source.to_string()))?;
        self.hosts.push(data.try_to_vec::<f32>().map_err(|source| EngineError::read_back(source.to_string()))?);
        Ok(())
    }
}

/// A part of a matrix that no tile divides evenly, where it is large enough to have one.
fn odd_part(rows: usize, columns: usize) -> Grid {
    let (row, column) = (rows / 7, columns / 5);
    let (rows, columns) = (rows - row - rows / 11, columns - column - columns / 13);
    Grid { row, column, rows, columns, tile_rows: rows.min(7), tile_columns: columns.min(9) }
}
