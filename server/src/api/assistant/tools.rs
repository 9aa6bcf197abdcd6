//! The tools that the model behind the assistant may call: those of agents, called with the credential of the person who asks. A tool that
//! changes something is called as a dry run first, and carried out when the person confirms it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rmcp::model::JsonObject;
use serde_json::{Value, json};
use wire::assistant::ToolInfo;

use crate::api::mcp::answer::refusal;
use crate::api::mcp::caller::Caller;
use crate::api::mcp::tool::Tool;
use crate::api::mcp::tools;
use crate::error::ApiError;
use crate::lab::model_provider::request::ToolSpec;

/// Arguments of acts that the server sets.
const OWN: [&str; 4] = ["conversation", "dry_run", "idempotency_key", "model"];
/// Largest image, bytes.
const IMAGE_BYTES: usize = 1_000_000;

/// The outcome of a call.
pub struct Outcome {
    /// JSON.
    pub text: String,
    pub is_error: bool,
    /// PNG in base64.
    pub image: Option<String>,
}

/// The arguments of an act that the server sets.
pub struct ActCall {
    pub key: String,
    pub is_dry: bool,
    /// Name of the model and id of the conversation, for the journal.
    pub model: Option<String>,
    pub conversation: i64,
}

/// All tools by name and title, for people.
pub fn infos() -> Vec<ToolInfo> {
    let info = |tool: &Tool| ToolInfo {
        name: tool.definition.name.to_string(),
        title: tool.definition.title.clone().unwrap_or_default(),
        acts: tool.is_acting(),
    };
    tools::all().iter().map(info).collect()
}

/// The tools as the model sees them.
pub fn specs() -> Vec<ToolSpec> {
    tools::all().iter().map(spec).collect()
}

fn spec(tool: &Tool) -> ToolSpec {
    let definition = &tool.definition;
    let mut schema = JsonObject::clone(&definition.input_schema);
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !OWN.contains(&name.as_str()));
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !name.as_str().is_some_and(|name| OWN.contains(&name)));
    }
    let about = definition.description.as_deref().unwrap_or_default().to_owned();
    ToolSpec { name: definition.name.to_string(), about, schema: Value::Object(schema) }
}

/// Whether a tool of this name changes something; unknown ones do nothing.
pub fn is_act(name: &str) -> bool {
    tools::find(name).is_some_and(Tool::is_acting)
}

/// Calls a tool with arguments as the model wrote them.
pub async fn call(caller: &Caller, name: &str, arguments: &str, act: Option<ActCall>) -> Outcome {
    let Some(tool) = tools::find(name) else {
        let error = ApiError::not_found(format!("there is no tool {name}")).hint("call one of the listed tools");
        return failed(&error);
    };
    let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
    let mut object: JsonObject = match serde_json::from_str(arguments) {
        Ok(object) => object,
        Err(error) => {
            let message = format!("the arguments are not a JSON object: {error}");
            return failed(&ApiError::invalid("arguments_invalid", message).hint("call the tool again with an object"));
        }
    };
    if let Some(ActCall { key, is_dry, model, conversation }) = act {
        object.insert("idempotency_key".into(), key.into());
        object.insert("dry_run".into(), is_dry.into());
        object.insert("model".into(), model.into());
        object.insert("conversation".into(), conversation.to_string().into());
    }
    match tool.call(caller.clone(), object).await {
        Ok(mut answer) => {
            let image = answer.image.take().filter(|image| image.len() <= IMAGE_BYTES);
            let text = answer.into_result().structured_content.unwrap_or_default().to_string();
            Outcome { text, is_error: false, image: image.map(|image| BASE64_STANDARD.encode(image)) }
        }
        Err(error) => failed(&error),
    }
}

/// The outcome of a call that was refused.
pub fn failed(error: &ApiError) -> Outcome {
    let text = refusal(error).structured_content.unwrap_or_else(|| json!({})).to_string();
    Outcome { text, is_error: true, image: None }
}
