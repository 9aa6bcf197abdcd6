//! Tales: short stories whose every word has a known price. The grammar is `tales/grammar.txt`, to be read by people too.
//!
//! Names, places and things come early and are asked for at the end, so a model must look back to pay the last words' price. A story
//! is told by [`tell`], which adds up what its choices cost; [`listen`] prices the finished text word by word, summing over every way
//! in which the grammar could have written it. The two share no code but the grammar, and the tests hold them to each other.

mod grammar;
mod listen;
mod tell;

use std::ops::Range;

use rayon::prelude::*;

use crate::corpus::draft::Draft;
use crate::data_error::{DataError, Progress};
use crate::random::Counter;
use crate::tales::grammar::SHIPPED;

/// Stories of the built-in corpus: some six million characters.
pub(crate) const STORIES: u64 = 10_000;
/// Stories told between two looks at the progress.
const AT_ONCE: u64 = 500;

/// Writes stories 0 to `stories - 1` of a seed.
pub(crate) fn write(seed: u64, stories: u64, draft: &mut Draft, progress: Progress<'_>) -> Result<(), DataError> {
    for first in (0..stories).step_by(AT_ONCE as usize) {
        if !progress(first, Some(stories), "documents") {
            return Err(DataError::Cancelled);
        }
        let told: Vec<(String, f64)> =
            (first..stories.min(first + AT_ONCE)).into_par_iter().map(|story| tell(seed, story)).collect();
        for (text, nats) in told {
            draft.append(&text)?;
            draft.end_document(Some(nats));
        }
    }
    progress(stories, Some(stories), "documents");
    Ok(())
}

/// One story of a seed, and its nats.
fn tell(seed: u64, story: u64) -> (String, f64) {
    tell::tell(&SHIPPED, &mut Counter::at(&[seed, 0x7a1e, story]))
}

/// What each word of a story costs; see [`crate::corpus::surprisal`].
pub(crate) fn surprisal(document: &str) -> Option<Vec<(Range<usize>, f64)>> {
    listen::listen(&SHIPPED, document)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use super::grammar::{Grammar, Part};
    use super::*;

    fn sum(words: &[(Range<usize>, f64)]) -> f64 {
        words.iter().map(|(_, nats)| nats).sum()
    }

    #[test]
    fn the_price_of_a_story_is_what_its_text_is_worth() {
        (0..4000u64).into_par_iter().for_each(|story| {
            let (text, nats) = tell(1, story);
            let words = surprisal(&text).expect(&text);
            assert!((sum(&words) - nats).abs() < 1e-9, "told {nats}, heard {}: {text}", sum(&words));
            let pieces: String = words.iter().map(|(range, _)| &text[range.clone()]).collect();
            assert_eq!(pieces, text, "the words follow each other");
            assert!(words.iter().all(|(_, nats)| *nats > -1e-9));
            assert!(surprisal(&format!("{text} More.")).is_none() && surprisal(&text[..text.len() - 1]).is_none());
        });
    }

    #[test]
    fn the_mean_price_is_the_entropy_of_the_grammar() {
        let nats: Vec<f64> = (0..20_000u64).into_par_iter().map(|story| tell(2, story).1).collect();
        let mean = nats.iter().sum::<f64>() / nats.len() as f64;
        let variance = nats.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / nats.len() as f64;
        let error = (variance / nats.len() as f64).sqrt();
        let exact = SHIPPED.entropy();
        assert!((mean - exact).abs() < 4.0 * error, "mean {mean} ± {error}, exact {exact}");
    }

    #[test]
    fn probabilities_of_a_small_grammar_sum_to_one() {
        // Two ways lead to "a cat a dog": the listener must add both, where the teller paid for one.
        let text = "class pet: cat, dog, hen\nstory\n    2 a {x:pet} {more}\n    a cat a dog{end}\nmore\n    a {y:pet/x}{end}\n    {x.Cap}\nend\n    -\n    3 .";
        let grammar = Grammar::read(text).unwrap();
        let texts: BTreeSet<String> =
            (0..3000).map(|story| tell::tell(&grammar, &mut Counter::new(5, story)).0).collect();
        assert_eq!(texts.len(), 15, "{texts:?}");
        let price = |text: &str| sum(&listen::listen(&grammar, text).unwrap());
        let total: f64 = texts.iter().map(|text| (-price(text)).exp()).sum();
        assert!((total - 1.0).abs() < 1e-12, "{total}");
        let both: f64 = (2.0 / 3.0 * 0.5 / 6.0 + 1.0 / 3.0) * 0.25;
        assert!((price("a cat a dog") + both.ln()).abs() < 1e-12);
        let end = listen::listen(&grammar, "a cat a dog").unwrap().pop().unwrap();
        assert!((end.1 - 4.0f64.ln()).abs() < 1e-12, "ending here rather than with a full stop costs ln 4");
    }

    #[test]
    fn words_cost_what_they_leave_open() {
        let grammar = Grammar::read("class pet: cat, car, dog\nstory\n    see {x:pet} and {x}").unwrap();
        let words = listen::listen(&grammar, "see cat and cat").unwrap();
        let expected = [0.0, 3.0f64.ln(), 0.0, 0.0, 0.0];
        assert!(words.iter().zip(expected).all(|((_, nats), wanted)| (nats - wanted).abs() < 1e-12), "{words:?}");
        assert!(listen::listen(&grammar, "see cat and dog").is_none());
    }

    #[test]
    fn told_frequencies_are_the_claimed_probabilities() {
        let text = "class pet: cat, dog, hen, cow\nstory\n    3 {x:pet} {y:pet/x}\n    1 {x:pet}";
        let grammar = Grammar::read(text).unwrap();
        let (mut counts, draws) = (HashMap::<String, f64>::new(), 40_000);
        (0..draws)
            .for_each(|story| *counts.entry(tell::tell(&grammar, &mut Counter::new(6, story)).0).or_default() += 1.0);
        let term = |(text, count): (&String, &f64)| {
            let expected = draws as f64 * (-sum(&listen::listen(&grammar, text).unwrap())).exp();
            (count - expected).powi(2) / expected
        };
        let chi_square: f64 = counts.iter().map(term).sum();
        assert!(counts.len() == 16 && chi_square < 40.0, "{chi_square}"); // 15 degrees of freedom: beyond 40 once in 2,000 seeds
    }

    #[test]
    fn every_choice_of_the_grammar_is_whole() {
        for rule in &SHIPPED.rules {
            let total: f64 = rule.alternatives.iter().map(|alternative| alternative.share).sum();
            assert!((total - 1.0).abs() < 1e-12);
        }
        assert_bound(&SHIPPED, 0, BTreeSet::new());
    }

    /// No path of the grammar says a value before it is drawn. Returns what is drawn on every path.
    fn assert_bound(grammar: &Grammar, rule: usize, before: BTreeSet<usize>) -> BTreeSet<usize> {
        let after = grammar.rules[rule].alternatives.iter().map(|alternative| {
            alternative.parts.iter().fold(before.clone(), |mut drawn, part| {
                let needed: Vec<usize> = match part {
                    Part::Text(_) => vec![],
                    Part::Rule(inner) => return assert_bound(grammar, *inner, drawn),
                    Part::Draw { other_than, .. } => other_than.clone(),
                    Part::Say { variable, .. } => vec![*variable],
                    Part::Difference { from, take, .. } => vec![*from, *take],
                };
                assert!(
                    needed.iter().all(|variable| drawn.contains(variable)),
                    "rule {rule}: {part:?} comes too early"
                );
                if let Part::Draw { variable, .. } = part {
                    drawn.insert(*variable);
                }
                drawn
            })
        });
        after.reduce(|a, b| a.intersection(&b).copied().collect()).unwrap_or_default()
    }

    #[test]
    fn stories_are_short_and_of_few_words() {
        let told: Vec<String> = (0..3000u64).into_par_iter().map(|story| tell(3, story).0).collect();
        let lengths: Vec<usize> = told.iter().map(|text| text.split_whitespace().count()).collect();
        let plain = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        let words: BTreeSet<String> = told.iter().flat_map(|text| text.split_whitespace().map(plain)).collect();
        let (shortest, longest) = (lengths.iter().min().unwrap(), lengths.iter().max().unwrap());
        assert!(*shortest >= 60 && *longest <= 200, "{shortest} to {longest} words");
        assert!((250..=450).contains(&words.len()), "{} words", words.len());
        assert!(told.iter().all(|text| !text.contains("  ")
            && !text.contains('_')
            && text.is_ascii()
            && text.ends_with(['.', '!', '"'])));
    }

    #[test]
    fn a_bad_grammar_is_refused() {
        for bad in [
            "",
            "story\n    {nothing}",
            "story\n    {x:nothing}",
            "story\n    {x",
            "  lost",
            "class a b",
            "story\n    {x.loud}",
        ] {
            assert!(Grammar::read(bad).is_err(), "{bad:?}");
        }
    }
}
