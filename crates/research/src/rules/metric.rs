//! Metrics that rules read and the engine does not report yet, with their definitions. Until it does, these rules find nothing.
//!
//! The probe set is the validation window of the snapshots, the same at each report.

/// Prefix, then `LAYER.HEAD`. Mean over the queries of the probe set of the entropy of the attention pattern, -Σ p ln p, in nats.
/// The first query of a window is left out, because its entropy is always 0.
pub const ATTENTION_ENTROPY: &str = "attention_entropy/";

/// Prefix, then `LAYER`. The largest |q·k| / sqrt(d_head) over heads, queries and keys of the probe set, before the softmax.
pub const ATTENTION_LOGIT: &str = "attention_logit_max/";

/// Prefix, then `LAYER`. Fraction (0 to 1) of the hidden units of the MLP that are inactive at every token of the probe set. A unit is
/// inactive at a token if its value at `mlp.hook_post` is at most 0 (ReLU), or below 0.01 of the layer's RMS of that hook point in
/// absolute value (GELU, SwiGLU).
pub const DEAD_NEURONS: &str = "dead_neurons/";

/// Windows of training tokens that a batch repeated although the plan of the data had not returned to them; counted from the start of
/// the run, over all batches on its path.
pub const DUPLICATE_WINDOWS: &str = "duplicate_windows";
