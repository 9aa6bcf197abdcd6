//! Requests that were refused or failed, and how the page words them.

use wire::ApiErrorBody;

/// Where the part of a hint begins that only programs can follow: a route or a body.
const FOR_PROGRAMS: [&str; 5] = ["GET /", "POST /", "PATCH /", "DELETE /", "{\""];
/// Characters at which the text before such a part ends.
const SEPARATORS: [char; 3] = [':', ';', ','];

/// A request that was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiFailure {
    /// HTTP status; 0 without a response.
    pub(crate) status: u16,
    /// What failed, the field, and what to do.
    pub(crate) body: ApiErrorBody,
}

impl ApiFailure {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>, hint: &str) -> Self {
        let body = ApiErrorBody { code: code.into(), message: message.into(), field: None, hint: Some(hint.into()) };
        Self { status, body }
    }

    pub(super) fn unreachable() -> Self {
        Self::new(
            0,
            "unreachable",
            "The server did not answer.",
            "Check that it is running and that this machine is connected.",
        )
    }

    pub(super) fn unreadable(reason: impl ToString) -> Self {
        Self::new(
            0,
            "unreadable",
            format!("The response of the server could not be read: {}", reason.to_string()),
            "Reload the page: it may be older than the server.",
        )
    }

    /// The message as a sentence.
    pub(crate) fn message(&self) -> String {
        sentence(&self.body.message)
    }

    /// What a person can do about it. The hint of the server, without the routes and bodies that it names for programs.
    pub(crate) fn hint(&self) -> Option<String> {
        let of_server = self.body.hint.as_deref().and_then(hint_sentence);
        of_server.or_else(|| (self.body.code == "not_found").then(|| "It may have been deleted.".to_owned()))
    }

    /// The message and the hint in one line.
    pub(crate) fn sentence(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{} {hint}", self.message()),
            None => self.message(),
        }
    }
}

/// A hint of the server or of the plan as a sentence, without the routes and bodies that it names for programs.
pub(crate) fn hint_sentence(hint: &str) -> Option<String> {
    for_people(hint).map(sentence)
}

/// The part of a hint before one that only programs can follow.
fn for_people(hint: &str) -> Option<&str> {
    let Some(from) = FOR_PROGRAMS.iter().filter_map(|mark| hint.find(mark)).min() else { return Some(hint) };
    hint[..from].rfind(SEPARATORS).map(|end| &hint[..end])
}

/// First words with a hyphen that begin with a capital; others may be names of runs and files.
const HYPHENATED: [&str; 4] = ["warm-up", "top-k", "top-p", "z-loss"];

/// A text with a capital and a full stop. A first word that is not plain, such as a file name, and the id of the CPU
/// keep their spelling.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim();
    let first = text.split([' ', ',', ':']).next().unwrap_or_default();
    let is_word = first.chars().all(|letter| letter.is_ascii_lowercase() || letter == '\'') && first != "cpu";
    let is_plain = is_word || HYPHENATED.contains(&first);
    let stop = if text.is_empty() || text.ends_with(['.', '!', '?', '…']) { "" } else { "." };
    match text.chars().next().filter(|_| is_plain) {
        Some(letter) => format!("{}{}{stop}", letter.to_uppercase(), &text[letter.len_utf8()..]),
        None => format!("{text}{stop}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: &str, message: &str, hint: Option<&str>) -> ApiFailure {
        let body =
            ApiErrorBody { code: code.into(), message: message.into(), field: None, hint: hint.map(str::to_owned) };
        ApiFailure { status: 400, body }
    }

    #[test]
    fn a_hint_for_programs_is_not_shown() {
        let cases = [
            ("stop that run first", Some("Stop that run first.")),
            ("GET /api/v1/runs lists the runs", None),
            ("restore it first: POST /api/v1/runs/{id}/restore", Some("Restore it first.")),
            ("export it again: GET /api/v1/runs/{id}/archive, or `kindling export archive`", Some("Export it again.")),
            ("undo it by a rollback: {\"kind\": \"undo\"}", Some("Undo it by a rollback.")),
            ("give JSON such as {\"overview\":{}}", None),
            (
                "save one first: the command {\"kind\": \"checkpoint\"}; GET /api/v1/x lists them",
                Some("Save one first."),
            ),
            ("1 to 10", Some("1 to 10.")),
        ];
        for (hint, expected) in cases {
            assert_eq!(failure("x", "no", Some(hint)).hint().as_deref(), expected, "{hint}");
        }
        let unknown = failure("not_found", "unknown run nope", Some("GET /api/v1/runs lists the runs"));
        assert_eq!(unknown.sentence(), "Unknown run nope. It may have been deleted.");
    }

    #[test]
    fn messages_are_sentences_and_names_keep_their_spelling() {
        let cases = [
            ("the upload is empty", "The upload is empty."),
            ("empty.txt is empty", "empty.txt is empty."),
            ("bin.txt, line 1: no text", "bin.txt, line 1: no text."),
            ("amber-fox is finished", "amber-fox is finished."),
            ("cpu has 22.9 GB", "cpu has 22.9 GB."),
            ("The server did not answer.", "The server did not answer."),
            ("\"x\" is not a number", "\"x\" is not a number."),
            ("d_model 129 fits", "d_model 129 fits."),
            ("did you mean model.layers?", "Did you mean model.layers?"),
            ("", ""),
            ("ä is not in the vocabulary", "ä is not in the vocabulary."),
        ];
        for (message, expected) in cases {
            assert_eq!(failure("x", message, None).message(), expected);
        }
    }
}
