//! Parts of the form: a section, the error below a field, and a field for integers.

use leptos::prelude::*;

use super::draft::Draft;

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
                    {message}
                    {hint.map(|hint| view! { <span class="hint">{format!("{hint}.")}</span> })}
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

/// An integer that can be left out.
#[component]
pub(super) fn IntegerField(
    /// The field of the spec, as errors name it.
    field: &'static str,
    label: &'static str,
    /// Meaning, shown below.
    meaning: &'static str,
    #[prop(into)] value: Signal<Option<u64>>,
    #[prop(into)] default: Signal<u64>,
    /// Sets the value.
    #[prop(into)]
    set: Callback<Option<u64>>,
) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let text = RwSignal::new(String::new());
    let value = Memo::new(move |_| value.get());
    // The text follows the value, unless it already has that value ("007").
    Effect::new(move || {
        let value = value.get();
        if read(&text.read_untracked()) != Ok(value) {
            text.set(value.map(|value| value.to_string()).unwrap_or_default());
            draft.set_unreadable(field, None);
        }
    });
    let take = move |typed: String| {
        match read(&typed) {
            Ok(value) => {
                draft.set_unreadable(field, None);
                set.run(value);
            }
            Err(()) => draft.set_unreadable(field, Some(format!("{typed:?} is not an integer"))),
        }
        text.set(typed);
    };
    let is_wrong = move || draft.error_at(field).map(|_| "true");
    view! {
        <label class="field">
            <span class="label">{label}</span>
            <input
                class="mono"
                inputmode="numeric"
                autocomplete="off"
                placeholder=move || default.get().to_string()
                aria-invalid=is_wrong
                prop:value=text
                on:input:target=move |event| take(event.target().value())
            />
            <span class="small dim">{meaning}</span>
            <FieldError field />
        </label>
    }
}

/// Digits with separators between groups of three; `None` for an empty text.
fn read(text: &str) -> Result<Option<u64>, ()> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, ',' | '_' | '\u{202f}')).collect();
    if digits.is_empty() { Ok(None) } else { digits.parse().map(Some).map_err(|_| ()) }
}
