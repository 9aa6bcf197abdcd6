//! Which text the run learns, or which several in what shares, and how they are cut into tokens.

use leptos::prelude::*;
use wire::corpus::{CorpusInfo, Source};
use wire::spec::Tokenizer;
use wire::{CorpusId, RunSpec};

use super::draft::Draft;
use super::field::{FieldError, Part};
use crate::panels::balanced;
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
    let is_mix = Memo::new(move |_| draft.spec.read().mix.is_some());
    view! {
        <Part title="Text" note="what it learns">
            {move || match texts.read().is_empty() {
                true => view! {
                    <Empty title="No text yet" text="Tales is written in the first seconds of a new lab. Any text of your own will do as well.">
                        <a class="button" href="/texts">"Bring a text"</a>
                        <button on:click=move |_| draft.fetch_texts()>"Look again"</button>
                    </Empty>
                }.into_any(),
                false => view! {
                    <div class="tabs" role="group" aria-label="How many texts">
                        <button class="tab" aria-pressed=move || (!is_mix.get()).to_string() on:click=move |_| draft.set(take_one)>"one text"</button>
                        <button class="tab" title="Batches are read from each in shares that can be changed while the run trains" aria-pressed=move || is_mix.get().to_string() on:click=move |_| draft.set(take_several)>"a mix of several"</button>
                    </div>
                    <div class="cards" role=move || if is_mix.get() { "group" } else { "radiogroup" } aria-label="Text">
                        {texts.get().into_iter().map(|text| view! { <TextCard text is_mix /> }).collect_view()}
                        <a class="card adding" href="/texts">"Bring a text, or fetch one from the catalogue"</a>
                    </div>
                    <Show when=move || is_mix.get()><Shares /></Show>
                }.into_any(),
            }}
            <FieldError field="corpus" />
            <FieldError field="mix" />
            <TokenizerChoice />
        </Part>
    }
}

/// The text chosen becomes a mix of one, to which others are added.
fn take_several(spec: &mut RunSpec) {
    if spec.mix.is_none() {
        spec.mix = Some(spec.corpus.take().into_iter().map(|text| (text, 1.0)).collect());
    }
}

/// The heaviest text of a mix alone.
fn take_one(spec: &mut RunSpec) {
    if let Some(mix) = spec.mix.take() {
        spec.corpus = mix.into_iter().max_by(|one, two| one.1.total_cmp(&two.1)).map(|(text, _)| text);
    }
}

/// Puts a text into the mix, at the weight of an even share, or takes it out; the last one stays.
fn toggle(spec: &mut RunSpec, text: &CorpusId) {
    let Some(mix) = &mut spec.mix else { return };
    if mix.len() > 1 && mix.contains_key(text) {
        mix.remove(text);
    } else if !mix.contains_key(text) {
        let even = mix.values().sum::<f64>() / mix.len().max(1) as f64;
        mix.insert(text.clone(), if even > 0.0 { even } else { 1.0 });
    }
}

/// A slider for each text of the mix; together they are the whole.
#[component]
fn Shares() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let texts =
        Memo::new(move |_| draft.spec.read().mix.iter().flatten().map(|(text, _)| text.clone()).collect::<Vec<_>>());
    view! {
        <ul class="mix shares">
            <For each=move || texts.get() key=Clone::clone let(text)><Share text texts /></For>
        </ul>
        {move || (texts.read().len() < 2).then(|| view! { <p class="small dim">"Choose a second text above; a text of weight 0 can be turned up while the run trains."</p> })}
    }
}

#[component]
fn Share(text: CorpusId, texts: Memo<Vec<CorpusId>>) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let shares = move || {
        let spec = draft.spec.read();
        let weights: Vec<f64> = spec.mix.iter().flatten().map(|(_, weight)| *weight).collect();
        let total: f64 = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        weights.into_iter().map(|weight| weight / total).collect::<Vec<_>>()
    };
    let name = text.to_string();
    let place = move || texts.read().iter().position(|other| *other == text);
    let place = Memo::new(move |_| place());
    let percent = move || place.get().and_then(|place| shares().get(place).copied()).unwrap_or(0.0) * 100.0;
    let set = move |typed: &str| {
        let (Some(place), Ok(percent)) = (place.get_untracked(), typed.parse::<f64>()) else { return };
        let after = balanced(&untrack(shares), place, percent / 100.0);
        draft.set(|spec| {
            for (weight, share) in spec.mix.iter_mut().flat_map(|mix| mix.values_mut()).zip(after) {
                *weight = (share * 1e4).round() / 1e4;
            }
        });
    };
    view! {
        <li>
            <label>
                <span class="row"><strong>{name}</strong><span class="grow"></span><output class="mono">{move || format!("{:.0} %", percent())}</output></span>
                <input type="range" min="0" max="100" step="1" disabled=move || texts.read().len() < 2 prop:value=move || percent().to_string()
                    on:input:target=move |event| set(&event.target().value()) />
            </label>
        </li>
    }
}

#[component]
fn TextCard(text: CorpusInfo, is_mix: Memo<bool>) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let CorpusInfo { id, name, source, chars, documents, .. } = text;
    let from = match source {
        Source::Generated { .. } => "written by the lab, floor known",
        Source::Files { .. } => "brought in",
        Source::Catalogue { .. } => "from the catalogue",
    };
    let chosen = id.clone();
    let is_chosen = move || match &draft.spec.read().mix {
        Some(mix) => mix.contains_key(&chosen),
        None => draft.spec.read().corpus.as_ref() == Some(&chosen),
    };
    let choose = move |_| {
        draft.set(|spec| match spec.mix.is_some() {
            true => toggle(spec, &id),
            false => spec.corpus = Some(id.clone()),
        });
    };
    let amount = format!("{} characters in {} documents", grouped(chars), grouped(documents));
    view! {
        <label class="card">
            <input type=move || if is_mix.get() { "checkbox" } else { "radio" } name="text" prop:checked=is_chosen on:change=choose />
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
