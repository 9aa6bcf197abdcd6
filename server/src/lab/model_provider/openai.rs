//! Chat completions as OpenAI defines them: the body of a request, and the chunks of its stream. llama.cpp, vLLM and Ollama serve them.

use serde_json::{Value, json};

use super::request::{Added, Call, MAX_TOKENS, Message, Reply, Request, ToolResult};

/// The data of the last event.
pub const END: &str = "[DONE]";

/// The body of a request.
pub fn body(request: &Request, model: &str) -> Value {
    let tool = |tool: &super::request::ToolSpec| {
        let function = json!({ "name": tool.name, "description": tool.about, "parameters": tool.schema });
        json!({ "type": "function", "function": function })
    };
    let system = json!({ "role": "system", "content": request.system });
    let messages: Vec<Value> = [system].into_iter().chain(request.messages.iter().flat_map(messages)).collect();
    json!({
        "model": model,
        "max_tokens": MAX_TOKENS,
        "stream": true,
        "stream_options": { "include_usage": true },
        "tools": request.tools.iter().map(tool).collect::<Vec<_>>(),
        "messages": messages,
    })
}

fn messages(message: &Message) -> Vec<Value> {
    match message {
        Message::Person(text) => vec![json!({ "role": "user", "content": text })],
        Message::Model { text, calls } if calls.is_empty() => vec![json!({ "role": "assistant", "content": text })],
        Message::Model { text, calls } => {
            let calls: Vec<Value> = calls.iter().map(call).collect();
            vec![json!({ "role": "assistant", "content": text, "tool_calls": calls })]
        }
        Message::Results(results) => results.iter().map(result).chain(images(results)).collect(),
    }
}

fn call(call: &Call) -> Value {
    let function = json!({ "name": call.tool, "arguments": Value::Object(call.object()).to_string() });
    json!({ "type": "function", "id": call.id, "function": function })
}

fn result(result: &ToolResult) -> Value {
    json!({ "role": "tool", "tool_call_id": result.id, "content": result.text })
}

/// The images of results: the answer of a tool has only text here, so they follow as a message.
fn images(results: &[ToolResult]) -> Option<Value> {
    let image = |image: &String| json!({ "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{image}") } });
    let images: Vec<Value> = results.iter().filter_map(|result| result.image.as_ref()).map(image).collect();
    if images.is_empty() {
        return None;
    }
    let label = json!({ "type": "text", "text": "The images of the answers above:" });
    let content = [vec![label], images].concat();
    Some(json!({ "role": "user", "content": content }))
}

/// Adds a chunk of the stream to the reply.
pub fn take(reply: &mut Reply, chunk: &Value) -> Added {
    if let Some(error) = chunk.get("error") {
        let message = error.get("message").and_then(Value::as_str).unwrap_or("no message").to_owned();
        return Added::Error { message, is_temporary: false };
    }
    if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
        let count = |name: &str| usage.get(name).and_then(Value::as_u64);
        reply.input_tokens = count("prompt_tokens").unwrap_or(reply.input_tokens);
        reply.output_tokens = count("completion_tokens").unwrap_or(reply.output_tokens);
    }
    let Some(choice) = chunk.pointer("/choices/0") else { return Added::Nothing };
    if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
        reply.ended = Some(reason.to_owned());
    }
    for (place, delta) in
        choice.pointer("/delta/tool_calls").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        add_call(reply, place, delta);
    }
    reply.add_text(choice.pointer("/delta/content").and_then(Value::as_str).unwrap_or_default())
}

/// Adds a part of a call. Some servers leave the index out, and send each call whole.
fn add_call(reply: &mut Reply, place: usize, delta: &Value) {
    let index = delta.get("index").and_then(Value::as_u64).map_or(place, |index| index as usize);
    let Some(call) = reply.call_at(index) else { return };
    let text = |pointer: &str| delta.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if !text("/id").is_empty() {
        text("/id").clone_into(&mut call.id);
    }
    call.tool.push_str(text("/function/name"));
    call.arguments.push_str(text("/function/arguments"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_becomes_text_calls_and_usage() {
        let mut reply = Reply::default();
        let delta = |delta: Value| json!({ "choices": [{ "delta": delta }] });
        let part = |index: u32, id: Option<&str>, name: Option<&str>, arguments: &str| {
            let function = json!({ "name": name, "arguments": arguments });
            delta(json!({ "tool_calls": [{ "index": index, "id": id, "function": function }] }))
        };
        for chunk in [
            delta(json!({ "role": "assistant", "content": "" })),
            delta(json!({ "content": "Two" })),
            part(0, Some("c0"), Some("get_run"), ""),
            part(0, None, None, "{\"run\":"),
            part(0, None, None, "\"a\"}"),
            part(1, Some("c1"), Some("lab_status"), "{}"),
            json!({ "choices": [{ "delta": {}, "finish_reason": "tool_calls" }] }),
            json!({ "choices": [], "usage": { "prompt_tokens": 7, "completion_tokens": 5 } }),
        ] {
            take(&mut reply, &chunk);
        }
        let call = |id: &str, tool: &str, arguments: &str| Call {
            id: id.into(),
            tool: tool.into(),
            arguments: arguments.into(),
        };
        let expected = Reply {
            text: "Two".into(),
            calls: vec![call("c0", "get_run", "{\"run\":\"a\"}"), call("c1", "lab_status", "{}")],
            input_tokens: 7,
            output_tokens: 5,
            ended: Some("tool_calls".into()),
        };
        assert_eq!(reply, expected);
    }

    #[test]
    fn results_are_messages_of_their_own_and_images_follow_them() {
        let result = |id: &str, image: Option<&str>| ToolResult {
            id: id.into(),
            text: "{}".into(),
            is_error: false,
            image: image.map(str::to_owned),
        };
        let sent = messages(&Message::Results(vec![result("a", Some("AAAA")), result("b", None)]));
        let roles: Vec<&str> = sent.iter().filter_map(|message| message["role"].as_str()).collect();
        assert_eq!(roles, ["tool", "tool", "user"]);
        assert_eq!(sent[2]["content"][1]["image_url"]["url"], "data:image/png;base64,AAAA");
    }
}
