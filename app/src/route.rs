//! The route of the page and the history of the browser. A dozen pages without nesting need no router library. Links are
//! plain `<a href>`; clicks on them are handled here.

use std::time::Duration;

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use wire::{DeviceId, RunId};

use crate::base::{at, open_path, path_of};
use crate::components::isolated;

/// The pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// All runs and devices.
    Lab,
    /// A new run; the query may name a run to copy or a dataset.
    NewRun,
    /// The datasets.
    Data,
    /// Several runs; the query names them.
    Compare,
    /// The list of experiments and the scores of predictions.
    Experiments,
    /// The form of a new experiment; the query may name the run of the baseline.
    NewExperiment,
    /// One experiment.
    Experiment(u64),
    /// The research journal of a project; the query may name it.
    Journal,
    /// The list of research loops.
    Loops,
    /// The form of a new research loop.
    NewLoop,
    /// One research loop.
    Loop(u64),
    /// The list of all sweeps.
    Sweeps,
    /// The form of a new sweep; the query may name the run to start from.
    NewSweep,
    /// One sweep.
    Sweep(i64),
    /// The proposals of agents that wait for a decision.
    Approvals,
    /// Completions by a checkpoint; the query may name it.
    Playground,
    /// Account, theme, tokens.
    Settings,
    /// All machines and devices.
    Fleet,
    /// One device.
    Device(DeviceId),
    /// People, invitations and projects.
    People,
    /// The rules that check runs.
    Rules,
    /// The audit log.
    Audit,
    /// An invitation; the query has its token.
    Invite,
    /// One run.
    Run(RunId),
    /// The X-ray of a run; the query has the location in the model.
    Xray(RunId),
    /// No such page.
    Unknown(String),
}

impl Route {
    fn parse(path: &str) -> Self {
        match path.trim_matches('/').split('/').collect::<Vec<_>>()[..] {
            [""] => Self::Lab,
            // /new is what people type who guess the address.
            ["start" | "new"] => Self::NewRun,
            ["data"] => Self::Data,
            ["compare"] => Self::Compare,
            ["experiments"] => Self::Experiments,
            ["experiments", "new"] => Self::NewExperiment,
            ["experiments", id] => id.parse().map_or_else(|_| Self::Unknown(path.to_owned()), Self::Experiment),
            ["journal"] => Self::Journal,
            ["research"] => Self::Loops,
            ["research", "new"] => Self::NewLoop,
            ["research", id] => id.parse().map_or_else(|_| Self::Unknown(path.to_owned()), Self::Loop),
            ["sweeps"] => Self::Sweeps,
            ["sweeps", "new"] => Self::NewSweep,
            ["sweeps", id] => id.parse().map_or_else(|_| Self::Unknown(path.to_owned()), Self::Sweep),
            ["approvals"] => Self::Approvals,
            ["playground"] => Self::Playground,
            ["settings"] => Self::Settings,
            ["people"] => Self::People,
            ["rules"] => Self::Rules,
            ["audit"] => Self::Audit,
            ["invite"] => Self::Invite,
            ["fleet"] => Self::Fleet,
            ["fleet", device] => device.parse().map_or_else(|_| Self::Unknown(path.to_owned()), Self::Device),
            ["runs", run] => run.parse().map_or_else(|_| Self::Unknown(path.to_owned()), Self::Run),
            ["runs", run, "xray"] => run.parse().map_or_else(|_| Self::Unknown(path.to_owned()), Self::Xray),
            _ => Self::Unknown(path.to_owned()),
        }
    }

    /// The run of the page.
    pub(crate) fn run(&self) -> Option<&RunId> {
        match self {
            Self::Run(run) | Self::Xray(run) => Some(run),
            _ => None,
        }
    }

    /// The title of the browser tab; `name` is that of the run, once known.
    pub(crate) fn title(&self, name: Option<&str>) -> String {
        let named = |run: &RunId| name.map_or_else(|| run.to_string(), isolated);
        match self {
            Self::Lab => "Lab · Kindling".into(),
            Self::NewRun => "New run · Kindling".into(),
            Self::Data => "Data · Kindling".into(),
            Self::Compare => "Compare · Kindling".into(),
            Self::Experiments => "Experiments · Kindling".into(),
            Self::NewExperiment => "New experiment · Kindling".into(),
            Self::Experiment(id) => format!("Experiment {id} · Kindling"),
            Self::Journal => "Research journal · Kindling".into(),
            Self::Loops => "Research loops · Kindling".into(),
            Self::NewLoop => "New research loop · Kindling".into(),
            Self::Loop(id) => format!("Research loop {id} · Kindling"),
            Self::Sweeps => "Sweeps · Kindling".into(),
            Self::NewSweep => "New sweep · Kindling".into(),
            Self::Sweep(id) => format!("Sweep {id} · Kindling"),
            Self::Approvals => "Approvals · Kindling".into(),
            Self::Playground => "Playground · Kindling".into(),
            Self::Settings => "Settings · Kindling".into(),
            Self::Fleet => "Fleet · Kindling".into(),
            Self::People => "People · Kindling".into(),
            Self::Rules => "Rules · Kindling".into(),
            Self::Audit => "Audit log · Kindling".into(),
            Self::Invite => "Invitation · Kindling".into(),
            Self::Device(device) => format!("{device} · Kindling"),
            Self::Run(run) => format!("{} · Kindling", named(run)),
            Self::Xray(run) => format!("X-ray of {} · Kindling", named(run)),
            Self::Unknown(_) => "Not found · Kindling".into(),
        }
    }
}

/// The address of the page of a run.
pub(crate) fn run_path(run: &RunId) -> String {
    at(&format!("/runs/{run}"))
}

/// The address of the page of a device.
pub(crate) fn device_path(device: &DeviceId) -> String {
    at(&format!("/fleet/{device}"))
}

/// The address of the X-ray page of a run; a query may follow.
pub(crate) fn xray_path(run: &RunId) -> String {
    at(&format!("/runs/{run}/xray"))
}

/// The address of the page of a sweep.
pub(crate) fn sweep_path(sweep: i64) -> String {
    at(&format!("/sweeps/{sweep}"))
}

/// The address of a comparison of runs.
pub(crate) fn compare_path<'a>(runs: impl IntoIterator<Item = &'a RunId>) -> String {
    let runs: Vec<String> = runs.into_iter().map(RunId::to_string).collect();
    at(&format!("/compare?runs={}", runs.join(",")))
}

/// The router, in the context of all components.
#[derive(Clone, Copy)]
pub(crate) struct Router {
    /// The current route.
    pub(crate) route: Memo<Route>,
    address: RwSignal<(String, String)>,
    /// Whether the address of the browser is about to be written.
    is_adopting: StoredValue<bool>,
}

/// Time after which an adopted address is written into the browser.
const ADOPTED: Duration = Duration::from_millis(700);

impl Router {
    /// Reads the address, and follows it and every click on a link.
    pub(crate) fn start() -> Self {
        let address = RwSignal::new(read_address());
        let route = Memo::new(move |_| Route::parse(&address.read().0));
        let router = Self { route, address, is_adopting: StoredValue::new(false) };
        window_event_listener_untyped("popstate", move |_| address.set(read_address()));
        window_event_listener_untyped("click", move |event| router.catch(&event));
        router
    }

    /// Whether the page was opened by a sign-in link that is not valid.
    pub(crate) fn is_invalid_link(self) -> bool {
        self.is_sign_in() && self.query("token").is_some()
    }

    /// Whether the path is the one of sign-in links.
    pub(crate) fn is_sign_in(self) -> bool {
        self.address.read().0.trim_end_matches('/') == "/signin"
    }

    /// The path within the lab and the query that are open.
    pub(crate) fn here(self) -> String {
        let (path, query) = &*self.address.read();
        format!("{path}{query}")
    }

    /// Goes to an address, with an entry in the history.
    pub(crate) fn go(self, path: &str) {
        let pushed = window().history().and_then(|history| history.push_state_with_url(&JsValue::NULL, "", Some(path)));
        if pushed.is_ok() {
            self.address.set(read_address());
            window().scroll_to_with_x_and_y(0.0, 0.0);
        }
    }

    /// Changes the query of the current page without an entry in the history.
    pub(crate) fn replace(self, path: &str) {
        let replaced =
            window().history().and_then(|history| history.replace_state_with_url(&JsValue::NULL, "", Some(path)));
        if replaced.is_ok() {
            self.address.set(read_address());
        }
    }

    /// Shows another address of the same page at once. The browser receives it within a second, because browsers refuse many changes of the
    /// address in a short time.
    pub(crate) fn adopt(self, path: &str) {
        let (page, query) =
            path.split_once('?').map_or((path, String::new()), |(page, query)| (page, format!("?{query}")));
        self.address.set((path_of(page).unwrap_or_else(open_path), query));
        if !self.is_adopting.get_value() {
            self.is_adopting.set_value(true);
            set_timeout(move || self.write_address(), ADOPTED);
        }
    }

    /// Writes an adopted address into the browser.
    fn write_address(self) {
        self.is_adopting.set_value(false);
        let adopted = self.address.get_untracked();
        if adopted != read_address() {
            self.replace(&at(&format!("{}{}", adopted.0, adopted.1)));
        }
    }

    /// The path within the lab and the query, with its `?`.
    pub(crate) fn address(self) -> (String, String) {
        self.address.get()
    }

    /// A value of the query: `from` of `/start?from=amber-fox-7k2q`.
    pub(crate) fn query(self, key: &str) -> Option<String> {
        let query = self.address.read().1.clone();
        let pairs = query.trim_start_matches('?').split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())?;
        js_sys::decode_uri_component(&found).ok().map(String::from)
    }

    /// Handles a plain click on a link to a page; new tabs, downloads and other addresses are left to the browser.
    fn catch(self, event: &web_sys::Event) {
        let Some(click) = event.dyn_ref::<web_sys::MouseEvent>() else { return };
        let is_plain =
            click.button() == 0 && !(click.ctrl_key() || click.meta_key() || click.shift_key() || click.alt_key());
        if !is_plain || event.default_prevented() {
            return;
        }
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        let Some(link) = target.and_then(|target| target.closest("a[href]").ok().flatten()) else { return };
        let href = link.get_attribute("href").unwrap_or_default();
        let is_page = !link.has_attribute("download") && !link.has_attribute("target");
        let Some(path) = path_of(&href).filter(|_| is_page) else { return };
        if !matches!(Route::parse(path.split(['?', '#']).next().unwrap_or("/")), Route::Unknown(_)) {
            event.prevent_default();
            self.go(&href);
        }
    }
}

fn read_address() -> (String, String) {
    (open_path(), window().location().search().unwrap_or_default())
}
