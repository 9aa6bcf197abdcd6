//! Ids: short, readable, and safe as file names, because they name files and folders.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An invalid id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdError {
    /// The invalid text, at most 80 characters of it.
    pub text: String,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not an id: 1 to 64 of a-z, 0-9 and -, starting with a letter or digit", self.text)
    }
}

impl std::error::Error for IdError {}

fn check(text: &str) -> Result<(), IdError> {
    let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let all_plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if starts_well && all_plain && text.len() <= 64 {
        Ok(())
    } else {
        Err(IdError { text: text.chars().take(80).collect() })
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                check(&text)?;
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A run: `amber-fox-7k2q`.
    RunId
);
id!(
    /// A dataset: `tales`, `tinyshakespeare`.
    CorpusId
);
id!(
    /// A device of a machine: `cpu`, `vulkan-0`.
    DeviceId
);
id!(
    /// A worker process.
    WorkerId
);

const COLOURS: [&str; 32] = [
    "amber", "ashen", "azure", "brass", "bright", "bronze", "chalk", "cobalt", "copper", "coral", "crimson", "dusky",
    "ember", "golden", "hazel", "indigo", "ivory", "jade", "lilac", "maple", "misty", "ochre", "olive", "opal",
    "pearl", "quiet", "russet", "sable", "silver", "slate", "tawny", "umber",
];
const CREATURES: [&str; 32] = [
    "badger", "bear", "beaver", "crane", "crow", "deer", "dove", "eagle", "egret", "falcon", "finch", "fox", "gull",
    "hare", "hawk", "heron", "ibex", "jay", "kite", "lark", "lynx", "marten", "mole", "otter", "owl", "raven", "robin",
    "seal", "stoat", "swift", "vole", "wren",
];

/// A readable name and a run id from one random number; the name is the id without its last four characters.
pub fn name_run(random: u64) -> (String, RunId) {
    let name = format!("{}-{}", COLOURS[(random % 32) as usize], CREATURES[(random / 32 % 32) as usize]);
    let id = RunId(format!("{name}-{}", tail(random / 1024)));
    (name, id)
}

/// Four letters and digits from a random number, to tell ids apart.
pub fn tail(random: u64) -> String {
    let digits = b"23456789abcdefghjkmnpqrstuvwxyz";
    let mut rest = random;
    let mut digit = || {
        let digit = digits[(rest % digits.len() as u64) as usize];
        rest /= digits.len() as u64;
        char::from(digit)
    };
    (0..4).map(|_| digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_file_name_safe_texts_are_ids() {
        for good in ["cpu", "amber-fox-7k2q", "0"] {
            assert!(good.parse::<RunId>().is_ok(), "{good}");
        }
        for bad in ["", "..", "-x", "a/b", "A", "a b", "a.b", "é", &"x".repeat(65)] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<RunId>("\"../etc\"").is_err());
    }

    #[test]
    fn every_generated_name_is_an_id() {
        for random in (0..100_000u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)) {
            let (name, id) = name_run(random);
            assert!(id.as_str().starts_with(&name) && check(id.as_str()).is_ok());
        }
    }
}
