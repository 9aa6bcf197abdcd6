//! New alerts in this browser: as messages of the page, and as notifications of the browser if they are allowed. Both are choices of this
//! browser and are stored in it. The server says only that there is a newer alert; the page then fetches those that its reader may see.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Notification, NotificationOptions, NotificationPermission};
use wire::alert::{AlertKind, AlertView};

use crate::base::at;
use crate::components::number::counted;
use crate::components::{Toasts, visible};
use crate::net::api;
use crate::net::live::Live;
use crate::route::{Route, Router};

const SHOWN_KEY: &str = "kindling.alerts";
const NOTIFIES_KEY: &str = "kindling.alerts.browser";
/// Runs and machines whose alerts are shown; of more, the number is shown.
const MOST: usize = 3;
/// Alerts that are fetched at a time.
const FETCHED: u32 = 20;

/// The alerts of which this browser shows messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    All,
    Urgent,
    None,
}

impl Shown {
    /// All, in the order shown.
    pub(crate) const ALL: [Self; 3] = [Self::All, Self::Urgent, Self::None];

    /// Its name, which is also the stored value.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Urgent => "urgent",
            Self::None => "none",
        }
    }
}

/// The choices of this browser, in the context of all components.
#[derive(Clone, Copy)]
pub(crate) struct Notices {
    pub(crate) shown: RwSignal<Shown>,
    /// Whether notifications of the browser are wanted; they are shown only if the browser permits them, too.
    pub(crate) notifies: RwSignal<bool>,
}

impl Notices {
    /// Reads the stored choices, and shows alerts that are raised from now on.
    pub(crate) fn start(live: Live, router: Router, toasts: Toasts) -> Self {
        let stored = |key| storage().and_then(|storage| storage.get_item(key).ok().flatten());
        let word = stored(SHOWN_KEY);
        let shown = Shown::ALL.into_iter().find(|shown| Some(shown.word()) == word.as_deref()).unwrap_or(Shown::All);
        let notices = Self {
            shown: RwSignal::new(shown),
            notifies: RwSignal::new(stored(NOTIFIES_KEY).as_deref() == Some("on")),
        };
        Effect::new(move || store(SHOWN_KEY, notices.shown.get().word()));
        Effect::new(move || store(NOTIFIES_KEY, if notices.notifies.get() { "on" } else { "off" }));
        let newest = Memo::new(move |_| live.lab.read().as_ref().map(|lab| lab.newest_alert));
        Effect::new(move |before: Option<Option<i64>>| {
            // The first number is that of alerts that were raised before the page was opened.
            let (before, now) = (before.flatten(), newest.get());
            if let (Some(before), Some(now)) = (before, now)
                && now > before
            {
                notices.fetch(before, router, toasts);
            }
            now.or(before)
        });
        notices
    }

    fn fetch(self, after: i64, router: Router, toasts: Toasts) {
        let shown = self.shown.get_untracked();
        if shown == Shown::None {
            return;
        }
        spawn_local(async move {
            // The alerts stay listed under Settings.
            let Ok(alerts) = api::alerts::list(after, FETCHED).await else { return };
            let at_least = if alerts.len() < FETCHED as usize { "" } else { "At least " };
            let on_screen = router.route.with_untracked(|route| route.run().cloned());
            let is_approvals = router.route.with_untracked(|route| *route == Route::Approvals);
            // The page of a run shows its findings and its state itself, and Approvals shows the proposals.
            let is_on_screen = |alert: &AlertView| match alert.kind {
                AlertKind::Proposal if is_approvals => true,
                _ => on_screen.is_some() && alert.run == on_screen,
            };
            let is_shown = |alert: &AlertView| {
                (alert.is_urgent || shown == Shown::All) && (document().hidden() || !is_on_screen(alert))
            };
            let alerts = by_source(alerts.into_iter().filter(is_shown));
            let notifies = self.notifies.get_untracked() && is_permitted();
            for (alert, others) in alerts.iter().take(MOST).rev() {
                let more = if *others == 0 { String::new() } else { format!(" and {others} more") };
                let (title, path) = (format!("{}{more}", visible(&alert.title)), alert.path.clone());
                toasts.made(title, move || router.go(&at(&path)));
                if notifies {
                    notify(alert);
                }
            }
            let more: usize = alerts.iter().skip(MOST).map(|(_, others)| others + 1).sum();
            if more > 0 {
                toasts.made(format!("{at_least}{}", counted(more as u64, "more alert")), move || {
                    router.go(&at("/settings"))
                });
            }
        });
    }

    /// Asks the browser for permission, which it grants only on a click. Returns whether it did.
    pub(crate) async fn ask(self) -> bool {
        if let Ok(asked) = Notification::request_permission() {
            // The answer is read below, because older browsers return it elsewhere.
            let _ = JsFuture::from(asked).await;
        }
        let is_permitted = is_permitted();
        self.notifies.set(is_permitted);
        is_permitted
    }
}

/// Whether the browser shows notifications of this page.
pub(crate) fn is_permitted() -> bool {
    has_notifications() && Notification::permission() == NotificationPermission::Granted
}

/// Whether the browser has notifications: not on plain HTTP from another machine, and not on some phones.
pub(crate) fn has_notifications() -> bool {
    js_sys::Reflect::has(&window(), &JsValue::from_str("Notification")).unwrap_or(false)
}

/// The newest alert of each run and machine, with the number of others; `alerts` begins with the newest.
fn by_source(alerts: impl Iterator<Item = AlertView>) -> Vec<(AlertView, usize)> {
    let mut found: Vec<(AlertView, usize)> = vec![];
    for alert in alerts {
        match found.iter_mut().find(|(newest, _)| (&newest.run, &newest.device) == (&alert.run, &alert.device)) {
            Some((_, others)) => *others += 1,
            None => found.push((alert, 0)),
        }
    }
    found
}

fn notify(alert: &AlertView) {
    let options = NotificationOptions::new();
    options.set_body(&visible(&alert.text));
    // Of several open pages one shows it: a tag that is shown already is replaced.
    options.set_tag(&format!("kindling-alert-{}", alert.id));
    // Browsers of phones refuse notifications from a page.
    let _ = Notification::new_with_options(&visible(&alert.title), &options);
}

fn store(key: &str, value: &str) {
    // Without storage the choice lasts until the page is closed.
    let _ = storage().map(|storage| storage.set_item(key, value));
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}
