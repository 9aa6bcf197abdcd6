//! The confirmation of destructive actions. The dialog of the browser keeps the focus inside and closes on Escape.

use leptos::html;
use leptos::prelude::*;

#[derive(Clone)]
pub(crate) struct Question {
    /// "Delete amber-fox?"
    pub(crate) title: String,
    /// What is lost, and whether it can be undone.
    pub(crate) loses: String,
    /// Label of the button that acts.
    pub(crate) verb: &'static str,
    /// The action; made by [`Confirm::keep`] if the component that asks may be gone when the answer comes.
    pub(crate) act: Callback<()>,
}

/// The open question, in the context of all components.
#[derive(Clone, Copy)]
pub(crate) struct Confirm {
    question: RwSignal<Option<Question>>,
    // Of the shell: a menu that asks closes before the answer comes, and everything that it owns is disposed with it.
    owner: StoredValue<Option<Owner>>,
}

impl Confirm {
    /// Without a question.
    pub(crate) fn new() -> Self {
        Self { question: RwSignal::new(None), owner: StoredValue::new(Owner::current()) }
    }

    /// An action that outlives the component that asks.
    pub(crate) fn keep(self, act: impl Fn() + Send + Sync + 'static) -> Callback<()> {
        match self.owner.get_value() {
            Some(owner) => owner.with(|| Callback::new(move |()| act())),
            None => Callback::new(move |()| act()),
        }
    }

    /// Opens a question.
    pub(crate) fn ask(self, question: Question) {
        self.question.set(Some(question));
    }
}

#[component]
pub(crate) fn ConfirmDialog() -> impl IntoView {
    let Confirm { question, .. } = expect_context::<Confirm>();
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move || {
        let is_asked = question.read().is_some();
        let Some(dialog) = dialog.get() else { return };
        if is_asked && !dialog.open() {
            // Fails only for a dialog that is already open or not in the document.
            let _ = dialog.show_modal();
        } else if !is_asked && dialog.open() {
            dialog.close();
        }
    });
    let act = move |_| {
        let asked = question.get_untracked();
        question.set(None);
        if let Some(asked) = asked {
            asked.act.run(());
        }
    };
    view! {
        <dialog node_ref=dialog class="confirm" aria-labelledby="confirm-title" on:close=move |_| question.set(None)>
            {move || question.get().map(|asked| view! {
                <h2 id="confirm-title">{asked.title}</h2>
                <p>{asked.loses}</p>
                <div class="row end">
                    <button autofocus on:click=move |_| question.set(None)>"Cancel"</button>
                    <button class="danger" on:click=act>{asked.verb}</button>
                </div>
            })}
        </dialog>
    }
}
