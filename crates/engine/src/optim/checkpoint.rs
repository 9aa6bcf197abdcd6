//! Checkpoints on disk: `<root>/<run>/<segment>-<step>/{checkpoint.json, state.safetensors}`.
//!
//! A checkpoint is one unit: written to a temporary path, synced and renamed. Its manifest has the length and BLAKE3 hash of the tensors, so that a truncated
//! or altered checkpoint is detected. Tensors are 32-bit floats named `weight/<name>`, `first/<name>` and `second/<name>` (the optimizer's
//! moments). [`crate::train`] decides when to save a checkpoint, and on which thread.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use burn::backend::flex::FlexTensor;
use burn::tensor::{Device, Tensor};
use safetensors::tensor::{Dtype, Metadata, View};
use serde::{Deserialize, Serialize};
use wire::control::checkpoint::{CheckpointId, CheckpointInfo};
use wire::control::live::LiveHyperparameters;
use wire::{RunId, RunPlan};

use crate::device::{host_values, read};
use crate::error::{EngineError, Source};
use crate::model::params::{self, ParamSpec};
use crate::optim::loss_scale::SavedLossScale;
use crate::optim::noise_scale::NoiseScale;
use crate::optim::optimizer::State;

/// Version of the folder's format. 2: plans and hyperparameters with the field names of the glossary.
pub const FORMAT: u32 = 2;
/// File of the tensors.
pub const STATE: &str = "state.safetensors";
/// File of the manifest.
pub const MANIFEST: &str = "checkpoint.json";
/// Maximum size of a manifest, and of the header of the tensors, bytes.
const MAX_HEADER_BYTES: u64 = 64 << 20;
const PARTS: [&str; 3] = ["weight", "first", "second"];

/// The contents of `checkpoint.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub run: RunId,
    /// Id, cause, size and hash.
    pub info: CheckpointInfo,
    /// The run's plan.
    pub plan: RunPlan,
    /// Live hyperparameters at this step.
    pub hyperparameters: LiveHyperparameters,
    /// Training time so far, seconds.
    pub secs: f64,
    /// Means of the gradient noise scale; empty in checkpoints of earlier versions.
    #[serde(default)]
    pub noise_scale: NoiseScale,
    /// Loss scaling of a run with float16 products; `None` for other runs and in checkpoints of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<SavedLossScale>,
}

impl Manifest {
    /// Writes the manifest into a checkpoint's folder and syncs it.
    ///
    /// # Errors
    /// Returns an IO error if the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), EngineError> {
        let text = serde_json::to_vec_pretty(self).map_err(|source| unusable(folder, source))?;
        let path = folder.join(MANIFEST);
        fs::write(&path, text)
            .and_then(|()| File::open(&path)?.sync_all())
            .and_then(|()| sync_folder(folder))
            .map_err(|source| unusable(folder, source))
    }
}

/// The folder of a checkpoint.
pub fn folder(root: &Path, run: &RunId, id: CheckpointId) -> PathBuf {
    root.join(run.as_str()).join(id.to_string())
}

/// Weights and moments in host memory; further training does not change them.
pub struct HostState {
    tensors: Vec<(String, HostTensor)>,
}

/// One tensor in host memory.
struct HostTensor {
    shape: Vec<usize>,
    values: Values,
}

enum Values {
    /// Shared with the CPU device, which copies on its next write.
    Shared(FlexTensor),
    Read(Vec<f32>),
}

impl View for HostTensor {
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

impl HostState {
    /// Copies weights and moments to the host.
    ///
    /// # Errors
    /// The device was lost.
    pub fn take(specs: &[ParamSpec], state: &State, is_cpu: bool) -> Result<Self, EngineError> {
        let mut tensors = Vec::with_capacity(3 * specs.len());
        for (part, flat) in PARTS.iter().zip([&state.weights, &state.first, &state.second]) {
            for (spec, tensor) in specs.iter().zip(flat) {
                let values = match is_cpu {
                    true => Values::Shared(host_values(tensor)),
                    false => Values::Read(read(tensor.clone())?),
                };
                tensors.push((format!("{part}/{}", spec.name), HostTensor { shape: spec.shape.clone(), values }));
            }
        }
        Ok(Self { tensors })
    }

    /// Imported weights, without moments.
    pub fn of_weights(specs: &[ParamSpec], weights: Vec<Vec<f32>>) -> Self {
        let host = |(spec, values): (&ParamSpec, _)| {
            (format!("weight/{}", spec.name), HostTensor { shape: spec.shape.clone(), values: Values::Read(values) })
        };
        Self { tensors: specs.iter().zip(weights).map(host).collect() }
    }

    /// Writes the checkpoint under `root` and syncs it. Returns the manifest with the size and hash of the tensors.
    ///
    /// # Errors
    /// The disk is full, or the folder cannot be written. An incomplete checkpoint never has the name of the checkpoint.
    pub fn write(self, root: &Path, mut manifest: Manifest) -> Result<Manifest, EngineError> {
        let target = folder(root, &manifest.run, manifest.info.id);
        let parent = root.join(manifest.run.as_str());
        let temporary = parent.join(format!(".{}.partial", manifest.info.id));
        let failed = |source: std::io::Error| unusable(&target, source);
        fs::create_dir_all(&parent).map_err(failed)?;
        remove(&temporary).and_then(|()| fs::create_dir(&temporary)).map_err(failed)?;
        let written = self
            .write_into(&temporary, &mut manifest)
            .and_then(|()| rename_into_place(&temporary, root, &manifest.run, manifest.info.id));
        if written.is_err() {
            // The error is returned; the next attempt removes what is left.
            let _ = remove(&temporary);
        }
        written.map(|()| manifest)
    }

    fn write_into(self, folder: &Path, manifest: &mut Manifest) -> Result<(), EngineError> {
        let path = folder.join(STATE);
        let failed = |source: std::io::Error| unusable(folder, source);
        safetensors::serialize_to_file(self.tensors, None, &path).map_err(|source| unusable(&path, source))?;
        let file = File::open(&path).and_then(|file| file.sync_all().map(|()| file)).map_err(failed)?;
        manifest.info.bytes = file.metadata().map_err(failed)?.len();
        manifest.info.hash = hash(file).map_err(failed)?;
        manifest.write(folder)
    }
}

/// An intact checkpoint, opened.
pub struct Checkpoint {
    pub manifest: Manifest,
    path: PathBuf,
    specs: Vec<ParamSpec>,
    header: Metadata,
    /// Offset of the first tensor's values, bytes.
    data_at: u64,
}

/// Opens a checkpoint and checks that it is intact: every byte is read once.
///
/// # Errors
/// A file is missing, truncated or altered (the error has its path), or the checkpoint has another format version.
pub fn open(dir: &Path) -> Result<Checkpoint, EngineError> {
    let manifest = manifest(dir)?;
    let path = dir.join(STATE);
    let failed = |source: std::io::Error| unusable(&path, source);
    let mut file = File::open(&path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    if bytes != manifest.info.bytes {
        return Err(unusable(&path, format!("it has {bytes} bytes and should have {}", manifest.info.bytes)));
    }
    if hash(file.try_clone().map_err(failed)?).map_err(failed)? != manifest.info.hash {
        return Err(unusable(&path, "its contents do not have the hash of the manifest"));
    }
    file.rewind().map_err(failed)?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(failed)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER_BYTES.min(bytes.saturating_sub(8)) {
        return Err(unusable(&path, "its header is longer than the file"));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(failed)?;
    let header: Metadata = serde_json::from_slice(&header).map_err(|source| unusable(&path, source))?;
    // Checked before its sizes are multiplied, because an altered manifest may contain any.
    manifest.plan.recipe.model.check().map_err(|source| unusable(&path, source))?;
    let specs = params::layout(&manifest.plan.recipe.model);
    let saved = Checkpoint { manifest, path, specs, header, data_at: 8 + length };
    saved.check(bytes)?;
    Ok(saved)
}

/// Checks a checkpoint in a temporary folder, syncs it and renames it into its place under `root`, where it replaces one with the same id.
/// The temporary folder must be on the same disk.
///
/// # Errors
/// As [`open`]; the checkpoint is of another run or has another id; the folder cannot be renamed.
pub fn install(temporary: &Path, root: &Path, run: &RunId, id: CheckpointId) -> Result<Manifest, EngineError> {
    let Checkpoint { manifest, .. } = open(temporary)?;
    if manifest.run != *run || manifest.info.id != id {
        let message = format!("it is the checkpoint {} of {}", manifest.info.id, manifest.run);
        return Err(unusable(temporary, message));
    }
    let parent = root.join(run.as_str());
    fs::create_dir_all(&parent)
        .and_then(|()| File::open(temporary.join(STATE))?.sync_all())
        .and_then(|()| File::open(temporary.join(MANIFEST))?.sync_all())
        .and_then(|()| sync_folder(temporary))
        .map_err(|source| unusable(temporary, source))?;
    rename_into_place(temporary, root, run, id)?;
    Ok(manifest)
}

/// Renames a complete checkpoint into its place. At each moment a complete one has the name, or none.
fn rename_into_place(temporary: &Path, root: &Path, run: &RunId, id: CheckpointId) -> Result<(), EngineError> {
    let (parent, target) = (root.join(run.as_str()), folder(root, run, id));
    let old = parent.join(format!(".{id}.old"));
    let renamed = remove(&old).and_then(|()| {
        if target.exists() {
            fs::rename(&target, &old)?;
        }
        fs::rename(temporary, &target)?;
        sync_folder(&parent)?;
        remove(&old)
    });
    renamed.map_err(|source| unusable(&target, source))
}

/// Reads only the manifest, not the tensors.
///
/// # Errors
/// The manifest is missing, invalid, or of another format version.
pub fn manifest(dir: &Path) -> Result<Manifest, EngineError> {
    let path = dir.join(MANIFEST);
    let file = File::open(&path).map_err(|source| unusable(&path, source))?;
    let tree: serde_json::Value =
        serde_json::from_reader(file.take(MAX_HEADER_BYTES)).map_err(|source| unusable(&path, source))?;
    // The version is read first, because the fields of another version have other names.
    let version = tree.get("format").and_then(serde_json::Value::as_u64);
    if version != Some(FORMAT.into()) {
        return Err(unusable(&path, other_format(version)));
    }
    serde_json::from_value(tree).map_err(|source| unusable(&path, source))
}

impl Checkpoint {
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
                    format!("{name} is {:?} {:?}, and the plan has F32 {:?}", found.dtype, found.shape, spec.shape);
                return Err(unusable(&self.path, message));
            }
        }
        Ok(())
    }

    /// Whether the checkpoint has the optimizer's moments; imported weights have none.
    pub fn has_moments(&self) -> bool {
        self.header.tensors().keys().any(|name| name.starts_with("first/"))
    }

    /// The parameters, in the model's order.
    pub fn specs(&self) -> &[ParamSpec] {
        &self.specs
    }

    /// The weights of one parameter by name; `None` if the model has no such parameter.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn weight(&self, name: &str) -> Result<Option<Vec<f32>>, EngineError> {
        if !self.specs.iter().any(|spec| spec.name == name) {
            return Ok(None);
        }
        let mut file = File::open(&self.path).map_err(|source| unusable(&self.path, source))?;
        self.read(&mut file, &format!("weight/{name}")).map(Some)
    }

    fn read(&self, file: &mut File, name: &str) -> Result<Vec<f32>, EngineError> {
        let (from, to) = self.header.info(name).map_or((0, 0), |info| info.data_offsets);
        let mut values = vec![0f32; (to - from) / size_of::<f32>()];
        file.seek(SeekFrom::Start(self.data_at + from as u64))
            .and_then(|_| file.read_exact(bytemuck::cast_slice_mut(&mut values)))
            .map_err(|source| unusable(&self.path, source))?;
        Ok(values)
    }

    /// The values of each parameter, in the model's order: of `weight`, `first` or `second`.
    fn values(&self, part: &str) -> impl Iterator<Item = Result<Vec<f32>, EngineError>> {
        let file = File::open(&self.path);
        let mut file = file.map_err(|source| unusable(&self.path, source)).map_err(Some);
        self.specs.iter().map(move |spec| {
            let file = match &mut file {
                Ok(file) => file,
                Err(error) => return Err(error.take().unwrap_or_else(|| unusable(&self.path, "the file was removed"))),
            };
            self.read(file, &format!("{part}/{}", spec.name))
        })
    }

    /// The weights in host memory, in the model's order.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn host_weights(&self) -> Result<Vec<Vec<f32>>, EngineError> {
        self.values("weight").collect()
    }

    /// The weights on a device, one flat tensor for each parameter.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn weights(&self, device: &Device) -> Result<Vec<Tensor<1>>, EngineError> {
        self.upload("weight", device)
    }

    fn upload(&self, part: &str, device: &Device) -> Result<Vec<Tensor<1>>, EngineError> {
        self.values(part).map(|values| Ok(params::upload(values?, device))).collect()
    }

    /// Weights and moments on a device, at the checkpoint's step.
    ///
    /// # Errors
    /// The file cannot be read.
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

/// Syncs a folder, so that the names in it are durable.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn unusable(path: &Path, source: impl Into<Source>) -> EngineError {
    EngineError::checkpoint(path, source)
}

/// The message for a checkpoint of another version.
fn other_format(version: Option<u64>) -> String {
    match version {
        Some(version) if version < FORMAT.into() => format!(
            "it is a checkpoint of format version {version}, written by an earlier Kindling, and this one reads version {FORMAT} only; it was left unchanged: use the earlier program, or train the run again"
        ),
        Some(version) => format!(
            "it is a checkpoint of format version {version}, and this program reads version {FORMAT}; it was left unchanged: use the program that wrote it"
        ),
        None => "it is not a checkpoint manifest: it has no format version".to_owned(),
    }
}
