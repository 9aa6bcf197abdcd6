//! The findings as they were last fetched. They are fetched again with each news of the stream, and when the run is changed, paused or
//! ended, because remedies are computed for the run as it is.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::diagnosis::{Diagnosis, FindingView, Health, Level, RuleInfo, RunFinding};

use crate::net::api::{ApiFailure, diagnosis};
use crate::pages::run::context::{Answer, RunContext};
use crate::pages::run::finding_marks::FindingMark;

/// The findings, in the context of the part.
#[derive(Clone, Copy)]
pub(super) struct FindingsState {
    pub(super) context: RunContext,
    pub(super) diagnosis: RwSignal<Option<Diagnosis>>,
    /// The answer of the last request, if it was refused or failed.
    pub(super) failure: RwSignal<Option<ApiFailure>>,
    /// All rules; empty until they are fetched.
    pub(super) rules: RwSignal<Vec<RuleInfo>>,
    /// The finding of the remedy whose command has not been answered.
    pub(super) sent: RwSignal<Option<u64>>,
    /// The answer to the last command of a remedy, by finding, and whether it was refused.
    pub(super) answers: RwSignal<std::collections::BTreeMap<u64, (bool, String)>>,
    /// Number of the newest request.
    request: StoredValue<u32>,
    /// Number of the request of the newest answer: answers to earlier requests are older.
    answered: StoredValue<u32>,
}

impl FindingsState {
    /// Fetches rules and findings, and the findings again with each news, change of the run and change of its state.
    pub(super) fn start() -> Self {
        let state = Self {
            context: expect_context(),
            diagnosis: RwSignal::new(None),
            failure: RwSignal::new(None),
            rules: RwSignal::new(vec![]),
            sent: RwSignal::new(None),
            answers: RwSignal::new(Default::default()),
            request: StoredValue::new(0),
            answered: StoredValue::new(0),
        };
        let (news, run_state) = (state.context.findings.news, state.context.state);
        let changes = Memo::new(move |_| state.newest_change());
        Effect::new(move || {
            news.get();
            run_state.get();
            changes.get();
            state.fetch();
        });
        Effect::new(move || state.publish());
        Effect::new(move || state.keep_answer());
        state
    }

    /// Number of the newest change of the run: remedies name present values, and one that was carried out is not offered again.
    fn newest_change(self) -> u64 {
        self.context.lines.get();
        let run = self.context.run.read_untracked();
        run.events.values().rev().find(|record| record.event.is_change()).map_or(0, |record| record.number)
    }

    /// Keeps the answer to the command of a remedy: later commands have answers of their own.
    fn keep_answer(self) {
        let answer = match self.context.answer.get() {
            Answer::Applied(text) | Answer::Transition { what: text, .. } => (false, text),
            Answer::Refused(text) => (true, text),
            Answer::None | Answer::Waiting(_) | Answer::Stepping { .. } => return,
        };
        if let Some(id) = self.sent.get() {
            self.sent.set(None);
            self.answers.update(|answers| drop(answers.insert(id, answer)));
        }
    }

    fn fetch_rules(self) {
        spawn_local(async move {
            // Without them cards do not explain their rule, which is named by its id. They are requested again with the findings.
            if let Ok(rules) = diagnosis::rules().await {
                self.rules.try_set(rules);
            }
        });
    }

    /// Fetches the findings; what was fetched before stays until the answer. Nothing once the page is closed.
    pub(super) fn fetch(self) {
        let run = self.context.run.try_with_untracked(|run| run.view.summary.id.clone());
        let next = |request: &mut u32| {
            *request += 1;
            *request
        };
        let (Some(run), Some(request)) = (run, self.request.try_update_value(next)) else { return };
        if self.rules.try_with_untracked(Vec::is_empty) == Some(true) {
            self.fetch_rules();
        }
        spawn_local(async move {
            let answer = diagnosis::findings(&run).await;
            if self.answered.try_get_value().is_none_or(|newest| newest > request) {
                return;
            }
            self.answered.set_value(request);
            match answer {
                Ok(found) => {
                    self.failure.try_set(None);
                    self.diagnosis.try_set(Some(found));
                }
                Err(failure) => drop(self.failure.try_set(Some(failure))),
            }
        });
    }

    /// Gives the page the markers and the health line.
    fn publish(self) {
        let shared = self.context.findings;
        let diagnosis = self.diagnosis.read();
        let found: Vec<&RunFinding> =
            diagnosis.iter().flat_map(|known| &known.findings).map(|view| &view.found).collect();
        let marks = found.iter().filter(|found| !found.is_dismissed && found.became.is_none());
        let marks: Vec<FindingMark> = marks.map(|found| self.mark(found)).collect();
        if shared.marks.with_untracked(|known| *known != marks) {
            shared.marks.set(marks);
        }
        let line = Health::line(found);
        if shared.line.with_untracked(|known| *known != line) {
            shared.line.set(line);
        }
    }

    fn mark(self, found: &RunFinding) -> FindingMark {
        FindingMark {
            id: found.id,
            segment: found.segment,
            step: found.finding.step,
            is_alert: found.finding.level == Level::Alert,
            phrase: found.name(),
            text: found.text.clone(),
        }
    }

    pub(super) fn rule(self, id: &str) -> Option<RuleInfo> {
        self.rules.read().iter().find(|rule| rule.id == id).cloned()
    }

    /// A finding with its remedies.
    pub(super) fn finding(self, id: u64) -> Option<FindingView> {
        self.diagnosis.read().as_ref()?.findings.iter().find(|view| view.found.id == id).cloned()
    }

    /// Shows a finding as the server answered it, and fetches what else has changed. Nothing once the page is closed.
    pub(super) fn replace(self, found: RunFinding) {
        let replaced = self.diagnosis.try_update(|known| {
            let views = known.iter_mut().flat_map(|known| &mut known.findings);
            views.filter(|view| view.found.id == found.id).for_each(|view| view.found = found.clone());
        });
        if replaced.is_some() {
            self.fetch();
        }
    }
}
