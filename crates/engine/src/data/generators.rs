//! Corpora that are generated, with a known entropy.

use std::ops::Range;
use std::path::Path;

use wire::data::corpus::{CorpusInfo, Source};
use wire::id::CorpusId;

use crate::data::draft::Draft;
use crate::data::{corpus, induction, modular_addition, tales};
use crate::error::{DataError, Progress};

/// Generates a corpus with a known entropy: `tales`, `modular-addition` or `induction`. An existing corpus of the same generator and seed is
/// kept.
///
/// # Errors
/// An unknown generator, the id of another corpus, a cancellation, or an IO error.
pub fn generate(
    corpora: &Path,
    id: &CorpusId,
    generator: &str,
    seed: u64,
    progress: Progress<'_>,
) -> Result<CorpusInfo, DataError> {
    let source = Source::Generated { generator: generator.to_owned(), seed };
    if let Ok(info) = corpus::read(corpora, id) {
        return if info.source == source { Ok(info) } else { Err(DataError::CorpusExists { id: id.to_string() }) };
    }
    let name = match generator {
        "tales" => "Tales",
        "modular-addition" => "Modular addition",
        "induction" => "Induction",
        other => return Err(DataError::NoGenerator { generator: other.to_owned() }),
    };
    let mut draft = Draft::new(corpora, id, name, source)?;
    match generator {
        "tales" => tales::write(seed, tales::STORIES, &mut draft, progress)?,
        "induction" => induction::write(seed, &mut draft, progress)?,
        _ => modular_addition::write(seed, &mut draft, progress)?,
    }
    draft.finish()
}

/// Surprisal of each word of a generated document under its generator, nats: consecutive byte ranges, and last an empty one for the end of the
/// document. Their sum is minus the log-probability of the document. `None` for a text that the generator cannot write.
pub fn surprisal(generator: &str, document: &str) -> Option<Vec<(Range<usize>, f64)>> {
    match generator {
        "tales" => tales::surprisal(document),
        "modular-addition" => modular_addition::surprisal(document),
        "induction" => induction::surprisal(document),
        _ => None,
    }
}
