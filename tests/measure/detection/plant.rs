//! Changes of a run between two steps that no command of a run makes: other weights, or batches from another text. They leave no event and
//! no other trace than their effect.

use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use engine::data::dataset::Dataset;
use engine::device;
use engine::train::Trainer;
use wire::CorpusId;
use wire::model::Mlp;

use crate::Outcome;

/// A change before a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Edit {
    Scale(Scale),
    /// This fraction of the neurons of each MLP becomes inactive at every token, and gets no gradient.
    KillNeurons(f64),
    /// Batches come from the dataset with this suffix from here on.
    ReadOther(&'static str),
}

/// Multiplies parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    /// Ends of their names.
    pub(crate) ends: &'static [&'static str],
    pub(crate) factor: f32,
}

impl Scale {
    /// Names of all matrices.
    pub(crate) const MATRICES: &'static [&'static str] = &[
        "embedding.token",
        "embedding.position",
        "attention.query",
        "attention.key",
        "attention.value",
        "attention.out",
        "mlp.gate",
        "mlp.up",
        "mlp.down",
        "head",
    ];
}

/// A bias at which GELU and its gradient are 0.
const DEAD_BIAS: f32 = -20.0;

/// Makes a change; datasets are in `corpora`, and `corpus` is that of the run.
pub(crate) fn apply(edit: Edit, trainer: &mut Trainer, corpora: &Path, corpus: &str) -> Outcome<()> {
    match edit {
        Edit::Scale(Scale { ends, factor }) => {
            for (spec, weight) in trainer.specs.iter().zip(&mut trainer.state.weights) {
                if ends.iter().any(|end| spec.name.ends_with(end)) {
                    *weight = weight.clone() * factor;
                }
            }
            Ok(())
        }
        Edit::KillNeurons(fraction) => kill_neurons(fraction, trainer),
        Edit::ReadOther(suffix) => read_other(&format!("{corpus}{suffix}").parse()?, trainer, corpora),
    }
}

fn kill_neurons(fraction: f64, trainer: &mut Trainer) -> Outcome<()> {
    let model = &trainer.plan.recipe.model;
    let count = (fraction * model.d_ff as f64) as usize;
    // A neuron of SwiGLU is the product of gate and value: with both at 0, biases included, neither gets a gradient.
    let (ends, value): (&[&str], f32) = match model.mlp {
        Mlp::Swiglu => (&["mlp.gate", "mlp.gate.bias", "mlp.up", "mlp.up.bias"], 0.0),
        _ => (&["mlp.up.bias"], DEAD_BIAS),
    };
    for (spec, weight) in trainer.specs.iter().zip(&mut trainer.state.weights) {
        if ends.iter().any(|end| spec.name.ends_with(end)) {
            let mut values = device::read(weight.clone())?;
            values.chunks_mut(model.d_ff).for_each(|row| row[..count].fill(value));
            let len = values.len();
            *weight = Tensor::from_data(TensorData::new(values, [len]), &trainer.device.burn);
        }
    }
    Ok(())
}

fn read_other(corpus: &CorpusId, trainer: &mut Trainer, corpora: &Path) -> Outcome<()> {
    let other = Dataset::open(corpora, std::slice::from_ref(corpus), trainer.plan.tokenizer)?;
    let same = |text: &str| trainer.data.tokenizer().encode(text).ok() == other.tokenizer().encode(text).ok();
    if other.info().vocab != trainer.data.info().vocab || !same("the 1st (end).") {
        return Err(format!("{corpus} has another vocabulary than the dataset of the run").into());
    }
    trainer.data = other;
    Ok(())
}
