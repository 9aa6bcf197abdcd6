//! The catalogue: public datasets that the server can download.

use wire::CorpusId;
use wire::data::corpus::{CatalogueEntry, Job};

use super::{Data, background, download, no_job};
use crate::error::ApiError;

/// A row of the catalogue.
struct Listed {
    id: &'static str,
    name: &'static str,
    about: &'static str,
    url: &'static str,
    download_bytes: u64,
    sha256: Option<&'static str>,
    licence: &'static str,
}

const CATALOGUE: [Listed; 4] = [
    Listed {
        id: "tinyshakespeare",
        name: "Tiny Shakespeare",
        about: "40\u{202f}000 lines of Shakespeare's plays in one file; the usual first dataset for a character model.",
        url: "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        download_bytes: 1_115_394,
        sha256: Some("86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"),
        licence: "public domain",
    },
    Listed {
        id: "tinystories-valid",
        name: "TinyStories, validation split",
        about: "28\u{202f}000 short stories with the vocabulary of a small child; enough for a small model to write sentences.",
        url: "https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main/TinyStoriesV2-GPT4-valid.txt",
        download_bytes: 22_502_601,
        sha256: None,
        licence: "CDLA-Sharing-1.0",
    },
    Listed {
        id: "tinystories",
        name: "TinyStories",
        about: "2.7 million short stories with the vocabulary of a small child, written by GPT-4.",
        url: "https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main/TinyStoriesV2-GPT4-train.txt",
        download_bytes: 2_227_753_162,
        sha256: None,
        licence: "CDLA-Sharing-1.0",
    },
    Listed {
        id: "wikitext-2",
        name: "WikiText-2",
        about: "600 Wikipedia articles rated Good or Featured. Rare words are replaced by <unk>. A standard language-modeling benchmark.",
        url: "https://raw.githubusercontent.com/pytorch/examples/main/word_language_model/data/wikitext-2/train.txt",
        download_bytes: 10_797_148,
        sha256: None,
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

/// The entries of the catalogue.
pub fn entries() -> Vec<CatalogueEntry> {
    CATALOGUE.iter().filter_map(entry).collect()
}

/// Downloads a dataset as a job. An interrupted download continues where it stopped.
///
/// # Errors
/// 404 for an unknown id, 409 for a dataset that exists.
pub async fn fetch(data: &Data, corpus: CorpusId) -> Result<Job, ApiError> {
    let listed = CATALOGUE.iter().find(|listed| listed.id == corpus.as_str());
    let entry = listed.and_then(entry).ok_or_else(|| {
        ApiError::not_found(format!("the catalog has no dataset {corpus}"))
            .hint("GET /api/v1/catalogue lists the datasets that can be downloaded")
    })?;
    let ids = data.ids.lock().await;
    if let Some(job) = data.jobs.running_on(&corpus) {
        return Ok(job);
    }
    if data.corpora.list().await?.iter().any(|info| info.id == corpus) {
        return Err(ApiError::conflict("corpus_exists", format!("the lab already has the dataset {}", entry.name))
            .hint("delete it first to download it again"));
    }
    data.note_project(&corpus).await?;
    let job = data.begin_job(format!("Downloading {}", entry.name), corpus, "bytes");
    drop(ids);
    let id = job.id();
    let shared = data.clone();
    background::spawn(move || {
        download::fetch(&shared, &entry, job);
        shared.feed.wake_queue();
    });
    data.jobs.get(id).ok_or_else(|| no_job(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_of_the_catalogue_is_complete() {
        for listed in &CATALOGUE {
            let entry = entry(listed).expect("the id is valid");
            assert!(
                entry.url.starts_with("https://") && entry.sha256.is_none_or(|hash| hash.len() == 64),
                "{}",
                entry.id
            );
        }
    }
}
