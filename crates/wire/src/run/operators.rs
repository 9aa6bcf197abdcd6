//! The operators of a training step on the CPU, and the arithmetic and memory traffic of each by the sizes of a plan.
//!
//! Each addition, multiplication, division, comparison, root and exponential of a formula counts as one floating-point operation. Attention
//! counts the keys up to each query, and backward computes the scores again. The bytes of an operator are those of its inputs and outputs in
//! 32-bit floats, each counted once: a lower bound. Logits, attention scores and what else stays in a cache are not counted.

use serde::{Deserialize, Serialize};

use crate::hyperparameters::recipe::{OptimizerKind, Recipe};
use crate::model::{Mlp, ModelPlan, Norm, Positions};
use crate::run::plan::RunPlan;
use crate::series::name;

/// A phase of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Batch,
    Forward,
    Backward,
    Optimizer,
}

impl Phase {
    /// All phases, in the order of a step.
    pub const ALL: [Self; 4] = [Self::Batch, Self::Forward, Self::Backward, Self::Optimizer];

    /// Label, for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Batch => "data loading",
            _ => self.name(),
        }
    }

    /// Name in series, as in JSON.
    fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::Optimizer => "optimizer",
        }
    }
}

/// An operator of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// Reading the tokens of the batch.
    Batch,
    Embedding,
    Dropout,
    /// Norms of the residual stream, and QK-norm.
    Norm,
    /// Projections to queries, keys and values.
    Qkv,
    /// Rotation of queries and keys.
    Rotary,
    Attention,
    /// Output projection of attention.
    AttentionOutput,
    /// Up, gate and down projections.
    Mlp,
    Activation,
    /// Output projection to logits, and cross-entropy. Forward computes the gradient of the logits too.
    Head,
    /// Sum of the gradients of replicas and micro-batches, and the squares of its values for the global norm.
    GradientSum,
    /// Global norm for clipping, where there is one replica and one micro-batch and so no sum.
    GradientNorm,
    /// Update of moments and weights.
    Update,
}

impl Operator {
    /// All operators, in the order of a step.
    pub const ALL: [Self; 14] = [
        Self::Batch,
        Self::Embedding,
        Self::Dropout,
        Self::Norm,
        Self::Qkv,
        Self::Rotary,
        Self::Attention,
        Self::AttentionOutput,
        Self::Mlp,
        Self::Activation,
        Self::Head,
        Self::GradientSum,
        Self::GradientNorm,
        Self::Update,
    ];

    /// Label, for people.
    pub fn label(self) -> &'static str {
        self.words().1
    }

    /// Name in series, as in JSON, and label.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Batch => ("batch", "batch"),
            Self::Embedding => ("embedding", "embedding"),
            Self::Dropout => ("dropout", "dropout"),
            Self::Norm => ("norm", "norms"),
            Self::Qkv => ("qkv", "QKV product"),
            Self::Rotary => ("rotary", "RoPE"),
            Self::Attention => ("attention", "attention"),
            Self::AttentionOutput => ("attention_output", "attention output product"),
            Self::Mlp => ("mlp", "MLP products"),
            Self::Activation => ("activation", "activation"),
            Self::Head => ("head", "head and loss"),
            Self::GradientSum => ("gradient_sum", "gradient sum"),
            Self::GradientNorm => ("gradient_norm", "gradient norm"),
            Self::Update => ("update", "optimizer update"),
        }
    }
}

/// The series of the times of an operator in a phase, ms.
pub fn series(phase: Phase, operator: Operator) -> String {
    format!("{}{}.{}", name::OPERATOR_MS, phase.name(), operator.words().0)
}

/// Time of an operator in a phase of a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OperatorTime {
    pub phase: Phase,
    pub operator: Operator,
    /// Milliseconds per step; of an operator that several threads compute, the mean over the threads.
    pub ms: f64,
}

/// Arithmetic and memory traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Work {
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes read and written.
    pub bytes: f64,
}

impl Work {
    /// `values`: 32-bit floats that are read or written.
    fn new(flops: f64, values: f64) -> Self {
        Self { flops, bytes: 4.0 * values }
    }

    fn plus(self, other: Self) -> Self {
        Self { flops: self.flops + other.flops, bytes: self.bytes + other.bytes }
    }

    fn times(self, count: f64) -> Self {
        Self { flops: self.flops * count, bytes: self.bytes * count }
    }
}

/// The work of each operator in one step of a plan.
#[derive(Debug, Clone)]
pub struct StepWork<'a> {
    model: &'a ModelPlan,
    optimizer: OptimizerKind,
    /// Tokens of the step.
    rows: f64,
    /// Micro-batches of the step.
    micro_batches: f64,
    /// Replicas times micro-batches; each reads all weights and writes all gradients.
    parts: f64,
}

impl<'a> StepWork<'a> {
    pub fn new(plan: &'a RunPlan) -> Self {
        Self::of_recipe(&plan.recipe)
    }

    pub fn of_recipe(recipe: &'a Recipe) -> Self {
        let batch = &recipe.batch;
        Self {
            model: &recipe.model,
            optimizer: recipe.optimizer.kind,
            rows: [batch.size, batch.accumulation, recipe.model.seq].map(|count| count as f64).iter().product(),
            micro_batches: batch.accumulation.max(1) as f64,
            parts: batch.replicas.max(1) as f64 * batch.accumulation.max(1) as f64,
        }
    }

    /// The gradient of a micro-batch of `tokens`, split over `replicas`, without an optimizer's update.
    pub fn of_gradient(model: &'a ModelPlan, tokens: usize, replicas: usize) -> Self {
        Self { model, optimizer: OptimizerKind::Adamw, rows: tokens as f64, parts: replicas as f64, micro_batches: 1.0 }
    }

    /// The work of an operator in a phase. Zero if it does not occur, and for reading a batch, which computes nothing.
    pub fn of(&self, phase: Phase, operator: Operator) -> Work {
        match phase {
            Phase::Batch => Work::default(),
            Phase::Forward => self.forward(operator),
            Phase::Backward => self.backward(operator),
            Phase::Optimizer => self.optimizer(operator),
        }
    }

    fn forward(&self, operator: Operator) -> Work {
        let (stream, hidden) = (self.stream(), self.hidden());
        match operator {
            Operator::Embedding => Work::new(self.learned(stream), 2.0 * stream + self.learned(stream)),
            Operator::Dropout => Work::new(2.0, 4.0).times(self.dropped()),
            Operator::Norm => {
                let flops = if self.model.norm == Norm::Layer { 8.0 } else { 4.0 };
                Work::new(flops, 2.0).times(self.normed()).plus(Work::new(4.0, 2.0).times(self.head_normed()))
            }
            Operator::Rotary => Work::new(3.0, 2.0).times(self.rotated()),
            Operator::Attention => self.attention(4.0, 6.0, 2.0 * self.d() + 2.0 * self.kv()),
            Operator::Activation if self.model.mlp == Mlp::Swiglu => Work::new(11.0, 5.0).times(hidden),
            Operator::Activation => Work::new(20.0, 3.0).times(hidden),
            // The end of a branch reads the residual stream.
            Operator::AttentionOutput | Operator::Mlp => {
                self.products(operator).plus(Work::new(stream, stream).times(self.layers()))
            }
            Operator::Qkv => self.products(operator),
            Operator::Head => {
                let (vocab, d) = (self.model.vocab as f64, self.d());
                Work::new(self.rows * vocab * (2.0 * d + 6.0), stream + self.parts * vocab * d)
            }
            _ => Work::default(),
        }
    }

    fn backward(&self, operator: Operator) -> Work {
        let (stream, table) = (self.stream(), self.model.vocab as f64 * self.d());
        match operator {
            Operator::Embedding => {
                // The gradient of the table is zeroed first, unless the head has written it.
                let zeroed = if self.model.tied_head { 0.0 } else { self.parts * table };
                Work::new(stream + self.learned(stream), 3.0 * stream + self.learned(stream) + zeroed)
            }
            Operator::Dropout => Work::new(1.0, 3.0).times(self.dropped()),
            Operator::Norm => {
                let flops = if self.model.norm == Norm::Layer { 14.0 } else { 11.0 };
                Work::new(flops, 4.0).times(self.normed()).plus(Work::new(6.0, 3.0).times(self.head_normed()))
            }
            Operator::Rotary => Work::new(3.0, 2.0).times(self.rotated()),
            Operator::Attention => self.attention(10.0, 9.0, 3.0 * self.d() + 4.0 * self.kv()),
            Operator::Activation if self.model.mlp == Mlp::Swiglu => Work::new(2.0, 6.0).times(self.hidden()),
            Operator::Activation => Work::new(1.0, 3.0).times(self.hidden()),
            // The gradients of weights and of inputs.
            Operator::Qkv | Operator::AttentionOutput | Operator::Mlp => self.products(operator).times(2.0),
            Operator::Head => Work::new(4.0 * self.rows * table, 2.0 * stream + 2.0 * self.parts * table),
            Operator::GradientSum => {
                // The replicas of each micro-batch are added to the sum at once; the gradient of a single first one is the sum.
                let sums = if self.parts > self.micro_batches { self.micro_batches } else { self.micro_batches - 1.0 };
                let each = self.parts - 1.0 + 2.0 * sums;
                Work::new(each, each).times(self.parameters())
            }
            _ => Work::default(),
        }
    }

    fn optimizer(&self, operator: Operator) -> Work {
        match operator {
            Operator::GradientNorm if self.parts == 1.0 => Work::new(2.0, 1.0).times(self.parameters()),
            Operator::Update => {
                let by_muon: f64 = self.muon_matrices().iter().map(|[d_in, d_out]| d_in * d_out).sum();
                let adamw = Work::new(20.0, 7.0).times(self.parameters() - by_muon * self.layers());
                let of_block = self.muon_matrices().into_iter().map(muon).fold(Work::default(), Work::plus);
                adamw.plus(of_block.times(self.layers()))
            }
            _ => Work::default(),
        }
    }

    /// The products of an operator with its weights, in one direction.
    fn products(&self, operator: Operator) -> Work {
        let product = |[d_in, d_out]: [f64; 2]| {
            let values = self.rows * (d_in + d_out) + self.parts * d_in * d_out;
            Work::new(2.0 * self.rows * d_in * d_out, values)
        };
        self.matrices(operator).into_iter().map(product).fold(Work::default(), Work::plus).times(self.layers())
    }

    /// The matrices of an operator in one block, `[d_in, d_out]`.
    fn matrices(&self, operator: Operator) -> Vec<[f64; 2]> {
        let (d, kv, d_ff) = (self.d(), self.kv(), self.model.d_ff as f64);
        match operator {
            Operator::Qkv => vec![[d, d], [d, kv], [d, kv]],
            Operator::AttentionOutput => vec![[d, d]],
            Operator::Mlp if self.model.mlp == Mlp::Swiglu => vec![[d, d_ff], [d, d_ff], [d_ff, d]],
            Operator::Mlp => vec![[d, d_ff], [d_ff, d]],
            _ => vec![],
        }
    }

    /// The matrices of a block that Muon trains.
    fn muon_matrices(&self) -> Vec<[f64; 2]> {
        if self.optimizer != OptimizerKind::Muon {
            return vec![];
        }
        [Operator::Qkv, Operator::AttentionOutput, Operator::Mlp].map(|of| self.matrices(of)).concat()
    }

    /// `per_pair`: operations of the products for each pair of query and key, per value of a head; `softmax`: other operations of a pair of
    /// a head; `width`: values of a token that are read and written, besides the logarithms of the sums.
    fn attention(&self, per_pair: f64, softmax: f64, width: f64) -> Work {
        let (heads, pairs) = (self.model.heads as f64, self.rows * (self.model.seq as f64 + 1.0) / 2.0);
        let flops = pairs * (per_pair * self.d() + softmax * heads);
        Work::new(flops, self.rows * (width + heads)).times(self.layers())
    }

    fn d(&self) -> f64 {
        self.model.d_model as f64
    }

    /// Width of all keys of a token.
    fn kv(&self) -> f64 {
        self.model.kv_heads as f64 * self.model.d_head() as f64
    }

    fn layers(&self) -> f64 {
        self.model.layers as f64
    }

    fn parameters(&self) -> f64 {
        self.model.parameters() as f64
    }

    /// Values of the residual stream.
    fn stream(&self) -> f64 {
        self.rows * self.d()
    }

    /// Neurons of all tokens and layers.
    fn hidden(&self) -> f64 {
        self.rows * self.model.d_ff as f64 * self.layers()
    }

    /// Values of all norms of the residual stream.
    fn normed(&self) -> f64 {
        self.stream() * (2.0 * self.layers() + 1.0)
    }

    /// Values of all queries and keys.
    fn queries_and_keys(&self) -> f64 {
        self.rows * (self.d() + self.kv()) * self.layers()
    }

    fn head_normed(&self) -> f64 {
        if self.model.qk_norm { self.queries_and_keys() } else { 0.0 }
    }

    fn rotated(&self) -> f64 {
        if self.model.positions == Positions::Rotary { self.queries_and_keys() } else { 0.0 }
    }

    /// Values of all dropout masks: those of the embedding and of each branch.
    fn dropped(&self) -> f64 {
        if self.model.dropout > 0.0 { self.normed() } else { 0.0 }
    }

    /// `values` with learned positions, else 0.
    fn learned(&self, values: f64) -> f64 {
        if self.model.positions == Positions::Learned { values } else { 0.0 }
    }
}

/// Five Newton-Schulz iterations on the shorter side of a matrix, momentum and update.
fn muon([d_in, d_out]: [f64; 2]) -> Work {
    let (short, long) = (d_in.min(d_out), d_in.max(d_out));
    let iteration = 4.0 * short * short * long + 2.0 * short * short * short;
    Work::new(5.0 * iteration + 10.0 * short * long, 5.0 * short * long)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::preset::find;

    fn work(model: &ModelPlan, optimizer: OptimizerKind) -> StepWork<'_> {
        StepWork { model, optimizer, rows: 768.0, micro_batches: 1.0, parts: 2.0 }
    }

    #[test]
    fn products_have_six_operations_per_weight_and_token() {
        for name in ["nanogpt-cpu", "llama-small"] {
            let model = ModelPlan { vocab: 65, ..find(name, None).unwrap().recipe.model };
            let work = work(&model, OptimizerKind::Adamw);
            let of = |phase: Phase, operator: Operator| work.of(phase, operator).flops;
            let both = |operator: Operator| of(Phase::Forward, operator) + of(Phase::Backward, operator);
            // Besides the products: the sums of the branches, and the loss.
            let stream = 768.0 * model.d_model as f64;
            let found = both(Operator::Qkv) + both(Operator::AttentionOutput) + both(Operator::Mlp)
                - 2.0 * model.layers as f64 * stream
                + both(Operator::Head)
                - 6.0 * 768.0 * 65.0;
            let gains = (2 * model.layers + 1) as f64 * model.d_model as f64;
            let weights = model.body_parameters() as f64 - gains + 65.0 * model.d_model as f64;
            assert!((found / (6.0 * 768.0 * weights) - 1.0).abs() < 1e-12, "{name}: {found} of {weights} weights");
        }
    }

    #[test]
    fn series_have_the_names_of_json() {
        assert_eq!(series(Phase::Backward, Operator::AttentionOutput), "time.operator_ms/backward.attention_output");
        for phase in Phase::ALL {
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.name());
        }
        for operator in Operator::ALL {
            assert_eq!(serde_json::to_value(operator).unwrap(), operator.words().0);
        }
        for (at, operator) in Operator::ALL.into_iter().enumerate() {
            assert_eq!(operator as usize, at);
        }
        assert!(crate::series::is_series(&series(Phase::Forward, Operator::Mlp)));
    }

    #[test]
    fn operators_occur_where_the_plan_has_them() {
        let plain = find("nanogpt-cpu", None).unwrap().recipe.model;
        let plain = ModelPlan { vocab: 65, dropout: 0.0, ..plain };
        let llama = find("llama-small", None).unwrap().recipe.model;
        let llama = ModelPlan { vocab: 65, dropout: 0.1, qk_norm: true, ..llama };
        let names = |model: &ModelPlan, phase: Phase| -> Vec<Operator> {
            let work = work(model, OptimizerKind::Adamw);
            Operator::ALL.into_iter().filter(|operator| work.of(phase, *operator).bytes > 0.0).collect()
        };
        use Operator::*;
        let of_plain = [Embedding, Norm, Qkv, Attention, AttentionOutput, Mlp, Activation, Head];
        let of_llama = [Embedding, Dropout, Norm, Qkv, Rotary, Attention, AttentionOutput, Mlp, Activation, Head];
        assert_eq!(names(&plain, Phase::Forward), of_plain);
        assert_eq!(names(&plain, Phase::Backward), [&of_plain[..], &[GradientSum]].concat());
        assert_eq!(names(&llama, Phase::Forward), of_llama);
        assert_eq!(names(&llama, Phase::Backward), [&of_llama[..], &[GradientSum]].concat());
        assert_eq!(names(&llama, Phase::Optimizer), [Update]);
        let single = StepWork { parts: 1.0, ..work(&llama, OptimizerKind::Adamw) };
        assert!(
            single.of(Phase::Backward, GradientSum).bytes == 0.0
                && single.of(Phase::Optimizer, GradientNorm).bytes > 0.0
        );
        let updates = |kind: OptimizerKind| work(&llama, kind).of(Phase::Optimizer, Update).flops;
        assert!(updates(OptimizerKind::Muon) > 10.0 * updates(OptimizerKind::Adamw));
    }
}
