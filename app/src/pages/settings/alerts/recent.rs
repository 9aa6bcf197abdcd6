//! The newest alerts that this person may see.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::alert::AlertView;

use super::words::URGENT;
use crate::base::at;
use crate::components::number::ago;
use crate::components::{Failure, Icon, Skeleton, isolated, shows, visible};
use crate::net::api::{self, ApiFailure};
use crate::net::live::Live;

/// Alerts that are listed.
const LISTED: u32 = 20;

#[component]
pub(super) fn RecentAlerts() -> impl IntoView {
    let live = expect_context::<Live>();
    let found = RwSignal::new(None::<Result<Vec<AlertView>, ApiFailure>>);
    let fetch = move || {
        spawn_local(async move {
            let answer = api::alerts::list(0, LISTED).await;
            found.try_set(Some(answer));
        });
    };
    let newest = Memo::new(move |_| live.lab.read().as_ref().map_or(0, |lab| lab.newest_alert));
    Effect::new(move || {
        newest.get();
        fetch();
    });
    view! {
        <h3>"Newest alerts"</h3>
        {shows(move || match found.get() {
            None => view! { <Skeleton rows=2 class="short" /> }.into_any(),
            Some(Err(failure)) => {
                view! { <Failure what="The alerts could not be listed" failure retry=move |()| fetch() /> }.into_any()
            }
            Some(Ok(alerts)) if alerts.is_empty() => view! { <p class="small dim">"No alerts in the last 30 days."</p> }.into_any(),
            Some(Ok(alerts)) => {
                let lines = alerts.into_iter().map(|alert| view! { <AlertLine alert /> });
                view! { <ul class="tokens" aria-label="Newest alerts">{lines.collect_view()}</ul> }.into_any()
            }
        })}
    }
}

#[component]
fn AlertLine(alert: AlertView) -> impl IntoView {
    let AlertView { at_ms, is_urgent, title, text, path, .. } = alert;
    view! {
        <li>
            {is_urgent.then(|| view! { <span title=format!("This alert is urgent. {URGENT}")><Icon name="warning" /></span> })}
            <div class="grow">
                <p><a href=at(&path) title="Open its page">{isolated(&title)}</a><span class="dim">{format!(" · {}", ago(at_ms as f64))}</span></p>
                <p class="small dim">{visible(&text).into_owned()}</p>
            </div>
        </li>
    }
}
