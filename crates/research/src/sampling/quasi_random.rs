//! Quasi-random search: the points of a Sobol sequence with Owen scrambling, one coordinate for each parameter. Each prefix of 2^k points
//! has the same number of points in each of 2^k equal parts of every range, which random draws only have on average.
//!
//! Sources: Sobol 1967; Owen 1995; direction numbers by Joe, Kuo 2008; the sequence is that of the crate `sobol_burley` (Burley 2020). Points
//! that violate a constraint are skipped.

use wire::sweep::space::SearchSpace;

use super::{Configuration, Sampler, SamplingError, Values, at_fractions};

/// Length of the sequence.
const LENGTH: u32 = 1 << 16;

/// Quasi-random search. Ends after 65,536 points.
#[derive(Debug, Clone, Copy)]
pub struct QuasiRandom {
    pub seed: u64,
}

impl QuasiRandom {
    fn point(self, space: &SearchSpace, index: u32) -> Values {
        let seed = (self.seed ^ (self.seed >> 32)) as u32;
        at_fractions(space, |dimension| f64::from(sobol_burley::sample(index, dimension as u32, seed)))
    }
}

impl Sampler for QuasiRandom {
    fn next(&self, space: &SearchSpace, _: &[Configuration], number: u64) -> Result<Option<Values>, SamplingError> {
        let mut points = (0..LENGTH).map(|index| self.point(space, index));
        if space.constraints.is_empty() {
            return Ok(points.nth(number as usize));
        }
        let mut allowed = points.filter(|values| space.holds(values));
        match allowed.next() {
            None => Err(SamplingError::NothingSatisfies { attempts: LENGTH as usize }),
            first if number == 0 => Ok(first),
            _ => Ok(allowed.nth(number as usize - 1)),
        }
    }
}
