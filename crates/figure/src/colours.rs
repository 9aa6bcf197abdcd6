//! A colour for each run: the same one everywhere, unless two of the shown runs would share it.

use wire::RunId;

use crate::scene::Role;
use crate::theme::RUNS;

/// Pairs of colours that are hard to tell apart where lines cross.
const SIMILAR: [(u8, u8); 2] = [(0, 4), (3, 5)];

/// Colours of the runs shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Colours(Vec<(RunId, u8)>);

impl Colours {
    /// The colour of a run follows from its id; if another run has it or a similar one, the next free one, which is similar to none as long as
    /// there are such. With more than eight runs colours repeat with other dashes.
    pub fn of(runs: &[RunId]) -> Self {
        let mut sorted: Vec<&RunId> = runs.iter().collect();
        sorted.sort();
        let mut given: Vec<(RunId, u8)> = vec![];
        for run in sorted {
            let round = (given.len() / usize::from(RUNS)) as u8 * RUNS;
            let preferred = (hash(run.as_str()) % u64::from(RUNS)) as u8;
            let is_free = |slot: &u8| given.iter().all(|(_, taken)| taken != slot);
            let is_clear = |slot: &u8| !given.iter().any(|(_, taken)| are_similar(*taken, *slot));
            let free = || (0..RUNS).map(|next| round + (preferred + next) % RUNS).filter(is_free);
            let slot = free().find(is_clear).or_else(|| free().next()).unwrap_or(round + preferred);
            given.push((run.clone(), slot));
        }
        Self(given)
    }

    /// The colour of a run; a faint one for runs that are not selected.
    pub fn role(&self, run: &RunId) -> Role {
        self.0.iter().find(|(known, _)| known == run).map_or(Role::InkFaint, |(_, slot)| Role::Run(*slot))
    }
}

/// Whether two colours of equal dashes are hard to tell apart.
fn are_similar(one: u8, other: u8) -> bool {
    let pair = (one.min(other), one.max(other));
    pair.0 / RUNS == pair.1 / RUNS && SIMILAR.contains(&(pair.0 % RUNS, pair.1 % RUNS))
}

/// FNV-1a, which is the same on every machine and in every build.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_keeps_its_colour_and_no_two_share_one() {
        let runs: Vec<RunId> = (0..12).map(|i| format!("run-{i}").parse().unwrap()).collect();
        let alone = Colours::of(&runs[3..4]);
        assert_eq!(Colours::of(&[runs[3].clone(), runs[3].clone()]).role(&runs[3]), alone.role(&runs[3]));
        let all = Colours::of(&runs);
        let mut roles: Vec<String> = runs.iter().map(|run| format!("{:?}", all.role(run))).collect();
        roles.sort();
        roles.dedup();
        assert_eq!(roles.len(), 12);
        let mut reversed = runs.clone();
        reversed.reverse();
        assert_eq!(Colours::of(&reversed), all, "the order of the address does not matter");
    }

    #[test]
    fn up_to_six_runs_have_no_similar_colours() {
        for seed in 0..200 {
            let runs: Vec<RunId> = (0..6).map(|number| format!("run-{seed}-{number}").parse().unwrap()).collect();
            let slots: Vec<u8> = Colours::of(&runs).0.into_iter().map(|(_, slot)| slot).collect();
            for (at, one) in slots.iter().enumerate() {
                assert!(slots[at + 1..].iter().all(|other| one != other && !are_similar(*one, *other)), "{slots:?}");
            }
        }
    }
}
