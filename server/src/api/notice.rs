//! Small HTML pages that the server writes itself: before signing in, and where the page cannot be shown.

use std::fmt::Write as _;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// A page with a title, sentences, and below them a command to type or a button.
pub struct Notice {
    title: String,
    body: String,
}

impl Notice {
    pub fn new(title: &str) -> Self {
        Self { title: escaped(title), body: String::new() }
    }

    #[must_use]
    pub fn sentence(self, text: &str) -> Self {
        self.with(format_args!("<p>{}</p>", escaped(text)))
    }

    /// A command to type.
    #[must_use]
    pub fn command(self, text: &str) -> Self {
        self.with(format_args!("<pre>{}</pre>", escaped(text)))
    }

    /// A button that sends a POST to the address of this page.
    #[must_use]
    pub fn button(self, label: &str) -> Self {
        self.with(format_args!("<form method=post><button autofocus>{}</button></form>", escaped(label)))
    }

    #[must_use]
    fn with(mut self, part: std::fmt::Arguments<'_>) -> Self {
        // Writing to a string cannot fail.
        let _ = self.body.write_fmt(part);
        self
    }
}

impl IntoResponse for Notice {
    fn into_response(self) -> Response {
        let Self { title, body } = self;
        let html = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
             <meta name=color-scheme content=\"light dark\"><link rel=icon href=\"data:,\"><title>{title} · Kindling</title><h1>{title}</h1>{body}</html>"
        );
        ([(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter => out.push(letter),
        }
    }
    out
}
