//! The layers of a plan: which operator of [`crate::kernels::cpu`] works on which parameters, and for which operator its time counts.

use wire::hyperparameters::recipe::Precision;
use wire::model::{Mlp, ModelPlan, Norm as NormKind, Positions};
use wire::run::operators::{Operator, Phase};

use super::workspace::Normed;
use crate::device::operator_times::timed;
use crate::kernels::cpu::linear::{Linear, sum_rows};
use crate::kernels::cpu::norm::Norm;
use crate::kernels::cpu::row;
use crate::model::params::Weights;
use crate::model::variant::{Part, Variant};

/// The values of all parameters and the buffers of their gradients, in the model's order.
pub(super) struct Parameters<'a> {
    pub(super) weights: Vec<&'a [f32]>,
    pub(super) gradients: Vec<&'a mut [f32]>,
}

/// A linear layer.
pub(super) struct Projection {
    operator: Operator,
    linear: Linear,
    weight: usize,
    bias: Option<usize>,
    /// Whether sums are passes of their own.
    is_plain: bool,
}

impl Projection {
    fn new(weights: &Weights, name: &str, operator: Operator, precision: Precision, variant: Variant) -> Self {
        let (weight, shape) = weights.place(name).expect("the layout has every matrix of the plan");
        let linear = Linear { d_in: shape[0], d_out: shape[1], precision };
        let bias = weights.place(&format!("{name}.bias")).map(|(index, _)| index);
        Self { operator, linear, weight, bias, is_plain: variant.is_plain(Part::Sums) }
    }

    fn bias<'a>(&self, parameters: &Parameters<'a>) -> Option<&'a [f32]> {
        self.bias.map(|bias| parameters.weights[bias])
    }

    /// `[rows, d_in]` to `[rows, d_out]`.
    pub(super) fn forward(&self, parameters: &Parameters, x: &[f32], y: &mut [f32]) {
        let (weight, bias) = (parameters.weights[self.weight], self.bias(parameters));
        timed(Phase::Forward, self.operator, || match self.is_plain {
            true => self.linear.plain_forward(None, x, weight, bias, y),
            false => self.linear.forward(x, weight, bias, y),
        });
    }

    /// The same, added to `before`.
    pub(super) fn forward_after(&self, parameters: &Parameters, before: &[f32], x: &[f32], y: &mut [f32]) {
        let (weight, bias) = (parameters.weights[self.weight], self.bias(parameters));
        timed(Phase::Forward, self.operator, || match self.is_plain {
            true => self.linear.plain_forward(Some(before), x, weight, bias, y),
            false => self.linear.forward_after(before, x, weight, bias, y),
        });
    }

    /// `[d_in]` to `[d_out]`, by several threads if the matrix is large. Outside steps, so it is not timed.
    pub(super) fn forward_row(&self, parameters: &Parameters, x: &[f32], y: &mut [f32]) {
        match self.bias(parameters) {
            Some(bias) => y.copy_from_slice(bias),
            None => y.fill(0.0),
        }
        row::add_product(x, parameters.weights[self.weight], y);
    }

    /// Gradients of parameters and input; that of the input is written or added.
    pub(super) fn backward(&self, parameters: &mut Parameters, x: &[f32], dy: &[f32], dx: &mut [f32], is_added: bool) {
        self.parameter_gradients(parameters, x, dy);
        self.input_gradient(parameters, dy, dx, is_added);
    }

    pub(super) fn parameter_gradients(&self, parameters: &mut Parameters, x: &[f32], dy: &[f32]) {
        timed(Phase::Backward, self.operator, || {
            self.linear.weight_gradient(x, dy, parameters.gradients[self.weight]);
            if let Some(bias) = self.bias {
                sum_rows(dy, parameters.gradients[bias]);
            }
        });
    }

    pub(super) fn input_gradient(&self, parameters: &Parameters, dy: &[f32], dx: &mut [f32], is_added: bool) {
        let weight = parameters.weights[self.weight];
        timed(Phase::Backward, self.operator, || match self.is_plain {
            true => self.linear.plain_input_gradient(dy, weight, dx, is_added),
            false => self.linear.input_gradient(dy, weight, dx, is_added),
        });
    }
}

/// A norm of the residual stream.
pub(super) struct Normalization {
    norm: Norm,
    gain: usize,
    bias: Option<usize>,
    /// Whether each operation is a pass of its own.
    is_plain: bool,
}

impl Normalization {
    fn new(plan: &ModelPlan, weights: &Weights, name: &str, variant: Variant) -> Self {
        let (gain, _) = weights.place(name).expect("every norm has a gain in the layout");
        let norm = Norm { eps: plan.eps() as f32, is_centred: plan.norm == NormKind::Layer };
        let bias = weights.place(&format!("{name}.bias")).map(|(index, _)| index);
        Self { norm, gain, bias, is_plain: variant.is_plain(Part::Norm) }
    }

    /// `[rows, d_model]` to the same.
    pub(super) fn forward(&self, parameters: &Parameters, x: &[f32], to: &mut Normed) {
        let (gain, bias) = (parameters.weights[self.gain], self.bias.map(|bias| parameters.weights[bias]));
        timed(Phase::Forward, Operator::Norm, || match self.is_plain {
            true => self.norm.plain_forward(x, gain, bias, &mut to.values, &mut to.centres),
            false => self.norm.forward(x, gain, bias, &mut to.values, &mut to.centres),
        });
    }

    /// Gradients of gain and bias; that of the input is added to `dx`.
    pub(super) fn backward(&self, parameters: &mut Parameters, x: &[f32], kept: &Normed, dy: &[f32], dx: &mut [f32]) {
        let gain = parameters.weights[self.gain];
        timed(Phase::Backward, Operator::Norm, || {
            let dgain = &mut *parameters.gradients[self.gain];
            match self.is_plain {
                true => self.norm.plain_backward(x, gain, &kept.centres, dy, dx, dgain),
                false => self.norm.backward(x, gain, &kept.centres, dy, dx, dgain),
            }
            if let Some(bias) = self.bias {
                sum_rows(dy, parameters.gradients[bias]);
            }
        });
    }
}

/// The layers of one transformer block.
pub(super) struct Block {
    pub(super) attention_norm: Normalization,
    pub(super) query: Projection,
    pub(super) key: Projection,
    pub(super) value: Projection,
    pub(super) out: Projection,
    pub(super) mlp_norm: Normalization,
    /// With SwiGLU.
    pub(super) gate: Option<Projection>,
    pub(super) up: Projection,
    pub(super) down: Projection,
}

/// All layers of a plan. Token, position and head are indices of parameters.
pub(super) struct Layers {
    /// Of the factors of products with weights.
    pub(super) precision: Precision,
    pub(super) token: usize,
    pub(super) position: Option<usize>,
    pub(super) blocks: Vec<Block>,
    pub(super) norm: Normalization,
    /// The matrix of the head; that of the token embedding if they are tied.
    pub(super) head: usize,
}

impl Layers {
    pub(super) fn new(plan: &ModelPlan, weights: &Weights, precision: Precision, variant: Variant) -> Self {
        let index = |name: &str| weights.place(name).expect("the layout has every matrix of the plan").0;
        let token = index("embedding.token");
        Self {
            precision,
            token,
            position: (plan.positions == Positions::Learned).then(|| index("embedding.position")),
            blocks: (0..plan.layers).map(|layer| Block::new(plan, weights, precision, variant, layer)).collect(),
            norm: Normalization::new(plan, weights, "norm", variant),
            head: if plan.tied_head { token } else { index("head") },
        }
    }
}

impl Block {
    fn new(plan: &ModelPlan, weights: &Weights, precision: Precision, variant: Variant, layer: usize) -> Self {
        let projection = |part: &str, operator: Operator| {
            Projection::new(weights, &format!("block.{layer}.{part}"), operator, precision, variant)
        };
        let norm = |part: &str| Normalization::new(plan, weights, &format!("block.{layer}.{part}"), variant);
        Self {
            attention_norm: norm("attention.norm"),
            query: projection("attention.query", Operator::Qkv),
            key: projection("attention.key", Operator::Qkv),
            value: projection("attention.value", Operator::Qkv),
            out: projection("attention.out", Operator::AttentionOutput),
            mlp_norm: norm("mlp.norm"),
            gate: (plan.mlp == Mlp::Swiglu).then(|| projection("mlp.gate", Operator::Mlp)),
            up: projection("mlp.up", Operator::Mlp),
            down: projection("mlp.down", Operator::Mlp),
        }
    }
}
