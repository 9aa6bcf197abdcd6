//! Scores of tasks: equal to those of a direct computation, token by token with the key-value cache, for tokenizers with and without a start
//! token and texts longer than the context.

use burn::tensor::Device;
use engine::check;
use engine::data::tokenizer::TextTokenizer;
use engine::model::params::{self, Weights};
use engine::model::sample::TokenContext;
use engine::task::{TaskModel, built_in::built_in};
use engine::{EngineError, TaskError};
use wire::model::{Mlp, ModelPlan, Norm, Positions};
use wire::task::item::{ChoiceItem, CompletionItem, TextItem};
use wire::task::result::{TaskResult, name};
use wire::task::{Task, TaskItems};

fn model(vocab: usize, seq: usize) -> ModelPlan {
    ModelPlan {
        layers: 2,
        heads: 4,
        kv_heads: 2,
        d_model: 32,
        d_ff: 64,
        seq,
        vocab,
        positions: Positions::Rotary,
        norm: Norm::Rms,
        mlp: Mlp::Swiglu,
        qk_norm: true,
        tied_head: false,
        ..check::tiny()
    }
}

/// Larger than initial weights, so that predictions differ. Tokens from 128 on have no weights in the head, so a model of bytes writes ASCII.
fn weights(model: &ModelPlan) -> Weights {
    let specs = params::layout(model);
    let values = params::initial(&specs, 3).into_iter().zip(&specs).map(|(values, spec)| {
        let scale = |at: usize| match spec.name.as_str() {
            // [d_model, vocab]
            "head" if at % model.vocab >= 128 => 0.0,
            _ if spec.decays() => 6.0,
            _ => 1.0,
        };
        let scaled = values.into_iter().enumerate().map(|(at, value)| value * scale(at));
        params::upload(scaled.collect(), &Device::flex())
    });
    Weights::new(&specs, values.collect())
}

fn task_model(tokenizer: TextTokenizer, seq: usize) -> TaskModel {
    let model = model(tokenizer.vocab(), seq);
    let weights = weights(&model);
    TaskModel::new(model, weights, tokenizer, Device::flex(), 2).unwrap()
}

fn score(model: &TaskModel, items: TaskItems) -> Result<TaskResult, EngineError> {
    model.score(&Task { name: "test".parse().unwrap(), about: String::new(), items })
}

/// -ln p of the tokens of `text` after `before`, one token at a time.
fn direct(tokenizer: &TextTokenizer, seq: usize, before: &[u32], text: &[u32]) -> f64 {
    let model = model(tokenizer.vocab(), seq);
    let weights = weights(&model);
    let mut reader = TokenContext::new(&model, &weights, before, None, &Device::flex());
    let mut nats = 0.0;
    for token in text {
        let logits = reader.next_logits().unwrap();
        let top = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - top).exp()).sum();
        nats -= f64::from(logits[*token as usize]) - top - sum.ln();
        reader.push(*token);
    }
    nats
}

fn near(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < 1e-4 * expected.abs().max(1.0), "{what}: {found}, directly {expected}");
}

/// Tokenizers with a start token and without one.
fn tokenizers() -> [fn() -> TextTokenizer; 2] {
    [TextTokenizer::byte, || TextTokenizer::char("abcdefghijklmnopqrstuvwxyz .,", false)]
}

#[test]
fn the_likelihood_of_each_choice_is_that_of_a_direct_computation() {
    for tokenizer in tokenizers() {
        let item = |prompt: &str, choices: [&str; 3], answer| ChoiceItem {
            prompt: prompt.into(),
            choices: choices.map(str::to_owned).to_vec(),
            answer,
        };
        let items = vec![
            item("the cat sat on the", [" mat", " a very long bench", " x"], 1),
            item("a", ["b", "cd", "efg"], 0),
            item("who has it, said ann. it was", [" ben", " otto", " ann"], 2),
        ];
        let result = score(&task_model(tokenizer(), 64), TaskItems::MultipleChoice(items.clone())).unwrap();
        let tokenizer = tokenizer();
        let (mut right, mut nats, mut bytes) = ([0.0; 2], 0.0, 0.0);
        for item in &items {
            let start = tokenizer.start().into_iter().collect::<Vec<_>>();
            let before = [start, tokenizer.encode(&item.prompt).unwrap()].concat();
            let cost: Vec<f64> = item
                .choices
                .iter()
                .map(|choice| direct(&tokenizer, 64, &before, &tokenizer.encode(choice).unwrap()))
                .collect();
            let lowest = |costs: &[f64]| (0..3).min_by(|a, b| costs[*a].total_cmp(&costs[*b])).unwrap();
            let by_length: Vec<f64> =
                cost.iter().zip(&item.choices).map(|(cost, text)| cost / text.len() as f64).collect();
            right[0] += f64::from(u8::from(lowest(&cost) == item.answer));
            right[1] += f64::from(u8::from(lowest(&by_length) == item.answer));
            nats += cost[item.answer];
            bytes += item.choices[item.answer].len() as f64;
        }
        let value = |name: &str| result.value(name).unwrap();
        near(value(name::ACCURACY), right[0] / 3.0, name::ACCURACY);
        near(value(name::ACCURACY_PER_BYTE), right[1] / 3.0, name::ACCURACY_PER_BYTE);
        near(value(name::ANSWER_NATS_PER_TOKEN), nats / bytes, name::ANSWER_NATS_PER_TOKEN);
        near(value(name::ANSWER_BITS_PER_BYTE), nats / bytes / 2f64.ln(), name::ANSWER_BITS_PER_BYTE);
        assert_eq!(result.items, 3);
    }
}

#[test]
fn a_completion_is_right_if_it_is_what_the_model_writes() {
    for tokenizer in tokenizers() {
        // What the model writes, from its own logits.
        let (own, seq) = (tokenizer(), 48);
        let plan = model(own.vocab(), seq);
        let weights = weights(&plan);
        let prompts = ["once upon", "a", "said ann, it was"];
        let written = prompts.map(|prompt| {
            let start = own.start().into_iter().collect::<Vec<_>>();
            let before = [start, own.encode(prompt).unwrap()].concat();
            let mut reader = TokenContext::new(&plan, &weights, &before, None, &Device::flex()).without_cache();
            let mut text = vec![];
            while text.len() < 5 {
                let logits = reader.next_logits().unwrap();
                let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap() as u32;
                own.append_bytes(best, &mut text);
                reader.push(best);
            }
            text
        });
        let items: Vec<CompletionItem> = prompts
            .iter()
            .zip(&written)
            .map(|(prompt, text)| {
                let answer = String::from_utf8(text.clone()).unwrap();
                CompletionItem { prompt: (*prompt).into(), answer }
            })
            .collect();
        let result = score(&task_model(tokenizer(), seq), TaskItems::Completion(items.clone())).unwrap();
        assert_eq!(result.value(name::EXACT_MATCH), Some(1.0), "{items:?}");
        let other = |item: &CompletionItem| CompletionItem {
            answer: item.answer.chars().rev().map(|c| if c == 'a' { 'b' } else { 'a' }).collect(),
            ..item.clone()
        };
        let wrong = items.iter().map(other).collect();
        assert_eq!(score(&task_model(tokenizer(), seq), TaskItems::Completion(wrong)).unwrap().correct, Some(0));
    }
}

#[test]
fn the_perplexity_of_a_text_counts_every_token_once() {
    let text = "it was cold in the village, and ann went for a long walk. ".repeat(3);
    for tokenizer in tokenizers() {
        let own = tokenizer();
        let tokens = [own.start().into_iter().collect::<Vec<_>>(), own.encode(&text).unwrap()].concat();
        let scored = (tokens.len() - 1) as f64;
        // A context that holds the whole text.
        let seq = tokens.len();
        let whole =
            score(&task_model(tokenizer(), seq), TaskItems::Perplexity(vec![TextItem { text: text.clone() }])).unwrap();
        let nats = direct(&own, seq, &tokens[..1], &tokens[1..]);
        near(whole.value(name::NATS_PER_TOKEN).unwrap(), nats / scored, "whole");
        near(whole.value(name::BITS_PER_BYTE).unwrap(), nats / scored / 2f64.ln(), "bits per byte");
        near(whole.value(name::PERPLEXITY).unwrap(), (nats / scored).exp(), "perplexity");
        // A short context: the first window, then half a context before each further one.
        let (seq, mut at, mut nats) = (20, 1, 0.0);
        while at < tokens.len() {
            let start = if at == 1 { 0 } else { at - seq / 2 };
            let end = (start + seq + 1).min(tokens.len());
            nats += direct(&own, seq, &tokens[start..at], &tokens[at..end]);
            at = end;
        }
        let short =
            score(&task_model(tokenizer(), seq), TaskItems::Perplexity(vec![TextItem { text: text.clone() }])).unwrap();
        near(short.value(name::NATS_PER_TOKEN).unwrap(), nats / scored, "windows");
    }
}

#[test]
fn an_untrained_model_scores_near_chance_on_the_built_in_task_of_tales() {
    let task = built_in("tales-holder").unwrap();
    let TaskItems::MultipleChoice(mut items) = task.items else { panic!("it is multiple choice") };
    items.truncate(90);
    // Only the end of each prompt, for the sake of time.
    for item in &mut items {
        item.prompt = item.prompt[item.prompt.len() - 100..].to_owned();
    }
    let accuracy = score(&task_model(TextTokenizer::byte(), 160), TaskItems::MultipleChoice(items)).unwrap();
    let accuracy = accuracy.value(name::ACCURACY_PER_BYTE).unwrap();
    assert!((0.1..0.6).contains(&accuracy), "{accuracy}");
}

#[test]
fn a_long_prompt_loses_its_beginning_and_what_cannot_be_scored_is_an_error() {
    let byte = || task_model(TextTokenizer::byte(), 16);
    let choice = |prompt: &str, choices: [&str; 2]| {
        let choices = choices.map(str::to_owned).to_vec();
        TaskItems::MultipleChoice(vec![ChoiceItem { prompt: prompt.into(), choices, answer: 0 }])
    };
    let long = score(&byte(), choice(&format!("{}the end:", "x".repeat(900)), ["ab", "cd"])).unwrap();
    let short = score(&byte(), choice(&format!("{}the end:", "x".repeat(7)), ["ab", "cd"])).unwrap();
    near(
        long.value(name::ANSWER_NATS_PER_TOKEN).unwrap(),
        short.value(name::ANSWER_NATS_PER_TOKEN).unwrap(),
        "the last tokens of the prompt",
    );
    let error = |model: &TaskModel, items| match score(model, items) {
        Err(EngineError::Task(error)) => error,
        other => panic!("{other:?}"),
    };
    let too_long = error(&byte(), choice("a", [&"b".repeat(17), "c"]));
    assert!(matches!(too_long, TaskError::TooLong { item: 1, tokens: 17, context: 16, .. }), "{too_long}");
    let letters = task_model(TextTokenizer::char("abc", false), 16);
    let unknown = error(&letters, choice("a?", ["b", "c"]));
    assert!(unknown.to_string().contains("'?'"), "{unknown}");
    assert!(matches!(error(&letters, choice("", ["b", "c"])), TaskError::NoPrompt { item: 1 }));
}
