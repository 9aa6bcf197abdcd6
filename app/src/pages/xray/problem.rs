//! Problems of components: what is marked in red on the overview, whatever it is coloured by, and what to do about it.

use figure::number::{short, whole};
use wire::inspect::result::ComponentStats;
use wire::inspect::statistics::TensorStats;
use wire::series::LARGEST_ATTENTION_SCORE;

use super::quantity::{belongs, gradient_norm, update_ratio};
use super::tokens::percent;

/// Above this fraction of dead neurons an MLP has lost half of its width.
const MOST_DEAD: f32 = 0.5;
/// Above this ratio of update to weight the learning rate is too high.
const LARGEST_UPDATE: f64 = 0.03;
/// Above this multiple of the median gradient norm a component stands out.
const GRADIENT_MULTIPLE: f64 = 20.0;
/// Above this root mean square the residual stream has grown out of range.
const LARGEST_STREAM: f32 = 1e3;

/// The problem of each component, if it has one.
pub(crate) fn problems(components: &[ComponentStats], tensors: &[TensorStats]) -> Vec<Option<String>> {
    let median = median_gradient(components, tensors);
    components.iter().map(|component| problem(component, tensors, median)).collect()
}

fn median_gradient(components: &[ComponentStats], tensors: &[TensorStats]) -> f64 {
    let norms = components.iter().filter_map(|component| gradient_norm(&component.name, tensors));
    let mut norms: Vec<f64> = norms.filter(|norm| norm.is_finite()).collect();
    norms.sort_unstable_by(f64::total_cmp);
    norms.get(norms.len() / 2).copied().unwrap_or(0.0)
}

fn problem(component: &ComponentStats, tensors: &[TensorStats], median: f64) -> Option<String> {
    non_finite(component, tensors)
        .or_else(|| activation_problem(component))
        .or_else(|| training_problem(component, tensors, median))
        .or_else(|| stream_problem(component))
}

fn non_finite(component: &ComponentStats, tensors: &[TensorStats]) -> Option<String> {
    if component.non_finite > 0 {
        return Some(format!(
            "{} of its values are not finite: roll back to an earlier checkpoint and lower the learning rate",
            whole(component.non_finite)
        ));
    }
    let own = tensors.iter().filter(|tensor| belongs(&tensor.name, &component.name));
    let gradients: u64 = own.map(|tensor| tensor.gradient.non_finite).sum();
    (gradients > 0).then(|| format!("{} values of its gradient are not finite", whole(gradients)))
}

fn activation_problem(component: &ComponentStats) -> Option<String> {
    if let Some(dead) = component.dead.filter(|dead| *dead > MOST_DEAD) {
        return Some(format!("{} of its neurons are dead on this text", percent(f64::from(dead))));
    }
    let score = component.heads.iter().map(|head| head.top_logit).fold(0.0, f32::max);
    (f64::from(score) > LARGEST_ATTENTION_SCORE).then(|| {
        format!(
            "an attention score of {}: the softmax is saturated and passes no gradient; query-key normalization \
             prevents this",
            short(f64::from(score))
        )
    })
}

fn training_problem(component: &ComponentStats, tensors: &[TensorStats], median: f64) -> Option<String> {
    if let Some(ratio) = update_ratio(&component.name, tensors).filter(|ratio| *ratio > LARGEST_UPDATE) {
        return Some(format!(
            "each update changes its weights by {}: the learning rate is probably too high",
            percent(ratio)
        ));
    }
    match gradient_norm(&component.name, tensors)? {
        0.0 => Some("it receives no gradient".into()),
        norm if median > 0.0 && norm > GRADIENT_MULTIPLE * median => {
            Some(format!("its gradient norm is {} times the median of the components", short(norm / median)))
        }
        _ => None,
    }
}

fn stream_problem(component: &ComponentStats) -> Option<String> {
    (component.stream_rms > LARGEST_STREAM)
        .then(|| format!("the residual stream has an RMS of {}", short(f64::from(component.stream_rms))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::xray::quantity::Quantity;
    use wire::inspect::result::HeadStats;
    use wire::inspect::statistics::Moments;

    fn component(name: &str) -> ComponentStats {
        ComponentStats { name: name.into(), rms: 1.0, stream_rms: 1.0, non_finite: 0, dead: None, heads: vec![] }
    }

    fn tensor(name: &str, rms: f64, ratio: f64) -> TensorStats {
        let gradient = Moments { count: 100, rms, ..Moments::default() };
        let weight = Moments::default();
        TensorStats { name: name.into(), shape: vec![10, 10], weight, gradient, update_ratio: ratio }
    }

    fn check(component: ComponentStats, tensors: &[TensorStats], expected: Option<&str>) {
        let found = problems(&[component], tensors).remove(0);
        match expected {
            Some(words) => assert!(found.as_deref().is_some_and(|found| found.contains(words)), "{found:?}"),
            None => assert_eq!(found, None),
        }
    }

    #[test]
    fn the_tooltips_name_the_limits_that_are_used() {
        let healthy = |quantity: Quantity| quantity.about().healthy;
        assert!(healthy(Quantity::UpdateRatio).contains(&format!("Above {LARGEST_UPDATE} ")));
        assert!(healthy(Quantity::GradientNorm).contains(&format!("above {GRADIENT_MULTIPLE} times the median")));
        assert!(healthy(Quantity::ActivationRms).contains(&format!("above an RMS of {LARGEST_STREAM}")));
        assert!(healthy(Quantity::DeadNeurons).contains(&format!("Above {:.0} %", MOST_DEAD * 100.0)));
    }

    #[test]
    fn each_problem_is_named_and_a_healthy_component_has_none() {
        let mlp = || component("block.0.mlp");
        check(mlp(), &[tensor("block.0.mlp.up", 0.1, 1e-3)], None);
        check(ComponentStats { non_finite: 3, ..component("norm") }, &[], Some("not finite"));
        check(ComponentStats { dead: Some(0.8), ..mlp() }, &[], Some("80"));
        check(mlp(), &[tensor("block.0.mlp.up", 0.0, 0.0)], Some("no gradient"));
        check(mlp(), &[tensor("block.0.mlp.up", 0.1, 0.2)], Some("learning rate"));
        check(ComponentStats { stream_rms: 2e3, ..mlp() }, &[tensor("block.0.mlp.up", 0.1, 1e-3)], Some("residual"));
        let saturated = HeadStats { top_logit: 120.0, ..HeadStats::default() };
        check(ComponentStats { heads: vec![saturated], ..component("block.0.attention") }, &[], Some("saturated"));
    }
}
