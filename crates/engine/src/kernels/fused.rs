//! Operators of the decoder that pass over memory once on the CPU, where burn makes several passes: GELU, norms, causal attention and
//! softmax, cross-entropy. They are forward only: [`crate::model::cpu`] computes gradients, with the same operators over slices
//! ([`super::cpu`]).
//!
//! Each has a reference in burn's operators, which other devices and autodiff use; a test compares both.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Int, Tensor, TensorData};
use rayon::prelude::*;

use super::cpu::attention::{CausalAttention, Head, Sizes};
use super::cpu::head::Loss;
use super::cpu::norm::Norm;
use super::cpu::products::Matrix;
use super::cpu::{activation, softmax};

/// GELU, tanh form.
///
/// # Shapes
/// Any shape to the same shape.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let (shape, x) = (x.dims(), contiguous(x));
    let mut y = vec![0.0; values(&x).len()];
    activation::gelu_values(values(&x), &mut y);
    tensor(y, shape)
}

/// Layer norm over the last dimension, with a gain.
///
/// # Shapes
/// `[.., d]` and `[d]` to `[.., d]`.
pub fn layer_norm<const D: usize>(x: Tensor<D>, gain: Tensor<1>, eps: f32) -> Tensor<D> {
    normalize(Norm { eps, is_centred: true }, x, gain)
}

/// Root-mean-square norm over the last dimension, with a gain.
///
/// # Shapes
/// `[.., d]` and `[d]` to `[.., d]`.
pub fn rms_norm<const D: usize>(x: Tensor<D>, gain: Tensor<1>, eps: f32) -> Tensor<D> {
    normalize(Norm { eps, is_centred: false }, x, gain)
}

fn normalize<const D: usize>(norm: Norm, x: Tensor<D>, gain: Tensor<1>) -> Tensor<D> {
    let (shape, x, gain) = (x.dims(), contiguous(x), contiguous(gain));
    let (x, gain) = (values(&x), values(&gain));
    let (mut y, mut centres) = (vec![0.0; x.len()], vec![0.0; 2 * (x.len() / gain.len().max(1))]);
    norm.forward(x, gain, None, &mut y, &mut centres);
    tensor(y, shape)
}

/// Softmax of `scale * scores` over the keys up to the position of each query; zero after it.
///
/// # Shapes
/// `[batch, heads, seq, seq]` to the same.
pub fn causal_softmax(scores: Tensor<4>, scale: f32) -> Tensor<4> {
    let (shape, scores) = (scores.dims(), contiguous(scores));
    let mut probabilities = vec![0.0; values(&scores).len()];
    softmax::causal(values(&scores), shape[3], scale, &mut probabilities);
    tensor(probabilities, shape)
}

/// Causal attention, `softmax(scale * query key^T) value` over the keys up to the position of each query.
///
/// # Shapes
/// `[batch, heads, seq, d_head]` and twice `[batch, kv_heads, seq, d_head]` to `[batch, seq, heads * d_head]`.
pub fn causal_attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, scale: f32) -> Tensor<3> {
    let [batch, heads, seq, d_head] = query.dims();
    let sizes = Sizes { batch, heads, kv_heads: key.dims()[1], seq, d_head };
    let inputs = [query, key, value].map(|tensor| view(primitive(tensor)));
    let mut out = vec![0.0; batch * seq * heads * d_head];
    out.par_chunks_mut(seq * heads * d_head).enumerate().for_each(|(sample, out)| {
        let (mut scratch, mut log_sums) = (vec![0.0; sizes.scratch()], vec![0.0; seq]);
        for index in 0..heads {
            let kv_head = sizes.kv_head(index);
            let [query, key, value] = inputs.each_ref();
            let of_head = |tensor, head| one_head(tensor, sizes, sample, head);
            let head =
                Head { query: of_head(query, index), key: of_head(key, kv_head), value: of_head(value, kv_head) };
            let out = sizes.head(&mut out[index * d_head..], heads);
            CausalAttention { scale }.forward_head(sizes, head, out, &mut log_sums, &mut scratch);
        }
    });
    tensor(out, [batch, seq, heads * d_head])
}

/// `[seq, d_head]` of one head of `[batch, heads, seq, d_head]`.
fn one_head(tensor: &FlexTensor, sizes: Sizes, sample: usize, head: usize) -> Matrix<&[f32]> {
    let layout = tensor.layout();
    let [of_sample, of_head, down, right] = layout.strides()[..] else { unreachable!("inputs have four dimensions") };
    let from = layout.start_offset() + sample * of_sample as usize + head * of_head as usize;
    let strides = [down as usize, right as usize];
    Matrix { values: &tensor.storage()[from..], shape: [sizes.seq, sizes.d_head], strides }
}

/// `-ln softmax(logits)[target]` of each row, nats.
///
/// # Shapes
/// `[rows, vocab]` and `[rows, 1]` to `[rows]`.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<2, Int>) -> Tensor<1> {
    let [rows, vocab] = logits.dims();
    let targets: Vec<i32> = targets.into_data().iter::<i64>().map(|id| id as i32).collect();
    let (mut logits, mut nats) = (values(&contiguous(logits)).to_vec(), vec![0.0; rows]);
    let loss = Loss { scale: 1.0, cap: 0.0, z_loss: 0.0, weight: 1.0 };
    loss.forward(&mut logits, &targets, &mut vec![0.0; vocab], &mut nats);
    tensor(nats, [rows])
}

fn primitive<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    tensor.try_into_primitive::<Flex>().expect("fused operators are called on CPU tensors without autodiff only")
}

fn contiguous<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    let tensor = primitive(tensor);
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}

/// A view as it is. Strides that go backwards, and values of a broadcast, are copied.
fn view(tensor: FlexTensor) -> FlexTensor {
    if tensor.layout().strides().iter().all(|&stride| stride > 0) { tensor } else { tensor.to_contiguous() }
}

/// The values of a contiguous tensor.
fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_default()
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(FlexTensor::from_data(TensorData::new(values, shape)))
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::layer_norm as burn_layer_norm;
    use burn::tensor::{Bool, Device, Distribution, activation};

    use super::*;

    /// Two implementations of one operator agree on random values, small and large.
    fn implementations_agree<const D: usize, const E: usize>(
        shape: [usize; D],
        ours: impl Fn(Tensor<D>) -> Tensor<E>,
        burns: impl Fn(Tensor<D>) -> Tensor<E>,
    ) {
        for spread in [0.1, 1.0, 8.0] {
            let x = Tensor::<D>::random(shape, Distribution::Normal(0.0, spread), &Device::flex());
            let of = |y: Tensor<E>| y.into_data().try_to_vec::<f32>().unwrap();
            let (a, b) = (of(ours(x.clone())), of(burns(x)));
            let size = b.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
            let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
            assert!(a.len() == b.len() && worst <= 2e-5 * size, "spread {spread}: {worst} of {size}");
        }
    }

    fn row(values: impl IntoIterator<Item = f32>) -> Tensor<1> {
        let values: Vec<f32> = values.into_iter().collect();
        let len = values.len();
        tensor(values, [len])
    }

    fn arange(n: usize) -> Tensor<1> {
        row((0..n).map(|i| i as f32))
    }

    fn targets<const N: usize>(ids: [i32; N]) -> Tensor<2, Int> {
        Tensor::from_data(TensorData::new(ids.to_vec(), [N, 1]), &Device::flex())
    }

    #[test]
    fn extreme_inputs_give_zeros_and_no_subnormal_numbers() {
        let check = |name: &str, y: Tensor<1>| -> Vec<f32> {
            let y = y.into_data().try_to_vec::<f32>().unwrap();
            assert!(y.iter().all(|value| !value.is_subnormal()), "{name}: {y:?}");
            y
        };
        // The last of four queries sees all keys: the largest score, and three that are far below it.
        let scores = row([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 500.0, 412.0, 500.0, -500.0]);
        let pattern = causal_softmax(scores.reshape([1, 1, 4, 4]), 1.0).reshape([16]);
        assert_eq!(check("softmax", pattern)[12..], [0.5, 0.0, 0.5, 0.0]);
        let gate = check("gelu", gelu(row([-50.0, -12.0, -9.5, 0.0, 3.0])));
        assert_eq!((&gate[..4], gate[4] > 2.99), ([0.0; 4].as_slice(), true));
        let logits = row([90.0, 90.0, 2.0, -300.0]).reshape([1, 4]);
        check("losses", cross_entropy(logits, targets([0])));
    }

    #[test]
    fn gelu_equals_its_reference() {
        implementations_agree([3, 7, 33], gelu, activation::gelu_approximate);
        implementations_agree(
            [2, 5, 6],
            |x: Tensor<3>| gelu(x.swap_dims(1, 2)),
            |x| activation::gelu_approximate(x.swap_dims(1, 2)),
        );
    }

    #[test]
    fn norms_equal_their_reference() {
        let gain = || arange(37).sin() + 1.5;
        implementations_agree([3, 5, 37], |x| layer_norm(x, gain(), 1e-5), |x| burn_layer_norm(x, gain(), None, 1e-5));
        let rms = |x: Tensor<3>| x.clone() / (x.square().mean_dim(2) + 1e-6).sqrt() * gain().unsqueeze();
        implementations_agree([3, 5, 37], |x| rms_norm(x, gain(), 1e-6), rms);
    }

    #[test]
    fn causal_softmax_equals_its_reference() {
        let burns = |x: Tensor<4>| {
            let mask = Tensor::<2, Bool>::tril_mask([9, 9], 0, &Device::flex()).unsqueeze::<4>().expand([2, 3, 9, 9]);
            activation::softmax((x * 0.3).mask_fill(mask, f32::NEG_INFINITY), 3)
        };
        implementations_agree([2, 3, 9, 9], |x| causal_softmax(x, 0.3), burns);
    }

    #[test]
    fn causal_attention_equals_its_reference() {
        // `[heads, kv_heads, seq, d_head]`; several tiles, and key-value heads that are shared.
        for [heads, kv_heads, seq, d_head] in [[2, 2, 9, 4], [4, 2, 130, 8], [3, 1, 64, 16]] {
            let other = |heads: usize, shift: f32| {
                let values = arange(2 * heads * seq * d_head) * 0.37 + shift;
                values.sin().reshape([2, seq, heads, d_head]).swap_dims(1, 2)
            };
            let burns = |query: Tensor<4>, key: Tensor<4>, value: Tensor<4>| {
                let all = |x: Tensor<4>| {
                    x.unsqueeze_dim::<5>(2).repeat_dim(2, heads / kv_heads).reshape([2, heads, seq, d_head])
                };
                let mixed = causal_softmax(query.matmul(all(key).transpose()), 0.4).matmul(all(value));
                mixed.swap_dims(1, 2).reshape([2, seq, heads * d_head])
            };
            let (k, v) = (other(kv_heads, 0.5), other(kv_heads, 1.0));
            implementations_agree(
                [2, heads, seq, d_head],
                |x| causal_attention(x, k.clone(), v.clone(), 0.4),
                |x| burns(x, k.clone(), v.clone()),
            );
        }
    }

    #[test]
    fn cross_entropy_equals_its_reference() {
        let targets = || targets([0, 5, 10, 15, 3, 8, 13, 1, 6, 11, 16]);
        let burns = |x: Tensor<2>| -activation::log_softmax(x, 1).gather(1, targets()).reshape([11]);
        implementations_agree([11, 17], |x| cross_entropy(x, targets()), burns);
    }
}
