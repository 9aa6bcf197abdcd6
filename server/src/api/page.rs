//! The page. Its files are in the program, in a table, so that no path of a request reaches the disk.

use std::sync::OnceLock;

use axum::extract::Request;
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{Html, IntoResponse, Response};

use super::log::without_secret;
use super::notice::Notice;
use super::reached::Reached;
use crate::error::ApiError;

/// One file of the page.
pub struct PageFile {
    pub path: &'static str,
    pub etag: &'static str,
    pub content: &'static [u8],
}

static FILES: OnceLock<&'static [PageFile]> = OnceLock::new();
/// The names of these files contain a hash of their content.
const HASHED: &str = "assets/";
/// The page at each of its addresses.
const INDEX: &str = "index.html";
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

fn not_built() -> Notice {
    Notice::new("The page was not built")
        .sentence("The server runs, and its API is at /api/v1. To build the page into the program:")
        .command("cargo xtask serve")
}

/// Sets the files of the page, once at the start of the program.
///
/// # Panics
/// The files are not sorted by path.
pub fn embed(files: &'static [PageFile]) {
    assert!(files.is_sorted_by_key(|file| file.path), "the files of the page are not sorted by path");
    let _ = FILES.set(files);
}

/// All files, sorted by path; empty if the page was not built.
fn files() -> &'static [PageFile] {
    FILES.get().copied().unwrap_or_default()
}

fn find(path: &str) -> Option<&'static PageFile> {
    files().binary_search_by(|file| file.path.cmp(path)).ok().map(|at| &files()[at])
}

/// Path of the style sheet of the page; `None` if the page was not built.
pub(super) fn stylesheet() -> Option<&'static str> {
    files().iter().map(|file| file.path).find(|path| path.starts_with("assets/style-") && path.ends_with(".css"))
}

/// How the page names its own files: relative to its address, because a proxy may have removed a path before it.
const RELATIVE: &str = "\"./";

/// Answers requests that no route matches: a file of the page, the page itself for its addresses, or an error.
pub async fn serve_page(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        let message = format!("unknown route {} {}", request.method(), request.uri().path());
        return ApiError::not_found(message).hint("GET /api/v1/openapi.json lists all routes").into_response();
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "the page accepts only GET and HEAD",
        )
        .into_response();
    }
    let is_compressed = ENCODINGS.iter().any(|(_, suffix)| path.ends_with(suffix));
    match find(path).filter(|_| !is_compressed) {
        Some(file) => send(file, request.headers()),
        None if is_address(path, request.headers()) => match find(INDEX) {
            Some(index) => send_index(index, request.extensions().get(), request.uri().path(), request.headers()),
            None => not_built().into_response(),
        },
        None => {
            let path = without_secret(request.uri().path());
            ApiError::not_found(format!("the page has no file {path:?}")).into_response()
        }
    }
}

/// The page as the answer to a request of a browser that is not signed in, for an address within the lab.
pub fn unauthorized(reached: &Reached, path: &str) -> Response {
    match find(INDEX) {
        Some(index) => {
            let page = send_index(index, Some(reached), path, &HeaderMap::new());
            (StatusCode::UNAUTHORIZED, page).into_response()
        }
        None => (StatusCode::UNAUTHORIZED, not_built()).into_response(),
    }
}

/// Whether the request opens an address of the page and does not fetch a file.
fn is_address(path: &str, headers: &HeaderMap) -> bool {
    let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    let wants_page = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_none_or(|accept| accept.contains("text/html") || accept.contains("*/*"));
    path.is_empty() || (!is_file && wants_page)
}

/// Sends the page, with the path of the lab in place of the relative one that is right at the top only.
fn send_index(index: &'static PageFile, reached: Option<&Reached>, path: &str, headers: &HeaderMap) -> Response {
    let known = reached.and_then(|reached| reached.base.clone());
    let base = known.unwrap_or_else(|| relative_base(path));
    match std::str::from_utf8(index.content) {
        Ok(html) if base != "./" => {
            let html = html.replace(RELATIVE, &format!("\"{base}"));
            ([(CACHE_CONTROL, "no-cache"), (VARY, "accept-encoding")], Html(html)).into_response()
        }
        _ => send(index, headers),
    }
}

/// The way from an address of the page up to the path of the lab: `../` for `/runs/amber-fox`.
fn relative_base(path: &str) -> String {
    match path.matches('/').count() {
        0 | 1 => "./".to_owned(),
        slashes => "../".repeat(slashes - 1),
    }
}

fn send(file: &'static PageFile, headers: &HeaderMap) -> Response {
    let keep = if file.path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let common: [(HeaderName, &str); 3] = [(CACHE_CONTROL, keep), (ETAG, file.etag), (VARY, "accept-encoding")];
    if known.is_some_and(|known| known.split(',').any(|etag| etag.trim().trim_start_matches("W/") == file.etag)) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let kind = [(CONTENT_TYPE, content_type(file.path))];
    match compressed(file.path, headers) {
        Some((encoding, file)) => (common, kind, [(CONTENT_ENCODING, encoding)], file.content).into_response(),
        None => (common, kind, file.content).into_response(),
    }
}

/// The smallest compressed file that the browser accepts.
fn compressed(path: &str, headers: &HeaderMap) -> Option<(&'static str, &'static PageFile)> {
    let accepted = headers.get(ACCEPT_ENCODING)?.to_str().ok()?;
    let accepts = |encoding: &str| {
        accepted.split(',').any(|word| {
            let (name, quality) = word.split_once(';').unwrap_or((word, ""));
            name.trim() == encoding && !matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
        })
    };
    ENCODINGS
        .into_iter()
        .filter(|(encoding, _)| accepts(encoding))
        .find_map(|(encoding, suffix)| Some((encoding, find(&format!("{path}{suffix}"))?)))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_up_from_an_address_ends_at_the_path_of_the_lab() {
        for (path, base) in
            [("/", "./"), ("/start", "./"), ("/runs/x", "../"), ("/runs/x/", "../../"), ("/runs/x/xray", "../../")]
        {
            assert_eq!(relative_base(path), base, "{path}");
        }
    }
}
