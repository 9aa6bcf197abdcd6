//! Tells a story: walks the grammar once, drawing at each choice, and adds up what the choices cost.

use crate::random::Counter;
use crate::tales::grammar::{Grammar, Memory, Part};

/// A story, and the nats of the choices that led to it.
pub(super) fn tell(grammar: &Grammar, random: &mut Counter) -> (String, f64) {
    let mut teller = Teller { grammar, random, memory: grammar.memory(), text: String::new(), nats: 0.0 };
    teller.tell_rule(0);
    (teller.text, teller.nats)
}

struct Teller<'a> {
    grammar: &'a Grammar,
    random: &'a mut Counter,
    memory: Memory,
    text: String,
    nats: f64,
}

impl Teller<'_> {
    fn tell_rule(&mut self, rule: usize) {
        let alternatives = &self.grammar.rules[rule].alternatives;
        let share = self.random.share();
        let mut sum = 0.0;
        let falls_here = |alternative: &&crate::tales::grammar::Alternative| {
            sum += alternative.share;
            share < sum
        };
        // Rounding may leave the sum a hair below one: then it is the last.
        let Some(taken) = alternatives.iter().find(falls_here).or(alternatives.last()) else { return };
        self.nats -= taken.share.ln();
        taken.parts.iter().for_each(|part| self.tell_part(part));
    }

    fn tell_part(&mut self, part: &Part) {
        let (value, form) = match part {
            Part::Text(text) => return self.text.push_str(text),
            Part::Rule(rule) => return self.tell_rule(*rule),
            Part::Draw { variable, class, other_than, form } => {
                let choices = self.grammar.choices(*class, other_than, &self.memory);
                self.nats += (choices.len() as f64).ln();
                self.memory[*variable] = choices.get(self.random.below(choices.len() as u64) as usize).copied();
                (self.memory[*variable], form)
            }
            Part::Say { variable, form } => (self.memory[*variable], form),
            Part::Difference { from, take, form } => {
                let difference = self.memory[*from]
                    .zip(self.memory[*take])
                    .and_then(|(from, take)| self.grammar.difference(from, take));
                (difference, form)
            }
        };
        // The tests walk every path of the shipped grammar: nothing is said before it is drawn.
        value.iter().for_each(|value| self.text.push_str(&self.grammar.say(*value, *form)));
    }
}
