//! Numbers as short text, for messages, charts and lists.

/// Three significant digits, with an exponent if the number is far from 1.
pub fn brief(value: f64) -> String {
    let size = value.abs();
    if (1000.0..100_000.0).contains(&size) {
        let sign = if value < 0.0 { "-" } else { "" };
        format!("{sign}{}", grouped(size.round() as u64))
    } else if value == 0.0 || (0.01..1000.0).contains(&size) {
        let digits = if size == 0.0 { 0 } else { (2 - size.log10().floor() as i32).clamp(0, 5) as usize };
        let text = format!("{value:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        let (rounded, exact) = (format!("{value:.2e}"), format!("{value:e}"));
        if exact.len() < rounded.len() { exact } else { rounded }
    }
}

/// As [`brief`], with a minus sign in place of the hyphen: for sentences, which nobody reads back as numbers.
pub fn in_sentence(value: f64) -> String {
    let text = brief(value);
    match text.strip_prefix('-') {
        Some(size) => format!("−{size}"),
        None => text,
    }
}

/// An integer in groups of three digits with thin spaces between: `1 000 000`.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 step`, `8 706 batches`.
pub fn counted(count: u64, noun: &str) -> String {
    let ending = match count {
        1 => "",
        _ if ["ch", "sh", "s", "x"].iter().any(|end| noun.ends_with(end)) => "es",
        _ => "s",
    };
    format!("{} {noun}{ending}", grouped(count))
}

/// A product of sizes, at most the largest number.
pub(crate) fn product<const N: usize>(factors: [usize; N]) -> u64 {
    factors.iter().fold(1, |product: u64, factor| product.saturating_mul(*factor as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_one_has_a_noun_in_the_singular() {
        for (count, noun, text) in [(1, "step", "1 step"), (0, "step", "0 steps"), (1200, "batch", "1 200 batches")] {
            assert_eq!(counted(count, noun).replace('\u{202f}', " "), text);
        }
    }

    #[test]
    fn digits_are_in_groups_of_three() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1 000"), (12_345_678, "12 345 678")] {
            assert_eq!(grouped(value).replace('\u{202f}', " "), text);
        }
    }

    #[test]
    fn sentences_have_a_minus_sign_and_exponents_a_hyphen() {
        for (value, text) in [(-0.0341, "−0.0341"), (-6e-4, "−6e-4"), (0.5, "0.5")] {
            assert_eq!(in_sentence(value), text);
        }
    }

    #[test]
    fn numbers_are_brief() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.0006, "6e-4"),
            (0.000_599_96, "6.00e-4"),
            (2.3149, "2.31"),
            (200.0, "200"),
            (0.1, "0.1"),
            (12345.0, "12\u{202f}345"),
        ] {
            assert_eq!(brief(value), text);
        }
    }
}
