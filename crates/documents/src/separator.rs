//! Splits a stream of text into documents. White space beside a separator belongs to no document.

use std::borrow::Cow;

use memchr::memmem::Finder;
use wire::data::import::{ImportOptions, Split};

use crate::error::Stopped;

/// The marker between documents of the usual datasets.
const END_OF_TEXT: &str = "<|endoftext|>";
/// White space that is held back, bytes. A longer run of it is text.
const HELD_BYTES: usize = 1 << 20;

/// Receives the parts of documents.
pub(crate) trait Parts {
    /// Adds to the current document.
    fn append(&mut self, text: &str) -> Result<(), Stopped>;
    /// Ends the current document.
    fn end(&mut self) -> Result<(), Stopped>;
}

/// The separator that is searched for.
enum Rule {
    Literal(Finder<'static>),
    BlankLines,
    Nothing,
}

/// Splits the texts of one import, one after the other.
pub(crate) struct Splitter {
    rule: Rule,
    /// Text that may be the beginning of a separator.
    pending: String,
    /// White space that belongs to the document only if text follows.
    held: String,
    /// Whether the current document has text.
    has_text: bool,
    /// Whether the current text had a separator.
    is_split: bool,
    /// Whether the current line has text; for blank lines.
    line_has_text: bool,
}

impl Splitter {
    pub(crate) fn new(options: &ImportOptions) -> Self {
        let literal = |text: &str| Rule::Literal(Finder::new(text).into_owned());
        let rule = match (options.separator.as_deref().filter(|text| !text.is_empty()), options.split) {
            (Some(separator), _) => literal(separator),
            (None, Split::EndOfText) => literal(END_OF_TEXT),
            (None, Split::BlankLines) => Rule::BlankLines,
            (None, Split::Whole) => Rule::Nothing,
        };
        let [pending, held] = [String::new(), String::new()];
        Self { rule, pending, held, has_text: false, is_split: false, line_has_text: false }
    }

    /// Adds to the current text.
    pub(crate) fn push(&mut self, text: &str, to: &mut impl Parts) -> Result<(), Stopped> {
        match &self.rule {
            Rule::Nothing => self.emit(text, to),
            Rule::BlankLines => self.push_lines(text, to),
            Rule::Literal(_) => self.push_literal(text, to),
        }
    }

    /// Ends the current text, and so its last document.
    pub(crate) fn finish(&mut self, to: &mut impl Parts) -> Result<(), Stopped> {
        let rest = std::mem::take(&mut self.pending);
        self.emit(&rest, to)?;
        if !self.is_split && self.has_text {
            let held = std::mem::take(&mut self.held);
            to.append(&held)?;
        }
        self.end(to)?;
        (self.is_split, self.line_has_text) = (false, false);
        Ok(())
    }

    fn push_literal(&mut self, text: &str, to: &mut impl Parts) -> Result<(), Stopped> {
        let all = self.with_pending(text);
        let (length, mut from) = (self.literal_bytes(), 0);
        while let Some(at) = self.find(&all[from..]) {
            // Before the first separator nothing was known of it, so white space at the beginning was held.
            self.is_split = true;
            self.emit(&all[from..from + at], to)?;
            self.end(to)?;
            from += at + length;
        }
        let rest = &all[from..];
        let certain = rest.floor_char_boundary(rest.len().saturating_sub(length.saturating_sub(1)));
        self.emit(&rest[..certain], to)?;
        self.pending.push_str(&rest[certain..]);
        Ok(())
    }

    /// The pending text and this one; most often nothing is pending.
    fn with_pending<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        if self.pending.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(std::mem::take(&mut self.pending) + text)
    }

    fn literal_bytes(&self) -> usize {
        if let Rule::Literal(finder) = &self.rule { finder.needle().len() } else { 0 }
    }

    fn find(&self, text: &str) -> Option<usize> {
        if let Rule::Literal(finder) = &self.rule { finder.find(text.as_bytes()) } else { None }
    }

    fn push_lines(&mut self, text: &str, to: &mut impl Parts) -> Result<(), Stopped> {
        let all = self.with_pending(text);
        let mut rest: &str = &all;
        while let Some(end) = line_end(rest) {
            self.take_line(&rest[..end], to)?;
            rest = &rest[end..];
        }
        // The beginning of a line with text can be passed on; white space alone may become a blank line.
        let is_text = self.line_has_text || rest.contains(|c: char| !c.is_whitespace());
        if is_text && !rest.ends_with('\r') || rest.len() > HELD_BYTES {
            self.line_has_text = true;
            return self.emit(rest, to);
        }
        self.pending.push_str(rest);
        Ok(())
    }

    fn take_line(&mut self, line: &str, to: &mut impl Parts) -> Result<(), Stopped> {
        let is_blank = !self.line_has_text && line.trim().is_empty();
        self.line_has_text = false;
        if !is_blank {
            return self.emit(line, to);
        }
        // A blank line at the beginning separates nothing, but there is no text before it that it could belong to either.
        self.is_split = true;
        self.end(to)
    }

    /// Passes text on, without white space that a separator may follow.
    fn emit(&mut self, text: &str, to: &mut impl Parts) -> Result<(), Stopped> {
        let inner = text.trim_end();
        if inner.is_empty() {
            return self.hold(text, to);
        }
        if self.has_text || !self.is_split {
            let held = std::mem::take(&mut self.held);
            to.append(&held)?;
            to.append(inner)?;
        } else {
            self.held.clear();
            to.append(inner.trim_start())?;
        }
        self.has_text = true;
        self.hold(&text[inner.len()..], to)
    }

    fn hold(&mut self, space: &str, to: &mut impl Parts) -> Result<(), Stopped> {
        if !self.has_text && self.is_split {
            return Ok(());
        }
        self.held.push_str(space);
        if self.held.len() > HELD_BYTES {
            self.has_text = true;
            let held = std::mem::take(&mut self.held);
            to.append(&held)?;
        }
        Ok(())
    }

    fn end(&mut self, to: &mut impl Parts) -> Result<(), Stopped> {
        self.held.clear();
        if std::mem::take(&mut self.has_text) { to.end() } else { Ok(()) }
    }
}

/// The place after the first line end: `\n`, `\r\n` or `\r`. A `\r` at the end of the text may be half of one.
fn line_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let at = memchr::memchr2(b'\n', b'\r', bytes)?;
    match (bytes[at], bytes.get(at + 1)) {
        (b'\n', _) => Some(at + 1),
        (_, Some(b'\n')) => Some(at + 2),
        (_, Some(_)) => Some(at + 1),
        (_, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept {
        done: Vec<String>,
        open: String,
    }

    impl Parts for Kept {
        fn append(&mut self, text: &str) -> Result<(), Stopped> {
            self.open.push_str(text);
            Ok(())
        }
        fn end(&mut self) -> Result<(), Stopped> {
            self.done.push(std::mem::take(&mut self.open));
            Ok(())
        }
    }

    fn options(split: Split, separator: Option<&str>) -> ImportOptions {
        ImportOptions { split, separator: separator.map(str::to_owned), ..ImportOptions::default() }
    }

    fn split(options: &ImportOptions, parts: &[&str]) -> Vec<String> {
        let (mut splitter, mut kept) = (Splitter::new(options), Kept::default());
        parts.iter().for_each(|part| splitter.push(part, &mut kept).unwrap());
        splitter.finish(&mut kept).unwrap();
        assert_eq!(kept.open, "", "every document was ended");
        kept.done
    }

    #[test]
    fn texts_are_split_at_separators() {
        let (marked, blank) = (options(Split::EndOfText, None), options(Split::BlankLines, None));
        let (whole, dashes) = (options(Split::Whole, None), options(Split::Whole, Some("\n---\n")));
        for (options, text, expected) in [
            (&marked, "one\n<|endoftext|>\ntwo\n<|endoftext|>\n", &["one", "two"][..]),
            (&marked, "one<|endoftext|>two", &["one", "two"]),
            (&marked, "<|endoftext|>\n\n<|endoftext|>  one ", &["one"]),
            (&marked, "\n one \n", &["\n one \n"]),
            (&marked, "\n one \n<|endoftext|>\n two \n", &["one", "two"]),
            (&marked, "a <|endoftext> b", &["a <|endoftext> b"]),
            (&marked, " \n\t", &[]),
            (&blank, "one\nline\n\n\ntwo\n \t\nthree\n", &["one\nline", "two", "three"]),
            (&blank, "one\r\n\r\ntwo\r\n", &["one", "two"]),
            (&blank, "one\rline\r\rtwo\r", &["one\rline", "two"]),
            (&blank, "\n\none\n", &["one"]),
            (&blank, "one\n", &["one\n"]),
            (&whole, "a<|endoftext|>\n\nb\n", &["a<|endoftext|>\n\nb\n"]),
            (&dashes, "a\n---\nb\n--\nc\n---\n", &["a", "b\n--\nc"]),
            (&dashes, "a\n---\n\n---\n", &["a"]),
        ] {
            assert_eq!(split(options, &[text]), expected, "{text:?}");
        }
    }

    #[test]
    fn documents_do_not_depend_on_the_size_of_the_parts() {
        let alphabet = ["a", "é", " ", "\n", "\r", "\r\n", "<|endoftext|>", "<|end", "|>", "\n\n", "🙂"];
        for seed in testing::seeds(0..200) {
            let mut random = testing::Random::new(seed);
            let text: String = (0..40).map(|_| alphabet[random.below(alphabet.len() as u64) as usize]).collect();
            for rule in [options(Split::EndOfText, None), options(Split::BlankLines, None), options(Split::Whole, None)]
            {
                let mut parts = vec![];
                let mut rest = text.as_str();
                // White space before the first text is kept where no separator follows it in the same part, so parts begin with text.
                let first = rest.find(|c: char| !c.is_whitespace()).map_or(rest.len(), |at| at);
                let text = &text[first..];
                rest = &rest[first..];
                while !rest.is_empty() {
                    let end = rest.ceil_char_boundary(1 + random.below(9) as usize);
                    parts.push(&rest[..end]);
                    rest = &rest[end..];
                }
                assert_eq!(split(&rule, &parts), split(&rule, &[text]), "{text:?}");
            }
        }
    }
}
