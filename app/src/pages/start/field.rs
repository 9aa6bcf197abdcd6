//! Parts of a form: a labelled field with its refusal under it, and a field for whole numbers.

use leptos::prelude::*;

use super::draft::Draft;

/// What is wrong at a field, with the way out; nothing while all is well.
#[component]
pub(super) fn FieldError(
    /// The plan's path, as errors name it.
    #[prop(into)]
    field: String,
) -> impl IntoView {
    let draft = expect_context::<Draft>();
    move || {
        draft.error_at(&field).map(|(message, hint)| {
            view! {
                <p class="field-error" role="alert">
                    {message}
                    {hint.map(|hint| view! { <span class="hint">{format!("Instead: {hint}.")}</span> })}
                </p>
            }
        })
    }
}

/// A titled part of the form.
#[component]
pub(super) fn Part(
    /// Its title.
    title: &'static str,
    /// Said beside the title.
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

/// A whole number that may be left out.
#[component]
pub(super) fn WholeNumber(
    /// The spec's field, as errors name it.
    field: &'static str,
    /// What stands above.
    label: &'static str,
    /// What it means, under it.
    meaning: &'static str,
    /// As typed so far.
    #[prop(into)]
    value: Signal<Option<u64>>,
    /// What is taken where nothing is typed.
    #[prop(into)]
    usual: Signal<u64>,
    /// Takes a new one.
    #[prop(into)]
    set: Callback<Option<u64>>,
) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let text = RwSignal::new(String::new());
    let value = Memo::new(move |_| value.get());
    // The text follows the value, except where it already means it ("007").
    Effect::new(move || {
        let value = value.get();
        if read(&text.read_untracked()) != Ok(value) {
            text.set(value.map(|value| value.to_string()).unwrap_or_default());
            draft.misread(field, None);
        }
    });
    let take = move |typed: String| {
        match read(&typed) {
            Ok(value) => {
                draft.misread(field, None);
                set.run(value);
            }
            Err(()) => draft.misread(field, Some(format!("{typed:?} is no whole number"))),
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
                placeholder=move || usual.get().to_string()
                aria-invalid=is_wrong
                prop:value=text
                on:input:target=move |event| take(event.target().value())
            />
            <span class="small dim">{meaning}</span>
            <FieldError field />
        </label>
    }
}

/// Digits, with whatever people put between groups of three; nothing is no number, which is fine.
fn read(text: &str) -> Result<Option<u64>, ()> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, ',' | '_' | '\u{202f}')).collect();
    if digits.is_empty() { Ok(None) } else { digits.parse().map(Some).map_err(|_| ()) }
}
