//! Operators that pass over memory once on the CPU, where burn makes several passes: GELU, norms, attention, causal softmax, cross-entropy.
//!
//! Each has a reference implementation in burn's operators, which other devices use; a test compares forward and backward of both. The kernels
//! are plain loops over slices in `fused/`. Training and evaluations use those of [`super::cpu`].

use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Int, Tensor, TensorData};

mod attention;
mod gelu;
mod loss;
mod norm;
mod softmax;

/// GELU, tanh form.
///
/// # Shapes
/// Any shape to the same shape.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    apply(gelu::Gelu, [input(x)])
}

/// Layer norm over the last dimension, with a gain.
///
/// # Shapes
/// `[.., d]` and `[d]` to `[.., d]`.
pub fn layer_norm<const D: usize>(x: Tensor<D>, gain: Tensor<1>, eps: f32) -> Tensor<D> {
    apply(norm::Normalize { eps, is_centred: true }, [input(x), input(gain)])
}

/// Root-mean-square norm over the last dimension, with a gain.
///
/// # Shapes
/// `[.., d]` and `[d]` to `[.., d]`.
pub fn rms_norm<const D: usize>(x: Tensor<D>, gain: Tensor<1>, eps: f32) -> Tensor<D> {
    apply(norm::Normalize { eps, is_centred: false }, [input(x), input(gain)])
}

/// Softmax of `scale * scores` over the keys up to the position of each query; zero after it.
///
/// # Shapes
/// `[batch, heads, seq, seq]` to the same.
pub fn causal_softmax(scores: Tensor<4>, scale: f32) -> Tensor<4> {
    apply(softmax::CausalSoftmax { scale }, [input(scores)])
}

/// Causal attention, `softmax(scale * query key^T) value` over the keys up to the position of each query.
///
/// # Shapes
/// `[batch, heads, seq, d_head]` and twice `[batch, kv_heads, seq, d_head]` to `[batch, seq, heads * d_head]`.
pub fn causal_attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, scale: f32) -> Tensor<3> {
    apply(attention::CausalAttention { scale }, [input(query), input(key), input(value)])
}

/// Sum of `-ln softmax(logits)[target]`, nats.
///
/// # Shapes
/// `[rows, vocab]` and `[rows, 1]` to `[1]`.
pub fn cross_entropy_sum(logits: Tensor<2>, targets: Tensor<2, Int>) -> Tensor<1> {
    let targets = targets.inner().into_data().iter::<i64>().map(|id| id as usize).collect();
    apply(loss::CrossEntropy { targets }, [input(logits)])
}

/// `-ln softmax(logits)[target]` of each row, nats.
///
/// # Shapes
/// `[rows, vocab]` and `[rows, 1]` to `[rows]`.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<2, Int>) -> Tensor<1> {
    let targets = targets.inner().into_data().iter::<i64>().map(|id| id as usize).collect();
    apply(loss::RowCrossEntropy { targets }, [input(logits)])
}

/// A fused operator on CPU tensors.
trait Fused<const N: usize>: Clone + Debug + Send + 'static {
    /// Whether the inputs may be views with any strides; otherwise they are made contiguous.
    const TAKES_VIEWS: bool = false;

    /// The output, and the values that the backward pass needs.
    fn forward(&self, inputs: [Values; N]) -> (Values, Vec<Values>);
    /// Gradients of the inputs, from these values and the gradient of the output.
    fn backward(&self, kept: &[Values], gradient: &Values) -> [Values; N];
}

/// A CPU tensor: shape and values. It is contiguous unless the operator takes views.
#[derive(Debug, Clone)]
struct Values {
    shape: Vec<usize>,
    held: FlexTensor,
}

impl Values {
    fn new(tensor: FlexTensor) -> Self {
        let held = if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() };
        Self { shape: held.layout().shape().iter().copied().collect(), held }
    }

    /// A view as it is. Strides that go backwards, and values of a broadcast, are copied.
    fn view(tensor: FlexTensor) -> Self {
        if tensor.layout().strides().iter().any(|&stride| stride <= 0) {
            return Self::new(tensor);
        }
        Self { shape: tensor.layout().shape().iter().copied().collect(), held: tensor }
    }

    fn from_vec(values: Vec<f32>, shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), held: FlexTensor::from_data(TensorData::new(values, shape.to_vec())) }
    }

    fn get(&self) -> &[f32] {
        self.held.as_slice().unwrap_or_default()
    }

    /// Length of the last dimension.
    fn last(&self) -> usize {
        self.shape.last().copied().unwrap_or(1).max(1)
    }
}

enum Input {
    Tracked(FloatTensor<Autodiff<Flex>>),
    Plain(FlexTensor),
}

fn input<const D: usize>(tensor: Tensor<D>) -> Input {
    let why = "fused operators are called on CPU tensors only";
    if tensor.is_autodiff() {
        Input::Tracked(tensor.try_into_primitive::<Autodiff<Flex>>().expect(why))
    } else {
        Input::Plain(tensor.try_into_primitive::<Flex>().expect(why))
    }
}

#[derive(Debug)]
struct Node<F>(F);

impl<F: Fused<N>, const N: usize> Backward<Flex, N> for Node<F> {
    type State = Vec<Values>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = Values::new(grads.consume::<Flex>(&ops.node));
        for (parent, gradient) in ops.parents.into_iter().zip(self.0.backward(&ops.state, &gradient)) {
            if let Some(parent) = parent {
                grads.register::<Flex>(parent.id, gradient.held);
            }
        }
    }
}

fn apply<F: Fused<N>, const N: usize, const D: usize>(op: F, inputs: [Input; N]) -> Tensor<D> {
    let hold = if F::TAKES_VIEWS { Values::view } else { Values::new };
    if inputs.iter().any(|input| matches!(input, Input::Plain(_))) {
        let plain = inputs.map(|input| match input {
            Input::Plain(tensor) => hold(tensor),
            Input::Tracked(tensor) => hold(tensor.into_primitive()),
        });
        return Tensor::from_primitive::<Flex>(op.forward(plain).0.held);
    }
    let tracked = inputs.map(|input| match input {
        Input::Tracked(tensor) => tensor,
        Input::Plain(_) => unreachable!("plain inputs were answered above"),
    });
    let nodes = tracked.each_ref().map(|tensor| tensor.node());
    let (output, kept) = op.forward(tracked.map(|tensor| hold(tensor.into_primitive())));
    let out = match Node(op).prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(kept, output.held),
        OpsKind::UnTracked(prep) => prep.finish(output.held),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(out)
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::layer_norm as burn_layer_norm;
    use burn::tensor::{Bool, Device, Distribution, activation};

    use super::*;

    /// Forward and gradient of two implementations of one operator agree on random values, small and large.
    fn implementations_agree<const D: usize, const E: usize>(
        shape: [usize; D],
        ours: impl Fn(Tensor<D>) -> Tensor<E>,
        burns: impl Fn(Tensor<D>) -> Tensor<E>,
    ) {
        let device = Device::flex();
        for spread in [0.1, 1.0, 8.0] {
            let x = Tensor::<D>::random(shape, Distribution::Normal(0.0, spread), &device);
            let run = |f: &dyn Fn(Tensor<D>) -> Tensor<E>| {
                let leaf = x.clone().autodiff().require_grad();
                let y = f(leaf.clone());
                let weights = Tensor::<1>::arange(y.dims().iter().product()).cos().reshape(y.dims());
                let grads = (y.clone() * weights.autodiff()).sum().backward();
                (y.inner().into_data(), leaf.grad(&grads).unwrap().into_data())
            };
            let (a, b) = (run(&ours), run(&burns));
            for (a, b) in [(a.0, b.0), (a.1, b.1)] {
                let (a, b) = (a.try_to_vec::<f32>().unwrap(), b.try_to_vec::<f32>().unwrap());
                let size = b.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
                let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
                assert!(worst <= 2e-5 * size, "spread {spread}: {worst} of {size}");
            }
        }
    }

    trait Arange {
        fn arange(n: usize) -> Tensor<1>;
    }
    impl Arange for Tensor<1> {
        fn arange(n: usize) -> Tensor<1> {
            Tensor::from_data(TensorData::new((0..n).map(|i| i as f32).collect::<Vec<_>>(), [n]), &Device::flex())
        }
    }

    #[test]
    fn extreme_inputs_give_zeros_and_no_subnormal_numbers() {
        let device = Device::flex();
        let row = |values: &[f32]| Tensor::<1>::from_data(TensorData::new(values.to_vec(), [values.len()]), &device);
        let check = |name: &str, x: Tensor<1>, f: &dyn Fn(Tensor<1>) -> Tensor<1>| -> Vec<f32> {
            let leaf = x.autodiff().require_grad();
            let y = f(leaf.clone());
            let weights = Tensor::<1>::arange(y.dims()[0]).cos().autodiff();
            let grads = (y.clone() * weights).sum().backward();
            let (y, gradient) = (y.inner().into_data(), leaf.grad(&grads).unwrap().into_data());
            let (y, gradient) = (y.try_to_vec::<f32>().unwrap(), gradient.try_to_vec::<f32>().unwrap());
            assert!(y.iter().chain(&gradient).all(|value| !value.is_subnormal()), "{name}: {y:?} {gradient:?}");
            y
        };
        // The last of four queries sees all keys: the largest score, and three that are far below it.
        let scores = row(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 500.0, 412.0, 500.0, -500.0]);
        let attend = |x: Tensor<1>| causal_softmax(x.reshape([1, 1, 4, 4]), 1.0).reshape([16]);
        assert_eq!(check("softmax", scores, &attend)[12..], [0.5, 0.0, 0.5, 0.0]);
        let gate = check("gelu", row(&[-50.0, -12.0, -9.5, 0.0, 3.0]), &gelu);
        assert_eq!((&gate[..4], gate[4] > 2.99), ([0.0; 4].as_slice(), true));
        let targets = || {
            let id = TensorData::new(vec![0], [1, 1]);
            Tensor::<2, Int>::from_data(id, &Device::flex().autodiff())
        };
        let logits = [90.0, 90.0, 2.0, -300.0];
        check("loss", row(&logits), &|x| cross_entropy_sum(x.reshape([1, 4]), targets()));
        check("losses", row(&logits), &|x| cross_entropy(x.reshape([1, 4]), targets()));
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
        let gain = || Tensor::<1>::arange(37).sin() + 1.5;
        implementations_agree(
            [3, 5, 37],
            |x| layer_norm(x, gain().autodiff(), 1e-5),
            |x| burn_layer_norm(x, gain().autodiff(), None, 1e-5),
        );
        let rms = |x: Tensor<3>| x.clone() / (x.square().mean_dim(2) + 1e-6).sqrt() * gain().autodiff().unsqueeze();
        implementations_agree([3, 5, 37], |x| rms_norm(x, gain().autodiff(), 1e-6), rms);
        let x = || Tensor::<1>::arange(4 * 37).sin().reshape([4, 37]).autodiff();
        implementations_agree([37], |gain| layer_norm(x(), gain, 1e-5), |gain| burn_layer_norm(x(), gain, None, 1e-5));
    }

    #[test]
    fn causal_softmax_equals_its_reference() {
        let burns = |x: Tensor<4>| {
            let mask = Tensor::<2, Bool>::tril_mask([9, 9], 0, &Device::flex().autodiff())
                .unsqueeze::<4>()
                .expand([2, 3, 9, 9]);
            activation::softmax((x * 0.3).mask_fill(mask, f32::NEG_INFINITY), 3)
        };
        implementations_agree([2, 3, 9, 9], |x| causal_softmax(x, 0.3), burns);
    }

    #[test]
    fn causal_attention_equals_its_reference() {
        // `[heads, kv_heads, seq, d_head]`; several tiles, and key-value heads that are shared.
        for [heads, kv_heads, seq, d_head] in [[2, 2, 9, 4], [4, 2, 130, 8], [3, 1, 64, 16]] {
            let tensor = |heads: usize, shift: f32| {
                let values = Tensor::<1>::arange(2 * heads * seq * d_head) * 0.37 + shift;
                values.sin().reshape([2, seq, heads, d_head]).swap_dims(1, 2).autodiff()
            };
            let burns = |query: Tensor<4>, key: Tensor<4>, value: Tensor<4>| {
                let all = |x: Tensor<4>| {
                    x.unsqueeze_dim::<5>(2).repeat_dim(2, heads / kv_heads).reshape([2, heads, seq, d_head])
                };
                let mixed = causal_softmax(query.matmul(all(key).transpose()), 0.4).matmul(all(value));
                mixed.swap_dims(1, 2).reshape([2, seq, heads * d_head])
            };
            let ours = |query, key, value| causal_attention(query, key, value, 0.4);
            let (q, k, v) = (tensor(heads, 0.0), tensor(kv_heads, 0.5), tensor(kv_heads, 1.0));
            let shape = |heads: usize| [2, heads, seq, d_head];
            implementations_agree(shape(heads), |x| ours(x, k.clone(), v.clone()), |x| burns(x, k.clone(), v.clone()));
            implementations_agree(
                shape(kv_heads),
                |x| ours(q.clone(), x, v.clone()),
                |x| burns(q.clone(), x, v.clone()),
            );
            implementations_agree(
                shape(kv_heads),
                |x| ours(q.clone(), k.clone(), x),
                |x| burns(q.clone(), k.clone(), x),
            );
        }
    }

    #[test]
    fn cross_entropy_equals_its_reference() {
        let targets = |device: &Device| {
            Tensor::<2, Int>::from_data(
                TensorData::new((0..11).map(|i| i * 5 % 17).collect::<Vec<i32>>(), [11, 1]),
                device,
            )
        };
        let device = Device::flex().autodiff();
        let burns = |x: Tensor<2>| -activation::log_softmax(x, 1).gather(1, targets(&device)).sum();
        implementations_agree([11, 17], |x| cross_entropy_sum(x, targets(&device)), burns);
        let of_rows = |x: Tensor<2>| -activation::log_softmax(x, 1).gather(1, targets(&device)).reshape([11]);
        implementations_agree([11, 17], |x| cross_entropy(x, targets(&device)), of_rows);
    }
}
