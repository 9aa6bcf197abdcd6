//! A tool: its description for a model, the schemas of its arguments and answer, and its function.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use rmcp::model::{self, JsonObject, ToolAnnotations};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::answer::{Answer, Field, schema};
use super::caller::Caller;
use crate::api::extract::read;
use crate::error::ApiError;

type Call = dyn Fn(Caller, JsonObject) -> BoxFuture<'static, Result<Answer, ApiError>> + Send + Sync;

/// A tool of the lab.
pub struct Tool {
    /// As clients see it.
    pub definition: model::Tool,
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
        // No tool deletes anything; these two end or abandon training that a person may want to continue.
        let interrupts = matches!(name, "stop" | "rollback");
        let hints = ToolAnnotations::new().read_only(false).destructive(interrupts).idempotent(true).open_world(false);
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
        Self { definition, call: Box::new(call) }
    }

    /// Describes the fields of its data.
    #[must_use]
    pub fn returns(mut self, fields: &[Field]) -> Self {
        self.definition = self.definition.with_raw_output_schema(Arc::new(schema(fields)));
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
