//! Results as a table: the mean score of each scenario and agent over the seeds.

use std::collections::BTreeMap;

use super::attempt::Attempt;

/// Width of a column of scores, characters.
const COLUMN: usize = 9;

/// A row for each scenario, a column for each agent, and the mean over all scenarios.
pub(super) fn table(attempts: &[Attempt]) -> String {
    let (mut scenarios, mut agents): (Vec<&str>, Vec<&str>) = (vec![], vec![]);
    let mut scores: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for attempt in attempts {
        for (all, one) in [(&mut scenarios, attempt.scenario), (&mut agents, attempt.agent)] {
            if !all.contains(&one) {
                all.push(one);
            }
        }
        scores.entry((attempt.scenario, attempt.agent)).or_default().push(attempt.score);
    }
    let width = scenarios.iter().map(|name| name.len()).max().unwrap_or(0).max("scenario".len());
    let shown =
        |score: Option<f64>| score.map_or_else(|| format!("{:>COLUMN$}", "-"), |score| format!("{score:>COLUMN$.2}"));
    let line = |name: &str, cells: Vec<String>| format!("{name:<width$}{}", cells.concat());
    let of = |scenario: &str, agent: &str| scores.get(&(scenario, agent)).and_then(|found| mean(found));
    let mut lines = vec![line("scenario", agents.iter().map(|agent| format!("{agent:>COLUMN$}")).collect())];
    lines.extend(
        scenarios
            .iter()
            .map(|scenario| line(scenario, agents.iter().map(|agent| shown(of(scenario, agent))).collect())),
    );
    let overall = |agent: &&str| {
        let means: Vec<f64> = scenarios.iter().filter_map(|scenario| of(scenario, agent)).collect();
        shown(mean(&means))
    };
    lines.push(line("mean", agents.iter().map(overall).collect()));
    lines.join("\n")
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_means_over_seeds_and_over_scenarios() {
        let attempt = |scenario, seed, agent, score| {
            let (parts, transcript) = (vec![], vec![]);
            Attempt { scenario, seed, agent, score, parts, calls: 0, agent_secs: 0.0, secs: 0.0, transcript }
        };
        let all = [
            attempt("bad-batch", 1, "builtin", 1.0),
            attempt("bad-batch", 2, "builtin", 0.5),
            attempt("healthy-run", 1, "builtin", 0.25),
            attempt("healthy-run", 1, "nothing", 1.0),
        ];
        let expected = "scenario     builtin  nothing\n\
                        bad-batch       0.75        -\n\
                        healthy-run     0.25     1.00\n\
                        mean            0.50     1.00";
        assert_eq!(table(&all), expected);
    }
}
