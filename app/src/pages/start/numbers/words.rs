//! The words beside each number of a recipe: label, unit, meaning, and the choices where there are only some.

/// The parts of a recipe, in the order shown.
pub(super) const SECTIONS: [(&str, &str); 7] = [
    ("model", "Shape"),
    ("optimizer", "Optimizer"),
    ("schedule", "Learning rate over steps"),
    ("batch", "Batch"),
    ("cadence", "How often to look"),
    ("keep", "Checkpoints"),
    ("budget", "Where it ends early"),
];

/// One number in words.
#[derive(Clone, Copy)]
pub(super) struct Word {
    path: &'static str,
    /// Short name.
    pub(super) label: &'static str,
    /// Unit.
    pub(super) unit: &'static str,
    /// A sentence.
    pub(super) meaning: &'static str,
    /// All values it can take, where they are words.
    pub(super) choices: &'static [&'static str],
}

const fn word(path: &'static str, label: &'static str, unit: &'static str, meaning: &'static str) -> Word {
    Word { path, label, unit, meaning, choices: &[] }
}

const fn choice(
    path: &'static str,
    label: &'static str,
    meaning: &'static str,
    choices: &'static [&'static str],
) -> Word {
    Word { path, label, unit: "", meaning, choices }
}

/// In the order shown.
const WORDS: [Word; 46] = [
    word("model.layers", "layers", "blocks", "Blocks of attention and MLP, one after the other."),
    word(
        "model.d_model",
        "width",
        "numbers",
        "Width of the residual stream: numbers per token that all blocks read and write.",
    ),
    word("model.heads", "heads", "", "Query heads of each attention; they share the width."),
    word(
        "model.kv_heads",
        "key heads",
        "",
        "Key and value heads; as many as heads for plain attention, fewer for groups.",
    ),
    word("model.d_ff", "MLP width", "numbers", "Width inside the MLP."),
    word("model.seq", "context", "tokens", "How many tokens back the model can look."),
    word("model.vocab", "vocabulary", "tokens", "Tokens of the vocabulary; set by the tokenizer."),
    choice(
        "model.positions",
        "positions",
        "Learned: a vector per place. Rotary: queries and keys turned by their place.",
        &["learned", "rotary"],
    ),
    choice("model.norm", "norm", "Layer: mean and variance. RMS: root mean square only.", &["layer", "rms"]),
    choice("model.mlp", "MLP", "GELU: two matrices. SwiGLU: three, one of them a gate.", &["gelu", "swiglu"]),
    word(
        "model.qk_norm",
        "QK norm",
        "",
        "Normalise queries and keys of each head, which keeps attention from saturating.",
    ),
    word("model.bias", "biases", "", "Biases in linear layers and norms."),
    word("model.tied_head", "tied head", "", "The output head shares the embedding's matrix."),
    word("model.logit_softcap", "logit cap", "", "cap · tanh(logits / cap); 0 for none."),
    word(
        "model.rotary_base",
        "rotary base",
        "",
        "Base of rotary positions; a larger one turns more slowly, for long contexts.",
    ),
    word(
        "model.norm_eps",
        "norm ε",
        "",
        "Added under the root of every norm; 0 for the usual, 1e-5 with layer norm and 1e-6 with RMS.",
    ),
    word("model.dropout", "dropout", "share", "Share of activations dropped while training; 0 for none."),
    choice(
        "optimizer.kind",
        "kind",
        "AdamW for all, or Muon for the blocks' matrices and AdamW for the rest; the rate means the same for both.",
        &["adamw", "muon"],
    ),
    word("optimizer.rate", "peak rate", "per step", "Highest learning rate; the schedule scales from it."),
    word("optimizer.beta1", "beta 1", "", "Decay of the mean of gradients: 0.9 remembers some 10 steps."),
    word("optimizer.beta2", "beta 2", "", "Decay of the mean of squared gradients: 0.99 remembers some 100 steps."),
    word("optimizer.eps", "eps", "", "Added to the root of the second moment, so that nothing is divided by zero."),
    word(
        "optimizer.weight_decay",
        "weight decay",
        "per rate",
        "Matrices shrink by rate × decay at each step; norms and biases do not.",
    ),
    word(
        "optimizer.clip",
        "clip",
        "gradient norm",
        "Gradients with a larger global norm are scaled down to it; 0 for none.",
    ),
    word("optimizer.z_loss", "z-loss", "", "Weight of the squared log of the softmax's sum in the loss; 0 for none."),
    word("schedule.shape", "shape", "", "Course of the rate after warm-up."),
    word(
        "schedule.warmup_steps",
        "warm-up",
        "steps",
        "Steps of linear rise; at most a tenth of a short run unless changed.",
    ),
    word("schedule.floor", "floor", "of peak", "Lowest rate, as a share of the peak."),
    word("batch.rows", "rows", "per pass", "Windows of context in one pass."),
    word("batch.accumulation", "passes", "per step", "Passes whose gradients are summed before a step."),
    word(
        "batch.shards",
        "parts",
        "per pass",
        "Parts of a pass, one per core, summed in a fixed order; 0 takes the device's cores.",
    ),
    word("cadence.eval_every", "evaluate every", "steps", "Steps between validation losses; 0 for never."),
    word("cadence.eval_batches", "evaluation", "batches", "Batches of one validation loss, the same ones each time."),
    word("cadence.sample_every", "sample every", "steps", "Steps between text samples; 0 for never."),
    word("cadence.sample_tokens", "sample", "tokens", "Tokens of one sample."),
    word(
        "cadence.stats_every",
        "statistics every",
        "steps",
        "Steps between weight and gradient statistics; 0 for never.",
    ),
    word(
        "cadence.hold_at",
        "hold at",
        "steps",
        "Pauses by itself once so many steps are done: 0, 100, 1000. For a lesson that stops to talk.",
    ),
    word("keep.every", "checkpoint every", "steps", "Steps between saved states; 0 for none on a cadence."),
    word("keep.latest", "newest kept", "checkpoints", "Of those on the cadence; at least 1."),
    word("keep.every_nth", "kept for good", "every nth", "Of those on the cadence, every so many; 0 for none."),
    word("keep.best", "best kept", "", "Keep the one with the lowest validation loss."),
    word(
        "keep.before_changes",
        "saved before changes",
        "",
        "So that a change can be undone by going back to just before it.",
    ),
    word("keep.restarts", "started again", "times", "By itself, after its worker died."),
    word("budget.tokens", "tokens", "tokens", "Tokens trained on at which the run ends; 0 for no bound."),
    word("budget.secs", "time", "s at work", "Seconds at work at which the run ends; 0 for no bound."),
    word("budget.loss", "loss", "nats / token", "Validation loss at which the run ends; 0 for no bound."),
];

/// The words of a path, with their place in the order.
pub(super) fn word_of(path: &str) -> Option<(usize, &'static Word)> {
    WORDS.iter().enumerate().find(|(_, word)| word.path == path)
}
