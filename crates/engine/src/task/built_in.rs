//! The tasks that are part of the program, for two of the generated datasets. Their items are not in the training data: stories have a seed of
//! their own, and sums are those of the validation split.

use wire::task::item::{ChoiceItem, CompletionItem};
use wire::task::{BUILT_IN, Task, TaskItems};

use crate::data::documents::{SUMS_HELD_OUT_TENTHS, is_held_out};
use crate::data::{modular_addition, tales};
use crate::kernels::random::Counter;

const TALES_HOLDER: &str = BUILT_IN[0].0;
const MODULAR_ADDITION: &str = BUILT_IN[1].0;
/// Number of items of each task: the standard error of an accuracy is at most 3.6 percentage points.
const ITEMS: usize = 200;
/// Seed of the stories; the built-in dataset has seed 1.
const STORY_SEED: u64 = 0x7a1e_5eed;
/// More stories than are ever needed: about one in nine gives an item.
const MAX_STORIES: u64 = 20 * ITEMS as u64;

/// A built-in task by its name.
pub fn built_in(name: &str) -> Option<Task> {
    let (about, items) = match name {
        TALES_HOLDER => (
            "Who has the thing that was lent twice: one of three characters of a story. Guessing scores 1/3.",
            TaskItems::MultipleChoice(holder_items(ITEMS).into_iter().map(|(item, _)| item).collect()),
        ),
        MODULAR_ADDITION => (
            "Sums of two numbers modulo 97 that do not occur in the training text. An answer counts only if all its digits are right. Guessing \
             scores about 1/97.",
            TaskItems::Completion(sums(ITEMS)),
        ),
        _ => return None,
    };
    Some(Task { name: name.parse().ok()?, about: about.to_owned(), items })
}

/// Items from stories in which a thing is lent twice, and what follows each right choice in its story.
fn holder_items(count: usize) -> Vec<(ChoiceItem, String)> {
    let mut random = Counter::new(STORY_SEED, 1);
    (0..MAX_STORIES)
        .filter_map(|story| holder_item(&tales::sample(STORY_SEED, story).0, &mut random))
        .take(count)
        .collect()
}

/// The question of a story: which of the three people got the thing last. `None` for a story without one.
fn holder_item(story: &str, random: &mut Counter) -> Option<(ChoiceItem, String)> {
    let (owner, borrower, holder, at) = confessions(story).or_else(|| errands(story))?;
    let mut people = [owner, borrower, holder];
    random.shuffle(&mut people);
    let answer = people.iter().position(|person| *person == holder)?;
    // The space before a name belongs to the choice: byte-pair encodings merge it with the name.
    let (prompt, rest) = (&story[..at], &story[at + 1 + holder.len()..]);
    let choices = people.iter().map(|person| format!(" {person}")).collect();
    Some((ChoiceItem { prompt: prompt.to_owned(), choices, answer }, rest.to_owned()))
}

/// `"I gave it to Ben," said Anna. "I gave it to Otto," said Ben.`: owner, borrower, holder, and the place of the space before the holder.
fn confessions(story: &str) -> Option<(&str, &str, &str, usize)> {
    const GAVE: &str = "\"I gave it to ";
    let first = story.find(GAVE)? + GAVE.len();
    let second = first + story[first..].find(GAVE)? + GAVE.len();
    let (borrower, after) = story[first..].split_once(",\" said ")?;
    let owner = after.split('.').next()?;
    let holder = story[second..].split_once(",\" said ")?.0;
    Some((owner, borrower, holder, second - 1))
}

/// `Anna asked Ben, Ben asked Otto, and Otto ran to get it`: the same.
fn errands(story: &str) -> Option<(&str, &str, &str, usize)> {
    let end = story.find(" ran to get it")?;
    let before = &story[..end];
    let asked = before.rfind(" asked ")? + " asked ".len();
    let holder = before[asked..].split(',').next()?;
    let first = before[..asked - " asked ".len()].rsplit("\" ").next()?;
    let (owner, borrower) = first.split(',').next()?.split_once(" asked ")?;
    Some((owner, borrower, holder, asked - 1))
}

/// Pairs of numbers drawn without repetition, with their sums; only those that are held out of every dataset of modular addition.
fn sums(count: usize) -> Vec<CompletionItem> {
    let modulus = modular_addition::MODULUS;
    let mut pairs: Vec<u64> = (0..modulus * modulus).collect();
    Counter::new(STORY_SEED, 2).shuffle(&mut pairs);
    let item = |pair: u64| {
        let (a, b) = (pair / modulus, pair % modulus);
        let number = modular_addition::write_number;
        CompletionItem { prompt: format!("{}+{}=", number(a), number(b)), answer: number((a + b) % modulus) }
    };
    let is_new = |item: &CompletionItem| is_held_out(&format!("{}{}", item.prompt, item.answer), SUMS_HELD_OUT_TENTHS);
    pairs.into_iter().map(item).filter(is_new).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the grammar says is the perfect model: a story with a wrong choice has probability 0.
    #[test]
    fn only_the_right_choice_continues_the_story() {
        let items = holder_items(ITEMS);
        assert_eq!(items.len(), ITEMS);
        let mut answers = [0; 3];
        for (item, rest) in &items {
            answers[item.answer] += 1;
            for (at, choice) in item.choices.iter().enumerate() {
                let story = format!("{}{choice}{rest}", item.prompt);
                assert_eq!(tales::surprisal(&story).is_some(), at == item.answer, "{story}");
            }
            assert!(
                item.choices.iter().all(|choice| item.prompt.contains(choice.trim())),
                "all three are named before"
            );
        }
        assert!(answers.iter().all(|count| *count > ITEMS / 5), "the place of the answer tells nothing: {answers:?}");
    }

    #[test]
    fn every_sum_is_a_held_out_document_of_its_dataset() {
        for item in sums(ITEMS) {
            let document = format!("{}{}", item.prompt, item.answer);
            assert!(modular_addition::surprisal(&document).is_some(), "{document}");
            assert!(is_held_out(&document, SUMS_HELD_OUT_TENTHS), "{document}");
        }
    }

    #[test]
    fn built_in_tasks_are_files_that_can_be_read() {
        for (name, _) in BUILT_IN {
            let task = built_in(name).unwrap();
            assert_eq!((task.name.as_str(), task.items.len()), (name, ITEMS));
            assert_eq!(super::super::file::parse(&serde_json::to_vec(&task).unwrap()).unwrap(), task);
        }
        assert!(built_in("capitals").is_none());
    }
}
