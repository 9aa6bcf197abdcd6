//! Embeds: one chart or one inspection for pages of other sites, as a page for an `<iframe>` and as an image. Nothing else of the lab is
//! reached from here: no cookie is read or set, and only links that were created as embeds are accepted. [`wire::access::embed`] says what
//! they show.

use axum::extract::{Extension, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use wire::access::embed::EmbedView;

use super::extract::{Path, Query};
use super::headers::Embeddable;
use super::notice::escaped;
use crate::error::ApiError;
use crate::export::figures;
use crate::lab::Lab;
use crate::lab::audit::Sender;
use crate::lab::drawing::{Format, Image, Look};

/// The script and the style sheet of the page.
const SCRIPT: &str = include_str!("embeds/embed.js");
const STYLE: &str = include_str!("embeds/embed.css");
/// Stem of the image's name.
const STEM: &str = "image";
/// Bounds of an image, pixels. Both sides are rounded up to a multiple of [`GRAIN`], so that windows of nearly the same size share one.
const WIDTH: (u32, u32) = (200, 2000);
const HEIGHT: (u32, u32) = (120, 1500);
const GRAIN: u32 = 8;
/// Seconds until the script looks again: for a run that trains, and for others.
const REFRESH: HeaderName = HeaderName::from_static("kindling-refresh");
const GROWING_SECS: HeaderValue = HeaderValue::from_static("2");
const STILL_SECS: HeaderValue = HeaderValue::from_static("30");
const ENDED: &str = "This embed has ended: its link was revoked or has expired.";

/// Options of an embed; unknown values are ignored, because a page that shows an embed may be old.
#[derive(Deserialize)]
pub struct EmbedQuery {
    theme: Option<String>,
    width: Option<String>,
    height: Option<String>,
}

impl EmbedQuery {
    /// The theme, if one is set; else the page follows that of the browser.
    fn theme(&self) -> Option<&'static str> {
        match self.theme.as_deref() {
            Some("light") => Some("light"),
            Some("dark") => Some("dark"),
            _ => None,
        }
    }

    fn look(&self, format: Format) -> Look {
        let side = |given: &Option<String>, usual: u32, (low, high): (u32, u32)| {
            let given = given.as_ref().and_then(|text| text.parse().ok()).unwrap_or(usual);
            given.clamp(low, high).next_multiple_of(GRAIN)
        };
        let (width, height) = (side(&self.width, 960, WIDTH), side(&self.height, 480, HEIGHT));
        Look { width, height, is_dark: self.theme() == Some("dark"), format }
    }
}

/// The page for an `<iframe>`.
pub async fn show_embed(
    State(lab): State<Lab>,
    Extension(sender): Extension<Sender>,
    Path(text): Path<String>,
    Query(query): Query<EmbedQuery>,
) -> Response {
    let shown = async {
        let Some(view) = find(&lab, &sender, &text).await? else { return Ok(ended_page()) };
        match figures::title(&lab, &view).await {
            Ok(title) => Ok(html(StatusCode::OK, &page(&title, &text, query.theme()))),
            Err(error) if error.status == StatusCode::NOT_FOUND => Ok(ended_page()),
            Err(error) => Err(error),
        }
    };
    embeddable(shown.await.or_else(slowed_page))
}

/// The image: `image.svg` or `image.png`.
pub async fn show_image(
    State(lab): State<Lab>,
    Extension(sender): Extension<Sender>,
    Path((text, file)): Path<(String, String)>,
    Query(query): Query<EmbedQuery>,
    headers: HeaderMap,
) -> Response {
    let shown = async {
        let Some((STEM, format)) = Format::split(&file) else {
            return Err(ApiError::not_found("an embed has no such file").hint("the image is image.svg or image.png"));
        };
        let Some(view) = find(&lab, &sender, &text).await? else { return Ok(ended_image()) };
        match figures::draw_embed(&lab, &view, query.look(format)).await {
            Ok(image) => Ok(send(image, &headers)),
            Err(error) if error.status == StatusCode::NOT_FOUND => Ok(ended_image()),
            Err(error) => Err(error),
        }
    };
    embeddable(shown.await)
}

/// The script of the page.
pub async fn script() -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

/// The style sheet of the page.
pub async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

fn asset(content_type: &'static str, content: &'static str) -> Response {
    embeddable(Ok(([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "max-age=600")], content).into_response()))
}

/// What the link of a text embeds; `None` for one that was revoked, has expired or is no embed, for a deleted
/// run, and where its creator has lost access.
async fn find(lab: &Lab, sender: &Sender, text: &str) -> Result<Option<EmbedView>, ApiError> {
    let Some(link) = lab.store().find_link(text).await?.filter(|link| link.is_embed) else {
        lab.throttle.text_failed(sender.address, text)?;
        return Ok(None);
    };
    let grants = lab.store().grants_of_link(link.id).await?;
    let Ok(view) = EmbedView::of(&link.path) else { return Ok(None) };
    for run in view.runs() {
        let summary = lab.store().summary(run).await?.filter(|summary| summary.deleted_ms.is_none());
        if summary.is_none_or(|summary| grants.on_run(run, &summary.project).is_none()) {
            return Ok(None);
        }
    }
    lab.openings.count(link.id, lab.store());
    Ok(Some(view))
}

/// Sends an image, or 304 to a program that has it. It must ask each time, so that the image in a document follows the run.
fn send(image: Image, headers: &HeaderMap) -> Response {
    let refresh = if image.is_growing { GROWING_SECS } else { STILL_SECS };
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known =
        known.is_some_and(|known| known.split(',').any(|etag| etag.trim().trim_start_matches("W/") == image.etag));
    let common = [(CACHE_CONTROL, "no-cache".to_owned()), (ETAG, image.etag)];
    if is_known {
        return (StatusCode::NOT_MODIFIED, common, [(REFRESH, refresh)]).into_response();
    }
    let content_type = [(CONTENT_TYPE, image.format.content_type())];
    (common, [(REFRESH, refresh)], content_type, image.content).into_response()
}

/// Lets pages of other sites show a response.
fn embeddable(answer: Result<Response, ApiError>) -> Response {
    (Extension(Embeddable), answer).into_response()
}

/// The page of a reader who must wait; other errors stay as they are.
fn slowed_page(error: ApiError) -> Result<Response, ApiError> {
    if error.status != StatusCode::TOO_MANY_REQUESTS {
        return Err(error);
    }
    let mut response = html(error.status, &document("Embed", "", &format!("<p>{}.</p>", escaped(&error.to_string()))));
    response.headers_mut().extend(error.retry_after_secs.map(|secs| (RETRY_AFTER, HeaderValue::from(secs))));
    // For the log.
    response.extensions_mut().insert(error);
    Ok(response)
}

fn ended_page() -> Response {
    let body = format!("<p>{ENDED}</p>");
    html(StatusCode::GONE, &document("Embed", "", &body))
}

fn ended_image() -> Response {
    (StatusCode::GONE, [(CONTENT_TYPE, "text/plain; charset=utf-8")], ENDED).into_response()
}

fn html(status: StatusCode, text: &str) -> Response {
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text.to_owned()).into_response()
}

/// The page: an image that also shows without the script. Addresses are relative, because a proxy may have removed a path before them.
fn page(title: &str, text: &str, theme: Option<&'static str>) -> String {
    let (title, text) = (escaped(title), escaped(text));
    let attribute = theme.map(|theme| format!(" data-theme={theme}")).unwrap_or_default();
    let dark = match theme {
        None => format!(
            "<source media=\"(prefers-color-scheme: dark)\" srcset=\"{text}/{STEM}.svg?theme=dark&amp;width=960&amp;height=480\">"
        ),
        Some(_) => String::new(),
    };
    let fixed = theme.unwrap_or("light");
    let body = format!(
        "<picture>{dark}<img src=\"{text}/{STEM}.svg?theme={fixed}&amp;width=960&amp;height=480\" data-image=\"{text}/{STEM}.svg\" \
         alt=\"{title}\"></picture><p hidden role=status></p><script src=embed.js></script>"
    );
    document(&title, &attribute, &body)
}

fn document(title: &str, attribute: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=en{attribute}><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <meta name=color-scheme content=\"light dark\"><meta name=robots content=noindex><link rel=icon href=\"data:,\">\
         <link rel=stylesheet href=embed.css><title>{title}</title><body>{body}</body></html>"
    )
}
