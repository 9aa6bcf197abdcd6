//! Operators of the CPU over slices: forward, and a backward that is written out. [`crate::model::cpu`] chains them to the gradient of a
//! replica; [`super::fused`] offers the forward of some for burn's tensors, to sampling and inspections.
//!
//! An operator allocates nothing and computes on one thread. It writes every value of its outputs unless its description says that it adds,
//! so that buffers can be used again without zeroing. Sums of a row have a fixed order, in sixteen lanes on every processor ([`lanes`]).
//! [`products`] and [`bf16`] have the only unsafe code. [`reference`](mod@reference) has the same operators as plain loops.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod bf16;
pub(crate) mod dropout;
pub(crate) mod embedding;
pub(crate) mod head;
pub(crate) mod lanes;
pub(crate) mod linear;
pub(crate) mod norm;
pub(crate) mod precision;
pub(crate) mod products;
pub(crate) mod reference;
pub(crate) mod rotary;
pub(crate) mod row;
pub(crate) mod softmax;
