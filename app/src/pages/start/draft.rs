//! The spec being typed and what it resolves to, shared by the parts of the form.

use std::collections::BTreeMap;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::corpus::CorpusInfo;
use wire::device::DeviceInfo;
use wire::plan::{self, PlanView};
use wire::preset::{self, PresetInfo};
use wire::spec::Tokenizer;
use wire::{PlanError, RunSpec, RunView};

use crate::api::{self, ApiFailure};
use crate::live::Live;

/// Preset that a new draft starts from.
const FIRST_PRESET: &str = "nanogpt-cpu";

/// The form's one state, in context for its parts.
#[derive(Clone, Copy)]
pub(super) struct Draft {
    /// What has been typed.
    pub(super) spec: RwSignal<RunSpec>,
    /// The lab's texts; none until they have come.
    pub(super) texts: RwSignal<Option<Result<Vec<CorpusInfo>, ApiFailure>>>,
    /// The lab's devices.
    pub(super) devices: Memo<Vec<DeviceInfo>>,
    /// What it resolves to; none until the texts have come.
    pub(super) outcome: Memo<Option<Result<PlanView, PlanError>>>,
    /// Fields whose text is no number, with what is wrong.
    misread: RwSignal<BTreeMap<&'static str, String>>,
    source_name: RwSignal<Option<String>>,
}

impl Draft {
    /// An empty draft on the usual preset; fetches the texts.
    pub(super) fn new() -> Self {
        let live = expect_context::<Live>();
        let spec = RwSignal::new(RunSpec { preset: Some(FIRST_PRESET.into()), ..RunSpec::default() });
        let texts = RwSignal::new(None);
        let devices = Memo::new(move |_| {
            let lab = live.lab.read();
            lab.iter().flat_map(|lab| &lab.devices).map(|device| device.info.clone()).collect::<Vec<DeviceInfo>>()
        });
        let outcome = Memo::new(move |_| resolve(&spec.read(), &texts.read(), &devices.read()));
        let draft =
            Self { spec, texts, devices, outcome, misread: RwSignal::default(), source_name: RwSignal::new(None) };
        draft.fetch_texts();
        draft
    }

    /// Fetches the texts, and takes the first where none is chosen.
    pub(super) fn fetch_texts(self) {
        spawn_local(async move {
            let found = api::corpora().await;
            if let Ok(found) = &found {
                let preferred =
                    found.iter().find(|text| text.id.as_str() == "tales").or(found.first()).map(|text| text.id.clone());
                self.set(|spec| {
                    if spec.corpus.is_none() && spec.mix.is_none() {
                        spec.corpus = preferred;
                    }
                });
            }
            self.texts.try_set(Some(found));
        });
    }

    /// Starts from another run's spec.
    pub(super) fn begin_from(self, view: RunView) {
        let copy = RunSpec {
            name: None,
            copied_from: Some(view.summary.id),
            preset: Some(view.spec.preset.clone().unwrap_or(FIRST_PRESET.into())),
            ..view.spec
        };
        self.source_name.try_set(Some(view.summary.name));
        self.spec.try_set(copy);
    }

    /// Name of the run it is a copy of.
    pub(super) fn copied_from(self) -> Option<String> {
        self.source_name.get()
    }

    /// Changes the spec.
    pub(super) fn set(self, change: impl FnOnce(&mut RunSpec)) {
        self.spec.try_update(change);
    }

    /// The preset in use, with the dial's numbers where it has one.
    pub(super) fn preset(self) -> Option<PresetInfo> {
        let spec = self.spec.read();
        preset::find(spec.preset.as_deref().unwrap_or(FIRST_PRESET), spec.depth).ok()
    }

    /// The tokenizer in use: the chosen one, or the preset's.
    pub(super) fn tokenizer(self) -> Tokenizer {
        let chosen = self.spec.read().tokenizer;
        chosen.or_else(|| self.preset().map(|preset| preset.tokenizer)).unwrap_or(Tokenizer::Char)
    }

    /// The text chosen, where it is one.
    pub(super) fn text(self) -> Option<CorpusInfo> {
        let id = self.spec.read().corpus.clone()?;
        self.texts.read().as_ref()?.as_ref().ok()?.iter().find(|text| text.id == id).cloned()
    }

    /// What the same spec resolves to with something else in it: the other cards' sizes and times.
    pub(super) fn resolve_with(self, change: impl FnOnce(&mut RunSpec)) -> Option<Result<PlanView, PlanError>> {
        let mut spec = self.spec.get();
        change(&mut spec);
        resolve(&spec, &self.texts.read(), &self.devices.read())
    }

    /// What was misread or refused at a field, and the way out.
    pub(super) fn error_at(self, field: &str) -> Option<(String, Option<String>)> {
        if let Some(misread) = self.misread.read().get(field) {
            return Some((misread.clone(), None));
        }
        match &*self.outcome.read() {
            Some(Err(error)) if error.field == field || error.field.strip_prefix("overrides.") == Some(field) => {
                Some((error.message.clone(), error.hint.clone()))
            }
            _ => None,
        }
    }

    /// Whether all fields could be read.
    pub(super) fn is_readable(self) -> bool {
        self.misread.read().is_empty()
    }

    /// Marks a field as unreadable, or as readable again.
    pub(super) fn misread(self, field: &'static str, what: Option<String>) {
        self.misread.update(|misread| match what {
            Some(what) => {
                misread.insert(field, what);
            }
            None => {
                misread.remove(field);
            }
        });
    }
}

fn resolve(
    spec: &RunSpec,
    texts: &Option<Result<Vec<CorpusInfo>, ApiFailure>>,
    devices: &[DeviceInfo],
) -> Option<Result<PlanView, PlanError>> {
    match texts {
        Some(Ok(texts)) => Some(plan::resolve(spec, texts, devices)),
        _ => None,
    }
}
