//! The form that creates an embed, with a live preview and the texts to copy.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunId;
use wire::access::Role;
use wire::access::link::{CreatedLink, LinkScope, NewLink};
use wire::hyperparameters::table::Values;
use wire::series::{Axis, describe, name};

use super::embed_text::EmbedText;
use super::embed_view::{Chosen, What, is_inspection};
use super::expiry::{USUAL, phrase};
use super::form::ExpiryChoice;
use super::fresh::address;
use super::links::Links;
use super::scope::scope_name;
use crate::base::at;
use crate::components::{
    AxisPick, CopyButton, Failure, NumberField, TypedNumber, axis_word, clicks, interval, says, shows,
};
use crate::net::api::{self, ApiFailure};
use crate::net::live::Live;

/// Bounds of a size, pixels, as the server has them, and the usual ones.
const WIDTH: (u64, u64, u32) = (200, 2000, 960);
const HEIGHT: (u64, u64, u32) = (120, 1500, 480);
const THEMES: [(Option<&str>, &str, &str); 3] = [
    (None, "Reader's", "A frame follows the theme of its reader's browser; images are light (default)"),
    (Some("light"), "Light", "Dark lines on a light background"),
    (Some("dark"), "Dark", "Light lines on a dark background"),
];
/// Time between two images of the preview.
const PREVIEW_EVERY: Duration = Duration::from_secs(5);

/// The choices of the form, and its answer.
#[derive(Clone, Copy)]
struct Draft {
    scope: StoredValue<LinkScope>,
    page: StoredValue<String>,
    what: RwSignal<What>,
    axis: RwSignal<Axis>,
    is_log: RwSignal<bool>,
    layer: TypedNumber,
    head: TypedNumber,
    theme: RwSignal<Option<&'static str>>,
    width: TypedNumber,
    height: TypedNumber,
    hours: RwSignal<Option<u32>>,
    /// The embed that was created, with the path that it shows.
    created: RwSignal<Option<CreatedLink>>,
    failure: RwSignal<Option<ApiFailure>>,
    is_busy: RwSignal<bool>,
}

impl Draft {
    fn new(scope: LinkScope, page: String) -> Self {
        let bounds = |(min, max, usual): (u64, u64, u32)| TypedNumber::new(Values::Integer { min, max }, usual);
        let index = || TypedNumber::new(Values::Integer { min: 0, max: 1_000 }, 0);
        let what = if is_inspection(&page) { What::Page } else { What::Loss };
        Self {
            scope: StoredValue::new(scope),
            page: StoredValue::new(page),
            what: RwSignal::new(what),
            axis: RwSignal::new(Axis::Step),
            is_log: RwSignal::new(false),
            layer: index(),
            head: index(),
            theme: RwSignal::new(None),
            width: bounds(WIDTH),
            height: bounds(HEIGHT),
            hours: RwSignal::new(USUAL),
            created: RwSignal::new(None),
            failure: RwSignal::new(None),
            is_busy: RwSignal::new(false),
        }
    }

    fn runs(self) -> Vec<RunId> {
        self.scope.with_value(|scope| match scope {
            LinkScope::Runs(runs) => runs.clone(),
            LinkScope::Project(_) => vec![],
        })
    }

    fn is_readable(self) -> bool {
        [self.layer, self.head, self.width, self.height].into_iter().all(TypedNumber::is_readable)
    }

    fn path(self) -> String {
        let chosen = Chosen {
            what: self.what.get(),
            axis: self.axis.get(),
            is_log: self.is_log.get(),
            layer: self.layer.small_integer().unwrap_or(0),
            head: self.head.small_integer().unwrap_or(0),
        };
        self.page.with_value(|page| chosen.path(&self.runs(), page))
    }

    /// The texts of the embed that was created.
    fn text(self, live: Live) -> Option<EmbedText> {
        let address = self.created.read().as_ref().map(|created| address(&format!("/embed/{}", created.text)))?;
        let title = self.what.get().title(&self.scope.with_value(|scope| scope_name(live, scope)));
        let (width, height) = (self.width.small_integer()?, self.height.small_integer()?);
        Some(EmbedText { address, title, theme: self.theme.get(), width, height })
    }

    /// The address of an image of it: that of the embed, or before it is created the one that is drawn for this person.
    fn preview(self, live: Live) -> Option<String> {
        if let Some(text) = self.text(live) {
            return Some(text.image("svg"));
        }
        let (width, height) = (self.width.small_integer()?, self.height.small_integer()?);
        let stem = match self.what.get() {
            What::Loss => "loss".to_owned(),
            What::Series(series) => series,
            _ => return None,
        };
        let [run] = &self.runs()[..] else { return None };
        let axis = axis_word(self.axis.get());
        let (theme, log) = (self.theme.get().unwrap_or("light"), self.is_log.get());
        let file = String::from(js_sys::encode_uri_component(&format!("{stem}.svg")));
        Some(at(&format!(
            "/api/v1/runs/{run}/figures/{file}?theme={theme}&width={width}&height={height}&x={axis}&log={log}"
        )))
    }

    fn create(self, links: Links) {
        let (scope, path, hours) = (self.scope.get_value(), untrack(|| self.path()), self.hours.get_untracked());
        let link = NewLink { scope, path, role: Role::View, is_embed: true, hours, passphrase: None };
        self.is_busy.set(true);
        self.failure.set(None);
        spawn_local(async move {
            match api::links::create(&link).await {
                Ok(created) => {
                    self.created.try_set(Some(created));
                    links.fetch();
                }
                Err(failure) => drop(self.failure.try_set(Some(failure))),
            }
            self.is_busy.try_set(false);
        });
    }
}

/// The form, the preview, and the texts once it is created.
#[component]
pub(super) fn EmbedForm(scope: LinkScope, path: String, links: Links) -> impl IntoView {
    let live = expect_context::<Live>();
    let draft = Draft::new(scope, path);
    // The texts belong to what was created.
    Effect::new(move |before: Option<String>| {
        let path = draft.path();
        if before.is_some_and(|before| before != path) {
            draft.created.set(None);
            draft.failure.set(None);
        }
        path
    });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if untrack(|| draft.is_readable()) && !draft.is_busy.get_untracked() {
            draft.create(links);
        }
    };
    view! {
        <form class="stack" on:submit=submit>
            <p class="small">
                "Anyone who sees the other page sees the chart, without an account. It updates while the run trains, and shows nothing \
                 else of the lab."
            </p>
            <div class="fields">
                <WhatChoice draft />
                {shows(move || match draft.what.get() {
                    What::Attention => view! { <HeadChoice draft /> }.into_any(),
                    what if what.is_chart() => view! { <AxisChoice draft /> }.into_any(),
                    _ => ().into_any(),
                })}
                <LookChoice draft />
                <ExpiryChoice hours=draft.hours />
            </div>
            <Preview draft live />
            <div class="row end">
                <button
                    class="primary"
                    type="submit"
                    title="Create the embed; the texts to copy are shown once"
                    disabled=move || draft.is_busy.get() || !draft.is_readable() || draft.created.read().is_some()
                >
                    "Create embed"
                </button>
            </div>
            {shows(move || draft.failure.get().map(|failure| view! { <Failure what="The embed was not created" failure /> }))}
        </form>
        <Texts draft live />
    }
}

/// The choice of a chart or an inspection.
#[component]
fn WhatChoice(draft: Draft) -> impl IntoView {
    let runs = draft.runs();
    let is_single = runs.len() == 1;
    let has_view = draft.page.with_value(|page| is_inspection(page));
    let series = RwSignal::new(vec![name::VALID.to_owned()]);
    if let Some(run) = runs.into_iter().next() {
        spawn_local(async move {
            // Without them the losses are there.
            if let Ok(names) = api::series::names(&run).await {
                series.try_set(names);
            }
        });
    }
    let option = move |what: What, label: String| {
        let word = what.word();
        view! { <option value=word selected=move || draft.what.get() == what>{label}</option> }
    };
    view! {
        <label class="field" title="What the other page shows">
            <span class="label">"Show"</span>
            <select on:change:target=move |event| draft.what.set(What::of_word(&event.target().value()))>
                {has_view.then(|| option(What::Page, "This view of the X-ray".into()))}
                {option(What::Loss, if is_single { "Loss" } else { "Training losses" }.into())}
                {is_single.then(|| option(What::Attention, "Attention pattern of a head".into()))}
                {is_single.then(|| option(What::LogitLens, "Logit lens".into()))}
                <optgroup label="Metrics">
                    {shows(move || {
                        let names = series.get().into_iter();
                        names.map(|series| option(What::Series(series.clone()), series_label(&series))).collect_view()
                    })}
                </optgroup>
            </select>
        </label>
    }
}

/// "gradient norm (grad_norm)"
fn series_label(series: &str) -> String {
    let label = describe(series).label;
    if label == series { label } else { format!("{label} ({series})") }
}

#[component]
fn HeadChoice(draft: Draft) -> impl IntoView {
    view! {
        <label class="field" title="Block of the model, from 0">
            <span class="label">"Block"</span>
            <NumberField number=draft.layer />
        </label>
        <label class="field" title="Attention head of the block, from 0">
            <span class="label">"Head"</span>
            <NumberField number=draft.head />
        </label>
    }
}

#[component]
fn AxisChoice(draft: Draft) -> impl IntoView {
    view! {
        <div class="field">
            <span class="label">"Axes"</span>
            <div class="row">
                <AxisPick axis=draft.axis choose=move |axis| draft.axis.set(axis) />
                <label class="row nowrap" title="Logarithmic y axis. Off by default">
                    <input
                        type="checkbox"
                        prop:checked=draft.is_log
                        on:change=move |_| draft.is_log.update(|is_log| *is_log = !*is_log)
                    />
                    "log"
                </label>
            </div>
        </div>
    }
}

/// Theme and size.
#[component]
fn LookChoice(draft: Draft) -> impl IntoView {
    view! {
        <div class="field">
            <span class="label" id="embed-theme">"Theme"</span>
            <div class="tabs" role="group" aria-labelledby="embed-theme">
                {THEMES.map(|(of, word, meaning)| view! {
                    <button
                        type="button"
                        class="tab"
                        title=meaning
                        aria-pressed=says(move || (draft.theme.get() == of).to_string())
                        on:click=clicks(move |_| draft.theme.set(of))
                    >
                        {word}
                    </button>
                })}
            </div>
        </div>
        <label class="field" title="200 to 2\u{202f}000 pixels. Default: 960">
            <span class="label">"Width"<span class="unit">", px"</span></span>
            <NumberField number=draft.width />
        </label>
        <label class="field" title="120 to 1\u{202f}500 pixels. Default: 480">
            <span class="label">"Height"<span class="unit">", px"</span></span>
            <NumberField number=draft.height />
        </label>
    }
}

/// The image as another page will show it, fetched again every few seconds.
#[component]
fn Preview(draft: Draft, live: Live) -> impl IntoView {
    let (number, is_broken) = (RwSignal::new(0_u32), RwSignal::new(false));
    interval::every(PREVIEW_EVERY, move || {
        number.try_update(|number| *number += 1);
        // The run may have values by now.
        is_broken.try_set(false);
    });
    let source = Memo::new(move |_| draft.preview(live));
    Effect::new(move || {
        source.track();
        is_broken.set(false);
    });
    let shown = move || match source.get() {
        Some(_) if is_broken.get() => {
            view! { <p class="small dim">"There is nothing to show yet: the run has no values for it."</p> }.into_any()
        }
        Some(address) => {
            let title = draft.what.get_untracked().title("this page");
            let source = says(move || format!("{address}&at={}", number.get()));
            view! { <img class="embed-preview" src=source alt=title on:error=move |_| is_broken.set(true) /> }
                .into_any()
        }
        None => view! { <p class="small dim">"The preview is shown once the embed is created."</p> }.into_any(),
    };
    view! { <figure class="embed-figure" aria-label="Preview">{shows(shown)}</figure> }
}

/// The texts to copy.
#[component]
fn Texts(draft: Draft, live: Live) -> impl IntoView {
    let text = Memo::new(move |_| draft.text(live).map(|text| text_of(&text)));
    shows(move || {
        let texts = text.get()?;
        let until = draft.created.with(|created| created.as_ref().map(|created| phrase(created.link.expires_ms)));
        Some(view! {
            <div class="fresh stack" role="status">
                <p>
                    <strong>"Copy what you need now."</strong>" It is not shown again. "
                    <span class="dim">{until.map(|until| format!("The embed {until}."))}</span>
                </p>
                {texts.map(|(label, text)| view! { <CopyText label text /> })}
                <div class="row end">
                    <button type="button" title="Hide it" on:click=clicks(move |_| draft.created.set(None))>"Done"</button>
                </div>
            </div>
        })
    })
}

fn text_of(text: &EmbedText) -> [(&'static str, String); 4] {
    [
        ("Frame (HTML)", text.iframe()),
        ("Markdown, SVG", text.markdown("svg")),
        ("Markdown, PNG", text.markdown("png")),
        ("Image (HTML)", text.img()),
    ]
}

#[component]
fn CopyText(label: &'static str, text: String) -> impl IntoView {
    let copied = text.clone();
    view! {
        <div class="copy-text" role="group" aria-label=label>
            <div class="row nowrap">
                <h3 class="grow">{label}</h3>
                <CopyButton text=move || copied.clone() title="Copy this text to the clipboard" done="The text was copied" />
            </div>
            <pre class="command">{text}</pre>
        </div>
    }
}
