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

/// Combines several numbers, such as (seed, step, pass, row), into one key.
pub fn key(numbers: &[u64]) -> u64 {
    numbers.iter().fold(GOLDEN, |key, word| mix(key.wrapping_add(GOLDEN) ^ mix(word.wrapping_add(GOLDEN))))
}

/// The random numbers of one key, in order.
#[derive(Debug, Clone)]
pub struct Counter {
    key: u64,
    index: u64,
}

impl Counter {
    /// The random numbers of `stream` under `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self::at(&[seed, stream])
    }

    /// The random numbers of the key that combines several numbers.
    pub fn at(numbers: &[u64]) -> Self {
        Self { key: key(numbers), index: 0 }
    }

    /// 64 uniformly distributed bits.
    pub fn bits(&mut self) -> u64 {
        self.index += 1;
        mix(self.key.wrapping_add(self.index.wrapping_mul(GOLDEN)))
    }

    /// A uniform integer from 0 to `n - 1`, without bias (Lemire 2019); 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        let mut product = u128::from(self.bits()) * u128::from(n);
        if (product as u64) < n {
            let biased = n.wrapping_neg() % n;
            while (product as u64) < biased {
                product = u128::from(self.bits()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// A uniform number in [0, 1), a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Shuffles a list uniformly (Fisher-Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// An infinite iterator over standard normal numbers (Box-Muller transform).
#[derive(Debug, Clone)]
pub struct Normals {
    counter: Counter,
    second: Option<f32>,
}

impl Normals {
    /// The normal numbers of `stream` under `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self { counter: Counter::new(seed, stream), second: None }
    }

    /// The same numbers without the first `pairs` pairs, which are not computed.
    pub fn skip_pairs(mut self, pairs: u64) -> Self {
        self.counter.index += 2 * pairs;
        self
    }
}

impl Iterator for Normals {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        if let Some(second) = self.second.take() {
            return Some(second);
        }
        // 1 - uniform is in (0, 1], so the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.counter.uniform()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.counter.uniform()).sin_cos();
        self.second = Some((radius * sin) as f32);
        Some((radius * cos) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_depend_only_on_their_key() {
        let draw = |numbers: &[u64]| Counter::at(numbers).bits();
        assert_eq!(draw(&[1, 2, 3]), draw(&[1, 2, 3]));
        let keys = [[1u64, 2, 3], [1, 3, 2], [2, 1, 3], [1, 2, 4], [0, 0, 0], [0, 0, 1]];
        let seen: std::collections::HashSet<u64> = keys.iter().map(|numbers| draw(numbers)).collect();
        assert_eq!(seen.len(), keys.len());
    }

    #[test]
    fn integers_are_uniform_and_bounded() {
        let (mut counter, mut counts) = (Counter::new(7, 0), [0u32; 7]);
        (0..70_000).for_each(|_| counts[counter.below(7) as usize] += 1);
        let chi_square: f64 = counts.iter().map(|count| (f64::from(*count) - 10_000.0).powi(2) / 10_000.0).sum();
        assert!(chi_square < 30.0, "{counts:?}");
        assert_eq!((counter.below(0), counter.below(1)), (0, 0));
        assert!((0..1000).all(|_| counter.below(u64::MAX) < u64::MAX));
    }

    #[test]
    fn skipped_pairs_change_no_later_number() {
        let all: Vec<f32> = Normals::new(3, 1).take(100).collect();
        for pairs in [0, 1, 7, 49] {
            let rest = Normals::new(3, 1).skip_pairs(pairs).take(100 - 2 * pairs as usize);
            assert_eq!(rest.collect::<Vec<f32>>(), all[2 * pairs as usize..]);
        }
    }

    #[test]
    fn normals_have_the_moments_of_the_normal_distribution() {
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
