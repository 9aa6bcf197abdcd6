//! An act that the model proposes: what it would do, and the buttons that confirm or reject it. Nothing is done without a press.

use leptos::prelude::*;
use wire::assistant::{ActDecision, ToolCall};

use super::state::Assistant;
use crate::components::clicks;

#[component]
pub(super) fn Proposal(assistant: Assistant, call: ToolCall) -> impl IntoView {
    let reason = RwSignal::new(String::new());
    let id = StoredValue::new(call.id);
    let decide = move |confirm: bool| {
        let reason = reason.get_untracked();
        let reason = (!confirm && !reason.trim().is_empty()).then_some(reason);
        assistant.decide(id.get_value(), ActDecision { confirm, reason });
    };
    let is_busy = move || assistant.is_sending.get() || assistant.is_answering();
    view! {
        <section class="assistant-proposal stack" aria-label="Proposed act">
            <p><strong>"Proposed: "</strong><code>{call.tool}</code>". Nothing is changed until you confirm it."</p>
            <h3>"Arguments"</h3>
            <pre tabindex="0">{call.arguments}</pre>
            <h3>"What it would change (dry run)"</h3>
            <pre tabindex="0">{call.answer}</pre>
            <div class="row">
                <button
                    class="primary"
                    title="Carry this out with your permissions"
                    disabled=is_busy
                    on:click=clicks(move |_| decide(true))
                >
                    "Confirm"
                </button>
                <input
                    class="grow"
                    aria-label="Reason for rejecting"
                    placeholder="Reason (optional)"
                    maxlength="500"
                    prop:value=reason
                    on:input:target=move |event| reason.set(event.target().value())
                />
                <button
                    title="Do not carry this out; the model receives the reason"
                    disabled=is_busy
                    on:click=clicks(move |_| decide(false))
                >
                    "Reject"
                </button>
            </div>
        </section>
    }
}
