//! The quantities that the overview can be coloured by. Each has a fixed scale, so that colours of different steps can
//! be compared. [`super::problem`] defines problems.

use figure::number::{short, with_unit};
use wire::inspect::result::{ComponentStats, HeadStats};
use wire::inspect::statistics::TensorStats;
use wire::series::{UPDATE_RATIOS, definition};

use super::tokens::{mean, percent};

/// What the overview is coloured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    ActivationRms,
    DeadNeurons,
    GradientNorm,
    UpdateRatio,
    AttentionEntropy,
}

impl Quantity {
    /// Its word in the address.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ActivationRms => "activation_rms",
            Self::DeadNeurons => "dead_neurons",
            Self::GradientNorm => "gradient_norm",
            Self::UpdateRatio => "update_ratio",
            Self::AttentionEntropy => "attention_entropy",
        }
    }

    /// Reads [`Quantity::word`]; an unknown word is the RMS of the activations.
    pub(crate) fn of_word(word: &str) -> Self {
        QUANTITIES.iter().map(|about| about.quantity).find(|known| known.word() == word).unwrap_or(Self::ActivationRms)
    }
}

/// Description of a quantity.
pub(crate) struct About {
    pub(crate) quantity: Quantity,
    pub(crate) label: &'static str,
    pub(crate) unit: &'static str,
    /// Definition, with the formula.
    pub(crate) meaning: &'static str,
    /// Values of a healthy model.
    pub(crate) healthy: &'static str,
    /// Ends of the colour scale.
    pub(crate) ends: (f64, f64),
    /// Whether the scale is logarithmic.
    pub(crate) is_log: bool,
}

pub(crate) const QUANTITIES: [About; 5] = [
    About {
        quantity: Quantity::ActivationRms,
        label: "activation RMS",
        unit: "",
        meaning: "Root mean square of the component's output, √(Σ x² / n). The embedding, attention and the MLP add their \
                  output to the residual stream; the final norm and the head, whose output is the logits, do not.",
        healthy: "Usual values lie between about 0.05 and 10 and grow with depth. A component near 0 has no effect; one far above the \
                  others dominates the residual stream, which is a problem above an RMS of 1000.",
        ends: (1e-2, 1e2),
        is_log: true,
    },
    About {
        quantity: Quantity::DeadNeurons,
        label: "dead neurons",
        unit: "",
        meaning: definition::DEAD_NEURONS,
        healthy: "Near 0 % on a long text; a few percent are common. Above 50 % the MLP has lost half of its width.",
        ends: (0.0, 1.0),
        is_log: false,
    },
    About {
        quantity: Quantity::GradientNorm,
        label: "gradient norm",
        unit: "",
        meaning: "L2 norm of the gradient of the loss over the component's parameters, √(Σ g²), before clipping, at the \
                  last step that measured it.",
        healthy: "Components differ by a factor of up to about a hundred. A problem is a norm above 20 times the median of the \
                  components, or 0: the component receives no gradient.",
        ends: (1e-4, 1e1),
        is_log: true,
    },
    About {
        quantity: Quantity::UpdateRatio,
        label: "update ratio",
        unit: "",
        meaning: "Norm of one optimizer update over the norm of the weights, |ΔW| / |W|, averaged over the \
                  component's matrices, at the last step that measured it.",
        healthy: UPDATE_RATIOS,
        ends: (1e-5, 1e-1),
        is_log: true,
    },
    About {
        quantity: Quantity::AttentionEntropy,
        label: "attention entropy",
        unit: "",
        meaning: definition::ATTENTION_ENTROPY,
        healthy: "The value of a component is the mean over its heads. At the start it is near that of uniform attention, because every \
                  head attends to all tokens equally; it falls as heads specialize. One head near 0 is fine. All heads near 0 with large \
                  attention scores are a collapse.",
        ends: (0.0, 1.0),
        is_log: false,
    },
];

/// The colour of one component.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Coloured {
    /// The value, if the quantity is defined for this component and known.
    pub(crate) value: Option<f64>,
    /// Its position on the colour scale, 0 to 1.
    pub(crate) position: f64,
}

impl Quantity {
    pub(crate) fn about(self) -> &'static About {
        QUANTITIES.iter().find(|about| about.quantity == self).unwrap_or(&QUANTITIES[0])
    }

    /// Whether training steps measure it; the others come from a forward pass over the inspected text.
    pub(crate) fn is_measured_by_steps(self) -> bool {
        matches!(self, Self::GradientNorm | Self::UpdateRatio)
    }

    /// A value as the overview writes it.
    pub(crate) fn written(self, value: f64) -> String {
        match self {
            Self::DeadNeurons => percent(value),
            Self::AttentionEntropy => with_unit(value, "nats"),
            _ => short(value),
        }
    }

    /// The ends of the colour scale as the overview writes them.
    pub(crate) fn end_labels(self) -> [String; 2] {
        match (self, self.about().ends) {
            // How many nats that is depends on the length of the text.
            (Self::AttentionEntropy, (low, _)) => [self.written(low), "uniform attention".into()],
            (_, (low, high)) => [low, high].map(|end| self.written(end)),
        }
    }

    /// The value and colour of every component. `tokens` is the length of the inspected text.
    pub(crate) fn coloured(
        self,
        components: &[ComponentStats],
        tensors: &[TensorStats],
        tokens: usize,
    ) -> Vec<Coloured> {
        // The scale of the entropy ends at that of uniform attention.
        let unit = if self == Self::AttentionEntropy { HeadStats::uniform_entropy(tokens) } else { 1.0 };
        let one = |component: &ComponentStats| {
            let value = self.of(component, tensors);
            let position = value.map_or(0.0, |value| self.about().position(value));
            Coloured { value: value.map(|value| value * unit), position }
        };
        components.iter().map(one).collect()
    }

    /// The value of a component; the attention entropy as a fraction of that of uniform attention.
    fn of(self, component: &ComponentStats, tensors: &[TensorStats]) -> Option<f64> {
        match self {
            Self::ActivationRms => Some(f64::from(component.rms)),
            Self::DeadNeurons => component.dead.map(f64::from),
            Self::GradientNorm => gradient_norm(&component.name, tensors),
            Self::UpdateRatio => update_ratio(&component.name, tensors),
            Self::AttentionEntropy => mean(component.heads.iter().map(|head| head.entropy)),
        }
    }
}

impl About {
    /// The position of a value on the colour scale, 0 to 1; 0 for NaN.
    pub(crate) fn position(&self, value: f64) -> f64 {
        let (low, high) = self.ends;
        let position =
            if self.is_log { (value.max(1e-30) / low).ln() / (high / low).ln() } else { (value - low) / (high - low) };
        if position.is_nan() { 0.0 } else { position.clamp(0.0, 1.0) }
    }

    /// Definition and healthy values, for a tooltip.
    pub(crate) fn tooltip(&self) -> String {
        format!("{} {}", self.meaning, self.healthy)
    }
}

/// Whether a parameter belongs to a component.
pub(crate) fn belongs(tensor: &str, component: &str) -> bool {
    tensor.strip_prefix(component).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Norm of the gradient over the parameters of a component; `None` if it has no parameters.
pub(crate) fn gradient_norm(component: &str, tensors: &[TensorStats]) -> Option<f64> {
    let squares: Vec<f64> = tensors
        .iter()
        .filter(|tensor| belongs(&tensor.name, component))
        .map(|tensor| tensor.gradient.rms.powi(2) * tensor.gradient.count as f64)
        .collect();
    (!squares.is_empty()).then(|| squares.iter().sum::<f64>().sqrt())
}

/// Mean update ratio of a component's matrices. Gains and biases are left out: their ratios lie on another scale.
pub(crate) fn update_ratio(component: &str, tensors: &[TensorStats]) -> Option<f64> {
    let matrices = tensors.iter().filter(|tensor| belongs(&tensor.name, component) && tensor.shape.len() > 1);
    mean(matrices.map(|tensor| tensor.update_ratio as f32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::inspect::statistics::Moments;

    fn component(name: &str) -> ComponentStats {
        ComponentStats { name: name.into(), rms: 1.0, stream_rms: 1.0, non_finite: 0, dead: None, heads: vec![] }
    }

    fn tensor(name: &str, rms: f64, ratio: f64) -> TensorStats {
        let gradient = Moments { count: 100, rms, ..Moments::default() };
        let weight = Moments::default();
        TensorStats { name: name.into(), shape: vec![10, 10], weight, gradient, update_ratio: ratio }
    }

    #[test]
    fn a_component_is_coloured_by_its_own_parameters() {
        let components = [component("block.1.mlp"), component("block.10.mlp"), component("head")];
        let tensors = [
            tensor("block.1.mlp.up", 0.3, 1e-3),
            tensor("block.1.mlp.down", 0.4, 3e-3),
            tensor("block.10.mlp.up", 9.0, 1e-2),
        ];
        let norms = Quantity::GradientNorm.coloured(&components, &tensors, 8);
        assert!((norms[0].value.unwrap() - 5.0).abs() < 1e-9, "√(100·0.3² + 100·0.4²), without block 10");
        assert_eq!(norms[2].value, None, "a tied head has no parameters of its own");
        let ratios = Quantity::UpdateRatio.coloured(&components, &tensors, 8);
        assert!((ratios[0].value.unwrap() - 2e-3).abs() < 1e-8);
        assert!((Quantity::UpdateRatio.about().position(1e-3) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn the_entropy_is_coloured_as_a_fraction_and_written_in_nats() {
        let heads = [1.0, 0.5].map(|entropy| HeadStats { entropy, ..HeadStats::default() }).to_vec();
        let attention = ComponentStats { heads, ..component("block.0.attention") };
        let found = Quantity::AttentionEntropy.coloured(&[attention], &[], 3)[0];
        // Two queries with two and three keys.
        let uniform = (2f64.ln() + 3f64.ln()) / 2.0;
        assert!((found.value.unwrap() - 0.75 * uniform).abs() < 1e-9 && (found.position - 0.75).abs() < 1e-9);
        assert_eq!(Quantity::AttentionEntropy.written(0.5), "0.5\u{202f}nats");
    }

    #[test]
    fn colour_scales_take_any_value() {
        for about in &QUANTITIES {
            for value in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
                assert!((0.0..=1.0).contains(&about.position(value)));
            }
        }
    }
}
