//! The WGSL kernels on burn's GPU: access to the buffer of a tensor, one command buffer for all reductions of an inspection, and a read-back
//! that does not block. The kernels are in `shaders`, requests and results in [`crate::kernels::reduce`], and the reading of output words in
//! `results`. Training statistics use it through [`crate::optim::gpu_stats`], inspections through [`crate::inspect`].

use std::sync::mpsc::{Receiver, TryRecvError, channel};

use burn::backend::Cube;
use burn::tensor::wgpu::{WgpuSetup, wgpu};
use burn::tensor::{DType, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::wgpu::{AutoCompiler, WgpuServer};
use burn_cubecl::tensor::CubeTensor;
use bytemuck::{Pod, Zeroable};
use shaders::{CHANNELS, HISTOGRAM, KERNELS, Kernel, MOMENTS, ROWS, TILES};

use crate::error::EngineError;
use crate::kernels::reduce::{Grid, ReductionResults, Reductions};

pub(crate) mod activation;
pub(crate) mod adamw;
pub(crate) mod attention;
pub(crate) mod head;
pub(crate) mod norm;
mod operator;
mod results;
mod rows;

/// A float tensor on the GPU: its buffer, shape and strides. Nothing is copied; pending fused operators are added to the GPU queue.
#[derive(Clone)]
pub struct GpuTensor(CubeTensor);

impl GpuTensor {
    /// Takes the buffer of a tensor of any rank. A tensor of more than four dimensions is flattened first.
    ///
    /// # Errors
    /// The tensor is on another device, or its type is not f32.
    pub fn new<const D: usize>(tensor: Tensor<D>) -> Result<Self, EngineError> {
        if D > 4 {
            return GpuTensor::new::<1>(tensor.flatten(0, D - 1));
        }
        let lazy = tensor.inner().try_into_primitive::<Cube>().map_err(|source| unreadable(&format!("{source:?}")))?;
        let client = lazy.client.clone();
        let tensor = client.resolve_tensor_float::<CubeBackend>(lazy);
        if tensor.dtype == DType::F32 {
            Ok(Self(tensor))
        } else {
            Err(unreadable(&format!("the tensor is {:?}, and the kernels read 32-bit floats", tensor.dtype)))
        }
    }

    /// The compute client of burn's runtime for the tensor's device.
    pub(crate) fn client(&self) -> Client {
        self.0.client.clone()
    }

    fn len(&self) -> usize {
        self.0.meta.shape().iter().product()
    }

    /// Length of the last dimension.
    fn width(&self) -> usize {
        self.0.meta.shape().iter().last().copied().unwrap_or(1)
    }
}

/// The compiled kernels, on the device that burn uses.
pub struct GpuKernels {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// In the order of [`KERNELS`].
    pipelines: Vec<wgpu::ComputePipeline>,
}

/// Results that the device has not returned yet.
pub struct PendingResults {
    device: wgpu::Device,
    staging: Option<wgpu::Buffer>,
    mapped: Receiver<Result<(), wgpu::BufferAsyncError>>,
    submission: Option<wgpu::SubmissionIndex>,
    spans: Reductions<Span>,
}

/// Range of a kernel's output in the transfer buffer.
#[derive(Debug, Clone, Copy)]
struct Span {
    first_word: usize,
    words: usize,
    /// Columns of the tensor.
    width: usize,
}

/// `TensorLayout` of `tensor.wgsl`; only `tiles.wgsl` reads `window` and `grid`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct TensorLayout {
    count: u32,
    first_partial: u32,
    is_flat: u32,
    unused: u32,
    shape: [u32; 4],
    strides: [u32; 4],
    window: [u32; 4],
    grid: [u32; 4],
}

/// Alignment of uniform and storage offsets, bytes (WebGPU's default limits).
const ALIGNMENT: usize = 256;
/// Maximum workgroups in one dimension of a dispatch (WebGPU's default limit).
const MAX_WORKGROUPS: u32 = 65_535;
/// Columns that a workgroup of `channels.wgsl` reduces.
const CHANNELS_PER_WORKGROUP: usize = 64;

/// One launch of a kernel on one tensor.
struct Job<'a> {
    kernel: usize,
    tensor: &'a GpuTensor,
    layout: TensorLayout,
    groups: usize,
    span: Span,
}

/// The launches of an inspection, with the size of their results.
#[derive(Default)]
struct Launches<'a> {
    jobs: Vec<Job<'a>>,
    words: usize,
}

impl<'a> Launches<'a> {
    fn job(&mut self, kernel: Kernel, tensor: &'a GpuTensor, grid: Option<Grid>) -> Span {
        let (len, width) = (tensor.len(), tensor.width());
        let (groups, words) = match (kernel, grid) {
            _ if len == 0 => (0, 0),
            (MOMENTS, _) => sized(len.div_ceil(kernel.elements_per_workgroup as usize), results::MOMENTS_WORDS),
            (HISTOGRAM, _) => sized(len.div_ceil(kernel.elements_per_workgroup as usize), results::HISTOGRAM_WORDS),
            (ROWS, _) => sized(len / width, results::ROW_WORDS),
            (CHANNELS, _) => (width.div_ceil(CHANNELS_PER_WORKGROUP), width * results::CHANNEL_WORDS),
            (_, grid) => sized(grid.map_or(0, |grid| grid.len()), results::TILE_WORDS),
        };
        let span = Span { first_word: self.words, words, width };
        // The words of each job are a separate binding, so they start at a multiple of the offset alignment.
        self.words += words.next_multiple_of(ALIGNMENT / size_of::<u32>());
        let kernel = KERNELS.iter().position(|known| *known == kernel).unwrap_or_default();
        self.jobs.push(Job { kernel, tensor, layout: TensorLayout::new(tensor, grid), groups, span });
        span
    }
}

fn sized(groups: usize, words_each: usize) -> (usize, usize) {
    (groups, groups * words_each)
}

impl GpuKernels {
    /// Compiles the kernels for the device.
    pub fn new(setup: &WgpuSetup) -> Self {
        Self::with_sources(setup, &|kernel| kernel.source.to_owned())
    }

    /// Compiles modified kernel sources; tests use it to inject an error.
    pub(crate) fn with_sources(setup: &WgpuSetup, source: &dyn Fn(&Kernel) -> String) -> Self {
        let device = setup.device.clone();
        let compile = |kernel: &Kernel| {
            let source = wgpu::ShaderSource::Wgsl(source(kernel).into());
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(kernel.name), source });
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(kernel.name),
                layout: None,
                module: &module,
                entry_point: Some("main"),
                compilation_options: Default::default(),
                cache: None,
            })
        };
        Self { pipelines: KERNELS.iter().map(compile).collect(), queue: setup.queue.clone(), device }
    }

    /// Starts all reductions without waiting: one command buffer, one transfer. Work that is already in the GPU queue runs before them, later
    /// work after them.
    ///
    /// # Errors
    /// burn returned no buffer, or the device was lost.
    pub fn start<'w>(&self, reductions: &'w Reductions<GpuTensor>) -> Result<PendingResults, EngineError> {
        let mut launches = Launches::default();
        let all = |launches: &mut Launches<'w>, kernel, tensors: &'w [GpuTensor]| -> Vec<Span> {
            tensors.iter().map(|tensor| launches.job(kernel, tensor, None)).collect()
        };
        let spans = Reductions {
            moments: all(&mut launches, MOMENTS, &reductions.moments),
            histograms: all(&mut launches, HISTOGRAM, &reductions.histograms),
            rows: all(&mut launches, ROWS, &reductions.rows),
            channels: all(&mut launches, CHANNELS, &reductions.channels),
            tiles: reductions
                .tiles
                .iter()
                .map(|(tensor, grid)| (launches.job(TILES, tensor, Some(*grid)), *grid))
                .collect(),
        };
        let (send, mapped) = channel();
        let mut pending =
            PendingResults { device: self.device.clone(), staging: None, mapped, submission: None, spans };
        launches.jobs.retain(|job| job.groups > 0);
        if launches.jobs.is_empty() {
            return Ok(pending);
        }
        // burn does not reuse the memory of these resources while they exist; after the submit, the order of the queue guarantees the same.
        let resources: Vec<_> = launches
            .jobs
            .iter()
            .map(|job| job.tensor.0.client.get_resource::<WgpuServer<AutoCompiler>>(job.tensor.0.handle.clone()))
            .collect::<Result<_, _>>()
            .map_err(|source| unreadable(&source))?;
        for job in &launches.jobs {
            job.tensor.0.client.flush().map_err(|source| unreadable(&source))?;
        }
        let layouts = self.buffer(
            (launches.jobs.len() * ALIGNMENT) as u64,
            wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        );
        self.queue.write_buffer(&layouts, 0, &packed(&launches.jobs));
        let bytes = (launches.words * size_of::<u32>()) as u64;
        let outputs = self.buffer(bytes, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
        let staging = self.buffer(bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let mut encoder =
            self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("inspection") });
        {
            let mut pass = encoder
                .begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("inspection"), timestamp_writes: None });
            for (index, (resource, job)) in resources.iter().zip(&launches.jobs).enumerate() {
                let entries = [
                    resource.resource().as_wgpu_bind_resource(),
                    part(&outputs, job.span.first_word * size_of::<u32>(), job.span.words * size_of::<u32>()),
                    part(&layouts, index * ALIGNMENT, size_of::<TensorLayout>()),
                ];
                let pipeline = &self.pipelines[job.kernel];
                pass.set_pipeline(pipeline);
                pass.set_bind_group(0, &self.bind(pipeline, entries), &[]);
                let groups = job.groups as u32;
                pass.dispatch_workgroups(groups.min(MAX_WORKGROUPS), groups.div_ceil(MAX_WORKGROUPS), 1);
            }
        }
        encoder.copy_buffer_to_buffer(&outputs, 0, &staging, 0, bytes);
        pending.submission = Some(self.queue.submit([encoder.finish()]));
        staging.slice(..).map_async(wgpu::MapMode::Read, move |result| {
            // Sending fails only if the results are no longer needed.
            let _ = send.send(result);
        });
        pending.staging = Some(staging);
        Ok(pending)
    }

    fn buffer(&self, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("inspection"),
            size,
            usage,
            mapped_at_creation: false,
        })
    }

    fn bind(&self, pipeline: &wgpu::ComputePipeline, resources: [wgpu::BindingResource<'_>; 3]) -> wgpu::BindGroup {
        let entries: Vec<_> =
            (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("inspection"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    }
}

fn part(buffer: &wgpu::Buffer, offset: usize, bytes: usize) -> wgpu::BindingResource<'_> {
    let size = wgpu::BufferSize::new(bytes as u64);
    wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: offset as u64, size })
}

impl PendingResults {
    /// The results, or `None` while they have not arrived. Never waits.
    ///
    /// # Errors
    /// The device was lost.
    pub fn arrived(&self) -> Result<Option<ReductionResults>, EngineError> {
        self.device.poll(wgpu::PollType::Poll).map_err(|source| unreadable(&source))?;
        self.take()
    }

    /// Waits for the results. The device continues with later work.
    ///
    /// # Errors
    /// The device was lost.
    pub fn wait(&self) -> Result<ReductionResults, EngineError> {
        if let Some(submission) = &self.submission {
            self.device
                .poll(wgpu::PollType::Wait { submission_index: Some(submission.clone()), timeout: None })
                .map_err(|source| unreadable(&source))?;
        }
        self.take()?.ok_or_else(|| unreadable(&"the device finished the reductions and returned no results"))
    }

    fn take(&self) -> Result<Option<ReductionResults>, EngineError> {
        let Some(staging) = &self.staging else { return Ok(Some(results::read(&[], &self.spans))) };
        match self.mapped.try_recv() {
            Err(TryRecvError::Empty) => return Ok(None),
            Err(closed) => return Err(unreadable(&closed)),
            Ok(result) => result.map_err(|source| unreadable(&source))?,
        }
        let range = staging.slice(..).get_mapped_range().map_err(|source| unreadable(&source))?;
        Ok(Some(results::read(bytemuck::cast_slice(&range), &self.spans)))
    }
}

/// The layouts of all tensors, each at a multiple of the uniform alignment.
fn packed(jobs: &[Job<'_>]) -> Vec<u8> {
    let mut bytes = vec![0u8; jobs.len() * ALIGNMENT];
    for (job, slot) in jobs.iter().zip(bytes.chunks_exact_mut(ALIGNMENT)) {
        slot[..size_of::<TensorLayout>()].copy_from_slice(bytemuck::bytes_of(&job.layout));
    }
    bytes
}

impl TensorLayout {
    fn new(tensor: &GpuTensor, grid: Option<Grid>) -> Self {
        let (shape, strides) = (tensor.0.meta.shape(), tensor.0.meta.strides());
        let front = 4 - shape.len();
        let (mut shape4, mut strides4) = ([1u32; 4], [0u32; 4]);
        let mut flat_stride = 1usize;
        let mut is_flat = true;
        for d in (0..shape.len()).rev() {
            (shape4[front + d], strides4[front + d]) = (shape[d] as u32, strides[d] as u32);
            is_flat &= shape[d] == 1 || strides[d] == flat_stride;
            flat_stride *= shape[d];
        }
        let words = |of: fn(Grid) -> [usize; 4]| grid.map_or([0; 4], |grid| of(grid).map(|word| word as u32));
        Self {
            count: tensor.len() as u32,
            first_partial: 0,
            is_flat: is_flat.into(),
            unused: 0,
            shape: shape4,
            strides: strides4,
            window: words(|grid| [grid.row, grid.column, grid.rows, grid.columns]),
            grid: words(|grid| [grid.tile_rows, grid.tile_columns, 0, 0]),
        }
    }
}

fn unreadable(source: &dyn std::fmt::Display) -> EngineError {
    EngineError::read_back(source.to_string())
}
