//! Arithmetic below the model. [`cpu`]: operators of the CPU over slices, forward and backward; [`fused`]: the forward of some of them for
//! burn's tensors; [`reduce`]: reductions of large tensors to a few numbers, with the reference implementation of every WGSL kernel;
//! [`gpu`]: these kernels on burn's device; [`dispatch`]: either of the two, by device; [`random`]: counter-based random numbers.

pub(crate) mod cpu;
pub mod dispatch;
pub mod fused;
pub mod gpu;
pub mod moments;
pub mod random;
pub mod reduce;
pub mod reference;
