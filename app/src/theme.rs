//! Light or dark: as the system has it, unless this browser was told otherwise. The style sheet does the rest.

use leptos::prelude::*;

const KEY: &str = "kindling.theme";

/// Which set of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The system's.
    Auto,
    /// Dark ink on light.
    Light,
    /// Light ink on dark.
    Dark,
}

impl Choice {
    /// All, in the order shown.
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// Its word, also the attribute's value.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// The choice, in context for everyone.
#[derive(Clone, Copy)]
pub(crate) struct Theme {
    /// What was chosen.
    pub(crate) choice: RwSignal<Choice>,
    system_is_dark: RwSignal<bool>,
}

impl Theme {
    /// Reads the stored choice, and keeps it and the document in step from here on.
    pub(crate) fn start() -> Self {
        let stored = storage().and_then(|storage| storage.get_item(KEY).ok().flatten());
        let choice =
            Choice::ALL.into_iter().find(|choice| Some(choice.word()) == stored.as_deref()).unwrap_or(Choice::Auto);
        let theme = Self { choice: RwSignal::new(choice), system_is_dark: RwSignal::new(false) };
        theme.follow_system();
        Effect::new(move || write(theme.choice.get()));
        theme
    }

    /// Whether dark colours are shown now; charts on a canvas ask.
    pub(crate) fn is_dark(self) -> bool {
        match self.choice.get() {
            Choice::Auto => self.system_is_dark.get(),
            Choice::Light => false,
            Choice::Dark => true,
        }
    }

    fn follow_system(self) {
        let Ok(Some(query)) = window().match_media("(prefers-color-scheme: dark)") else { return };
        self.system_is_dark.set(query.matches());
        let listened = query.clone();
        let listener =
            wasm_bindgen::closure::Closure::<dyn Fn()>::new(move || self.system_is_dark.set(listened.matches()));
        query.set_onchange(Some(wasm_bindgen::JsCast::unchecked_ref(listener.as_ref())));
        // It listens as long as the page lives.
        listener.forget();
    }
}

fn write(choice: Choice) {
    if let Some(root) = document().document_element() {
        let _ = root.set_attribute("data-theme", choice.word());
    }
    // A browser that keeps nothing still shows the choice until the page is left.
    let _ = storage().map(|storage| storage.set_item(KEY, choice.word()));
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}
