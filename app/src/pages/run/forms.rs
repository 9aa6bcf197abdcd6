//! The longer forms below the controls. They are a part of the program of their own, loaded when one of them is first opened.

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

use super::fork::ForkForm;
use super::mix::MixForm;
use super::rollback::RollbackForm;
use crate::components::{Skeleton, shows};

/// A form of this part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Fork,
    Mix,
    Rollback,
}

/// Builds a form.
type Build = fn(Form) -> AnyView;

#[wasm_split(forms, wasm_split_path = ::leptos::wasm_split, fallible)]
fn forms_part() -> Result<Build, SplitLoaderError> {
    Ok(|form| match form {
        Form::Fork => view! { <ForkForm /> }.into_any(),
        Form::Mix => view! { <MixForm /> }.into_any(),
        Form::Rollback => view! { <RollbackForm /> }.into_any(),
    })
}

/// A form, once the part is loaded.
#[component]
pub(super) fn LoadedForm(form: Form) -> impl IntoView {
    // `Some(None)`: it could not be loaded.
    let loaded = RwSignal::new(None::<Option<Build>>);
    spawn_local(async move {
        let build = forms_part().await.ok();
        loaded.try_set(Some(build));
    });
    shows(move || {
        match loaded.get() {
        None => view! { <Skeleton rows=3 /> }.into_any(),
        Some(Some(build)) => build(form),
        Some(None) => {
            view! { <p role="alert">"The form could not be loaded. Reload the page: the server may have been updated."</p> }.into_any()
        }
    }
    })
}
