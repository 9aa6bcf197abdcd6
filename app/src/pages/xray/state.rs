//! The state that the views of the X-ray page share: the run, where in its model the page is, and which step it shows.

use leptos::prelude::*;
use wire::inspect::request::InspectionText;
use wire::model::ModelPlan;
use wire::{RunId, RunState, RunSummary, RunView};

use super::inspections::Inspections;
use super::location::Location;
use super::playback::Playback;
use super::quantity::Quantity;
use super::step::{StepChoice, has_chosen_text};
use crate::components::name_of;
use crate::net::live::Live;
use crate::route::{Router, run_path, xray_path};

/// The shared state.
#[derive(Clone, Copy)]
pub(crate) struct XrayState {
    pub(super) run: StoredValue<RunId>,
    pub(super) model: StoredValue<ModelPlan>,
    /// Loss of the uniform distribution over the vocabulary, nats.
    pub(super) ln_vocab: f64,
    pub(super) summary: RwSignal<RunSummary>,
    pub(super) inspections: Inspections,
    pub(super) router: Router,
    live: Live,
    /// The position of the page in the model.
    pub(super) location: Memo<Location>,
    /// The step shown.
    pub(super) step: RwSignal<StepChoice>,
    /// The second step, while two are compared.
    pub(super) other_step: RwSignal<Option<StepChoice>>,
    /// The text that is inspected.
    pub(super) text: RwSignal<InspectionText>,
    /// The prompt is inspected at past steps too, from checkpoints.
    pub(super) prompt_at_past_steps: RwSignal<bool>,
    /// What the overview is coloured by.
    pub(super) quantity: RwSignal<Quantity>,
    /// Why the text cannot be inspected: characters that are not in the vocabulary, or a window that does not exist.
    pub(super) prompt_problem: RwSignal<Option<String>>,
    /// Position of the chosen token in the text.
    pub(super) token: RwSignal<Option<usize>>,
    pub(super) playback: Playback,
}

impl XrayState {
    /// Of an opened run; text and step are read from the address.
    pub(super) fn new(view: RunView) -> Self {
        let live = expect_context::<Live>();
        let router = expect_context::<Router>();
        let RunView { summary, plan, references, .. } = view;
        let run = summary.id.clone();
        let summary = RwSignal::new(summary);
        let state = Memo::new(move |_| summary.read().state);
        let inspections = Inspections::new(run.clone(), live, state);
        let step = RwSignal::new(step_of_address(router));
        Self {
            run: StoredValue::new(run),
            model: StoredValue::new(plan.recipe.model),
            ln_vocab: references.ln_vocab,
            summary,
            inspections,
            router,
            live,
            location: Memo::new(move |_| Location::parse(|key| router.query(key))),
            step,
            other_step: RwSignal::new(other_step_of_address(router)),
            text: RwSignal::new(text_of_address(router)),
            prompt_at_past_steps: RwSignal::new(past_of_address(router)),
            quantity: RwSignal::new(quantity_of_address(router)),
            prompt_problem: RwSignal::new(None),
            token: RwSignal::new(None),
            playback: Playback::new(inspections.steps, step),
        }
    }

    /// The name of the run.
    pub(super) fn name(self) -> String {
        name_of(self.live, &self.summary.read())
    }

    /// Blocks of the model.
    pub(super) fn layers(self) -> u32 {
        self.model.with_value(|model| model.layers as u32)
    }

    /// The address of a location, with the inspected text.
    pub(super) fn path(self, location: &Location) -> String {
        let text = match &*self.text.read() {
            InspectionText::Validation(0) => String::new(),
            InspectionText::Validation(window) => format!("&window={window}"),
            InspectionText::Prompt(prompt) => {
                format!("&prompt={}", String::from(js_sys::encode_uri_component(prompt)))
            }
        };
        format!("{}?{}{text}", self.run.with_value(xray_path), location.query())
    }

    /// The query of the whole view, without the step: the location, the text, the quantity of the overview, and the second step.
    pub(super) fn query(self) -> String {
        let path = self.path(&self.location.read());
        let query = path.split_once('?').map_or("", |(_, query)| query);
        let quantity = Some(self.quantity.get()).filter(|quantity| *quantity != Quantity::ActivationRms);
        let quantity = quantity.map(|quantity| format!("&by={}", quantity.word())).unwrap_or_default();
        let other = match self.other_step.get() {
            None => String::new(),
            Some(StepChoice::Newest) => "&beside=newest".to_owned(),
            Some(StepChoice::At(step)) => format!("&beside={step}"),
        };
        let past = if self.prompt_at_past_steps.get() { "&past=1" } else { "" };
        format!("{query}{quantity}{other}{past}")
    }

    /// Shows what the address has beside the location: step, second step, text and quantity.
    pub(super) fn show_address(self) {
        self.step.set(step_of_address(self.router));
        self.other_step.set(other_step_of_address(self.router));
        self.quantity.set(quantity_of_address(self.router));
        let text = text_of_address(self.router);
        if self.text.with_untracked(|known| *known != text) {
            self.token.set(None);
            self.text.set(text);
        }
        self.prompt_at_past_steps.set(past_of_address(self.router));
    }

    /// The address of the run's own page.
    pub(super) fn run_href(self) -> String {
        self.run.with_value(run_path)
    }

    /// Goes to a location. Another tab or level makes an entry in the browser's history; another head, neuron or step does not.
    pub(super) fn go(self, location: &Location) {
        let path = untrack(|| self.path(location));
        if self.location.with_untracked(|at| (at.tab(), at.is_detail()) == (location.tab(), location.is_detail())) {
            self.router.replace(&path)
        } else {
            self.router.go(&path)
        }
    }

    /// Puts the inspected text into the address.
    pub(super) fn update_address(self) {
        let path = untrack(|| self.path(&self.location.get()));
        self.router.replace(&path);
    }

    /// The text inspected at the step or steps shown. Snapshots are of validation window 0, so past steps show that unless the prompt is
    /// requested there or they are compared with the newest step.
    pub(super) fn shown_text(self) -> InspectionText {
        match has_chosen_text(&self.shown_steps(), self.prompt_at_past_steps.get()) {
            true => self.text.get(),
            false => InspectionText::default(),
        }
    }

    /// The step shown, and the one beside it.
    pub(super) fn shown_steps(self) -> Vec<StepChoice> {
        [Some(self.step.get()), self.other_step.get()].into_iter().flatten().collect()
    }

    /// Moves the step by snapshots and pauses playback.
    pub(super) fn step_by(self, by: isize) {
        self.playback.pause();
        let steps = self.inspections.steps;
        // The newest step is a snapshot too where the run has ended at one: a step back then goes to the one before it.
        let newest = self.summary.with_untracked(|summary| summary.step);
        let by = match (self.step.get_untracked(), steps.with_untracked(|steps| steps.last().copied())) {
            (StepChoice::Newest, Some(last)) if by < 0 && last == newest => by - 1,
            _ => by,
        };
        self.step.update(|step| *step = steps.with_untracked(|steps| super::step::stepped(steps, *step, by)));
    }

    /// Whether the run waits for its device and has no weights yet.
    pub(super) fn is_waiting(self) -> bool {
        matches!(self.summary.read().state, RunState::Queued | RunState::Starting)
    }
}

fn text_of_address(router: Router) -> InspectionText {
    let query = |key: &str| untrack(|| router.query(key));
    match query("prompt").filter(|prompt| !prompt.is_empty()) {
        Some(prompt) => InspectionText::Prompt(prompt),
        None => InspectionText::Validation(query("window").and_then(|window| window.parse().ok()).unwrap_or(0)),
    }
}

fn step_of_address(router: Router) -> StepChoice {
    let step = untrack(|| router.query("step")).and_then(|step| step.parse().ok());
    step.map_or(StepChoice::Newest, StepChoice::At)
}

fn other_step_of_address(router: Router) -> Option<StepChoice> {
    match untrack(|| router.query("beside"))?.as_str() {
        "newest" => Some(StepChoice::Newest),
        step => step.parse().ok().map(StepChoice::At),
    }
}

fn quantity_of_address(router: Router) -> Quantity {
    untrack(|| router.query("by")).map_or(Quantity::ActivationRms, |word| Quantity::of_word(&word))
}

fn past_of_address(router: Router) -> bool {
    untrack(|| router.query("past")).as_deref() == Some("1")
}
