//! The only module that fetches: one function for each route of `/api/v1`. A refusal is an [`ApiFailure`] with the
//! message of the server, and so is a failure of the network, so that pages show all failures in one way.
//!
//! Checkpoints are in [`checkpoints`], inspections in [`inspections`], tokens in [`access`], device checks in
//! [`checks`], exports and imports in [`export`].

pub(crate) mod access;
pub(crate) mod checkpoints;
pub(crate) mod checks;
pub(crate) mod export;
pub(crate) mod inspections;

use std::cell::Cell;

use leptos::prelude::{RwSignal, Set};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortSignal, File, FormData, Headers, ReadableStreamDefaultReader, RequestInit, Response, XmlHttpRequest,
};
use wire::access::Me;
use wire::completion::{CompletionLine, CompletionRequest};
use wire::control::event::EventRecord;
use wire::data::corpus::{CatalogueEntry, CorpusInfo, DatasetInfo, Job};
use wire::data::tokenizer::Tokenizer;
use wire::run::RunChange;
use wire::series::{Axis, Comparison, SeriesWindow};
use wire::transport::live::LabState;
use wire::{ApiErrorBody, Command, CorpusId, RunId, RunSpec, RunSummary, RunView, encode};

/// Timeout of a request: longer than the server waits for a worker, so that the answer of the server comes first.
const TIMEOUT_MS: u32 = 45_000;

/// A request that was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiFailure {
    /// HTTP status; 0 without an answer.
    pub(crate) status: u16,
    /// What failed, the field, and what to do.
    pub(crate) body: ApiErrorBody,
}

impl ApiFailure {
    fn new(status: u16, code: &str, message: impl Into<String>, hint: &str) -> Self {
        let body = ApiErrorBody { code: code.into(), message: message.into(), field: None, hint: Some(hint.into()) };
        Self { status, body }
    }

    fn unreachable() -> Self {
        Self::new(
            0,
            "unreachable",
            "The server did not answer.",
            "Check that it is running and that this machine is connected.",
        )
    }

    fn unreadable(reason: impl ToString) -> Self {
        Self::new(
            0,
            "unreadable",
            format!("The answer of the server could not be read: {}", reason.to_string()),
            "Reload the page: it may be older than the server.",
        )
    }

    /// The message and the hint in one line.
    pub(crate) fn sentence(&self) -> String {
        match &self.body.hint {
            Some(hint) => format!("{} ({hint})", self.body.message),
            None => self.body.message.clone(),
        }
    }
}

/// The result of an upload.
#[derive(Debug, Clone)]
pub(crate) enum Uploaded {
    Dataset(Box<CorpusInfo>),
    /// The job that is still importing it.
    Job(Job),
}

/// A request for series.
#[derive(Debug, Clone)]
pub(crate) struct SeriesRequest {
    /// Names of the series.
    pub(crate) names: Vec<String>,
    /// The x axis.
    pub(crate) axis: Axis,
    /// First place on the axis; its start by default.
    pub(crate) from: Option<f64>,
    /// Last place on the axis; its end by default.
    pub(crate) to: Option<f64>,
    /// Maximum number of buckets.
    pub(crate) points: u32,
}

thread_local! {
    // The page has one thread. A 401 of any request sets this flag, and the shell then shows the sign-in page.
    static SIGNED_OUT: Cell<Option<RwSignal<bool>>> = const { Cell::new(None) };
}

/// Sets `flag` whenever the server answers that this browser is not signed in.
pub(crate) fn on_signed_out(flag: RwSignal<bool>) {
    SIGNED_OUT.set(Some(flag));
}

/// Who is signed in.
pub(crate) async fn me() -> Result<Me, ApiFailure> {
    get("/me").await
}

/// Signs in with a one-time token.
pub(crate) async fn sign_in(token: &str) -> Result<Me, ApiFailure> {
    send("POST", "/session", Some(&serde_json::json!({ "token": token }))).await
}

/// Signs this browser out.
pub(crate) async fn sign_out() -> Result<(), ApiFailure> {
    send_plain("DELETE", "/session").await
}

/// The state of the lab.
pub(crate) async fn lab() -> Result<LabState, ApiFailure> {
    get("/lab").await
}

pub(crate) async fn create_run(spec: &RunSpec) -> Result<RunView, ApiFailure> {
    send("POST", "/runs", Some(spec)).await
}

pub(crate) async fn run(run: &RunId) -> Result<RunView, ApiFailure> {
    get(&format!("/runs/{run}")).await
}

/// Renames or archives a run, or moves it in its queue.
pub(crate) async fn change_run(run: &RunId, change: &RunChange) -> Result<RunSummary, ApiFailure> {
    send("PATCH", &format!("/runs/{run}"), Some(change)).await
}

/// Deletes a run; it can be restored for some time.
pub(crate) async fn delete_run(run: &RunId) -> Result<RunSummary, ApiFailure> {
    send::<(), _>("DELETE", &format!("/runs/{run}"), None).await
}

/// Restores a deleted run.
pub(crate) async fn restore_run(run: &RunId) -> Result<RunSummary, ApiFailure> {
    send::<(), _>("POST", &format!("/runs/{run}/restore"), None).await
}

/// Sends a command to a run and returns the event that it caused. With a control run, a fork without the change is
/// added to the queue.
pub(crate) async fn command(run: &RunId, command: &Command, with_control_run: bool) -> Result<EventRecord, ApiFailure> {
    let control = if with_control_run { "?control=true" } else { "" };
    send("POST", &format!("/runs/{run}/commands{control}"), Some(command)).await
}

/// The journal after event `since`, at most `limit` events.
pub(crate) async fn events(run: &RunId, since: u64, limit: u32) -> Result<Vec<EventRecord>, ApiFailure> {
    get(&format!("/runs/{run}/events?since={since}&limit={limit}")).await
}

/// The difference of two runs, in at most `points` points.
pub(crate) async fn compare(run: &RunId, with: &RunId, points: u32) -> Result<Comparison, ApiFailure> {
    get(&format!("/runs/{run}/compare?with={with}&points={points}")).await
}

/// Names of the series of a run.
pub(crate) async fn series_names(run: &RunId) -> Result<Vec<String>, ApiFailure> {
    get(&format!("/runs/{run}/series/names")).await
}

/// Series of a range, as postcard because there may be thousands of buckets.
pub(crate) async fn series(run: &RunId, request: &SeriesRequest) -> Result<Vec<SeriesWindow>, ApiFailure> {
    let axis = match request.axis {
        Axis::Step => "step",
        Axis::Tokens => "tokens",
        Axis::Secs => "secs",
        Axis::Flops => "flops",
    };
    let bound = |key, place: Option<f64>| place.map(|place| format!("&{key}={place}")).unwrap_or_default();
    let names = escape(&request.names.join(","));
    let path = format!(
        "/runs/{run}/series?names={names}&x={axis}&points={}{}{}",
        request.points,
        bound("from", request.from),
        bound("to", request.to)
    );
    packed("GET", &path, None).await
}

/// An answer as postcard.
async fn packed<T: DeserializeOwned>(method: &str, path: &str, json: Option<&str>) -> Result<T, ApiFailure> {
    let response = fetch(method, path, json, "application/x-postcard").await?;
    let buffer = JsFuture::from(response.array_buffer().map_err(|_| ApiFailure::unreachable())?)
        .await
        .map_err(|_| ApiFailure::unreachable())?;
    encode::from_bytes(&js_sys::Uint8Array::new(&buffer).to_vec()).map_err(ApiFailure::unreadable)
}

/// Completes a prompt and passes each line to `take` as it arrives. Ends early without a failure when `stop` is raised
/// or `take` returns false.
pub(crate) async fn complete(
    request: &CompletionRequest,
    stop: &AbortSignal,
    mut take: impl FnMut(CompletionLine) -> bool,
) -> Result<(), ApiFailure> {
    let body = serde_json::to_string(request).map_err(ApiFailure::unreadable)?;
    let answered = fetch_until("POST", "/completions", Some(&body), "application/x-ndjson", stop).await;
    let response = match answered {
        Err(_) if stop.aborted() => return Ok(()),
        answered => answered?,
    };
    let Some(stream) = response.body() else { return Err(ApiFailure::unreachable()) };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let mut bytes: Vec<u8> = vec![];
    loop {
        let part = match JsFuture::from(reader.read()).await {
            Ok(part) => part,
            Err(_) if stop.aborted() => return Ok(()),
            Err(_) => return Err(ApiFailure::unreachable()),
        };
        let field = |name: &str| js_sys::Reflect::get(&part, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED);
        if field("done").is_truthy() {
            return Ok(());
        }
        bytes.extend(js_sys::Uint8Array::new(&field("value")).to_vec());
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = bytes.drain(..=end).collect();
            if !take(serde_json::from_slice(&line).map_err(ApiFailure::unreadable)?) {
                let _ = reader.cancel();
                return Ok(());
            }
        }
    }
}

/// The datasets of the lab.
pub(crate) async fn corpora() -> Result<Vec<CorpusInfo>, ApiFailure> {
    get("/corpora").await
}

/// Deletes a dataset and its tokenizations.
pub(crate) async fn delete_corpus(corpus: &CorpusId) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/corpora/{corpus}")).await
}

/// Tokenizes a dataset.
pub(crate) async fn tokenize(corpus: &CorpusId, tokenizer: Tokenizer) -> Result<Tokenized, ApiFailure> {
    let body = serde_json::json!({ "tokenizer": tokenizer });
    let response = send_for("POST", &format!("/corpora/{corpus}/tokenizations"), Some(&body)).await?;
    let text = text_of(&response).await?;
    match serde_json::from_str::<DatasetInfo>(&text) {
        Ok(info) => Ok(Tokenized::Done(Box::new(info))),
        Err(_) => read(&text).map(Tokenized::Job),
    }
}

/// The result of tokenizing.
#[derive(Debug, Clone)]
pub(crate) enum Tokenized {
    /// The tokenized dataset.
    Done(Box<DatasetInfo>),
    /// The job that is still tokenizing.
    Job(Job),
}

/// Datasets that the server can download.
pub(crate) async fn catalogue() -> Result<Vec<CatalogueEntry>, ApiFailure> {
    get("/catalogue").await
}

/// Downloads a dataset of the catalogue.
pub(crate) async fn fetch_entry(corpus: &CorpusId) -> Result<Job, ApiFailure> {
    send::<(), _>("POST", &format!("/catalogue/{corpus}"), None).await
}

/// Uploads files as one dataset and passes the fraction sent, 0 to 1, to `sent`. `fetch` does not report it, so this
/// uses `XMLHttpRequest`.
pub(crate) async fn upload(
    name: &str,
    field: Option<&str>,
    files: &[(String, File)],
    sent: impl Fn(f64) + 'static,
) -> Result<Uploaded, ApiFailure> {
    let form = FormData::new().map_err(|_| ApiFailure::unreachable())?;
    for (path, file) in files {
        form.append_with_blob_and_filename("file", file, path).map_err(|_| ApiFailure::unreachable())?;
    }
    let field = field.map(|field| format!("&field={}", escape(field))).unwrap_or_default();
    let path = format!("/api/v1/corpora?name={}{field}", escape(name));
    let (status, text) = post_form(&path, &form, sent).await?;
    if !(200..300).contains(&status) {
        return Err(refusal(status, &text));
    }
    match serde_json::from_str::<CorpusInfo>(&text) {
        Ok(info) => Ok(Uploaded::Dataset(Box::new(info))),
        Err(_) => read(&text).map(Uploaded::Job),
    }
}

async fn post_form(path: &str, form: &FormData, sent: impl Fn(f64) + 'static) -> Result<(u16, String), ApiFailure> {
    let request = XmlHttpRequest::new().map_err(|_| ApiFailure::unreachable())?;
    request.open("POST", path).map_err(|_| ApiFailure::unreachable())?;
    let on_progress = Closure::<dyn Fn(web_sys::ProgressEvent)>::new(move |event: web_sys::ProgressEvent| {
        sent(if event.total() > 0.0 { event.loaded() / event.total() } else { 0.0 });
    });
    if let Ok(upload) = request.upload() {
        upload.set_onprogress(Some(on_progress.as_ref().unchecked_ref()));
    }
    // Resolves when the request ends in any way; the status then says how.
    let ended = js_sys::Promise::new(&mut |resolve, _| request.set_onloadend(Some(&resolve)));
    request.send_with_opt_form_data(Some(form)).map_err(|_| ApiFailure::unreachable())?;
    let _ = JsFuture::from(ended).await;
    match request.status().unwrap_or(0) {
        0 => Err(ApiFailure::unreachable()),
        status => Ok((status, request.response_text().ok().flatten().unwrap_or_default())),
    }
}

async fn get<T: DeserializeOwned>(path: &str) -> Result<T, ApiFailure> {
    send::<(), T>("GET", path, None).await
}

async fn send<B: Serialize + ?Sized, T: DeserializeOwned>(
    method: &str,
    path: &str,
    body: Option<&B>,
) -> Result<T, ApiFailure> {
    read(&text_of(&send_for(method, path, body).await?).await?)
}

async fn send_plain(method: &str, path: &str) -> Result<(), ApiFailure> {
    fetch(method, path, None, "application/json").await.map(|_| ())
}

async fn send_for<B: Serialize + ?Sized>(method: &str, path: &str, body: Option<&B>) -> Result<Response, ApiFailure> {
    let body = body.map(serde_json::to_string).transpose().map_err(ApiFailure::unreadable)?;
    fetch(method, path, body.as_deref(), "application/json").await
}

async fn fetch(method: &str, path: &str, json: Option<&str>, accept: &str) -> Result<Response, ApiFailure> {
    fetch_until(method, path, json, accept, &AbortSignal::timeout_with_u32(TIMEOUT_MS)).await
}

async fn fetch_until(
    method: &str,
    path: &str,
    json: Option<&str>,
    accept: &str,
    stop: &AbortSignal,
) -> Result<Response, ApiFailure> {
    let headers = Headers::new().map_err(|_| ApiFailure::unreachable())?;
    let _ = headers.set("accept", accept);
    let options = RequestInit::new();
    options.set_method(method);
    options.set_signal(Some(stop));
    if let Some(json) = json {
        let _ = headers.set("content-type", "application/json");
        options.set_body(&JsValue::from_str(json));
    }
    options.set_headers(&headers);
    let sent = leptos::prelude::window().fetch_with_str_and_init(&format!("/api/v1{path}"), &options);
    let answered = JsFuture::from(sent).await.map_err(|_| ApiFailure::unreachable())?;
    let response: Response = answered.dyn_into().map_err(|_| ApiFailure::unreachable())?;
    if response.ok() {
        return Ok(response);
    }
    let text = text_of(&response).await.unwrap_or_default();
    Err(refusal(response.status(), &text))
}

/// A refusal of the server; a proxy in between may have answered something else.
fn refusal(status: u16, text: &str) -> ApiFailure {
    if status == 401
        && let Some(flag) = SIGNED_OUT.get()
    {
        flag.set(true);
    }
    match serde_json::from_str(text) {
        Ok(body) => ApiFailure { status, body },
        Err(_) => ApiFailure::new(
            status,
            "refused",
            format!("The server answered with status {status}."),
            "Try again. The log of the server may contain more.",
        ),
    }
}

async fn text_of(response: &Response) -> Result<String, ApiFailure> {
    let text = response.text().map_err(|_| ApiFailure::unreachable())?;
    JsFuture::from(text).await.map_err(|_| ApiFailure::unreachable())?.as_string().ok_or_else(ApiFailure::unreachable)
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, ApiFailure> {
    serde_json::from_str(text).map_err(ApiFailure::unreadable)
}

fn escape(text: &str) -> String {
    js_sys::encode_uri_component(text).into()
}
