//! Which text the run learns, and how it is cut into tokens.

use leptos::prelude::*;
use wire::corpus::{CorpusInfo, Source};
use wire::spec::Tokenizer;

use super::draft::Draft;
use super::field::{FieldError, Part};
use crate::parts::number::{grouped, short};
use crate::parts::{Empty, Number};

/// The text and its tokenizer.
#[component]
pub(super) fn TextChoice() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let texts = Memo::new(move |_| match &*draft.texts.read() {
        Some(Ok(texts)) => texts.clone(),
        _ => vec![],
    });
    let mix = move || draft.spec.read().mix.clone();
    view! {
        <Part title="Text" note="what it learns">
            {move || match (mix(), texts.read().is_empty()) {
                (Some(mix), _) => view! {
                    <p>
                        "A mix: "{mix.iter().map(|(text, weight)| format!("{text} {weight}")).collect::<Vec<_>>().join(", ")}" (weights). "
                        <button on:click=move |_| draft.set(|spec| { spec.mix = None; spec.corpus = "tales".parse().ok(); })>"Take one text instead"</button>
                    </p>
                }.into_any(),
                (None, true) => view! {
                    <Empty title="No text yet" text="Tales is written in the first seconds of a new lab. Any text of your own will do as well.">
                        <a class="button" href="/texts">"Bring a text"</a>
                        <button on:click=move |_| draft.fetch_texts()>"Look again"</button>
                    </Empty>
                }.into_any(),
                (None, false) => view! {
                    <div class="cards" role="radiogroup" aria-label="Text">
                        {texts.get().into_iter().map(|text| view! { <TextCard text /> }).collect_view()}
                        <a class="card adding" href="/texts">"Bring a text, or fetch one from the catalogue"</a>
                    </div>
                }.into_any(),
            }}
            <FieldError field="corpus" />
            <FieldError field="mix" />
            <TokenizerChoice />
        </Part>
    }
}

#[component]
fn TextCard(text: CorpusInfo) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let CorpusInfo { id, name, source, chars, documents, .. } = text;
    let from = match source {
        Source::Generated { .. } => "written by the lab, floor known",
        Source::Files { .. } => "brought in",
        Source::Catalogue { .. } => "from the catalogue",
    };
    let chosen = id.clone();
    let is_chosen = move || draft.spec.read().corpus.as_ref() == Some(&chosen);
    let amount = format!("{} characters in {} documents", grouped(chars), grouped(documents));
    view! {
        <label class="card">
            <input type="radio" name="text" prop:checked=is_chosen on:change=move |_| draft.set(|spec| spec.corpus = Some(id.clone())) />
            <span class="card-title">{name}</span>
            <span class="small"><Number text=short(chars as f64) unit="characters" meaning=amount /></span>
            <span class="small dim">{from}</span>
        </label>
    }
}

/// The four ways, with what each would make of the chosen text.
#[component]
fn TokenizerChoice() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let kind = Memo::new(move |_| std::mem::discriminant(&draft.tokenizer()));
    let bpe_vocab = Memo::new(move |_| match draft.tokenizer() {
        Tokenizer::Bpe(vocab) => Some(vocab),
        _ => None,
    });
    let is_preset = move || draft.spec.read().tokenizer.is_none();
    let ways = [
        (Tokenizer::Char, "characters", "one token per character of the text"),
        (Tokenizer::Byte, "bytes", "256 bytes and an end of text; any text"),
        (Tokenizer::Bpe(1024), "BPE", "pieces of words, trained on this text"),
        (Tokenizer::Gpt2, "GPT-2's", "50 257 pieces, as GPT-2 cuts"),
    ];
    view! {
        <div class="field">
            <span class="label">"Tokenizer"<span class="dim">{move || if is_preset() { " (the preset's)" } else { "" }}</span></span>
            <div class="row">
                <div class="tabs" role="group" aria-label="Tokenizer">
                    {ways.map(|(tokenizer, word, about)| view! {
                        <button
                            class="tab"
                            title=about
                            aria-pressed=move || (kind.get() == std::mem::discriminant(&tokenizer)).to_string()
                            on:click=move |_| draft.set(|spec| spec.tokenizer = Some(tokenizer))
                        >
                            {word}
                        </button>
                    })}
                </div>
                {move || bpe_vocab.get().map(|vocab| view! {
                    <label class="row">
                        <span>"vocabulary"</span>
                        <select on:change:target=move |event| if let Ok(vocab) = event.target().value().parse() { draft.set(|spec| spec.tokenizer = Some(Tokenizer::Bpe(vocab))) }>
                            {vocabularies(vocab).into_iter().map(|size| view! {
                                <option value=size.to_string() selected={size == vocab}>{grouped(u64::from(size))}</option>
                            }).collect_view()}
                        </select>
                        <span class="dim">"tokens"</span>
                    </label>
                })}
                {move || (!is_preset()).then(|| view! { <button class="quiet" on:click=move |_| draft.set(|spec| spec.tokenizer = None)>"Back to the preset's"</button> })}
            </div>
            <p class="small dim">{move || cut_in_words(draft)}</p>
            <FieldError field="tokenizer" />
        </div>
    }
}

/// The usual sizes, and the present one.
fn vocabularies(present: u32) -> Vec<u32> {
    let mut sizes = vec![512, 1024, 2048, 4096, 8192, 16_384, 32_768, present];
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// What is known of the text cut this way.
fn cut_in_words(draft: Draft) -> String {
    let tokenizer = draft.tokenizer();
    let made = draft.text().and_then(|text| text.datasets.into_iter().find(|made| made.tokenizer == tokenizer));
    match made {
        Some(made) => format!(
            "Already cut: {} tokens to train on, {} held out, vocabulary {}.",
            short(made.train_tokens as f64),
            short(made.valid_tokens as f64),
            grouped(u64::from(made.vocab))
        ),
        None => {
            "Not cut this way yet: the run does it when it starts, which takes seconds for a few megabytes.".to_owned()
        }
    }
}
