//! The times of the operators of a step on the CPU, by phase, with their speed: where the time of training goes. It is in the part of
//! [`super::details`], below the charts for diagnosis.

use figure::number::{short, with_unit};
use leptos::prelude::*;
use wire::run::operators::{Operator, Phase, StepWork, series};
use wire::series::{describe, name};

use super::RunContext;
use super::open_run::OpenRun;
use crate::components::number::counted;
use crate::components::shows;

/// Phase and operator, then the cells of the other columns.
type Row = (&'static str, &'static str, [String; 5]);

/// Title and meaning of the columns after the operator.
const COLUMNS: [(&str, &str); 5] = [
    ("ms", "Newest measured time; of an operator that several threads compute, the mean over the threads"),
    ("share", "Of the time of all operators"),
    ("GFLOP/s", "Floating-point operations of the formula, divided by the time"),
    ("GB/s", "Bytes of inputs and outputs, each counted once, divided by the time"),
    (
        "FLOP/byte",
        "Arithmetic intensity. An operator with few operations per byte is limited by memory, one with many by arithmetic",
    ),
];

#[component]
pub(super) fn OperatorTable() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let rows = Memo::new(move |_| {
        context.track_charts();
        rows(&context.run.read_untracked())
    });
    view! {
        <section class="panel" aria-labelledby="operators-title">
            <h2 id="operators-title" title=describe(name::OPERATOR_MS).meaning>"Operators of a step"</h2>
            {shows(move || match rows.get() {
                none if none.is_empty() => {
                    view! { <p class="dim">"No times yet. They are measured every 10 steps on the CPU, not on a GPU."</p> }.into_any()
                }
                rows => {
                    let replicas = context.run.read_untracked().view.plan.recipe.batch.replicas;
                    view! { <p class="dim">{threads(replicas)}</p> {table(rows)} }.into_any()
                }
            })}
        </section>
    }
}

/// How many threads compute a step.
fn threads(replicas: usize) -> String {
    let replicas = counted(replicas as u64, "replica");
    format!("{replicas}: each has its own thread, unless several runs share the CPU.")
}

fn table(rows: Vec<Row>) -> impl IntoView {
    let titles = COLUMNS.map(|(title, meaning)| view! { <th scope="col" class="right" title=meaning>{title}</th> });
    let rows = rows.into_iter().map(|(phase, operator, cells)| {
        let cells = cells.map(|cell| view! { <td class="right">{cell}</td> });
        view! { <tr><td>{phase}</td><th scope="row">{operator}</th>{cells.into_iter().collect_view()}</tr> }
    });
    view! {
        <div class="scroll" role="region" tabindex="0" aria-labelledby="operators-title">
            <table>
                <thead>
                    <tr><th scope="col">"Phase"</th><th scope="col">"Operator"</th>{titles.into_iter().collect_view()}</tr>
                </thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </div>
    }
}

/// The operators that have been measured, in the order of a step.
fn rows(run: &OpenRun) -> Vec<Row> {
    let work = StepWork::new(&run.view.plan);
    let all = Phase::ALL.into_iter().flat_map(|phase| Operator::ALL.map(|operator| (phase, operator)));
    let measured: Vec<_> = all
        .filter_map(|(phase, operator)| {
            Some((phase, operator, run.curves.shown(&series(phase, operator)).last()?.mean))
        })
        .collect();
    let total: f64 = measured.iter().map(|(.., ms)| ms).sum();
    let row = |(phase, operator, ms): (Phase, Operator, f64)| {
        let work = work.of(phase, operator);
        let number = |value: f64| if value > 0.0 && value.is_finite() { short(value) } else { "-".to_owned() };
        let cells = [
            short(ms),
            with_unit((ms / total * 1000.0).round() / 10.0, "%"),
            number(work.flops / ms / 1e6),
            number(work.bytes / ms / 1e6),
            number(work.flops / work.bytes),
        ];
        (phase.label(), operator.label(), cells)
    };
    measured.into_iter().map(row).collect()
}
