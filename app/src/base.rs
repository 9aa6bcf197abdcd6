//! The path of the lab under its host name: `/`, or another one behind a proxy. The server writes it into the page, either whole or
//! relative to the address that was opened. Paths within the lab begin with a slash (`/runs/amber-fox`); addresses of links and requests
//! have the path of the lab before them.

use std::cell::OnceCell;

use leptos::prelude::{document, window};

thread_local! {
    // Read once, because the address of the page changes while it is open.
    static BASE: OnceCell<String> = const { OnceCell::new() };
}

/// The address of a path within the lab.
pub(crate) fn at(path: &str) -> String {
    with_base(|base| join(base, path))
}

/// The path within the lab of the address that is open.
pub(crate) fn open_path() -> String {
    with_base(|base| within(base, &window().location().pathname().unwrap_or_default()))
}

/// The path within the lab of an address; `None` for one outside of it.
pub(crate) fn path_of(address: &str) -> Option<String> {
    with_base(|base| address.starts_with(base).then(|| within(base, address)))
}

/// Makes the address of the tab icon independent of the address of the page, which changes while it is open: browsers resolve a relative
/// one again.
pub(crate) fn resolve_icon() {
    let resolve = || {
        let icon = document().query_selector("link[rel=icon]").ok()??;
        let address =
            web_sys::Url::new_with_base(&icon.get_attribute("href")?, &window().location().href().ok()?).ok()?;
        icon.set_attribute("href", &address.href()).ok()
    };
    // Without an icon there is nothing to resolve.
    let _ = resolve();
}

fn with_base<T>(act: impl FnOnce(&str) -> T) -> T {
    BASE.with(|base| act(base.get_or_init(|| read().unwrap_or_else(|| "/".to_owned()))))
}

/// The path that the server wrote, resolved against the address of the page.
fn read() -> Option<String> {
    let meta = document().query_selector("meta[name=kindling-base]").ok()??;
    let address = window().location().href().ok()?;
    let base = web_sys::Url::new_with_base(&meta.get_attribute("content")?, &address).ok()?.pathname();
    base.ends_with('/').then_some(base)
}

/// `/lab/` and `/runs/x` are `/lab/runs/x`.
fn join(base: &str, path: &str) -> String {
    format!("{base}{}", path.trim_start_matches('/'))
}

/// `/lab/runs/x` under `/lab/` is `/runs/x`.
fn within(base: &str, address: &str) -> String {
    let rest = address.strip_prefix(base).unwrap_or_else(|| match base.strip_suffix('/') {
        // The path of the lab without its slash is its first page.
        Some(bare) if bare == address => "",
        _ => address,
    });
    format!("/{}", rest.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_within_the_lab_and_addresses_correspond() {
        for (base, path, address) in [
            ("/", "/", "/"),
            ("/", "/runs/x", "/runs/x"),
            ("/lab/", "/", "/lab/"),
            ("/lab/", "/runs/x/xray?view=batch", "/lab/runs/x/xray?view=batch"),
            ("/user/ada/proxy/7878/", "/start", "/user/ada/proxy/7878/start"),
        ] {
            assert_eq!(join(base, path), address, "{base} {path}");
            assert_eq!(within(base, address), path, "{base} {address}");
        }
        assert_eq!(within("/lab/", "/lab"), "/");
    }
}
