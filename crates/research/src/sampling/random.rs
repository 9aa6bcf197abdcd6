//! Random search: independent draws, uniform on the scale of each parameter (Bergstra, Bengio 2012). Draws that violate a constraint are
//! repeated.

use wire::sweep::space::SearchSpace;

use super::{Configuration, Sampler, SamplingError, Values, at_fractions, stream};

/// Draws until one satisfies the constraints.
pub(super) const ATTEMPTS: usize = 10_000;

/// Random search.
#[derive(Debug, Clone, Copy)]
pub struct Random {
    pub seed: u64,
}

impl Sampler for Random {
    fn next(&self, space: &SearchSpace, _: &[Configuration], number: u64) -> Result<Option<Values>, SamplingError> {
        let mut random = stream(self.seed, number);
        let draws = (0..ATTEMPTS).map(|_| at_fractions(space, |_| random.f64()));
        let found = draws.into_iter().find(|values| space.holds(values));
        found.map(Some).ok_or(SamplingError::NothingSatisfies { attempts: ATTEMPTS })
    }
}
