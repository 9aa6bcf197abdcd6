//! One text while it is written: its tokens so far, how it stands, and the hand that stops it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::AbortController;
use wire::complete::{CompleteAsk, CompleteLine, Completed, CompletedToken};

use crate::api::{self, ApiFailure};
use crate::parts::number::now_ms;

/// How a text stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Standing {
    /// Nothing was asked yet.
    Idle,
    /// The model is being loaded.
    Loading,
    /// Tokens come.
    Writing,
    /// Written to its end.
    Done(Completed),
    /// Someone stopped it.
    Stopped,
    /// It failed, or was refused.
    Failed(ApiFailure),
}

/// A text.
#[derive(Clone, Copy)]
pub(super) struct Writing {
    /// What was asked.
    pub(super) prompt: RwSignal<String>,
    /// Tokens so far.
    pub(super) tokens: RwSignal<Vec<CompletedToken>>,
    /// How it stands.
    pub(super) standing: RwSignal<Standing>,
    /// When the first token came, and the newest.
    times_ms: RwSignal<(f64, f64)>,
    hand: StoredValue<Option<AbortController>, LocalStorage>,
    /// Which question it is; lines of an older one are passed over.
    number: StoredValue<u32>,
}

impl Writing {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            prompt: RwSignal::default(),
            tokens: RwSignal::default(),
            standing: RwSignal::new(Standing::Idle),
            times_ms: RwSignal::new((0.0, 0.0)),
            hand: StoredValue::new_local(None),
            number: StoredValue::new(0),
        }
    }

    /// Whether it is being written.
    pub(super) fn is_busy(self) -> bool {
        matches!(*self.standing.read(), Standing::Loading | Standing::Writing)
    }

    /// Asks for a text; what was there goes.
    pub(super) fn begin(self, ask: CompleteAsk) {
        self.clear();
        let Ok(hand) = AbortController::new() else { return };
        let stop = hand.signal();
        self.hand.set_value(Some(hand));
        let number = self.number.get_value();
        self.prompt.set(ask.prompt.clone());
        self.standing.set(Standing::Loading);
        spawn_local(async move {
            let is_current = move || self.number.try_get_value() == Some(number);
            let answered = api::complete(&ask, &stop, |line| is_current() && self.take(line)).await;
            if !is_current() {
                return;
            }
            match answered {
                Err(failure) => self.standing.set(Standing::Failed(failure)),
                // A stream that ends without its last line was cut off between.
                Ok(()) if self.is_busy_now() => self.standing.set(Standing::Stopped),
                Ok(()) => {}
            }
        });
    }

    fn is_busy_now(self) -> bool {
        untrack(|| self.is_busy())
    }

    fn take(self, line: CompleteLine) -> bool {
        match line {
            CompleteLine::Token(token) => {
                let now = now_ms();
                if self.tokens.read_untracked().is_empty() {
                    self.times_ms.set((now, now));
                    self.standing.set(Standing::Writing);
                }
                self.times_ms.update(|times| times.1 = now);
                self.tokens.update(|tokens| tokens.push(token));
            }
            CompleteLine::Done(done) => self.standing.set(Standing::Done(done)),
            CompleteLine::Failed { error } => {
                self.standing.set(Standing::Failed(ApiFailure { status: 0, body: error }));
            }
        }
        true
    }

    /// Stops it; what was written stays.
    pub(super) fn stop(self) {
        if let Some(Some(hand)) = self.hand.try_update_value(Option::take) {
            hand.abort();
        }
    }

    /// Stops it and clears the sheet.
    pub(super) fn clear(self) {
        self.stop();
        self.number.update_value(|number| *number += 1);
        self.tokens.set(vec![]);
        self.standing.set(Standing::Idle);
    }

    /// Tokens per second: the server's figure at the end, this page's until then.
    pub(super) fn tokens_per_sec(self) -> Option<f64> {
        if let Standing::Done(done) = &*self.standing.read() {
            return Some(done.tokens_per_sec);
        }
        let (first, last) = self.times_ms.get();
        let between = self.tokens.read().len().checked_sub(1).filter(|count| *count > 0)?;
        (last > first).then(|| between as f64 * 1e3 / (last - first))
    }

    /// The prompt and all that was written.
    pub(super) fn whole_text(self) -> String {
        let written: String = self.tokens.read_untracked().iter().map(|token| token.text.as_str()).collect();
        self.prompt.get_untracked() + &written
    }

    /// How far two texts are the same, as a sentence.
    pub(super) fn shared_with(self, other: Self) -> Option<String> {
        let (own, others) = (self.tokens.read(), other.tokens.read());
        let most = own.len().min(others.len());
        let same = own.iter().zip(others.iter()).take_while(|(a, b)| a.token == b.token).count();
        match (most, same) {
            (0, _) => None,
            (_, 0) => Some("The two differ from the first token on.".into()),
            (most, same) if same == most => Some(format!("The same so far, for {same} tokens.")),
            (_, same) => Some(format!("The same for the first {same} tokens.")),
        }
    }
}
