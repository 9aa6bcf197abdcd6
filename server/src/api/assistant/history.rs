//! A conversation as the messages of a request, within the limit of tokens. Beyond it, the oldest answers of tools are left out, and then the
//! oldest messages.

use serde_json::json;
use wire::assistant::{CallState, Entry, LeftOut, PageContext, ToolCall};

use crate::api::mcp::answer::BYTES_PER_TOKEN;
use crate::api::mcp::untrusted::fenced;
use crate::lab::model_provider::request::{Call, Message, ToolResult};

/// Bytes of text that count as much as an image.
const IMAGE_BYTES: usize = 1_500 * BYTES_PER_TOKEN;
/// Newest images that are sent.
const IMAGES: usize = 3;
/// What stands in place of an answer that is left out.
const LEFT_OUT: &str =
    "{\"left_out\":\"the conversation is longer than the limit; call the tool again if its answer is needed\"}";
/// The reply to a message that has none, since roles alternate.
const NO_REPLY: &str = "(no reply)";

/// The messages of a conversation of at most about `tokens` tokens, and what was left out.
pub fn messages(entries: &[Entry], tokens: usize) -> (Vec<Message>, LeftOut) {
    let mut all = vec![];
    entries.iter().for_each(|entry| add(&mut all, entry));
    keep_newest_images(&mut all);
    let limit = tokens * BYTES_PER_TOKEN;
    let answers = leave_out_answers(&mut all, limit);
    let messages = leave_out_messages(&mut all, limit);
    (all, LeftOut { answers, messages })
}

fn add(all: &mut Vec<Message>, entry: &Entry) {
    match entry {
        Entry::Asked { text, context, .. } => {
            if !matches!(all.last(), None | Some(Message::Model { .. })) {
                all.push(Message::Model { text: NO_REPLY.to_owned(), calls: vec![] });
            }
            all.push(Message::Person(format!("{}{text}", described(context))));
        }
        // It contains names of runs and texts of rules.
        Entry::Answered { text } => {
            let text = fenced(json!(text)).as_str().unwrap_or_default().to_owned();
            all.push(Message::Model { text, calls: vec![] });
        }
        Entry::Said { text, calls, .. } if text.trim().is_empty() && calls.is_empty() => {}
        Entry::Said { text, calls, .. } => {
            all.push(Message::Model { text: text.clone(), calls: calls.iter().map(call).collect() });
            if !calls.is_empty() {
                all.push(Message::Results(calls.iter().map(result).collect()));
            }
        }
        Entry::Ended { .. } => {}
    }
}

/// What the page shows, as data.
fn described(context: &PageContext) -> String {
    if *context == PageContext::default() {
        return String::new();
    }
    let PageContext { page, runs, step } = context;
    format!("The page shows: {}\n\n", fenced(json!({ "address": page, "runs": runs, "step": step })))
}

fn call(call: &ToolCall) -> Call {
    Call { id: call.id.clone(), tool: call.tool.clone(), arguments: call.arguments.clone() }
}

fn result(call: &ToolCall) -> ToolResult {
    ToolResult {
        id: call.id.clone(),
        text: call.answer.clone(),
        is_error: call.state != CallState::Done,
        image: call.image.clone(),
    }
}

/// All results, newest first.
fn results(all: &mut [Message]) -> impl Iterator<Item = &mut ToolResult> {
    all.iter_mut().rev().flat_map(|message| {
        let results: &mut [ToolResult] = match message {
            Message::Results(results) => results,
            _ => &mut [],
        };
        results.iter_mut().rev()
    })
}

fn keep_newest_images(all: &mut [Message]) {
    results(all).filter(|result| result.image.is_some()).skip(IMAGES).for_each(|result| result.image = None);
}

/// Size of a message, bytes of text.
fn size(message: &Message) -> usize {
    match message {
        Message::Person(text) => text.len(),
        Message::Model { text, calls } => text.len() + calls.iter().map(|call| call.arguments.len()).sum::<usize>(),
        Message::Results(results) => results.iter().map(size_of_result).sum(),
    }
}

fn size_of_result(result: &ToolResult) -> usize {
    result.text.len() + result.image.as_ref().map_or(0, |_| IMAGE_BYTES)
}

/// Leaves out the oldest answers of tools until the rest fits; returns their number. Those of the last round stay: the model has not read
/// them.
fn leave_out_answers(all: &mut [Message], limit: usize) -> u32 {
    let mut total: usize = all.iter().map(size).sum();
    let (last, mut left_out) = (all.len().saturating_sub(1), 0);
    for message in &mut all[..last] {
        let Message::Results(results) = message else { continue };
        for result in results {
            if total <= limit {
                return left_out;
            }
            total = total - size_of_result(result) + LEFT_OUT.len();
            (result.text, result.image) = (LEFT_OUT.to_owned(), None);
            left_out += 1;
        }
    }
    left_out
}

/// Leaves out the oldest messages, up to a message of the person, until the rest fits; returns their number. The last message of the person
/// and what follows stay.
fn leave_out_messages(all: &mut Vec<Message>, limit: usize) -> u32 {
    let mut total: usize = all.iter().map(size).sum();
    let mut left_out = 0;
    while total > limit {
        let is_person = |message: &Message| matches!(message, Message::Person(_));
        let Some(next) = all.iter().skip(1).position(is_person).map(|at| at + 1) else { break };
        total -= all[..next].iter().map(size).sum::<usize>();
        all.drain(..next);
        left_out += next as u32;
    }
    left_out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Entry {
        Entry::Asked { text: text.into(), context: PageContext::default(), at_ms: 0 }
    }

    fn said(text: &str, answer: Option<String>) -> Entry {
        let call = |answer| ToolCall {
            id: "a".into(),
            tool: "get_run".into(),
            arguments: "{}".into(),
            state: CallState::Done,
            answer,
            image: None,
        };
        Entry::Said { text: text.into(), calls: answer.into_iter().map(call).collect(), left_out: LeftOut::default() }
    }

    #[test]
    fn roles_alternate_also_after_an_answer_that_failed() {
        let ended = Entry::Ended { message: "no".into() };
        let (sent, left_out) =
            messages(&[asked("a"), ended, asked("b"), said("x", Some("1".into())), said("y", None)], 1_000);
        let roles: Vec<&str> = sent
            .iter()
            .map(|message| match message {
                Message::Person(_) => "person",
                Message::Model { .. } => "model",
                Message::Results(_) => "results",
            })
            .collect();
        assert_eq!(roles, ["person", "model", "person", "model", "results", "model"]);
        assert_eq!(left_out, LeftOut::default());
    }

    #[test]
    fn a_conversation_of_200_messages_loses_its_oldest_answers_first() {
        let turns = (0..200).flat_map(|_| [asked("why"), said("I look.", Some("x".repeat(4_000))), said("So.", None)]);
        let entries: Vec<Entry> = turns.collect();
        let (sent, left_out) = messages(&entries, 100_000);
        assert!(sent.iter().map(size).sum::<usize>() <= 400_000);
        assert_eq!(sent.len(), 800, "all messages are sent");
        assert!(left_out.answers > 100 && left_out.messages == 0, "{left_out:?}");
        let (sent, left_out) = messages(&entries, 500);
        assert!(left_out.answers == 200 && left_out.messages > 0, "{left_out:?}");
        assert!(matches!(sent.first(), Some(Message::Person(_))));
    }
}
