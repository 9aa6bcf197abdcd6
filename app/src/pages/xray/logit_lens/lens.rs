//! The result of a logit lens.

use wire::inspect::result::{InspectionResult, LogitLensCell};

use crate::pages::xray::tokens::brief;

/// Characters that are written of a token at most.
const MAX_LETTERS: usize = 9;
/// Width of a character and of the margins of a cell, pixels.
const LETTER_WIDTH: f64 = 6.6;
const CELL_MARGIN: f64 = 14.0;

/// The result.
pub(super) struct Lens<'a> {
    pub(super) tokens: &'a [String],
    /// Names of the depths.
    pub(super) depths: &'a [String],
    /// By depth and position.
    cells: &'a [Vec<LogitLensCell>],
    words: &'a [(u32, String)],
}

impl<'a> Lens<'a> {
    pub(super) fn of(result: &'a InspectionResult) -> Option<Self> {
        match result {
            InspectionResult::LogitLens { tokens, depths, cells, words, .. } => {
                Some(Self { tokens, depths, cells, words })
            }
            _ => None,
        }
    }

    /// A token as text.
    pub(super) fn word(&self, token: u32) -> &str {
        self.words.iter().find(|(known, _)| *known == token).map_or("?", |(_, word)| word)
    }

    pub(super) fn cell(&self, depth: usize, position: usize) -> Option<&LogitLensCell> {
        self.cells.get(depth)?.get(position)
    }

    /// Characters written of a token: as many as the longest token of the text has, so that single characters stand
    /// close together.
    pub(super) fn letters(&self) -> usize {
        self.tokens.iter().map(|token| brief(token, MAX_LETTERS).chars().count()).max().unwrap_or(1).max(2)
    }

    /// Width of a column, pixels.
    pub(super) fn column_width(&self) -> f64 {
        CELL_MARGIN + LETTER_WIDTH * self.letters() as f64
    }

    /// The depth from which on the actual next token is the most likely one, if it is at the end.
    pub(super) fn depth_of_answer(&self, position: usize) -> Option<usize> {
        let is_first = |depth: usize| self.cell(depth, position).is_some_and(|cell| cell.rank == 1);
        (0..self.depths.len()).rev().take_while(|depth| is_first(*depth)).last()
    }
}

/// A depth as the page writes it: `block 0`.
pub(super) fn depth_label(name: &str) -> String {
    name.replace("block.", "block ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_starts_where_its_rank_stays_first() {
        let ranks = [[2, 1, 1], [1, 1, 3], [1, 1, 2]];
        let row = |ranks: [u32; 3]| ranks.map(|rank| LogitLensCell { rank, ..LogitLensCell::default() }).to_vec();
        let (cells, tokens) = (ranks.map(row), ["a", "·bcd", "e"].map(String::from));
        let depths = ["embedding", "block.0", "block.1"].map(String::from);
        let lens = Lens { tokens: &tokens, depths: &depths, cells: &cells, words: &[(7, "x".into())] };
        assert_eq!([0, 1, 2].map(|position| lens.depth_of_answer(position)), [Some(1), Some(0), None]);
        assert_eq!((lens.word(7), lens.word(8), lens.letters()), ("x", "?", 4));
        assert_eq!(depth_label("block.1"), "block 1");
    }
}
