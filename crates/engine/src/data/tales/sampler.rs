//! Samples a story: walks the grammar once, draws at each choice, and sums the surprisal of the choices.

use crate::data::tales::grammar::{Grammar, Memory, Part};
use crate::kernels::random::Counter;

/// A story, and the surprisal of its choices in nats.
pub(super) fn sample(grammar: &Grammar, random: &mut Counter) -> (String, f64) {
    let mut sampler = Sampler { grammar, random, memory: grammar.memory(), text: String::new(), nats: 0.0 };
    sampler.sample_rule(0);
    (sampler.text, sampler.nats)
}

struct Sampler<'a> {
    grammar: &'a Grammar,
    random: &'a mut Counter,
    memory: Memory,
    text: String,
    nats: f64,
}

impl Sampler<'_> {
    fn sample_rule(&mut self, rule: usize) {
        let alternatives = &self.grammar.rules[rule].alternatives;
        let uniform = self.random.uniform();
        let mut sum = 0.0;
        let is_chosen = |alternative: &&crate::data::tales::grammar::Alternative| {
            sum += alternative.probability;
            uniform < sum
        };
        // Rounding may leave the sum slightly below one; the last alternative is used then.
        let Some(chosen) = alternatives.iter().find(is_chosen).or(alternatives.last()) else { return };
        self.nats -= chosen.probability.ln();
        chosen.parts.iter().for_each(|part| self.sample_part(part));
    }

    fn sample_part(&mut self, part: &Part) {
        let (value, form) = match part {
            Part::Text(text) => return self.text.push_str(text),
            Part::Rule(rule) => return self.sample_rule(*rule),
            Part::Draw { variable, class, other_than, form } => {
                let choices = self.grammar.choices(*class, other_than, &self.memory);
                self.nats += (choices.len() as f64).ln();
                self.memory[*variable] = choices.get(self.random.below(choices.len() as u64) as usize).copied();
                (self.memory[*variable], form)
            }
            Part::Write { variable, form } => (self.memory[*variable], form),
            Part::Difference { from, take, form } => {
                let difference = self.memory[*from]
                    .zip(self.memory[*take])
                    .and_then(|(from, take)| self.grammar.difference(from, take));
                (difference, form)
            }
        };
        // A test walks every derivation of the built-in grammar: nothing is written before it is drawn.
        value.iter().for_each(|value| self.text.push_str(&self.grammar.write(*value, *form)));
    }
}
