//! The tools of agents in the reference: description and arguments of each, from the schemas that clients get.

use std::fmt::Write as _;

use serde_json::Value;

use super::cell;
use crate::api::mcp::answer::MAX_TOKENS;
use crate::api::mcp::tools;

/// Arguments of all tools that change something; the reference describes them once.
const OF_ACTS: [&str; 4] = ["dry_run", "expected_effect", "idempotency_key", "reason"];
/// Maximum number of characters of a line of a description.
const WIDTH: usize = 120;

/// Writes the section of the tools.
pub(super) fn write(text: &mut String) {
    let _ = writeln!(
        text,
        "\n## Tools of agents\n\n`/mcp` implements the Model Context Protocol (streamable HTTP), and `kindling mcp` forwards its messages \
         over standard input and output.\nAn answer has at most {MAX_TOKENS} tokens of 4 bytes, apart from an image. Tools marked *acts* \
         change something; they also take\nthe arguments of the first table."
    );
    if let Some(tool) = tools::find("pause") {
        header(text);
        arguments(text, &Value::Object((*tool.definition.input_schema).clone()), |name| OF_ACTS.contains(&name));
    }
    for tool in tools::all() {
        let definition = &tool.definition;
        let schema = Value::Object((*definition.input_schema).clone());
        let acts = schema["properties"].get(OF_ACTS[0]).is_some();
        let about = definition.description.as_deref().unwrap_or_default();
        let about = lines(&format!("{}{about}", if acts { "*acts*: " } else { "" }));
        let _ = writeln!(text, "\n### {}\n\n{about}", definition.name);
        let of_tool = |name: &str| !acts || !OF_ACTS.contains(&name);
        if schema["properties"].as_object().is_some_and(|fields| fields.keys().any(|name| of_tool(name))) {
            header(text);
            arguments(text, &schema, of_tool);
        }
    }
}

/// A paragraph in lines.
fn lines(paragraph: &str) -> String {
    let (mut text, mut width) = (String::new(), 0);
    for word in paragraph.split_whitespace() {
        let length = word.chars().count();
        let separator = match width {
            0 => "",
            _ if width + 1 + length > WIDTH => "\n",
            _ => " ",
        };
        width = if separator == " " { width + 1 + length } else { length };
        text.push_str(separator);
        text.push_str(word);
    }
    text
}

fn header(text: &mut String) {
    text.push_str("\n| argument | values | meaning |\n| --- | --- | --- |\n");
}

/// The rows of some arguments.
fn arguments(text: &mut String, schema: &Value, is_shown: impl Fn(&str) -> bool) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, argument) in schema["properties"].as_object().into_iter().flatten().filter(|(name, _)| is_shown(name)) {
        let mark = if required.contains(&name.as_str()) { "; required" } else { "" };
        let meaning = argument["description"].as_str().unwrap_or_default();
        let _ = writeln!(text, "| `{name}` | {}{mark} | {} |", cell(&values(argument, schema)), cell(meaning));
    }
}

/// The values that a schema accepts, in words.
fn values(schema: &Value, root: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return root.pointer(reference.trim_start_matches('#')).map_or_else(String::new, |found| values(found, root));
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    }
    let parts = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema[*key].as_array());
    if let Some(parts) = parts {
        let known = parts.iter().filter(|part| part["type"] != "null");
        let words = known.map(|part| part["const"].as_str().map_or_else(|| values(part, root), str::to_owned));
        return words.collect::<Vec<_>>().join(", ");
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    match kinds.first() {
        Some(&"array") => format!("list of {}", values(&schema["items"], root)),
        Some(&"string") => "text".to_owned(),
        Some(&"integer") => "whole number".to_owned(),
        Some(&"boolean") => "true or false".to_owned(),
        Some(kind) => (*kind).to_owned(),
        None => "any".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_in_words() {
        let root = json!({ "$defs": { "Mode": { "type": "string", "enum": ["summary", "exact"] },
            "Axis": { "oneOf": [{ "const": "step" }, { "const": "tokens" }] } } });
        for (schema, expected) in [
            (json!({ "type": ["string", "null"] }), "text"),
            (
                json!({ "type": "array", "items": { "type": "array", "items": { "type": "integer" } } }),
                "list of list of whole number",
            ),
            (json!({ "$ref": "#/$defs/Mode" }), "summary, exact"),
            (json!({ "anyOf": [{ "$ref": "#/$defs/Axis" }, { "type": "null" }] }), "step, tokens"),
            (json!({ "type": "object" }), "object"),
            (json!({}), "any"),
        ] {
            assert_eq!(values(&schema, &root), expected, "{schema}");
        }
    }

    #[test]
    fn every_tool_has_its_section() {
        let mut text = String::new();
        write(&mut text);
        for tool in tools::all() {
            assert!(text.contains(&format!("\n### {}\n", tool.definition.name)), "{}", tool.definition.name);
        }
        assert!(text.contains("| `mode` | summary, exact |"), "{text}");
        assert!(text.contains("*acts*: Pauses a run"), "{text}");
        assert_eq!(text.matches("| `idempotency_key` |").count(), 1, "{text}");
    }
}
