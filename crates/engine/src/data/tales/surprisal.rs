//! The surprisal of each word of a text: the parser follows every derivation of the text in the grammar and sums their probabilities.
//!
//! The probability of the prefix of a story up to `t` is the sum, over all derivations that agree with the text up to `t`, of the
//! probability of the choices made when `t` is reached. The surprisal of a word is the logarithm of the ratio of two such sums.

use std::ops::Range;

use crate::data::tales::grammar::{Grammar, Memory, Part};

/// Surprisal of each word and of the end, nats; `None` if the grammar cannot derive the text.
pub(super) fn of_words(grammar: &Grammar, text: &str) -> Option<Vec<(Range<usize>, f64)>> {
    let ends = word_ends(text);
    let mut parser = Parser { grammar, text: text.as_bytes(), starting: vec![0.0; ends.len()], ends, whole: 0.0 };
    let story = [Part::Rule(0)];
    parser.follow(0, 1.0, &mut grammar.memory(), &story, None);
    if parser.whole == 0.0 {
        return None;
    }
    let (mut start, mut before) = (0, 1.0f64);
    let mut words: Vec<(Range<usize>, f64)> = vec![];
    for (end, starting) in parser.ends.iter().zip(&parser.starting) {
        words.push((start..*end, (before / starting).ln()));
        (start, before) = (*end, *starting);
    }
    words.push((text.len()..text.len(), (before / parser.whole).ln()));
    Some(words)
}

/// Ends of the words: a word includes the white space before it, the last word also the white space after it.
fn word_ends(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let is_end =
        |at: &usize| !bytes[*at - 1].is_ascii_whitespace() && bytes.get(*at).is_some_and(u8::is_ascii_whitespace);
    let trimmed = text.trim_end().len();
    (1..trimmed).filter(is_end).chain((!text.is_empty()).then_some(text.len())).collect()
}

struct Parser<'a> {
    grammar: &'a Grammar,
    text: &'a [u8],
    ends: Vec<usize>,
    /// Probability of the prefix of a story up to the end of each word.
    starting: Vec<f64>,
    /// Probability of the whole text.
    whole: f64,
}

/// The parts that follow the current ones.
struct Frame<'a> {
    parts: &'a [Part],
    next: Option<&'a Frame<'a>>,
}

impl Parser<'_> {
    /// Follows `parts`, then `next`, from byte `at`, where the choices so far have this probability.
    fn follow(&mut self, at: usize, probability: f64, memory: &mut Memory, parts: &[Part], next: Option<&Frame<'_>>) {
        let grammar = self.grammar;
        let Some((part, rest)) = parts.split_first() else {
            match next {
                Some(frame) => self.follow(at, probability, memory, frame.parts, frame.next),
                None if at == self.text.len() => self.whole += probability,
                None => {}
            }
            return;
        };
        let after = match part {
            Part::Text(text) => self.matched(at, probability, text),
            Part::Rule(rule) => {
                let frame = Frame { parts: rest, next };
                for alternative in &grammar.rules[*rule].alternatives {
                    self.follow(at, probability * alternative.probability, memory, &alternative.parts, Some(&frame));
                }
                None
            }
            Part::Draw { variable, class, other_than, form } => {
                let choices = grammar.choices(*class, other_than, memory);
                let each = probability / choices.len() as f64;
                let before = memory[*variable];
                for value in choices {
                    if let Some(after) = self.matched(at, each, &grammar.write(value, *form)) {
                        memory[*variable] = Some(value);
                        self.follow(after, each, memory, rest, next);
                        memory[*variable] = before;
                    }
                }
                None
            }
            Part::Write { variable, form } => {
                memory[*variable].and_then(|value| self.matched(at, probability, &grammar.write(value, *form)))
            }
            Part::Difference { from, take, form } => {
                let difference =
                    memory[*from].zip(memory[*take]).and_then(|(from, take)| grammar.difference(from, take));
                difference.and_then(|value| self.matched(at, probability, &grammar.write(value, *form)))
            }
        };
        if let Some(after) = after {
            self.follow(after, probability, memory, rest, next);
        }
    }

    /// Adds the probability at every word end up to which `written` agrees with the text. Returns the end of `written` if all of it agrees.
    fn matched(&mut self, at: usize, probability: f64, written: &str) -> Option<usize> {
        let agreed = self.text[at..].iter().zip(written.as_bytes()).take_while(|(a, b)| a == b).count();
        let first = self.ends.partition_point(|end| *end <= at);
        for (_, starting) in
            self.ends.iter().zip(&mut self.starting).skip(first).take_while(|(end, _)| **end <= at + agreed)
        {
            *starting += probability;
        }
        (agreed == written.len()).then_some(at + agreed)
    }
}
