//! The parameters of a model: their names, shapes and initial values, and their storage as one flat tensor each.
//!
//! Flat storage makes optimizer, checkpoints and statistics uniform; the decoder reshapes, which copies nothing.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use wire::model::{Mlp, ModelPlan, Norm, Positions};

use crate::kernels::random::Normals;

/// Standard deviation of matrices at the start (GPT-2).
const STD: f32 = 0.02;
/// Initial values that a thread computes at a time: an even number, since normal numbers are drawn in pairs.
const INITIAL_PART: usize = 1 << 16;

/// Initial values of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Normal with this standard deviation.
    Normal(f32),
    Ones,
    Zeros,
}

/// Name, shape and initialization of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamSpec {
    /// Path in the model: `block.0.attention.query`.
    pub name: String,
    /// `[d_in, d_out]` for matrices, `[d]` for gains and biases.
    pub shape: Vec<usize>,
    /// Initial values.
    pub init: Init,
    /// Factor of AdamW's learning rate.
    pub learning_rate_factor: f64,
}

impl ParamSpec {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the number of values is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether weight decay applies: to matrices, not to gains and biases (nanoGPT, and PyTorch's usual groups).
    pub fn decays(&self) -> bool {
        self.shape.len() >= 2
    }
}

/// All parameters of a plan, in the model's order. Matrices are normal with standard deviation 0.02, divided by `sqrt(2 * layers)` in the
/// projections that add to the residual stream (GPT-2). Gains are 1, biases 0. With muP the matrices of the blocks start smaller and have a
/// smaller learning rate ([`wire::model::mup`]).
pub fn layout(plan: &ModelPlan) -> Vec<ParamSpec> {
    let (d, d_ff, d_kv) = (plan.d_model, plan.d_ff, plan.kv_heads * plan.d_head());
    let multiplier = plan.width_multiplier();
    let outer = Init::Normal(STD);
    let normal = Init::Normal(STD / multiplier.sqrt() as f32);
    let residual = Init::Normal(STD / multiplier.sqrt() as f32 / (2.0 * plan.layers as f32).sqrt());
    let (bias, layer_norm) = (plan.bias, plan.norm == Norm::Layer);
    let mut list = Layout { specs: vec![], bias, layer_norm, block_factor: 1.0 / multiplier };
    let qkv_bias = plan.has_qkv_bias();
    list.add("embedding.token", &[plan.vocab, d], outer);
    if plan.positions == Positions::Learned {
        list.add("embedding.position", &[plan.seq, d], outer);
    }
    for layer in 0..plan.layers {
        let at = |part: &str| format!("block.{layer}.{part}");
        list.norm(&at("attention.norm"), d);
        list.projection(&at("attention.query"), d, d, normal, qkv_bias);
        list.projection(&at("attention.key"), d, d_kv, normal, qkv_bias);
        list.projection(&at("attention.value"), d, d_kv, normal, qkv_bias);
        list.linear(&at("attention.out"), d, d, residual);
        list.norm(&at("mlp.norm"), d);
        if plan.mlp == Mlp::Swiglu {
            list.linear(&at("mlp.gate"), d, d_ff, normal);
        }
        list.linear(&at("mlp.up"), d, d_ff, normal);
        list.linear(&at("mlp.down"), d_ff, d, residual);
    }
    list.norm("norm", d);
    if !plan.tied_head {
        list.add("head", &[d, plan.vocab], outer);
    }
    list.specs
}

struct Layout {
    specs: Vec<ParamSpec>,
    bias: bool,
    layer_norm: bool,
    /// Factor of the learning rate of matrices in blocks.
    block_factor: f64,
}

impl Layout {
    fn add(&mut self, name: &str, shape: &[usize], init: Init) {
        self.add_scaled(name, shape, init, 1.0);
    }

    fn add_scaled(&mut self, name: &str, shape: &[usize], init: Init, learning_rate_factor: f64) {
        self.specs.push(ParamSpec { name: name.to_owned(), shape: shape.to_vec(), init, learning_rate_factor });
    }

    fn linear(&mut self, name: &str, d_in: usize, d_out: usize, init: Init) {
        self.projection(name, d_in, d_out, init, self.bias);
    }

    fn projection(&mut self, name: &str, d_in: usize, d_out: usize, init: Init, has_bias: bool) {
        self.add_scaled(name, &[d_in, d_out], init, self.block_factor);
        if has_bias {
            self.add(&format!("{name}.bias"), &[d_out], Init::Zeros);
        }
    }

    fn norm(&mut self, name: &str, d: usize) {
        self.add(name, &[d], Init::Ones);
        if self.bias && self.layer_norm {
            self.add(&format!("{name}.bias"), &[d], Init::Zeros);
        }
    }
}

/// Initial values of every parameter: a pure function of the seed and the index of the parameter.
pub fn initial(specs: &[ParamSpec], seed: u64) -> Vec<Vec<f32>> {
    let fill = |(index, spec): (usize, &ParamSpec)| match spec.init {
        Init::Normal(std) => normal(seed, index as u64, spec.len(), std),
        Init::Ones => vec![1.0; spec.len()],
        Init::Zeros => vec![0.0; spec.len()],
    };
    specs.iter().enumerate().map(fill).collect()
}

/// Normal numbers of `stream`, computed on all cores.
fn normal(seed: u64, stream: u64, len: usize, std: f32) -> Vec<f32> {
    let mut values = vec![0.0; len];
    values.par_chunks_mut(INITIAL_PART).enumerate().for_each(|(part, values)| {
        let numbers = Normals::new(seed, stream).skip_pairs((part * INITIAL_PART / 2) as u64);
        values.iter_mut().zip(numbers).for_each(|(value, z)| *value = z * std);
    });
    values
}

/// The [`initial`] values on a device.
pub fn initial_on(specs: &[ParamSpec], seed: u64, device: &Device) -> Vec<Tensor<1>> {
    initial(specs, seed).into_iter().map(|values| upload(values, device)).collect()
}

/// Total number of values of all parameters.
pub fn count(specs: &[ParamSpec]) -> u64 {
    specs.iter().map(|spec| spec.len() as u64).sum()
}

/// A flat tensor on a device.
pub fn upload(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
}

/// Parameters by name, for the forward pass: flat tensors that are reshaped when they are read.
#[derive(Debug, Clone)]
pub struct Weights {
    /// Index and shape of each parameter.
    layout: std::sync::Arc<HashMap<String, (usize, Vec<usize>)>>,
    /// One flat tensor for each parameter, in the model's order.
    pub flat: Vec<Tensor<1>>,
}

impl Weights {
    /// The weights of this layout with these values.
    pub fn new(specs: &[ParamSpec], flat: Vec<Tensor<1>>) -> Self {
        let layout =
            specs.iter().enumerate().map(|(index, spec)| (spec.name.clone(), (index, spec.shape.clone()))).collect();
        Self { layout: std::sync::Arc::new(layout), flat }
    }

    /// The same layout with other values.
    pub fn with(&self, flat: Vec<Tensor<1>>) -> Self {
        Self { layout: self.layout.clone(), flat }
    }

    /// The same values as new autodiff leaves, for one backward pass.
    pub fn leaves(&self) -> Self {
        self.with(self.flat.iter().map(|values| values.clone().autodiff().require_grad()).collect())
    }

    /// Whether the weights are on the CPU.
    pub fn are_on_cpu(&self) -> bool {
        self.flat.first().is_some_and(|values| values.device().inner() == Device::flex())
    }

    /// Index in [`Self::flat`] and shape of a parameter; `None` if the plan does not have it.
    pub fn place(&self, name: &str) -> Option<(usize, &[usize])> {
        self.layout.get(name).map(|(index, shape)| (*index, &shape[..]))
    }

    /// A matrix by name.
    ///
    /// # Panics
    /// On a name that is not in the layout: the decoder and the layout are written together, and a test builds every preset.
    pub fn matrix(&self, name: &str) -> Tensor<2> {
        let (index, shape) = &self.layout[name];
        self.flat[*index].clone().reshape([shape[0], shape[1]])
    }

    /// A gain or bias by name; `None` if the plan does not have it.
    pub fn vector(&self, name: &str) -> Option<Tensor<1>> {
        self.layout.get(name).map(|(index, _)| self.flat[*index].clone())
    }
}
