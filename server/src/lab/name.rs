//! Valid display names.

use crate::error::ApiError;

/// Maximum length of a name, characters.
pub const NAME_CHARS: usize = 80;

/// Longest name of a project, characters.
pub const PROJECT_CHARS: usize = 40;

/// A display name as it is stored: trimmed, on one line, 1 to [`NAME_CHARS`] characters.
///
/// # Errors
/// 422 for any other name.
pub fn checked_name(name: &str) -> Result<String, ApiError> {
    let trimmed = name.trim();
    if trimmed.is_empty() || trimmed.chars().count() > NAME_CHARS || trimmed.chars().any(char::is_control) {
        let shown: String = trimmed.chars().take(NAME_CHARS).collect();
        return Err(ApiError::invalid("name_invalid", format!("{shown:?} is not a valid name"))
            .field("name")
            .hint(format!("enter 1 to {NAME_CHARS} characters on one line")));
    }
    Ok(trimmed.to_owned())
}
