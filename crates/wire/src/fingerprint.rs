//! The fingerprint of a certificate, by which a worker knows its server.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const SCHEME: &str = "sha256:";

/// SHA-256 of a certificate in DER, written as `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint(pub [u8; 32]);

/// A text is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FingerprintError;

impl fmt::Display for FingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected a fingerprint: {SCHEME} and 64 hexadecimal digits, as the server prints it")
    }
}

impl std::error::Error for FingerprintError {}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Reads it as the server and browsers write it: digits of either case, with or without colons and spaces.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits = text.trim().strip_prefix(SCHEME).unwrap_or(text.trim());
        let digits: Vec<u8> = digits.bytes().filter(|byte| !b": ".contains(byte)).collect();
        let value = |byte: u8| char::from(byte).to_digit(16).ok_or(FingerprintError);
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return Err(FingerprintError);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = (value(pair[0])? * 16 + value(pair[1])?) as u8;
        }
        Ok(Self(bytes))
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_server_and_browsers_write_it() {
        let bytes: [u8; 32] = std::array::from_fn(|at| (at * 7 + 3) as u8);
        let written = Fingerprint(bytes).to_string();
        let colons: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        for text in [written.clone(), format!(" {written}\n"), colons.join(":"), colons.join(" ")] {
            assert_eq!(text.parse(), Ok(Fingerprint(bytes)), "{text}");
        }
        for bad in ["", "sha256:", "sha256:00", &written[..70], &format!("{written}0"), &written.replace("0a", "0g")] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(FingerprintError), "{bad}");
        }
    }
}
