//! One dataset: counts, split, entropy floor, its tokenizations, and its beginning with visible token boundaries.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::CorpusId;
use wire::data::corpus::{CorpusInfo, DatasetInfo, Source};
use wire::data::tokenizer::Tokenizer;

use super::preview::IssueList;
use super::{Datasets, card_id};
use crate::base::at;
use crate::components::number::{THIN, bytes, counted, grouped, loss, short, small};
use crate::components::{Confirm, Number, Question, Toasts, isolated, tokenizer_name, visible};
use crate::net::api::datasets::Tokenized;
use crate::net::api::{self, uploads};
use crate::projects::Projects;
use crate::session::Session;

/// The offered tokenizers.
const TOKENIZERS: [Tokenizer; 5] =
    [Tokenizer::Char, Tokenizer::Byte, Tokenizer::Bpe(1024), Tokenizer::Bpe(4096), Tokenizer::Gpt2];

/// With fewer documents the end of each is held out.
const FEW_DOCUMENTS: u64 = 64;

/// The card of one dataset.
#[component]
pub(super) fn DatasetCard(id: CorpusId) -> impl IntoView {
    let datasets = expect_context::<Datasets>();
    let info = Memo::new(move |_| datasets.list().into_iter().find(|info| info.id == id));
    move || info.get().map(|info| view! { <Card info /> })
}

#[component]
fn Card(info: CorpusInfo) -> impl IntoView {
    let session = expect_context::<Session>();
    let projects = expect_context::<Projects>();
    let CorpusInfo { id, name, source, project, .. } = info.clone();
    let start = match &project {
        Some(project) => at(&format!("/start?dataset={id}&project={project}")),
        None => at(&format!("/start?dataset={id}")),
    };
    let owner = StoredValue::new(project);
    let can_start = move || match &*owner.read_value() {
        Some(project) => session.can_steer_in(project),
        None => session.can_steer(),
    };
    let only = move || owner.get_value().filter(|_| projects.are_several());
    let href = uploads::skipped_of(&id);
    let card = card_id(&id);
    let skipped = info.import.clone().map(|report| view! { <IssueList report href /> });
    view! {
        <article class="sheet padded stack dataset-card" id=card aria-label=name.clone()>
            <header class="row">
                <h2>{isolated(&name)}</h2>
                <code class="dim">{id.to_string()}</code>
                {move || only().map(|project| view! {
                    <span class="small dim" title="Only runs of this project can use the dataset">{format!("project {project}")}</span>
                })}
                <span class="grow"></span>
                <Show when=can_start>
                    <a
                        class="button"
                        href=start.clone()
                        title="Open the New run form with this dataset"
                    >
                        "New run"
                    </a>
                </Show>
                <DeleteButton info=info.clone() />
            </header>
            <p class="small dim wrap">{visible(&origin(&source)).into_owned()}</p>
            <ProtectionSwitch id=info.id.clone() project=info.project.clone() />
            {skipped}
            <Counts info=info.clone() />
            <Tokenizations info />
        </article>
    }
}

/// Keeps the text of the dataset from providers of models. Ending that needs an admin.
#[component]
fn ProtectionSwitch(id: CorpusId, project: Option<String>) -> impl IntoView {
    let (datasets, toasts, session) =
        (expect_context::<Datasets>(), expect_context::<Toasts>(), expect_context::<Session>());
    let key = id.to_string();
    let is_on = Memo::new(move |_| datasets.protected.read().as_ref().map(|protected| protected.contains(&key)));
    let can_change = move || match (&project, is_on.get()) {
        (_, None) => false,
        (Some(project), Some(false)) => session.can_steer_in(project),
        (None, Some(false)) => session.can_steer_lab(),
        (Some(project), Some(true)) => session.is_admin_of(project),
        (None, Some(true)) => session.is_admin(),
    };
    let change = move |is_on: bool| {
        let id = id.clone();
        spawn_local(async move {
            if let Err(failure) = api::assistant::protect(&id, is_on).await {
                toasts.fail("The protection was not changed", &failure);
            }
            datasets.fetch();
        });
    };
    view! {
        <label
            class="row small"
            title="Samples, batches, inspections and tokens of this dataset and of runs on it are withheld from the assistant's \
                   model and from agents. An admin can end the protection."
        >
            <input
                type="checkbox"
                prop:checked=move || is_on.get() == Some(true)
                disabled=move || !can_change()
                on:change:target=move |event| change(event.target().checked())
            />
            "Never send text to a model provider"
        </label>
    }
}

fn origin(source: &Source) -> String {
    match source {
        Source::Generated { generator, seed } => {
            format!("Generated by the built-in generator {generator}, seed {seed}")
        }
        Source::Files { names } if names.len() > 3 => {
            format!("Imported from {} and {}", names[..3].join(", "), counted(names.len() as u64 - 3, "more file"))
        }
        Source::Files { names } => format!("Imported from {}", names.join(", ")),
        Source::Catalogue { url } => format!("Downloaded from {url}"),
        Source::Hub { repo, revision } => {
            format!("Downloaded from the Hugging Face hub: {repo} at {}", revision.chars().take(8).collect::<String>())
        }
    }
}

#[component]
fn Counts(info: CorpusInfo) -> impl IntoView {
    let alphabet = info.alphabet.chars().count();
    let unique = if alphabet == 0 { "more than 65 536".to_owned() } else { grouped(alphabet as u64) };
    let how = match (&info.source, info.documents) {
        (Source::Generated { generator, .. }, _) if generator == "modular-addition" => {
            "Each document goes to one split, chosen by a hash of the document. Only 30\u{202f}% is for training, so that the model first memorizes \
             and generalizes later (grokking)."
        }
        (_, 0 | 1) => "It is the end of the single document.",
        (_, documents) if documents < FEW_DOCUMENTS => {
            "It is the end of each document: a tenth, rounded up to whole characters."
        }
        _ => {
            "Each document goes to one split, chosen by a hash of the document. If that leaves a split empty, the last \
             tenth of each document is held out instead."
        }
    };
    let valid = info.valid_share * 100.0;
    let floor = info.entropy_nats.map(|nats| {
        let per_char = nats / info.chars.max(1) as f64;
        (
            loss(per_char),
            format!(
                "Entropy of the generator over the whole text: {} nats in {} characters. The lowest expected loss per token \
                 depends on the tokenizer. {}",
                grouped(nats.round() as u64),
                grouped(info.chars),
                match info.datasets.iter().any(|dataset| dataset.floor_nats.is_some()) {
                    true => "See “Entropy floor” in the table below.",
                    false => "Tokenize the dataset to see it, if it is known.",
                }
            ),
        )
    });
    view! {
        <dl class="figures across">
            <div>
                <dt>"Documents"</dt>
                <dd>
                    <Number
                        text=short(info.documents as f64)
                        meaning=format!("{}. A model sees an end-of-document token after each.", counted(info.documents, "document"))
                    />
                </dd>
            </div>
            <div>
                <dt>"Characters"</dt>
                <dd>
                    <Number
                        text=short(info.chars as f64)
                        meaning=format!("{} characters, {} of UTF-8", grouped(info.chars), bytes(info.text_bytes))
                    />
                </dd>
            </div>
            <div>
                <dt>"Unique characters"</dt>
                <dd>
                    <Number
                        text=unique
                        meaning=format!("Number of different characters. The vocabulary of the tokenizer char also has the \
                            end-of-document token. Characters: {:?}", info.alphabet.chars().take(200).collect::<String>())
                    />
                </dd>
            </div>
            <div>
                <dt>"Train / validation split"</dt>
                <dd>
                    <Number
                        text=format!("{:.1} / {valid:.1}", 100.0 - valid)
                        unit="%"
                        meaning=format!("{valid:.2}{THIN}% of the text is held out for validation. {how}")
                    />
                </dd>
            </div>
            {floor.map(|(floor, meaning)| view! {
                <div><dt>"Entropy of the generator"</dt><dd><Number text=floor unit="nats/character" meaning /></dd></div>
            })}
        </dl>
    }
}

/// The tokenizations as a table, and the beginning of the dataset in tokens of the selected one.
#[component]
fn Tokenizations(info: CorpusInfo) -> impl IntoView {
    let CorpusInfo { id, datasets: tokenized, sample, .. } = info;
    let shown = RwSignal::new(tokenized.first().map(|known| known.tokenizer));
    let known = StoredValue::new(tokenized.clone());
    let plain = StoredValue::new(sample);
    let beginning = move || match shown
        .get()
        .and_then(|tokenizer| known.read_value().iter().find(|known| known.tokenizer == tokenizer).cloned())
    {
        Some(tokenized) => view! { <TokenizedSample tokenized /> }.into_any(),
        None => view! { <p class="sample" tabindex="0">{visible(&plain.read_value()).into_owned()}</p> }.into_any(),
    };
    let missing: Vec<Tokenizer> = TOKENIZERS
        .into_iter()
        .filter(|tokenizer| tokenized.iter().all(|known| known.tokenizer != *tokenizer))
        .collect();
    view! {
        {(!tokenized.is_empty()).then(|| view! {
            <div class="scroll">
                <table class="tokenizations">
                    <thead><tr>
                        <th scope="col" title="How the text is split into tokens">"Tokenizer"</th>
                        <th scope="col" class="right" title="Number of different tokens">"Vocabulary size"</th>
                        <th scope="col" class="right" title="Tokens of the training split">
                            "Train"<span class="unit">" tokens"</span>
                        </th>
                        <th scope="col" class="right" title="Tokens of the validation split">
                            "Val"<span class="unit">" tokens"</span>
                        </th>
                        <th scope="col" class="right" title="Mean over the validation split">"Bytes per token"</th>
                        <th scope="col" class="right" title="Entropy of the token frequencies: the lowest loss without context">
                            "Unigram entropy"<span class="unit">" nats/token"</span>
                        </th>
                        <th scope="col" class="right" title="Loss of the generator on the validation split, if it is known">
                            "Entropy floor"<span class="unit">" nats/token"</span>
                        </th>
                    </tr></thead>
                    <tbody>{tokenized.iter().map(tokenization_row).collect_view()}</tbody>
                </table>
            </div>
        })}
        <div class="row">
            <span class="small dim">"Beginning of the dataset:"</span>
            // A group of one would have no effect.
            <div class="tabs" role="group" aria-label="Tokens shown" hidden=tokenized.is_empty()>
                <button
                    class="tab"
                    title="Show the text without token boundaries"
                    aria-pressed=move || shown.get().is_none().to_string()
                    on:click=move |_| shown.set(None)
                >
                    "text"
                </button>
                {tokenized.iter().map(|known| {
                    let tokenizer = known.tokenizer;
                    view! {
                        <button
                            class="tab"
                            title="Show the tokens of this tokenizer"
                            aria-pressed=move || (shown.get() == Some(tokenizer)).to_string()
                            on:click=move |_| shown.set(Some(tokenizer))
                        >
                            {tokenizer.to_string()}
                        </button>
                    }
                }).collect_view()}
            </div>
            <span class="grow"></span>
            <TokenizeMenu id missing />
        </div>
        {beginning}
    }
}

fn tokenization_row(info: &DatasetInfo) -> AnyView {
    let per_byte = info.unigram_nats / (info.bytes_per_token * std::f64::consts::LN_2);
    let count = |value: u64| {
        view! {
            <td class="right"><Number text=short(value as f64) meaning=format!("{} tokens", grouped(value)) /></td>
        }
    };
    view! {
        <tr>
            <th scope="row" class="mono" title=tokenizer_name(info.tokenizer)>{info.tokenizer.to_string()}</th>
            <td class="right">{vocabulary(info)}</td>
            {count(info.train_tokens)}
            {count(info.valid_tokens)}
            <td class="right">
                <Number
                    text=small(info.bytes_per_token)
                    meaning="Bytes per token of the validation split. Bits/byte = nats/token / (bytes per token × ln 2)"
                />
            </td>
            <td class="right">
                <Number
                    text=loss(info.unigram_nats)
                    meaning=format!("Entropy of the token frequencies, the lowest loss without context: {:.4} \
                        nats/token, {per_byte:.3} bits/byte", info.unigram_nats)
                />
            </td>
            <td class="right">{match info.floor_nats {
                Some(floor) => view! {
                    <Number
                        text=loss(floor)
                        meaning=format!("Loss of the generator on the validation split, {floor:.4} nats/token: the \
                                         lowest expected loss of a model")
                    />
                }.into_any(),
                None => view! { <span class="dim" title="Unknown for this dataset">"–"</span> }.into_any(),
            }}</td>
        </tr>
    }
    .into_any()
}

/// The vocabulary size, and how many of its tokens the text does not give.
fn vocabulary(info: &DatasetInfo) -> AnyView {
    let size = grouped(u64::from(info.vocab));
    if info.unused == 0 {
        return size.into_any();
    }
    let used = grouped(u64::from(info.vocab - info.unused));
    let meaning = format!(
        "The tokenizer found only {used} tokens in this text. The other {} rows of the embedding are never used: a vocabulary of {used} is enough.",
        grouped(u64::from(info.unused))
    );
    view! { <Number text=format!("{size}, {} unused", grouped(u64::from(info.unused))) meaning /> }.into_any()
}

/// The first tokens, each with its own background; the tooltip has the token id.
#[component]
fn TokenizedSample(tokenized: DatasetInfo) -> impl IntoView {
    let piece = |(id, piece): (u32, String)| {
        let ends_line = piece.contains('\n');
        let text =
            if piece.is_empty() { "⏎ end of document".to_owned() } else { visible(&piece).replace('\n', "↵\n") };
        view! { <span class="token" class:ends=ends_line title=format!("token {id}")>{text}</span> }
    };
    view! { <p class="sample tokenized" tabindex="0">{tokenized.sample.into_iter().map(piece).collect_view()}</p> }
}

/// Tokenizes the dataset with another tokenizer, so that its counts are known before a run.
#[component]
fn TokenizeMenu(id: CorpusId, missing: Vec<Tokenizer>) -> impl IntoView {
    let (datasets, toasts, session) =
        (expect_context::<Datasets>(), expect_context::<Toasts>(), expect_context::<Session>());
    let is_busy = RwSignal::new(false);
    let tokenize = move |value: String| {
        let Ok(tokenizer) = value.parse::<Tokenizer>() else { return };
        let id = id.clone();
        is_busy.set(true);
        spawn_local(async move {
            match api::datasets::tokenize(&id, tokenizer).await {
                Ok(Tokenized::Done(info)) => toasts.say(format!(
                    "{id} was tokenized with {tokenizer}: {} training tokens",
                    short(info.train_tokens as f64)
                )),
                Ok(Tokenized::Job(job)) => toasts.say(format!("{} continues on the server", job.title)),
                Err(failure) => toasts.fail("The dataset was not tokenized", &failure),
            }
            is_busy.try_set(false);
            datasets.fetch();
        });
    };
    (!missing.is_empty() && session.can_steer()).then(|| view! {
        <select class="tokenize" aria-label="Tokenize with another tokenizer" title="Tokenize the dataset now, to know \
            its token counts and entropies before a run" disabled=is_busy on:change:target=move |event| {
            let chosen = event.target();
            tokenize(chosen.value());
            // Back to the first option, which names the action.
            chosen.set_value("");
        }>
            <option value="" selected=true>
                {move || if is_busy.get() { "Tokenizing …" } else { "Tokenize with …" }}
            </option>
            {missing.into_iter().map(|tokenizer| view! {
                <option value=tokenizer.to_string()>{tokenizer_name(tokenizer)}</option>
            }).collect_view()}
        </select>
    })
}

/// Deletes the dataset after asking; only for admins, since it cannot be undone.
#[component]
fn DeleteButton(info: CorpusInfo) -> impl IntoView {
    let (datasets, toasts, session, confirm) = (
        expect_context::<Datasets>(),
        expect_context::<Toasts>(),
        expect_context::<Session>(),
        expect_context::<Confirm>(),
    );
    let CorpusInfo { id, name, text_bytes, project, .. } = info;
    let can_delete = move || match &project {
        Some(project) => session.is_admin_of(project),
        None => session.is_admin(),
    };
    let title = format!("{} ({id})", isolated(&name));
    let name = title.clone();
    let delete = move || {
        let (id, name) = (id.clone(), name.clone());
        spawn_local(async move {
            match api::datasets::delete(&id).await {
                Ok(()) => toasts.say(format!("{name} was deleted")),
                Err(failure) => toasts.fail("The dataset was not deleted", &failure),
            }
            datasets.fetch();
        });
    };
    let ask = move |_| confirm.ask(question(&title, text_bytes, confirm.keep(delete.clone())));
    can_delete().then(|| {
        view! {
            <button class="quiet" title="Delete the dataset from the lab, after confirmation" on:click=ask>"Delete …"</button>
        }
    })
}

fn question(name: &str, text_bytes: u64, act: Callback<()>) -> Question {
    Question {
        title: format!("Delete {name}?"),
        loses: format!(
            "Deletes {} of text and all tokenized versions from the disk. This cannot be undone. Runs trained on the \
             dataset remain but cannot be resumed or reproduced.",
            bytes(text_bytes)
        ),
        verb: "Delete",
        act,
    }
}
