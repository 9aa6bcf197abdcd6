//! Under which address a request reached the server. Proxies change the Host header, remove a path or keep it, and end TLS; what they
//! report about that in `X-Forwarded-*` counts only from the addresses of `--trusted-proxy`.
//!
//! The path of `--public-url` is removed here, before routing, where the proxy has kept it.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{HOST, LOCATION, ORIGIN, USER_AGENT};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::lab::Lab;
use crate::lab::audit::Sender;
use crate::lab::public_url::path_of;

/// Names of the headers by which proxies report what they received.
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// The address under which a request reached the server, in the extensions of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The Host header, or what a trusted proxy received as one.
    pub host: String,
    /// The path of the lab under that host, with a slash at both ends; `None` where it is not known. A proxy that removes a path need not
    /// say so.
    pub base: Option<String>,
    /// Whether the browser used https, as far as it is known.
    pub is_https: bool,
    /// The host that an untrusted proxy reported, and the address of that proxy, for messages.
    pub ignored: Option<(String, Option<IpAddr>)>,
}

impl Reached {
    /// The address of the lab, with a slash at its end: the public one, or else the one that was reached.
    pub fn lab_address(&self, lab: &Lab) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        let own = || format!("{scheme}://{}{}", self.host, self.base.as_deref().unwrap_or("/"));
        lab.settings.public_url.as_ref().map_or_else(own, ToString::to_string)
    }
}

/// Notes the address, and removes the public path where the proxy has kept it.
pub async fn note_address(State(lab): State<Lab>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let (reached, prefix) = read(&lab, request.headers(), request.uri().path(), peer);
    if let Some(prefix) = prefix {
        let path = request.uri().path();
        if path.len() < prefix.len() {
            // Relative addresses in the page need the slash at the end of the path.
            let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
            return (StatusCode::PERMANENT_REDIRECT, [(LOCATION, format!("{prefix}{query}"))]).into_response();
        }
        if let Some(uri) = without_prefix(request.uri(), &prefix) {
            *request.uri_mut() = uri;
        }
    }
    let agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let sender = Sender::new(sender_address(&lab, request.headers(), peer), agent);
    request.extensions_mut().insert(reached);
    request.extensions_mut().insert(sender);
    next.run(request).await
}

/// The address, and the path to remove where the proxy has kept it.
fn read(lab: &Lab, headers: &HeaderMap, path: &str, peer: Option<IpAddr>) -> (Reached, Option<String>) {
    let settings = &lab.settings;
    let is_trusted = peer.is_some_and(|peer| settings.trusted_proxies.iter().any(|proxy| proxy.contains(peer)));
    let forwarded = |name: HeaderName| first_of(headers, name).filter(|_| is_trusted);
    let own_host = first_of(headers, HOST).unwrap_or_default();
    let host = forwarded(FORWARDED_HOST).unwrap_or(own_host);
    let origin = first_of(headers, ORIGIN).unwrap_or_default();
    let public = settings.public_url.as_ref();
    let is_public = public.is_some_and(|url| url.is_authority(host) || url.is_origin(origin));
    let reported = forwarded(FORWARDED_PREFIX).and_then(path_of);
    let kept = |prefix: &&str| prefix.len() > 1 && (path.starts_with(*prefix) || format!("{path}/") == **prefix);
    let prefix = reported.as_deref().into_iter().chain(public.map(|url| url.path())).find(kept).map(str::to_owned);
    let base = prefix.clone().or(reported).or_else(|| public.filter(|_| is_public).map(|url| url.path().to_owned()));
    let is_https = origin.starts_with("https://")
        || forwarded(FORWARDED_PROTO).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
        || settings.certificate.is_some()
        || is_public && public.is_some_and(|url| url.is_https());
    let ignored = first_of(headers, FORWARDED_HOST).filter(|_| !is_trusted).map(|host| (host.to_owned(), peer));
    (Reached { host: host.to_owned(), base, is_https, ignored }, prefix)
}

/// The address of the sender. Each proxy appends the address from which it received the request, so the last one that is not itself of a
/// trusted proxy is that of the sender; what stands before it may be invented.
fn sender_address(lab: &Lab, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
    let is_trusted = |address: &IpAddr| lab.settings.trusted_proxies.iter().any(|proxy| proxy.contains(*address));
    let peer = peer?;
    if !is_trusted(&peer) {
        return Some(peer);
    }
    let values = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let forwarded: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut sender = peer;
    for text in forwarded.into_iter().rev() {
        let Ok(address) = text.parse() else { break };
        sender = address;
        if !is_trusted(&address) {
            break;
        }
    }
    Some(sender)
}

/// The first value of a header: a chain of proxies reports that of the browser first.
fn first_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.split(',').next().unwrap_or_default().trim())
}

/// The rest of an address after the prefix, which ends with a slash.
fn without_prefix(uri: &Uri, prefix: &str) -> Option<Uri> {
    let rest = &uri.path_and_query()?.as_str()[prefix.len() - 1..];
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
    Uri::from_parts(parts).ok()
}
