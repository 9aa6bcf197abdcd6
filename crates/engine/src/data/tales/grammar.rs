//! The grammar as data: rules of weighted alternatives, classes of values, and the values of variables. It is read from text once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

/// The grammar of the built-in corpus. It is part of the program, and every test reads it, so it is valid.
pub(super) static SHIPPED: LazyLock<Grammar> =
    LazyLock::new(|| Grammar::read(include_str!("grammar.txt")).expect("the shipped grammar reads"));

/// Rules; the first one derives a whole story.
pub(super) struct Grammar {
    pub(super) rules: Vec<Rule>,
    /// Values of all classes; a class is a range of them.
    values: Vec<Value>,
    classes: Vec<Range<usize>>,
    variables: usize,
}

/// A rule: one of its alternatives is chosen.
#[derive(Default)]
pub(super) struct Rule {
    pub(super) alternatives: Vec<Alternative>,
}

/// An alternative: parts in order, with its probability.
pub(super) struct Alternative {
    /// Probability among the rule's alternatives.
    pub(super) probability: f64,
    pub(super) parts: Vec<Part>,
}

/// A part of an alternative. Variables and rules are numbered.
#[derive(Debug)]
pub(super) enum Part {
    Text(String),
    Rule(usize),
    /// Draws a value of a class, uniformly among those that the named variables do not have, assigns and writes it.
    Draw {
        variable: usize,
        class: usize,
        other_than: Vec<usize>,
        form: Form,
    },
    Write {
        variable: usize,
        form: Form,
    },
    /// Writes the difference of two numbers.
    Difference {
        from: usize,
        take: usize,
        form: Form,
    },
}

/// The form in which a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Cap,
    He,
    CapHe,
    Him,
    His,
    CapHis,
    Child,
}

struct Value {
    text: String,
    is_she: bool,
}

/// The value of each variable, by its number.
pub(super) type Memory = Vec<Option<usize>>;

impl Grammar {
    /// Reads a grammar in the form that `grammar.txt` explains.
    ///
    /// # Errors
    /// The number of the invalid line, with the reason.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let lines = || text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        let mut reader = Reader::default();
        let mut grammar = Self { rules: vec![], values: vec![], classes: vec![], variables: 0 };
        for (index, line) in lines() {
            if let Some(class) = line.strip_prefix("class ") {
                grammar.read_class(class, &mut reader).ok_or_else(|| format!("line {}: no class", index + 1))?;
            } else if !line.starts_with(' ') {
                reader.rules.insert(line.trim(), grammar.rules.len());
                grammar.rules.push(Rule::default());
            }
        }
        let (mut rule, mut started) = (0, false);
        for (index, line) in lines().filter(|(_, line)| !line.starts_with("class ")) {
            if !line.starts_with(' ') {
                (rule, started) = (if started { rule + 1 } else { 0 }, true);
                continue;
            }
            let alternative = reader
                .alternative(line.trim())
                .filter(|_| started)
                .ok_or_else(|| format!("line {}: {line:?} cannot be parsed", index + 1))?;
            grammar.rules[rule].alternatives.push(alternative);
        }
        grammar.variables = reader.variables.len();
        if grammar.rules.is_empty() || grammar.rules.iter().any(|rule| rule.alternatives.is_empty()) {
            return Err("a rule has no alternatives".to_owned());
        }
        for rule in &mut grammar.rules {
            let total: f64 = rule.alternatives.iter().map(|alternative| alternative.probability).sum();
            rule.alternatives.iter_mut().for_each(|alternative| alternative.probability /= total);
        }
        Ok(grammar)
    }

    fn read_class<'a>(&mut self, line: &'a str, reader: &mut Reader<'a>) -> Option<()> {
        let (name, values) = line.split_once(':')?;
        let first = self.values.len();
        self.values.extend(values.split(',').map(|value| {
            let text = value.trim().trim_end_matches("(she)").trim_end_matches("(he)").trim_end();
            Value { text: text.to_owned(), is_she: value.trim().ends_with("(she)") }
        }));
        reader.classes.insert(name.trim(), self.classes.len());
        self.classes.push(first..self.values.len());
        Some(())
    }

    /// All variables, without values.
    pub(super) fn memory(&self) -> Memory {
        vec![None; self.variables]
    }

    /// Values of a class that the named variables do not have.
    pub(super) fn choices(&self, class: usize, other_than: &[usize], memory: &Memory) -> Vec<usize> {
        self.classes[class]
            .clone()
            .filter(|value| other_than.iter().all(|variable| memory[*variable] != Some(*value)))
            .collect()
    }

    /// A value as text.
    pub(super) fn write(&self, value: usize, form: Form) -> Cow<'_, str> {
        let value = &self.values[value];
        let gender = |she, he| Cow::Borrowed(if value.is_she { she } else { he });
        match form {
            Form::Plain => Cow::Borrowed(&value.text),
            Form::Cap => Cow::Owned(value.text[..1].to_uppercase() + &value.text[1..]),
            Form::He => gender("she", "he"),
            Form::CapHe => gender("She", "He"),
            Form::Him => gender("her", "him"),
            Form::His => gender("her", "his"),
            Form::CapHis => gender("Her", "His"),
            Form::Child => gender("girl", "boy"),
        }
    }

    /// The number `from` minus `take`, as a value of the class whose first value is `zero`.
    pub(super) fn difference(&self, from: usize, take: usize) -> Option<usize> {
        let zero = self.values.iter().position(|value| value.text == "zero")?;
        let number = |value: usize| self.values[zero..].iter().position(|word| word.text == self.values[value].text);
        Some(zero + number(from)?.checked_sub(number(take)?)?)
    }

    /// Entropy of a story in nats, from the grammar alone: that of each choice, plus the entropies of what follows weighted by its probability.
    #[cfg(test)]
    pub(super) fn entropy(&self) -> f64 {
        self.entropy_of(0)
    }

    #[cfg(test)]
    fn entropy_of(&self, rule: usize) -> f64 {
        let of_part = |part: &Part| match part {
            Part::Rule(rule) => self.entropy_of(*rule),
            Part::Draw { class, other_than, .. } => ((self.classes[*class].len() - other_than.len()) as f64).ln(),
            _ => 0.0,
        };
        let of = |alternative: &Alternative| {
            alternative.probability
                * (alternative.parts.iter().map(of_part).sum::<f64>() - alternative.probability.ln())
        };
        self.rules[rule].alternatives.iter().map(of).sum()
    }
}

/// Names read so far.
#[derive(Default)]
struct Reader<'a> {
    rules: HashMap<&'a str, usize>,
    classes: HashMap<&'a str, usize>,
    variables: HashMap<String, usize>,
}

impl Reader<'_> {
    fn alternative(&mut self, line: &str) -> Option<Alternative> {
        let weighted = line.split_once(' ').and_then(|(weight, rest)| Some((weight.parse::<f64>().ok()?, rest.trim())));
        let (probability, text) = weighted.unwrap_or((1.0, line));
        let mut parts = vec![];
        let mut rest = if text == "-" { "" } else { text };
        while let Some((plain, slot)) = rest.split_once('{') {
            let (slot, after) = slot.split_once('}')?;
            push_text(&mut parts, plain);
            parts.push(self.slot(slot)?);
            rest = after;
        }
        push_text(&mut parts, rest);
        Some(Alternative { probability, parts })
    }

    fn slot(&mut self, slot: &str) -> Option<Part> {
        if let Some(rule) = self.rules.get(slot) {
            return Some(Part::Rule(*rule));
        }
        let (what, form) = slot.split_once('.').map_or((slot, Some(Form::Plain)), |(what, form)| (what, form_of(form)));
        let form = form?;
        if let Some((variable, drawn)) = what.split_once(':') {
            let mut names = drawn.split('/');
            let class = *self.classes.get(names.next()?)?;
            let other_than = names.map(|name| self.known(name)).collect::<Option<Vec<usize>>>()?;
            let fresh = self.variables.len();
            let variable = *self.variables.entry(variable.to_owned()).or_insert(fresh);
            return Some(Part::Draw { variable, class, other_than, form });
        }
        if let Some((from, take)) = what.split_once('-') {
            return Some(Part::Difference { from: self.known(from)?, take: self.known(take)?, form });
        }
        Some(Part::Write { variable: self.known(what)?, form })
    }

    fn known(&self, variable: &str) -> Option<usize> {
        self.variables.get(variable).copied()
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.replace('_', " ")));
    }
}

fn form_of(name: &str) -> Option<Form> {
    Some(match name {
        "Cap" => Form::Cap,
        "he" => Form::He,
        "He" => Form::CapHe,
        "him" => Form::Him,
        "his" => Form::His,
        "His" => Form::CapHis,
        "child" => Form::Child,
        _ => return None,
    })
}
