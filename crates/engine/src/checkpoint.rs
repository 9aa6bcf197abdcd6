//! Saved states on disk: `<root>/<run>/<segment>-<step>/{checkpoint.json, state.safetensors}`.
//!
//! A checkpoint is one unit: written aside, synced, renamed. Its manifest holds the length and BLAKE3 of the tensors, so that a torn or
//! altered one is found out and passed over. Tensors are 32-bit floats named `weight/<name>`, `first/<name>` and `second/<name>`
//! (the optimizer's moments). When to take one, and on which thread, is [`crate::train`]'s.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use burn::backend::flex::FlexTensor;
use burn::tensor::{Device, Tensor};
use safetensors::tensor::{Dtype, Metadata, View};
use serde::{Deserialize, Serialize};
use wire::checkpoint::{CheckpointId, CheckpointInfo};
use wire::dials::Dials;
use wire::{RunId, RunPlan};

use crate::device::read;
use crate::error::EngineError;
use crate::optimizer::{self, State};
use crate::params::{self, ParamSpec};

/// Version of the folder's form.
pub const FORMAT: u32 = 1;
/// The tensors' file.
pub const STATE: &str = "state.safetensors";
/// The manifest's file.
pub const MANIFEST: &str = "checkpoint.json";
/// Longest manifest and longest header of tensors that are read, bytes.
const MOST_TEXT: u64 = 64 << 20;
const PARTS: [&str; 3] = ["weight", "first", "second"];

/// What `checkpoint.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Whose state.
    pub run: RunId,
    /// Place, cause, size and hash.
    pub info: CheckpointInfo,
    /// The run's plan.
    pub plan: RunPlan,
    /// The dials at this step.
    pub dials: Dials,
    /// Seconds at work up to here.
    pub secs: f64,
}

/// Where a checkpoint lies.
pub fn folder(root: &Path, run: &RunId, id: CheckpointId) -> PathBuf {
    root.join(run.as_str()).join(id.to_string())
}

/// A state, taken off its device: what training does next does not touch it.
pub struct Snapshot {
    tensors: Vec<(String, Host)>,
}

/// One tensor in the processor's memory.
struct Host {
    shape: Vec<usize>,
    values: Values,
}

enum Values {
    /// Shared with the CPU device, which copies when it next writes.
    Shared(FlexTensor),
    Read(Vec<f32>),
}

impl View for Host {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values = match &self.values {
            Values::Shared(tensor) => tensor.as_slice::<f32>().unwrap_or_default(),
            Values::Read(values) => values,
        };
        Cow::Borrowed(bytemuck::cast_slice(values))
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * size_of::<f32>()
    }
}

impl Snapshot {
    /// Takes weights and moments off their device.
    ///
    /// # Errors
    /// A device that has gone away.
    pub fn take(specs: &[ParamSpec], state: &State, is_cpu: bool) -> Result<Self, EngineError> {
        let mut tensors = Vec::with_capacity(3 * specs.len());
        for (part, flat) in PARTS.iter().zip([&state.weights, &state.first, &state.second]) {
            for (spec, tensor) in specs.iter().zip(flat) {
                let values = match is_cpu {
                    true => Values::Shared(optimizer::values(tensor)),
                    false => Values::Read(read(tensor.clone())?),
                };
                tensors.push((format!("{part}/{}", spec.name), Host { shape: spec.shape.clone(), values }));
            }
        }
        Ok(Self { tensors })
    }

    /// Weights that come from elsewhere, without moments.
    pub fn of_weights(specs: &[ParamSpec], weights: Vec<Vec<f32>>) -> Self {
        let host = |(spec, values): (&ParamSpec, _)| {
            (format!("weight/{}", spec.name), Host { shape: spec.shape.clone(), values: Values::Read(values) })
        };
        Self { tensors: specs.iter().zip(weights).map(host).collect() }
    }

    /// Writes it under `root`; when this returns it is whole and synced. Size and hash of the manifest are filled in.
    ///
    /// # Errors
    /// A full disk, a folder that cannot be written. Nothing half-written stays under the checkpoint's own name.
    pub fn write(self, root: &Path, mut manifest: Manifest) -> Result<Manifest, EngineError> {
        let place = folder(root, &manifest.run, manifest.info.id);
        let parent = root.join(manifest.run.as_str());
        let aside = parent.join(format!(".{}.partial", manifest.info.id));
        let failed = |source: std::io::Error| unusable(&place, source);
        fs::create_dir_all(&parent).map_err(failed)?;
        remove(&aside).and_then(|()| fs::create_dir(&aside)).map_err(failed)?;
        let written = self.write_aside(&aside, &mut manifest).and_then(|()| {
            let old = parent.join(format!(".{}.old", manifest.info.id));
            remove(&old).map_err(failed)?;
            if place.exists() {
                fs::rename(&place, &old).map_err(failed)?;
            }
            fs::rename(&aside, &place).and_then(|()| sync_folder(&parent)).and_then(|()| remove(&old)).map_err(failed)
        });
        if written.is_err() {
            // What failed is told; a remnant is swept by the next try.
            let _ = remove(&aside);
        }
        written.map(|()| manifest)
    }

    fn write_aside(self, aside: &Path, manifest: &mut Manifest) -> Result<(), EngineError> {
        let path = aside.join(STATE);
        let failed = |source: std::io::Error| unusable(aside, source);
        safetensors::serialize_to_file(self.tensors, None, &path).map_err(|source| unusable(&path, source))?;
        let file = File::open(&path).and_then(|file| file.sync_all().map(|()| file)).map_err(failed)?;
        manifest.info.bytes = file.metadata().map_err(failed)?.len();
        manifest.info.hash = hash(file).map_err(failed)?;
        let text = serde_json::to_vec_pretty(manifest).map_err(|source| unusable(aside, source))?;
        let path = aside.join(MANIFEST);
        fs::write(&path, text)
            .and_then(|()| File::open(&path)?.sync_all())
            .and_then(|()| sync_folder(aside))
            .map_err(failed)
    }
}

/// A whole checkpoint, opened.
pub struct Saved {
    /// All that is known of it.
    pub manifest: Manifest,
    path: PathBuf,
    specs: Vec<ParamSpec>,
    header: Metadata,
    /// Where the first tensor's values begin.
    data_at: u64,
}

/// Opens a checkpoint and checks that it is whole: every byte is read once.
///
/// # Errors
/// What is missing, torn or altered, with its place.
pub fn open(dir: &Path) -> Result<Saved, EngineError> {
    let manifest = manifest(dir)?;
    let path = dir.join(STATE);
    let failed = |source: std::io::Error| unusable(&path, source);
    let mut file = File::open(&path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    if bytes != manifest.info.bytes {
        return Err(unusable(&path, format!("it has {bytes} bytes and should have {}", manifest.info.bytes)));
    }
    if hash(file.try_clone().map_err(failed)?).map_err(failed)? != manifest.info.hash {
        return Err(unusable(&path, "its content was altered"));
    }
    file.rewind().map_err(failed)?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(failed)?;
    let length = u64::from_le_bytes(length);
    if length > MOST_TEXT.min(bytes.saturating_sub(8)) {
        return Err(unusable(&path, "its header is longer than itself"));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(failed)?;
    let header: Metadata = serde_json::from_slice(&header).map_err(|source| unusable(&path, source))?;
    // Before its numbers are multiplied: an altered manifest may name any.
    manifest.plan.recipe.model.check().map_err(|source| unusable(&path, source))?;
    let specs = params::layout(&manifest.plan.recipe.model);
    let saved = Saved { manifest, path, specs, header, data_at: 8 + length };
    saved.check(bytes)?;
    Ok(saved)
}

/// The manifest alone; the tensors are not looked at.
///
/// # Errors
/// A manifest that is missing, of another format, or no manifest.
pub fn manifest(dir: &Path) -> Result<Manifest, EngineError> {
    let path = dir.join(MANIFEST);
    let file = File::open(&path).map_err(|source| unusable(&path, source))?;
    let manifest: Manifest = serde_json::from_reader(file.take(MOST_TEXT)).map_err(|source| unusable(&path, source))?;
    match manifest.format {
        FORMAT => Ok(manifest),
        other => Err(unusable(&path, format!("it has format {other} and this program reads {FORMAT}"))),
    }
}

impl Saved {
    fn check(&self, bytes: u64) -> Result<(), EngineError> {
        let has_moments = self.has_moments();
        for (part, spec) in PARTS.iter().flat_map(|part| self.specs.iter().map(move |spec| (part, spec))) {
            if *part != "weight" && !has_moments {
                continue;
            }
            let name = format!("{part}/{}", spec.name);
            let found = self.header.info(&name).ok_or_else(|| unusable(&self.path, format!("{name} is missing")))?;
            let (from, to) = found.data_offsets;
            let is_inside =
                from <= to && self.data_at + to as u64 <= bytes && to - from == spec.len() * size_of::<f32>();
            if found.dtype != Dtype::F32 || found.shape != spec.shape || !is_inside {
                let message =
                    format!("{name} is {:?} {:?} where the plan has F32 {:?}", found.dtype, found.shape, spec.shape);
                return Err(unusable(&self.path, message));
            }
        }
        Ok(())
    }

    /// Whether it holds the optimizer's moments; weights that came from elsewhere have none.
    pub fn has_moments(&self) -> bool {
        self.header.tensors().keys().any(|name| name.starts_with("first/"))
    }

    /// The parameters, in the model's order.
    pub fn specs(&self) -> &[ParamSpec] {
        &self.specs
    }

    /// One parameter's values after the other, in the model's order: of `weight`, `first` or `second`.
    fn values(&self, part: &str) -> impl Iterator<Item = Result<Vec<f32>, EngineError>> {
        let file = File::open(&self.path);
        let mut file = file.map_err(|source| unusable(&self.path, source)).map_err(Some);
        self.specs.iter().map(move |spec| {
            let file = match &mut file {
                Ok(file) => file,
                Err(error) => return Err(error.take().unwrap_or_else(|| unusable(&self.path, "it is gone"))),
            };
            let name = format!("{part}/{}", spec.name);
            let (from, to) = self.header.info(&name).map_or((0, 0), |info| info.data_offsets);
            let mut values = vec![0f32; (to - from) / size_of::<f32>()];
            file.seek(SeekFrom::Start(self.data_at + from as u64))
                .and_then(|_| file.read_exact(bytemuck::cast_slice_mut(&mut values)))
                .map_err(|source| unusable(&self.path, source))?;
            Ok(values)
        })
    }

    /// The weights in the processor's memory, in the model's order.
    ///
    /// # Errors
    /// A disk that does not give them back.
    pub fn host_weights(&self) -> Result<Vec<Vec<f32>>, EngineError> {
        self.values("weight").collect()
    }

    /// The weights on a device, one flat tensor for each parameter.
    ///
    /// # Errors
    /// A disk that does not give them back.
    pub fn weights(&self, device: &Device) -> Result<Vec<Tensor<1>>, EngineError> {
        self.upload("weight", device)
    }

    fn upload(&self, part: &str, device: &Device) -> Result<Vec<Tensor<1>>, EngineError> {
        self.values(part).map(|values| Ok(params::upload(values?, device))).collect()
    }

    /// Weights and moments on a device, at the checkpoint's step.
    ///
    /// # Errors
    /// A disk that does not give them back.
    pub fn state(&self, device: &Device) -> Result<State, EngineError> {
        let mut state = State::new(self.weights(device)?);
        if self.has_moments() {
            (state.first, state.second) = (self.upload("first", device)?, self.upload("second", device)?);
        }
        state.steps = self.manifest.info.id.step;
        Ok(state)
    }
}

fn hash(file: File) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file)?;
    Ok(hasher.finalize().to_hex().to_string())
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(source),
        _ => Ok(()),
    }
}

/// Names in a folder last once the folder itself is synced.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn unusable(path: &Path, source: impl std::fmt::Display) -> EngineError {
    EngineError::Checkpoint { path: path.to_owned(), message: source.to_string() }
}
