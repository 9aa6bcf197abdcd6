//! A constraint on a point: two expressions over parameters and a comparison between them.
//!
//! ```text
//! constraint = sum ("<" | "<=" | "==" | "!=" | ">=" | ">") sum
//! sum        = product (("+" | "-") product)*
//! product    = factor (("*" | "/" | "%") factor)*
//! factor     = number | parameter | "(" sum ")" | "-" factor
//! ```
//!
//! A minus between a name and a letter or digit belongs to the name, because ids of datasets have them: `mix.my-text`. Write spaces around
//! a minus that subtracts.

use crate::error::PlanError;

/// Longest text of a constraint, which also bounds the depth of its expressions.
const MAX_LENGTH: usize = 200;

/// A comparison of two expressions.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraint {
    left: Expression,
    comparison: Comparison,
    right: Expression,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    Number(f64),
    Parameter(String),
    Negative(Box<Self>),
    Binary(Box<Self>, char, Box<Self>),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    /// One of `+ - * / % ( )`.
    Sign(char),
    Comparison(Comparison),
}

impl Constraint {
    /// Parses a constraint.
    ///
    /// # Errors
    /// The text is no comparison of two expressions, or is longer than 200 characters. The field of the error is `constraints`.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let failed = |message: String| {
            PlanError::new("constraints", message)
                .hint("write a comparison, such as \"model.d_ff <= 4 * model.d_model\"")
        };
        if text.len() > MAX_LENGTH {
            return Err(failed(format!("the constraint is longer than {MAX_LENGTH} characters")));
        }
        let tokens = tokens(text).map_err(|at| failed(format!("{text:?} has an unexpected character: {at:?}")))?;
        let mut reader = Reader { tokens: &tokens, at: 0 };
        let parsed = reader.constraint().filter(|_| reader.at == tokens.len());
        parsed.ok_or_else(|| failed(format!("{text:?} is not a comparison of two expressions")))
    }

    /// The names of its parameters.
    pub fn names(&self) -> Vec<&str> {
        let mut names = vec![];
        self.left.names(&mut names);
        self.right.names(&mut names);
        names
    }

    /// Whether it holds for the numbers of the parameters. One with a parameter that has none does not apply, and holds.
    pub fn holds(&self, number: &impl Fn(&str) -> Option<f64>) -> bool {
        let (Some(left), Some(right)) = (self.left.value(number), self.right.value(number)) else { return true };
        match self.comparison {
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::GreaterOrEqual => left >= right,
            Comparison::Greater => left > right,
        }
    }
}

impl Expression {
    fn names<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::Number(_) => {}
            Self::Parameter(name) => names.push(name),
            Self::Negative(inner) => inner.names(names),
            Self::Binary(left, _, right) => {
                left.names(names);
                right.names(names);
            }
        }
    }

    fn value(&self, number: &impl Fn(&str) -> Option<f64>) -> Option<f64> {
        Some(match self {
            Self::Number(value) => *value,
            Self::Parameter(name) => number(name)?,
            Self::Negative(inner) => -inner.value(number)?,
            Self::Binary(left, sign, right) => {
                let (left, right) = (left.value(number)?, right.value(number)?);
                match sign {
                    '+' => left + right,
                    '-' => left - right,
                    '*' => left * right,
                    '/' => left / right,
                    _ => left % right,
                }
            }
        })
    }
}

/// Splits a text into tokens; the first character that belongs to none otherwise.
fn tokens(text: &str) -> Result<Vec<Token>, char> {
    let characters: Vec<char> = text.chars().collect();
    let (mut tokens, mut at) = (vec![], 0);
    while let Some(&first) = characters.get(at) {
        let length = match first {
            _ if first.is_whitespace() => {
                at += 1;
                continue;
            }
            '0'..='9' => number_length(&characters[at..]),
            'a'..='z' | 'A'..='Z' | '_' => name_length(&characters[at..]),
            '<' | '>' | '=' | '!' if characters.get(at + 1) == Some(&'=') => 2,
            _ => 1,
        };
        let part: String = characters[at..at + length].iter().collect();
        tokens.push(token(&part).ok_or(first)?);
        at += length;
    }
    Ok(tokens)
}

fn token(part: &str) -> Option<Token> {
    Some(match part {
        "<" => Token::Comparison(Comparison::Less),
        "<=" => Token::Comparison(Comparison::LessOrEqual),
        "==" => Token::Comparison(Comparison::Equal),
        "!=" => Token::Comparison(Comparison::NotEqual),
        ">=" => Token::Comparison(Comparison::GreaterOrEqual),
        ">" => Token::Comparison(Comparison::Greater),
        "+" | "-" | "*" | "/" | "%" | "(" | ")" => Token::Sign(part.chars().next()?),
        _ if part.starts_with(|first: char| first.is_ascii_digit()) => Token::Number(part.parse().ok()?),
        _ if part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') => {
            Token::Name(part.to_owned())
        }
        _ => return None,
    })
}

fn number_length(characters: &[char]) -> usize {
    let belongs = |at: &usize| {
        let after_exponent = *at > 0 && matches!(characters[at - 1], 'e' | 'E');
        matches!(characters[*at], '0'..='9' | '.' | 'e' | 'E') || after_exponent && matches!(characters[*at], '+' | '-')
    };
    (0..characters.len()).take_while(belongs).count()
}

fn name_length(characters: &[char]) -> usize {
    let is_word =
        |at: usize| characters.get(at).is_some_and(|one| one.is_ascii_alphanumeric() || matches!(one, '_' | '.'));
    let belongs = |at: &usize| is_word(*at) || characters[*at] == '-' && is_word(at + 1);
    (0..characters.len()).take_while(belongs).count()
}

/// Reads tokens by recursive descent, one function for each line of the grammar.
struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl Reader<'_> {
    fn constraint(&mut self) -> Option<Constraint> {
        let left = self.sum()?;
        let Token::Comparison(comparison) = *self.tokens.get(self.at)? else { return None };
        self.at += 1;
        Some(Constraint { left, comparison, right: self.sum()? })
    }

    fn sum(&mut self) -> Option<Expression> {
        let mut sum = self.product()?;
        while let Some(sign) = self.sign(&['+', '-']) {
            sum = Expression::Binary(Box::new(sum), sign, Box::new(self.product()?));
        }
        Some(sum)
    }

    fn product(&mut self) -> Option<Expression> {
        let mut product = self.factor()?;
        while let Some(sign) = self.sign(&['*', '/', '%']) {
            product = Expression::Binary(Box::new(product), sign, Box::new(self.factor()?));
        }
        Some(product)
    }

    fn factor(&mut self) -> Option<Expression> {
        if self.sign(&['-']).is_some() {
            return Some(Expression::Negative(Box::new(self.factor()?)));
        }
        if self.sign(&['(']).is_some() {
            let inner = self.sum()?;
            return self.sign(&[')']).map(|_| inner);
        }
        let factor = match self.tokens.get(self.at)? {
            Token::Number(value) => Expression::Number(*value),
            Token::Name(name) => Expression::Parameter(name.clone()),
            Token::Sign(_) | Token::Comparison(_) => return None,
        };
        self.at += 1;
        Some(factor)
    }

    /// The next token, if it is one of these signs.
    fn sign(&mut self, signs: &[char]) -> Option<char> {
        match self.tokens.get(self.at) {
            Some(Token::Sign(sign)) if signs.contains(sign) => {
                self.at += 1;
                Some(*sign)
            }
            _ => None,
        }
    }
}
