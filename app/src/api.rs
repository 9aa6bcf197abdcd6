//! The only file that fetches. One function for each route of `/api/v1`; a refusal comes back as [`ApiFailure`] with the
//! server's own words, and so does a network that failed, so that pages show all failures in one way.
//!
//! Checkpoints and what is compared of runs are in [`steering`], looks inside in [`inside`], tokens in [`access`], device checks in [`checks`], what leaves the lab and
//! comes in in [`takeaway`].

pub(crate) mod access;
pub(crate) mod checks;
pub(crate) mod inside;
pub(crate) mod steering;
pub(crate) mod takeaway;

use std::cell::Cell;

use leptos::prelude::{RwSignal, Set};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortSignal, File, FormData, Headers, ReadableStreamDefaultReader, RequestInit, Response, XmlHttpRequest,
};
use wire::complete::{CompleteAsk, CompleteLine};
use wire::corpus::{CatalogueEntry, CorpusInfo, DatasetInfo, Job};
use wire::event::EventRecord;
use wire::live::LabState;
use wire::series::{Axis, SeriesWindow};
use wire::spec::Tokenizer;
use wire::{ApiErrorBody, Command, CorpusId, RunId, RunSpec, RunSummary, RunView, encode};

/// Longer than the server waits for a worker, so that the server's answer comes first.
const ANSWER_WITHIN_MS: u32 = 45_000;

/// What was refused or failed, in the server's words or the network's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiFailure {
    /// HTTP status; 0 where no answer came.
    pub(crate) status: u16,
    /// What, which field, and the way out.
    pub(crate) body: ApiErrorBody,
}

impl ApiFailure {
    fn new(status: u16, code: &str, message: impl Into<String>, hint: &str) -> Self {
        let body = ApiErrorBody { code: code.into(), message: message.into(), field: None, hint: Some(hint.into()) };
        Self { status, body }
    }

    fn unreachable() -> Self {
        Self::new(0, "unreachable", "The lab did not answer.", "Is the server running, and this machine connected?")
    }

    fn unreadable(reason: impl ToString) -> Self {
        Self::new(
            0,
            "unreadable",
            format!("The lab's answer was not understood: {}", reason.to_string()),
            "Reload the page; it may be older than the server.",
        )
    }

    /// The message and the way out, as one line.
    pub(crate) fn sentence(&self) -> String {
        match &self.body.hint {
            Some(hint) => format!("{} ({hint})", self.body.message),
            None => self.body.message.clone(),
        }
    }
}

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Me {
    /// Name on their token.
    pub(crate) name: String,
    /// `view`, `steer` or `admin`.
    pub(crate) role: String,
}

impl Me {
    /// May start, steer and delete.
    pub(crate) fn can_steer(&self) -> bool {
        self.role == "steer" || self.role == "admin"
    }

    /// May make and revoke tokens.
    pub(crate) fn is_admin(&self) -> bool {
        self.role == "admin"
    }
}

/// What may be changed about a run's entry; what is left out stays.
#[derive(Debug, Default, Serialize)]
pub(crate) struct RunChange {
    /// Name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Put away, or back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) archived: Option<bool>,
    /// Place in its device's queue, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queue_place: Option<u32>,
    /// Higher goes first in the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<i32>,
}

/// What became of an upload: a text, or a job that is still making one.
#[derive(Debug, Clone)]
pub(crate) enum Intake {
    /// It is there.
    Text(Box<CorpusInfo>),
    /// It is on its way.
    Job(Job),
}

/// A part of curves to ask for.
#[derive(Debug, Clone)]
pub(crate) struct SeriesAsk {
    /// Names of the series.
    pub(crate) names: Vec<String>,
    /// The x axis.
    pub(crate) axis: Axis,
    /// From here on the axis; from its start unless told.
    pub(crate) from: Option<f64>,
    /// To here; to its end unless told.
    pub(crate) to: Option<f64>,
    /// Buckets at most.
    pub(crate) points: u32,
}

thread_local! {
    // The page has one thread; a 401 anywhere raises this flag, and the shell shows the sign-in page.
    static SIGNED_OUT: Cell<Option<RwSignal<bool>>> = const { Cell::new(None) };
}

/// Raises `flag` whenever the server says that this browser is not signed in.
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

/// The lab as it stands.
pub(crate) async fn lab() -> Result<LabState, ApiFailure> {
    get("/lab").await
}

/// Asks for a run.
pub(crate) async fn create_run(spec: &RunSpec) -> Result<RunView, ApiFailure> {
    send("POST", "/runs", Some(spec)).await
}

/// A whole run.
pub(crate) async fn run(run: &RunId) -> Result<RunView, ApiFailure> {
    get(&format!("/runs/{run}")).await
}

/// Renames a run, puts it away, or moves it in its queue.
pub(crate) async fn change_run(run: &RunId, change: &RunChange) -> Result<RunSummary, ApiFailure> {
    send("PATCH", &format!("/runs/{run}"), Some(change)).await
}

/// Deletes a run; it can be brought back for a while.
pub(crate) async fn delete_run(run: &RunId) -> Result<RunSummary, ApiFailure> {
    send::<(), _>("DELETE", &format!("/runs/{run}"), None).await
}

/// Brings a deleted run back.
pub(crate) async fn restore_run(run: &RunId) -> Result<RunSummary, ApiFailure> {
    send::<(), _>("POST", &format!("/runs/{run}/restore"), None).await
}

/// Asks something of a run; answers with the event once it has taken effect. With a twin, a fork of the run as it was goes on beside it.
pub(crate) async fn command(run: &RunId, command: &Command, with_twin: bool) -> Result<EventRecord, ApiFailure> {
    let twin = if with_twin { "?twin=true" } else { "" };
    send("POST", &format!("/runs/{run}/commands{twin}"), Some(command)).await
}

/// The journal after line `since`, at most `limit` lines.
pub(crate) async fn events(run: &RunId, since: u64, limit: u32) -> Result<Vec<EventRecord>, ApiFailure> {
    get(&format!("/runs/{run}/events?since={since}&limit={limit}")).await
}

/// The names of a run's series.
pub(crate) async fn series_names(run: &RunId) -> Result<Vec<String>, ApiFailure> {
    get(&format!("/runs/{run}/series/names")).await
}

/// Curves between two places, in postcard since there may be thousands of buckets.
pub(crate) async fn series(run: &RunId, ask: &SeriesAsk) -> Result<Vec<SeriesWindow>, ApiFailure> {
    let axis = match ask.axis {
        Axis::Step => "step",
        Axis::Tokens => "tokens",
        Axis::Secs => "secs",
        Axis::Flops => "flops",
    };
    let bound = |key, place: Option<f64>| place.map(|place| format!("&{key}={place}")).unwrap_or_default();
    let names = escape(&ask.names.join(","));
    let path = format!(
        "/runs/{run}/series?names={names}&x={axis}&points={}{}{}",
        ask.points,
        bound("from", ask.from),
        bound("to", ask.to)
    );
    packed("GET", &path, None).await
}

/// An answer in postcard.
async fn packed<T: DeserializeOwned>(method: &str, path: &str, json: Option<&str>) -> Result<T, ApiFailure> {
    let response = fetch(method, path, json, "application/x-postcard").await?;
    let buffer = JsFuture::from(response.array_buffer().map_err(|_| ApiFailure::unreachable())?)
        .await
        .map_err(|_| ApiFailure::unreachable())?;
    encode::from_bytes(&js_sys::Uint8Array::new(&buffer).to_vec()).map_err(ApiFailure::unreadable)
}

/// Completes a prompt and gives each line as it comes; ends early, without a failure, where `stop` is raised or nobody takes lines.
pub(crate) async fn complete(
    ask: &CompleteAsk,
    stop: &AbortSignal,
    mut take: impl FnMut(CompleteLine) -> bool,
) -> Result<(), ApiFailure> {
    let body = serde_json::to_string(ask).map_err(ApiFailure::unreadable)?;
    let answered = fetch_until("POST", "/complete", Some(&body), "application/x-ndjson", stop).await;
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

/// The lab's texts.
pub(crate) async fn corpora() -> Result<Vec<CorpusInfo>, ApiFailure> {
    get("/corpora").await
}

/// Deletes a text and what was made of it.
pub(crate) async fn delete_corpus(corpus: &CorpusId) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/corpora/{corpus}")).await
}

/// Cuts a text into tokens.
pub(crate) async fn make_dataset(corpus: &CorpusId, tokenizer: Tokenizer) -> Result<Cut, ApiFailure> {
    let text = text_of(
        &send_for("POST", &format!("/corpora/{corpus}/datasets"), Some(&serde_json::json!({ "tokenizer": tokenizer })))
            .await?,
    )
    .await?;
    match serde_json::from_str::<DatasetInfo>(&text) {
        Ok(made) => Ok(Cut::Made(Box::new(made))),
        Err(_) => read(&text).map(Cut::Job),
    }
}

/// What became of cutting a text.
#[derive(Debug, Clone)]
pub(crate) enum Cut {
    /// It is done.
    Made(Box<DatasetInfo>),
    /// It is on its way.
    Job(Job),
}

/// Texts that can be fetched.
pub(crate) async fn catalogue() -> Result<Vec<CatalogueEntry>, ApiFailure> {
    get("/catalogue").await
}

/// Fetches a text of the catalogue.
pub(crate) async fn fetch_entry(corpus: &CorpusId) -> Result<Job, ApiFailure> {
    send::<(), _>("POST", &format!("/catalogue/{corpus}"), None).await
}

/// Uploads files as one text, telling `sent` the share that has gone, 0 to 1. Fetch cannot tell, so this is the older way.
pub(crate) async fn upload(
    name: &str,
    field: Option<&str>,
    files: &[(String, File)],
    sent: impl Fn(f64) + 'static,
) -> Result<Intake, ApiFailure> {
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
        Ok(info) => Ok(Intake::Text(Box::new(info))),
        Err(_) => read(&text).map(Intake::Job),
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
    // Settles when the exchange ends, in whichever way; the status then says how.
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
    fetch_until(method, path, json, accept, &AbortSignal::timeout_with_u32(ANSWER_WITHIN_MS)).await
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
    let asked = leptos::prelude::window().fetch_with_str_and_init(&format!("/api/v1{path}"), &options);
    let answered = JsFuture::from(asked).await.map_err(|_| ApiFailure::unreachable())?;
    let response: Response = answered.dyn_into().map_err(|_| ApiFailure::unreachable())?;
    if response.ok() {
        return Ok(response);
    }
    let text = text_of(&response).await.unwrap_or_default();
    Err(refusal(response.status(), &text))
}

/// A refusal in the server's words; a proxy between may have said something else.
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
            format!("The lab answered with status {status}."),
            "Try again; the server's log may say more.",
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
