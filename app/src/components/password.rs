//! The field of a new password, with the rule that it must meet.

use leptos::prelude::*;

/// Fewest characters of a password, as the server requires.
pub(crate) const MIN_PASSWORD_CHARS: usize = 10;

/// Whether a text is long enough to be a password.
pub(crate) fn is_password(text: &str) -> bool {
    text.chars().count() >= MIN_PASSWORD_CHARS
}

/// The field of a new password. The rule stands below it, with the characters that are missing while it is typed.
#[component]
pub(crate) fn NewPasswordField(
    /// Name of the field.
    label: &'static str,
    password: RwSignal<String>,
) -> impl IntoView {
    let rule = move || match password.read().chars().count() {
        0 => format!("At least {MIN_PASSWORD_CHARS} characters. Several words are easy to remember and hard to guess."),
        typed if typed < MIN_PASSWORD_CHARS => {
            format!("At least {MIN_PASSWORD_CHARS} characters: {} more.", MIN_PASSWORD_CHARS - typed)
        }
        _ => "Long enough.".to_owned(),
    };
    view! {
        <label class="field" title="At least 10 characters. The server stores only a hash of it.">
            <span class="label">{label}</span>
            <input
                type="password"
                name="new-password"
                autocomplete="new-password"
                maxlength="200"
                prop:value=password
                on:input:target=move |event| password.set(event.target().value())
            />
            <span class="small dim" aria-live="polite">{rule}</span>
        </label>
    }
}

#[cfg(test)]
mod tests {
    use super::is_password;

    #[test]
    fn characters_count_and_not_bytes() {
        for (text, expected) in
            [("", false), ("ninechars", false), ("ten chars!", true), ("пароль", false), ("密码密码密码密码密码", true)]
        {
            assert_eq!(is_password(text), expected, "{text}");
        }
    }
}
