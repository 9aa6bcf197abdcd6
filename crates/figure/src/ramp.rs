//! Colour maps. Unsigned values have perceptually uniform ones that are safe for colour-blind readers; signed values have a diverging pair for
//! light and dark whose middle is the background.

/// A colour map from the lowest value to the highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ramp {
    /// Dark blue to yellow (Nuñez, Anderton and Renslow 2018).
    Cividis,
    /// Cividis of the square root of the value, for probabilities, most of which are small.
    Shares,
    /// Violet over green to yellow (Smith and van der Walt 2015).
    Viridis,
    /// Blue below zero, the background colour at zero, orange above; for the light theme.
    Signed,
    /// Blue below zero, the background colour at zero, orange above; for the dark theme.
    SignedDark,
}

const CIVIDIS: [u32; 10] =
    [0x00204d, 0x00336f, 0x39486b, 0x575c6d, 0x707173, 0x8a8779, 0xa69d75, 0xc4b56c, 0xe4cf5b, 0xffea46];
const VIRIDIS: [u32; 9] = [0x440154, 0x472d7b, 0x3b528b, 0x2c728e, 0x21918c, 0x28ae80, 0x5ec962, 0xaddc30, 0xfde725];
const SIGNED: [u32; 7] = [0x0b3c74, 0x2f76b5, 0x9cc4e4, 0xfbfaf7, 0xf2bd86, 0xc96f1d, 0x713603];
const SIGNED_DARK: [u32; 7] = [0xa9d6ff, 0x4f9fe0, 0x27557d, 0x1c1b19, 0x7c4a1d, 0xe08a3a, 0xffd3a1];

impl Ramp {
    /// The map of signed values for the light or the dark theme.
    pub fn signed(is_dark: bool) -> Self {
        if is_dark { Self::SignedDark } else { Self::Signed }
    }

    /// Whether its middle is zero.
    pub fn is_signed(self) -> bool {
        matches!(self, Self::Signed | Self::SignedDark)
    }

    /// The colour at a fraction from 0 to 1; outside, that of the nearer end.
    pub fn rgb(self, fraction: f64) -> [u8; 3] {
        let stops: &[u32] = match self {
            Self::Cividis | Self::Shares => &CIVIDIS,
            Self::Viridis => &VIRIDIS,
            Self::Signed => &SIGNED,
            Self::SignedDark => &SIGNED_DARK,
        };
        let last = stops.len() - 1;
        let fraction = if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) };
        let position = if self == Self::Shares { fraction.sqrt() } else { fraction } * last as f64;
        let at = (position as usize).min(last - 1);
        let rest = position - at as f64;
        let part = |shift: u32| {
            let channel = |stop: u32| f64::from(stop >> shift & 0xff);
            (channel(stops[at]) * (1.0 - rest) + channel(stops[at + 1]) * rest).round() as u8
        };
        [part(16), part(8), part(0)]
    }

    /// The colour as CSS: `rgb(0 32 77)`.
    pub fn css(self, fraction: f64) -> String {
        let [red, green, blue] = self.rgb(fraction);
        format!("rgb({red} {green} {blue})")
    }

    /// The ends to draw values between: for signed ones as far below zero as above it.
    pub fn ends(self, low: f32, high: f32) -> (f32, f32) {
        let reach = low.abs().max(high.abs());
        if self.is_signed() { (-reach, reach) } else { (low, high) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lightness([red, green, blue]: [u8; 3]) -> f64 {
        let linear = |part: u8| (f64::from(part) / 255.0).powf(2.2);
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }

    #[test]
    fn more_is_lighter_and_zero_is_paper() {
        for ramp in [Ramp::Cividis, Ramp::Shares, Ramp::Viridis] {
            let steps: Vec<f64> = (0..=50).map(|at| lightness(ramp.rgb(f64::from(at) / 50.0))).collect();
            assert!(steps.windows(2).all(|pair| pair[1] > pair[0]), "{ramp:?}");
        }
        for ramp in [Ramp::Signed, Ramp::SignedDark] {
            let (low, high) = ramp.ends(-1.0, 4.0);
            assert_eq!((low, high), (-4.0, 4.0));
            let [red, green, blue] = ramp.rgb(0.5);
            assert!(red.abs_diff(blue) < 8 && red.abs_diff(green) < 8, "zero is grey");
            let (below, above) = (ramp.rgb(0.2), ramp.rgb(0.8));
            assert!(below[2] > below[0] && above[0] > above[2], "blue below, orange above");
        }
        assert_eq!(Ramp::Shares.rgb(0.25), Ramp::Cividis.rgb(0.5));
        assert_eq!(Ramp::Cividis.rgb(f64::NAN), Ramp::Cividis.rgb(-3.0));
    }
}
