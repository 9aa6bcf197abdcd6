//! Tales: short stories from a probabilistic grammar, `tales/grammar.txt`, so that the surprisal of every word is known.
//!
//! Names, locations and objects are introduced early and used at the end, so a model must attend to earlier tokens to predict the last words.
//! `sampler` generates a story and sums the surprisal of its choices; `surprisal` computes the surprisal of a finished text word by word, as a
//! sum over every derivation in the grammar. They have only the grammar in common, and the tests compare them.

mod grammar;
mod sampler;
mod surprisal;

use std::ops::Range;

use rayon::prelude::*;

use crate::data::draft::Draft;
use crate::data::tales::grammar::SHIPPED;
use crate::error::{DataError, Progress};
use crate::kernels::random::Counter;

/// Number of stories of the built-in corpus: about six million characters.
pub(crate) const STORIES: u64 = 10_000;
/// Number of stories between two reports of progress.
const AT_ONCE: u64 = 500;

/// Writes stories 0 to `stories - 1` of a seed.
pub(crate) fn write(seed: u64, stories: u64, draft: &mut Draft, progress: Progress<'_>) -> Result<(), DataError> {
    for first in (0..stories).step_by(AT_ONCE as usize) {
        if !progress(first, Some(stories), "documents") {
            return Err(DataError::Cancelled);
        }
        let stories_of_block: Vec<(String, f64)> =
            (first..stories.min(first + AT_ONCE)).into_par_iter().map(|story| sample(seed, story)).collect();
        for (text, nats) in stories_of_block {
            draft.append(&text)?;
            draft.end_document(Some(nats));
        }
    }
    progress(stories, Some(stories), "documents");
    Ok(())
}

/// One story of a seed, and its surprisal in nats.
pub(crate) fn sample(seed: u64, story: u64) -> (String, f64) {
    sampler::sample(&SHIPPED, &mut Counter::at(&[seed, 0x7a1e, story]))
}

/// Surprisal of each word of a story; see [`crate::data::generators::surprisal`].
pub(crate) fn surprisal(document: &str) -> Option<Vec<(Range<usize>, f64)>> {
    surprisal::of_words(&SHIPPED, document)
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
    fn surprisals_sum_to_the_nats_of_the_story() {
        (0..4000u64).into_par_iter().for_each(|story| {
            let (text, nats) = sample(1, story);
            let words = surprisal(&text).expect(&text);
            assert!((sum(&words) - nats).abs() < 1e-9, "sampled {nats}, parsed {}: {text}", sum(&words));
            let pieces: String = words.iter().map(|(range, _)| &text[range.clone()]).collect();
            assert_eq!(pieces, text, "the words are consecutive");
            assert!(words.iter().all(|(_, nats)| *nats > -1e-9));
            assert!(surprisal(&format!("{text} More.")).is_none() && surprisal(&text[..text.len() - 1]).is_none());
        });
    }

    #[test]
    fn the_mean_of_the_nats_is_the_entropy_of_the_grammar() {
        let nats: Vec<f64> = (0..20_000u64).into_par_iter().map(|story| sample(2, story).1).collect();
        let mean = nats.iter().sum::<f64>() / nats.len() as f64;
        let variance = nats.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / nats.len() as f64;
        let error = (variance / nats.len() as f64).sqrt();
        let exact = SHIPPED.entropy();
        assert!((mean - exact).abs() < 4.0 * error, "mean {mean} ± {error}, exact {exact}");
    }

    #[test]
    fn probabilities_of_a_small_grammar_sum_to_one() {
        // "a cat a dog" has two derivations: its probability is the sum of both, and the sampler took one of them.
        let text = "class pet: cat, dog, hen\nstory\n    2 a {x:pet} {more}\n    a cat a dog{end}\nmore\n    a {y:pet/x}{end}\n    {x.Cap}\nend\n    -\n    3 .";
        let grammar = Grammar::read(text).unwrap();
        let texts: BTreeSet<String> =
            (0..3000).map(|story| sampler::sample(&grammar, &mut Counter::new(5, story)).0).collect();
        assert_eq!(texts.len(), 15, "{texts:?}");
        let nats = |text: &str| sum(&surprisal::of_words(&grammar, text).unwrap());
        let total: f64 = texts.iter().map(|text| (-nats(text)).exp()).sum();
        assert!((total - 1.0).abs() < 1e-12, "{total}");
        let both: f64 = (2.0 / 3.0 * 0.5 / 6.0 + 1.0 / 3.0) * 0.25;
        assert!((nats("a cat a dog") + both.ln()).abs() < 1e-12);
        let end = surprisal::of_words(&grammar, "a cat a dog").unwrap().pop().unwrap();
        assert!((end.1 - 4.0f64.ln()).abs() < 1e-12, "an end without a full stop has ln 4 nats");
    }

    #[test]
    fn each_word_has_the_nats_of_its_choice() {
        let grammar = Grammar::read("class pet: cat, car, dog\nstory\n    see {x:pet} and {x}").unwrap();
        let words = surprisal::of_words(&grammar, "see cat and cat").unwrap();
        let expected = [0.0, 3.0f64.ln(), 0.0, 0.0, 0.0];
        assert!(words.iter().zip(expected).all(|((_, nats), wanted)| (nats - wanted).abs() < 1e-12), "{words:?}");
        assert!(surprisal::of_words(&grammar, "see cat and dog").is_none());
    }

    #[test]
    fn frequencies_of_samples_are_the_probabilities() {
        let text = "class pet: cat, dog, hen, cow\nstory\n    3 {x:pet} {y:pet/x}\n    1 {x:pet}";
        let grammar = Grammar::read(text).unwrap();
        let (mut counts, draws) = (HashMap::<String, f64>::new(), 40_000);
        (0..draws).for_each(|story| {
            *counts.entry(sampler::sample(&grammar, &mut Counter::new(6, story)).0).or_default() += 1.0
        });
        let term = |(text, count): (&String, &f64)| {
            let expected = draws as f64 * (-sum(&surprisal::of_words(&grammar, text).unwrap())).exp();
            (count - expected).powi(2) / expected
        };
        let chi_square: f64 = counts.iter().map(term).sum();
        assert!(counts.len() == 16 && chi_square < 40.0, "{chi_square}"); // 15 degrees of freedom: beyond 40 once in 2,000 seeds
    }

    #[test]
    fn the_probabilities_of_every_rule_sum_to_one() {
        for rule in &SHIPPED.rules {
            let total: f64 = rule.alternatives.iter().map(|alternative| alternative.probability).sum();
            assert!((total - 1.0).abs() < 1e-12);
        }
        assert_bound(&SHIPPED, 0, BTreeSet::new());
    }

    /// No derivation writes a variable before it is drawn. Returns the variables that are drawn in every derivation.
    fn assert_bound(grammar: &Grammar, rule: usize, before: BTreeSet<usize>) -> BTreeSet<usize> {
        let after = grammar.rules[rule].alternatives.iter().map(|alternative| {
            alternative.parts.iter().fold(before.clone(), |mut drawn, part| {
                let needed: Vec<usize> = match part {
                    Part::Text(_) => vec![],
                    Part::Rule(inner) => return assert_bound(grammar, *inner, drawn),
                    Part::Draw { other_than, .. } => other_than.clone(),
                    Part::Write { variable, .. } => vec![*variable],
                    Part::Difference { from, take, .. } => vec![*from, *take],
                };
                assert!(
                    needed.iter().all(|variable| drawn.contains(variable)),
                    "rule {rule}: {part:?} is written before it is drawn"
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
        let stories: Vec<String> = (0..3000u64).into_par_iter().map(|story| sample(3, story).0).collect();
        let lengths: Vec<usize> = stories.iter().map(|text| text.split_whitespace().count()).collect();
        let plain = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        let words: BTreeSet<String> = stories.iter().flat_map(|text| text.split_whitespace().map(plain)).collect();
        let (shortest, longest) = (lengths.iter().min().unwrap(), lengths.iter().max().unwrap());
        assert!(*shortest >= 60 && *longest <= 200, "{shortest} to {longest} words");
        assert!((250..=450).contains(&words.len()), "{} words", words.len());
        assert!(stories.iter().all(|text| !text.contains("  ")
            && !text.contains('_')
            && text.is_ascii()
            && text.ends_with(['.', '!', '"'])));
    }

    #[test]
    fn an_invalid_grammar_is_refused() {
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
