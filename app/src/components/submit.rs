//! The end of a form: the button that sends it, and beside it its effect or what is wrong. An error is shown once its field was edited, or
//! once somebody has tried to send the form: a form that was just opened shows none.

use std::collections::BTreeSet;

use leptos::prelude::*;
use wire::PlanError;

use super::{TypedNumber, hint_sentence, says, sentence};

/// The fields of a form that were edited, and whether somebody has tried to send it.
#[derive(Clone, Copy)]
pub(crate) struct Edits {
    fields: RwSignal<BTreeSet<&'static str>>,
    was_sent: RwSignal<bool>,
}

impl Edits {
    pub(crate) fn new() -> Self {
        Self { fields: RwSignal::default(), was_sent: RwSignal::new(false) }
    }

    /// Notes that a field was edited, by its path in errors.
    pub(crate) fn edit(self, field: &'static str) {
        if !self.fields.read_untracked().contains(field) {
            self.fields.update(|fields| {
                fields.insert(field);
            });
        }
    }

    /// Notes that somebody has tried to send the form.
    pub(crate) fn send(self) {
        self.was_sent.set(true);
    }

    /// Notes which numbers are edited, by their paths in errors.
    pub(crate) fn follow(self, numbers: Vec<(&'static str, TypedNumber)>) {
        Effect::new(move || {
            let touched = numbers.iter().filter(|(_, number)| number.is_touched());
            touched.for_each(|&(field, _)| self.edit(field));
        });
    }

    /// Whether an error at this path is shown. An edited field contains the paths below it.
    pub(crate) fn shows(self, path: &str) -> bool {
        self.was_sent.get() || self.fields.read().iter().any(|field| contains(field, path))
    }
}

fn contains(field: &str, path: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The button, and the text beside it.
#[component]
pub(crate) fn SubmitRow(
    word: &'static str,
    meaning: &'static str,
    /// The effect of sending the form in sentences, or its first error.
    effect: Memo<Result<String, PlanError>>,
    edits: Edits,
    is_sending: RwSignal<bool>,
) -> impl IntoView {
    let shown = Memo::new(move |_| match &*effect.read() {
        Ok(effect) => Ok(effect.clone()),
        Err(error) if edits.shows(&error.field) => Err(problem(error)),
        Err(_) => Ok(String::new()),
    });
    view! {
        <div class="row">
            <button class="primary" type="submit" title=meaning disabled=move || is_sending.get()>{word}</button>
            <span class="small dim" role="status">{says(move || shown.get().unwrap_or_default())}</span>
            <span class="field-error" role="alert">{says(move || shown.get().err().unwrap_or_default())}</span>
        </div>
    }
}

/// What is wrong and what to do, in sentences.
fn problem(error: &PlanError) -> String {
    let hint = error.hint.as_deref().and_then(hint_sentence).map(|hint| format!(" {hint}"));
    format!("{}{}", sentence(&error.message), hint.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edited_field_contains_the_paths_below_it() {
        for (field, path, expected) in [
            ("title", "title", true),
            ("change", "change.overrides.model.layers", true),
            ("change", "changes", false),
            ("title", "hypothesis", false),
        ] {
            assert_eq!(contains(field, path), expected, "{field} {path}");
        }
    }
}
