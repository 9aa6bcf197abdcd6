//! The agent that calls a tool, and its requests to the routes of the API. A tool reads and changes the lab only by such requests, with the
//! token of the agent, or for the assistant with the credential of the person who asks: it has those permissions, and the audit log records
//! each change. Nothing here sends DELETE. The server itself sends those of a call that a person has approved. The text of protected
//! datasets is replaced in the replies ([`protected`]).

use std::collections::BTreeSet;
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use bytes::Bytes;
use figure::Scene;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::{Identity, Store};
use tokio::sync::watch;
use tower::ServiceExt;
use wire::access::AgentMode;
use wire::access::agent::{AgentOrigin, is_named};
use wire::{ApiErrorBody, Author, EventRecord, RunId, RunSummary, encode};

use super::progress::Progress;
use super::protected;
use crate::api::reached::Reached;
use crate::api::series::{LAST_HEADER, POSTCARD};
use crate::auth::{Approved, ByAgent, agent};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::agents::UnderWay;
use crate::lab::audit::Sender;
use crate::lab::drawing::Look;
use crate::lab::paths::API;

/// Largest answer of a route that a tool reads, bytes.
const ANSWER_BYTES: usize = 64 << 20;
/// Characters that stay as they are in paths and queries.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const JSON: &str = "application/json";
/// The host of requests that the server sends by itself.
const OWN_HOST: &str = "localhost";

/// The routes that tools call, as an extension of each request.
#[derive(Clone)]
pub struct InProcess(pub Router);

/// The agent that calls a tool. Cloning is cheap.
#[derive(Clone)]
pub struct Caller {
    lab: Lab,
    api: Router,
    identity: Identity,
    credential: Credential,
    host: HeaderValue,
    reached: Reached,
    sender: Sender,
    progress: Progress,
    origin: AgentOrigin,
    /// Datasets of which replies had text.
    datasets: Arc<Mutex<BTreeSet<String>>>,
}

/// What proves who sends the requests.
#[derive(Clone)]
enum Credential {
    /// The Authorization header of the agent, or the cookie of the person who asks the assistant.
    Token(HeaderName, HeaderValue),
    /// The decision of a person about a call of the agent.
    Approved(Approved),
}

/// Events of a run.
pub struct Events {
    pub records: Vec<EventRecord>,
    /// Number of the newest event of the run before the records were read, which may be missing from them; 0 without events.
    pub last: u64,
}

/// The answer of a route.
pub struct Reply {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Caller {
    /// The sender of a request to `/mcp` or to the assistant; `None` if the middleware before has not added its extensions.
    pub fn of(lab: &Lab, api: &Router, parts: &Parts) -> Option<Self> {
        let of = |name: HeaderName| Some(Credential::Token(name.clone(), parts.headers.get(&name)?.clone()));
        Some(Self {
            lab: lab.clone(),
            api: api.clone(),
            identity: parts.extensions.get::<Identity>()?.clone(),
            credential: of(AUTHORIZATION).or_else(|| of(COOKIE))?,
            host: parts.headers.get(HOST)?.clone(),
            reached: parts.extensions.get::<Reached>()?.clone(),
            sender: parts.extensions.get::<Sender>()?.clone(),
            progress: Progress::default(),
            origin: agent::named(&parts.headers),
            datasets: Arc::default(),
        })
    }

    /// The same agent with the program that it names itself.
    #[must_use]
    pub fn with_client(mut self, client: Option<String>) -> Self {
        self.origin.client = client;
        self
    }

    /// The same agent with the model and the conversation of a call, if it names them.
    #[must_use]
    pub fn with_origin(mut self, model: Option<&str>, conversation: Option<&str>) -> Self {
        let given = |text: Option<&str>, before: Option<String>| text.map(str::to_owned).or(before);
        self.origin.model = given(model, self.origin.model.take());
        self.origin.conversation = given(conversation, self.origin.conversation.take());
        self
    }

    /// The agent of a call that a person has approved, whose name `origin` has.
    ///
    /// # Errors
    /// 403 if one of their tokens has ended; an error of the store.
    pub async fn approved(lab: &Lab, api: &Router, approved: Approved, origin: AgentOrigin) -> Result<Self, ApiError> {
        let agent = approved.identity(lab).await?;
        let author = lab.store().agent_author(agent.token_id, &agent.name, &origin).await?;
        let sender = Sender::default();
        sender.set_name(&author);
        Ok(Self {
            lab: lab.clone(),
            api: api.clone(),
            identity: Identity { is_agent: true, author_name: Some(author), ..agent },
            credential: Credential::Approved(approved),
            host: HeaderValue::from_static(OWN_HOST),
            reached: Reached { host: OWN_HOST.to_owned(), base: None, is_https: false, ignored: None },
            sender,
            progress: Progress::default(),
            origin,
            datasets: Arc::default(),
        })
    }

    /// Program, model and conversation.
    pub fn origin(&self) -> &AgentOrigin {
        &self.origin
    }

    /// Whether a call that acts becomes a proposal: the mode of the token says so, and nobody has approved the call.
    pub fn proposes(&self) -> bool {
        let mode = self.identity.limits.as_ref().map(|limits| limits.mode);
        mode == Some(AgentMode::Propose) && matches!(self.credential, Credential::Token(..))
    }

    /// The agent and its rights.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The lab. Tools read and change it by requests; only proposals need it.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Counts the datasets of a run among those of which replies had text: its checkpoint has written the text of a reply.
    ///
    /// # Errors
    /// An error of the store.
    pub async fn has_text_of(&self, run: &str) -> Result<(), ApiError> {
        let datasets = protected::of_run(&self.lab, run).await?;
        self.datasets.lock().unwrap_or_else(PoisonError::into_inner).extend(datasets);
        Ok(())
    }

    /// The datasets of which replies had text since the last call.
    pub fn take_datasets(&self) -> BTreeSet<String> {
        // A set is consistent even after a panic.
        take(&mut self.datasets.lock().unwrap_or_else(PoisonError::into_inner))
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

    /// Whether it is the author of an event, whatever its program, model and conversation.
    pub fn is_author(&self, author: &Author) -> bool {
        matches!(author, Author::Agent(name) if is_named(name, &self.identity.name))
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
        unpack(&self.fetch(path, POSTCARD).await?.body)
    }

    /// Events of a run, in order. `query` is that of the route of events.
    pub async fn events(&self, run: &str, query: &str) -> Result<Events, ApiError> {
        let reply = self.fetch(&format!("/runs/{}/events?{query}", encoded(run)), JSON).await?;
        let last = reply.headers.get(LAST_HEADER).and_then(|value| value.to_str().ok());
        let last = last.and_then(|number| number.parse().ok()).unwrap_or(0);
        Ok(Events { records: parse(&reply.body)?, last })
    }

    /// Number of the newest event of a run; 0 without events.
    pub async fn last_event(&self, run: &str) -> Result<u64, ApiError> {
        Ok(self.events(run, "newest=true&limit=1").await?.last)
    }

    /// The stream of a run that exists: the number changes whenever something of the run has been stored.
    pub fn follow(&self, run: &RunId) -> watch::Receiver<u64> {
        self.lab.feed.hub.follow(run)
    }

    /// The entry of a run. Only for a run that a request of the same call has just read, which has checked the role.
    pub async fn summary(&self, run: &RunId) -> Result<RunSummary, ApiError> {
        self.lab.feed.summary(run).await
    }

    /// Draws an image on the drawing thread, after the images that were requested before it.
    pub async fn draw(&self, look: Look, scene: impl FnOnce() -> Scene + Send + 'static) -> Result<Bytes, ApiError> {
        let lab = self.lab.clone();
        let drawn = self.lab.drawings.draw(move || lab.drawings.image(&scene(), look)).await?;
        Ok(drawn.content)
    }

    /// The progress that a long call reports.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Reads the response of a path below the API.
    pub async fn fetch(&self, path: &str, accept: &'static str) -> Result<Reply, ApiError> {
        self.send(self.request(Method::GET, path).header(ACCEPT, accept).body(Body::empty())).await
    }

    /// Posts JSON to a path below the API.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, ApiError> {
        parse(&self.submit(path, body, JSON).await?.body)
    }

    /// As [`Self::post`], with non-finite numbers in the answer.
    pub async fn post_packed<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, ApiError> {
        unpack(&self.submit(path, body, POSTCARD).await?.body)
    }

    /// As [`Self::post`], with the method PATCH.
    pub async fn patch<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, ApiError> {
        parse(&self.with_body(Method::PATCH, path, body, JSON).await?.body)
    }

    /// As [`Self::post`], for an answer in another format.
    pub async fn submit(&self, path: &str, body: &Value, accept: &'static str) -> Result<Reply, ApiError> {
        self.with_body(Method::POST, path, body, accept).await
    }

    async fn with_body(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        accept: &'static str,
    ) -> Result<Reply, ApiError> {
        let request = self.request(method, path).header(CONTENT_TYPE, JSON).header(ACCEPT, accept);
        self.send(request.body(Body::from(body.to_string()))).await
    }

    fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(format!("{API}{path}"));
        let request = match &self.credential {
            Credential::Token(name, value) => request.header(name, value.clone()),
            Credential::Approved(approved) => request.extension(*approved),
        };
        let request = request.header(HOST, self.host.clone());
        let request = request.extension(self.reached.clone()).extension(self.sender.clone()).extension(ByAgent);
        request.extension(self.origin.clone())
    }

    async fn send(&self, request: Result<Request<Body>, axum::http::Error>) -> Result<Reply, ApiError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ApiError::internal("calling the API", source);
        let request = request.map_err(|source| {
            let error = ApiError::invalid("arguments_invalid", "the arguments are too long for the address of a route");
            error.hint("shorten names and lists of runs").source(source)
        })?;
        let path = request.uri().path().trim_start_matches(API).to_owned();
        // A router cannot fail.
        let response = match self.api.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, ANSWER_BYTES).await.map_err(|source| failed(source.into()))?;
        if !parts.status.is_success() {
            return Err(refused(parts.status, &body));
        }
        let (body, datasets) = protected::withhold(&self.lab, &path, &parts.headers, body).await?;
        self.datasets.lock().unwrap_or_else(PoisonError::into_inner).extend(datasets);
        Ok(Reply { headers: parts.headers, body })
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|source| ApiError::internal("reading an answer of the API", source))
}

fn unpack<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    encode::from_bytes(body).map_err(|source| ApiError::internal("reading an answer of the API", source))
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

/// The id of a run.
///
/// # Errors
/// 404 for a text that is no id.
pub fn run_id(text: &str) -> Result<RunId, ApiError> {
    let shown: String = text.chars().take(80).collect();
    text.parse().map_err(|_| ApiError::not_found(format!("{shown:?} is not the id of a run")))
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
