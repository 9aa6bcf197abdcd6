//! The text that inspections read: a window of the validation split, or a prompt.

use figure::number;
use leptos::prelude::*;
use wire::hyperparameters::table::Values;
use wire::inspect::request::{InspectionText, MAX_PROMPT_CHARS, MAX_TOKENS};

use super::location::Location;
use super::state::XrayState;
use super::step::StepChoice;
use crate::components::{NumberField, TypedNumber, clicks, says, shows};

/// Largest window number of the input; numbers beyond the last window start again from the first.
const MAX_WINDOW: u64 = 999_999;

/// Lines of a prompt that are shown without scrolling.
const PROMPT_ROWS: usize = 8;

/// What the form holds; it takes effect on submit.
#[derive(Clone, Copy)]
struct Form {
    xray: XrayState,
    is_prompt: RwSignal<bool>,
    prompt: RwSignal<String>,
    window: TypedNumber,
}

impl Form {
    fn new(xray: XrayState) -> Self {
        let (is_prompt, prompt, window) = xray.text.with_untracked(|text| match text {
            InspectionText::Prompt(prompt) => (true, prompt.clone(), 0),
            InspectionText::Validation(window) => (false, String::new(), *window),
        });
        let window = TypedNumber::new(Values::Integer { min: 0, max: MAX_WINDOW }, window);
        let (is_prompt, prompt) = (RwSignal::new(is_prompt), RwSignal::new(prompt));
        let form = Self { xray, is_prompt, prompt, window };
        Effect::new(move || form.show(&xray.text.read()));
        form
    }

    /// Shows the text that is inspected; a presenter may have changed it.
    fn show(self, text: &InspectionText) {
        match text {
            InspectionText::Prompt(prompt) => {
                self.is_prompt.set(true);
                self.prompt.set(prompt.clone());
            }
            InspectionText::Validation(window) => {
                self.is_prompt.set(false);
                self.window.set(window);
            }
        }
    }

    fn problem(self) -> Option<String> {
        match (self.is_prompt.get(), self.prompt.read().chars().count()) {
            (true, 0) => Some("Enter a prompt.".to_owned()),
            (true, chars) if chars > MAX_PROMPT_CHARS => {
                let most = number::whole(MAX_PROMPT_CHARS as u64);
                Some(format!("The prompt has {} characters. Enter at most {most}.", number::whole(chars as u64)))
            }
            _ => None,
        }
    }

    /// Whether it can be applied.
    fn is_complete(self) -> bool {
        if self.is_prompt.get() { self.problem().is_none() } else { self.window.is_readable() }
    }

    fn apply(self) {
        if untrack(|| self.problem()).is_some() {
            return;
        }
        let window = untrack(|| self.window.small_integer());
        let text = match (self.is_prompt.get_untracked(), window) {
            (true, _) => InspectionText::Prompt(self.prompt.get_untracked()),
            (false, Some(window)) => InspectionText::Validation(window),
            (false, None) => return,
        };
        self.xray.token.set(None);
        self.xray.text.set(text);
        self.xray.update_address();
    }
}

/// The form at the foot of the page.
#[component]
pub(super) fn Prompt() -> impl IntoView {
    let xray = expect_context::<XrayState>();
    let form = Form::new(xray);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        form.apply();
    };
    let input = move || if form.is_prompt.get() { prompt_input(form) } else { window_input(form) };
    let error = move || form.problem().filter(|_| !form.prompt.read().is_empty());
    let is_past = move || {
        let has_past = xray.shown_steps().into_iter().any(|step| step != StepChoice::Newest);
        has_past && *xray.text.read() != InspectionText::default()
    };
    view! {
        <section class="sheet padded prompt-box" aria-label="Inspected text">
            <form class="row" on:submit=submit>
                <div class="tabs" role="group" aria-label="Kind of text">
                    {kind_button(form, false, "validation window", "Inspect a window of the validation split (default)")}
                    {kind_button(form, true, "prompt", "Inspect a text that you enter")}
                </div>
                {shows(input)}
                <button
                    class="primary"
                    type="submit"
                    title="Inspect this text"
                    disabled=move || !form.is_complete()
                >
                    "Inspect"
                </button>
            </form>
            {shows(move || note(xray).map(|note| view! { <p class="small dim">{note}</p> }))}
            {shows(move || error().map(|error| view! { <p class="field-error" role="alert">{error}</p> }))}
            {shows(move || xray.prompt_problem.get().map(|problem| view! {
                <p class="field-error" role="alert">{problem}</p>
            }))}
            {shows(move || is_past().then(|| past_steps(xray)))}
        </section>
    }
}

/// What the text is for in a view that does not depend on it.
fn note(xray: XrayState) -> Option<&'static str> {
    match xray.location.with(Location::tab) {
        "weights" => Some("Weights do not depend on this text; the overview of the model does."),
        "batch" => Some("The batch does not depend on this text; the overview of the model does."),
        "emergence" => Some("Emergence is computed on validation window 0; the overview of the model uses this text."),
        _ => None,
    }
}

fn kind_button(form: Form, is_prompt: bool, label: &'static str, title: &'static str) -> AnyView {
    let is_chosen = move || form.is_prompt.get() == is_prompt;
    view! {
        <button
            type="button"
            class="tab"
            title=title
            aria-pressed=says(move || is_chosen().to_string())
            on:click=clicks(move |_| form.is_prompt.set(is_prompt))
        >
            {label}
        </button>
    }
    .into_any()
}

fn prompt_input(form: Form) -> AnyView {
    let press = move |event: leptos::ev::KeyboardEvent| {
        if event.key() == "Enter" && !event.shift_key() {
            event.prevent_default();
            form.apply();
        }
    };
    let title = format!("At most {} tokens, the context length of the model", tokens_read(form.xray));
    view! {
        <textarea
            id="xray-prompt"
            class="grow"
            rows=says(move || form.prompt.read().split('\n').count().clamp(1, PROMPT_ROWS).to_string())
            spellcheck="false"
            aria-label="Prompt"
            placeholder="Enter a prompt"
            title=title
            prop:value=form.prompt
            on:input:target=move |event| form.prompt.set(event.target().value())
            on:keydown=press
        >
        </textarea>
    }
    .into_any()
}

fn window_input(form: Form) -> AnyView {
    view! {
        <label class="row" title="Index of the window in the validation split, from 0. Snapshots use window 0.">"window"
            <NumberField number=form.window />
        </label>
        <span class="grow small dim">
            {format!("Up to {} tokens. Past steps always show validation window 0, not this text.", tokens_read(form.xray))}
        </span>
    }
    .into_any()
}

/// Tokens that an inspection reads at most.
fn tokens_read(xray: XrayState) -> usize {
    xray.model.with_value(|model| model.seq).min(MAX_TOKENS)
}

/// Whether past steps show the snapshots or this text.
fn past_steps(xray: XrayState) -> AnyView {
    let is_on = xray.prompt_at_past_steps;
    let text = move || match is_on.get() {
        true => "Past steps are computed from checkpoints on this text.",
        false => "Past steps show stored snapshots. Those were computed on validation window 0, not on your text.",
    };
    // Beside the newest step, a past one has its text in any case.
    if xray.shown_steps().contains(&StepChoice::Newest) {
        return view! { <p class="small dim">"Both steps are inspected on this text; the past one is computed from a checkpoint."</p> }
            .into_any();
    }
    view! {
        <p class="small dim row">
            {shows(text)}
            <button
                class="switch"
                title="Compute past steps from checkpoints on this text instead of showing the snapshots"
                aria-pressed=says(move || is_on.get().to_string())
                on:click=clicks(move |_| is_on.update(|is_on| *is_on = !*is_on))
            >
                "Use this text at past steps"
            </button>
        </p>
    }
    .into_any()
}
