//! Paths of the hyperparameters that can change while a run trains.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::table::{Hyperparameter, TABLE, find};
use crate::error::PlanError;

/// The path of a hyperparameter that can change while a run trains. Its text form is the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LivePath(&'static str);

impl LivePath {
    /// Learning rate at the next step; the rest of the schedule is scaled with it.
    pub const LEARNING_RATE: Self = Self("optimizer.learning_rate");
    /// Maximum global gradient norm.
    pub const GRAD_CLIP: Self = Self("optimizer.grad_clip");
    /// Decoupled weight decay of matrices.
    pub const WEIGHT_DECAY: Self = Self("optimizer.weight_decay");
    /// Steps between evaluations.
    pub const EVAL_EVERY: Self = Self("intervals.eval_every");
    /// Steps between samples.
    pub const SAMPLE_EVERY: Self = Self("intervals.sample_every");
    /// Steps between checkpoints.
    pub const CHECKPOINT_EVERY: Self = Self("intervals.checkpoint_every");

    /// Every live hyperparameter, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().filter(|row| row.is_live).map(|row| Self(row.path))
    }

    /// The path.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Its row of the table. Every `LivePath` has one: a test checks the constants, parsing the rest.
    pub fn row(self) -> &'static Hyperparameter {
        find(self.0).unwrap_or(&TABLE[0])
    }

    /// Whether a change of it affects the training, so that a checkpoint is saved before it.
    pub fn affects_learning(self) -> bool {
        self.row().group() == "optimizer"
    }

    /// Checks a new value.
    ///
    /// # Errors
    /// A value outside the range of the table.
    pub fn check(self, value: f64) -> Result<(), PlanError> {
        self.row().check(&Value::from(value))
    }
}

impl fmt::Display for LivePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl FromStr for LivePath {
    type Err = PlanError;
    fn from_str(path: &str) -> Result<Self, PlanError> {
        let live = || Self::all().map(Self::as_str).collect::<Vec<_>>().join(", ");
        match find(path) {
            Some(row) if row.is_live => Ok(Self(row.path)),
            Some(_) => Err(PlanError::new("path", format!("{path} cannot change while a run trains"))
                .hint(format!("one of {}", live()))),
            None => {
                Err(PlanError::new("path", format!("unknown hyperparameter {path:?}"))
                    .hint(format!("one of {}", live())))
            }
        }
    }
}

// Not derived: a derived implementation would borrow the `&'static str` from the input.
impl Serialize for LivePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LivePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A string in the API document, as its serde form is.
#[cfg(feature = "openapi")]
mod schema {
    use utoipa::openapi::RefOr;
    use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
    use utoipa::{PartialSchema, ToSchema};

    use super::LivePath;

    impl PartialSchema for LivePath {
        fn schema() -> RefOr<Schema> {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(LivePath::all().map(LivePath::as_str)))
                .into()
        }
    }

    impl ToSchema for LivePath {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_paths_are_those_of_live_rows() {
        use LivePath as P;
        for path in
            [P::LEARNING_RATE, P::GRAD_CLIP, P::WEIGHT_DECAY, P::EVAL_EVERY, P::SAMPLE_EVERY, P::CHECKPOINT_EVERY]
        {
            assert_eq!(path.as_str().parse::<LivePath>(), Ok(path));
        }
        assert!("model.layers".parse::<LivePath>().unwrap_err().message.contains("cannot change"));
        assert!("mood".parse::<LivePath>().unwrap_err().hint.unwrap().contains("optimizer.learning_rate"));
    }

    #[test]
    fn values_outside_the_range_are_refused() {
        assert!(LivePath::LEARNING_RATE.check(1e-3).is_ok() && LivePath::EVAL_EVERY.check(100.0).is_ok());
        for (path, value) in [
            (LivePath::LEARNING_RATE, f64::NAN),
            (LivePath::LEARNING_RATE, -1.0),
            (LivePath::GRAD_CLIP, f64::INFINITY),
            (LivePath::EVAL_EVERY, 0.5),
        ] {
            assert!(path.check(value).is_err(), "{path} {value}");
        }
    }
}
