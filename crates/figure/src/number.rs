//! The format of values: with their unit, three significant digits and thin spaces; all digits on request.

/// A narrow space that does not break: between groups of digits, and between a number and its unit.
pub const THIN: char = '\u{202f}';

/// The number format of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As they are, with an exponent when far from 1.
    Plain,
    /// In groups of digits up to a million, then with a prefix: `4 120`, `1.2 M`.
    Count,
    /// With a prefix from a thousand on: `12.4 k`.
    Prefixed,
    /// As seconds, minutes, hours, days.
    Duration,
}

impl Format {
    /// The format of a unit as named in [`wire::series::describe`].
    pub fn of(unit: &str) -> Self {
        match unit {
            "s" => Self::Duration,
            "step" | "steps" => Self::Count,
            "B" | "tokens" | "tok/s" | "FLOP" | "FLOP/s" => Self::Prefixed,
            _ => Self::Plain,
        }
    }
}

const PREFIXES: [(f64, &str); 7] =
    [(1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")];

/// The prefix that fits a size: its factor and its letter.
pub fn prefix(size: f64) -> (f64, &'static str) {
    // 999.6 would be written 1000: it belongs to the next prefix.
    PREFIXES.into_iter().find(|(factor, _)| size >= factor * 0.9995).unwrap_or((1.0, ""))
}

/// The prefix of a value in a unit: billions of tokens are `B`, as papers write them.
pub fn prefix_of(size: f64, unit: &str) -> (f64, &'static str) {
    match prefix(size) {
        (factor, "G") if matches!(unit, "tokens" | "tok/s") => (factor, "B"),
        found => found,
    }
}

/// Three significant digits, fewer only if they are exact: `2.31`, `1.70`, `0.1`, `12 346`, `6e-4`.
pub fn short(value: f64) -> String {
    if !value.is_finite() {
        return not_finite(value).to_owned();
    }
    let size = value.abs();
    match size {
        0.0 => "0".to_owned(),
        _ if (0.00995..999_999.5).contains(&size) => fixed(value, needed(value, 2 - power(size))),
        _ => significant(value),
    }
}

/// Three significant digits without an exponent down to 1e-4, so that the values of one list have one notation: `0.00975`.
pub fn plain(value: f64) -> String {
    let size = value.abs();
    match (1e-4..0.00995).contains(&size) {
        true => fixed(value, 2 - power(size)),
        false => short(value),
    }
}

/// Three significant digits without zeros at the end: `10` for 10 and for 9.9998, which a schedule has a step later.
pub fn rounded(value: f64) -> String {
    let is_small = value.abs() < 1000.0;
    short(format!("{value:.2e}").parse().ok().filter(|_| is_small).unwrap_or(value))
}

/// A value whose unit stands elsewhere: losses with three decimals, ratios without an exponent, others as [`rounded`].
pub fn in_unit(value: f64, unit: &str) -> String {
    match unit {
        "nats/token" | "bits/byte" if (0.01..100.0).contains(&value.abs()) => fixed(value, 3),
        "ratio" => plain(value),
        _ => rounded(value),
    }
}

/// Three significant digits and the unit: `12.4 k tok/s`, `3 min`, `2.31 nats/token`, `6e-4 per step`.
pub fn with_unit(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return not_finite(value).to_owned();
    }
    match Format::of(unit) {
        Format::Duration => duration(value),
        Format::Count if value.abs() < 999_999.5 => counted(&fixed(value, 0), unit, value),
        Format::Count | Format::Prefixed => prefixed(value, unit),
        Format::Plain if unit.is_empty() => short(value),
        Format::Plain => format!("{}{THIN}{unit}", short(value)),
    }
}

/// All digits: `2.310 482 5 nats/token` is `2.3104825 nats/token`, `12 401.5 tok/s`.
pub fn exact(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return not_finite(value).to_owned();
    }
    let size = value.abs();
    let digits = match size {
        0.0 => "0".to_owned(),
        _ if (1e-4..1e15).contains(&size) => grouped(&format!("{value}")),
        _ => format!("{value:e}"),
    };
    if unit.is_empty() { digits } else { counted(&digits, unit, value) }
}

/// A whole number in groups of three: `4 120`; as it is below a thousand.
pub fn whole(value: u64) -> String {
    grouped(&value.to_string())
}

/// Bytes: `1.2 GB`, by thousands.
pub fn bytes(value: u64) -> String {
    prefixed(value as f64, "B")
}

/// A time in at most two units: `0.8 s`, `45 s`, `3 min`, `1 h 12 min`, `2 d 3 h`. Below ten minutes seconds are written only
/// under one and a half minutes.
pub fn duration(secs: f64) -> String {
    if !secs.is_finite() {
        return not_finite(secs).to_owned();
    }
    let sign = if secs < 0.0 { "−" } else { "" };
    let secs = secs.abs();
    let minutes = (secs / 60.0).round().min(1e18) as u64;
    let text = match secs {
        0.0 => format!("0{THIN}s"),
        s if s < 0.9995 => format!("{}{THIN}ms", short(s * 1e3)),
        s if s < 9.95 => format!("{}{THIN}s", fixed(s, needed(s, 1))),
        s if s < 89.5 => format!("{s:.0}{THIN}s"),
        _ if minutes < 60 => format!("{minutes}{THIN}min"),
        _ if minutes < 24 * 60 => two(minutes / 60, "h", minutes % 60, "min"),
        _ => two(minutes / 1440, "d", minutes % 1440 / 60, "h"),
    };
    format!("{sign}{text}")
}

fn two(first: u64, first_unit: &str, second: u64, second_unit: &str) -> String {
    let first = format!("{}{THIN}{first_unit}", whole(first));
    if second == 0 { first } else { format!("{first} {second}{THIN}{second_unit}") }
}

/// A number with so many decimals, in groups; a negative number of decimals rounds to tens, hundreds.
pub fn fixed(value: f64, decimals: i32) -> String {
    if !value.is_finite() {
        return not_finite(value).to_owned();
    }
    let text = format!("{:.*}", decimals.clamp(0, 17) as usize, value);
    grouped(if text.trim_start_matches(['-', '0', '.']).is_empty() { text.trim_start_matches('-') } else { &text })
}

/// A mantissa and an exponent: `6e-4`, `2.35e9`; zeros at the end are dropped.
pub fn scientific(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$e}", value.abs());
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let part = part.trim_end_matches('0');
    let sign = if value < 0.0 { "−" } else { "" };
    let point = if part.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{part}e{power}")
}

/// The same in three significant digits, fewer only if they are exact: `6e-4`, `9.90e-3`.
fn significant(value: f64) -> String {
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{:.*e}", needed_scientific(value, 2), value.abs())
}

fn prefixed(value: f64, unit: &str) -> String {
    let (factor, letter) = prefix_of(value.abs(), unit);
    let digits = short(value / factor);
    match (letter, unit) {
        ("", _) => counted(&digits, unit, value),
        // SI joins prefix and unit if the unit is a symbol; words are separated.
        (_, "B" | "FLOP" | "FLOP/s") => format!("{digits}{THIN}{letter}{unit}"),
        _ => format!("{digits}{THIN}{letter}{THIN}{unit}"),
    }
}

fn counted(digits: &str, unit: &str, value: f64) -> String {
    let unit = match unit {
        "step" | "steps" if value == 1.0 => "step",
        "step" => "steps",
        other => other,
    };
    format!("{digits}{THIN}{unit}")
}

/// Puts thin spaces between the thousands of a plain number and turns its hyphen into a minus.
fn grouped(text: &str) -> String {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("−", rest));
    let (whole, part) = text.split_once('.').map_or((text, None), |(whole, part)| (whole, Some(part)));
    let mut out = sign.to_owned();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(THIN);
        }
        out.push(digit);
    }
    if let Some(part) = part {
        out.push('.');
        out.push_str(part);
    }
    out
}

/// The power of ten that a size has once rounded to three digits: 99.96 has that of 100.
fn power(size: f64) -> i32 {
    let text = format!("{size:.2e}");
    text.split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0)
}

/// At most `most` decimals: as many as an exact value needs, if that is possible.
fn needed(value: f64, most: i32) -> i32 {
    let says = |decimals: &i32| is_exact(&format!("{value:.*}", *decimals as usize), value);
    (0..most).find(says).unwrap_or(most)
}

/// The same for the mantissa of a number with an exponent.
fn needed_scientific(value: f64, most: usize) -> usize {
    let says = |decimals: &usize| is_exact(&format!("{value:.decimals$e}", decimals = *decimals), value);
    (0..most).find(says).unwrap_or(most)
}

/// Whether a text is the value up to rounding errors; points are stored as 32-bit floats, of which the shortest text counts.
fn is_exact(text: &str, value: f64) -> bool {
    let is_near = text.parse().is_ok_and(|read: f64| (read - value).abs() <= 1e-12 * value.abs());
    let is_short = f64::from(value as f32) == value;
    is_near || is_short && text.parse() == Ok(value as f32)
}

fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "not a number"
    } else if value > 0.0 {
        "∞"
    } else {
        "−∞"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: String, expected: &str) {
        assert_eq!(found.replace(THIN, " "), expected);
    }

    #[test]
    fn three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (2.314_9, "2.31"),
            (2.0, "2"),
            (0.1, "0.1"),
            (99.96, "100"),
            (12_345.6, "12 346"),
            (-4120.0, "−4 120"),
            (6e-4, "6e-4"),
            (-6.25e-5, "−6.25e-5"),
            (0.009_999, "0.0100"),
            (1.7003, "1.70"),
            (2.5e9, "2.5e9"),
            (f64::NAN, "not a number"),
            (f64::NEG_INFINITY, "−∞"),
            (f64::MAX, "1.80e308"),
            (0.009_9, "9.9e-3"),
            (0.009_901_2, "9.90e-3"),
            (f64::from(6e-4_f32), "6e-4"),
        ] {
            check(short(value), text);
        }
    }

    #[test]
    fn values_of_one_list_have_one_notation() {
        for (value, unit, text) in [
            (0.009_75, "ratio", "0.00975"),
            (0.011_1, "ratio", "0.0111"),
            (0.009_901, "ratio", "0.00990"),
            (5e-5, "ratio", "5e-5"),
            (0.0, "ratio", "0"),
            (0.084_4, "nats/token", "0.084"),
            (2.293_4, "bits/byte", "2.293"),
            (2.0, "nats/token", "2.000"),
            (4.03, "", "4.03"),
            (10.0, "", "10"),
            (9.9998, "", "10"),
            (5.999_9e-4, "", "6e-4"),
            (1_234.5, "", "1 234"),
            (f64::NAN, "", "not a number"),
        ] {
            check(in_unit(value, unit), text);
        }
    }

    #[test]
    fn values_have_their_units() {
        for (value, unit, text) in [
            (12_400.0, "tok/s", "12.4 k tok/s"),
            (999.7, "tok/s", "1.00 k tok/s"),
            (4120.0, "steps", "4 120 steps"),
            (1.0, "steps", "1 step"),
            (2_500_000.0, "steps", "2.5 M steps"),
            (2.314_9, "nats", "2.31 nats"),
            (6e-4, "per step", "6e-4 per step"),
            (1.23e9, "B", "1.23 GB"),
            (1.31e9, "tokens", "1.31 B tokens"),
            (3.2e15, "FLOP", "3.2 PFLOP"),
            (180.0, "s", "3 min"),
            (f64::INFINITY, "nats", "∞"),
        ] {
            check(with_unit(value, unit), text);
        }
        check(bytes(512), "512 B");
        check(whole(1_234_567), "1 234 567");
        check(exact(12_401.5, "tok/s"), "12 401.5 tok/s");
        check(exact(2.310_482_5, "nats"), "2.3104825 nats");
    }

    #[test]
    fn times_have_at_most_two_units() {
        for (secs, text) in [
            (0.0, "0 s"),
            (0.0124, "12.4 ms"),
            (4.06, "4.1 s"),
            (45.2, "45 s"),
            (119.0, "2 min"),
            (180.0, "3 min"),
            (3600.0, "1 h"),
            (4320.0, "1 h 12 min"),
            (183_600.0, "2 d 3 h"),
            (-60.0, "−60 s"),
        ] {
            check(duration(secs), text);
        }
    }
}
