//! The form that creates a share link.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::Role;
use wire::access::link::{CreatedLink, LinkScope, NewLink};

use super::expiry::{EXPIRIES, USUAL, hours};
use super::fresh::FreshLink;
use super::links::Links;
use crate::components::{Failure, clicks, says, shows};
use crate::net::api::{self, ApiFailure};

/// Characters of a passphrase.
const PASSPHRASE: std::ops::RangeInclusive<usize> = 4..=200;

const ROLES: [(Role, &str, &str, &str); 2] = [
    (
        Role::View,
        "View",
        "They can view it but change nothing",
        "Anyone with the link can view {} without an account. They see nothing else and cannot change anything.",
    ),
    (
        Role::Steer,
        "Steer",
        "They can also pause, change, fork and stop",
        "Anyone with the link can view and steer {} without an account: pause, change, fork and stop. Give it only to people \
         whom you trust.",
    ),
];

/// The fields of the form, and its answer.
#[derive(Clone, Copy)]
struct Draft {
    role: RwSignal<Role>,
    hours: RwSignal<Option<u32>>,
    passphrase: RwSignal<String>,
    created: RwSignal<Option<CreatedLink>>,
    failure: RwSignal<Option<ApiFailure>>,
    is_busy: RwSignal<bool>,
}

impl Draft {
    fn new() -> Self {
        Self {
            role: RwSignal::new(Role::View),
            hours: RwSignal::new(USUAL),
            passphrase: RwSignal::new(String::new()),
            created: RwSignal::new(None),
            failure: RwSignal::new(None),
            is_busy: RwSignal::new(false),
        }
    }

    fn passphrase_problem(self) -> Option<String> {
        let length = self.passphrase.read().chars().count();
        (length > 0 && !PASSPHRASE.contains(&length))
            .then(|| format!("The passphrase has {length} characters. Enter 4 to 200, or none."))
    }

    fn create(self, scope: LinkScope, path: String, links: Links) {
        let passphrase = Some(self.passphrase.get_untracked()).filter(|text| !text.is_empty());
        let (role, hours) = (self.role.get_untracked(), self.hours.get_untracked());
        let link = NewLink { scope, path, role, is_embed: false, hours, passphrase };
        self.is_busy.set(true);
        self.failure.set(None);
        spawn_local(async move {
            match api::links::create(&link).await {
                Ok(created) => {
                    self.created.try_set(Some(created));
                    self.passphrase.try_set(String::new());
                    links.fetch();
                }
                Err(failure) => drop(self.failure.try_set(Some(failure))),
            }
            self.is_busy.try_set(false);
        });
    }
}

/// The form, and the link that it has created.
#[component]
pub(super) fn LinkForm(scope: LinkScope, path: String, links: Links) -> impl IntoView {
    let draft = Draft::new();
    let shared = StoredValue::new((scope, path.clone()));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if untrack(|| draft.passphrase_problem()).is_none() && !draft.is_busy.get_untracked() {
            let (scope, path) = shared.get_value();
            draft.create(scope, path, links);
        }
    };
    let (opens, shared_part) = match &shared.read_value().0 {
        LinkScope::Runs(runs) if runs.len() == 1 => ("The link opens this view: ", "this run and its X-ray"),
        LinkScope::Runs(_) => ("The link opens this view: ", "these runs and their X-ray"),
        LinkScope::Project(_) => {
            ("The link opens the list of runs of the project: ", "the runs and datasets of the project")
        }
    };
    let meaning = move || {
        let role = ROLES.iter().find(|(role, ..)| *role == draft.role.get());
        role.map(|(.., meaning)| meaning.replace("{}", shared_part))
    };
    view! {
        <form class="stack" on:submit=submit>
            <p class="small">{opens}<code class="wrap">{path}</code></p>
            <div class="fields">
                <RoleChoice draft />
                <ExpiryChoice hours=draft.hours />
                <PassphraseField draft />
            </div>
            <p class="small">{shows(meaning)}</p>
            <div class="row end">
                <button
                    class="primary"
                    type="submit"
                    title="Create the link; its address is shown once"
                    disabled=move || draft.is_busy.get() || draft.passphrase_problem().is_some()
                >
                    "Create link"
                </button>
            </div>
            {shows(move || draft.failure.get().map(|failure| view! { <Failure what="The link was not created" failure /> }))}
        </form>
        {shows(move || draft.created.get().map(|created| view! { <FreshLink created shown=draft.created /> }))}
    }
}

#[component]
fn RoleChoice(draft: Draft) -> impl IntoView {
    view! {
        <div class="field">
            <span class="label" id="share-role">"Role"</span>
            <div class="tabs" role="group" aria-labelledby="share-role">
                {ROLES.map(|(role, word, tooltip, _)| view! {
                    <button
                        type="button"
                        class="tab"
                        title=tooltip
                        aria-pressed=says(move || (draft.role.get() == role).to_string())
                        on:click=clicks(move |_| draft.role.set(role))
                    >
                        {word}
                    </button>
                })}
            </div>
        </div>
    }
}

/// The validity of a link or an embed.
#[component]
pub(super) fn ExpiryChoice(hours: RwSignal<Option<u32>>) -> impl IntoView {
    let choose = move |word: String| {
        if let Some(chosen) = self::hours(&word) {
            hours.set(chosen);
        }
    };
    view! {
        <label class="field" title="Time after which it stops working. You can revoke it earlier. Default: 7 days">
            <span class="label">"Expires after"</span>
            <select on:change:target=move |event| choose(event.target().value())>
                {EXPIRIES.map(|(of, word)| view! {
                    <option value=word selected=move || hours.get() == of>{word}</option>
                })}
            </select>
        </label>
    }
}

#[component]
fn PassphraseField(draft: Draft) -> impl IntoView {
    view! {
        <label class="field" title="Asked for when the link is opened. Send it separately from the link. 4 to 200 characters">
            <span class="label">"Passphrase"<span class="unit">", optional"</span></span>
            <input
                type="text"
                autocomplete="off"
                spellcheck="false"
                maxlength="200"
                aria-invalid=move || draft.passphrase_problem().map(|_| "true")
                prop:value=draft.passphrase
                on:input:target=move |event| draft.passphrase.set(event.target().value())
            />
            <span class="field-error" role="alert">{shows(move || draft.passphrase_problem())}</span>
        </label>
    }
}
