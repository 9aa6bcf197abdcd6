//! The runs of a fit as a table, with the loss that the law predicts.

use figure::Table;
use figure::number::{in_unit, short};
use leptos::prelude::*;
use research::fits::report::FittedRun;
use research::fits::scaling_law::ScalingLaw;

use super::super::value_table::ValueTable;
use super::words::{LOSS, compute, count};
use crate::components::isolated;
use crate::components::number::counted;

#[component]
pub(super) fn RunTable(
    runs: Vec<FittedRun>,
    /// The law, for predictions.
    law: Option<ScalingLaw>,
) -> impl IntoView {
    let summary = counted(runs.len() as u64, "run");
    let table = table(&runs, law.as_ref());
    (!runs.is_empty()).then(|| {
        view! {
            <details>
                <summary>{format!("Table of the {summary}")}</summary>
                <ValueTable table />
            </details>
        }
    })
}

fn table(runs: &[FittedRun], law: Option<&ScalingLaw>) -> Table {
    let mut headings = vec!["Run", "Parameters", "Tokens", "Compute", "Loss (nats/token)"];
    headings.extend(law.is_some().then_some(["Predicted", "Difference, %"]).into_iter().flatten());
    let row = |run: &FittedRun| {
        let loss = in_unit(run.loss, LOSS);
        let mut cells = vec![isolated(&run.name), count(run.parameters), count(run.tokens), compute(run.flops), loss];
        if let Some(law) = law {
            let predicted = law.loss(run.parameters, run.tokens).value;
            cells.extend([in_unit(predicted, LOSS), short(100.0 * (predicted / run.loss - 1.0))]);
        }
        cells
    };
    let headings = headings.into_iter().map(str::to_owned).collect();
    Table { headings, caption: String::new(), rows: runs.iter().map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_cell_for_each_heading() {
        let run = FittedRun {
            run: "a".into(),
            name: "amber-fox".into(),
            parameters: 1.2e6,
            tokens: 3e8,
            flops: 2.16e15,
            loss: 2.0,
        };
        let found = table(&[run], None);
        let row: Vec<String> = found.rows[0].iter().map(|cell| cell.replace('\u{202f}', " ")).collect();
        assert_eq!(row, ["amber-fox", "1.2 M", "300 M", "2.16 PFLOP", "2.000"]);
        assert_eq!(found.headings.len(), 5);
    }
}
