//! Parts of the form: a section, the error below a field, and the fields of numbers.

use leptos::prelude::*;
use wire::hyperparameters::table::Values;

use super::draft::Draft;
use crate::components::hyperparameters::written;
use crate::components::number::grouped;
use crate::components::{NumberField, NumberValue, TypedNumber, hint_sentence, sentence};

/// What is wrong at a field and what to do; nothing for a valid field.
#[component]
pub(super) fn FieldError(
    /// The path in the plan, as errors name it.
    #[prop(into)]
    field: String,
) -> impl IntoView {
    let draft = expect_context::<Draft>();
    move || {
        draft.error_at(&field).map(|(message, hint)| {
            view! {
                <p class="field-error" role="alert">
                    {sentence(&message)}
                    {hint.as_deref().and_then(hint_sentence).map(|hint| view! { <span class="hint">{hint}</span> })}
                </p>
            }
        })
    }
}

#[component]
pub(super) fn FormSection(
    title: &'static str,
    /// Note beside the title.
    #[prop(default = "")]
    note: &'static str,
    children: Children,
) -> impl IntoView {
    view! {
        <section class="stack part" aria-label=title>
            <div class="row"><h2>{title}</h2><span class="small dim">{note}</span></div>
            {children()}
        </section>
    }
}

/// A number of the draft. Its text follows the draft, except while it already has that number, and while it cannot be
/// read.
#[derive(Clone, Copy)]
pub(super) struct DraftNumber {
    draft: Draft,
    /// The field of the spec, as errors name it.
    field: &'static str,
    typed: TypedNumber,
    set: Callback<Option<NumberValue>>,
}

impl DraftNumber {
    /// The number of a field. `own` is what the draft has for it, `shown` what it stands for: that, or a default.
    pub(super) fn new(
        field: &'static str,
        typed: TypedNumber,
        own: Memo<Option<NumberValue>>,
        shown: Memo<Option<NumberValue>>,
        set: impl Fn(Option<NumberValue>) + Send + Sync + 'static,
    ) -> Self {
        let draft = expect_context::<Draft>();
        let show = move |value: Option<NumberValue>| {
            typed.set(value.map(|value| written(&value.to_json())).unwrap_or_default());
        };
        show(shown.get_untracked());
        let is_unreadable = Memo::new(move |_| draft.is_unreadable(field));
        Effect::new(move || {
            let (own, shown) = (own.get(), shown.get());
            let read = untrack(|| typed.read());
            if !is_unreadable.get() && read != Ok(own) && read != Ok(shown) {
                show(shown);
            }
        });
        on_cleanup(move || draft.set_readable(field, true));
        Self { draft, field, typed, set: Callback::new(set) }
    }

    /// Passes what was typed to the draft; an unreadable text leaves the draft as it is.
    fn take(self) {
        let read = untrack(|| self.typed.read());
        self.draft.set_readable(self.field, read.is_ok());
        if let Ok(value) = read {
            self.set.run(value);
        }
    }
}

/// The field of a [`DraftNumber`].
#[component]
pub(super) fn DraftNumberField(
    number: DraftNumber,
    /// Id of the input.
    #[prop(optional_no_strip)]
    id: Option<&'static str>,
    /// Name for screen readers, where no label surrounds the field.
    #[prop(optional_no_strip)]
    label: Option<&'static str>,
    /// The value that is used when the field is empty.
    #[prop(optional, into)]
    placeholder: MaybeProp<String>,
) -> impl IntoView {
    let is_refused = Signal::derive(move || number.draft.error_at(number.field).is_some());
    view! {
        <NumberField
            number=number.typed
            id
            label
            placeholder
            is_refused
            on_typed=move |()| number.take()
        />
    }
}

/// An integer of the spec that can be left out.
#[component]
pub(super) fn IntegerField(
    /// The field of the spec, as errors name it.
    field: &'static str,
    label: &'static str,
    /// Meaning, shown below.
    meaning: &'static str,
    /// Values that it accepts.
    values: Values,
    #[prop(into)] value: Signal<Option<u64>>,
    #[prop(into)] default: Signal<u64>,
    /// Sets the value.
    #[prop(into)]
    set: Callback<Option<u64>>,
) -> impl IntoView {
    let own = Memo::new(move |_| value.get().map(NumberValue::Integer));
    let take = move |value: Option<NumberValue>| set.run(value.and_then(NumberValue::as_integer));
    let number = DraftNumber::new(field, TypedNumber::optional(values), own, own, take);
    view! {
        <label class="field" title=move || format!("{meaning} Default: {}.", grouped(default.get()))>
            <span class="label">{label}</span>
            <DraftNumberField number placeholder=Signal::derive(move || grouped(default.get())) />
            <span class="small dim">{meaning}</span>
            <FieldError field />
        </label>
    }
}
