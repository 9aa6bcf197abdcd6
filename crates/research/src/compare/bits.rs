//! Bits per byte: a loss that does not depend on the tokenizer.
//!
//! Formula: bits/byte = (nats/token) / (bytes/token · ln 2), with the bytes per token of the same text. Source: Gao et al. 2020, The Pile
//! (arXiv 2101.00027), section 3.1.

/// Nats per token in bits per UTF-8 byte of the text. NaN unless `bytes_per_token` is positive.
pub fn bits_per_byte(nats_per_token: f64, bytes_per_token: f64) -> f64 {
    if bytes_per_token > 0.0 { nats_per_token / (bytes_per_token * std::f64::consts::LN_2) } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::bits_per_byte;

    #[test]
    fn a_uniform_guess_of_bytes_has_8_bits_per_byte() {
        assert!((bits_per_byte(256f64.ln(), 1.0) - 8.0).abs() < 1e-12);
        assert!((bits_per_byte(2.0 * 256f64.ln(), 2.0) - 8.0).abs() < 1e-12);
        assert!(bits_per_byte(1.0, 0.0).is_nan());
    }
}
