//! The tokenizer of an imported model, computed by the `tokenizers` crate from the model's `tokenizer.json`: normalizer, pre-tokenizer, model,
//! added tokens and post-processor. It is stored with what `tokenizer.json` does not say: the vocabulary size of the model, and where its texts
//! begin and end.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokenizers::{
    AddedToken, DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
};

use super::spelling::Spelling;
use super::{CHUNK_BYTES, EOT_PIECE, Kind, TextTokenizer, failed, unsupported};
use crate::error::{DataError, TokenizerError};

/// Version of the stored file.
const FORMAT: u32 = 1;
/// Maximum length of a chunk of a text without a place to split it, bytes.
const MAX_CHUNK_BYTES: usize = 4 << 20;
/// Text around a seam that is tokenized whole and in two, bytes on each side.
const SEAM_BYTES: usize = 256;
/// Places that are tried for a seam.
const SEAMS: usize = 200;

/// What is stored of an imported tokenizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImportedFile {
    /// Version of this file.
    pub(crate) imported: u32,
    /// Vocabulary size of the model; ids without a token have no text.
    pub(crate) vocab: usize,
    /// The token of an empty prompt.
    pub(crate) bos: Option<u32>,
    /// Each of these ends a text.
    pub(crate) eos: Vec<u32>,
    /// The `tokenizer.json` of the model.
    pub(crate) tokenizer: Value,
}

/// An imported tokenizer, ready for use.
pub(crate) struct ImportedTokenizer {
    tokenizer: tokenizers::Tokenizer,
    file: ImportedFile,
    /// Tokens that the post-processor puts before and after each text.
    prefix: Vec<u32>,
    suffix: Vec<u32>,
}

impl ImportedFile {
    /// The file of a `tokenizer.json`.
    pub(crate) fn new(tokenizer: Value, vocab: usize, bos: Option<u32>, eos: Vec<u32>) -> Self {
        Self { imported: FORMAT, vocab, bos, eos, tokenizer }
    }

    /// Reads a stored file; `None` for a file of another kind.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, TokenizerError> {
        let tree: Value = serde_json::from_slice(bytes)?;
        match tree["imported"].as_u64() {
            None => Ok(None),
            Some(version) if version == u64::from(FORMAT) => Ok(Some(serde_json::from_value(tree)?)),
            Some(version) => Err(unsupported(format!("it has version {version}, and version {FORMAT} is read"))),
        }
    }

    /// The bytes to store.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The tokenizer of this file.
    ///
    /// # Errors
    /// What the `tokenizers` crate cannot compute, and tokens that the model does not have, by name.
    pub(crate) fn open(self) -> Result<TextTokenizer, TokenizerError> {
        let tokenizer = load(&self.tokenizer)?;
        check_ids(&tokenizer, self.vocab)?;
        check_added(&tokenizer, &self.tokenizer)?;
        let (prefix, suffix) = frame(&tokenizer)?;
        if let Some(id) = prefix.iter().chain(&suffix).find(|id| **id as usize >= self.vocab) {
            return Err(unsupported(format!(
                "its post_processor adds the token {id}, and the model has {}",
                self.vocab
            )));
        }
        let spelling = Spelling::of(&self.tokenizer["decoder"]);
        let added = tokenizer.get_added_tokens_decoder();
        let mut names = HashMap::new();
        let piece = |id: u32| {
            // Trainers list the byte tokens among the special ones; they have a text nevertheless.
            let Some(token) = added.get(&id).filter(|token| !spelling.is_byte(&token.content)) else {
                return tokenizer.id_to_token(id).map(|token| spelling.bytes(&token));
            };
            if !token.special {
                return Some(token.content.clone().into_bytes());
            }
            names.insert(id, token.content.clone());
            None
        };
        let pieces = (0..self.vocab as u32).map(piece).collect();
        let named = || tokenizer.token_to_id(EOT_PIECE).filter(|id| names.contains_key(id));
        let eot = self.eos.first().copied().or_else(named);
        let (ends, bos) = (self.eos.clone(), self.bos);
        let kind = Kind::Imported(Box::new(ImportedTokenizer { tokenizer, file: self, prefix, suffix }));
        Ok(TextTokenizer { pieces, eot, ends, bos, names, kind })
    }
}

impl ImportedTokenizer {
    /// The model's `tokenizer.json`, and where its texts end.
    pub(crate) fn file(&self) -> &ImportedFile {
        &self.file
    }

    /// Tokens that the post-processor puts before and after each text.
    pub(crate) fn frame(&self) -> (&[u32], &[u32]) {
        (&self.prefix, &self.suffix)
    }

    /// Tokens of a text, without those of the post-processor.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>, DataError> {
        let encoding = self.tokenizer.encode_fast(text, false).map_err(|source| failed("imported", source))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Splits `range` of a text at line ends where the tokens of both parts together are those of the whole.
    pub(crate) fn chunks(&self, text: &str, range: Range<usize>) -> Vec<Range<usize>> {
        let (mut all, mut start) = (vec![], range.start);
        while range.end - start > CHUNK_BYTES {
            let latest = range.end.min(start + MAX_CHUNK_BYTES);
            let ends = text[..latest].as_bytes()[start + CHUNK_BYTES..].iter().enumerate();
            let mut ends = ends.filter(|(_, byte)| **byte == b'\n').map(|(at, _)| start + CHUNK_BYTES + at).take(SEAMS);
            let seam = ends.find(|at| self.is_seam(text, range.clone(), *at));
            let end = seam.unwrap_or(if latest == range.end { latest } else { text.floor_char_boundary(latest) });
            all.push(start..end);
            start = end;
        }
        if start < range.end {
            all.push(start..range.end);
        }
        all
    }

    fn is_seam(&self, text: &str, range: Range<usize>, at: usize) -> bool {
        let from = text.ceil_char_boundary(at.saturating_sub(SEAM_BYTES).max(range.start));
        let to = text.floor_char_boundary((at + SEAM_BYTES).min(range.end));
        let tokens = |range: Range<usize>| self.encode(&text[range]);
        match (tokens(from..to), tokens(from..at), tokens(at..to)) {
            (Ok(whole), Ok(left), Ok(right)) => whole == [left, right].concat(),
            _ => false,
        }
    }
}

/// Builds the tokenizer of a `tokenizer.json`. Truncation and padding are left out, as `transformers` does unless asked for them.
pub(crate) fn load(tree: &Value) -> Result<tokenizers::Tokenizer, TokenizerError> {
    check_parts(tree)?;
    let mut tokenizer: tokenizers::Tokenizer =
        serde_json::from_value(tree.clone()).map_err(|source| unsupported(source.to_string()))?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|source| unsupported(source.to_string()))?;
    Ok(tokenizer)
}

/// Names the part that the `tokenizers` crate does not know; the error of the whole would not.
fn check_parts(tree: &Value) -> Result<(), TokenizerError> {
    fn check<T: DeserializeOwned>(tree: &Value, part: &str) -> Result<(), TokenizerError> {
        let is_known = tree[part].is_null() || serde_json::from_value::<T>(tree[part].clone()).is_ok();
        if is_known {
            Ok(())
        } else {
            Err(unsupported(format!("its {part} ({}) is not supported", tree[part]["type"])))
        }
    }
    if !tree["model"].is_object() {
        return Err(unsupported("it has no model"));
    }
    if tree["model"]["dropout"].as_f64().is_some_and(|share| share != 0.0) {
        return Err(unsupported("its BPE has dropout, so that a text has other tokens each time"));
    }
    check::<NormalizerWrapper>(tree, "normalizer")?;
    check::<PreTokenizerWrapper>(tree, "pre_tokenizer")?;
    check::<PostProcessorWrapper>(tree, "post_processor")?;
    check::<DecoderWrapper>(tree, "decoder")?;
    serde_json::from_value::<ModelWrapper>(tree["model"].clone())
        .map(drop)
        .map_err(|source| unsupported(format!("its model ({}) is not supported: {source}", tree["model"]["type"])))
}

/// Every token must have a row in the model.
fn check_ids(tokenizer: &tokenizers::Tokenizer, vocab: usize) -> Result<(), TokenizerError> {
    if let Some((token, id)) = tokenizer.get_vocab(true).into_iter().find(|(_, id)| *id as usize >= vocab) {
        return Err(unsupported(format!("{token:?} has the id {id}, and the model has {vocab} tokens")));
    }
    Ok(())
}

/// Added tokens must have the ids of the file; the library counts on from its vocabulary.
pub(crate) fn check_added(tokenizer: &tokenizers::Tokenizer, tree: &Value) -> Result<(), TokenizerError> {
    for added in tree["added_tokens"].as_array().into_iter().flatten() {
        let given = added["content"].as_str().and_then(|content| tokenizer.token_to_id(content));
        if given.map(u64::from) != added["id"].as_u64() {
            let message = format!(
                "the added token {} has the id {}, and its place gives {given:?}",
                added["content"], added["id"]
            );
            return Err(unsupported(message));
        }
    }
    Ok(())
}

/// The tokens that the post-processor puts before and after a text.
fn frame(tokenizer: &tokenizers::Tokenizer) -> Result<(Vec<u32>, Vec<u32>), TokenizerError> {
    // The library panics where a template names a special token that it does not list.
    let encode = |specials: bool| {
        let encoded = catch_unwind(AssertUnwindSafe(|| tokenizer.encode("a", specials)));
        let encoded = encoded.map_err(|_| unsupported("its post_processor names a token that it does not list"))?;
        encoded.map_err(|source| unsupported(source.to_string()))
    };
    let (plain, framed) = (encode(false)?, encode(true)?);
    let (plain, framed) = (plain.get_ids(), framed.get_ids());
    let added = framed.len().saturating_sub(plain.len());
    let before = (0..=added).rev().find(|before| framed[*before..].starts_with(plain));
    match before {
        Some(before) if framed.len() >= plain.len() => {
            Ok((framed[..before].to_vec(), framed[before + plain.len()..].to_vec()))
        }
        _ => Err(unsupported("its post_processor changes the tokens of the text")),
    }
}

/// Added tokens of a tokenizer as `added_tokens` of a `tokenizer.json`: those that a model of `vocab` tokens has, and the names of the others.
pub(crate) fn added_tokens(tokenizer: &tokenizers::Tokenizer, vocab: usize) -> (Value, BTreeSet<String>) {
    let mut all: Vec<(u32, AddedToken)> = tokenizer.get_added_tokens_decoder().into_iter().collect();
    all.sort_by_key(|(id, _)| *id);
    let (mut known, mut unknown) = (vec![], BTreeSet::new());
    for (id, token) in all {
        if id as usize >= vocab {
            unknown.insert(token.content);
            continue;
        }
        known.push(serde_json::json!({
            "id": id, "content": token.content, "single_word": token.single_word, "lstrip": token.lstrip,
            "rstrip": token.rstrip, "normalized": token.normalized, "special": token.special,
        }));
    }
    (Value::Array(known), unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(model: &str) -> TextTokenizer {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/models");
        let text = std::fs::read(root.join(model).join("tokenizer.json")).unwrap();
        let tree = serde_json::from_slice(&text).unwrap();
        ImportedFile::new(tree, 400, None, vec![]).open().unwrap()
    }

    #[test]
    fn chunks_do_not_change_the_tokens() {
        let ends = ["\n", "!\n", "...\r\n\n", " \n \n", "12\n", "'\n", "<|endoftext|>\n", "e\u{301}\n"];
        let line = |i: usize| format!("It's line {i},  with\tspaces é and a 'tail'{}", ends[i % ends.len()]);
        let text: String = (0..6_000).map(line).collect();
        for (model, is_split) in [
            ("llama3-scaled", true),
            ("qwen2.5", true),
            ("gpt2", true),
            ("smollm2", true),
            ("llama2-byte-fallback", false),
        ] {
            let tokenizer = golden(model);
            let chunks = tokenizer.chunks(&text, 0..text.len());
            assert_eq!(chunks.len() > 2, is_split, "{model}: a text that gets a space before it is not split");
            assert_eq!((chunks[0].start, chunks[chunks.len() - 1].end), (0, text.len()));
            let mut tokens = vec![];
            chunks.into_iter().for_each(|chunk| tokenizer.encode_chunk(&text[chunk], &mut tokens).unwrap());
            assert!(tokens == tokenizer.encode(&text).unwrap(), "{model}");
        }
    }

    #[test]
    fn a_stored_file_of_another_version_is_refused_with_its_version() {
        let file = ImportedFile { imported: 9, ..ImportedFile::new(Value::Null, 1, None, vec![]) };
        let message = ImportedFile::parse(&file.to_bytes()).unwrap_err().to_string();
        assert!(message.contains("version 9"), "{message}");
        assert!(ImportedFile::parse(b"{}").unwrap().is_none());
    }

    #[test]
    fn tokens_concatenate_to_their_text() {
        let text = "The cat's hat,  12 \n été 中文 🙂!";
        for model in ["llama3-scaled", "gpt2-added-tokens"] {
            let tokenizer = golden(model);
            assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap()), text, "{model}");
        }
        let metaspace = golden("llama2-byte-fallback");
        assert_eq!(metaspace.decode(&metaspace.encode(text).unwrap()), format!(" {text}"), "with the space it adds");
        let words = golden("llama-word-piece");
        assert_eq!(words.decode(&words.encode("The cats").unwrap()), " the cats");
    }
}
