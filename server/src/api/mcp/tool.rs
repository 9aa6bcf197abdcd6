//! A tool: its description for a model, the schemas of its arguments and answer, and its function.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use rmcp::model::{self, JsonObject, ToolAnnotations};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::{Answer, Field, schema};
use super::caller::Caller;
use crate::api::extract::read;
use crate::error::ApiError;

/// The field that the answer of a tool that acts has for a token that only proposes.
const PROPOSED: Field =
    ("proposal", "If your token only proposes: the number of the proposal; get_proposal describes the other fields.");

type Call = dyn Fn(Caller, JsonObject) -> BoxFuture<'static, Result<Answer, ApiError>> + Send + Sync;

/// A tool of the lab.
pub struct Tool {
    /// As clients see it.
    pub definition: model::Tool,
    /// Whether it changes something of the lab.
    acts: bool,
    call: Box<Call>,
}

impl Tool {
    /// A tool that changes nothing.
    pub fn reading<A, F, R>(name: &'static str, title: &str, about: &'static str, call: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(Caller, A) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Answer, ApiError>> + Send + 'static,
    {
        Self::new(name, title, about, ToolAnnotations::new().read_only(true).open_world(false), call)
    }

    /// A tool that changes something. A call that is repeated with the same key is carried out once.
    pub fn acting<A, F, R>(name: &'static str, title: &str, about: &'static str, call: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(Caller, A) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Answer, ApiError>> + Send + 'static,
    {
        // No tool deletes anything; these end or abandon training that a person may want to continue.
        let interrupts = matches!(name, "stop" | "rollback" | "steer_loop");
        let hints = ToolAnnotations::new().read_only(false).destructive(interrupts).idempotent(true).open_world(false);
        Self { acts: true, ..Self::new(name, title, about, hints, call) }
    }

    /// A tool that changes something only of the agent itself.
    pub fn changing<A, F, R>(name: &'static str, title: &str, about: &'static str, call: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(Caller, A) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Answer, ApiError>> + Send + 'static,
    {
        let hints = ToolAnnotations::new().read_only(false).destructive(false).idempotent(true).open_world(false);
        Self::new(name, title, about, hints, call)
    }

    fn new<A, F, R>(name: &'static str, title: &str, about: &'static str, hints: ToolAnnotations, call: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(Caller, A) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Answer, ApiError>> + Send + 'static,
    {
        let definition = model::Tool::new(name, about, JsonObject::default()).with_input_schema::<A>();
        let definition = definition.with_title(title).with_raw_output_schema(Arc::new(schema(&[]))).annotate(hints);
        let call = move |caller, arguments| match arguments_of(arguments) {
            Ok(arguments) => call(caller, arguments).boxed(),
            Err(error) => ready(Err(error)).boxed(),
        };
        Self { definition, acts: false, call: Box::new(call) }
    }

    /// Whether it changes something of the lab.
    pub fn is_acting(&self) -> bool {
        self.acts
    }

    /// Whether a call with these arguments changes something of the lab.
    pub fn acts(&self, arguments: &JsonObject) -> bool {
        self.acts && !arguments.get("dry_run").and_then(Value::as_bool).unwrap_or(false)
    }

    /// Describes the fields of its data. A tool that acts may also answer with a proposal.
    #[must_use]
    pub fn returns(mut self, fields: &[Field]) -> Self {
        let proposed: &[Field] = if self.acts { &[PROPOSED] } else { &[] };
        let schema = schema(&[fields, proposed].concat());
        self.definition = self.definition.with_raw_output_schema(Arc::new(schema));
        self
    }

    /// Calls the tool.
    pub fn call(&self, caller: Caller, arguments: JsonObject) -> BoxFuture<'static, Result<Answer, ApiError>> {
        (self.call)(caller, arguments)
    }
}

fn arguments_of<A: DeserializeOwned>(arguments: JsonObject) -> Result<A, ApiError> {
    let text = serde_json::to_vec(&arguments).unwrap_or_default();
    read(&text).map_err(|mut error| {
        "arguments_invalid".clone_into(&mut error.body.code);
        error.hint("tools/list describes the arguments of every tool")
    })
}
