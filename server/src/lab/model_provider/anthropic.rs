//! The Messages API of Anthropic: the body of a request, and the events of its stream.

use serde_json::{Value, json};

use super::request::{Added, Call, MAX_TOKENS, Message, Reply, Request, ToolResult};

/// Version of the API.
pub const VERSION: &str = "2023-06-01";

/// The body of a request.
pub fn body(request: &Request, model: &str) -> Value {
    let tool = |tool: &super::request::ToolSpec| json!({ "name": tool.name, "description": tool.about, "input_schema": tool.schema });
    json!({
        "model": model,
        "max_tokens": MAX_TOKENS,
        "stream": true,
        "system": request.system,
        "tools": request.tools.iter().map(tool).collect::<Vec<_>>(),
        "messages": request.messages.iter().map(message).collect::<Vec<_>>(),
    })
}

fn message(message: &Message) -> Value {
    match message {
        Message::Person(text) => json!({ "role": "user", "content": [{ "type": "text", "text": text }] }),
        Message::Model { text, calls } => {
            // An empty text is refused.
            let text = (!text.trim().is_empty()).then(|| json!({ "type": "text", "text": text }));
            let content: Vec<Value> = text.into_iter().chain(calls.iter().map(call)).collect();
            json!({ "role": "assistant", "content": content })
        }
        Message::Results(results) => {
            json!({ "role": "user", "content": results.iter().map(result).collect::<Vec<_>>() })
        }
    }
}

fn call(call: &Call) -> Value {
    json!({ "type": "tool_use", "id": call.id, "name": call.tool, "input": call.object() })
}

fn result(result: &ToolResult) -> Value {
    let mut content = vec![json!({ "type": "text", "text": result.text })];
    content.extend(result.image.as_ref().map(
        |image| json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": image } }),
    ));
    json!({ "type": "tool_result", "tool_use_id": result.id, "is_error": result.is_error, "content": content })
}

/// Adds an event of the stream to the reply.
pub fn take(reply: &mut Reply, event: &Value) -> Added {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let count = |pointer: &str| event.pointer(pointer).and_then(Value::as_u64);
    match text("/type") {
        "message_start" => {
            let kinds = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
            reply.input_tokens = kinds.iter().filter_map(|kind| count(&format!("/message/usage/{kind}"))).sum();
        }
        "content_block_start" if text("/content_block/type") == "tool_use" => {
            let next = reply.calls.len();
            if let Some(call) = reply.call_at(next) {
                (call.id, call.tool) = (text("/content_block/id").to_owned(), text("/content_block/name").to_owned());
            }
        }
        "content_block_start" => return reply.add_text(text("/content_block/text")),
        "content_block_delta" => match text("/delta/type") {
            "text_delta" => return reply.add_text(text("/delta/text")),
            "input_json_delta" => {
                // Blocks follow each other.
                if let Some(call) = reply.calls.last_mut() {
                    call.arguments.push_str(text("/delta/partial_json"));
                }
            }
            _ => {}
        },
        "message_delta" => {
            reply.output_tokens = count("/usage/output_tokens").unwrap_or(reply.output_tokens);
            if !text("/delta/stop_reason").is_empty() {
                reply.ended = Some(text("/delta/stop_reason").to_owned());
            }
        }
        "error" => {
            let is_temporary = ["overloaded_error", "rate_limit_error", "api_error"].contains(&text("/error/type"));
            return Added::Error { message: text("/error/message").to_owned(), is_temporary };
        }
        _ => {}
    }
    Added::Nothing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_becomes_text_calls_and_usage() {
        let mut reply = Reply::default();
        let events = [
            json!({ "type": "message_start", "message": { "usage": { "input_tokens": 12, "cache_read_input_tokens": 3 } } }),
            json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
            json!({ "type": "ping" }),
            json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "Let me " } }),
            json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "look." } }),
            json!({ "type": "content_block_start", "index": 1, "content_block": { "type": "tool_use", "id": "t1", "name": "get_run", "input": {} } }),
            json!({ "type": "content_block_delta", "index": 1, "delta": { "type": "input_json_delta", "partial_json": "{\"run\":" } }),
            json!({ "type": "content_block_delta", "index": 1, "delta": { "type": "input_json_delta", "partial_json": "\"a\"}" } }),
            json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" }, "usage": { "output_tokens": 9 } }),
            json!({ "type": "message_stop" }),
        ];
        let added: Vec<Added> = events.iter().map(|event| take(&mut reply, event)).collect();
        assert_eq!(added[3], Added::Text("Let me ".into()));
        let call = Call { id: "t1".into(), tool: "get_run".into(), arguments: "{\"run\":\"a\"}".into() };
        let expected = Reply {
            text: "Let me look.".into(),
            calls: vec![call],
            input_tokens: 15,
            output_tokens: 9,
            ended: Some("tool_use".into()),
        };
        assert_eq!(reply, expected);
        let error = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
        assert_eq!(take(&mut reply, &error), Added::Error { message: "Overloaded".into(), is_temporary: true });
    }
}
