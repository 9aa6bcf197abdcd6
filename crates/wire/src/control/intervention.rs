//! Interventions on a model: which components, and the factor that multiplies their output. An inspection applies them to a forward pass of
//! its own; a weight edit multiplies the weights of the run by it once.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::PlanError;
use crate::model::ModelPlan;
use crate::number::brief;

/// Maximum number of interventions at once.
pub const MAX_INTERVENTIONS: usize = 32;
/// Maximum absolute factor.
pub const MAX_FACTOR: f32 = 100.0;

/// An intervention: the output of a component is multiplied by a factor. Factor 0 ablates it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Intervention {
    pub component: Component,
    /// Factor; 0 ablates, 1 changes nothing.
    pub factor: f32,
}

/// A component whose output an intervention can scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// The attention output of a block, which is added to the residual stream.
    Attention {
        /// Block, from 0.
        layer: u32,
    },
    /// The MLP output of a block, which is added to the residual stream.
    Mlp {
        /// Block, from 0.
        layer: u32,
    },
    /// One head, before the output projection.
    Head {
        /// Block, from 0.
        layer: u32,
        /// Head, from 0.
        head: u32,
    },
    /// One MLP neuron, after the non-linearity.
    Neuron {
        /// Block, from 0.
        layer: u32,
        /// Neuron, from 0.
        neuron: u32,
    },
    /// The embedding of the token at a position of the text, before the position embedding is added.
    Position {
        /// Position, from 0.
        at: u32,
    },
}

impl fmt::Display for Component {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attention { layer } => write!(out, "attention of block {layer}"),
            Self::Mlp { layer } => write!(out, "MLP of block {layer}"),
            Self::Head { layer, head } => write!(out, "head {head} of block {layer}"),
            Self::Neuron { layer, neuron } => write!(out, "neuron {neuron} of block {layer}"),
            Self::Position { at } => write!(out, "embedding of the token at position {at}"),
        }
    }
}

impl fmt::Display for Intervention {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.factor {
            0.0 => write!(out, "{} ablated", self.component),
            factor => write!(out, "{} × {}", self.component, brief(f64::from(factor))),
        }
    }
}

/// A component number that is out of range: the number, and the number of components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchComponent {
    what: &'static str,
    number: u32,
    /// Number of components of this kind.
    count: usize,
}

impl fmt::Display for NoSuchComponent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, number, count } = self;
        let each = if *what == "block" { "this model" } else { "each block of this model" };
        write!(out, "{what} {number} does not exist: {each} has {count}, 0 to {}", count.saturating_sub(1))
    }
}

impl std::error::Error for NoSuchComponent {}

impl ModelPlan {
    /// Checks a block number.
    ///
    /// # Errors
    /// A number that the model does not have.
    pub fn layer(&self, layer: u32) -> Result<usize, NoSuchComponent> {
        within("block", layer, self.layers)
    }

    /// Checks a component; a position is checked when the text is read.
    ///
    /// # Errors
    /// A component that the model does not have.
    pub fn component(&self, component: Component) -> Result<(), NoSuchComponent> {
        match component {
            Component::Attention { layer } | Component::Mlp { layer } => self.layer(layer).map(drop),
            Component::Head { layer, head } => {
                self.layer(layer).and_then(|_| within("head", head, self.heads)).map(drop)
            }
            Component::Neuron { layer, neuron } => {
                self.layer(layer).and_then(|_| within("neuron", neuron, self.d_ff)).map(drop)
            }
            Component::Position { .. } => Ok(()),
        }
    }
}

fn within(what: &'static str, number: u32, count: usize) -> Result<usize, NoSuchComponent> {
    let is_there = (number as usize) < count;
    is_there.then_some(number as usize).ok_or(NoSuchComponent { what, number, count })
}

/// Checks interventions without a model.
///
/// # Errors
/// Too many interventions; a factor that is not finite or too large.
pub fn check(interventions: &[Intervention]) -> Result<(), PlanError> {
    let failed = |message: String, hint: String| Err(PlanError::new("interventions", message).hint(hint));
    if interventions.len() > MAX_INTERVENTIONS {
        return failed(
            format!("{} interventions at once", interventions.len()),
            format!("at most {MAX_INTERVENTIONS}"),
        );
    }
    match interventions.iter().find(|one| !one.factor.is_finite() || one.factor.abs() > MAX_FACTOR) {
        Some(one) => failed(
            format!("{} is not a valid factor", one.factor),
            format!("enter a number from -{MAX_FACTOR} to {MAX_FACTOR}"),
        ),
        None => Ok(()),
    }
}

/// Checks interventions that are to be written into the weights of a model.
///
/// # Errors
/// As [`check`]; nothing to change; a component that the model does not have, or one that is not in the weights (a position).
pub fn check_weight_edit(interventions: &[Intervention], model: &ModelPlan) -> Result<(), PlanError> {
    check(interventions)?;
    let failed = |message: String| PlanError::new("interventions", message);
    if interventions.iter().all(|one| one.factor == 1.0) {
        return Err(failed("every factor is 1, which changes nothing".into()).hint("give a component another factor"));
    }
    interventions.iter().try_for_each(|one| match one.component {
        Component::Position { .. } => Err(failed(format!("the {} is not in the weights", one.component))
            .hint("choose a head, a neuron, an attention or an MLP")),
        component => model.component(component).map_err(|missing| failed(missing.to_string())),
    })
}

/// The interventions that undo others; `None` if a component was ablated, or nearly so.
pub fn inverse(interventions: &[Intervention]) -> Option<Vec<Intervention>> {
    let inverse = |one: &Intervention| {
        let factor = 1.0 / one.factor;
        (factor.abs() <= MAX_FACTOR).then_some(Intervention { factor, ..one.clone() })
    };
    interventions.iter().rev().map(inverse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::preset;

    fn edit(component: Component, factor: f32) -> Intervention {
        Intervention { component, factor }
    }

    #[test]
    fn a_weight_edit_is_checked_against_the_model() {
        let model = preset::find("nanogpt-cpu", None).unwrap().recipe.model;
        let refused = |edits: &[Intervention]| {
            check_weight_edit(edits, &model).err().map_or_else(String::new, |error| error.to_string())
        };
        assert_eq!(refused(&[edit(Component::Head { layer: 0, head: 0 }, 0.0)]), "");
        let beyond = edit(Component::Head { layer: 0, head: model.heads as u32 }, 0.0);
        assert!(refused(&[beyond]).contains("head 4 does not exist"), "its number and how many there are");
        assert!(refused(&[edit(Component::Mlp { layer: 900 }, 0.0)]).contains("block 900 does not exist"));
        assert!(refused(&[edit(Component::Position { at: 0 }, 0.0)]).contains("not in the weights"));
        assert!(refused(&[]).contains("changes nothing"));
        assert!(refused(&[edit(Component::Mlp { layer: 0 }, f32::INFINITY)]).contains("factor"));
        assert!(refused(&vec![edit(Component::Mlp { layer: 0 }, 0.0); MAX_INTERVENTIONS + 1]).contains("at most"));
    }

    #[test]
    fn an_ablation_has_no_inverse() {
        let (head, mlp) = (Component::Head { layer: 0, head: 1 }, Component::Mlp { layer: 1 });
        let back = inverse(&[edit(head, 2.0), edit(mlp, -0.5)]);
        assert_eq!(back, Some(vec![edit(mlp, -2.0), edit(head, 0.5)]));
        assert_eq!(inverse(&[edit(head, 2.0), edit(mlp, 0.0)]), None);
        assert_eq!(
            format!("{}, {}", edit(head, 0.0), edit(mlp, 0.5)),
            "head 1 of block 0 ablated, MLP of block 1 × 0.5"
        );
    }
}
