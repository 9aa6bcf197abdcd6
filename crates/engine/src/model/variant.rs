//! Which implementation computes the gradient of a replica on the CPU. Trainings use the operators of [`crate::kernels::cpu`]; benches can
//! replace some by their reference implementations, or all by burn's operators and autodiff, to measure what each gains.

use wire::model::ModelPlan;

/// A part of the CPU step that has a plain implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Attention in tiles of queries.
    Attention,
    /// Norms in one pass over each row.
    Norm,
    /// Activations that keep their slopes for backward.
    Activation,
    /// Head and loss in chunks of rows.
    Head,
    /// Biases, residual streams and sums of gradients as the values to which products are added.
    Sums,
    /// The MLP in tiles of rows.
    Tiles,
    /// Buffers that are kept between steps.
    Buffers,
    /// Loops compiled for the widest vectors of the processor. Matrix products choose their vectors themselves.
    Vectors,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 8] = [
        Self::Attention,
        Self::Norm,
        Self::Activation,
        Self::Head,
        Self::Sums,
        Self::Tiles,
        Self::Buffers,
        Self::Vectors,
    ];

    /// Name, as on the command line and in JSON.
    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// What replaces the part, for people.
    pub fn plain(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Attention => ("attention", "matrices of all queries and keys, softmax in passes"),
            Self::Norm => ("norm", "a pass for each mean, variance, gain and bias"),
            Self::Activation => ("activation", "its formula in forward and again in backward"),
            Self::Head => ("head", "logits of all rows at once, softmax in passes"),
            Self::Sums => ("sums", "a pass for each bias, residual and sum of gradients"),
            Self::Tiles => ("tiles", "the MLP over all rows at once"),
            Self::Buffers => ("buffers", "new buffers of zeros at each step"),
            Self::Vectors => ("vectors", "loops compiled for any processor"),
        }
    }
}

/// The implementation of the gradient; by default no part is plain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Variant {
    is_reference: bool,
    plain: [bool; Part::ALL.len()],
}

impl Variant {
    /// burn's operators and autodiff for all parts.
    pub fn reference() -> Self {
        Self { is_reference: true, ..Self::default() }
    }

    /// The operators of the CPU, with plain implementations of these parts.
    pub fn without(parts: &[Part]) -> Self {
        Self { plain: Part::ALL.map(|part| parts.contains(&part)), ..Self::default() }
    }

    /// Whether burn computes the gradient.
    pub fn is_reference(&self) -> bool {
        self.is_reference
    }

    /// Whether a part is replaced by its plain implementation.
    pub fn is_plain(&self, part: Part) -> bool {
        self.plain[part as usize]
    }

    /// Rows of the MLP whose activations are computed at once, of `rows`.
    pub(crate) fn mlp_tile_rows(&self, plan: &ModelPlan, rows: usize) -> usize {
        if self.is_plain(Part::Tiles) { rows } else { plan.mlp_tile_rows(rows) }
    }
}
