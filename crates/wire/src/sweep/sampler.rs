//! The samplers of a sweep; `research::sampling` has their formulas.

use serde::{Deserialize, Serialize};

/// How the points of trials are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SamplerKind {
    /// All combinations of the values of the grid.
    Grid,
    /// Independent uniform draws.
    Random,
    /// The scrambled Sobol sequence: as random, and spread more evenly.
    QuasiRandom,
    /// Tree-structured Parzen estimator: draws near the best trials, away from the others.
    #[default]
    Tpe,
    /// Covariance matrix adaptation: a normal distribution that moves towards the best trials, for numbers.
    CmaEs,
    /// Draws weights of datasets (`mix.NAME`) uniformly on the simplex, so that they sum to 1; other parameters as in random search.
    Dirichlet,
}

impl SamplerKind {
    /// All, in the order shown.
    pub const ALL: [Self; 6] = [Self::Grid, Self::Random, Self::QuasiRandom, Self::Tpe, Self::CmaEs, Self::Dirichlet];

    /// The word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Grid => "grid",
            Self::Random => "random",
            Self::QuasiRandom => "quasi_random",
            Self::Tpe => "tpe",
            Self::CmaEs => "cma_es",
            Self::Dirichlet => "dirichlet",
        }
    }

    /// Whether the points depend on the results of earlier trials.
    pub const fn is_adaptive(self) -> bool {
        matches!(self, Self::Tpe | Self::CmaEs)
    }

    /// The label on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Grid => "Grid",
            Self::Random => "Random",
            Self::QuasiRandom => "Quasi-random (Sobol)",
            Self::Tpe => "TPE",
            Self::CmaEs => "CMA-ES",
            Self::Dirichlet => "Dirichlet (data mixes)",
        }
    }
}
