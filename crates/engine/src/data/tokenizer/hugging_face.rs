//! `tokenizer.json` in Hugging Face's format, written from any [`TextTokenizer`], and read where it is one of ours: bytes, characters, or a
//! byte-pair encoding with GPT-2's words. Any other is [`super::imported`]'s.
//!
//! Bytes, characters and byte-pair encodings are all Hugging Face's `BPE` model: bytes and characters have no merges, byte-pair encodings have
//! GPT-2's pre-tokenization. `tiktoken` merges by the id of the result, Hugging Face by a list; a written list has every pair that forms a
//! token, in the order of ids, and a list that is read must have that order.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::data::tokenizer::{EOT_PIECE, TextTokenizer, byte_of_letter, unsupported};
use crate::error::TokenizerError;

/// The `tokenizer.json` of a tokenizer.
pub fn write(tokenizer: &TextTokenizer) -> Vec<u8> {
    if let Some(file) = tokenizer.imported() {
        return file.tokenizer.to_string().into_bytes();
    }
    let letters: HashMap<u8, char> = byte_of_letter().into_iter().map(|(letter, byte)| (byte, letter)).collect();
    let is_by_bytes = tokenizer.is_bpe() || tokenizer.is_bytes();
    let spell = |bytes: &[u8]| -> String {
        match is_by_bytes {
            true => bytes.iter().filter_map(|byte| letters.get(byte)).collect(),
            false => String::from_utf8_lossy(bytes).into_owned(),
        }
    };
    let name = |id: usize, piece: &Option<Vec<u8>>| match piece {
        Some(bytes) => spell(bytes),
        None if tokenizer.eot() == Some(id as u32) => EOT_PIECE.to_owned(),
        None => unused(id),
    };
    let vocab: BTreeMap<String, usize> =
        tokenizer.pieces().iter().enumerate().map(|(id, piece)| (name(id, piece), id)).collect();
    let merges: Vec<Value> = match tokenizer.is_bpe() {
        true => {
            merges(tokenizer.pieces()).into_iter().map(|(left, right)| json!([spell(left), spell(right)])).collect()
        }
        false => vec![],
    };
    let bytes =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": tokenizer.is_bpe()});
    let words = match tokenizer.splits_digits() {
        true => json!({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, bytes]}),
        false => bytes.clone(),
    };
    let added = |eot: u32| json!({"id": eot, "content": EOT_PIECE, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    let tree = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": tokenizer.eot().map(added).into_iter().collect::<Vec<_>>(),
        "normalizer": null,
        "pre_tokenizer": if is_by_bytes { words } else { Value::Null },
        "post_processor": null,
        "decoder": if is_by_bytes { bytes } else { json!({"type": "Fuse"}) },
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            // A word that is a token is not merged from its parts.
            "ignore_merges": true,
            "vocab": vocab,
            "merges": merges,
        },
    });
    tree.to_string().into_bytes()
}

/// The name of an id without text, which contains a letter outside the byte-level spelling.
fn unused(id: usize) -> String {
    format!("<unused {id}>")
}

/// Every pair of tokens that forms a token, in the order of the ids of these tokens.
fn merges(pieces: &[Option<Vec<u8>>]) -> Vec<(&[u8], &[u8])> {
    let ids: HashMap<&[u8], usize> =
        pieces.iter().enumerate().filter_map(|(id, piece)| Some((piece.as_deref()?, id))).collect();
    let mut found = vec![];
    for piece in pieces.iter().flatten() {
        let mut splits: Vec<_> = (1..piece.len())
            .map(|at| piece.split_at(at))
            .filter_map(|(left, right)| Some(((*ids.get(left)?, *ids.get(right)?), (left, right))))
            .collect();
        splits.sort_unstable_by_key(|(ids, _)| *ids);
        found.extend(splits.into_iter().map(|(_, split)| split));
    }
    found
}

/// The parts of a `tokenizer.json` that are read.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    vocab: Value,
    #[serde(default)]
    merges: Vec<Merge>,
    #[serde(default)]
    dropout: Option<f64>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
}

/// `"a b"` in older files, `["a", "b"]` in newer ones.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Line(String),
}

impl Merge {
    fn pair(&self) -> Option<(&str, &str)> {
        match self {
            Self::Pair(left, right) => Some((left, right)),
            Self::Line(line) => line.split_once(' '),
        }
    }
}

/// Reads what [`write()`] wrote.
pub(crate) fn read_own(bytes: &[u8]) -> Result<TextTokenizer, TokenizerError> {
    let file: File = serde_json::from_slice(bytes)?;
    let vocab = file.model.vocab.as_object().map_or(0, |vocab| vocab.len());
    let eot = file.added_tokens.first().map(|added| added.id);
    read_file(&file, vocab, eot)
}

/// Reads a tokenizer for a model of `vocab` tokens, with the end-of-text token `eot` of its config. Ids without an entry have no text. Its
/// post-processor is not read.
///
/// # Errors
/// Any other option with which the file would tokenize a text differently from [`TextTokenizer`].
pub(crate) fn read(tree: &Value, vocab: usize, eot: Option<u32>) -> Result<TextTokenizer, TokenizerError> {
    let file = File::deserialize(tree)?;
    read_file(&file, vocab, eot)
}

fn read_file(file: &File, vocab: usize, eot: Option<u32>) -> Result<TextTokenizer, TokenizerError> {
    let File { added_tokens, normalizer, pre_tokenizer, model } = file;
    let kind = model.kind.as_deref().unwrap_or("none");
    if kind != "BPE" {
        return Err(unsupported(format!("its model is {kind}, not BPE")));
    }
    if !normalizer.is_null() {
        return Err(unsupported(format!(
            "it changes the text before it tokenizes it (normalizer {})",
            normalizer["type"]
        )));
    }
    let is_set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    if model.dropout.is_some_and(|rate| rate != 0.0)
        || is_set(&model.continuing_subword_prefix)
        || is_set(&model.end_of_word_suffix)
    {
        return Err(unsupported("its BPE has dropout, a prefix or a suffix"));
    }
    let mut ids: HashMap<String, u32> = HashMap::new();
    for (spelled, id) in model.vocab.as_object().ok_or_else(|| unsupported("it has no vocabulary"))? {
        let id = id.as_u64().filter(|id| (*id as usize) < vocab);
        ids.insert(
            spelled.clone(),
            id.ok_or_else(|| {
                unsupported(format!("{spelled:?} has no id below {vocab}, the vocabulary size of the model"))
            })? as u32,
        );
    }
    for Added { id, content, special, single_word, lstrip, rstrip, .. } in added_tokens {
        if !special || *single_word || *lstrip || *rstrip {
            return Err(unsupported(format!("it has {content:?}, which is split off before anything else")));
        }
        if *id as usize >= vocab {
            return Err(unsupported(format!("{content:?} has the id {id}, and the model has {vocab} tokens")));
        }
        if ids.insert(content.clone(), *id).is_some_and(|before| before != *id) {
            return Err(unsupported(format!("{content:?} has two ids")));
        }
    }
    let special: HashSet<u32> = added_tokens.iter().map(|added| added.id).collect();
    let named = added_tokens.iter().find(|added| added.content == EOT_PIECE).map(|added| added.id);
    let eot = eot.filter(|id| special.contains(id)).or(named);
    let (by_digit, words) = words_of(pre_tokenizer);
    match words["type"].as_str() {
        None if words.is_null() && model.merges.is_empty() => characters(&ids, vocab, eot),
        Some("ByteLevel") if words["add_prefix_space"] == json!(true) => {
            Err(unsupported("it puts a space before each text"))
        }
        Some("ByteLevel") if words["use_regex"] != json!(false) => {
            in_order(&ids, &model.merges)?;
            // Special tokens have no text, since no text is encoded to them.
            ids.retain(|_, id| !special.contains(id));
            TextTokenizer::bpe(&ids, vocab as u32, eot, by_digit)
        }
        Some("ByteLevel") if model.merges.is_empty() && !by_digit => bytes(&ids, vocab),
        _ => Err(unsupported(format!("it splits text into words in another way (pre_tokenizer {})", words["type"]))),
    }
}

/// Whether digits are split off before the words, and the pre-tokenizer of the words.
fn words_of(pre_tokenizer: &Value) -> (bool, &Value) {
    let digits = json!({"type": "Digits", "individual_digits": true});
    match pre_tokenizer["pretokenizers"].as_array().map(Vec::as_slice) {
        Some([first, second]) if pre_tokenizer["type"] == "Sequence" && *first == digits => (true, second),
        Some([only]) if pre_tokenizer["type"] == "Sequence" => (false, only),
        _ => (false, pre_tokenizer),
    }
}

fn bytes(ids: &HashMap<String, u32>, vocab: usize) -> Result<TextTokenizer, TokenizerError> {
    let made = TextTokenizer::byte();
    let is_in_order =
        byte_of_letter().iter().all(|(letter, byte)| ids.get(&letter.to_string()) == Some(&u32::from(*byte)));
    if vocab == made.vocab() && is_in_order {
        Ok(made)
    } else {
        Err(unsupported("the ids of its bytes are not their values"))
    }
}

fn characters(ids: &HashMap<String, u32>, vocab: usize, eot: Option<u32>) -> Result<TextTokenizer, TokenizerError> {
    let alphabet: String =
        ids.iter().filter(|(_, id)| Some(**id) != eot).map(|(spelled, _)| spelled.as_str()).collect();
    let made = TextTokenizer::char(&alphabet, eot.is_some());
    let is_in_order = made.pieces().iter().enumerate().all(|(id, piece)| {
        let Some(piece) = piece else { return eot == Some(id as u32) };
        std::str::from_utf8(piece).is_ok_and(|c| ids.get(c) == Some(&(id as u32)))
    });
    if made.vocab() == vocab && is_in_order {
        Ok(made)
    } else {
        Err(unsupported("its tokens are not single characters in sorted order, with end of text last"))
    }
}

/// Checks that merges are in the order of the ids that they form, as in tiktoken.
fn in_order(ids: &HashMap<String, u32>, merges: &[Merge]) -> Result<(), TokenizerError> {
    let mut newest = None;
    let mut made = HashSet::new();
    for merge in merges {
        let (left, right) = merge.pair().ok_or_else(|| unsupported("a merge is not a pair"))?;
        let id = *ids
            .get(&format!("{left}{right}"))
            .ok_or_else(|| unsupported(format!("it merges {left:?} and {right:?} into no token")))?;
        if made.insert(id) && newest.replace(id).is_some_and(|before| before > id) {
            return Err(unsupported(format!("its merges are not in the order of their ids (at {left:?} {right:?})")));
        }
    }
    Ok(())
}
