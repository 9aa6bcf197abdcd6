//! Looks inside a model, each a pure function of weights, plan, text and look: [`see`] answers one, [`Eye`] several of the same moment, and
//! [`look_at_checkpoint`] one of a state on disk. What can be asked and what is seen is `wire::look`'s.
//!
//! [`passage`] the text that is read, [`pass`] all that one pass over it leaves. Then a file for each look: [`map`], [`attention`], [`lens`],
//! [`units`], [`contexts`], [`matrices`], [`embedding`] with the plane it is drawn on ([`plane`]), [`batch`], [`hands`]. [`keep`] makes small
//! what is kept with a run. Nothing here touches the state of a training: looks read weights, and tensors of theirs are their own.

mod attention;
mod batch;
mod contexts;
mod embedding;
mod hands;
pub mod keep;
mod lens;
mod map;
mod matrices;
mod pass;
mod passage;
mod plane;
mod units;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use burn::tensor::Tensor;
use wire::RunPlan;
use wire::dials::Dials;
use wire::frame::TensorStats;
use wire::look::{Look, MOST_TOKENS, Passage};
use wire::model::ModelPlan;
use wire::sight::Sight;

use self::pass::Pass;
use crate::checkpoint;
use crate::cores::Cores;
use crate::dataset::Dataset;
use crate::device::EngineDevice;
use crate::error::EngineError;
use crate::look_error::LookError;
use crate::optimizer::State;
use crate::params::{ParamSpec, Weights};
use crate::reduce::{self, Answers, Wishes};
use crate::taps::Taps;

/// What is looked at: a state with its plan and its text, on a device.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// Every number of the run.
    pub plan: &'a RunPlan,
    /// The dials as they stand: which batches were read, and the rate.
    pub dials: &'a Dials,
    /// Parameters, in the model's order.
    pub specs: &'a [ParamSpec],
    /// Weights, moments, and steps done.
    pub state: &'a State,
    /// Whether the moments are the optimizer's own.
    pub has_moments: bool,
    /// The run's text.
    pub data: &'a Dataset,
    /// Where the state lies.
    pub device: &'a EngineDevice,
    /// Threads for work on whole batches; none on a graphics card.
    pub cores: Option<&'a Cores>,
    /// Our own kernels; none on the processor.
    pub taps: Option<&'a Taps>,
    /// What a step measured last, and which; only a training has it.
    pub stats: Option<(u64, &'a [TensorStats])>,
}

/// Answers one look.
///
/// # Errors
/// What does not exist in this model or text ([`LookError`]); a device that has gone away.
pub fn see(scene: &Scene<'_>, look: &Look) -> Result<Sight, EngineError> {
    Eye::new(*scene).see(look)
}

/// A look at a checkpoint, and the steps that had been done there.
///
/// # Errors
/// A checkpoint that is not whole, a text that is gone, and as [`see`].
pub fn look_at_checkpoint(dir: &Path, corpora: &Path, look: &Look) -> Result<(u64, Sight), EngineError> {
    look.check().map_err(|message| LookError::Refused { message })?;
    let saved = checkpoint::open(dir)?;
    let device = EngineDevice::processor();
    let state = saved.state(&device.burn)?;
    let plan = &saved.manifest.plan;
    let data = Dataset::open(corpora, &plan.corpora(), plan.tokenizer)?;
    let cores = Cores::new(plan.recipe.batch.shards)?;
    let scene = Scene {
        plan,
        dials: &saved.manifest.dials,
        specs: saved.specs(),
        state: &state,
        has_moments: saved.has_moments(),
        data: &data,
        device: &device,
        cores: Some(&cores),
        taps: None,
        stats: None,
    };
    Ok((state.steps, see(&scene, look)?))
}

/// Looks at one moment of a model; what several looks need is worked out once.
pub struct Eye<'a> {
    scene: Scene<'a>,
    weights: Weights,
    passes: RefCell<HashMap<Passage, Rc<Pass>>>,
}

impl<'a> Eye<'a> {
    /// Opens it on a scene.
    pub fn new(scene: Scene<'a>) -> Self {
        let weights = Weights::new(scene.specs, scene.state.weights.clone());
        Self { scene, weights, passes: RefCell::default() }
    }

    /// Answers a look.
    ///
    /// # Errors
    /// As [`see`].
    pub fn see(&self, look: &Look) -> Result<Sight, EngineError> {
        look.check().map_err(|message| LookError::Refused { message })?;
        match look {
            Look::Map { passage } => map::see(self, passage),
            Look::Attention { passage, layer } => attention::see(self, passage, *layer),
            Look::Lens { passage } => lens::see(self, passage),
            Look::Units { passage, layer } => units::see(self, passage, *layer),
            Look::Unit { layer, unit } => contexts::see(self, *layer, *unit),
            Look::Gallery { of } => matrices::gallery(self, *of),
            Look::Matrix { tensor, of, window } => matrices::one(self, tensor, *of, *window),
            Look::Embedding {} => embedding::see(self),
            Look::Batch { step } => batch::see(self, *step),
            Look::Hands { passage, edits } => hands::see(self, passage, edits),
            Look::Tensors {} => {
                let (step, tensors) = self.scene.stats.ok_or(LookError::NoStats)?;
                Ok(Sight::Tensors { step, tensors: tensors.to_vec() })
            }
        }
    }

    fn model(&self) -> &'a ModelPlan {
        &self.scene.plan.recipe.model
    }

    /// Tokens that a look reads at most.
    fn most_tokens(&self) -> usize {
        self.model().seq.min(MOST_TOKENS)
    }

    /// Weights of the texts as they were planned: what is held out must not change with the mix.
    fn shares(&self) -> Vec<f64> {
        self.scene.plan.mix.iter().map(|part| part.weight).collect()
    }

    /// The pass over a text, made once.
    fn pass(&self, passage: &Passage) -> Result<Rc<Pass>, EngineError> {
        if let Some(pass) = self.passes.borrow().get(passage) {
            return Ok(pass.clone());
        }
        let pass = Rc::new(Pass::over(self, passage::read(self, passage)?));
        self.passes.borrow_mut().insert(passage.clone(), pass.clone());
        Ok(pass)
    }

    fn reduce(&self, wishes: Wishes<Tensor<2>>) -> Result<Answers, EngineError> {
        reduce::reduce(wishes, self.scene.taps)
    }

    fn pieces(&self, tokens: &[u32]) -> Vec<String> {
        tokens.iter().map(|token| self.scene.data.tokenizer().piece(*token)).collect()
    }
}
