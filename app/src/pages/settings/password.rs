//! Changing one's own password.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::person::NewPassword;

use crate::components::{Failure, NewPasswordField, Toasts, is_password};
use crate::net::api::{ApiFailure, account};

#[component]
pub(super) fn ChangePassword() -> impl IntoView {
    let toasts = expect_context::<Toasts>();
    let (present, password) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let failure = RwSignal::new(None::<ApiFailure>);
    let is_busy = RwSignal::new(false);
    let is_complete = move || is_password(&password.read());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if is_busy.get_untracked() || !untrack(is_complete) {
            return;
        }
        let change = NewPassword {
            present: Some(present.get_untracked()).filter(|present| !present.is_empty()),
            password: password.get_untracked(),
        };
        is_busy.set(true);
        failure.set(None);
        spawn_local(async move {
            match account::set_password(&change).await {
                Ok(()) => {
                    toasts.say("The password was changed. Your other browsers are signed out");
                    present.try_set(String::new());
                    password.try_set(String::new());
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
            is_busy.try_set(false);
        });
    };
    view! {
        <details>
            <summary title="Set another password for your account">"Change password"</summary>
            <form class="stack" on:submit=submit>
                <label class="field" title="The password that you sign in with now. Leave it empty if the account has none.">
                    <span class="label">"Current password"</span>
                    <input
                        type="password"
                        autocomplete="current-password"
                        prop:value=present
                        on:input:target=move |event| present.set(event.target().value())
                    />
                </label>
                <NewPasswordField label="New password" password />
                {move || failure.get().map(|failure| view! { <Failure what="The password was not changed" failure /> })}
                <div class="row">
                    <button
                        type="submit"
                        title=move || match is_complete() {
                            true => "Save the new password and sign out your other browsers",
                            false => "Enter a new password of at least 10 characters first.",
                        }
                        disabled=move || is_busy.get() || !is_complete()
                    >
                        "Change password"
                    </button>
                </div>
            </form>
        </details>
    }
}
