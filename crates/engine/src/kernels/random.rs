//! Counter-based random numbers: a pure function of (seed, stream, index), without state that has to be saved.
//!
//! The batch of a step, the initial values of a parameter and a dropout mask can each be drawn again. The mixing function is that of SplitMix64
//! (Steele, Lea, Flood 2014), applied once for each word of the key.

/// 2^64 over the golden ratio: steps of this size visit all 64-bit numbers before they repeat.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's finalizer: a bijection in which every input bit moves about half of the output bits.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// One key for a place named by several numbers, such as (seed, step, pass, row).
pub fn key(place: &[u64]) -> u64 {
    place.iter().fold(GOLDEN, |key, word| mix(key.wrapping_add(GOLDEN) ^ mix(word.wrapping_add(GOLDEN))))
}

/// The numbers of one place, in order.
#[derive(Debug, Clone)]
pub struct Counter {
    key: u64,
    index: u64,
}

impl Counter {
    /// The numbers of `stream` under `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self::at(&[seed, stream])
    }

    /// The numbers of a place named by several numbers.
    pub fn at(place: &[u64]) -> Self {
        Self { key: key(place), index: 0 }
    }

    /// 64 even bits.
    pub fn bits(&mut self) -> u64 {
        self.index += 1;
        mix(self.key.wrapping_add(self.index.wrapping_mul(GOLDEN)))
    }

    /// A whole number from 0 to `n - 1`, each exactly as likely (Lemire 2019); 0 where `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        let mut product = u128::from(self.bits()) * u128::from(n);
        if (product as u64) < n {
            let uneven = n.wrapping_neg() % n;
            while (product as u64) < uneven {
                product = u128::from(self.bits()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// A number in 0..1, in steps of 2^-53.
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Puts a list into an even random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// Normal numbers of mean 0 and variance 1, without end: Box and Muller's pairs.
#[derive(Debug, Clone)]
pub struct Normals {
    counter: Counter,
    second: Option<f32>,
}

impl Normals {
    /// The normals of `stream` under `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self { counter: Counter::new(seed, stream), second: None }
    }
}

impl Iterator for Normals {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        if let Some(second) = self.second.take() {
            return Some(second);
        }
        // 1 - share lies in (0, 1], so the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.counter.share()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.counter.share()).sin_cos();
        self.second = Some((radius * sin) as f32);
        Some((radius * cos) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_depend_on_their_place_alone() {
        let draw = |place: &[u64]| Counter::at(place).bits();
        assert_eq!(draw(&[1, 2, 3]), draw(&[1, 2, 3]));
        let places = [[1u64, 2, 3], [1, 3, 2], [2, 1, 3], [1, 2, 4], [0, 0, 0], [0, 0, 1]];
        let seen: std::collections::HashSet<u64> = places.iter().map(|place| draw(place)).collect();
        assert_eq!(seen.len(), places.len());
    }

    #[test]
    fn whole_numbers_are_even_and_bounded() {
        let (mut counter, mut counts) = (Counter::new(7, 0), [0u32; 7]);
        (0..70_000).for_each(|_| counts[counter.below(7) as usize] += 1);
        let chi_square: f64 = counts.iter().map(|count| (f64::from(*count) - 10_000.0).powi(2) / 10_000.0).sum();
        assert!(chi_square < 30.0, "{counts:?}");
        assert_eq!((counter.below(0), counter.below(1)), (0, 0));
        assert!((0..1000).all(|_| counter.below(u64::MAX) < u64::MAX));
    }

    #[test]
    fn normals_have_the_moments_of_the_normal_law() {
        let values: Vec<f64> = Normals::new(3, 1).take(200_000).map(f64::from).collect();
        let moment = |power: i32| values.iter().map(|z| z.powi(power)).sum::<f64>() / values.len() as f64;
        assert!(
            moment(1).abs() < 0.01
                && (moment(2) - 1.0).abs() < 0.02
                && moment(3).abs() < 0.05
                && (moment(4) - 3.0).abs() < 0.1
        );
    }
}
