//! The page. It runs in the browser, and everything that it shows comes from the server.
//!
//! Each module uses only those above it in this list:
//!
//! - [`base`] (the path of the lab), [`route`] (addresses and navigation), [`theme`] (light or dark), [`projector`] (the layout for a
//!   projector);
//! - [`net`]: the only fetches and the only socket; [`session`]: who is signed in; [`projects`]: the projects that they see;
//! - [`open_view`]: the view of the open page, as it is shared and presented;
//! - [`curves`]: the time series of a run at any zoom;
//! - [`components`]: what several pages use, with one chart and one canvas;
//! - [`notices`]: new alerts in this browser;
//! - [`assistant`]: the panel that answers questions; [`share`]: share links and embeds; [`presenting`]: presentations and following them;
//! - [`pages`]: one module for each page, which owns its state and its components;
//! - [`shell`]: the header, the connection bar, messages, dialogs and keyboard help around every page.

// The component macro writes its own public items.
#![allow(unreachable_pub)]

mod assistant;
mod base;
mod components;
mod curves;
mod net;
mod notices;
mod open_view;
mod pages;
mod presenting;
mod projector;
mod projects;
mod route;
mod session;
mod share;
mod shell;
mod theme;

/// Code that several parts use, and that compresses better in the main module than in modules that parts share. Never called: the splitter
/// leaves in the main module what is reached from it.
fn shared_code() {
    std::hint::black_box(figure::chart as fn(&figure::ChartSpec, &[figure::Curve], figure::Size) -> figure::Drawing);
    std::hint::black_box(empty_chart as fn() -> leptos::prelude::AnyView);
    let Ok(run) = std::hint::black_box(String::new()).parse::<wire::RunId>() else { return };
    leptos::task::spawn_local(async move {
        drop(std::hint::black_box(net::api::run(&run).await));
    });
}

/// The chart with its canvas, legend and gestures.
fn empty_chart() -> leptos::prelude::AnyView {
    use components::chart::{Chart, ChartContent, ChartGroup};
    use leptos::prelude::*;
    let group = ChartGroup {
        crosshair: RwSignal::new(None),
        show: Callback::new(|_| ()),
        press: Callback::new(|_| ()),
        describe: Callback::new(|_| None),
    };
    let changed = Signal::derive(|| ());
    view! { <Chart group title="" unit="" meaning="" paint=ChartContent::default changed /> }.into_any()
}

fn main() {
    if std::hint::black_box(false) {
        shared_code();
    }
    std::panic::set_hook(Box::new(shell::show_crash));
    if let Some(fallback) = leptos::prelude::document().get_element_by_id("fallback") {
        fallback.remove();
    }
    base::resolve_icon();
    leptos::mount::mount_to_body(shell::Shell);
}
