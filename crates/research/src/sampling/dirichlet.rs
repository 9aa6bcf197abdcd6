//! Weights of datasets from the uniform distribution on the simplex, Dirichlet(1, ..., 1): independent exponential variables divided by their sum.
//! Other parameters are drawn as by random search.
//!
//! ```text
//! w_j = e_j / (e_1 + ... + e_k),   e_j = -ln(1 - u_j),   u_j uniform in [0, 1)
//! ```
//!
//! Source: Devroye, Non-Uniform Random Variate Generation, 1986, chapter XI.4. RegMix (Liu et al. 2024, arXiv 2407.01492) trains its short runs on
//! such mixes.

use wire::sweep::space::{SearchSpace, WEIGHT};

use super::random::ATTEMPTS;
use super::{Configuration, Sampler, SamplingError, Values, at_fractions, stream};

/// Mixes uniform on the simplex.
#[derive(Debug, Clone, Copy)]
pub struct Dirichlet {
    pub seed: u64,
}

impl Sampler for Dirichlet {
    fn next(&self, space: &SearchSpace, _: &[Configuration], number: u64) -> Result<Option<Values>, SamplingError> {
        let mut random = stream(self.seed, number);
        let draws = (0..ATTEMPTS).map(|_| draw(space, &mut random));
        let found = draws.into_iter().find(|values| space.holds(values));
        found.map(Some).ok_or(SamplingError::NothingSatisfies { attempts: ATTEMPTS })
    }
}

fn draw(space: &SearchSpace, random: &mut fastrand::Rng) -> Values {
    let is_weight = |at: usize| space.dimensions[at].name.starts_with(WEIGHT);
    let uniform: Vec<f64> = space.dimensions.iter().map(|_| random.f64()).collect();
    let exponential = |at: usize| -(1.0 - uniform[at]).ln();
    let total: f64 = (0..uniform.len()).filter(|at| is_weight(*at)).map(exponential).sum();
    at_fractions(space, |at| match is_weight(at) {
        // If all draws are 0, nothing is divided by 0: such a mix is refused as any other without weights.
        true => exponential(at) / total.max(f64::MIN_POSITIVE),
        false => uniform[at],
    })
}
