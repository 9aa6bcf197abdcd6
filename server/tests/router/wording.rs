//! No phrase that docs/GLOSSARY.md bans stands in the API document or in what `--help` prints. The page's texts and the
//! documents are checked by `cargo xtask lint`, which needs no built program.

use axum::body::Body;
use clap::CommandFactory;
use serde_json::Value;
use server::cli::Cli;

use crate::lab::{Lab, ask};

const GLOSSARY: &str = include_str!("../../../docs/GLOSSARY.md");

/// The phrases that are banned, as [`plain`] words.
fn banned() -> Vec<String> {
    let (_, list) = GLOSSARY.split_once("## Banned phrases").unwrap();
    list.lines().filter_map(|line| line.strip_prefix("- ")).map(plain).collect()
}

/// A text as its words in lower case with one space around each.
fn plain(text: &str) -> String {
    let text = text.to_lowercase();
    let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '\'').filter(|word| !word.is_empty());
    format!(" {} ", words.collect::<Vec<_>>().join(" "))
}

/// Banned phrases in these texts, each with the text.
fn found<'a>(texts: impl Iterator<Item = (String, &'a str)>) -> Vec<String> {
    let banned = banned();
    assert!(banned.len() > 20, "the list is read: {banned:?}");
    let in_text = |(place, text): (String, &str)| {
        let plain = plain(text);
        let here: Vec<String> = banned.iter().filter(|phrase| plain.contains(phrase.as_str())).cloned().collect();
        here.into_iter().map(|phrase| format!("{place}: \"{}\" in: {text}", phrase.trim())).collect::<Vec<_>>()
    };
    texts.flat_map(in_text).collect()
}

/// Every text and every name of a JSON document, with the path that leads to it.
fn texts<'a>(place: &str, value: &'a Value, all: &mut Vec<(String, &'a str)>) {
    match value {
        Value::String(text) => all.push((place.to_owned(), text)),
        Value::Array(items) => items.iter().for_each(|item| texts(place, item, all)),
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            let inner = format!("{place}/{name}");
            all.push((inner.clone(), name));
            texts(&inner, field, all);
        }),
        _ => {}
    }
}

#[tokio::test]
async fn the_api_document_speaks_the_terms_of_the_field() {
    let lab = Lab::open().await;
    let answer = lab.send(ask("GET", "/api/v1/openapi.json", None).body(Body::empty()).unwrap()).await;
    let document = answer.json();
    let mut all = vec![];
    texts("", &document, &mut all);
    assert!(all.len() > 500, "{} texts", all.len());
    let found = found(all.into_iter());
    assert!(found.is_empty(), "{} phrases of the API document are banned:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_help_speaks_the_terms_of_the_field() {
    let mut program = Cli::command();
    let mut pages = vec![("kindling help".to_owned(), program.render_long_help().to_string())];
    for subcommand in program.get_subcommands_mut().filter(|subcommand| !subcommand.is_hide_set()) {
        pages.push((format!("kindling help {}", subcommand.get_name()), subcommand.render_long_help().to_string()));
    }
    assert!(pages.len() > 20, "{} pages of help", pages.len());
    let found = found(pages.iter().map(|(name, page)| (name.clone(), page.as_str())));
    assert!(found.is_empty(), "{} phrases of the help are banned:\n{}", found.len(), found.join("\n"));
}
