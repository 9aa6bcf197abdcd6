//! One text: counts, split, floor, what has been cut from it, and its beginning with the cuts made visible.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::CorpusId;
use wire::corpus::{CorpusInfo, DatasetInfo, Source};
use wire::spec::Tokenizer;

use super::Texts;
use crate::api::{self, Cut};
use crate::parts::number::{bytes, grouped, loss, short};
use crate::parts::{Confirm, Number, Question, Toasts};
use crate::session::Session;

/// Ways to cut that are one click away.
const WAYS: [Tokenizer; 5] =
    [Tokenizer::Char, Tokenizer::Byte, Tokenizer::Bpe(1024), Tokenizer::Bpe(4096), Tokenizer::Gpt2];

/// The card of one text.
#[component]
pub(super) fn TextCard(id: CorpusId) -> impl IntoView {
    let texts = expect_context::<Texts>();
    let text = Memo::new(move |_| texts.list().into_iter().find(|text| text.id == id));
    move || text.get().map(|text| view! { <Card text /> })
}

#[component]
fn Card(text: CorpusInfo) -> impl IntoView {
    let session = expect_context::<Session>();
    let CorpusInfo { id, name, source, .. } = text.clone();
    view! {
        <article class="sheet padded stack text-card" aria-label=name.clone()>
            <header class="row">
                <h2>{name.clone()}</h2>
                <code class="dim">{id.to_string()}</code>
                <span class="grow"></span>
                <Show when=move || session.can_steer()>
                    <a class="button" href=format!("/start?text={id}")>"Start a run on it"</a>
                </Show>
                <DeleteButton text=text.clone() />
            </header>
            <p class="small dim">{origin(&source)}</p>
            <Counts text=text.clone() />
            <Cuts text />
        </article>
    }
}

fn origin(source: &Source) -> String {
    match source {
        Source::Generated { generator, seed } => format!("written by the lab's generator {generator}, seed {seed}"),
        Source::Files { names } if names.len() > 3 => {
            format!("brought in: {} and {} more", names[..3].join(", "), names.len() - 3)
        }
        Source::Files { names } => format!("brought in: {}", names.join(", ")),
        Source::Catalogue { url } => format!("fetched from {url}"),
    }
}

#[component]
fn Counts(text: CorpusInfo) -> impl IntoView {
    let alphabet = text.alphabet.chars().count();
    let letters = if alphabet == 0 { "more than 65 536".to_owned() } else { grouped(alphabet as u64) };
    let how = if text.documents > 1 { "documents chosen by their hash" } else { "the end of the single document" };
    let valid = text.valid_share * 100.0;
    let floor = text.entropy_nats.map(|nats| {
        let per_char = nats / text.chars.max(1) as f64;
        (loss(per_char), format!("Exact entropy of the whole text under its generator: {nats:.1} nats over {} characters. No model can do better.", grouped(text.chars)))
    });
    view! {
        <dl class="figures across">
            <div><dt>"Documents"</dt><dd><Number text=short(text.documents as f64) meaning=format!("{} documents", grouped(text.documents)) /></dd></div>
            <div><dt>"Characters"</dt><dd><Number text=short(text.chars as f64) meaning=format!("{} characters, {} of UTF-8", grouped(text.chars), bytes(text.text_bytes)) /></dd></div>
            <div><dt>"Different characters"</dt><dd><Number text=letters meaning=format!("{:?}", text.alphabet.chars().take(200).collect::<String>()) /></dd></div>
            <div><dt>"Train / validation"</dt><dd><Number text=format!("{:.0} / {valid:.0}", 100.0 - valid) unit="%" meaning=format!("{valid:.2} % is held out: {how}") /></dd></div>
            {floor.map(|(floor, meaning)| view! { <div><dt>"Floor"</dt><dd><Number text=floor unit="nats / character" meaning /></dd></div> })}
        </dl>
    }
}

/// What has been cut, side by side, and the beginning as the chosen one cuts it.
#[component]
fn Cuts(text: CorpusInfo) -> impl IntoView {
    let CorpusInfo { id, datasets, sample, .. } = text;
    let shown = RwSignal::new(datasets.first().map(|made| made.tokenizer));
    let made = StoredValue::new(datasets.clone());
    let plain = StoredValue::new(sample);
    let beginning = move || match shown
        .get()
        .and_then(|tokenizer| made.read_value().iter().find(|made| made.tokenizer == tokenizer).cloned())
    {
        Some(dataset) => view! { <CutSample dataset /> }.into_any(),
        None => view! { <p class="sample">{plain.get_value()}</p> }.into_any(),
    };
    let missing: Vec<Tokenizer> =
        WAYS.into_iter().filter(|way| datasets.iter().all(|made| made.tokenizer != *way)).collect();
    view! {
        {(!datasets.is_empty()).then(|| view! {
            <div class="scroll">
                <table class="cuts">
                    <thead><tr>
                        <th scope="col">"Cut by"</th>
                        <th scope="col" class="right">"Vocabulary"</th>
                        <th scope="col" class="right">"Train"<span class="unit">" tokens"</span></th>
                        <th scope="col" class="right">"Valid"<span class="unit">" tokens"</span></th>
                        <th scope="col" class="right">"Bytes / token"</th>
                        <th scope="col" class="right">"Unigram"<span class="unit">" nats"</span></th>
                        <th scope="col" class="right">"Floor"<span class="unit">" nats"</span></th>
                    </tr></thead>
                    <tbody>{datasets.iter().map(dataset_row).collect_view()}</tbody>
                </table>
            </div>
        })}
        <div class="row">
            <span class="small dim">"Its beginning:"</span>
            <div class="tabs" role="group" aria-label="How the beginning is shown">
                <button class="tab" aria-pressed=move || shown.get().is_none().to_string() on:click=move |_| shown.set(None)>"plain"</button>
                {datasets.iter().map(|made| {
                    let tokenizer = made.tokenizer;
                    view! { <button class="tab" aria-pressed=move || (shown.get() == Some(tokenizer)).to_string() on:click=move |_| shown.set(Some(tokenizer))>{tokenizer.to_string()}</button> }
                }).collect_view()}
            </div>
            <span class="grow"></span>
            <CutMore id missing />
        </div>
        {beginning}
    }
}

fn dataset_row(made: &DatasetInfo) -> AnyView {
    let per_byte = made.unigram_nats / (made.bytes_per_token * std::f64::consts::LN_2);
    let count = |value: u64| view! { <td class="right"><Number text=short(value as f64) meaning=format!("{} tokens", grouped(value)) /></td> };
    view! {
        <tr>
            <th scope="row" class="mono">{made.tokenizer.to_string()}</th>
            <td class="right">{grouped(u64::from(made.vocab))}</td>
            {count(made.train_tokens)}
            {count(made.valid_tokens)}
            <td class="right"><Number text=format!("{:.2}", made.bytes_per_token) meaning="Bytes of held-out text per token: nats / (bytes × ln 2) are bits per byte" /></td>
            <td class="right"><Number text=loss(made.unigram_nats) meaning=format!("Loss of the best guess that ignores context: {:.4} nats per token, {per_byte:.3} bits per byte", made.unigram_nats) /></td>
            <td class="right">{match made.floor_nats {
                Some(floor) => view! { <Number text=loss(floor) meaning=format!("The generator's own loss on the held-out text, {floor:.4} nats per token: no model can pass it") /> }.into_any(),
                None => view! { <span class="dim" title="Not known for this text">"–"</span> }.into_any(),
            }}</td>
        </tr>
    }
    .into_any()
}

/// The first tokens, each on its own ground, so that the cuts are seen; hover tells the number.
#[component]
fn CutSample(dataset: DatasetInfo) -> impl IntoView {
    let piece = |(id, piece): (u32, String)| {
        let ends_line = piece.contains('\n');
        let text = if piece.is_empty() { "⏎ end of text".to_owned() } else { piece.replace('\n', "↵\n") };
        view! { <span class="token" class:ends=ends_line title=format!("token {id}")>{text}</span> }
    };
    view! { <p class="sample cut">{dataset.sample.into_iter().map(piece).collect_view()}</p> }
}

/// Cuts the text another way, so that its counts are known before a run.
#[component]
fn CutMore(id: CorpusId, missing: Vec<Tokenizer>) -> impl IntoView {
    let (texts, toasts, session) = (expect_context::<Texts>(), expect_context::<Toasts>(), expect_context::<Session>());
    let is_busy = RwSignal::new(false);
    let cut = move |value: String| {
        let Ok(tokenizer) = value.parse::<Tokenizer>() else { return };
        let id = id.clone();
        is_busy.set(true);
        spawn_local(async move {
            match api::make_dataset(&id, tokenizer).await {
                Ok(Cut::Made(made)) => toasts
                    .say(format!("{id} cut by {tokenizer}: {} tokens to train on", short(made.train_tokens as f64))),
                Ok(Cut::Job(job)) => toasts.say(format!("{} goes on in the background", job.title)),
                Err(failure) => toasts.fail("Not cut", &failure),
            }
            is_busy.try_set(false);
            texts.fetch();
        });
    };
    (!missing.is_empty() && session.can_steer()).then(|| view! {
        <select class="cut-more" aria-label="Cut it another way" disabled=is_busy on:change:target=move |event| {
            let chosen = event.target();
            cut(chosen.value());
            // Back to the first line, which says what the list does.
            chosen.set_value("");
        }>
            <option value="" selected=true>{move || if is_busy.get() { "Cutting …" } else { "Cut it by …" }}</option>
            {missing.into_iter().map(|tokenizer| view! { <option value=tokenizer.to_string()>{tokenizer.to_string()}</option> }).collect_view()}
        </select>
    })
}

/// Deletes the text for good, after asking; only for admins, since it cannot be undone.
#[component]
fn DeleteButton(text: CorpusInfo) -> impl IntoView {
    let (texts, toasts, session, confirm) = (
        expect_context::<Texts>(),
        expect_context::<Toasts>(),
        expect_context::<Session>(),
        expect_context::<Confirm>(),
    );
    let CorpusInfo { id, name, text_bytes, .. } = text;
    let title = name.clone();
    let delete = move || {
        let (id, name) = (id.clone(), name.clone());
        spawn_local(async move {
            match api::delete_corpus(&id).await {
                Ok(()) => toasts.say(format!("{name} was deleted")),
                Err(failure) => toasts.fail("Not deleted", &failure),
            }
            texts.fetch();
        });
    };
    let ask = move |_| confirm.ask(question(&title, text_bytes, confirm.keep(delete.clone())));
    session.is_admin().then(|| view! { <button class="quiet" on:click=ask>"Delete …"</button> })
}

fn question(name: &str, text_bytes: u64, act: Callback<()>) -> Question {
    Question {
        title: format!("Delete {name} for good?"),
        loses: format!(
            "{} of text and all that was cut from it are removed from the disk. This cannot be undone. Runs that learned it keep their curves, but cannot be repeated here without it.",
            bytes(text_bytes)
        ),
        verb: "Delete for good",
        act,
    }
}
