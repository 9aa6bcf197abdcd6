//! Looks inside a model: what can be asked ([`Look`]). What is seen is [`crate::sight`]'s.
//!
//! A look is a pure function of weights, plan and text, carried out by whoever holds the weights: the worker between two steps, or a
//! process of its own on a checkpoint. It reads a short text in a pass of its own, never the training batch, so that looking changes
//! nothing.

use serde::{Deserialize, Serialize};

use crate::edit::{self, Edit};

/// Tokens of a text that a look reads at most; the model's context where that is shorter.
pub const MOST_TOKENS: usize = 128;
/// Characters of a text of one's own.
pub const MOST_CHARS: usize = 4000;
/// Looks that one page may have standing at a time.
pub const MOST_STANDING: usize = 8;

/// What a look reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Passage {
    /// A window of held-out text, by its number; the same at every step.
    Held(u32),
    /// A text of one's own.
    Own(String),
}

impl Default for Passage {
    fn default() -> Self {
        Self::Held(0)
    }
}

/// Which numbers of a parameter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Its values.
    #[default]
    Weight,
    /// Its gradient: of the mean loss over [`Passage::Held`] 0, without dropout.
    Gradient,
    /// What the optimizer would add to it by its moments as they stand, decay left out: AdamW `-rate * m / (sqrt(v) + eps)`, both moments
    /// corrected for their start; Muon minus the momentum made orthogonal, times its rate.
    Update,
}

/// A part of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Window {
    /// First row.
    pub row: u32,
    /// First column.
    pub column: u32,
    /// Rows, at least 1.
    pub rows: u32,
    /// Columns, at least 1.
    pub columns: u32,
}

/// What can be looked at.
///
/// JSON: `{"attention": {"layer": 0, "passage": {"own": "Once upon"}}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Look {
    /// Every part in one number each: the map.
    Map {
        /// Text to read.
        #[serde(default)]
        passage: Passage,
    },
    /// The patterns of all heads of a block.
    Attention {
        /// Text to read.
        #[serde(default)]
        passage: Passage,
        /// Block, from 0.
        layer: u32,
    },
    /// What the model would say after each block, place by place (logit lens), and the loss of each token.
    Lens {
        /// Text to read.
        #[serde(default)]
        passage: Passage,
    },
    /// What the units of a block's MLP do over a text.
    Units {
        /// Text to read.
        #[serde(default)]
        passage: Passage,
        /// Block, from 0.
        layer: u32,
    },
    /// The held-out contexts that make one unit fire most.
    Unit {
        /// Block, from 0.
        layer: u32,
        /// Unit, from 0.
        unit: u32,
    },
    /// Thumbnails and histograms of all matrices.
    Gallery {
        /// Which numbers.
        #[serde(default)]
        of: Of,
    },
    /// One parameter, or a part of it down to single values.
    Matrix {
        /// Path in the model: `block.0.attention.query`.
        tensor: String,
        /// Which numbers.
        #[serde(default)]
        of: Of,
        /// Which part; all of it unless told.
        #[serde(default)]
        window: Option<Window>,
    },
    /// The tokens' embeddings on a plane, and what is nearest to what.
    Embedding {},
    /// The text of a step's batch, past or to come, with the loss of each token on the weights at hand.
    Batch {
        /// Step whose batch it is.
        step: u64,
    },
    /// What changes when a hand is laid on some parts: loss and completion, with and without.
    Hands {
        /// Text to read and to complete.
        #[serde(default)]
        passage: Passage,
        /// The changes; at most [`edit::MOST_EDITS`].
        edits: Vec<Edit>,
    },
    /// Weights, gradient and update of every parameter in a few numbers, as the last step that measured them left them.
    Tensors {},
}

impl Look {
    /// Its kind, as in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Map { .. } => "map",
            Self::Attention { .. } => "attention",
            Self::Lens { .. } => "lens",
            Self::Units { .. } => "units",
            Self::Unit { .. } => "unit",
            Self::Gallery { .. } => "gallery",
            Self::Matrix { .. } => "matrix",
            Self::Embedding {} => "embedding",
            Self::Batch { .. } => "batch",
            Self::Hands { .. } => "hands",
            Self::Tensors {} => "tensors",
        }
    }

    /// One short text for each different look: the key under which the newest sight of it replaces the one before.
    pub fn key(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| self.kind().to_owned())
    }

    /// The text it reads, where it reads one.
    pub fn passage(&self) -> Option<&Passage> {
        match self {
            Self::Map { passage }
            | Self::Attention { passage, .. }
            | Self::Lens { passage }
            | Self::Units { passage, .. }
            | Self::Hands { passage, .. } => Some(passage),
            _ => None,
        }
    }

    /// Refuses what no model could answer, with the sentence to show. Whether a layer or a tensor exists, only the model knows.
    pub fn check(&self) -> Result<(), String> {
        if let Some(Passage::Own(text)) = self.passage() {
            let chars = text.chars().count();
            if chars == 0 {
                return Err("the text is empty: give at least one character".into());
            }
            if chars > MOST_CHARS {
                return Err(format!(
                    "the text has {chars} characters, and a look reads at most {MOST_CHARS}: shorten it"
                ));
            }
        }
        match self {
            Self::Matrix { window: Some(window), .. } if window.rows == 0 || window.columns == 0 => {
                Err("a window of a matrix needs at least one row and one column".into())
            }
            Self::Hands { edits, .. } => edit::check(edits),
            _ => Ok(()),
        }
    }
}

/// The steps whose looks are kept: every one below 16, then sixteen for each doubling.
pub fn is_kept(step: u64) -> bool {
    step < 16 || step.is_multiple_of(1 << (step.ilog2() - 4))
}

/// The looks that are kept of a run of this many blocks, all of them over [`Passage::Held`] 0.
pub fn kept_looks(layers: usize) -> Vec<Look> {
    let passage = Passage::default();
    let mut looks = vec![
        Look::Map { passage: passage.clone() },
        Look::Lens { passage: passage.clone() },
        Look::Gallery { of: Of::Weight },
        Look::Embedding {},
        Look::Tensors {},
    ];
    looks.extend((0..layers as u32).map(|layer| Look::Attention { passage: passage.clone(), layer }));
    looks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::Part;

    #[test]
    fn looks_read_as_people_write_them() {
        let read = |text: &str| serde_json::from_str::<Look>(text);
        assert_eq!(read(r#"{"map":{}}"#).unwrap(), Look::Map { passage: Passage::Held(0) });
        assert_eq!(
            read(r#"{"attention":{"layer":1,"passage":{"own":"Once"}}}"#).unwrap(),
            Look::Attention { passage: Passage::Own("Once".into()), layer: 1 }
        );
        assert_eq!(read(r#"{"embedding":{}}"#).unwrap(), Look::Embedding {});
        assert!(read(r#"{"mood":{}}"#).is_err() && read(r#"{"map":{"x":1}}"#).is_err());
        let edit = Edit { part: Part::Head { layer: 0, head: 1 }, factor: 0.0 };
        let look = Look::Hands { passage: Passage::default(), edits: vec![edit] };
        assert_eq!(read(&look.key()).unwrap(), look);
        let packed = postcard::to_allocvec(&look).unwrap();
        assert_eq!(postcard::from_bytes::<Look>(&packed).unwrap(), look);
    }

    #[test]
    fn looks_that_cannot_be_answered_are_refused() {
        let own = |text: &str| Look::Lens { passage: Passage::Own(text.into()) };
        assert!(
            own("a").check().is_ok() && own("").check().is_err() && own(&"a".repeat(MOST_CHARS + 1)).check().is_err()
        );
        let by = |factor| Look::Hands {
            passage: Passage::default(),
            edits: vec![Edit { part: Part::Mlp { layer: 0 }, factor }],
        };
        assert!(by(-2.0).check().is_ok() && by(f32::NAN).check().is_err() && by(1e9).check().is_err());
    }

    #[test]
    fn kept_steps_are_spread_by_doublings() {
        let kept: Vec<u64> = (0..100).filter(|step| is_kept(*step)).collect();
        assert_eq!(&kept[..18], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
        assert!(kept.ends_with(&[88, 92, 96]));
        assert_eq!((0..1 << 19).filter(|step| is_kept(*step)).count(), 16 * 16);
    }
}
