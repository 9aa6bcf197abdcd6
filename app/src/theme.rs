//! Light or dark theme: that of the system, unless another is chosen in this browser. The style sheet contains the
//! colours.

use leptos::prelude::*;

const KEY: &str = "kindling.theme";

/// The choice of a theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// That of the system.
    Auto,
    /// Dark text on a light background.
    Light,
    /// Light text on a dark background.
    Dark,
}

impl Choice {
    /// All, in the order shown.
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// Its name, which is also the value of the attribute.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// The theme, in the context of all components.
#[derive(Clone, Copy)]
pub(crate) struct Theme {
    pub(crate) choice: RwSignal<Choice>,
    system_is_dark: RwSignal<bool>,
}

impl Theme {
    /// Reads the stored choice, and applies every change to the document and the storage.
    pub(crate) fn start() -> Self {
        let stored = storage().and_then(|storage| storage.get_item(KEY).ok().flatten());
        let choice =
            Choice::ALL.into_iter().find(|choice| Some(choice.word()) == stored.as_deref()).unwrap_or(Choice::Auto);
        let theme = Self { choice: RwSignal::new(choice), system_is_dark: RwSignal::new(false) };
        theme.follow_system();
        Effect::new(move || write(theme.choice.get()));
        theme
    }

    /// Whether the dark theme is shown; canvases depend on it.
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
        // It listens until the page is closed.
        listener.forget();
    }
}

fn write(choice: Choice) {
    if let Some(root) = document().document_element() {
        let _ = root.set_attribute("data-theme", choice.word());
    }
    // Without storage the choice lasts until the page is closed.
    let _ = storage().map(|storage| storage.set_item(KEY, choice.word()));
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}
