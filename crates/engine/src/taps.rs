//! Our own kernels on burn's GPU: where a tensor's numbers lie, one command buffer for all tensors of a look, one read-back that
//! nobody waits for. The kernels themselves are in `shaders`, what can be asked of them is in [`crate::reduce`], and how their words are read
//! is [`answers`]'s. Statistics of training come through [`crate::gpu_stats`], looks inside through [`crate::xray`].

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
use crate::reduce::{Answers, Grid, Wishes};

mod answers;

/// A float tensor on the GPU: its buffer, shape and strides. Nothing is copied; what fusion still owes of it is put in the queue.
#[derive(Clone)]
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

    /// The way to burn's runtime on the tensor's device.
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

/// The pipelines, on the device that burn uses.
pub struct Taps {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// In the order of [`KERNELS`].
    pipelines: Vec<wgpu::ComputePipeline>,
}

/// Answers under way from the device.
pub struct Reading {
    device: wgpu::Device,
    staging: Option<wgpu::Buffer>,
    mapped: Receiver<Result<(), wgpu::BufferAsyncError>>,
    submission: Option<wgpu::SubmissionIndex>,
    spans: Wishes<Span>,
}

/// Where a kernel's words lie in the transfer.
#[derive(Debug, Clone, Copy)]
struct Span {
    first_word: usize,
    words: usize,
    /// Columns of the tensor.
    width: usize,
}

/// `Tap` of `tap.wgsl`; only `tiles.wgsl` reads `window` and `grid`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Place {
    count: u32,
    first_partial: u32,
    is_flat: u32,
    unused: u32,
    shape: [u32; 4],
    strides: [u32; 4],
    window: [u32; 4],
    grid: [u32; 4],
}

/// Uniforms, and parts of storage, start at multiples of this on every device (WebGPU's default limits).
const STRIDE: usize = 256;
/// Workgroups in one dimension of a dispatch (WebGPU's default limit).
const ROW: u32 = 65_535;
/// Columns that a workgroup of `channels.wgsl` takes.
const CHANNELS_PER_WORKGROUP: usize = 64;

/// One launch of a kernel on one tensor.
struct Job<'a> {
    kernel: usize,
    tap: &'a Tap,
    place: Place,
    groups: usize,
    span: Span,
}

/// The launches of a look, with the room for their answers.
#[derive(Default)]
struct Sheet<'a> {
    jobs: Vec<Job<'a>>,
    words: usize,
}

impl<'a> Sheet<'a> {
    fn job(&mut self, kernel: Kernel, tap: &'a Tap, grid: Option<Grid>) -> Span {
        let (len, width) = (tap.len(), tap.width());
        let (groups, words) = match (kernel, grid) {
            _ if len == 0 => (0, 0),
            (MOMENTS, _) => sized(len.div_ceil(kernel.elements_per_workgroup as usize), answers::MOMENTS_WORDS),
            (HISTOGRAM, _) => sized(len.div_ceil(kernel.elements_per_workgroup as usize), answers::HISTOGRAM_WORDS),
            (ROWS, _) => sized(len / width, answers::ROW_WORDS),
            (CHANNELS, _) => (width.div_ceil(CHANNELS_PER_WORKGROUP), width * answers::CHANNEL_WORDS),
            (_, grid) => sized(grid.map_or(0, |grid| grid.len()), answers::TILE_WORDS),
        };
        let span = Span { first_word: self.words, words, width };
        // Each job's words are bound by themselves and so start where a binding may.
        self.words += words.next_multiple_of(STRIDE / size_of::<u32>());
        let kernel = KERNELS.iter().position(|known| *known == kernel).unwrap_or_default();
        self.jobs.push(Job { kernel, tap, place: Place::new(tap, grid), groups, span });
        span
    }
}

fn sized(groups: usize, words_each: usize) -> (usize, usize) {
    (groups, groups * words_each)
}

impl Taps {
    /// Compiles the kernels for the device.
    pub fn new(setup: &WgpuSetup) -> Self {
        Self::compiled(setup, &|kernel| kernel.source.to_owned())
    }

    /// Compiles other sources in their place: a test plants a fault so.
    pub(crate) fn compiled(setup: &WgpuSetup, source: &dyn Fn(&Kernel) -> String) -> Self {
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

    /// Starts all that is wished and returns at once: one command buffer, one transfer. Work that is in the queue already comes first, later
    /// work after.
    ///
    /// # Errors
    /// A buffer that burn does not give, a queue that is gone.
    pub fn start<'w>(&self, wishes: &'w Wishes<Tap>) -> Result<Reading, EngineError> {
        let mut sheet = Sheet::default();
        let all = |sheet: &mut Sheet<'w>, kernel, taps: &'w [Tap]| -> Vec<Span> {
            taps.iter().map(|tap| sheet.job(kernel, tap, None)).collect()
        };
        let spans = Wishes {
            moments: all(&mut sheet, MOMENTS, &wishes.moments),
            histograms: all(&mut sheet, HISTOGRAM, &wishes.histograms),
            rows: all(&mut sheet, ROWS, &wishes.rows),
            channels: all(&mut sheet, CHANNELS, &wishes.channels),
            tiles: wishes.tiles.iter().map(|(tap, grid)| (sheet.job(TILES, tap, Some(*grid)), *grid)).collect(),
        };
        let (send, mapped) = channel();
        let mut reading = Reading { device: self.device.clone(), staging: None, mapped, submission: None, spans };
        sheet.jobs.retain(|job| job.groups > 0);
        if sheet.jobs.is_empty() {
            return Ok(reading);
        }
        // While a resource is held, burn gives its memory to nobody else; after the submit the queue's order sees to that.
        let held: Vec<_> = sheet
            .jobs
            .iter()
            .map(|job| job.tap.0.client.get_resource::<WgpuServer<AutoCompiler>>(job.tap.0.handle.clone()))
            .collect::<Result<_, _>>()
            .map_err(|source| unreadable(&source))?;
        for job in &sheet.jobs {
            job.tap.0.client.flush().map_err(|source| unreadable(&source))?;
        }
        let places =
            self.buffer((sheet.jobs.len() * STRIDE) as u64, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST);
        self.queue.write_buffer(&places, 0, &packed(&sheet.jobs));
        let bytes = (sheet.words * size_of::<u32>()) as u64;
        let answers = self.buffer(bytes, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
        let staging = self.buffer(bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("look") });
        {
            let mut pass = encoder
                .begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("look"), timestamp_writes: None });
            for (index, (resource, job)) in held.iter().zip(&sheet.jobs).enumerate() {
                let entries = [
                    resource.resource().as_wgpu_bind_resource(),
                    part(&answers, job.span.first_word * size_of::<u32>(), job.span.words * size_of::<u32>()),
                    part(&places, index * STRIDE, size_of::<Place>()),
                ];
                let pipeline = &self.pipelines[job.kernel];
                pass.set_pipeline(pipeline);
                pass.set_bind_group(0, &self.bind(pipeline, entries), &[]);
                let groups = job.groups as u32;
                pass.dispatch_workgroups(groups.min(ROW), groups.div_ceil(ROW), 1);
            }
        }
        encoder.copy_buffer_to_buffer(&answers, 0, &staging, 0, bytes);
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

    fn bind(&self, pipeline: &wgpu::ComputePipeline, resources: [wgpu::BindingResource<'_>; 3]) -> wgpu::BindGroup {
        let entries: Vec<_> =
            (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("look"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    }
}

fn part(buffer: &wgpu::Buffer, offset: usize, bytes: usize) -> wgpu::BindingResource<'_> {
    let size = wgpu::BufferSize::new(bytes as u64);
    wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: offset as u64, size })
}

impl Reading {
    /// The answers, where they have arrived. Never waits.
    ///
    /// # Errors
    /// A device that has gone away.
    pub fn arrived(&self) -> Result<Option<Answers>, EngineError> {
        self.device.poll(wgpu::PollType::Poll).map_err(|source| unreadable(&source))?;
        self.take()
    }

    /// The answers, once the device has come this far in its queue. Later work goes on meanwhile.
    ///
    /// # Errors
    /// A device that has gone away.
    pub fn wait(&self) -> Result<Answers, EngineError> {
        if let Some(submission) = &self.submission {
            self.device
                .poll(wgpu::PollType::Wait { submission_index: Some(submission.clone()), timeout: None })
                .map_err(|source| unreadable(&source))?;
        }
        self.take()?.ok_or_else(|| unreadable(&"the device finished a look and gave no answer"))
    }

    fn take(&self) -> Result<Option<Answers>, EngineError> {
        let Some(staging) = &self.staging else { return Ok(Some(answers::read(&[], &self.spans))) };
        match self.mapped.try_recv() {
            Err(TryRecvError::Empty) => return Ok(None),
            Err(gone) => return Err(unreadable(&gone)),
            Ok(result) => result.map_err(|source| unreadable(&source))?,
        }
        let range = staging.slice(..).get_mapped_range().map_err(|source| unreadable(&source))?;
        Ok(Some(answers::read(bytemuck::cast_slice(&range), &self.spans)))
    }
}

/// Where each job's tensor lies, at the strides of uniforms.
fn packed(jobs: &[Job<'_>]) -> Vec<u8> {
    let mut bytes = vec![0u8; jobs.len() * STRIDE];
    for (job, slot) in jobs.iter().zip(bytes.chunks_exact_mut(STRIDE)) {
        slot[..size_of::<Place>()].copy_from_slice(bytemuck::bytes_of(&job.place));
    }
    bytes
}

impl Place {
    fn new(tap: &Tap, grid: Option<Grid>) -> Self {
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
        let words = |of: fn(Grid) -> [usize; 4]| grid.map_or([0; 4], |grid| of(grid).map(|word| word as u32));
        Self {
            count: tap.len() as u32,
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
    EngineError::ReadBack { message: source.to_string() }
}
