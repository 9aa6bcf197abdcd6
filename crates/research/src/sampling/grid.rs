//! Grid search: configuration n is the n-th combination of the grids of all parameters, the last parameter fastest. Combinations that a
//! condition makes equal occur once, and those that violate a constraint do not occur.

use wire::sweep::space::SearchSpace;

use super::{Configuration, Sampler, SamplingError, Values};

/// Grid search. Ends after the last combination.
#[derive(Debug, Clone, Copy)]
pub struct Grid;

impl Sampler for Grid {
    fn next(&self, space: &SearchSpace, _: &[Configuration], number: u64) -> Result<Option<Values>, SamplingError> {
        Ok(space.grid()?.into_iter().nth(number as usize))
    }
}
