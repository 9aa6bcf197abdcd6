//! The table of the entries, and the button for older ones.

use leptos::prelude::*;
use wire::access::audit::AuditEntry;

use super::AuditLog;
use crate::components::number::moment;
use crate::components::{Icon, isolated};

#[component]
pub(super) fn EntryTable() -> impl IntoView {
    let log = expect_context::<AuditLog>();
    let entries = move || log.entries.get().unwrap_or_default();
    view! {
        <div class="sheet scroll">
            <table class="stacked">
                <caption class="unseen">"Entries of the audit log, newest first"</caption>
                <thead><tr>
                    <th scope="col" title="Time at which the server answered, in the time zone of this browser">"Time"</th>
                    <th scope="col" title="Person or token that sent the request">"Who"</th>
                    <th scope="col" title="What was done">"Action"</th>
                    <th scope="col" title="Path of the request below /api/v1">"Target"</th>
                    <th scope="col" title="HTTP status of the answer. From 400 on, nothing was changed.">"Status"</th>
                    <th scope="col" title="Address from which the request came">"Address"</th>
                </tr></thead>
                <tbody><For each=entries key=|entry| entry.id let(entry)><EntryRow entry /></For></tbody>
            </table>
        </div>
        <div class="row end">
            <span class="dim" role="status">
                {move || log.next.get().is_none().then_some("No older entries.")}
            </span>
            <Show when=move || log.next.read().is_some()>
                <button
                    title="Show the 100 entries before these"
                    disabled=move || log.is_loading.get()
                    on:click=move |_| log.fetch(log.next.get_untracked())
                >
                    {move || if log.is_loading.get() { "Loading …" } else { "Show more" }}
                </button>
            </Show>
        </div>
    }
}

#[component]
fn EntryRow(entry: AuditEntry) -> impl IntoView {
    let AuditEntry { at_ms, who, action, target, status, address, .. } = entry;
    let who = if who.is_empty() { "not signed in".to_owned() } else { isolated(&who) };
    let is_refused = status >= 400;
    view! {
        <tr>
            <td class="nowrap" data-label="Time">{moment(at_ms as f64)}</td>
            <td class="wrap" data-label="Who">{who}</td>
            <td class="wrap" data-label="Action">{isolated(&action)}</td>
            <td class="wrap mono" data-label="Target">{isolated(&target)}</td>
            <td class="nowrap" class:over=is_refused data-label="Status" title=meaning(status)>
                <span>{is_refused.then(|| view! { <Icon name="warning" />" " })}{status}</span>
            </td>
            <td class="wrap mono" data-label="Address">{isolated(&address)}</td>
        </tr>
    }
}

/// What an HTTP status says about a request.
fn meaning(status: u16) -> &'static str {
    match status {
        401 => "Refused: not signed in, or a wrong password or token",
        403 => "Refused: the role does not permit it",
        404 => "Nothing with this name exists, or the sender may not see it",
        409 => "Refused: the request conflicts with the current state of the run, dataset or account",
        410 => "Refused: expired or already used",
        429 => "Refused: too many attempts",
        400..=499 => "Refused: the request is not valid",
        500.. => "Failed: an error of the server",
        _ => "Done",
    }
}
