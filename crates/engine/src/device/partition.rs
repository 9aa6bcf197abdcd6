//! How the parameters of a model are divided over threads: for the sum of gradients, and for the optimizer.
//!
//! The unit is a block of [`BLOCK`] values of one parameter. A thread gets a run of blocks, which may begin and end inside a parameter, so an
//! embedding of 124 million values is divided like everything else. Sums over many values are taken block by block and added in the order of
//! the blocks, so no result depends on the number of threads. A matrix of Muon is computed by one thread.

use std::cmp::Reverse;
use std::ops::Range;

/// Values of a block. The four arrays of AdamW have 64 kB of it, which fit into the second-level cache of a core.
pub const BLOCK: usize = 4096;

/// The work on a parameter, in values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// As many values, of which each block can be computed alone.
    Blocks(usize),
    /// One thread computes the parameter, in the time of as many values.
    Whole(usize),
}

/// A range of the values of a parameter. It begins at a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Index of the parameter.
    pub parameter: usize,
    pub values: Range<usize>,
}

/// The parameters and pieces of one thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    /// Indices of the parameters that it computes whole.
    pub whole: Vec<usize>,
    /// Pieces of the others, in the order of the model. Those of the next thread follow.
    pub pieces: Vec<Piece>,
    /// Its work, in values.
    pub cost: usize,
}

/// Divides the work over threads. Whole parameters are assigned first, the costliest to the thread with the least work so far; the blocks then
/// fill the threads up to one level.
pub fn shares(work: &[Work], threads: usize) -> Vec<Share> {
    let mut shares = vec![Share::default(); threads.max(1)];
    assign_whole(work, &mut shares);
    let blocks = work.iter().map(|work| if let Work::Blocks(len) = work { *len } else { 0 });
    let costs: Vec<usize> = shares.iter().map(|share| share.cost).collect();
    // The number of values in the runs of this and all earlier threads.
    let mut ends = level(&costs, blocks.clone().sum()).scan(0.0, |end, filled| {
        *end += filled;
        Some(*end)
    });
    let (mut thread, mut end, mut before) = (0, ends.next().unwrap_or_default(), 0);
    for (parameter, len) in blocks.enumerate() {
        for from in (0..len).step_by(BLOCK) {
            let values = from..(from + BLOCK).min(len);
            // A block belongs to the thread in whose run its middle is.
            while thread + 1 < shares.len() && before as f64 + values.len() as f64 / 2.0 >= end {
                (thread, end) = (thread + 1, ends.next().unwrap_or(f64::INFINITY));
            }
            before += values.len();
            shares[thread].add(parameter, values);
        }
    }
    shares
}

fn assign_whole(work: &[Work], shares: &mut [Share]) {
    let whole = |(parameter, work): (usize, &Work)| match work {
        Work::Whole(cost) => Some((*cost, parameter)),
        Work::Blocks(_) => None,
    };
    let mut order: Vec<(usize, usize)> = work.iter().enumerate().filter_map(whole).collect();
    order.sort_by_key(|&(cost, parameter)| (Reverse(cost), parameter));
    for (cost, parameter) in order {
        if let Some(share) = shares.iter_mut().min_by_key(|share| share.cost) {
            share.cost += cost;
            share.whole.push(parameter);
        }
    }
}

/// How many of `total` values each thread gets so that the threads which get any have equal work.
fn level(costs: &[usize], total: usize) -> impl Iterator<Item = f64> {
    let mut sorted: Vec<f64> = costs.iter().map(|cost| *cost as f64).collect();
    sorted.sort_by(f64::total_cmp);
    let (mut below, mut level) = (0.0, 0.0);
    for (index, cost) in sorted.iter().enumerate() {
        if index > 0 && level <= *cost {
            break;
        }
        below += cost;
        level = (total as f64 + below) / (index + 1) as f64;
    }
    costs.iter().map(move |cost| (level - *cost as f64).max(0.0))
}

impl Share {
    /// Adds a block that follows the pieces before it.
    fn add(&mut self, parameter: usize, values: Range<usize>) {
        self.cost += values.len();
        match self.pieces.last_mut() {
            Some(piece) if piece.parameter == parameter => piece.values.end = values.end,
            _ => self.pieces.push(Piece { parameter, values }),
        }
    }
}

/// Splits the values of each parameter into the pieces of each thread. Whole parameters may be empty slices.
pub fn split<'a>(mut values: Vec<&'a mut [f32]>, shares: &[Share]) -> Vec<Vec<&'a mut [f32]>> {
    let mut take = |piece: &Piece| {
        let rest = std::mem::take(&mut values[piece.parameter]);
        let (taken, rest) = rest.split_at_mut(piece.values.len());
        values[piece.parameter] = rest;
        taken
    };
    shares.iter().map(|share| share.pieces.iter().map(&mut take).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::Work::{Blocks, Whole};
    use super::*;

    fn pieces(share: &Share) -> Vec<(usize, Range<usize>)> {
        share.pieces.iter().map(|piece| (piece.parameter, piece.values.clone())).collect()
    }

    #[test]
    fn runs_of_blocks_have_equal_work_and_may_begin_inside_a_parameter() {
        let found = shares(&[Blocks(10), Blocks(6 * BLOCK + 1), Blocks(2 * BLOCK)], 2);
        assert_eq!(pieces(&found[0]), [(0, 0..10), (1, 0..4 * BLOCK)]);
        assert_eq!(pieces(&found[1]), [(1, 4 * BLOCK..6 * BLOCK + 1), (2, 0..2 * BLOCK)]);
        let costs: Vec<usize> = found.iter().map(|share| share.cost).collect();
        assert_eq!(costs, [4 * BLOCK + 10, 4 * BLOCK + 1]);
        // Fewer blocks than threads: some threads have none.
        let few = shares(&[Blocks(BLOCK), Blocks(3)], 4);
        assert_eq!(few.iter().map(|share| share.cost).sum::<usize>(), BLOCK + 3);
    }

    #[test]
    fn whole_parameters_go_to_the_least_work_and_blocks_fill_the_others() {
        let found = shares(&[Whole(9 * BLOCK), Blocks(7 * BLOCK), Whole(5 * BLOCK), Whole(4 * BLOCK)], 3);
        let whole: Vec<&[usize]> = found.iter().map(|share| &share.whole[..]).collect();
        assert_eq!(whole, [&[0][..], &[2], &[3]]);
        assert_eq!(pieces(&found[0]), [], "the costliest matrix is more than an equal share");
        assert_eq!(pieces(&found[1]), [(1, 0..3 * BLOCK)]);
        assert_eq!(pieces(&found[2]), [(1, 3 * BLOCK..7 * BLOCK)]);
        let costs: Vec<usize> = found.iter().map(|share| share.cost / BLOCK).collect();
        assert_eq!(costs, [9, 8, 8]);
    }

    #[test]
    fn every_value_is_in_one_piece_for_any_number_of_threads() {
        let lens = [0, 1, BLOCK - 1, BLOCK, 5 * BLOCK + 7, 100 * BLOCK, 3];
        let work = lens.map(Blocks);
        for threads in 1..=40 {
            let found = shares(&work, threads);
            let mut values: Vec<Vec<f32>> = lens.map(|len| vec![0.0; len]).into();
            let slices = values.iter_mut().map(|values| &mut values[..]).collect();
            for (pieces, share) in split(slices, &found).into_iter().zip(&found) {
                let lens: Vec<usize> = share.pieces.iter().map(|piece| piece.values.len()).collect();
                assert_eq!(pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>(), lens);
                pieces.into_iter().flatten().for_each(|value| *value += 1.0);
            }
            assert!(values.iter().flatten().all(|value| *value == 1.0), "{threads} threads");
            let (total, most) = (lens.iter().sum::<usize>(), found.iter().map(|share| share.cost).max().unwrap());
            assert!(most <= total / threads + 2 * BLOCK, "{threads} threads: {most} of {total} values");
        }
    }
}
