//! The WGSL kernels compared with their reference implementations, on many kinds of tensors: contiguous, sliced, transposed, broadcast, empty,
//! and with extreme or non-finite values.

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
    /// Kind of the tensor.
    pub name: String,
    /// Results of the kernels, on the device.
    pub kernel: ReductionResults,
    /// Results of the reference implementations, on the host.
    pub reference: ReductionResults,
}

impl KernelCase {
    /// The kernels that differ from their reference implementations. Counts and extrema must be equal; means and rms agree to 1e-6 of the
    /// largest value, entropies of probabilities to 1e-5; subnormal values may be flushed to zero.
    pub fn differing(&self) -> Vec<&'static str> {
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
            let is_probability = b.min >= 0.0 && b.max <= 1.0;
            (a.min, a.max, a.non_finite) == (b.min, b.max, b.non_finite)
                && (!is_probability || (a.entropy - b.entropy).abs() <= 1e-5 * (1.0 + b.entropy))
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

    /// Whether all kernels agree with their reference implementations.
    pub fn is_same(&self) -> bool {
        self.differing().is_empty()
    }
}

/// The pairs of elements of two lists of lists; `None` if their lengths differ.
fn pairs<'a, T>(a: &'a [Vec<T>], b: &'a [Vec<T>]) -> Option<impl Iterator<Item = (&'a T, &'a T)>> {
    let fits = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.len() == b.len());
    fits.then(|| a.iter().flatten().zip(b.iter().flatten()))
}

impl std::fmt::Display for KernelCase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (a, b) = (&self.kernel, &self.reference);
        write!(f, "{} of {}:", self.differing().join(", "), self.name)?;
        write!(f, " kernel {:?} {:?}, reference {:?} {:?}", a.moments, a.histograms, b.moments, b.histograms)?;
        for (kernel, reference) in [
            first_difference(&a.tiles, &b.tiles),
            first_difference(&a.rows, &b.rows),
            first_difference(&a.channels, &b.channels),
        ]
        .into_iter()
        .flatten()
        {
            write!(f, "; kernel {kernel}, reference {reference}")?;
        }
        Ok(())
    }
}

/// The first two elements that differ.
fn first_difference<T: PartialEq + std::fmt::Debug>(a: &[Vec<T>], b: &[Vec<T>]) -> Option<(String, String)> {
    let (a, b) = a.iter().flatten().zip(b.iter().flatten()).find(|(a, b)| a != b)?;
    Some((format!("{a:?}"), format!("{b:?}")))
}

/// Compares each kernel with its reference implementation.
///
/// # Errors
/// The device was lost.
pub(super) fn report(device: &EngineDevice, faults: Faults, sink: &mut Sink<'_>) -> Result<(), EngineError> {
    let Some(setup) = &device.setup else {
        sink.not_run("kernels", "not needed: the CPU uses the reference implementations");
        return Ok(());
    };
    let cases = kernel_cases(device, &faults.kernels(setup))?;
    for kernel in ["moments", "histogram", "tiles", "rows", "channels"] {
        let differing: Vec<&KernelCase> = cases.iter().filter(|case| case.differing().contains(&kernel)).collect();
        let found = match differing.first() {
            None => format!("equals its reference implementation on {} tensors", cases.len()),
            Some(first) => format!("differs on {} of {} tensors; {first}", differing.len(), cases.len()),
        };
        sink.check(format!("kernel {kernel}"), differing.is_empty(), found);
    }
    Ok(())
}

/// Reduces many kinds of tensors with all kernels, in one transfer, and with their reference implementations.
///
/// # Errors
/// The device was lost.
pub fn kernel_cases(device: &EngineDevice, kernels: &GpuKernels) -> Result<Vec<KernelCase>, EngineError> {
    let upload = |values: Vec<f32>| params::upload(values, &device.burn);
    let normal = |n: usize| Tensor::<1>::random([n], Distribution::Normal(0.1, 1.0), &device.burn);
    let mut non_finite: Vec<f32> = (0..40_000).map(|i| (i as f32).sin()).collect();
    for (index, value) in [
        (0, f32::NAN),
        (777, f32::INFINITY),
        (16_384, f32::NEG_INFINITY),
        (39_999, -f32::NAN),
        (20_000, f32::from_bits(0x7f80_0001)),
    ] {
        non_finite[index] = value;
    }
    let grid = Tensor::<3>::random([20, 30, 50], Distribution::Normal(-3.0, 0.5), &device.burn);
    let four = grid.clone().reshape([4, 5, 30, 50]);
    let chain = (normal(70_000) * 3.0 + 1.0).exp();
    let probabilities = activation::softmax(normal(4 * 40 * 40).reshape([4, 40, 40]) * 3.0, 2);
    let mut with_nans = read(probabilities.clone().reshape([6400]))?;
    (0..40).for_each(|i| with_nans[i * 130] = f32::NAN);
    let mut list = Cases::default();
    list.add("normal numbers", normal(100_000))?;
    list.add("one workgroup to the last element", normal(16_384))?;
    list.add("one element more", normal(16_385))?;
    list.add("a single element", upload(vec![-2.5]))?;
    list.add("no element", upload(vec![]))?;
    list.add("zeros of both signs", upload(vec![0.0, -0.0, 0.0]))?;
    list.add("the largest floats", upload([f32::MAX, f32::MIN, 3e38, 1e30].repeat(9000)))?;
    list.add("the smallest floats", upload([f32::MIN_POSITIVE, -f32::MIN_POSITIVE, 1e-30, 3e-25].repeat(9000)))?;
    list.add(
        "all magnitudes",
        upload((0..50_000).map(|i| ((i % 251) as f32 - 125.0).exp2() * (i as f32).cos()).collect()),
    )?;
    list.add("a small spread far from zero", upload((0..90_000).map(|i| 1000.0 + (i as f32).sin()).collect()))?;
    list.add("NaN and infinities", upload(non_finite.clone()))?;
    list.add("NaN and infinities in a matrix", upload(non_finite).reshape([200, 200]))?;
    list.add("nothing but NaN", upload(vec![f32::NAN; 300]).reshape([20, 15]))?;
    list.add("a fused chain", chain)?;
    list.add("a long matrix", normal(131_072).reshape([2048, 64]))?;
    list.add("a single column", normal(5000).reshape([5000, 1]))?;
    list.add("attention probabilities", probabilities.clone())?;
    list.add("a part of an attention pattern, transposed", probabilities.slice([1..3, 5..40, 0..33]).swap_dims(1, 2))?;
    list.add("probabilities with NaN", upload(with_nans).reshape([160, 40]))?;
    list.add("one-hot probabilities", Tensor::<2>::eye(70, &device.burn))?;
    list.add("a transposed matrix", grid.clone().slice_dim(0, 3..4).squeeze_dim::<2>(0).transpose())?;
    list.add("permuted axes", grid.clone().permute([2, 0, 1]))?;
    list.add("an even slice", grid.clone().slice([2..18, 0..30, 0..50]))?;
    list.add("an odd slice", grid.slice([1..19, 3..29, 7..44]))?;
    list.add("four axes, permuted and sliced", four.permute([3, 1, 0, 2]).slice([5..45, 1..4, 0..3, 2..29]))?;
    list.add("five axes", normal(720).reshape([2, 3, 4, 5, 6]).permute([4, 3, 2, 1, 0]))?;
    list.add("a broadcast vector", normal(64).reshape([1, 64]).expand([500, 64]))?;
    let all = Reductions {
        tiles: list.tensors.iter().cloned().zip(list.grids.iter().copied()).collect(),
        moments: list.tensors.clone(),
        histograms: list.tensors.clone(),
        rows: list.tensors.clone(),
        channels: list.tensors,
    };
    let found = kernels.start(&all)?.wait()?;
    let case = |(index, (name, host)): (usize, (&'static str, Vec<f32>))| {
        let (width, grid) = (list.widths[index], list.grids[index]);
        let reference = ReductionResults {
            moments: vec![moments(&host)],
            histograms: vec![reduce::histogram(&host)],
            tiles: vec![reduce::tiles(&host, width, grid)],
            rows: vec![reduce::rows(&host, width)],
            channels: vec![reduce::channels(&host, width)],
        };
        let kernel = ReductionResults {
            moments: vec![found.moments[index]],
            histograms: vec![found.histograms[index].clone()],
            tiles: vec![found.tiles[index].clone()],
            rows: vec![found.rows[index].clone()],
            channels: vec![found.channels[index].clone()],
        };
        KernelCase { name: name.to_owned(), kernel, reference }
    };
    Ok(list.names.into_iter().zip(list.hosts).enumerate().map(case).collect())
}

#[derive(Default)]
struct Cases {
    names: Vec<&'static str>,
    tensors: Vec<GpuTensor>,
    /// Length of the last dimension.
    widths: Vec<usize>,
    grids: Vec<Grid>,
    hosts: Vec<Vec<f32>>,
}

impl Cases {
    fn add<const D: usize>(&mut self, name: &'static str, tensor: Tensor<D>) -> Result<(), EngineError> {
        let dims = tensor.dims();
        // `GpuTensor::new` flattens a tensor of more than four dimensions.
        let width = if D > 4 { dims.iter().product() } else { dims[D - 1] };
        let rows = dims.iter().product::<usize>() / width.max(1);
        self.names.push(name);
        self.widths.push(width);
        self.grids.push(odd_part(rows, width));
        self.tensors.push(GpuTensor::new(tensor.clone())?);
        let data: TensorData = tensor.try_into_data().map_err(|source| EngineError::read_back(source.to_string()))?;
        self.hosts.push(data.try_to_vec::<f32>().map_err(|source| EngineError::read_back(source.to_string()))?);
        Ok(())
    }
}

/// A part of a matrix that tiles do not divide evenly, if the matrix is large enough.
fn odd_part(rows: usize, columns: usize) -> Grid {
    let (row, column) = (rows / 7, columns / 5);
    let (rows, columns) = (rows - row - rows / 11, columns - column - columns / 13);
    Grid { row, column, rows, columns, tile_rows: rows.min(7), tile_columns: columns.min(9) }
}
