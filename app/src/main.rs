//! The page's entry. Runs in the browser only; everything it shows comes from the server.
//!
//! [`shell`] stands around every page: header, disconnected bar, answers, keyboard help. [`route`] says which of [`pages`]
//! is shown; [`parts`] are the small things they share, [`panels`] the instruments of the Run page, [`xray`] what is
//! seen inside a model. Only [`api`] fetches and only [`live`] opens a socket: all else is a function of signals.

// The component macro writes its own public items.
#![allow(unreachable_pub)]

mod api;
mod canvas;
mod live;
mod pages;
mod panels;
mod parts;
mod route;
mod run_state;
mod session;
mod shell;
mod theme;
mod xray;

fn main() {
    std::panic::set_hook(Box::new(shell::show_crash));
    leptos::mount::mount_to_body(shell::Shell);
}
