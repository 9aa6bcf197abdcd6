//! Splits a text into words, as GPT-2's regular expression does. Merges never cross a word.
//!
//! ```text
//! '(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s
//! ```
//!
//! With `by_digit` every digit is a word, without a space before it (SmolLM and others):
//!
//! ```text
//! '(?:[sdmt]|ll|ve|re)| ?\p{L}++|\p{N}| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?=\p{N})|\s+(?!\S)|\s
//! ```
//!
//! The expressions are not used, because a matcher with lookahead is many times slower than these comparisons of bytes. Tests compare the two.

use std::ops::Range;
use std::sync::LazyLock;

use tokenizers::utils::SysRegex;

/// The classes of characters that the expressions distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    Other,
    Letter,
    Number,
    Space,
}

const ASCII: [Class; 128] = {
    let mut classes = [Class::Other; 128];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
            b'0'..=b'9' => Class::Number,
            b'\t'..=b'\r' | b' ' => Class::Space,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

/// The class of every character by its code point. The expressions decide, so that the version of Unicode is theirs.
static CLASSES: LazyLock<Vec<Class>> = LazyLock::new(|| {
    let all: String = ('\0'..=char::MAX).collect();
    let mut classes = vec![Class::Other; char::MAX as usize + 1];
    for (class, pattern) in [(Class::Letter, r"\p{L}+"), (Class::Number, r"\p{N}+"), (Class::Space, r"\s+")] {
        let pattern = SysRegex::new(pattern).expect("a class of characters is a valid pattern");
        let found = pattern.find_iter(&all).flat_map(|(start, end)| all[start..end].chars());
        found.for_each(|c| classes[c as usize] = class);
    }
    classes
});

/// The words of a text: ranges of its bytes, one after another.
pub(super) struct Words<'a> {
    text: &'a str,
    at: usize,
    by_digit: bool,
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a str, by_digit: bool) -> Self {
        Self { text, at: 0, by_digit }
    }

    /// Class and length of the character at a byte; `None` at the end of the text.
    #[inline(always)]
    fn class_at(&self, at: usize) -> Option<(Class, usize)> {
        let byte = *self.text.as_bytes().get(at)?;
        if byte < 128 { Some((ASCII[byte as usize], 1)) } else { self.wide_class_at(at) }
    }

    fn wide_class_at(&self, at: usize) -> Option<(Class, usize)> {
        let c = self.text[at..].chars().next()?;
        Some((CLASSES[c as usize], c.len_utf8()))
    }

    /// The end of the run of characters of `class` from `at` on.
    #[inline(always)]
    fn end_of_run(&self, mut at: usize, class: Class) -> usize {
        while let Some((found, len)) = self.class_at(at) {
            if found != class {
                break;
            }
            at += len;
        }
        at
    }

    /// Length of `'s`, `'d`, `'m`, `'t`, `'ll`, `'ve` or `'re`; 0 if the text does not go on with one.
    fn contraction_at(&self, at: usize) -> usize {
        match self.text.as_bytes()[at..] {
            [b'\'', b's' | b'd' | b'm' | b't', ..] => 2,
            [b'\'', b'l', b'l', ..] | [b'\'', b'v' | b'r', b'e', ..] => 3,
            _ => 0,
        }
    }

    /// The end of the word that begins at `start`, before the end of the text.
    #[inline(always)]
    fn end_of_word(&self, start: usize) -> Option<usize> {
        let (class, len) = self.class_at(start)?;
        match class {
            Class::Space => Some(self.end_after_space(start, len)),
            Class::Number if self.by_digit => Some(start + len),
            Class::Other => match self.contraction_at(start) {
                0 => Some(self.end_of_run(start + len, class)),
                contraction => Some(start + contraction),
            },
            class => Some(self.end_of_run(start + len, class)),
        }
    }

    /// The end of a word that begins with white space: one space and a run of another class, or white space alone.
    #[inline(always)]
    fn end_after_space(&self, start: usize, len: usize) -> usize {
        let is_space = self.text.as_bytes()[start] == b' ';
        match self.class_at(start + len) {
            Some((next, next_len)) if is_space && next != Class::Space && !(self.by_digit && next == Class::Number) => {
                self.end_of_run(start + len + next_len, next)
            }
            _ => self.end_of_space(start, len),
        }
    }

    /// The end of a word of white space alone. Where other characters follow, the last white space is left to them, if it is not the only one.
    fn end_of_space(&self, start: usize, len: usize) -> usize {
        let end = self.end_of_run(start + len, Class::Space);
        match self.class_at(end) {
            None => end,
            Some((Class::Number, _)) if self.by_digit => end,
            Some(_) => match self.text[start..end].char_indices().next_back() {
                Some((last, _)) if last > 0 => start + last,
                _ => end,
            },
        }
    }
}

impl Iterator for Words<'_> {
    type Item = Range<usize>;

    /// The bytes of the next word.
    #[inline(always)]
    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        self.at = self.end_of_word(start)?;
        Some(start..self.at)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The expressions of this file's head.
    pub(crate) const WORDS: &str = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s";
    pub(crate) const WORDS_AND_DIGITS: &str =
        r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++|\p{N}| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?=\p{N})|\s+(?!\S)|\s";

    #[test]
    fn words_are_those_of_the_expressions() {
        let kinds = [(WORDS, false), (WORDS_AND_DIGITS, true)]
            .map(|(pattern, by_digit)| (SysRegex::new(pattern).unwrap(), by_digit));
        let alphabet: Vec<char> =
            "ab1 ' \t\n\r's'll've'rd'm'tA.-é中½٣Ⅷ🙂\u{a0}\u{85}\u{2003}\u{301}\u{200d}\0<|>".chars().collect();
        let mut random = testing::Random::new(testing::seed(12));
        for _ in 0..4000 {
            let text: String = (0..random.below(30))
                .map(|_| match random.below(8) {
                    0 => char::from_u32(random.below(0x11_0000) as u32).unwrap_or('?'),
                    _ => alphabet[random.below(alphabet.len() as u64) as usize],
                })
                .collect();
            for (pattern, by_digit) in &kinds {
                let theirs: Vec<Range<usize>> = pattern.find_iter(&text).map(|(start, end)| start..end).collect();
                assert_eq!(Words::new(&text, *by_digit).collect::<Vec<_>>(), theirs, "{text:?}, by digit: {by_digit}");
            }
        }
    }
}
