//! Arithmetic below the model. [`fused`]: operators of the CPU that pass over memory once; [`reduce`]: reductions of large tensors to a few
//! numbers, with the reference implementation of every WGSL kernel; [`gpu`]: these kernels on burn's device; [`dispatch`]: either of
//! the two, by device; [`random`]: counter-based random numbers.

pub mod dispatch;
pub mod fused;
pub mod gpu;
pub mod moments;
pub mod random;
pub mod reduce;
