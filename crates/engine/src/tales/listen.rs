//! Listens to a finished text: follows every way in which the grammar could write it, and adds up their probabilities.
//!
//! The probability that a story starts with the text up to `t` is the sum, over all ways that agree with the text up to `t`, of the
//! probability of the choices made when `t` is crossed. A word's price is the logarithm of the fall between two such sums.

use std::ops::Range;

use crate::tales::grammar::{Grammar, Memory, Part};

/// Price of each word and of the end, in nats; `None` where the grammar cannot write the text.
pub(super) fn listen(grammar: &Grammar, text: &str) -> Option<Vec<(Range<usize>, f64)>> {
    let ends = word_ends(text);
    let mut listener = Listener { grammar, text: text.as_bytes(), starting: vec![0.0; ends.len()], ends, whole: 0.0 };
    let story = [Part::Rule(0)];
    listener.follow(0, 1.0, &mut grammar.memory(), &story, None);
    if listener.whole == 0.0 {
        return None;
    }
    let (mut start, mut before) = (0, 1.0f64);
    let mut words: Vec<(Range<usize>, f64)> = vec![];
    for (end, starting) in listener.ends.iter().zip(&listener.starting) {
        words.push((start..*end, (before / starting).ln()));
        (start, before) = (*end, *starting);
    }
    words.push((text.len()..text.len(), (before / listener.whole).ln()));
    Some(words)
}

/// Where words end: a word takes the white space before it, the last one also what follows.
fn word_ends(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let is_end =
        |at: &usize| !bytes[*at - 1].is_ascii_whitespace() && bytes.get(*at).is_some_and(u8::is_ascii_whitespace);
    let trimmed = text.trim_end().len();
    (1..trimmed).filter(is_end).chain((!text.is_empty()).then_some(text.len())).collect()
}

struct Listener<'a> {
    grammar: &'a Grammar,
    text: &'a [u8],
    ends: Vec<usize>,
    /// Probability of a story that starts with the text up to each word's end.
    starting: Vec<f64>,
    /// Probability of the whole text and nothing after it.
    whole: f64,
}

/// What is left to follow once the present parts are done.
struct Frame<'a> {
    parts: &'a [Part],
    next: Option<&'a Frame<'a>>,
}

impl Listener<'_> {
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
        let heard = match part {
            Part::Text(text) => self.hear(at, probability, text),
            Part::Rule(rule) => {
                let frame = Frame { parts: rest, next };
                for alternative in &grammar.rules[*rule].alternatives {
                    self.follow(at, probability * alternative.share, memory, &alternative.parts, Some(&frame));
                }
                None
            }
            Part::Draw { variable, class, other_than, form } => {
                let choices = grammar.choices(*class, other_than, memory);
                let each = probability / choices.len() as f64;
                let before = memory[*variable];
                for value in choices {
                    if let Some(after) = self.hear(at, each, &grammar.say(value, *form)) {
                        memory[*variable] = Some(value);
                        self.follow(after, each, memory, rest, next);
                        memory[*variable] = before;
                    }
                }
                None
            }
            Part::Say { variable, form } => {
                memory[*variable].and_then(|value| self.hear(at, probability, &grammar.say(value, *form)))
            }
            Part::Difference { from, take, form } => {
                let difference =
                    memory[*from].zip(memory[*take]).and_then(|(from, take)| grammar.difference(from, take));
                difference.and_then(|value| self.hear(at, probability, &grammar.say(value, *form)))
            }
        };
        if let Some(after) = heard {
            self.follow(after, probability, memory, rest, next);
        }
    }

    /// Counts the probability at every word end that `said` crosses in agreement with the text; where it ends if it all agrees.
    fn hear(&mut self, at: usize, probability: f64, said: &str) -> Option<usize> {
        let agreed = self.text[at..].iter().zip(said.as_bytes()).take_while(|(a, b)| a == b).count();
        let first = self.ends.partition_point(|end| *end <= at);
        for (_, starting) in
            self.ends.iter().zip(&mut self.starting).skip(first).take_while(|(end, _)| **end <= at + agreed)
        {
            *starting += probability;
        }
        (agreed == said.len()).then_some(at + agreed)
    }
}
