//! The memory to which a step on the CPU writes values that something else still reads, as the writer of a checkpoint does.
//!
//! The tensors that were read last are kept. A step after a checkpoint writes to them, and those of that checkpoint are kept instead, so that two
//! sets of tensors take turns, nothing is copied, and no step but that after the first checkpoint causes page faults: those for 1.5 GB took
//! four seconds (docs/LAB_LOG.md).

use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Shape};

/// The tensors that a checkpoint has read, by parameter: the ones to write while the next is read.
#[derive(Default)]
pub(crate) struct Spare(Vec<Option<FlexTensor>>);

impl Spare {
    /// A tensor whose values do not matter. It is a new one if something still reads the spare one.
    pub(super) fn take(&mut self, parameter: usize, shape: &Shape) -> FlexTensor {
        let spare = self.0.get_mut(parameter).and_then(Option::take);
        let is_usable = |spare: &FlexTensor| spare.is_unique() && spare.layout().shape() == shape;
        // The thread that writes a new one is the first to touch its memory.
        spare.filter(is_usable).unwrap_or_else(|| FlexTensor::zeros(shape.clone(), DType::F32))
    }

    /// Keeps the tensors that something read during a step.
    pub(super) fn keep(&mut self, old: &mut Vec<Option<FlexTensor>>) {
        self.0.resize_with(old.len(), || None);
        for (spare, old) in self.0.iter_mut().zip(std::mem::take(old)) {
            *spare = old.or(spare.take());
        }
    }
}
