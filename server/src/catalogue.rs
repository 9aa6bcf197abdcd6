//! The small catalogue of texts that can be fetched from their public homes.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use wire::corpus::{CatalogueEntry, Job};
use wire::{ApiErrorBody, CorpusId};

use crate::api_error::{ApiError, Path};
use crate::app_state::AppState;
use crate::auth::{Steerer, Viewer};
use crate::corpora::begin_job;
use crate::download;

/// A line of the catalogue.
struct Listed {
    id: &'static str,
    name: &'static str,
    about: &'static str,
    url: &'static str,
    download_bytes: u64,
    sha256: Option<&'static str>,
    /// What stands between documents, where the file holds several.
    separator: Option<&'static str>,
    licence: &'static str,
}

const END_OF_TEXT: Option<&str> = Some("<|endoftext|>");

const CATALOGUE: [Listed; 4] = [
    Listed {
        id: "tinyshakespeare",
        name: "Tiny Shakespeare",
        about: "40,000 lines of his plays in one file; the classic first text for a character model.",
        url: "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        download_bytes: 1_115_394,
        sha256: Some("86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"),
        separator: None,
        licence: "public domain",
    },
    Listed {
        id: "tinystories-valid",
        name: "TinyStories, held-out part",
        about: "28,000 short stories in a small child's words; enough for a small model to speak in sentences.",
        url: "https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main/TinyStoriesV2-GPT4-valid.txt",
        download_bytes: 22_502_601,
        sha256: None,
        separator: END_OF_TEXT,
        licence: "CDLA-Sharing-1.0",
    },
    Listed {
        id: "tinystories",
        name: "TinyStories",
        about: "2.7 million short stories in a small child's words, written by GPT-4.",
        url: "https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main/TinyStoriesV2-GPT4-train.txt",
        download_bytes: 2_227_753_162,
        sha256: None,
        separator: END_OF_TEXT,
        licence: "CDLA-Sharing-1.0",
    },
    Listed {
        id: "wikitext-2",
        name: "WikiText-2",
        about: "600 good articles of Wikipedia with rare words replaced, as language models were long compared on.",
        url: "https://raw.githubusercontent.com/pytorch/examples/main/word_language_model/data/wikitext-2/train.txt",
        download_bytes: 10_797_148,
        sha256: None,
        separator: None,
        licence: "CC BY-SA 3.0",
    },
];

fn entry(listed: &Listed) -> Option<CatalogueEntry> {
    Some(CatalogueEntry {
        id: listed.id.parse().ok()?,
        name: listed.name.to_owned(),
        about: listed.about.to_owned(),
        url: listed.url.to_owned(),
        download_bytes: listed.download_bytes,
        sha256: listed.sha256.map(str::to_owned),
        field: None,
        licence: listed.licence.to_owned(),
    })
}

/// Texts that can be fetched.
#[utoipa::path(get, path = "/catalogue", tag = "texts", responses((status = 200, body = Vec<CatalogueEntry>)))]
pub async fn list_catalogue(_: Viewer) -> Json<Vec<CatalogueEntry>> {
    Json(CATALOGUE.iter().filter_map(entry).collect())
}

/// Fetches a text of the catalogue as a job; broken off, it goes on where it stopped.
#[utoipa::path(post, path = "/catalogue/{id}", tag = "texts", params(("id" = CorpusId, Path)),
    responses((status = 202, body = Job), (status = 404, body = ApiErrorBody), (status = 409, body = ApiErrorBody)))]
pub async fn fetch_entry(
    _: Steerer,
    State(state): State<AppState>,
    Path(corpus): Path<CorpusId>,
) -> Result<(StatusCode, Json<Job>), ApiError> {
    let listed = CATALOGUE.iter().find(|listed| listed.id == corpus.as_str());
    let (listed, entry) = listed.and_then(|listed| Some((listed, entry(listed)?))).ok_or_else(|| {
        ApiError::not_found(format!("the catalogue has no {corpus}")).hint("GET /api/v1/catalogue lists it")
    })?;
    if let Some(job) = state.jobs.running_on(&corpus) {
        return Ok((StatusCode::ACCEPTED, Json(job)));
    }
    if state.texts.list().await?.iter().any(|info| info.id == corpus) {
        return Err(ApiError::conflict("corpus_exists", format!("{} is here already", entry.name))
            .hint("delete it first to fetch it again"));
    }
    let job = begin_job(&state, format!("Fetching {}", entry.name), corpus, "bytes");
    let id = job.id();
    let shared = state.clone();
    let separator = listed.separator;
    tokio::task::spawn_blocking(move || {
        download::fetch(&shared, &entry, separator, job);
        shared.wake_scheduler();
    });
    let job = state.jobs.get(id).ok_or_else(|| ApiError::not_found(format!("there is no job {id}")))?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_catalogue_is_whole() {
        for listed in &CATALOGUE {
            let entry = entry(listed).expect("its id is an id");
            assert!(
                entry.url.starts_with("https://") && entry.sha256.is_none_or(|hash| hash.len() == 64),
                "{}",
                entry.id
            );
        }
    }
}
