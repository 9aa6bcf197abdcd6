//! One completion while it is generated: its tokens so far, its state, and the signal that stops it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::AbortController;
use wire::completion::{CompletionLine, CompletionRequest, CompletionSummary, CompletionToken};

use crate::components::number::{grouped, now_ms};
use crate::net::api::{self, ApiFailure};

/// The state of a completion.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Status {
    /// Nothing was requested.
    Idle,
    /// The model is being loaded.
    Loading,
    /// Tokens arrive.
    Generating,
    /// Finished.
    Done(CompletionSummary),
    /// Stopped by the user.
    Stopped,
    /// It failed or was refused.
    Failed(ApiFailure),
}

/// A completion.
#[derive(Clone, Copy)]
pub(super) struct Generation {
    pub(super) prompt: RwSignal<String>,
    /// Tokens so far.
    pub(super) tokens: RwSignal<Vec<CompletionToken>>,
    /// The state.
    pub(super) status: RwSignal<Status>,
    /// Arrival of the first and the newest token.
    times_ms: RwSignal<(f64, f64)>,
    abort: StoredValue<Option<AbortController>, LocalStorage>,
    /// Number of the request; lines of an older one are ignored.
    number: StoredValue<u32>,
}

impl Generation {
    /// Without a completion.
    pub(super) fn new() -> Self {
        Self {
            prompt: RwSignal::default(),
            tokens: RwSignal::default(),
            status: RwSignal::new(Status::Idle),
            times_ms: RwSignal::new((0.0, 0.0)),
            abort: StoredValue::new_local(None),
            number: StoredValue::new(0),
        }
    }

    /// Whether it is being generated.
    pub(super) fn is_busy(self) -> bool {
        matches!(*self.status.read(), Status::Loading | Status::Generating)
    }

    /// Requests a completion; the previous one is removed.
    pub(super) fn begin(self, request: CompletionRequest) {
        self.clear();
        let Ok(abort) = AbortController::new() else { return };
        let stop = abort.signal();
        self.abort.set_value(Some(abort));
        let number = self.number.get_value();
        self.prompt.set(request.prompt.clone());
        self.status.set(Status::Loading);
        spawn_local(async move {
            let is_current = move || self.number.try_get_value() == Some(number);
            let answered = api::completion::complete(&request, &stop, |line| is_current() && self.take(line)).await;
            if !is_current() {
                return;
            }
            match answered {
                Err(failure) => self.status.set(Status::Failed(failure)),
                // A stream without its last line was interrupted.
                Ok(()) if self.is_busy_now() => self.status.set(Status::Stopped),
                Ok(()) => {}
            }
        });
    }

    fn is_busy_now(self) -> bool {
        untrack(|| self.is_busy())
    }

    fn take(self, line: CompletionLine) -> bool {
        match line {
            CompletionLine::Token(token) => {
                let now = now_ms();
                if self.tokens.read_untracked().is_empty() {
                    self.times_ms.set((now, now));
                    self.status.set(Status::Generating);
                }
                self.times_ms.update(|times| times.1 = now);
                self.tokens.update(|tokens| tokens.push(token));
            }
            CompletionLine::Done(done) => self.status.set(Status::Done(done)),
            CompletionLine::Failed { error } => {
                self.status.set(Status::Failed(ApiFailure { status: 0, body: error }));
            }
        }
        true
    }

    /// Stops it; the generated tokens stay.
    pub(super) fn stop(self) {
        if let Some(Some(abort)) = self.abort.try_update_value(Option::take) {
            abort.abort();
        }
    }

    /// Stops it and removes the tokens.
    pub(super) fn clear(self) {
        self.stop();
        self.number.update_value(|number| *number += 1);
        self.tokens.set(vec![]);
        self.status.set(Status::Idle);
    }

    /// Tokens per second: measured by the server at the end, by the page until then.
    pub(super) fn tokens_per_sec(self) -> Option<f64> {
        if let Status::Done(done) = &*self.status.read() {
            return Some(done.tokens_per_sec);
        }
        let (first, last) = self.times_ms.get();
        let between = self.tokens.read().len().checked_sub(1).filter(|count| *count > 0)?;
        (last > first).then(|| between as f64 * 1e3 / (last - first))
    }

    /// Tokens at the beginning of the prompt that were not used, if there are any.
    pub(super) fn prompt_dropped(self) -> Option<u64> {
        match &*self.status.read() {
            Status::Done(done) => Some(done.prompt_dropped).filter(|dropped| *dropped > 0),
            _ => None,
        }
    }

    /// The prompt and the completion.
    pub(super) fn whole_text(self) -> String {
        let written: String = self.tokens.read_untracked().iter().map(|token| token.text.as_str()).collect();
        self.prompt.get_untracked() + &written
    }

    /// For how many tokens two completions are the same, as a sentence.
    pub(super) fn shared_with(self, other: Self) -> Option<String> {
        let (own, others) = (self.tokens.read(), other.tokens.read());
        let most = own.len().min(others.len());
        let same = own.iter().zip(others.iter()).take_while(|(a, b)| a.token == b.token).count();
        let is_done = !self.is_busy() && !other.is_busy();
        let tokens = if same == 1 { "1 token".to_owned() } else { format!("{} tokens", grouped(same as u64)) };
        match (most, same) {
            (0, _) => None,
            (_, 0) => Some("The completions differ from the first token on.".into()),
            (most, same) if same < most => {
                let first = if same == 1 { "the first token".to_owned() } else { format!("the first {tokens}") };
                Some(format!("The completions are identical for {first}."))
            }
            _ if !is_done => Some(format!("The completions are identical so far ({tokens}).")),
            _ if own.len() == others.len() => Some(format!("The completions are identical ({tokens}).")),
            _ => Some(format!("The completions are identical up to the end of the shorter one ({tokens}).")),
        }
    }
}
