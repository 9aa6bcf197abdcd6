//! Device checks: the newest report of each device with its verdict. `kindling check --full` creates reports.

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::check::{CheckReport, Outcome, Section};

use crate::components::number::{ago, duration};
use crate::components::{Failure, ServerCommand, Skeleton};
use crate::net::api::{ApiFailure, checks};

/// The section of the page.
#[component]
pub(super) fn DeviceChecks() -> impl IntoView {
    let reports = RwSignal::new(None::<Result<Vec<CheckReport>, ApiFailure>>);
    let fetch = move || {
        spawn_local(async move {
            let answer = checks::reports().await;
            reports.try_set(Some(answer));
        })
    };
    fetch();
    let list = move || match reports.get() {
        None => view! { <Skeleton rows=2 class="short" /> }.into_any(),
        Some(Err(failure)) => {
            view! { <Failure what="The device checks could not be listed" failure retry=move |()| fetch() /> }
                .into_any()
        }
        Some(Ok(reports)) if reports.is_empty() => view! { <p class="dim">"No device checks yet."</p> }.into_any(),
        Some(Ok(reports)) => reports.into_iter().map(|report| view! { <Report report /> }).collect_view().into_any(),
    };
    view! {
        <section class="sheet padded stack" aria-labelledby="checks-title">
            <h2 id="checks-title">"Device checks"</h2>
            {list}
            <p class="small dim">
                "A check compares the results of a device with those of the CPU and measures its speed and memory. It \
                 takes at most six minutes. Run it on the server's machine:"
            </p>
            <ServerCommand command="kindling check --full" />
        </section>
    }
}

#[component]
fn Report(report: CheckReport) -> impl IntoView {
    let (outcome, sentence) = report.verdict();
    let when = format!("{}, {}", ago(report.started_ms as f64), duration(report.secs));
    let name = format!("{} ({}, {})", report.device.name, report.device.id, report.device.backend);
    let rows: Vec<_> = report.sections.iter().map(row).collect();
    let details: Vec<_> = report.sections.into_iter().filter(has_details).map(details).collect();
    view! {
        <div class="stack" role="group" aria-label=format!("Check of {}", report.device.id)>
            <div>
                <h3 class="wrap">{name}</h3>
                <p class="wrap"><strong>{word(outcome)}</strong>": "{sentence}</p>
                <p class="small dim">{when}" · "{report.program}</p>
            </div>
            <div class="scroll">
                <table>
                    <thead><tr>
                        <th title="Part of the check; a tooltip has its question">"Section"</th>
                        <th title="Outcome, and its reason">"Result"</th>
                        <th class="right" title="Duration of the section">"Time"</th>
                    </tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            <details>
                <summary title="Every comparison and measurement of the report">"Checks and figures"</summary>
                {details}
            </details>
        </div>
    }
}

fn row(section: &Section) -> impl IntoView + use<> {
    let result = match section.reason.as_str() {
        "" => word(section.outcome).to_owned(),
        reason => format!("{}: {reason}", word(section.outcome)),
    };
    let time = if section.secs > 0.0 { duration(section.secs) } else { "–".to_owned() };
    view! {
        <tr>
            <td title=section.question.clone()>{section.name.clone()}</td>
            <td class="wrap">{result}</td>
            <td class="right">{time}</td>
        </tr>
    }
}

fn has_details(section: &Section) -> bool {
    !section.checks.is_empty() || !section.figures.is_empty()
}

fn details(section: Section) -> impl IntoView {
    let checks = section.checks.into_iter().map(|check| {
        view! { <tr><td>{check.name}</td><td class="wrap">{word(check.outcome)}": "{check.found}</td></tr> }
    });
    let figures = section.figures.into_iter().map(|figure| {
        let value = number::with_unit(figure.value, &figure.unit);
        view! { <tr><td>{figure.name}</td><td class="wrap" title=figure.note>{value}</td></tr> }
    });
    view! {
        <div class="scroll">
            <table>
                <caption class="small dim">{section.name}": "{section.question}</caption>
                <tbody>{checks.collect_view()}{figures.collect_view()}</tbody>
            </table>
        </div>
    }
}

/// An outcome in words.
fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Waiting | Outcome::Running => "Not finished",
        Outcome::Passed => "Passed",
        Outcome::Failed => "Failed",
        Outcome::NotRun => "Not run",
    }
}
