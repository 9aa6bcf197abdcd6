//! Evaluation tasks in words.

use wire::task::TaskKind;
use wire::task::lab::TaskInfo;

use super::number::counted;

/// The sentence of a task, with its size and its method.
pub(crate) fn task_in_words(task: &TaskInfo) -> String {
    let about = if task.about.is_empty() { String::new() } else { format!("{} ", task.about) };
    match task.kind {
        TaskKind::Command => {
            format!("{about}A program of the server's machine computes it from the exported checkpoint.")
        }
        kind => format!("{about}{}, {}.", counted(task.items, "item"), kind.phrase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_has_its_size_or_says_what_computes_it() {
        let task = |kind: TaskKind, about: &str| {
            let name = "capitals".parse().unwrap();
            task_in_words(&TaskInfo { name, about: about.into(), kind, items: 1, is_built_in: false })
        };
        let choices = task(TaskKind::MultipleChoice, "Names capitals.");
        assert!(choices.starts_with("Names capitals. 1 item, ") && choices.ends_with('.'), "{choices}");
        assert_eq!(
            task(TaskKind::Command, ""),
            "A program of the server's machine computes it from the exported checkpoint."
        );
    }
}
