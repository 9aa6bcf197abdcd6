//! How the time of a device was used, as a bar of three parts.

use leptos::prelude::*;
use wire::telemetry::Usage;

use super::values::percent;
use crate::components::number::duration;

const MEANING: &str = "Busy: a run trained. Idle: there was nothing to train. Wasted: the device was idle while a run that it \
                       could train waited, or a paused run reserved it. Time without a connection is not counted.";

/// The bar of a usage, with its numbers below; `span` names the time: `last hour`, `secs` is its length.
pub(super) fn usage_bar(usage: &Usage, span: &'static str, secs: f64) -> AnyView {
    let total = usage.total_secs();
    if total <= 0.0 {
        return view! { <p class="small dim">{format!("No report in the {span}")}</p> }.into_any();
    }
    let parts = [("busy", usage.busy_secs), ("idle", usage.idle_secs), ("wasted", usage.wasted_secs)];
    let label = parts.map(|(word, secs)| format!("{word} {}", duration(secs))).join(", ");
    let told: Vec<String> = parts
        .into_iter()
        .filter(|(word, secs)| *word == "busy" || (*word == "wasted" && *secs >= 0.005 * total))
        .map(|(word, secs)| format!("{} {word}", percent(secs / total)))
        .collect();
    // The shares are those of the time with a connection.
    let of = match total < 0.95 * secs {
        true => format!(", of the {} connected in the {span}", duration(total)),
        false => format!(", {span}"),
    };
    view! {
        <div class="fleet-usage" title=format!("In the {span}: {label}. {MEANING}")>
            <div class="usage-bar" role="img" aria-label=format!("In the {span}: {label}")>
                {parts.map(|(word, secs)| view! {
                    <span class=word style:width=format!("{:.2}%", 100.0 * secs / total)></span>
                })}
            </div>
            <span class="small">{told.join(" · ")}<span class="dim">{of}</span></span>
        </div>
    }
    .into_any()
}
