//! Postcard for sockets and files, with JSON text for the types that postcard cannot decode.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Encodes a message for a socket or a file.
pub fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_allocvec(value)
}

/// Decodes a message. Invalid bytes give an error, never a panic.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, postcard::Error> {
    postcard::from_bytes(bytes)
}

/// Rounds to 12 significant digits. Such a number (from 1e-10 up) is read from JSON with the same bits, while the reader may change the last
/// bit of a longer one. Hyperparameters are rounded, so that a replayed journal gives the same values.
pub fn exact(value: f64) -> f64 {
    format!("{value:.11e}").parse().unwrap_or(value)
}

/// `#[serde(with = "crate::encode::json")]` for fields whose JSON form names its own kind (commands, events, free values):
/// plain in JSON, a JSON text inside postcard, which cannot read self-describing data.
pub mod json {
    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes the value itself, or its JSON text if the format is binary.
    pub fn serialize<T: Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return value.serialize(serializer);
        }
        serde_json::to_string(value).map_err(S::Error::custom)?.serialize(serializer)
    }

    /// Reads a value written by [`serialize`].
    pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        if deserializer.is_human_readable() {
            return T::deserialize(deserializer);
        }
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::exact;

    #[test]
    fn exact_numbers_survive_json_bit_for_bit() {
        let mut value = 0.123_456_789_f64;
        for _ in 0..20_000 {
            value = (value * 997.13).fract() + 1e-3;
            for scaled in [value, value * 1e-7, value * 3e5, -value] {
                let kept = exact(scaled);
                assert!((kept - scaled).abs() <= scaled.abs() * 1e-11);
                let read: f64 = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
                assert_eq!(read.to_bits(), kept.to_bits(), "{kept}");
            }
        }
        assert!(exact(f64::NAN).is_nan() && exact(f64::INFINITY).is_infinite() && exact(0.0) == 0.0);
    }
}
