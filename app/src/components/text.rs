//! Text of datasets and models as it is shown.

use std::borrow::Cow;

/// The text with `␍` for each carriage return, which browsers do not draw. A line end of `\r\n` shows it before the line break.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace('\r', "␍")) } else { Cow::Borrowed(text) }
}
