//! The datasets that the lab generates when it starts for the first time.

use std::path::Path;

use wire::CorpusId;

use super::Data;

/// Id, which is also the generator, and the title of the job. The seed is 1.
const BUILT_IN: [(&str, &str); 3] = [
    ("tales", "Generating Tales"),
    ("modular-addition", "Generating modular addition"),
    ("induction", "Generating induction"),
];

/// Generates the built-in datasets that were never generated here; one that was deleted stays deleted.
pub fn generate(data: &Data) {
    for (id, title) in BUILT_IN {
        let Ok(corpus) = id.parse::<CorpusId>() else { continue };
        let mark = data.corpora.folder().join(format!(".made-{id}"));
        if mark.exists() {
            continue;
        }
        let job = data.begin_job(title.to_owned(), corpus.clone(), "documents");
        let data = data.clone();
        tokio::spawn(async move {
            match data.corpora.generate(corpus, id, 1, job).await {
                Ok(_) => write_mark(&mark),
                Err(error) if error.body.code == "corpus_exists" => write_mark(&mark),
                Err(error) => tracing::error!("{id} could not be generated: {error}"),
            }
            data.feed.wake_queue();
        });
    }
}

fn write_mark(mark: &Path) {
    if let Err(error) = std::fs::write(mark, "") {
        tracing::warn!(
            "{} could not be written, so the dataset is generated again if it is deleted: {error}",
            mark.display()
        );
    }
}
