//! The options of an import: the field with the text, what separates documents, encoding, line ends, strictness.

use leptos::prelude::*;
use wire::data::import::{FileReport, ImportOptions, ImportReport, LineEnds, Reason, Split};

use crate::components::number::{bytes, counted};

/// Encodings that can be chosen by name, besides the detected one.
const ENCODINGS: [&str; 10] = [
    "windows-1252",
    "windows-1251",
    "windows-1250",
    "Shift_JIS",
    "EUC-JP",
    "GB18030",
    "Big5",
    "EUC-KR",
    "UTF-16LE",
    "UTF-16BE",
];

/// The value of the separator's list that shows a field for a text.
const CUSTOM: &str = "custom";

#[component]
pub(super) fn Options(options: RwSignal<ImportOptions>, report: RwSignal<ImportReport>) -> impl IntoView {
    let has_fields = Memo::new(move |_| report.read().files.iter().any(|file| file.kind.has_fields()));
    let has_other_encoding = Memo::new(move |_| {
        options.read().encoding.is_some()
            || report.with(|report| report.files.iter().any(is_other) || is_listed(report))
    });
    let returns = Memo::new(move |_| report.read().carriage_returns);
    view! {
        <Show when=move || has_fields.get()><FieldChooser options report /></Show>
        <SeparatorChooser options />
        <Show when=move || has_other_encoding.get()><EncodingChooser options /></Show>
        <Show when=move || { returns.get() > 0 }>
            <label class="check">
                <input
                    type="checkbox"
                    prop:checked={move || options.read().line_ends == LineEnds::Lf}
                    on:change:target=move |event| options.update(|options| {
                        options.line_ends = if event.target().checked() { LineEnds::Lf } else { LineEnds::Keep };
                    })
                />
                {move || format!("Convert {} (\\r, shown as ␍) to line ends (\\n)", counted(returns.get(), "carriage return"))}
            </label>
        </Show>
        <label class="check" title="The import is refused if any file or record would be skipped or repaired">
            <input
                type="checkbox"
                prop:checked=move || options.read().strict
                on:change:target=move |event| options.update(|options| options.strict = event.target().checked())
            />
            "Strict: refuse the import if anything is skipped or repaired"
        </label>
    }
}

fn is_other(file: &FileReport) -> bool {
    file.encoding.as_deref().is_some_and(|encoding| encoding != "UTF-8")
}

fn is_listed(report: &ImportReport) -> bool {
    report.issues.iter().any(|issue| issue.reason == Reason::Encoding)
}

#[component]
fn FieldChooser(options: RwSignal<ImportOptions>, report: RwSignal<ImportReport>) -> impl IntoView {
    let fields = Memo::new(move |_| report.read().fields.clone());
    let is_chosen = move |name: &str| options.read().field.as_deref() == Some(name);
    view! {
        <label class="field">
            <span class="label">"Text field"</span>
            <select on:change:target=move |event| {
                let chosen = event.target().value();
                options.update(|options| options.field = Some(chosen).filter(|field| !field.is_empty()));
            }>
                <option value="" selected={move || options.read().field.is_none()}>"automatic: text or content"</option>
                {move || fields.get().into_iter().map(|field| {
                    let (name, this) = (field.name.clone(), field.name.clone());
                    view! {
                        <option value=name selected={move || is_chosen(&this)}>
                            {format!("{} ({}, {})", field.name, counted(field.records, "record"), bytes(field.text_bytes))}
                        </option>
                    }
                }).collect_view()}
            </select>
            <span class="small dim">"Each record becomes one document, or several if it contains the separator. Records without text in this field are skipped."</span>
        </label>
    }
}

#[component]
fn SeparatorChooser(options: RwSignal<ImportOptions>) -> impl IntoView {
    let is_custom = RwSignal::new(false);
    let choose = move |value: String| {
        is_custom.set(value == CUSTOM);
        options.update(|options| {
            // Empty until it is typed: nothing is imported with it.
            options.separator = (value == CUSTOM).then(String::new);
            options.split = match value.as_str() {
                "blank_lines" => Split::BlankLines,
                "whole" => Split::Whole,
                _ => Split::EndOfText,
            };
        });
    };
    view! {
        <label class="field" title="White space next to a separator is removed">
            <span class="label">"Documents are separated by"</span>
            <select on:change:target=move |event| choose(event.target().value())>
                <option value="end_of_text">"the marker <|endoftext|>"</option>
                <option value="blank_lines">"blank lines"</option>
                <option value="whole">"nothing: a file or record is one document"</option>
                <option value=CUSTOM>"another text …"</option>
            </select>
        </label>
        <Show when=move || is_custom.get()>
            <label class="field">
                <span class="label">"Separator"</span>
                <input
                    autocomplete="off"
                    placeholder="\\n---\\n"
                    on:change:target=move |event| {
                        let text = unescaped(&event.target().value());
                        options.update(|options| options.separator = Some(text));
                    }
                />
                <span class="small dim">"\\n stands for a line end, \\t for a tab, \\\\ for a backslash."</span>
            </label>
        </Show>
    }
}

/// The typed text with its escapes replaced: `\n`, `\r`, `\t`, `\\`.
fn unescaped(typed: &str) -> String {
    let (mut text, mut letters) = (String::new(), typed.chars());
    while let Some(letter) = letters.next() {
        match (letter, letters.as_str().chars().next()) {
            ('\\', Some(code @ ('n' | 'r' | 't' | '\\'))) => {
                text.push(match code {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    _ => '\\',
                });
                letters.next();
            }
            _ => text.push(letter),
        }
    }
    text
}

#[component]
fn EncodingChooser(options: RwSignal<ImportOptions>) -> impl IntoView {
    let is_chosen = move |value: &str| options.read().encoding.as_deref().unwrap_or_default() == value;
    view! {
        <label class="field">
            <span class="label">"Files that are not UTF-8"</span>
            <select on:change:target=move |event| {
                let chosen = event.target().value();
                options.update(|options| options.encoding = Some(chosen).filter(|encoding| !encoding.is_empty()));
            }>
                <option value="" selected={move || is_chosen("")}>"are skipped"</option>
                <option value="detect" selected={move || is_chosen("detect")}>"are converted from the detected encoding"</option>
                {ENCODINGS.into_iter().map(|encoding| view! {
                    <option value=encoding selected={move || is_chosen(encoding)}>
                        {format!("are converted from {encoding}")}
                    </option>
                }).collect_view()}
            </select>
        </label>
    }
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn escapes_of_a_typed_separator_are_replaced() {
        for (typed, text) in
            [("\\n---\\n", "\n---\n"), ("\\t\\r\\\\n", "\t\r\\n"), ("a\\b", "a\\b"), ("\\", "\\"), ("</s>", "</s>")]
        {
            assert_eq!(unescaped(typed), text, "{typed:?}");
        }
    }
}
