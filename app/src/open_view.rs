//! The view of the open page as it is shared and presented: its address, with what only the page knows, such as the zoom of its charts and
//! the step that it shows. Each page that has more than its address registers a [`PageView`].

use leptos::prelude::*;

use crate::base::at;
use crate::route::Router;

/// What a page adds to its address.
#[derive(Clone, Copy)]
pub(crate) struct PageView {
    /// The whole query of the view, without `?` and without the step.
    pub(crate) query: Signal<String>,
    /// Shows the view that the address describes now.
    pub(crate) show: Callback<()>,
    /// The step, on pages that show one.
    pub(crate) step: Option<ShownStep>,
    /// The value of the x axis at which all charts show their values.
    pub(crate) crosshair: Option<RwSignal<Option<f64>>>,
}

/// The step that a page shows.
#[derive(Clone, Copy)]
pub(crate) struct ShownStep {
    /// The step; `None` for the newest.
    pub(crate) read: Signal<Option<u64>>,
    pub(crate) set: Callback<Option<u64>>,
}

/// A page that has registered its view.
#[derive(Clone)]
struct Registered {
    number: u32,
    /// Its path: while the next page is being opened, the address is not that of this one any more.
    path: String,
    view: PageView,
}

/// The view of the open page, in the context of all components.
#[derive(Clone, Copy)]
pub(crate) struct OpenView {
    router: Router,
    page: RwSignal<Option<Registered>>,
    last: StoredValue<u32>,
}

impl OpenView {
    /// Without a page.
    pub(crate) fn start(router: Router) -> Self {
        Self { router, page: RwSignal::new(None), last: StoredValue::new(0) }
    }

    /// Registers the view of a page until the surrounding component goes.
    pub(crate) fn register(self, view: PageView) {
        let number = self.last.get_value() + 1;
        self.last.set_value(number);
        let path = untrack(|| self.router.address()).0;
        self.page.set(Some(Registered { number, path, view }));
        on_cleanup(move || {
            // The next page may have registered already.
            if self.page.with_untracked(|page| page.as_ref().is_some_and(|page| page.number == number)) {
                self.page.set(None);
            }
        });
    }

    fn page(self) -> Option<PageView> {
        let path = self.router.address().0;
        self.page.read().as_ref().filter(|page| page.path == path).map(|page| page.view)
    }

    /// Path and query of the view from the root of the lab, without the step.
    pub(crate) fn path(self) -> String {
        let (path, address) = self.router.address();
        match self.page() {
            Some(view) => with_query(&path, &view.query.get()),
            None => format!("{path}{address}"),
        }
    }

    /// As [`OpenView::path`], with the step.
    pub(crate) fn path_with_step(self) -> String {
        let path = self.path();
        match self.step() {
            Some(step) if path.contains('?') => format!("{path}&step={step}"),
            Some(step) => format!("{path}?step={step}"),
            None => path,
        }
    }

    /// The step that the page shows; `None` for the newest, and on pages that show none.
    pub(crate) fn step(self) -> Option<u64> {
        self.page().and_then(|view| view.step).and_then(|step| step.read.get())
    }

    /// The place of the crosshair.
    pub(crate) fn crosshair(self) -> Option<f64> {
        self.page().and_then(|view| view.crosshair).and_then(|crosshair| crosshair.get())
    }

    /// Shows a view, on the open page or on another one.
    pub(crate) fn show(self, view: &str) {
        let path = view.split('?').next().unwrap_or(view);
        if untrack(|| self.router.address()).0 != path {
            return self.router.go(&at(view));
        }
        self.router.adopt(&at(view));
        if let Some(page) = untrack(|| self.page()) {
            page.show.run(());
        }
    }

    /// Shows a step; on a page that shows none, nothing happens.
    pub(crate) fn show_step(self, step: Option<u64>) {
        if let Some(shown) = untrack(|| self.page()).and_then(|view| view.step)
            && shown.read.get_untracked() != step
        {
            shown.set.run(step);
        }
    }

    /// Moves the crosshair.
    pub(crate) fn point(self, x: Option<f64>) {
        if let Some(crosshair) = untrack(|| self.page()).and_then(|view| view.crosshair)
            && crosshair.get_untracked() != x
        {
            crosshair.set(x);
        }
    }
}

fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}
