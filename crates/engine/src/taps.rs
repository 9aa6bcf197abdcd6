//! Our own kernels on burn's GPU: where a tensor's numbers lie, one command buffer for all tensors of a look, one read-back that
//! nobody waits for. The kernels themselves are in `shaders`; what becomes of the answers is [`crate::gpu_stats`]'s.

use std::sync::mpsc::{Receiver, TryRecvError, channel};

use burn::backend::Cube;
use burn::tensor::wgpu::{WgpuSetup, wgpu};
use burn::tensor::{DType, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::wgpu::{AutoCompiler, WgpuServer};
use burn_cubecl::tensor::CubeTensor;
use bytemuck::{Pod, Zeroable};
use wire::frame::Moments;

use crate::error::EngineError;

/// A float tensor on the GPU: its buffer, shape and strides. Nothing is copied; what fusion still owes of it is put in the queue.
pub struct Tap(CubeTensor);

impl Tap {
    /// Taps a tensor of any rank; beyond four dimensions it is flattened first.
    ///
    /// # Errors
    /// A tensor of another device, or not of 32-bit floats.
    pub fn new<const D: usize>(tensor: Tensor<D>) -> Result<Self, EngineError> {
        if D > 4 {
            return Tap::new::<1>(tensor.flatten(0, D - 1));
        }
        let lazy = tensor.inner().try_into_primitive::<Cube>().map_err(|source| unreadable(&format!("{source:?}")))?;
        let client = lazy.client.clone();
        let held = client.resolve_tensor_float::<CubeBackend>(lazy);
        if held.dtype == DType::F32 {
            Ok(Self(held))
        } else {
            Err(unreadable(&format!("{:?} where 32-bit floats are read", held.dtype)))
        }
    }

    fn len(&self) -> usize {
        self.0.meta.shape().iter().product()
    }
}

/// The pipelines, on the device that burn uses.
pub struct Taps {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipeline: wgpu::ComputePipeline,
}

/// Moments under way from the device.
pub struct Reading {
    device: wgpu::Device,
    staging: Option<wgpu::Buffer>,
    mapped: Receiver<Result<(), wgpu::BufferAsyncError>>,
    submission: Option<wgpu::SubmissionIndex>,
    /// Partials of each tensor.
    counts: Vec<usize>,
}

/// `Tap` of `moments.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Place {
    count: u32,
    first_partial: u32,
    is_flat: u32,
    unused: u32,
    shape: [u32; 4],
    strides: [u32; 4],
}

/// `Partial` of `moments.wgsl`. Sums are scaled by 2^75, 1 and 2^-75.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Partial {
    sums: [f32; 3],
    squares: [f32; 3],
    least: u32,
    greatest: u32,
    count: u32,
    bad: u32,
}

/// Uniforms start at multiples of this on every device (WebGPU's default limit).
const UNIFORM_STRIDE: usize = 256;
/// Workgroups in one dimension of a dispatch (WebGPU's default limit).
const ROW: u32 = 65_535;

impl Taps {
    /// Compiles the kernels for the device.
    pub fn new(setup: &WgpuSetup) -> Self {
        let device = setup.device.clone();
        let kernel = shaders::MOMENTS;
        let source = wgpu::ShaderSource::Wgsl(kernel.source.into());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(kernel.name), source });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel.name),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        });
        Self { pipeline, queue: setup.queue.clone(), device }
    }

    /// Starts the moments of each tensor and returns at once. Work that is in the queue already comes first, later work after.
    ///
    /// # Errors
    /// A buffer that burn does not give, a queue that is gone.
    pub fn moments(&self, taps: &[Tap]) -> Result<Reading, EngineError> {
        let counts: Vec<usize> =
            taps.iter().map(|tap| tap.len().div_ceil(shaders::MOMENTS.elements_per_workgroup as usize)).collect();
        let total: usize = counts.iter().sum();
        let (send, mapped) = channel();
        let mut reading = Reading { device: self.device.clone(), staging: None, mapped, submission: None, counts };
        if total == 0 {
            return Ok(reading);
        }
        // While a resource is held, burn gives its memory to nobody else; after the submit the queue's order sees to that.
        let held: Vec<_> = taps
            .iter()
            .map(|tap| tap.0.client.get_resource::<WgpuServer<AutoCompiler>>(tap.0.handle.clone()))
            .collect::<Result<_, _>>()
            .map_err(|source| unreadable(&source))?;
        for tap in taps {
            tap.0.client.flush().map_err(|source| unreadable(&source))?;
        }
        let places = self
            .buffer((taps.len() * UNIFORM_STRIDE) as u64, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST);
        self.queue.write_buffer(&places, 0, &packed(taps, &reading.counts));
        let bytes = (total * size_of::<Partial>()) as u64;
        let partials = self.buffer(bytes, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
        let staging = self.buffer(bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("look") });
        {
            let mut pass = encoder
                .begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("moments"), timestamp_writes: None });
            pass.set_pipeline(&self.pipeline);
            for (index, (resource, &groups)) in
                held.iter().zip(&reading.counts).enumerate().filter(|(_, (_, groups))| **groups > 0)
            {
                let place = wgpu::BufferBinding {
                    buffer: &places,
                    offset: (index * UNIFORM_STRIDE) as u64,
                    size: wgpu::BufferSize::new(size_of::<Place>() as u64),
                };
                let entries = [
                    resource.resource().as_wgpu_bind_resource(),
                    partials.as_entire_binding(),
                    wgpu::BindingResource::Buffer(place),
                ];
                pass.set_bind_group(0, &self.bind(entries), &[]);
                let groups = groups as u32;
                pass.dispatch_workgroups(groups.min(ROW), groups.div_ceil(ROW), 1);
            }
        }
        encoder.copy_buffer_to_buffer(&partials, 0, &staging, 0, bytes);
        reading.submission = Some(self.queue.submit([encoder.finish()]));
        staging.slice(..).map_async(wgpu::MapMode::Read, move |result| {
            // The receiver is gone only when nobody wants the answer any more.
            let _ = send.send(result);
        });
        reading.staging = Some(staging);
        Ok(reading)
    }

    fn buffer(&self, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("look"),
            size,
            usage,
            mapped_at_creation: false,
        })
    }

    fn bind(&self, resources: [wgpu::BindingResource<'_>; 3]) -> wgpu::BindGroup {
        let entries: Vec<_> =
            (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("look"),
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    }
}

impl Reading {
    /// The moments of each tensor, where they have arrived. Never waits.
    ///
    /// # Errors
    /// A device that has gone away.
    pub fn arrived(&self) -> Result<Option<Vec<Moments>>, EngineError> {
        self.device.poll(wgpu::PollType::Poll).map_err(|source| unreadable(&source))?;
        self.take()
    }

    /// The moments of each tensor, once the device has come this far in its queue. Later work goes on meanwhile.
    ///
    /// # Errors
    /// A device that has gone away.
    pub fn wait(&self) -> Result<Vec<Moments>, EngineError> {
        if let Some(submission) = &self.submission {
            self.device
                .poll(wgpu::PollType::Wait { submission_index: Some(submission.clone()), timeout: None })
                .map_err(|source| unreadable(&source))?;
        }
        self.take()?.ok_or_else(|| unreadable(&"the device finished a look and gave no answer"))
    }

    fn take(&self) -> Result<Option<Vec<Moments>>, EngineError> {
        let Some(staging) = &self.staging else { return Ok(Some(vec![Moments::default(); self.counts.len()])) };
        match self.mapped.try_recv() {
            Err(TryRecvError::Empty) => return Ok(None),
            Err(gone) => return Err(unreadable(&gone)),
            Ok(result) => result.map_err(|source| unreadable(&source))?,
        }
        let range = staging.slice(..).get_mapped_range().map_err(|source| unreadable(&source))?;
        let partials: &[Partial] = bytemuck::cast_slice(&range);
        let mut rest = partials;
        let moments = self.counts.iter().map(|count| {
            let (mine, others) = rest.split_at(*count);
            rest = others;
            combined(mine)
        });
        Ok(Some(moments.collect()))
    }
}

/// Where each tensor's numbers and partials lie, at the strides of uniforms.
fn packed(taps: &[Tap], counts: &[usize]) -> Vec<u8> {
    let mut bytes = vec![0u8; taps.len() * UNIFORM_STRIDE];
    let mut first = 0usize;
    for ((tap, count), slot) in taps.iter().zip(counts).zip(bytes.chunks_exact_mut(UNIFORM_STRIDE)) {
        let place = Place::new(tap, first);
        slot[..size_of::<Place>()].copy_from_slice(bytemuck::bytes_of(&place));
        first += count;
    }
    bytes
}

impl Place {
    fn new(tap: &Tap, first_partial: usize) -> Self {
        let (shape, strides) = (tap.0.meta.shape(), tap.0.meta.strides());
        let front = 4 - shape.len();
        let (mut shape4, mut strides4) = ([1u32; 4], [0u32; 4]);
        let mut flat_stride = 1usize;
        let mut is_flat = true;
        for d in (0..shape.len()).rev() {
            (shape4[front + d], strides4[front + d]) = (shape[d] as u32, strides[d] as u32);
            is_flat &= shape[d] == 1 || strides[d] == flat_stride;
            flat_stride *= shape[d];
        }
        Self {
            count: tap.len() as u32,
            first_partial: first_partial as u32,
            is_flat: is_flat.into(),
            unused: 0,
            shape: shape4,
            strides: strides4,
        }
    }
}

/// Partials of one tensor, unscaled and added in 64 bits.
fn combined(partials: &[Partial]) -> Moments {
    let scale = 2f64.powi(75);
    let add = |of: fn(&Partial) -> [f32; 3], small: f64, large: f64| {
        partials.iter().map(of).map(|[s, m, l]| f64::from(s) * small + f64::from(m) + f64::from(l) * large).sum::<f64>()
    };
    let (count, bad) = partials
        .iter()
        .fold((0u64, 0u64), |(count, bad), part| (count + u64::from(part.count), bad + u64::from(part.bad)));
    if count == 0 {
        return Moments { bad, ..Moments::default() };
    }
    let (sum, squares) =
        (add(|part| part.sums, 1.0 / scale, scale), add(|part| part.squares, 1.0 / (scale * scale), scale * scale));
    let least = partials.iter().map(|part| part.least).min().unwrap_or_default();
    let greatest = partials.iter().map(|part| part.greatest).max().unwrap_or_default();
    let n = count as f64;
    Moments { count, bad, mean: sum / n, rms: (squares / n).sqrt(), min: float(least), max: float(greatest) }
}

/// The float of an ordered word.
fn float(ordered: u32) -> f64 {
    let bits = if ordered >> 31 == 1 { ordered & 0x7fff_ffff } else { !ordered };
    f64::from(f32::from_bits(bits))
}

fn unreadable(source: &dyn std::fmt::Display) -> EngineError {
    EngineError::ReadBack { message: source.to_string() }
}
