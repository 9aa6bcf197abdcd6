//! What this browser shows of new alerts.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::words::URGENT;
use crate::components::{clicks, shows};
use crate::notices::{Notices, Shown, has_notifications, is_permitted};

#[component]
pub(super) fn BrowserNotices() -> impl IntoView {
    let notices = expect_context::<Notices>();
    let word = |shown| match shown {
        Shown::All => "All alerts",
        Shown::Urgent => "Urgent alerts only",
        Shown::None => "None",
    };
    let meaning = |shown| match shown {
        Shown::All => "Show all new alerts of runs that you may see (default)",
        Shown::Urgent => "Show only new alerts that are urgent",
        Shown::None => "Show no alerts in this browser; channels still receive them",
    };
    view! {
        <div class="row">
            <span id="alerts-shown">"On open pages of this browser"</span>
            <div class="tabs" role="group" aria-labelledby="alerts-shown">
                {Shown::ALL.map(|shown| view! {
                    <button
                        class="tab"
                        title=meaning(shown)
                        aria-pressed=move || (notices.shown.get() == shown).to_string()
                        on:click=clicks(move |_| notices.shown.set(shown))
                    >
                        {word(shown)}
                    </button>
                })}
            </div>
        </div>
        <p class="small dim">{URGENT}</p>
        <Notifications notices />
    }
}

/// Notifications of the browser: the permission is asked for only by the button.
#[component]
fn Notifications(notices: Notices) -> impl IntoView {
    let is_refused = RwSignal::new(false);
    let is_on = move || notices.notifies.get() && is_permitted();
    let ask = move |_| {
        spawn_local(async move {
            let is_permitted = notices.ask().await;
            is_refused.try_set(!is_permitted);
        });
    };
    shows(move || {
        if !has_notifications() {
            let text = "This browser does not show notifications from this page. Browsers show them only over HTTPS or on the server's machine.";
            return view! { <p class="small dim">{text}</p> }.into_any();
        }
        let (title, label) = match is_on() {
            true => ("Show new alerts on open pages only", "Turn browser notifications off"),
            false => (
                "Also show new alerts as system notifications while a page of the lab is open",
                "Turn browser notifications on",
            ),
        };
        let press = clicks(move |event| match untrack(is_on) {
            true => notices.notifies.set(false),
            false => ask(event),
        });
        view! {
            <div class="row">
                <button title=title on:click=press>{label}</button>
                {is_refused.get().then(|| view! {
                    <span class="small" role="alert">
                        "The browser blocks notifications from this page. Allow them in its settings for this site."
                    </span>
                })}
            </div>
        }
        .into_any()
    })
}
