//! What lights the map: five quantities, each on a scale of its own that never moves, so that colours compare over steps; and what counts
//! as a problem, which glows whatever the map is lit by.

use wire::frame::TensorStats;
use wire::sight::PartSight;

use super::tokens::{mean, percent};

/// What the map is lit by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Light {
    Rms,
    Dead,
    Gradient,
    Update,
    Entropy,
}

/// What is to be known of one.
pub(crate) struct About {
    pub(crate) light: Light,
    pub(crate) word: &'static str,
    pub(crate) unit: &'static str,
    /// What it is, with the formula.
    pub(crate) meaning: &'static str,
    /// What healthy looks like.
    pub(crate) healthy: &'static str,
    /// Ends of its scale.
    pub(crate) ends: (f64, f64),
    is_log: bool,
}

pub(crate) const LIGHTS: [About; 5] = [
    About {
        light: Light::Rms,
        word: "activation RMS",
        unit: "",
        meaning: "How loud a part is: the root mean square of what it adds to the residual stream, √(Σ x² / n); of the logits for the head.",
        healthy: "Between about 0.1 and 10, growing gently with depth. A part near 0 says nothing; one far above the rest drowns them.",
        ends: (1e-2, 1e2),
        is_log: true,
    },
    About {
        light: Light::Dead,
        word: "dead units",
        unit: "",
        meaning: "Share of an MLP's units that no token of the text made active: nowhere an output above 0.001 (with SwiGLU, of either sign).",
        healthy: "Near 0 on a long text. A few percent are usual; above a half the MLP has lost that much of its width.",
        ends: (0.0, 1.0),
        is_log: false,
    },
    About {
        light: Light::Gradient,
        word: "gradient norm",
        unit: "loss / weight",
        meaning: "How hard the loss pulls at a part: √(Σ g²) over its parameters, before clipping, at the last step that measured it.",
        healthy: "All parts within a factor of ten of each other. 0 means that no learning reaches it.",
        ends: (1e-4, 1e1),
        is_log: true,
    },
    About {
        light: Light::Update,
        word: "update / weight",
        unit: "",
        meaning: "How far a step moves a part for its size: |ΔW| / |W|, the mean over its matrices, at the last step that measured it.",
        healthy: "About 0.001 in the middle of training. Above 0.01 the rate is likely too high, below 0.00001 nothing moves.",
        ends: (1e-5, 1e-1),
        is_log: true,
    },
    About {
        light: Light::Entropy,
        word: "attention entropy",
        unit: "of the most possible",
        meaning: "How widely heads look: the entropy of each row of attention, -Σ p ln p, over the most it could be, ln(tokens so far); the mean over heads.",
        healthy: "Near 1 at the start (everything is looked at alike), lower as heads find what to look at. A single head near 0 is sharp, which is fine; all at 0 with huge logits is a collapse.",
        ends: (0.0, 1.0),
        is_log: false,
    },
];

/// One part, lit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lit {
    /// The value, where this part has one.
    pub(crate) value: Option<f64>,
    /// Its place on the scale, 0 to 1.
    pub(crate) share: f64,
    /// What is wrong with it, if something is.
    pub(crate) problem: Option<String>,
}

impl Light {
    pub(crate) fn about(self) -> &'static About {
        LIGHTS.iter().find(|about| about.light == self).unwrap_or(&LIGHTS[0])
    }

    /// Whether training steps measure it, and no look.
    pub(crate) fn is_of_step(self) -> bool {
        matches!(self, Self::Gradient | Self::Update)
    }

    /// The value as the map writes it.
    pub(crate) fn written(self, value: f64) -> String {
        match self {
            Self::Dead | Self::Entropy => percent(value),
            _ => figure::number::short(value),
        }
    }

    fn of(self, part: &PartSight, tensors: &[TensorStats]) -> Option<f64> {
        match self {
            Self::Rms => Some(f64::from(part.rms)),
            Self::Dead => part.dead.map(f64::from),
            Self::Gradient => gradient(&part.name, tensors),
            Self::Update => update(&part.name, tensors),
            Self::Entropy => mean(part.heads.iter().map(|head| head.entropy)),
        }
    }
}

impl About {
    /// The place of a value on the scale, 0 to 1.
    pub(crate) fn share(&self, value: f64) -> f64 {
        let (low, high) = self.ends;
        let share =
            if self.is_log { (value.max(1e-30) / low).ln() / (high / low).ln() } else { (value - low) / (high - low) };
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }
}

/// Whether a parameter belongs to a part of the map.
fn holds(part: &str, tensor: &str) -> bool {
    tensor.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn gradient(part: &str, tensors: &[TensorStats]) -> Option<f64> {
    let squares: Vec<f64> = tensors
        .iter()
        .filter(|tensor| holds(part, &tensor.name))
        .map(|tensor| tensor.gradient.rms.powi(2) * tensor.gradient.count as f64)
        .collect();
    (!squares.is_empty()).then(|| squares.iter().sum::<f64>().sqrt())
}

/// Gains and biases move on a scale of their own: the matrices tell.
fn update(part: &str, tensors: &[TensorStats]) -> Option<f64> {
    let matrices = tensors.iter().filter(|tensor| holds(part, &tensor.name) && tensor.shape.len() > 1);
    mean(matrices.map(|tensor| tensor.update_ratio as f32))
}

/// Every part, lit, with its problems.
pub(crate) fn lit(light: Light, parts: &[PartSight], tensors: &[TensorStats]) -> Vec<Lit> {
    let mut norms: Vec<f64> =
        parts.iter().filter_map(|part| gradient(&part.name, tensors)).filter(|norm| norm.is_finite()).collect();
    norms.sort_unstable_by(f64::total_cmp);
    let usual = norms.get(norms.len() / 2).copied().unwrap_or(0.0);
    let about = light.about();
    let one = |part: &PartSight| {
        let value = light.of(part, tensors);
        Lit { value, share: value.map_or(0.0, |value| about.share(value)), problem: problem(part, tensors, usual) }
    };
    parts.iter().map(one).collect()
}

fn problem(part: &PartSight, tensors: &[TensorStats], usual_gradient: f64) -> Option<String> {
    let short = figure::number::short;
    if part.bad > 0 {
        return Some(format!(
            "{} of its values are not finite: roll back to before this, and lower the rate",
            figure::number::whole(part.bad)
        ));
    }
    let bad: u64 =
        tensors.iter().filter(|tensor| holds(&part.name, &tensor.name)).map(|tensor| tensor.gradient.bad).sum();
    if bad > 0 {
        return Some(format!("{} of its gradients are not finite", figure::number::whole(bad)));
    }
    if let Some(dead) = part.dead.filter(|dead| *dead > 0.5) {
        return Some(format!("{} of its units are dead on this text", percent(f64::from(dead))));
    }
    let top = part.heads.iter().map(|head| head.top_logit).fold(0.0, f32::max);
    if top > 50.0 {
        return Some(format!(
            "a logit of {}: its softmax is saturated and learns no more; query-key norm would hold it",
            short(f64::from(top))
        ));
    }
    if let Some(ratio) = update(&part.name, tensors).filter(|ratio| *ratio > 0.03) {
        return Some(format!("each step moves it by {} of itself: the rate is likely too high", percent(ratio)));
    }
    match gradient(&part.name, tensors) {
        Some(0.0) => Some("no gradient reaches it".into()),
        Some(norm) if usual_gradient > 0.0 && norm > 20.0 * usual_gradient => {
            Some(format!("its gradient is {} times the usual one of this model", short(norm / usual_gradient)))
        }
        _ if part.stream_rms > 1e3 => {
            Some(format!("the residual stream has grown to {}", short(f64::from(part.stream_rms))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::frame::Moments;
    use wire::sight::HeadStats;

    fn part(name: &str) -> PartSight {
        PartSight { name: name.into(), rms: 1.0, stream_rms: 1.0, bad: 0, dead: None, heads: vec![] }
    }

    fn tensor(name: &str, rms: f64, ratio: f64) -> TensorStats {
        let gradient = Moments { count: 100, rms, ..Moments::default() };
        TensorStats {
            name: name.into(),
            shape: vec![10, 10],
            weight: Moments::default(),
            gradient,
            update_ratio: ratio,
        }
    }

    #[test]
    fn a_part_is_lit_by_its_own_parameters() {
        let parts = [part("block.1.mlp"), part("block.10.mlp"), part("head")];
        let tensors = [
            tensor("block.1.mlp.up", 0.3, 1e-3),
            tensor("block.1.mlp.down", 0.4, 3e-3),
            tensor("block.10.mlp.up", 9.0, 1e-2),
        ];
        let norms = lit(Light::Gradient, &parts, &tensors);
        assert!((norms[0].value.unwrap() - 5.0).abs() < 1e-9, "√(100·0.3² + 100·0.4²), and nothing of block 10");
        assert_eq!(norms[2].value, None, "a tied head has no parameters of its own");
        let ratios = lit(Light::Update, &parts, &tensors);
        assert!((ratios[0].value.unwrap() - 2e-3).abs() < 1e-8);
        assert!((Light::Update.about().share(1e-3) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn what_is_wrong_is_said_and_what_is_fine_is_not() {
        let said = |part: PartSight, tensors: &[TensorStats]| lit(Light::Rms, &[part], tensors)[0].problem.clone();
        assert_eq!(said(part("block.0.mlp"), &[tensor("block.0.mlp.up", 0.1, 1e-3)]), None);
        assert!(said(PartSight { bad: 3, ..part("norm") }, &[]).unwrap().contains("not finite"));
        assert!(said(PartSight { dead: Some(0.8), ..part("block.0.mlp") }, &[]).unwrap().contains("80"));
        assert!(said(part("block.0.mlp"), &[tensor("block.0.mlp.up", 0.0, 0.0)]).unwrap().contains("no gradient"));
        let hot = HeadStats { top_logit: 120.0, ..HeadStats::default() };
        assert!(said(PartSight { heads: vec![hot], ..part("block.0.attention") }, &[]).unwrap().contains("saturated"));
    }

    #[test]
    fn scales_hold_any_value() {
        for about in &LIGHTS {
            for value in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
                assert!((0.0..=1.0).contains(&about.share(value)));
            }
        }
    }
}
