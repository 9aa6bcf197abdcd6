//! The decoder, in execution order: embedding, blocks of attention and MLP, norm, head, loss. Comments give the shape after
//! each reshape.

use burn::tensor::module::{embedding, linear};
use burn::tensor::{Bool, Device, FloatDType, Int, Tensor, TensorData, activation};
use wire::hyperparameters::recipe::Precision;
use wire::model::{Mlp, ModelPlan, Positions};

use crate::device::format_of;
use crate::kernels::dispatch::Operators;
use crate::kernels::fused;
use crate::kernels::random::Counter;
use crate::kernels::reference::{HeadLoss, LOGITS_PER_CHUNK, Loss, repeat_kv, rms, soft_cap};
use crate::model::hook::{Hook, HookPoint};
use crate::model::params::Weights;

/// Added to the mean square of queries and keys in QK-norm.
pub(super) const HEAD_EPS: f64 = 1e-6;

/// Dropout of one forward pass in training.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    /// Fraction of activations that are set to zero.
    pub rate: f64,
    /// Seed of the masks of this pass.
    pub key: u64,
}

/// The key-value cache of generation: keys and values of the tokens so far, one pair for each block.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    blocks: Vec<(Tensor<4>, Tensor<4>)>,
}

impl Cache {
    /// Number of cached tokens.
    pub fn len(&self) -> usize {
        self.blocks.first().map_or(0, |(key, _)| key.dims()[2])
    }

    /// Whether the cache has no token yet.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}

/// One pass through the model.
pub struct Decoder<'a> {
    plan: &'a ModelPlan,
    weights: &'a Weights,
    dropout: Option<Dropout>,
    hook: Option<&'a dyn Hook>,
    operators: Operators,
    /// Format of the factors of the products with weights; `None` for that of the weights.
    format: Option<FloatDType>,
}

impl<'a> Decoder<'a> {
    /// A pass without dropout.
    pub fn new(plan: &'a ModelPlan, weights: &'a Weights) -> Self {
        let operators = Operators::without_gradients(weights.are_on_cpu());
        Self { plan, weights, dropout: None, hook: None, operators, format: None }
    }

    /// A training pass, with the factors of the products with weights in the format of `precision`.
    pub fn training(plan: &'a ModelPlan, weights: &'a Weights, dropout: Option<Dropout>, precision: Precision) -> Self {
        let operators = Operators::with_gradients(weights.are_on_cpu());
        Self { dropout, operators, format: format_of(precision), ..Self::new(plan, weights) }
    }

    /// A pass with a hook.
    pub fn hooked(plan: &'a ModelPlan, weights: &'a Weights, hook: &'a dyn Hook) -> Self {
        Self { hook: Some(hook), ..Self::new(plan, weights) }
    }

    fn hook(&self, point: HookPoint, x: Tensor<3>) -> Tensor<3> {
        match self.hook {
            Some(hook) => hook.activation(point, x),
            None => x,
        }
    }

    /// Computes the final, normalized residual stream from tokens.
    ///
    /// # Shapes
    /// `[batch, seq]` to `[batch, seq, d_model]`; with a cache, `seq` new tokens after the cached ones.
    pub fn residual(&self, tokens: Tensor<2, Int>, mut cache: Option<&mut Cache>) -> Tensor<3> {
        let before = cache.as_ref().map_or(0, |cache| cache.len());
        let mut x = self.embed(tokens, before);
        let rotary = self.rotary(&x, before);
        for layer in 0..self.plan.layers {
            x = self.block(x, layer, rotary.as_ref(), cache.as_deref_mut());
        }
        self.last_norm(x)
    }

    /// The residual stream before the first block, of tokens after `before` cached ones.
    ///
    /// # Shapes
    /// `[batch, seq]` to `[batch, seq, d_model]`.
    pub(super) fn embed(&self, tokens: Tensor<2, Int>, before: usize) -> Tensor<3> {
        let [_, seq] = tokens.dims();
        let x = embedding(self.weights.matrix("embedding.token"), tokens); // [batch, seq, d_model]
        let mut x = self.hook(HookPoint::Embed { first: before }, x);
        if self.plan.positions == Positions::Learned {
            let position = self.weights.matrix("embedding.position").slice([before..before + seq]);
            x = x + position.unsqueeze_dim(0); // [1, seq, d_model]
        }
        self.hook(HookPoint::ResidPre, self.drop(x, 0))
    }

    /// The tables of rotary positions for this residual stream; `None` for a model with other positions.
    pub(super) fn rotary(&self, x: &Tensor<3>, before: usize) -> Option<Rotary> {
        let [_, seq, _] = x.dims();
        (self.plan.positions == Positions::Rotary).then(|| Rotary::new(self.plan, before, seq, &x.device()))
    }

    /// A block: attention and MLP, each on the normalized residual stream, to which it is added.
    ///
    /// # Shapes
    /// `[batch, seq, d_model]` to the same.
    pub(super) fn block(
        &self,
        x: Tensor<3>,
        layer: usize,
        rotary: Option<&Rotary>,
        cache: Option<&mut Cache>,
    ) -> Tensor<3> {
        let at = |part: &str| format!("block.{layer}.{part}");
        let normed = self.norm(x.clone(), &at("attention.norm"));
        let attention = self.attend(normed, layer, rotary, cache);
        let attention = self.hook(HookPoint::AttnOut(layer), attention);
        let x = self.hook(HookPoint::ResidMid(layer), x + self.drop(attention, 2 * layer as u64 + 1));
        let normed = self.norm(x.clone(), &at("mlp.norm"));
        let mlp = self.mlp(normed, layer);
        let mlp = self.hook(HookPoint::MlpOut(layer), mlp);
        self.hook(HookPoint::ResidPost(layer), x + self.drop(mlp, 2 * layer as u64 + 2))
    }

    fn last_norm(&self, x: Tensor<3>) -> Tensor<3> {
        self.hook(HookPoint::FinalNorm, self.norm(x, "norm"))
    }

    /// The logit lens: final norm and unembedding of the residual stream after any block (nostalgebraist 2020).
    ///
    /// # Shapes
    /// `[rows, d_model]` to `[rows, vocab]`.
    pub fn early_logits(&self, stream: Tensor<2>) -> Tensor<2> {
        let [rows, d_model] = stream.dims();
        let normed = self.norm(stream.reshape([1, rows, d_model]), "norm");
        self.head(normed.reshape([rows, d_model]))
    }

    /// `-ln p(target)` of each token, nats.
    ///
    /// # Shapes
    /// `[batch, seq]` tokens and targets to `[batch * seq]`.
    pub fn token_nats(&self, tokens: Tensor<2, Int>, targets: Tensor<2, Int>) -> Tensor<1> {
        let [batch, seq] = tokens.dims();
        let rows = batch * seq;
        let x = self.residual(tokens, None).reshape([rows, self.plan.d_model]);
        let targets = targets.reshape([rows, 1]);
        let per_chunk = (LOGITS_PER_CHUNK / self.plan.vocab).max(1);
        let nats = (0..rows).step_by(per_chunk).map(|from| {
            let chunk = from..(from + per_chunk).min(rows);
            let (logits, targets) =
                (self.head(x.clone().slice_dim(0, chunk.clone())), targets.clone().slice_dim(0, chunk.clone()));
            match self.operators == Operators::Cpu {
                true => fused::cross_entropy(logits, targets),
                false => -activation::log_softmax(logits, 1).gather(1, targets).reshape([chunk.len()]), // [chunk]
            }
        });
        Tensor::cat(nats.collect(), 0)
    }

    /// Computes logits from the residual stream, soft-capped if the plan has a soft cap.
    ///
    /// # Shapes
    /// `[rows, d_model]` to `[rows, vocab]`.
    pub fn head(&self, x: Tensor<2>) -> Tensor<2> {
        let (x, matrix) = self.head_factors(x);
        let logits = self.product(x, matrix);
        soft_cap(logits, self.plan.logit_softcap)
    }

    /// The factors whose product is the logits: the residual stream, scaled if the plan has muP, and the matrix of the head.
    fn head_factors(&self, x: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let matrix = if self.plan.tied_head {
            self.weights.matrix("embedding.token").transpose()
        } else {
            self.weights.matrix("head")
        };
        let multiplier = self.plan.width_multiplier();
        (if multiplier == 1.0 { x } else { x / multiplier }, matrix)
    }

    /// The product of two matrices in the format of the products.
    fn product(&self, a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
        match self.format {
            None => a.matmul(b),
            Some(format) => a.cast(format).matmul(b.cast(format)).cast(FloatDType::F32),
        }
    }

    /// Sums over all tokens: the objective of training, and `-ln p(target)` in nats; they differ by `z_loss` times the squared
    /// log-partition function.
    ///
    /// # Shapes
    /// `[batch, seq]` tokens and targets to two `[1]`. Computed in chunks if the logits are too large for one buffer.
    pub fn loss_sum(&self, tokens: Tensor<2, Int>, targets: Tensor<2, Int>, z_loss: f64) -> Loss {
        self.loss_of(self.residual(tokens, None), targets, z_loss)
    }

    /// [`Self::loss_sum`] of the residual stream after the last block.
    pub(super) fn loss_after_blocks(&self, x: Tensor<3>, targets: Tensor<2, Int>, z_loss: f64) -> Loss {
        self.loss_of(self.last_norm(x), targets, z_loss)
    }

    fn loss_of(&self, x: Tensor<3>, targets: Tensor<2, Int>, z_loss: f64) -> Loss {
        let [batch, seq, d_model] = x.dims();
        let rows = batch * seq;
        let x = x.reshape([rows, d_model]);
        let targets = targets.reshape([rows, 1]);
        let (x, matrix) = self.head_factors(x);
        let head = HeadLoss { cap: self.plan.logit_softcap, z_loss };
        self.operators.head_loss(x, matrix, targets, head, &|a, b| self.product(a, b))
    }

    fn norm(&self, x: Tensor<3>, name: &str) -> Tensor<3> {
        let gain = self.weights.vector(name).expect("every norm has a gain in the layout");
        let bias = self.weights.vector(&format!("{name}.bias"));
        let x = self.operators.norm(self.plan.norm, x, gain, self.plan.eps());
        match bias {
            Some(bias) => x + bias.unsqueeze(),
            None => x,
        }
    }

    /// The product with a matrix, plus its bias. `x` is a [`Self::factor`].
    fn linear(&self, x: Tensor<3>, name: &str) -> Tensor<3> {
        let (matrix, bias) = (self.weights.matrix(name), self.weights.vector(&format!("{name}.bias")));
        let Some(format) = self.format else { return linear(x, matrix, bias) };
        let product = linear(x, matrix.cast(format), None).cast(FloatDType::F32);
        match bias {
            Some(bias) => product + bias.unsqueeze(),
            None => product,
        }
    }

    /// Rounds the factor of a product to the format of the products. One rounded copy serves all products with the same factor.
    fn factor(&self, x: Tensor<3>) -> Tensor<3> {
        match self.format {
            Some(format) => x.cast(format),
            None => x,
        }
    }

    fn attend(&self, x: Tensor<3>, layer: usize, rotary: Option<&Rotary>, cache: Option<&mut Cache>) -> Tensor<3> {
        let [batch, seq, _] = x.dims();
        let d_head = self.plan.d_head();
        let heads = |x: Tensor<3>, count: usize| x.reshape([batch, seq, count, d_head]).swap_dims(1, 2); // [batch, count, seq, d_head]
        let at = |part: &str| format!("block.{layer}.attention.{part}");
        let x = self.factor(x);
        let mut query = heads(self.linear(x.clone(), &at("query")), self.plan.heads);
        let mut key = heads(self.linear(x.clone(), &at("key")), self.plan.kv_heads);
        let mut value = heads(self.linear(x, &at("value")), self.plan.kv_heads);
        if self.plan.qk_norm {
            (query, key) = (rms(query, HEAD_EPS), rms(key, HEAD_EPS));
        }
        if let Some(rotary) = rotary {
            (query, key) = (rotary.rotate(query), rotary.rotate(key));
        }
        if let Some(cache) = cache {
            if let Some((old_key, old_value)) = cache.blocks.get(layer).cloned() {
                key = Tensor::cat(vec![old_key, key], 2);
                value = Tensor::cat(vec![old_value, value], 2);
                cache.blocks[layer] = (key.clone(), value.clone());
            } else {
                cache.blocks.push((key.clone(), value.clone()));
            }
        }
        let is_whole = key.dims()[2] == seq;
        let mixed = match self.hook.filter(|_| is_whole) {
            Some(hook) => self.hooked_attention(hook, query, key, value, layer),
            None => self.operators.attention(query, key, value, self.plan.attention_scale()),
        };
        self.linear(self.factor(self.hook(HookPoint::Z(layer), mixed)), &at("out"))
    }

    /// Attention with the scores and the pattern that a hook reads.
    ///
    /// # Shapes
    /// `[batch, heads, seq, d_head]` and twice `[batch, kv_heads, seq, d_head]` to `[batch, seq, d_model]`.
    fn hooked_attention(
        &self,
        hook: &dyn Hook,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        layer: usize,
    ) -> Tensor<3> {
        let [batch, heads, seq, _] = query.dims();
        let (scores, pattern) = self.pattern(query, repeat_kv(key, heads));
        hook.attention(HookPoint::AttnScores(layer), &scores);
        hook.attention(HookPoint::Pattern(layer), &pattern);
        let mixed = pattern.matmul(repeat_kv(value, heads));
        mixed.swap_dims(1, 2).reshape([batch, seq, self.plan.d_model])
    }

    /// Attention scores and pattern, which the fused operators of training do not return.
    ///
    /// # Shapes
    /// `[batch, heads, seq, d_head]` twice to `[batch, heads, seq, seq]` twice.
    fn pattern(&self, query: Tensor<4>, key: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let [batch, heads, seq, _] = query.dims();
        let scale = self.plan.attention_scale() as f32;
        let scores = query.matmul(key.transpose()); // [batch, heads, seq, seq]
        if self.operators == Operators::Cpu {
            return (scores.clone() * scale, fused::causal_softmax(scores, scale));
        }
        let logits = scores * scale;
        let future = Tensor::<2, Bool>::tril_mask([seq, seq], 0, &logits.device()).unsqueeze::<4>();
        let allowed = logits.clone().mask_fill(future.expand([batch, heads, seq, seq]), f32::NEG_INFINITY);
        (logits, activation::softmax(allowed, 3))
    }

    fn mlp(&self, x: Tensor<3>, layer: usize) -> Tensor<3> {
        let at = |part: &str| format!("block.{layer}.mlp.{part}");
        let x = self.factor(x);
        let up = self.linear(x.clone(), &at("up"));
        let hooked = |x: Tensor<3>| self.hook(HookPoint::MlpPre(layer), x);
        let neurons = match self.plan.mlp {
            Mlp::Gelu => self.operators.gelu(hooked(up)),
            Mlp::GeluExact => activation::gelu(hooked(up)),
            Mlp::Swiglu => self.operators.swiglu(hooked(self.linear(x, &at("gate"))), up),
        };
        self.linear(self.factor(self.hook(HookPoint::MlpPost(layer), neurons)), &at("down"))
    }

    /// Inverted dropout. The mask is a pure function of the key of the pass and of `stream`, so that a resumed run repeats it.
    fn drop(&self, x: Tensor<3>, stream: u64) -> Tensor<3> {
        let Some(Dropout { rate, key }) = self.dropout else { return x };
        let dims = x.dims();
        let keep = (1.0 / (1.0 - rate)) as f32;
        let mut random = Counter::new(key, stream);
        let mask: Vec<f32> =
            (0..dims.iter().product()).map(|_| if random.uniform() < rate { 0.0 } else { keep }).collect();
        let mask = Tensor::<3>::from_data(TensorData::new(mask, dims), &x.device().inner());
        // A pass without a graph has plain tensors.
        x.clone() * if x.is_autodiff() { mask.autodiff() } else { mask }
    }
}

/// Rotary positions (Su et al. 2021), halves convention as in Llama's Hugging Face weights.
pub(super) struct Rotary {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rotary {
    /// Angles of positions `from..from + seq`.
    fn new(plan: &ModelPlan, from: usize, seq: usize, device: &Device) -> Self {
        let half = plan.d_head() / 2;
        let frequencies: Vec<f64> = (0..half).map(|pair| plan.rotary_frequency(pair)).collect();
        let table = |f: fn(f64) -> f64| {
            let row = |position: usize| frequencies.iter().map(move |frequency| f(position as f64 * frequency) as f32);
            let values: Vec<f32> = (from..from + seq).flat_map(row).collect();
            Tensor::<4>::from_data(TensorData::new(values, [1, 1, seq, half]), device)
        };
        Self { cos: table(f64::cos), sin: table(f64::sin) }
    }

    fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let half = x.dims()[3] / 2;
        let first = x.clone().slice_dim(3, 0..half);
        let second = x.slice_dim(3, half..2 * half);
        let rotated_first = first.clone() * self.cos.clone() - second.clone() * self.sin.clone();
        let rotated_second = second * self.cos.clone() + first * self.sin.clone();
        Tensor::cat(vec![rotated_first, rotated_second], 3)
    }
}
