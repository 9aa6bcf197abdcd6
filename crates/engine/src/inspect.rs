//! Inspections of a model: each is a pure function of weights, plan and text. [`inspect`] computes one, [`Inspector`] several of the same
//! state, and [`inspect_checkpoint`] one of a checkpoint. [`wire::inspect`] defines the requests and results.
//!
//! `text`: the tokens that an inspection reads; `cache`: the activations of a forward pass over them. The other files have one
//! inspection each; `lanczos` computes the eigenvectors that some of them need. [`snapshot`] reduces the results that a run stores;
//! `diagnosis`: metrics that become series of the run. Inspections never change the state of a run.

mod attention;
mod batch;
mod cache;
mod diagnosis;
mod embedding;
mod interventions;
mod lanczos;
mod logit_lens;
mod matrices;
mod neuron;
mod neurons;
mod overview;
pub mod snapshot;
mod text;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use burn::tensor::Tensor;
use wire::RunPlan;
use wire::control::live::LiveHyperparameters;
use wire::inspect::request::{Inspection, InspectionText, MAX_TOKENS};
use wire::inspect::result::InspectionResult;
use wire::inspect::statistics::TensorStats;
use wire::model::ModelPlan;

use self::cache::ActivationCache;
use crate::data::dataset::Dataset;
use crate::device::EngineDevice;
use crate::device::replicas::Replicas;
use crate::error::{EngineError, InspectError};
use crate::kernels::dispatch;
use crate::kernels::gpu::GpuKernels;
use crate::kernels::reduce::{ReductionResults, Reductions};
use crate::model::params::{ParamSpec, Weights};
use crate::optim::checkpoint;
use crate::optim::optimizer::State;

/// The subject of an inspection: a state with its plan and its dataset, on a device.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Plan of the run.
    pub plan: &'a RunPlan,
    /// Current hyperparameters.
    pub hyperparameters: &'a LiveHyperparameters,
    /// Parameters, in the model's order.
    pub specs: &'a [ParamSpec],
    /// Weights, moments, and steps done.
    pub state: &'a State,
    /// Whether the moments are the optimizer's; imported weights have none.
    pub has_moments: bool,
    /// Token shards of the run.
    pub data: &'a Dataset,
    /// Device of the state.
    pub device: &'a EngineDevice,
    /// Threads for whole batches; `None` on a GPU.
    pub replicas: Option<&'a Replicas>,
    /// WGSL kernels; `None` on the CPU.
    pub kernels: Option<&'a GpuKernels>,
    /// The newest statistics of every parameter and their step; `None` for a checkpoint.
    pub stats: Option<(u64, &'a [TensorStats])>,
}

/// Computes one inspection.
///
/// # Errors
/// The model or dataset lacks what the inspection reads ([`InspectError`]), or the device was lost.
pub fn inspect(subject: &Subject<'_>, inspection: &Inspection) -> Result<InspectionResult, EngineError> {
    Inspector::new(*subject).inspect(inspection)
}

/// Computes an inspection of a checkpoint. Returns it with the number of steps of the checkpoint. The batch of a step is that of the
/// hyperparameters given, by default those of the checkpoint: changes after it lead to other batches.
///
/// # Errors
/// The checkpoint is damaged, the dataset is missing, or an error of [`inspect`].
pub fn inspect_checkpoint(
    dir: &Path,
    corpora: &Path,
    inspection: &Inspection,
    hyperparameters: Option<&LiveHyperparameters>,
) -> Result<(u64, InspectionResult), EngineError> {
    inspection.check().map_err(InspectError::from)?;
    let checkpoint = checkpoint::open(dir)?;
    let device = EngineDevice::processor();
    let state = checkpoint.state(&device.burn)?;
    let plan = &checkpoint.manifest.plan;
    let data = Dataset::open(corpora, &plan.corpora(), plan.tokenizer)?;
    let replicas = Replicas::new(plan.recipe.batch.replicas)?;
    let subject = Subject {
        plan,
        hyperparameters: hyperparameters.unwrap_or(&checkpoint.manifest.hyperparameters),
        specs: checkpoint.specs(),
        state: &state,
        has_moments: checkpoint.has_moments(),
        data: &data,
        device: &device,
        replicas: Some(&replicas),
        kernels: None,
        stats: None,
    };
    Ok((state.steps, inspect(&subject, inspection)?))
}

/// Computes inspections of one state; intermediate results that several of them use are computed once.
pub struct Inspector<'a> {
    subject: Subject<'a>,
    weights: Weights,
    caches: RefCell<HashMap<InspectionText, Rc<ActivationCache>>>,
}

impl<'a> Inspector<'a> {
    /// An inspector of a state.
    pub fn new(subject: Subject<'a>) -> Self {
        let weights = Weights::new(subject.specs, subject.state.weights.clone());
        Self { subject, weights, caches: RefCell::default() }
    }

    /// Computes an inspection.
    ///
    /// # Errors
    /// The errors of [`inspect`].
    pub fn inspect(&self, inspection: &Inspection) -> Result<InspectionResult, EngineError> {
        inspection.check().map_err(InspectError::from)?;
        match inspection {
            Inspection::Overview { text } => overview::inspect(self, text),
            Inspection::Attention { text, layer } => attention::inspect(self, text, *layer),
            Inspection::LogitLens { text } => logit_lens::inspect(self, text),
            Inspection::Neurons { text, layer } => neurons::inspect(self, text, *layer),
            Inspection::Neuron { layer, neuron } => neuron::inspect(self, *layer, *neuron),
            Inspection::Weights { values } => matrices::all(self, *values),
            Inspection::Matrix { tensor, values, window } => matrices::one(self, tensor, *values, *window),
            Inspection::Embedding {} => embedding::inspect(self),
            Inspection::Batch { step } => batch::inspect(self, *step),
            Inspection::Interventions { text, interventions } => interventions::inspect(self, text, interventions),
            Inspection::ParameterStats {} => {
                let (step, tensors) = self.subject.stats.ok_or(InspectError::NoStats)?;
                Ok(InspectionResult::ParameterStats { step, tensors: tensors.to_vec() })
            }
        }
    }

    /// Metrics of attention and MLPs for diagnosis, by the names of their series, over validation window 0: a forward pass, unless another
    /// inspection of this state has made it.
    ///
    /// # Errors
    /// The validation split is shorter than a window, or the device was lost.
    pub fn diagnosis(&self) -> Result<Vec<(String, f64)>, EngineError> {
        diagnosis::metrics(self)
    }

    fn model(&self) -> &'a ModelPlan {
        &self.subject.plan.recipe.model
    }

    /// Maximum number of tokens that an inspection reads.
    fn max_tokens(&self) -> usize {
        self.model().seq.min(MAX_TOKENS)
    }

    /// Weights of the datasets in the plan, because the validation windows must not change with the mix.
    fn mix(&self) -> Vec<f64> {
        self.subject.plan.mix.iter().map(|part| part.weight).collect()
    }

    /// The activations over a text, computed once.
    fn cache(&self, text: &InspectionText) -> Result<Rc<ActivationCache>, EngineError> {
        if let Some(cache) = self.caches.borrow().get(text) {
            return Ok(cache.clone());
        }
        let cache = Rc::new(ActivationCache::new(self, text::read(self, text)?));
        self.caches.borrow_mut().insert(text.clone(), cache.clone());
        Ok(cache)
    }

    fn reduce(&self, reductions: Reductions<Tensor<2>>) -> Result<ReductionResults, EngineError> {
        dispatch::reduce(reductions, self.subject.kernels)
    }

    fn pieces(&self, tokens: &[u32]) -> Vec<String> {
        tokens.iter().map(|token| self.subject.data.tokenizer().decode_token(*token)).collect()
    }
}
