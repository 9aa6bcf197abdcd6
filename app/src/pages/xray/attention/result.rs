//! The result of an attention inspection.

use wire::inspect::result::{HeadStats, HeatMap, InspectionResult};

use crate::pages::xray::inspections::result::Inspected;

/// Tokens, and the pattern and the statistics of each head.
#[derive(Clone, Copy)]
pub(super) struct Attention<'a> {
    pub(super) tokens: &'a [String],
    pub(super) patterns: &'a [HeatMap],
    pub(super) heads: &'a [HeadStats],
}

impl<'a> Attention<'a> {
    pub(super) fn of(inspected: Option<&'a Inspected>) -> Option<Self> {
        match &inspected?.result {
            InspectionResult::Attention { tokens, patterns, heads } => Some(Self { tokens, patterns, heads }),
            _ => None,
        }
    }
}
