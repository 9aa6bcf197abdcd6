//! Signing in: with a name and a password ([`password`]) or with an OpenID Connect provider, where people have accounts, and always with a
//! one-time token ([`link`]), printed on the machine of the server.

mod link;
mod password;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::SignInInfo;

use crate::base::at;
use crate::components::{Flame, Icon, Skeleton, isolated};
use crate::net::api;
use crate::route::Router;
use crate::session::Session;
use link::LinkForm;
use password::PasswordForm;

/// The page that is shown until someone is signed in.
#[component]
pub(crate) fn SignInPage() -> impl IntoView {
    let (session, router) = (expect_context::<Session>(), expect_context::<Router>());
    let info = RwSignal::new(None::<SignInInfo>);
    spawn_local(async move {
        // Without an answer the page offers the form for a link, which works in every lab.
        let unknown = |_| SignInInfo { data_folder: None, has_passwords: false, provider: None };
        info.try_set(Some(api::sign_in_info().await.unwrap_or_else(unknown)));
    });
    let has_passwords = Memo::new(move |_| info.read().as_ref().is_some_and(|info| info.has_passwords));
    let provider = Memo::new(move |_| info.read().as_ref().and_then(|info| info.provider.clone()));
    // `None` until it is known.
    let has_accounts =
        Memo::new(move |_| info.read().as_ref().map(|info| info.has_passwords || info.provider.is_some()));
    view! {
        <main class="page narrow signin">
            <h1><Flame size=32 />"Kindling"</h1>
            {move || session.has_ended.get().then(|| view! {
                <p role="status">
                    <strong>"You are signed out."</strong>
                    " The session of this browser has ended: it expired, or it was ended in another browser or by an admin."
                </p>
            })}
            {router.is_invalid_link().then(|| view! {
                <div class="failure" role="alert">
                    <Icon name="warning" />
                    <div>
                        <strong>"This sign-in link is not valid"</strong>
                        <p>"The link is invalid, expired or already used."</p>
                    </div>
                </div>
            })}
            <Show when=move || has_passwords.get()><PasswordForm /></Show>
            {move || provider.get().map(|name| view! { <ProviderButton name /> })}
            {move || match has_accounts.get() {
                None => view! { <Skeleton rows=2 /> }.into_any(),
                Some(false) => view! { <LinkForm /> }.into_any(),
                Some(true) => view! {
                    <details>
                        <summary title="For admins on the machine of the server">"Sign in with a link"</summary>
                        <div class="stack"><LinkForm /></div>
                    </details>
                }.into_any(),
            }}
        </main>
    }
}

/// Goes to the provider, which sends the browser back to the page that was opened.
#[component]
fn ProviderButton(name: String) -> impl IntoView {
    let router = expect_context::<Router>();
    let back = untrack(|| if router.is_sign_in() { "/".to_owned() } else { router.here() });
    let address = at(&format!("/oidc/start?return={}", String::from(js_sys::encode_uri_component(&back))));
    let name = isolated(&name);
    view! {
        <a class="button large" href=address title=format!("Open the sign-in page of {name}, which then returns to this lab")>
            {format!("Sign in with {name}")}
        </a>
    }
}
