//! The journal: events of a run, entries of a project, and the acts of this agent; the samples of a run; the report of a project.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use wire::access::project::DEFAULT_PROJECT;
use wire::research_journal::{JournalEntry, JournalPage};
use wire::{Event, EventRecord};

use crate::api::mcp::answer::{Answer, json_bytes};
use crate::api::mcp::brief;
use crate::api::mcp::caller::{Caller, encoded, query};
use crate::api::mcp::tool::Tool;
use crate::api::mcp::untrusted::clean;
use crate::error::ApiError;

/// Events in an answer: the default and the maximum.
const EVENTS: usize = 30;
const MOST_EVENTS: usize = 50;
/// Samples in an answer: the default and the maximum.
const SAMPLES: usize = 3;
const MOST_SAMPLES: usize = 10;
/// Maximum size of a part of a report, and of all parts in an answer, bytes of JSON. 200 bytes are reserved for the delimiters of a part.
const PART_BYTES: usize = 1_800;
const REPORT_BYTES: usize = 10_800;

pub fn tools() -> Vec<Tool> {
    vec![
        Tool::reading(
            "get_journal",
            "Journal",
            "With run: the events of a run in order: who changed what, when and why. With project: its research \
             journal, newest first: hypotheses, verdicts, comparisons, commands, findings, notes. Without both: the \
             acts of your token with their expected effects, newest first.",
            get_journal,
        )
        .returns(&[
            ("run", "The run."),
            ("project", "The project."),
            ("events", "Events of the run, in order."),
            ("entries", "Entries of the research journal, newest first."),
            ("acts", "Acts of your token, newest first."),
            ("last_number", "Number of the last event that is shown or was read."),
            ("left", "Events of the range that are not shown."),
            ("before", "Place from which the next page of the research journal continues."),
        ]),
        Tool::reading(
            "get_samples",
            "Samples of a run",
            "Texts that the model of a run generated during training, newest first.",
            get_samples,
        )
        .returns(&[
            ("run", "The run."),
            ("samples", "Prompt and generated text of each sample, newest first."),
            ("has_more", "Whether the run has older samples."),
        ]),
        Tool::reading(
            "write_report",
            "Write a report",
            "Writes the report of a project from its research journal, as Markdown without its figures: hypotheses, \
             verdicts, sweeps, runs, findings, calibration and timeline. The report is computed and changes nothing; \
             add_note adds your own conclusions to it.",
            write_report,
        )
        .returns(&[
            ("project", "The project."),
            ("bytes", "Size of the whole report."),
            ("report", "Consecutive parts of the report."),
            ("next_from", "Start of the next part; absent at the end."),
        ]),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetJournal {
    /// Id of a run.
    run: Option<String>,
    /// Name of a project, whose research journal is returned.
    project: Option<String>,
    /// Events of the run after this number; by default the newest.
    since: Option<u64>,
    /// Entries of the project before this place, from the previous answer; by default the newest.
    before: Option<String>,
    /// Number of events, at most 50; 30 by default.
    limit: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetSamples {
    /// Id of the run.
    run: String,
    /// Number of samples, at most 10; 3 by default.
    limit: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WriteReport {
    /// Name of the project; default by default.
    project: Option<String>,
    /// Start of the part to return, bytes; the next_from of the previous answer.
    #[serde(default)]
    from: usize,
}

async fn get_journal(caller: Caller, args: GetJournal) -> Result<Answer, ApiError> {
    let limit = args.limit.unwrap_or(EVENTS).clamp(1, MOST_EVENTS);
    match (args.run, args.project) {
        (Some(_), Some(_)) => Err(ApiError::invalid("arguments_invalid", "both a run and a project were given")
            .field("project")
            .hint("give a run for its events, or a project for its research journal")),
        (Some(run), None) => of_run(&caller, &run, args.since, limit).await,
        (None, Some(project)) => of_project(&caller, &project, args.before, limit).await,
        (None, None) => own_acts(&caller, limit).await,
    }
}

async fn of_run(caller: &Caller, run: &str, since: Option<u64>, limit: usize) -> Result<Answer, ApiError> {
    let fields = [
        ("since", since.map(|since| since.to_string())),
        ("newest", since.is_none().then(|| "true".to_owned())),
        ("limit", Some(limit.to_string())),
    ];
    let found = caller.events(run, &query(fields)).await?;
    let shown = &found.records;
    // Numbers have no gaps.
    let left = match since {
        Some(since) => found.last.saturating_sub(shown.last().map_or(since, |record| record.number)),
        None => shown.first().map_or(0, |record| record.number - 1),
    };
    let data = json!({
        "run": run, "last_number": shown.last().map(|record| record.number), "left": left,
        "events": shown.iter().map(brief::event).collect::<Vec<_>>(),
    });
    let answer =
        Answer::new(data).units(&[("at_ms", "ms since 1970, UTC"), ("left", "events of the range that are not shown")]);
    Ok(answer.more("give a smaller limit, and as since the last number that was shown"))
}

async fn of_project(caller: &Caller, project: &str, before: Option<String>, limit: usize) -> Result<Answer, ApiError> {
    let fields = query([("before", before), ("limit", Some(limit.to_string()))]);
    let page: JournalPage = caller.get(&format!("/projects/{}/journal?{fields}", encoded(project))).await?;
    let entry = |entry: &JournalEntry| {
        brief::given(json!({
            "at_ms": entry.at_ms(), "kind": entry.kind, "author": entry.author, "subject": entry.subject, "step": entry.step,
            "what": entry.text,
        }))
    };
    let data = json!({
        "project": project, "entries": page.entries.iter().map(entry).collect::<Vec<_>>(), "before": page.next,
    });
    let answer = Answer::new(brief::given(data)).units(&[("at_ms", "ms since 1970, UTC"), ("step", "optimizer steps")]);
    Ok(answer.more("give a smaller limit").next("get_journal with a run of the entries; write_report for the whole"))
}

/// The acts of the token.
async fn own_acts(caller: &Caller, limit: usize) -> Result<Answer, ApiError> {
    let acts = caller.store().agent_acts(caller.token(), limit as u32).await?;
    let act = |act: &store::AgentAct| {
        let json = |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        brief::given(json!({
            "tool": act.tool, "run": act.run, "at_ms": act.started_ms, "reason": act.reason, "expected_effect": json(&act.expected),
            "idempotency_key": act.key, "has_result": act.answer.is_some(),
        }))
    };
    let answer = Answer::new(json!({ "acts": acts.iter().map(act).collect::<Vec<_>>() }));
    Ok(answer
        .units(&[("at_ms", "ms since 1970, UTC")])
        .more("give a smaller limit")
        .next("get_journal with a run for its events"))
}

async fn get_samples(caller: Caller, args: GetSamples) -> Result<Answer, ApiError> {
    let limit = args.limit.unwrap_or(SAMPLES).clamp(1, MOST_SAMPLES);
    // One more than is shown, to know whether there are more.
    let found = caller.events(&args.run, &format!("kinds=sampled&newest=true&limit={}", limit + 1)).await?;
    let sample = |record: &EventRecord| match &record.event {
        Event::Sampled { prompt, text, temperature } => Some(json!({
            "number": record.number, "step": record.step, "prompt": prompt, "sample": text, "temperature": temperature,
        })),
        _ => None,
    };
    let samples: Vec<Value> = found.records.iter().rev().filter_map(sample).take(limit).collect();
    let has_more = found.records.len() > limit;
    let answer = Answer::new(json!({ "run": args.run, "samples": samples, "has_more": has_more }));
    Ok(answer.units(&[("step", "optimizer steps")]).more("give a smaller limit"))
}

async fn write_report(caller: Caller, args: WriteReport) -> Result<Answer, ApiError> {
    let project = args.project.unwrap_or_else(|| DEFAULT_PROJECT.to_owned());
    let reply = caller.fetch(&format!("/projects/{}/report.md", encoded(&project)), "text/markdown").await?;
    let text = without_figures(&String::from_utf8_lossy(&reply.body));
    let (parts, next) = parts_of(&text, args.from);
    let data = json!({ "project": project, "bytes": text.len(), "report": parts, "next_from": next });
    let answer = Answer::new(brief::given(data)).units(&[("bytes, next_from", "bytes")]);
    Ok(match next {
        Some(next) => answer.next(format!("write_report with from {next} for the next part")),
        None => answer,
    })
}

/// A report with the names of its figures only: an answer has no room for their data. Other texts in the report have no unescaped brackets.
fn without_figures(report: &str) -> String {
    let line = |line: &str| match line.split_once("](data:image/") {
        Some((label, _)) => format!("{label}](get_figure)\n"),
        None => format!("{line}\n"),
    };
    report.lines().map(line).collect()
}

/// Consecutive parts of a text from a byte on, which fit into an answer, and where the next part begins. Parts end at the ends of lines if
/// lines are short enough.
fn parts_of(text: &str, from: usize) -> (Vec<&str>, Option<usize>) {
    let (mut parts, mut taken) = (vec![], 0);
    let mut at = text.floor_char_boundary(from);
    while at < text.len() {
        let part = part_of(&text[at..]);
        taken += json_bytes(&clean(part)) + 200;
        if taken > REPORT_BYTES {
            return (parts, Some(at));
        }
        parts.push(part);
        at += part.len();
    }
    (parts, None)
}

fn part_of(rest: &str) -> &str {
    let (mut taken, mut line) = (0, None);
    for (at, letter) in rest.char_indices() {
        taken += letter.len_utf8().max(2);
        if taken > PART_BYTES {
            return &rest[..line.unwrap_or(at)];
        }
        if letter == '\n' {
            line = Some(at + 1);
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_returned_in_parts_that_together_are_the_whole() {
        let text = format!("# Report\n{}\n{}", "a \"quoted\" line\n".repeat(2_000), "é".repeat(5_000));
        let (mut whole, mut from, mut answers) = (String::new(), Some(0), 0);
        while let Some(start) = from {
            let (parts, next) = parts_of(&text, start);
            assert!(!parts.is_empty() && parts.iter().all(|part| part.len() <= PART_BYTES), "{start}");
            assert!(json_bytes(&parts.concat()) <= REPORT_BYTES);
            whole.extend(parts);
            (from, answers) = (next, answers + 1);
        }
        assert!(whole == text && answers > 2, "{answers}");
        let figure = "# A\n![loss](data:image/svg+xml;base64,AAAA)\n\nb";
        assert_eq!(without_figures(figure), "# A\n![loss](get_figure)\n\nb\n");
        assert_eq!(parts_of("short", 0), (vec!["short"], None));
        assert_eq!(parts_of("short", 99), (vec![], None));
    }
}
