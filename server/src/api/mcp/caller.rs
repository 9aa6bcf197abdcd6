//! The agent that calls a tool, and its requests to the routes of the API. A tool reads and changes the lab only by such requests, with the
//! token of the agent: it has the permissions of that token, and the audit log records each change. Nothing here sends DELETE.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::{Identity, Store};
use tower::ServiceExt;
use wire::{ApiErrorBody, Author, EventRecord, encode};

use crate::api::audited::API;
use crate::api::reached::Reached;
use crate::api::series::{EVENTS, POSTCARD};
use crate::auth::ByAgent;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::agents::UnderWay;
use crate::lab::audit::Sender;

/// Largest answer of a route that a tool reads, bytes.
const ANSWER_BYTES: usize = 64 << 20;
/// Characters that stay as they are in paths and queries.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const JSON: &str = "application/json";

/// The agent that calls a tool. Cloning is cheap.
#[derive(Clone)]
pub struct Caller {
    lab: Lab,
    api: Router,
    identity: Identity,
    authorization: HeaderValue,
    host: HeaderValue,
    reached: Reached,
    sender: Sender,
}

/// The answer of a route.
pub struct Reply {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Caller {
    /// The sender of a request to `/mcp`; `None` if the middleware before has not added its extensions.
    pub fn of(lab: &Lab, api: &Router, parts: &Parts) -> Option<Self> {
        Some(Self {
            lab: lab.clone(),
            api: api.clone(),
            identity: parts.extensions.get::<Identity>()?.clone(),
            authorization: parts.headers.get(AUTHORIZATION)?.clone(),
            host: parts.headers.get(HOST)?.clone(),
            reached: parts.extensions.get::<Reached>()?.clone(),
            sender: parts.extensions.get::<Sender>()?.clone(),
        })
    }

    /// The store, which has the acts of the agent.
    pub fn store(&self) -> &Store {
        self.lab.store()
    }

    /// Id of the token.
    pub fn token(&self) -> i64 {
        self.identity.token_id
    }

    /// The name of the agent: of the person whose token it has, else of the token.
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// The author of its events in journals.
    pub fn author(&self) -> Author {
        Author::Agent(self.identity.name.clone())
    }

    /// Begins an act; `None` while an act with the same key is being carried out.
    pub fn begin(&self, key: &str) -> Option<UnderWay> {
        self.lab.agents.begin(self.token(), key)
    }

    /// Reads JSON at a path below the API.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        parse(&self.fetch(path, JSON).await?.body)
    }

    /// As [`Self::get`], with non-finite numbers.
    pub async fn get_packed<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        let reply = self.fetch(path, POSTCARD).await?;
        encode::from_bytes(&reply.body).map_err(|source| ApiError::internal("reading an answer of the API", source))
    }

    /// All events of a run after a number.
    pub async fn events(&self, run: &str, since: u64) -> Result<Vec<EventRecord>, ApiError> {
        let mut all: Vec<EventRecord> = vec![];
        loop {
            let after = all.last().map_or(since, |record| record.number);
            let page: Vec<EventRecord> = self.get(&format!("/runs/{}/events?since={after}", encoded(run))).await?;
            let is_last = page.len() < EVENTS as usize;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Reads the response of a path below the API.
    pub async fn fetch(&self, path: &str, accept: &'static str) -> Result<Reply, ApiError> {
        self.send(self.request(Method::GET, path).header(ACCEPT, accept).body(Body::empty())).await
    }

    /// Posts JSON to a path below the API.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, ApiError> {
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, JSON).body(Body::from(body.to_string()));
        parse(&self.send(request).await?.body)
    }

    fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(format!("{API}{path}"));
        let request = request.header(AUTHORIZATION, self.authorization.clone()).header(HOST, self.host.clone());
        request.extension(self.reached.clone()).extension(self.sender.clone()).extension(ByAgent)
    }

    async fn send(&self, request: Result<Request<Body>, axum::http::Error>) -> Result<Reply, ApiError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ApiError::internal("calling the API", source);
        let request = request.map_err(|source| failed(source.into()))?;
        // A router cannot fail.
        let response = match self.api.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, ANSWER_BYTES).await.map_err(|source| failed(source.into()))?;
        match parts.status.is_success() {
            true => Ok(Reply { headers: parts.headers, body }),
            false => Err(refused(parts.status, &body)),
        }
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|source| ApiError::internal("reading an answer of the API", source))
}

/// The error that a route answered.
fn refused(status: StatusCode, body: &[u8]) -> ApiError {
    match serde_json::from_slice::<ApiErrorBody>(body) {
        Ok(body) => {
            let mut error = ApiError::new(status, &body.code, "");
            *error.body = body;
            error
        }
        Err(_) => ApiError::new(status, "internal", format!("the server answered with status {status}")),
    }
}

/// A text as a part of a path or as a value in a query.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A query of the fields that are given.
pub fn query<'a>(fields: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let given = fields.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(&value?))));
    given.collect::<Vec<_>>().join("&")
}
