//! Kernels as operators of burn: queued among the operators that burn has not run yet, and with a backward of their own in burn's autodiff.
//!
//! burn's fusion runs operators later than they are called. [`queue`] appends a kernel to its queue, so that a step still waits for nothing.
//! The kernels compute in 32 bits and index their buffers as contiguous rows.

use std::fmt::{Debug, Formatter};
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::fusion::custom::{CustomOpIr, HandleContainer, OperationFn, OperationIr, StreamId, TensorIr};
use burn::backend::fusion::{FusionBackend, FusionRuntime};
use burn::backend::{Autodiff, BackendTypes, Cube};
use burn::tensor::kind::Autodiff as Kind;
use burn::tensor::{BackendPrimitive, DType, Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

/// A tensor of burn's GPU backend that may not be computed yet.
pub(super) type Lazy = <Cube as BackendTypes>::FloatTensorPrimitive;
/// A tensor of burn's autodiff on that backend.
pub(super) type Tracked = <Autodiff<Cube> as BackendTypes>::FloatTensorPrimitive;

/// Appends a kernel to burn's queue. `launch` receives the inputs as contiguous buffers, and returns the outputs, 32-bit floats of `shapes`.
pub(super) fn queue<const N: usize, const M: usize>(
    name: &'static str,
    inputs: [Lazy; N],
    shapes: [Shape; M],
    launch: impl Fn([CubeTensor; N]) -> [CubeTensor; M] + Send + Sync + 'static,
) -> [Lazy; M] {
    let client = inputs[0].client.clone();
    let inputs = inputs.map(Lazy::into_ir);
    let outputs = shapes.map(|shape| TensorIr::uninit(client.create_empty_handle(), shape, DType::F32));
    let entry = CustomOpIr { id: name.into(), inputs: inputs.to_vec(), outputs: outputs.to_vec(), scalars: vec![] };
    let ids = outputs.map(|output| output.id);
    let run = OperationFn(move |handles: &mut HandleContainer<_>| {
        let results = launch(inputs.each_ref().map(|input| buffer(handles, input)));
        ids.iter().zip(results).for_each(|(id, result)| handles.register_float_tensor::<CubeBackend>(id, result));
        Ok(())
    });
    let queued = client.register(StreamId::current(), OperationIr::Custom(entry), run);
    queued.try_into().unwrap_or_else(|_| unreachable!("burn returns one tensor for each output"))
}

/// The contiguous buffer of an input. A handle of burn's GPU backend has its element type, so integers are read the same way.
fn buffer(handles: &mut HandleContainer<Handle>, input: &TensorIr) -> CubeTensor {
    into_contiguous(handles.get_float_tensor::<CubeBackend>(input))
}

type Handle = <<CubeBackend as FusionBackend>::FusionRuntime as FusionRuntime>::FusionHandle;

/// A new contiguous tensor of 32-bit floats beside `other`, with undefined values.
pub(super) fn empty_like(other: &CubeTensor, shape: Shape) -> CubeTensor {
    empty_device_contiguous_dtype(other.client.clone(), other.device.clone(), shape, DType::F32)
}

/// The buffer that a kernel may overwrite: the tensor's own if nothing else holds it, otherwise a copy.
pub(super) fn writable(tensor: CubeTensor) -> CubeTensor {
    if tensor.can_mut() { tensor } else { tensor.copy() }
}

/// A tensor on a GPU without a gradient, of floats or integers.
pub(super) fn untracked<const D: usize, K>(tensor: Tensor<D, K>) -> Lazy
where
    K: Kind + BackendPrimitive<Cube, Primitive = Lazy>,
{
    tensor.inner().try_into_primitive::<Cube>().expect("operators of GPUs are called with tensors on GPUs")
}

/// The tensor of a queued result.
pub(super) fn tensor<const D: usize>(lazy: Lazy) -> Tensor<D> {
    Tensor::from_primitive::<Cube>(lazy)
}

/// An input of an operator with a gradient.
pub(super) struct Input {
    tensor: Tracked,
    is_in_graph: bool,
}

impl<const D: usize> From<Tensor<D>> for Input {
    fn from(tensor: Tensor<D>) -> Self {
        match tensor.clone().try_into_primitive::<Autodiff<Cube>>() {
            Ok(tensor) => Self { tensor, is_in_graph: true },
            Err(_) => Self { tensor: Tracked::new(untracked(tensor)), is_in_graph: false },
        }
    }
}

impl Input {
    /// Whether the backward pass needs its gradient.
    pub(super) fn is_tracked(&self) -> bool {
        self.tensor.is_tracked()
    }
}

/// An operator with a gradient. `forward` returns the output and what `backward` needs; `backward` receives that and the gradient of the
/// output, and returns the gradient of each input. Without autodiff the state is dropped.
pub(super) fn differentiable<const N: usize, const D: usize, S: Clone + Send + Debug + 'static>(
    inputs: [Input; N],
    forward: impl FnOnce([Lazy; N]) -> (Lazy, S),
    backward: impl FnOnce(S, Lazy) -> [Lazy; N] + Send + 'static,
) -> Tensor<D> {
    let is_in_graph = inputs.iter().any(|input| input.is_in_graph);
    let nodes = inputs.each_ref().map(|input| input.tensor.node());
    let (output, state) = forward(inputs.map(|input| input.tensor.into_primitive()));
    if !is_in_graph {
        return tensor(output);
    }
    let output = match Written(backward, PhantomData).prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(state, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    Tensor::from_primitive::<Autodiff<Cube>>(output)
}

/// A backward that is written out, as a step of burn's autodiff.
struct Written<F, S>(F, PhantomData<fn() -> S>);

impl<F, S> Debug for Written<F, S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Written")
    }
}

impl<const N: usize, F, S> Backward<Cube, N> for Written<F, S>
where
    F: FnOnce(S, Lazy) -> [Lazy; N] + Send + 'static,
    S: Clone + Send + Debug + 'static,
{
    type State = S;

    fn backward(self, ops: Ops<S, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Cube>(&ops.node);
        for (parent, gradient) in ops.parents.into_iter().zip((self.0)(ops.state, gradient)) {
            if let Some(parent) = parent {
                gradients.register::<Cube>(parent.id, gradient);
            }
        }
    }
}
