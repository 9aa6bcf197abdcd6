//! Names of runs and datasets, told apart by their id where two are equal. All pages write them in this way.

use figure::number::whole;
use leptos::prelude::*;
use wire::data::corpus::CorpusInfo;
use wire::data::tokenizer::Tokenizer;
use wire::{RunId, RunSummary};

use super::text::isolated;
use crate::net::live::Live;

/// Characters of a name that its id follows; a longer one is cut, so that lists with narrow columns still show the id.
const BEFORE_ID: usize = 24;

/// The present name of a run, and whether it was deleted; its id if the lab no longer has the run. Tracks the state of the lab.
pub(crate) fn run_name(live: Live, run: &RunId) -> String {
    listed(live, run).unwrap_or_else(|| match *live.lab.read() {
        Some(_) if !live.is_partial() => format!("{run} (deleted)"),
        // Not fetched yet.
        _ => run.to_string(),
    })
}

/// As [`run_name`], of a run that the list may not contain yet.
pub(crate) fn name_of(live: Live, run: &RunSummary) -> String {
    listed(live, &run.id).unwrap_or_else(|| isolated(&run.name))
}

/// The run that a tag of runs that differ in the seed only names; `None` for another tag. The server makes these tags.
pub(crate) fn first_of_seeds(tag: &str) -> Option<RunId> {
    tag.strip_prefix("seeds:")?.parse().ok()
}

/// A tag as it is shown: that of runs that differ in the seed only has the name of the first of them.
pub(crate) fn tag_name(live: Live, tag: &str) -> String {
    first_of_seeds(tag).map_or_else(|| isolated(tag), |first| format!("seeds of {}", run_name(live, &first)))
}

/// The name of a tokenizer on the New run page, and its id.
pub(crate) fn tokenizer_name(tokenizer: Tokenizer) -> String {
    match tokenizer {
        Tokenizer::Char => "Characters (char)".to_owned(),
        Tokenizer::Byte => "Bytes (byte)".to_owned(),
        Tokenizer::Bpe(vocab) => format!("BPE, vocabulary size {} ({tokenizer})", whole(u64::from(vocab))),
        Tokenizer::Gpt2 => "GPT-2 (gpt2)".to_owned(),
        other => other.to_string(),
    }
}

fn listed(live: Live, run: &RunId) -> Option<String> {
    let lab = live.lab.read();
    let runs = &lab.as_ref()?.runs;
    let known = runs.iter().find(|known| known.id == *run)?;
    let is_shared = runs.iter().any(|other| other.name == known.name && other.id != *run);
    Some(told_apart(&known.name, is_shared.then_some(run.as_str()), known.deleted_ms.is_some()))
}

/// Whether runs of a project can use a dataset.
pub(crate) fn is_usable(info: &CorpusInfo, project: &str) -> bool {
    info.project.as_deref().is_none_or(|owner| owner == project)
}

/// The name of a dataset among all of them.
pub(crate) fn dataset_name(all: &[CorpusInfo], info: &CorpusInfo) -> String {
    let is_shared = all.iter().any(|other| other.name == info.name && other.id != info.id);
    told_apart(&info.name, is_shared.then_some(info.id.as_str()), false)
}

/// The datasets by id and name, for a list to choose from; before they are fetched, the chosen one alone.
pub(crate) fn dataset_entries(all: &[CorpusInfo], chosen: String) -> Vec<(String, String)> {
    let mut entries: Vec<(String, String)> =
        all.iter().map(|info| (info.id.to_string(), dataset_name(all, info))).collect();
    if !entries.iter().any(|(id, _)| *id == chosen) {
        entries.insert(0, (chosen.clone(), chosen));
    }
    entries
}

/// `amber-fox`, `amber-fox (amber-fox-7k2q)`, `amber-fox (amber-fox-7k2q, deleted)`
fn told_apart(name: &str, id: Option<&str>, is_deleted: bool) -> String {
    let is_long = id.is_some() && name.chars().count() > BEFORE_ID;
    let name = match is_long {
        true => format!("{}…", isolated(&name.chars().take(BEFORE_ID).collect::<String>())),
        false => isolated(name),
    };
    let marks: Vec<&str> = id.into_iter().chain(is_deleted.then_some("deleted")).collect();
    if marks.is_empty() { name } else { format!("{name} ({})", marks.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::told_apart;

    #[test]
    fn the_id_and_the_deletion_follow_the_name() {
        let long = "W".repeat(80);
        for (name, id, is_deleted, shown) in [
            ("a", None, false, "a".to_owned()),
            ("a", Some("fox-1"), false, "a (fox-1)".to_owned()),
            ("a", None, true, "a (deleted)".to_owned()),
            ("a", Some("fox-1"), true, "a (fox-1, deleted)".to_owned()),
            (&long, None, false, long.clone()),
            (&long, Some("fox-1"), false, format!("{}… (fox-1)", "W".repeat(24))),
            ("x\u{202e}y", Some("fox-1"), false, "x[U+202E]y (fox-1)".to_owned()),
        ] {
            assert_eq!(told_apart(name, id, is_deleted), shown);
        }
    }
}
