//! Small HTML pages that the server writes itself: before signing in, and where the page cannot be shown.

use std::fmt::Write as _;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// A page with a title, sentences, and below them a command to type or a button.
pub struct Notice {
    title: String,
    body: String,
    /// Address of a style sheet, relative to that of the page.
    style: Option<String>,
}

/// A control of a form: its field, its label, and what it holds.
pub enum Control<'a> {
    /// One of several values, each with its label.
    Choice { field: &'a str, label: &'a str, values: &'a [(&'a str, &'a str)], chosen: &'a str },
    /// A number of at least 0; `step` is `any` for fractions.
    Number { field: &'a str, label: &'a str, step: &'a str },
    /// A sentence that has to be ticked before the main button works. It is not sent.
    Confirmation { label: &'a str },
}

impl Control<'_> {
    fn html(&self) -> String {
        match self {
            Self::Choice { field, label, values, chosen } => {
                let option = |(value, label): &(&str, &str)| {
                    let selected = if value == chosen { " selected" } else { "" };
                    format!("<option value=\"{}\"{selected}>{}</option>", escaped(value), escaped(label))
                };
                let options: String = values.iter().map(option).collect();
                let label = escaped(label);
                format!(
                    "<p><label for={field}>{label}</label><br><select id={field} name={field}>{options}</select></p>"
                )
            }
            Self::Number { field, label, step } => format!(
                "<p><label for={field}>{}</label><br><input id={field} name={field} type=number min=0 step={step} \
                 placeholder=\"no limit\"></p>",
                escaped(label)
            ),
            Self::Confirmation { label } => {
                format!("<p><label><input type=checkbox required> {}</label></p>", escaped(label))
            }
        }
    }
}

impl Notice {
    pub fn new(title: &str) -> Self {
        Self { title: escaped(title), body: String::new(), style: None }
    }

    /// The layout of the page, if it was built.
    #[must_use]
    pub fn styled(self, style: Option<&'static str>) -> Self {
        Self { style: style.map(|path| format!("./{path}")), ..self }
    }

    /// As [`Self::styled`], for a page one folder below the address of the server.
    #[must_use]
    pub fn styled_below(self, style: Option<&'static str>) -> Self {
        Self { style: style.map(|path| format!("../{path}")), ..self }
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

    /// A sentence about what has failed.
    #[must_use]
    pub fn alarm(self, text: &str) -> Self {
        self.with(format_args!("<p role=alert><strong>{}</strong></p>", escaped(text)))
    }

    /// A field for a passphrase, and a button that sends it to the address of this page.
    #[must_use]
    pub fn passphrase(self, label: &str, button: &str) -> Self {
        let (label, button) = (escaped(label), escaped(button));
        self.with(format_args!(
            "<form method=post><p><label for=passphrase>{label}</label></p><p><input id=passphrase type=password name=passphrase required \
             maxlength=200 autocomplete=off autofocus title=\"The passphrase that was given to you with the link\"></p>\
             <p><button class=primary>{button}</button></p></form>"
        ))
    }

    /// A button that sends a POST to the address of this page.
    #[must_use]
    pub fn button(self, label: &str) -> Self {
        self.with(format_args!("<form method=post><button class=primary autofocus>{}</button></form>", escaped(label)))
    }

    /// A form that sends a POST to the address of this page, with a button for each value of its field `decision`; the first one is the main
    /// one.
    #[must_use]
    pub fn form(self, controls: &[Control<'_>], buttons: &[(&str, &str)]) -> Self {
        let controls: String = controls.iter().map(Control::html).collect();
        let mut rest = " class=primary";
        let button = |(value, label): &(&str, &str)| {
            let (value, label, rest) =
                (escaped(value), escaped(label), std::mem::replace(&mut rest, " formnovalidate"));
            format!("<button name=decision value=\"{value}\"{rest}>{label}</button> ")
        };
        let buttons: String = buttons.iter().map(button).collect();
        self.with(format_args!("<form method=post>{controls}<p>{buttons}</p></form>"))
    }

    /// Opens another page of the server, by itself or with a link. Unlike a redirect, it is a request of this site, with its cookies, also
    /// where another site has led here.
    #[must_use]
    pub fn forward(self, label: &str, path: &str) -> Self {
        let (label, path) = (escaped(label), escaped(path));
        self.with(format_args!(
            "<meta http-equiv=refresh content=\"0;url={path}\"><p><a href=\"{path}\">{label}</a></p>"
        ))
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
        let Self { title, body, style } = self;
        let style = style.map(|path| format!("<link rel=stylesheet href=\"{path}\">")).unwrap_or_default();
        let html = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
             <meta name=color-scheme content=\"light dark\"><link rel=icon href=\"data:,\">{style}<title>{title} · Kindling</title>\
             <body><main class=\"page narrow signin\"><h1>{title}</h1>{body}</main></body></html>"
        );
        ([(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
    }
}

/// A text for HTML, also in quoted attributes.
pub(super) fn escaped(text: &str) -> String {
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
