//! Reads a number as it is typed. Integers keep all 64 bits, and a number that cannot be stored as it is written is
//! refused.

use std::fmt;

use figure::number::whole;
use serde_json::Value;
use wire::hyperparameters::table::Values;

/// A number that a field accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum NumberValue {
    Integer(u64),
    Real(f64),
}

impl NumberValue {
    /// As JSON, with all digits.
    pub(crate) fn to_json(self) -> Value {
        match self {
            Self::Integer(value) => value.into(),
            Self::Real(value) => value.into(),
        }
    }

    /// The integer, if it is one.
    pub(crate) fn as_integer(self) -> Option<u64> {
        match self {
            Self::Integer(value) => Some(value),
            Self::Real(_) => None,
        }
    }

    /// As a floating-point number; integers above 2⁵³ are rounded.
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Real(value) => value,
        }
    }
}

/// A text that cannot be read as a number of the expected kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NumberError {
    text: String,
    values: Values,
    fault: Fault,
}

#[derive(Debug, Clone, PartialEq)]
enum Fault {
    Empty,
    /// The same number with a decimal point.
    DecimalComma(String),
    /// The same number without the commas between its thousands.
    Thousands(String),
    /// A thousand, or one with three decimals.
    EitherComma {
        thousand: String,
        decimal: String,
    },
    NoNumber,
    NotWhole,
    TooLarge,
    TooSmall,
    /// Closer to 0 than the smallest floating-point number.
    Vanishing,
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, values, fault } = self;
        match fault {
            Fault::Empty => write!(f, "Enter {values}."),
            Fault::DecimalComma(point) => write!(f, "Use a point as the decimal separator: {point}, not {text}."),
            Fault::Thousands(plain) => write!(f, "Enter {text} without commas: {plain}."),
            Fault::EitherComma { thousand, decimal } => {
                write!(f, "Enter {text} as {thousand}, or as {decimal} with a decimal point.")
            }
            Fault::NoNumber => write!(f, "“{text}” is not a number. Enter {values}."),
            Fault::NotWhole => write!(f, "{text} is not a whole number. Enter {values}."),
            Fault::TooLarge => write!(f, "{text} is too large. Enter {}.", bounded(*values)),
            Fault::TooSmall => write!(f, "{text} is too small. Enter {values}."),
            Fault::Vanishing => write!(f, "{text} is too close to 0 to be stored. Enter {values}."),
        }
    }
}

/// With the largest integer, which is otherwise left out because no use of it comes near.
fn bounded(values: Values) -> String {
    match values {
        Values::Integer { min, max } if max >= Values::UNBOUNDED => {
            format!("a whole number from {} to {}", whole(min), whole(max))
        }
        _ => values.to_string(),
    }
}

/// Reads a number: `0.5`, `.5`, `3e-4`, `1e3`, `1_000`, `+3`, with spaces around it or between its thousands. Rows whose
/// values are no numbers accept none.
///
/// # Errors
/// Another text, a decimal comma, and a number outside the accepted values.
pub(crate) fn read(text: &str, values: Values) -> Result<NumberValue, NumberError> {
    let text = text.trim();
    let number = Decimal::read(text).and_then(|decimal| match values {
        Values::Integer { min, max } => decimal.integer(min, max).map(NumberValue::Integer),
        Values::Number { min, max } => decimal.real(min, max).map(NumberValue::Real),
        _ => Err(Fault::NoNumber),
    });
    number.map_err(|fault| NumberError { text: text.to_owned(), values, fault })
}

/// A decimal number: ± digits × 10^exponent.
struct Decimal {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn read(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(Fault::Empty);
        }
        if text.contains(',') {
            return Err(comma(text));
        }
        Self::parse(text).ok_or(Fault::NoNumber)
    }

    fn parse(text: &str) -> Option<Self> {
        let is_negative = text.starts_with(['-', '−']);
        let unsigned = text.strip_prefix(['-', '−', '+']).unwrap_or(text);
        let (mantissa, power) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (whole, fraction) = (digits(&ungrouped(whole)?)?, digits(fraction)?);
        let digits = whole + &fraction;
        let exponent = power_of_ten(power)?.saturating_sub(fraction.len() as i64);
        (!digits.is_empty()).then_some(Self { is_negative, digits, exponent })
    }

    fn is_zero(&self) -> bool {
        self.digits.bytes().all(|digit| digit == b'0')
    }

    fn integer(&self, min: u64, max: u64) -> Result<u64, Fault> {
        let significant = self.digits.trim_end_matches('0');
        let exponent = self.exponent + (self.digits.len() - significant.len()) as i64;
        let value = match exponent {
            _ if self.is_zero() => 0,
            exponent if exponent < 0 => return Err(Fault::NotWhole),
            _ if self.is_negative => return Err(Fault::TooSmall),
            exponent => {
                let power = u32::try_from(exponent).ok().and_then(|exponent| 10_u64.checked_pow(exponent));
                let value = power.and_then(|power| significant.parse::<u64>().ok()?.checked_mul(power));
                value.ok_or(Fault::TooLarge)?
            }
        };
        match value {
            value if value < min => Err(Fault::TooSmall),
            value if value > max => Err(Fault::TooLarge),
            value => Ok(value),
        }
    }

    fn real(&self, min: f64, max: f64) -> Result<f64, Fault> {
        let sign = if self.is_negative { "-" } else { "" };
        let value: f64 = format!("{sign}{}e{}", self.digits, self.exponent).parse().map_err(|_| Fault::NoNumber)?;
        match value {
            value if value == 0.0 && !self.is_zero() => Err(Fault::Vanishing),
            value if value < min => Err(Fault::TooSmall),
            value if value > max => Err(Fault::TooLarge),
            // Not -0.
            value => Ok(value + 0.0),
        }
    }
}

/// Without the spaces between thousands, which the page itself writes: `50 257`.
fn ungrouped(whole: &str) -> Option<String> {
    let groups: Vec<&str> = whole.split([' ', '\u{a0}', '\u{202f}', '\u{2009}']).collect();
    let is_grouped = (1..=3).contains(&groups[0].len())
        && !groups[0].starts_with('0')
        && groups[1..].iter().all(|group| group.len() == 3);
    (groups.len() == 1 || is_grouped).then(|| groups.concat())
}

/// Digits, without the underscores between them; may be empty.
fn digits(text: &str) -> Option<String> {
    let is_even = text.is_empty() || text.split('_').all(|part| !part.is_empty());
    let digits = text.replace('_', "");
    (is_even && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

/// An exponent; one of more digits than any number has is as large as any.
fn power_of_ten(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse::<i64>().unwrap_or(i64::MAX).min(1_000_000_000);
    Some(if text.starts_with('-') { -size } else { size })
}

/// What a number with commas may mean: a decimal comma, thousands, or either.
fn comma(text: &str) -> Fault {
    let plain = text.replace(',', "");
    let (whole, end) = text.rsplit_once(',').unwrap_or((text, ""));
    let is_one = !whole.contains(',');
    let decimal = format!("{}.{end}", whole.replace('.', ""));
    let is_readable = |text: &str| Decimal::parse(text).is_some();
    let leading = whole.trim_start_matches(['-', '+']);
    let may_be_thousand = end.len() == 3 && (1..=3).contains(&leading.len()) && !leading.starts_with('0');
    match () {
        () if !is_readable(&plain) && !is_readable(&decimal) => Fault::NoNumber,
        () if !is_one || end.contains('.') => {
            if is_readable(&plain) {
                Fault::Thousands(plain)
            } else {
                Fault::NoNumber
            }
        }
        () if !is_readable(&decimal) => Fault::NoNumber,
        () if may_be_thousand => Fault::EitherComma { thousand: plain, decimal },
        () => Fault::DecimalComma(decimal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Values = Values::Number { min: -1e300, max: 1e300 };
    const FROM_ZERO: Values = Values::Integer { min: 0, max: u64::MAX };

    fn check(text: &str, values: Values, expected: Result<NumberValue, &str>) {
        let read = read(text, values).map_err(|error| error.to_string());
        assert_eq!(read, expected.map_err(str::to_owned), "{text:?}");
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for (text, value) in [
            ("0.5", 0.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("3e-4", 3e-4),
            ("1e3", 1000.0),
            ("1E+3", 1000.0),
            ("1_000", 1000.0),
            ("1_000.2_5", 1000.25),
            (" 7 ", 7.0),
            ("+3", 3.0),
            ("-1", -1.0),
            ("−1", -1.0),
            ("-0", 0.0),
            ("007", 7.0),
            ("50\u{202f}257", 50_257.0),
            ("1 000 000.5", 1_000_000.5),
            ("0.1", 0.1),
            ("123456789012345678", 123_456_789_012_345_678.0),
            ("5e-324", 5e-324),
        ] {
            check(text, ANY, Ok(NumberValue::Real(value)));
        }
    }

    #[test]
    fn integers_are_exact() {
        for (text, value) in [
            ("18446744073709551615", u64::MAX),
            ("9007199254740993", (1 << 53) + 1),
            ("1_000", 1000),
            ("1e3", 1000),
            ("1.5e1", 15),
            ("20.0", 20),
            ("1200e-2", 12),
            ("0e999999999999999999999", 0),
            ("1e19", 10_000_000_000_000_000_000),
            ("+3", 3),
            (" 7 ", 7),
        ] {
            check(text, FROM_ZERO, Ok(NumberValue::Integer(value)));
        }
        assert_eq!(NumberValue::Integer(u64::MAX).to_json().to_string(), "18446744073709551615");
    }

    #[test]
    fn other_texts_are_refused_with_what_to_write() {
        let rate = Values::Number { min: 0.0, max: 10.0 };
        let count = Values::Integer { min: 1, max: 256 };
        let seed_hint =
            "Enter a whole number from 0 to 18\u{202f}446\u{202f}744\u{202f}073\u{202f}709\u{202f}551\u{202f}615.";
        for (text, values, message) in [
            ("", rate, "Enter a number from 0 to 10."),
            ("  ", count, "Enter a whole number from 1 to 256."),
            ("1,5", rate, "Use a point as the decimal separator: 1.5, not 1,5."),
            ("0,5", rate, "Use a point as the decimal separator: 0.5, not 0,5."),
            ("0,500", rate, "Use a point as the decimal separator: 0.500, not 0,500."),
            (",5", rate, "Use a point as the decimal separator: .5, not ,5."),
            ("3,5e-4", rate, "Use a point as the decimal separator: 3.5e-4, not 3,5e-4."),
            ("1.000,5", rate, "Use a point as the decimal separator: 1000.5, not 1.000,5."),
            ("1,000", count, "Enter 1,000 as 1000, or as 1.000 with a decimal point."),
            ("1,000,000", count, "Enter 1,000,000 without commas: 1000000."),
            ("1,000.5", rate, "Enter 1,000.5 without commas: 1000.5."),
            ("many, more", rate, "“many, more” is not a number. Enter a number from 0 to 10."),
            ("NaN", rate, "“NaN” is not a number. Enter a number from 0 to 10."),
            ("inf", rate, "“inf” is not a number. Enter a number from 0 to 10."),
            ("0x10", count, "“0x10” is not a number. Enter a whole number from 1 to 256."),
            ("1e", count, "“1e” is not a number. Enter a whole number from 1 to 256."),
            (".", rate, "“.” is not a number. Enter a number from 0 to 10."),
            ("1__0", count, "“1__0” is not a number. Enter a whole number from 1 to 256."),
            ("_1", count, "“_1” is not a number. Enter a whole number from 1 to 256."),
            ("0 100", count, "“0 100” is not a number. Enter a whole number from 1 to 256."),
            ("1 2", count, "“1 2” is not a number. Enter a whole number from 1 to 256."),
            ("٣", count, "“٣” is not a number. Enter a whole number from 1 to 256."),
            ("--1", rate, "“--1” is not a number. Enter a number from 0 to 10."),
            ("1.5", count, "1.5 is not a whole number. Enter a whole number from 1 to 256."),
            ("1e-400", count, "1e-400 is not a whole number. Enter a whole number from 1 to 256."),
            ("-1", count, "-1 is too small. Enter a whole number from 1 to 256."),
            ("0", count, "0 is too small. Enter a whole number from 1 to 256."),
            ("1e400", count, "1e400 is too large. Enter a whole number from 1 to 256."),
            ("-1", rate, "-1 is too small. Enter a number from 0 to 10."),
            ("1e400", rate, "1e400 is too large. Enter a number from 0 to 10."),
            ("1e-400", rate, "1e-400 is too close to 0 to be stored. Enter a number from 0 to 10."),
            ("18446744073709551616", FROM_ZERO, &format!("18446744073709551616 is too large. {seed_hint}")),
            ("1e20", FROM_ZERO, &format!("1e20 is too large. {seed_hint}")),
        ] {
            check(text, values, Err(message));
        }
    }

    #[test]
    fn a_bound_can_be_excluded() {
        let above = Values::Number { min: Values::ABOVE_ZERO, max: 1.0 };
        check("0", above, Err("0 is too small. Enter a number above 0, up to 1."));
        check("1e-9", above, Ok(NumberValue::Real(1e-9)));
    }
}
