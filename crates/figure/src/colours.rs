//! A colour for each run: the same one everywhere, unless two of the shown runs would share it.

use wire::RunId;

use crate::scene::Role;
use crate::theme::RUNS;

/// Colours of the runs shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Colours(Vec<(RunId, u8)>);

impl Colours {
    /// The colour of a run follows from its id; if another run has it, the next free one. With more than eight runs
    /// colours repeat with other dashes.
    pub fn of(runs: &[RunId]) -> Self {
        let mut sorted: Vec<&RunId> = runs.iter().collect();
        sorted.sort();
        let mut given: Vec<(RunId, u8)> = vec![];
        for run in sorted {
            let round = (given.len() / usize::from(RUNS)) as u8 * RUNS;
            let preferred = (hash(run.as_str()) % u64::from(RUNS)) as u8;
            let is_free = |slot: &u8| given.iter().all(|(_, taken)| taken != slot);
            let slot =
                (0..RUNS).map(|next| round + (preferred + next) % RUNS).find(is_free).unwrap_or(round + preferred);
            given.push((run.clone(), slot));
        }
        Self(given)
    }

    /// The colour of a run; a faint one for runs that are not selected.
    pub fn role(&self, run: &RunId) -> Role {
        self.0.iter().find(|(known, _)| known == run).map_or(Role::InkFaint, |(_, slot)| Role::Run(*slot))
    }
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
}
