//! The inspections that the open views request over the socket.

use std::collections::BTreeMap;
use std::time::Duration;

use leptos::prelude::*;
use wire::RunId;
use wire::inspect::request::{Inspection, MAX_INSPECTIONS_PER_PAGE};

use crate::net::live::Live;

/// From the last change of the requests until they are sent.
const SETTLED: Duration = Duration::from_millis(60);
/// Time between two messages, ms: the server delays a page that sends more often.
const BETWEEN_MS: f64 = 280.0;

/// The requests of all views.
#[derive(Clone, Copy)]
pub(super) struct LiveRequests {
    run: StoredValue<RunId>,
    live: Live,
    requests: StoredValue<Requests>,
}

#[derive(Default)]
struct Requests {
    last_view: u32,
    /// By view.
    inspections: BTreeMap<u32, Inspection>,
    is_scheduled: bool,
    is_hidden: bool,
    sent_ms: f64,
}

impl Requests {
    /// The distinct inspections, at most as many as a page may request; none while the page is hidden.
    fn distinct(&self) -> Vec<Inspection> {
        let mut distinct: Vec<Inspection> = vec![];
        for inspection in self.inspections.values().filter(|_| !self.is_hidden) {
            if !distinct.contains(inspection) && distinct.len() < MAX_INSPECTIONS_PER_PAGE {
                distinct.push(inspection.clone());
            }
        }
        distinct
    }
}

impl LiveRequests {
    /// Live requests of a page; they are withdrawn when the page closes.
    pub(super) fn new(run: RunId, live: Live) -> Self {
        let left = run.clone();
        on_cleanup(move || live.inspect(left.clone(), vec![]));
        Self { run: StoredValue::new(run), live, requests: StoredValue::default() }
    }

    /// Requests what a view wants to see live, for as long as the view lives.
    pub(super) fn follow(self, inspection: Signal<Option<Inspection>>) {
        let view = self.next_view();
        Effect::new(move || self.request(view, inspection.get()));
        on_cleanup(move || self.request(view, None));
    }

    /// Ends all requests while the page is hidden.
    pub(super) fn hide(self, is_hidden: bool) {
        self.requests.update_value(|requests| requests.is_hidden = is_hidden);
        self.send_soon();
    }

    fn next_view(self) -> u32 {
        let next = |requests: &mut Requests| {
            requests.last_view += 1;
            requests.last_view
        };
        self.requests.try_update_value(next).unwrap_or(0)
    }

    fn request(self, view: u32, inspection: Option<Inspection>) {
        let has_changed = self.requests.try_update_value(|requests| {
            let is_same = requests.inspections.get(&view) == inspection.as_ref();
            match inspection {
                Some(inspection) => drop(requests.inspections.insert(view, inspection)),
                None => drop(requests.inspections.remove(&view)),
            }
            !is_same
        });
        if has_changed == Some(true) {
            self.send_soon();
        }
    }

    fn send_soon(self) {
        let schedule = |requests: &mut Requests| !std::mem::replace(&mut requests.is_scheduled, true);
        if self.requests.try_update_value(schedule) == Some(true) {
            let since = js_sys::Date::now() - self.requests.with_value(|requests| requests.sent_ms);
            let wait = Duration::from_millis((BETWEEN_MS - since).max(0.0) as u64);
            set_timeout(move || self.send(), SETTLED.max(wait));
        }
    }

    fn send(self) {
        let inspections = self.requests.try_update_value(|requests| {
            (requests.is_scheduled, requests.sent_ms) = (false, js_sys::Date::now());
            requests.distinct()
        });
        if let Some(inspections) = inspections {
            self.live.inspect(self.run.get_value(), inspections);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_inspection_is_requested_once_and_none_while_hidden() {
        let mut requests = Requests::default();
        for view in 0..4 {
            requests.inspections.insert(view, Inspection::Embedding {});
        }
        for neuron in 0..12 {
            requests.inspections.insert(100 + neuron, Inspection::Neuron { layer: 0, neuron });
        }
        assert_eq!(requests.distinct().len(), MAX_INSPECTIONS_PER_PAGE);
        assert_eq!(requests.distinct()[..2], [Inspection::Embedding {}, Inspection::Neuron { layer: 0, neuron: 0 }]);
        requests.is_hidden = true;
        assert!(requests.distinct().is_empty());
    }
}
