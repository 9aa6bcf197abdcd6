//! Operators of the decoder by burn's operators, on any device and with gradients by autodiff: the reference implementations of [`super::gpu`].
//! [`super::dispatch`] chooses between them.

use burn::tensor::module;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Int, Tensor, activation};

/// Maximum number of logits in one chunk: a storage binding on a GPU is limited to about 2 GiB, and the loss needs several.
pub const LOGITS_PER_CHUNK: usize = 96 * 1024 * 1024;

/// Constants of the loss.
#[derive(Debug, Clone, Copy)]
pub struct HeadLoss {
    /// Soft cap of the logits; 0 for none.
    pub cap: f64,
    /// Weight of the squared log-partition function.
    pub z_loss: f64,
}

/// Two sums over the tokens of a batch, each `[1]`.
pub struct Loss {
    /// The sum that training minimizes: `nats`, plus the z-loss.
    pub objective: Tensor<1>,
    /// Negative log-likelihood, nats.
    pub nats: Tensor<1>,
}

/// The coefficients of an AdamW step of one parameter.
#[derive(Debug, Clone, Copy)]
pub struct AdamwStep {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Learning rate with the bias correction of the first moment.
    pub rate: f64,
    /// Inverse root of the bias correction of the second moment.
    pub second_scale: f64,
    /// Factor of the weight: 1 less its decay.
    pub keep: f64,
}

/// A product of two matrices in the precision of the run.
pub type Product<'a> = &'a dyn Fn(Tensor<2>, Tensor<2>) -> Tensor<2>;

/// Root-mean-square normalization over the last dimension, without a gain (Zhang and Sennrich 2019).
pub fn rms<const D: usize>(x: Tensor<D>, eps: f64) -> Tensor<D> {
    let mean_square = x.clone().square().mean_dim(D - 1);
    x / (mean_square + eps).sqrt()
}

/// Attention of the last queries to all keys; causal if there are several queries.
///
/// # Shapes
/// Queries `[batch, heads, seq, d_head]`, keys and values `[batch, kv_heads, keys, d_head]` to `[batch, seq, heads * d_head]`.
pub fn attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, scale: f64) -> Tensor<3> {
    let [batch, heads, seq, d_head] = query.dims();
    let (key, value) = (repeat_kv(key, heads), repeat_kv(value, heads));
    let options = AttentionModuleOptions { is_causal: seq > 1, scale: Some(scale), ..Default::default() };
    let mixed = module::attention(query, key, value, None, None, options);
    mixed.swap_dims(1, 2).reshape([batch, seq, heads * d_head])
}

/// Repeats each key-value head for its group of query heads.
///
/// # Shapes
/// `[batch, kv_heads, seq, d_head]` to `[batch, heads, seq, d_head]`.
pub fn repeat_kv(x: Tensor<4>, heads: usize) -> Tensor<4> {
    let [batch, kv_heads, seq, d_head] = x.dims();
    if kv_heads == heads {
        return x;
    }
    x.unsqueeze_dim::<5>(2).repeat_dim(2, heads / kv_heads).reshape([batch, heads, seq, d_head])
}

/// The soft cap of logits; they are returned if `cap` is 0.
pub fn soft_cap(logits: Tensor<2>, cap: f64) -> Tensor<2> {
    if cap > 0.0 { (logits / cap).tanh() * cap } else { logits }
}

/// The head with its loss, summed over all rows, in chunks if the logits are too large for one buffer.
///
/// # Shapes
/// `x` `[rows, d_model]`, `matrix` `[d_model, vocab]`, `targets` `[rows, 1]`.
pub fn head_loss(
    x: Tensor<2>,
    matrix: Tensor<2>,
    targets: Tensor<2, Int>,
    head: HeadLoss,
    product: Product<'_>,
) -> Loss {
    let ([rows, _], [_, vocab]) = (x.dims(), matrix.dims());
    let per_chunk = (LOGITS_PER_CHUNK / vocab).max(1);
    let of_chunk = |from: usize| {
        let chunk = from..(from + per_chunk).min(rows);
        let logits = product(x.clone().slice_dim(0, chunk.clone()), matrix.clone());
        cross_entropy(soft_cap(logits, head.cap), targets.clone().slice_dim(0, chunk), head.z_loss)
    };
    (per_chunk..rows).step_by(per_chunk).fold(of_chunk(0), |sum, from| {
        let next = of_chunk(from);
        Loss { objective: sum.objective + next.objective, nats: sum.nats + next.nats }
    })
}

fn cross_entropy(logits: Tensor<2>, targets: Tensor<2, Int>, z_loss: f64) -> Loss {
    let log_p = activation::log_softmax(logits.clone(), 1).gather(1, targets.clone()); // [rows, 1]
    let nats = -log_p.clone().sum();
    if z_loss == 0.0 {
        return Loss { objective: nats.clone(), nats };
    }
    let log_partition = logits.gather(1, targets) - log_p;
    Loss { objective: nats.clone() + log_partition.square().sum() * z_loss, nats }
}

/// AdamW: the new weight and moments, or the old ones where `scale` is 0.
///
/// # Shapes
/// Weight, moments and gradient `[n]`, `scale` `[1]`.
pub fn adamw(
    [weight, first, second]: [Tensor<1>; 3],
    gradient: Tensor<1>,
    scale: Tensor<1>,
    step: AdamwStep,
) -> [Tensor<1>; 3] {
    let is_skipped = scale.clone().equal_elem(0.0).expand(weight.dims());
    let gradient = gradient * scale;
    let new_first = first.clone() * step.beta1 + gradient.clone() * (1.0 - step.beta1);
    let new_second = second.clone() * step.beta2 + gradient.square() * (1.0 - step.beta2);
    let root = new_second.clone().sqrt() * step.second_scale + step.eps;
    let new_weight = weight.clone() * step.keep - new_first.clone() / root * step.rate;
    [(new_weight, weight), (new_first, first), (new_second, second)]
        .map(|(new, old)| new.mask_where(is_skipped.clone(), old))
}
