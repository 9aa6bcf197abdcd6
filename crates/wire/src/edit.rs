//! Hands on a model's inside: which parts can be reached, and what they are multiplied by. A look tries edits on a pass of its own; a command
//! writes them into the weights of the run.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::brief;
use crate::model::ModelPlan;

/// Edits at once.
pub const MOST_EDITS: usize = 32;
/// Largest factor, of either sign.
pub const MOST_FACTOR: f32 = 100.0;

/// A change by hand to what a part of the model says: multiplied by a factor, 0 to silence it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Which part.
    pub part: Part,
    /// What its output is multiplied by; 0 silences, 1 changes nothing.
    pub factor: f32,
}

/// A part that a hand can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// All of a block's attention: what it adds to the residual stream.
    Attention {
        /// Block, from 0.
        layer: u32,
    },
    /// All of a block's MLP: what it adds to the residual stream.
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
    /// One unit of an MLP, after its non-linearity.
    Unit {
        /// Block, from 0.
        layer: u32,
        /// Unit, from 0.
        unit: u32,
    },
    /// The embedding of the token at a place of the text, before its position is added.
    Position {
        /// Place, from 0.
        at: u32,
    },
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attention { layer } => write!(out, "attention of block {layer}"),
            Self::Mlp { layer } => write!(out, "MLP of block {layer}"),
            Self::Head { layer, head } => write!(out, "head {head} of block {layer}"),
            Self::Unit { layer, unit } => write!(out, "unit {unit} of block {layer}"),
            Self::Position { at } => write!(out, "embedding of token {at}"),
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.factor {
            0.0 => write!(out, "{} silenced", self.part),
            factor => write!(out, "{} × {}", self.part, brief(f64::from(factor))),
        }
    }
}

/// A part that a model does not have: which was asked for, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPart {
    what: &'static str,
    number: u32,
    /// Of these, from 0.
    count: usize,
}

impl fmt::Display for NoPart {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, number, count } = self;
        let each = if *what == "block" { "this model" } else { "each block of this model" };
        write!(out, "there is no {what} {number}: {each} has {count}, 0 to {}", count.saturating_sub(1))
    }
}

impl std::error::Error for NoPart {}

impl ModelPlan {
    /// A block that there is.
    ///
    /// # Errors
    /// One that there is not.
    pub fn layer(&self, layer: u32) -> Result<usize, NoPart> {
        within("block", layer, self.layers)
    }

    /// A part that there is; whether a text has a token at a place, only who reads it knows.
    ///
    /// # Errors
    /// One that there is not.
    pub fn part(&self, part: Part) -> Result<(), NoPart> {
        match part {
            Part::Attention { layer } | Part::Mlp { layer } => self.layer(layer).map(drop),
            Part::Head { layer, head } => self.layer(layer).and_then(|_| within("head", head, self.heads)).map(drop),
            Part::Unit { layer, unit } => self.layer(layer).and_then(|_| within("unit", unit, self.d_ff)).map(drop),
            Part::Position { .. } => Ok(()),
        }
    }
}

fn within(what: &'static str, number: u32, count: usize) -> Result<usize, NoPart> {
    let is_there = (number as usize) < count;
    is_there.then_some(number as usize).ok_or(NoPart { what, number, count })
}

/// Refuses what can be done to no model, with the sentence to show.
///
/// # Errors
/// Too many edits; a factor that is no number or too large.
pub fn check(edits: &[Edit]) -> Result<(), String> {
    if edits.len() > MOST_EDITS {
        return Err(format!("{} changes at once, and {MOST_EDITS} are the most: take some back", edits.len()));
    }
    match edits.iter().find(|edit| !edit.factor.is_finite() || edit.factor.abs() > MOST_FACTOR) {
        Some(edit) => {
            Err(format!("a factor must be a number from -{MOST_FACTOR} to {MOST_FACTOR}, not {}", edit.factor))
        }
        None => Ok(()),
    }
}

/// Refuses what cannot be written into the weights of a model, with the sentence to show.
///
/// # Errors
/// As [`check`]; nothing to change; a part that the model does not have, or that lies in the text and not in the weights.
pub fn check_lasting(edits: &[Edit], model: &ModelPlan) -> Result<(), String> {
    check(edits)?;
    if edits.iter().all(|edit| edit.factor == 1.0) {
        return Err("it changes nothing: give at least one part a factor other than 1".into());
    }
    edits.iter().try_for_each(|edit| match edit.part {
        Part::Position { .. } => Err(format!(
            "the {} is of a text and not of the weights: name a head, a unit, an attention or an MLP",
            edit.part
        )),
        part => model.part(part).map_err(|no| no.to_string()),
    })
}

/// The edits that take some back; none where a part was silenced, or nearly.
pub fn inverse(edits: &[Edit]) -> Option<Vec<Edit>> {
    let back = |edit: &Edit| {
        let factor = 1.0 / edit.factor;
        (factor.abs() <= MOST_FACTOR).then_some(Edit { factor, ..edit.clone() })
    };
    edits.iter().rev().map(back).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan_of;

    fn edit(part: Part, factor: f32) -> Edit {
        Edit { part, factor }
    }

    #[test]
    fn what_lasts_is_checked_against_the_model() {
        let model = plan_of(r#"{"corpus":"tales"}"#).recipe.model;
        let refused = |edits: &[Edit]| check_lasting(edits, &model).err().unwrap_or_default();
        assert_eq!(refused(&[edit(Part::Head { layer: 0, head: 0 }, 0.0)]), "");
        let beyond = edit(Part::Head { layer: 0, head: model.heads as u32 }, 0.0);
        assert!(refused(&[beyond]).contains("there is no head"), "its number and how many there are");
        assert!(refused(&[edit(Part::Mlp { layer: 900 }, 0.0)]).contains("no block 900"));
        assert!(refused(&[edit(Part::Position { at: 0 }, 0.0)]).contains("of a text"));
        assert!(refused(&[]).contains("changes nothing"));
        assert!(refused(&[edit(Part::Mlp { layer: 0 }, f32::INFINITY)]).contains("factor"));
        assert!(refused(&vec![edit(Part::Mlp { layer: 0 }, 0.0); MOST_EDITS + 1]).contains("most"));
    }

    #[test]
    fn a_silenced_part_has_no_opposite() {
        let (head, mlp) = (Part::Head { layer: 0, head: 1 }, Part::Mlp { layer: 1 });
        let back = inverse(&[edit(head, 2.0), edit(mlp, -0.5)]);
        assert_eq!(back, Some(vec![edit(mlp, -2.0), edit(head, 0.5)]));
        assert_eq!(inverse(&[edit(head, 2.0), edit(mlp, 0.0)]), None);
        assert_eq!(
            format!("{}, {}", edit(head, 0.0), edit(mlp, 0.5)),
            "head 1 of block 0 silenced, MLP of block 1 × 0.5"
        );
    }
}
