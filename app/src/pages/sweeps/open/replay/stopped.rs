//! The trials that the chosen setting stops, as a table.

use leptos::prelude::*;
use research::stopping::settings::{ReplayReport, ReplayedRun, ReplayedSetting};

use crate::components::number::{counted, grouped};
use crate::components::{isolated, says, shows};

#[component]
pub(super) fn StoppedTrials(
    report: StoredValue<ReplayReport>,
    setting: Memo<Option<ReplayedSetting>>,
) -> impl IntoView {
    let count = says(move || {
        let count = setting.read().as_ref().map_or(0, |setting| setting.stops.len());
        format!("{} stopped by this setting", counted(count as u64, "trial"))
    });
    let rows = move || {
        let setting = setting.read();
        let stops = setting.as_ref().map(|setting| setting.stops.as_slice()).unwrap_or_default();
        let row = |number: u64, step: u64| {
            let run = report.with_value(|report| report.runs.iter().find(|run| run.number == number).cloned())?;
            let ReplayedRun { name, rank, .. } = run;
            let rank = rank.map_or_else(|| "–".to_owned(), |rank| grouped(rank as u64));
            Some(view! {
                <tr>
                    <th scope="row">{number}</th>
                    <td class="wrap">{isolated(&name)}</td>
                    <td class="right mono">{grouped(step)}</td>
                    <td class="right mono">{rank}</td>
                </tr>
            })
        };
        stops.iter().filter_map(|stop| row(stop.number, stop.step)).collect_view()
    };
    view! {
        <details>
            <summary>{count}</summary>
            <div class="scroll" role="region" tabindex="0" aria-label="Stopped trials">
                <table class="profiles">
                    <thead>
                        <tr>
                            <th scope="col">"Trial"</th>
                            <th scope="col">"Run"</th>
                            <th scope="col" class="right" title="Steps done when the rule stops it">"Stopped at step"</th>
                            <th scope="col" class="right" title="Its place among all trials by their last value, 1 is the best">"Rank at the end"</th>
                        </tr>
                    </thead>
                    <tbody>{shows(rows)}</tbody>
                </table>
            </div>
        </details>
    }
}
