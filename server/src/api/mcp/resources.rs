//! Resources, which a person can add to a conversation by their URIs. Those of the lab are answers of tools, with the same delimiters and the
//! same maximum size; the rules and the glossary are texts of the program.

use std::fmt::Write;

use percent_encoding::percent_decode_str;
use research::rules::{RULES, Rule};
use rmcp::model::{ErrorData, JsonObject, ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::{Value, json};

use super::answer::{error_in_words, short};
use super::caller::{Caller, encoded};
use super::tools;
use crate::error::ApiError;

/// Beginning of all URIs.
const SCHEME: &str = "kindling://";
const RULES_URI: &str = "kindling://rules";
const GLOSSARY_URI: &str = "kindling://glossary";
/// The glossary of the program.
const GLOSSARY: &str = include_str!("../../../../docs/GLOSSARY.md");
/// Maximum number of projects whose resources are listed.
const PROJECTS: usize = 50;
const MARKDOWN: &str = "text/markdown";
const JSON: &str = "application/json";

/// Resources of one kind: parts of their URI, and the tool that answers them.
struct Kind {
    /// Part before the name, and after it.
    uri: (&'static str, &'static str),
    /// Name of the argument, which is the variable of the template.
    argument: &'static str,
    tool: &'static str,
    title: &'static str,
    about: &'static str,
}

const KINDS: [Kind; 4] = [
    Kind {
        uri: ("runs/", ""),
        argument: "run",
        tool: "get_run",
        title: "A run",
        about: "State, plan, hyperparameters, checkpoints and series of a run.",
    },
    Kind {
        uri: ("runs/", "/journal"),
        argument: "run",
        tool: "get_journal",
        title: "Journal of a run",
        about: "The newest events of a run: who changed what, when and why.",
    },
    Kind {
        uri: ("projects/", "/journal"),
        argument: "project",
        tool: "get_journal",
        title: "Research journal of a project",
        about: "The newest hypotheses, verdicts, comparisons, commands, findings and notes of a project.",
    },
    Kind {
        uri: ("projects/", "/report"),
        argument: "project",
        tool: "write_report",
        title: "Report of a project",
        about: "The beginning of the report of a project; write_report returns the rest.",
    },
];

impl Kind {
    /// The name in a URI of this kind.
    fn name_in(&self, uri: &str) -> Option<String> {
        let rest = uri.strip_prefix(SCHEME)?.strip_prefix(self.uri.0)?;
        let name = rest.strip_suffix(self.uri.1).filter(|name| !name.is_empty() && !name.contains('/'))?;
        percent_decode_str(name).decode_utf8().ok().map(Into::into)
    }

    fn uri_of(&self, name: &str) -> String {
        format!("{SCHEME}{}{}{}", self.uri.0, encoded(name), self.uri.1)
    }

    fn template(&self) -> ResourceTemplate {
        let uri = format!("{SCHEME}{}{{{}}}{}", self.uri.0, self.argument, self.uri.1);
        let template = ResourceTemplate::new(uri, format!("{} of {}", self.tool, self.argument));
        template.with_title(self.title).with_description(self.about).with_mime_type(JSON)
    }
}

/// The templates of URIs.
pub fn templates() -> Vec<ResourceTemplate> {
    KINDS.iter().map(Kind::template).collect()
}

/// The rules, the glossary, and journal and report of each project that the agent may see.
///
/// # Errors
/// Those of the list of projects.
pub async fn list(caller: &Caller) -> Result<Vec<Resource>, ApiError> {
    let text = |uri: &str, title: &str, about: &str| {
        Resource::new(uri, title.to_lowercase()).with_title(title).with_description(about).with_mime_type(MARKDOWN)
    };
    let mut all = vec![
        text(RULES_URI, "Rules", "The rules that check every run: what each detects, its formula and its remedies."),
        text(GLOSSARY_URI, "Glossary", "The terms of the lab."),
    ];
    let projects: Vec<Value> = caller.get("/projects").await?;
    for project in projects.iter().filter_map(|project| project["name"].as_str()).take(PROJECTS) {
        // Names of projects are letters, digits and hyphens.
        let of_project = |kind: &Kind| {
            let resource = Resource::new(kind.uri_of(project), format!("{} of {project}", kind.tool));
            resource.with_title(kind.title).with_description(kind.about).with_mime_type(JSON)
        };
        all.extend(KINDS.iter().filter(|kind| kind.argument == "project").map(of_project));
    }
    Ok(all)
}

/// Reads a resource.
///
/// # Errors
/// 404 for an unknown URI; those of the tool.
pub async fn read(caller: Caller, uri: &str) -> Result<ReadResourceResult, ApiError> {
    let (text, kind) = match uri {
        RULES_URI => (rules(), MARKDOWN),
        GLOSSARY_URI => (GLOSSARY.to_owned(), MARKDOWN),
        _ => (answer(caller, uri).await?.to_string(), JSON),
    };
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(kind)]))
}

async fn answer(caller: Caller, uri: &str) -> Result<Value, ApiError> {
    let found = KINDS.iter().find_map(|kind| Some((kind, kind.name_in(uri)?)));
    let found = found.and_then(|(kind, name)| Some((kind, name, tools::find(kind.tool)?)));
    let Some((kind, name, tool)) = found else {
        return Err(ApiError::not_found(format!("{:?} is not the URI of a resource", short(uri, 200)))
            .hint("resources/list and resources/templates/list list them"));
    };
    let arguments = JsonObject::from_iter([(kind.argument.to_owned(), json!(name))]);
    Ok(tool.call(caller, arguments).await?.into_json())
}

/// The rules as Markdown.
fn rules() -> String {
    let mut text = "# Rules that check every run\n".to_owned();
    for rule in RULES.iter().map(Rule::info) {
        // Writing into a string cannot fail.
        let _ = write!(
            text,
            "\n## {} ({})\n{} {}\nFormula: {}\nLevels: {}\nRemedies: {}.\n",
            rule.label,
            rule.id,
            rule.meaning,
            rule.reason,
            rule.formula,
            rule.levels,
            rule.remedies.join("; ")
        );
    }
    text
}

/// The error of a resource in the form of the protocol.
pub fn failure(error: &ApiError) -> ErrorData {
    let shown = error_in_words(error);
    let message = shown["message"].as_str().unwrap_or_default().to_owned();
    match error.status.is_client_error() {
        true => ErrorData::resource_not_found(message, Some(shown)),
        false => ErrorData::internal_error(message, Some(shown)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_one_tool_and_its_argument() {
        let found = |uri: &str| KINDS.iter().find_map(|kind| Some((kind.tool, kind.name_in(uri)?)));
        for (uri, tool, name) in [
            ("kindling://runs/amber-fox", "get_run", "amber-fox"),
            ("kindling://runs/amber-fox/journal", "get_journal", "amber-fox"),
            ("kindling://projects/default/journal", "get_journal", "default"),
            ("kindling://projects/a%2Fb/report", "write_report", "a/b"),
        ] {
            assert_eq!(found(uri), Some((tool, name.to_owned())), "{uri}");
        }
        for uri in ["kindling://runs/", "kindling://runs/a/b", "kindling://moods/a", "file:///etc/passwd", ""] {
            assert_eq!(found(uri), None, "{uri}");
        }
        assert_eq!(KINDS[3].uri_of("a b"), "kindling://projects/a%20b/report");
        assert_eq!(templates()[1].uri_template, "kindling://runs/{run}/journal");
    }

    #[test]
    fn the_rules_are_described_in_words() {
        let text = rules();
        assert!(text.contains("(loss_spike)") && text.contains("Remedies:"), "{text}");
    }
}
