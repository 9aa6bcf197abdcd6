//! The dataset of the run, or a mix of several with their weights, and the tokenizer.

use leptos::prelude::*;
use wire::data::corpus::{CorpusInfo, Source};
use wire::data::tokenizer::Tokenizer;
use wire::{CorpusId, RunSpec};

use super::draft::Draft;
use super::field::{FieldError, FormSection};
use crate::base::at;
use crate::components::number::{counted, grouped, short};
use crate::components::{Empty, Number, dataset_name, isolated, rebalanced};

/// The dataset and its tokenizer.
#[component]
pub(super) fn DatasetChoice() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let datasets = Memo::new(move |_| match &*draft.datasets.read() {
        Some(Ok(datasets)) => datasets.clone(),
        _ => vec![],
    });
    let is_mix = Memo::new(move |_| draft.spec.read().mix.is_some());
    view! {
        <FormSection title="Dataset" note="Text to train on.">
            {move || match datasets.read().is_empty() {
                true => view! {
                    <Empty
                        title="No datasets yet"
                        text="The server generates the dataset Tales in the first seconds after its first start. You \
                              can also import your own text files."
                    >
                        <a class="button" href=at("/data")>"Import a dataset"</a>
                        <button on:click=move |_| draft.fetch_datasets()>"Reload"</button>
                    </Empty>
                }.into_any(),
                false => view! {
                    <div class="tabs" role="group" aria-label="Number of datasets">
                        <button
                            class="tab"
                            title="All sequences are drawn from one dataset"
                            aria-pressed=move || (!is_mix.get()).to_string()
                            on:click=move |_| draft.set(take_one)
                        >
                            "One dataset"
                        </button>
                        <button
                            class="tab"
                            title="Sequences are drawn from several datasets. Their weights can change while the run \
                                   trains."
                            aria-pressed=move || is_mix.get().to_string()
                            on:click=move |_| draft.set(take_several)
                        >
                            "Mix"
                        </button>
                    </div>
                    <div
                        class="cards"
                        role=move || if is_mix.get() { "group" } else { "radiogroup" }
                        aria-label="Dataset"
                    >
                        {datasets.get().into_iter().map(|info| {
                            let name = dataset_name(&datasets.read(), &info);
                            view! { <DatasetCard info name is_mix /> }
                        }).collect_view()}
                        <a class="card adding" href=at("/data") title="Open the Data page">
                            "Import a dataset or download one from the catalog"
                        </a>
                    </div>
                    <Show when=move || is_mix.get()><Weights /></Show>
                }.into_any(),
            }}
            <FieldError field="corpus" />
            <FieldError field="mix" />
            <TokenizerChoice />
        </FormSection>
    }
}

/// Turns the selected dataset into a mix of one, to which others are added.
fn take_several(spec: &mut RunSpec) {
    if spec.mix.is_none() {
        spec.mix = Some(spec.corpus.take().into_iter().map(|dataset| (dataset, 1.0)).collect());
    }
}

/// Selects the dataset with the highest weight of a mix.
fn take_one(spec: &mut RunSpec) {
    if let Some(mix) = spec.mix.take() {
        spec.corpus = mix.into_iter().max_by(|one, two| one.1.total_cmp(&two.1)).map(|(dataset, _)| dataset);
    }
}

/// Adds a dataset to the mix with the mean weight, or removes it; the last one stays.
fn toggle(spec: &mut RunSpec, dataset: &CorpusId) {
    let Some(mix) = &mut spec.mix else { return };
    if mix.len() > 1 && mix.contains_key(dataset) {
        mix.remove(dataset);
    } else if !mix.contains_key(dataset) {
        let even = mix.values().sum::<f64>() / mix.len().max(1) as f64;
        mix.insert(dataset.clone(), if even > 0.0 { even } else { 1.0 });
    }
}

/// A slider for each dataset of the mix; the weights sum to 1.
#[component]
fn Weights() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let datasets = Memo::new(move |_| {
        draft.spec.read().mix.iter().flatten().map(|(dataset, _)| dataset.clone()).collect::<Vec<_>>()
    });
    view! {
        <ul class="mix weights">
            <For each=move || datasets.get() key=Clone::clone let(dataset)><WeightSlider dataset datasets /></For>
        </ul>
        {move || (datasets.read().len() < 2).then(|| view! {
            <p class="small dim">
                "Select a second dataset above. The weights of the datasets can be changed while the run trains; a dataset \
                 may start with the weight 0."
            </p>
        })}
    }
}

#[component]
fn WeightSlider(dataset: CorpusId, datasets: Memo<Vec<CorpusId>>) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let weights = move || {
        let spec = draft.spec.read();
        let weights: Vec<f64> = spec.mix.iter().flatten().map(|(_, weight)| *weight).collect();
        let total: f64 = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        weights.into_iter().map(|weight| weight / total).collect::<Vec<_>>()
    };
    let id = dataset.clone();
    let name = move || {
        let datasets = draft.datasets.read();
        let known = datasets.as_ref().and_then(|found| found.as_ref().ok()).into_iter().flatten();
        known.into_iter().find(|info| info.id == id).map_or_else(|| id.to_string(), |info| info.name.clone())
    };
    let index = move || datasets.read().iter().position(|other| *other == dataset);
    let index = Memo::new(move |_| index());
    let percent = move || index.get().and_then(|index| weights().get(index).copied()).unwrap_or(0.0) * 100.0;
    let set = move |typed: &str| {
        let (Some(index), Ok(percent)) = (index.get_untracked(), typed.parse::<f64>()) else { return };
        let after = rebalanced(&untrack(weights), index, percent / 100.0);
        draft.set(|spec| {
            for (weight, fraction) in spec.mix.iter_mut().flat_map(|mix| mix.values_mut()).zip(after) {
                *weight = (fraction * 1e4).round() / 1e4;
            }
        });
    };
    view! {
        <li>
            <label>
                <span class="row">
                    <strong>{name}</strong>
                    <span class="grow"></span>
                    <output class="mono">{move || format!("{:.0}\u{202f}%", percent())}</output>
                </span>
                <input
                    type="range"
                    min="0"
                    max="100"
                    step="1"
                    title="Weight of the dataset: the percentage of the sequences that is drawn from it"
                    disabled=move || datasets.read().len() < 2
                    prop:value=move || percent().to_string()
                    on:input:target=move |event| set(&event.target().value())
                />
            </label>
        </li>
    }
}

#[component]
fn DatasetCard(info: CorpusInfo, name: String, is_mix: Memo<bool>) -> impl IntoView {
    let draft = expect_context::<Draft>();
    let CorpusInfo { id, name: whole, source, chars, documents, .. } = info;
    let entropy = matches!(source, Source::Generated { .. })
        .then_some("The program that generates the text gives its entropy: no model can reach a lower expected loss.");
    let from = match source {
        Source::Generated { .. } => "Generated, with known entropy floor",
        Source::Files { .. } => "Imported",
        Source::Catalogue { .. } => "From the catalog",
        Source::Hub { .. } => "From the Hugging Face hub",
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
    let amount = format!("{} in {}", counted(chars, "character"), counted(documents, "document"));
    view! {
        <label class="card">
            <input
                type=move || if is_mix.get() { "checkbox" } else { "radio" }
                name="dataset"
                prop:checked=is_chosen
                on:change=choose
            />
            <span class="card-title" title=isolated(&whole)>{name}</span>
            <span class="small"><Number text=short(chars as f64) unit="characters" meaning=amount /></span>
            <span class="small dim" title=entropy>{from}</span>
        </label>
    }
}

/// The tokenizers, and the tokenization of the selected dataset.
#[component]
fn TokenizerChoice() -> impl IntoView {
    let draft = expect_context::<Draft>();
    let kind = Memo::new(move |_| std::mem::discriminant(&draft.tokenizer()));
    let bpe_vocab = Memo::new(move |_| match draft.tokenizer() {
        Tokenizer::Bpe(vocab) => Some(vocab),
        _ => None,
    });
    let is_preset = move || draft.spec.read().tokenizer.is_none();
    let set_vocab = move |typed: &str| {
        if let Ok(vocab) = typed.parse() {
            draft.set(|spec| spec.tokenizer = Some(Tokenizer::Bpe(vocab)));
        }
    };
    let tokenizers = [
        (Tokenizer::Char, "Characters", "One token per unique character of the dataset"),
        (Tokenizer::Byte, "Bytes", "256 bytes and an end-of-document token. Works for every text."),
        (Tokenizer::Bpe(1024), "BPE", "Byte-pair encoding, trained on this dataset"),
        (Tokenizer::Gpt2, "GPT-2", "The byte-pair encoding of GPT-2 with 50\u{202f}257 tokens"),
    ];
    view! {
        <div class="field">
            <span class="label">
                "Tokenizer"
                <span class="dim">{move || if is_preset() { " (chosen by the preset)" } else { "" }}</span>
            </span>
            <div class="row">
                <div class="tabs" role="group" aria-label="Tokenizer">
                    {tokenizers.map(|(tokenizer, word, about)| view! {
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
                        <span title="Number of tokens in the vocabulary. Default: 1\u{202f}024.">"Vocabulary size"</span>
                        <select
                            on:change:target=move |event| set_vocab(&event.target().value())
                        >
                            {vocabularies(vocab).into_iter().map(|size| view! {
                                <option value=size.to_string() selected={size == vocab}>
                                    {grouped(u64::from(size))}
                                </option>
                            }).collect_view()}
                        </select>
                        <span class="dim">"tokens"</span>
                    </label>
                })}
                {move || (!is_preset()).then(|| view! {
                    <button
                        class="quiet"
                        title="Reset to the tokenizer of the preset"
                        on:click=move |_| draft.set(|spec| spec.tokenizer = None)
                    >
                        "Reset to the preset"
                    </button>
                })}
            </div>
            <p class="small dim">{move || tokenization(draft)}</p>
            <FieldError field="tokenizer" />
        </div>
    }
}

/// Common sizes, and the current one.
fn vocabularies(present: u32) -> Vec<u32> {
    let mut sizes = vec![512, 1024, 2048, 4096, 8192, 16_384, 32_768, present];
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// The tokenization of the selected dataset in words.
fn tokenization(draft: Draft) -> String {
    let tokenizer = draft.tokenizer();
    let known = draft.dataset().and_then(|info| info.datasets.into_iter().find(|known| known.tokenizer == tokenizer));
    match known {
        Some(known) => format!(
            "Tokenized: {} training tokens, {} validation tokens, vocabulary size {}.",
            short(known.train_tokens as f64),
            short(known.valid_tokens as f64),
            grouped(u64::from(known.vocab))
        ),
        None if draft.spec.read().mix.is_some() && draft.untokenized().is_empty() => {
            "The selected datasets are tokenized.".to_owned()
        }
        None => "Not tokenized yet. The run tokenizes the dataset when it starts, which takes a few seconds for a few \
                megabytes."
            .to_owned(),
    }
}
