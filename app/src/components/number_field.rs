//! The field in which a number is typed, the same on every page. It shows what is typed and never changes it, says what
//! it expects below while the text is not a number that it accepts, and its [`TypedNumber`] is what is sent.

mod reading;

use leptos::html::Input;
use leptos::prelude::*;
use wire::hyperparameters::table::Values;

pub(crate) use reading::{NumberError, NumberValue, read};

/// The numbers of a seed.
pub(crate) const SEEDS: Values = Values::Integer { min: 0, max: u64::MAX };

/// A number that is being typed. Only typing and [`TypedNumber::set`] change its text.
#[derive(Clone, Copy)]
pub(crate) struct TypedNumber {
    text: RwSignal<String>,
    values: Signal<Values>,
    is_optional: bool,
    /// Whether anything was typed: an empty field that nobody has touched says nothing.
    is_touched: RwSignal<bool>,
}

impl TypedNumber {
    /// A field that needs a number.
    pub(crate) fn new(values: impl Into<Signal<Values>>, text: impl ToString) -> Self {
        let text = RwSignal::new(text.to_string());
        Self { text, values: values.into(), is_optional: false, is_touched: RwSignal::new(false) }
    }

    /// A field that can be left empty.
    pub(crate) fn optional(values: impl Into<Signal<Values>>) -> Self {
        Self { is_optional: true, ..Self::new(values, "") }
    }

    /// Replaces the text.
    pub(crate) fn set(self, text: impl ToString) {
        self.text.set(text.to_string());
    }

    /// Shows what is wrong with the text also before anything was typed.
    pub(crate) fn touch(self) {
        self.is_touched.set(true);
    }

    /// Whether anything was typed.
    pub(crate) fn is_touched(self) -> bool {
        self.is_touched.get()
    }

    /// The number; `None` where the field can be left empty and is.
    ///
    /// # Errors
    /// A text that is not a number that the field accepts.
    pub(crate) fn read(self) -> Result<Option<NumberValue>, NumberError> {
        let text = self.text.read();
        match text.trim().is_empty() && self.is_optional {
            true => Ok(None),
            false => read(&text, self.values.get()).map(Some),
        }
    }

    /// Whether the text is a number that the field accepts, or may be empty.
    pub(crate) fn is_readable(self) -> bool {
        self.read().is_ok()
    }

    /// The number; `None` while the field has none that it accepts.
    pub(crate) fn number(self) -> Option<f64> {
        self.read().ok().flatten().map(NumberValue::as_f64)
    }

    /// The integer; `None` while the field has none that it accepts.
    pub(crate) fn integer(self) -> Option<u64> {
        self.read().ok().flatten().and_then(NumberValue::as_integer)
    }

    /// The integer of a field whose values fit.
    pub(crate) fn small_integer(self) -> Option<u32> {
        self.integer().and_then(|value| value.try_into().ok())
    }

    /// What is wrong with the text, and what to write.
    pub(crate) fn problem(self) -> Option<String> {
        self.read().err().map(|error| error.to_string())
    }

    /// [`TypedNumber::problem`], except for a field that nobody has typed into yet.
    fn shown_problem(self) -> Option<String> {
        let is_untouched = self.text.read().is_empty() && !self.is_touched.get();
        if is_untouched { None } else { self.problem() }
    }

    /// The next integer up or down, inside of the accepted ones.
    fn stepped(self, up: bool) -> Option<u64> {
        let Values::Integer { min, max } = self.values.get() else { return None };
        let value = self.integer()?;
        Some(if up { value.saturating_add(1).min(max) } else { value.saturating_sub(1).max(min) })
    }
}

/// The field, and below it what is wrong with the text. Arrow keys change an integer by one.
#[component]
pub(crate) fn NumberField(
    number: TypedNumber,
    /// Id of the input.
    #[prop(optional_no_strip)]
    id: Option<&'static str>,
    /// Name for screen readers, where no label surrounds the field.
    #[prop(optional_no_strip)]
    label: Option<&'static str>,
    /// The value that is used when the field is empty.
    #[prop(optional, into)]
    placeholder: MaybeProp<String>,
    /// Whether the number is refused for another reason, which is said elsewhere.
    #[prop(optional, into)]
    is_refused: Signal<bool>,
    /// The input.
    #[prop(optional)]
    node_ref: NodeRef<Input>,
    /// Called after the text was changed by its reader.
    #[prop(optional, into)]
    on_typed: Option<Callback<()>>,
) -> impl IntoView {
    let is_whole = move || matches!(number.values.get(), Values::Integer { .. });
    let take = move |typed: String| {
        number.is_touched.set(true);
        number.text.set(typed);
        if let Some(on_typed) = on_typed {
            on_typed.run(());
        }
    };
    let press = move |event: leptos::ev::KeyboardEvent| {
        let up = match event.key().as_str() {
            "ArrowUp" => true,
            "ArrowDown" => false,
            _ => return,
        };
        if let Some(value) = untrack(|| number.stepped(up)) {
            event.prevent_default();
            take(value.to_string());
        }
    };
    let is_invalid = move || (is_refused.get() || number.shown_problem().is_some()).then_some("true");
    view! {
        <input
            node_ref=node_ref
            id=id
            class="mono number-field"
            type="text"
            inputmode=move || if is_whole() { "numeric" } else { "decimal" }
            autocomplete="off"
            aria-label=label
            placeholder=move || placeholder.get()
            aria-invalid=is_invalid
            prop:value=number.text
            on:input:target=move |event| take(event.target().value())
            on:keydown=press
        />
        <span class="field-error" role="alert">{move || number.shown_problem()}</span>
    }
}

/// A field with its label, and below it what `children` say about its number.
#[component]
pub(crate) fn LabeledNumber(
    label: &'static str,
    meaning: &'static str,
    number: TypedNumber,
    /// The value that is used when the field is empty.
    #[prop(optional, into)]
    placeholder: MaybeProp<String>,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    view! {
        <label class="field" title=meaning>
            <span class="label">{label}</span>
            <NumberField number placeholder />
            {children.map(|children| children())}
        </label>
    }
}
