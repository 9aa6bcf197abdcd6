//! The tokenizer of a model folder: `tokenizer.json`, or `vocab.json` and `merges.txt`, with what `tokenizer_config.json` and older files add to
//! them. The result computes what `AutoTokenizer` computes from these files; what it would compute otherwise is refused by name.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokenizers::AddedToken;
use wire::data::tokenizer::Tokenizer;

use super::generation::Generation;
use super::{Shape, TOKENIZER, TOKENIZER_CONFIG, failed, refused};
use crate::data::tokenizer::imported::{self, ImportedFile};
use crate::data::tokenizer::{EOT_PIECE, TextTokenizer, hugging_face, imported_kind};
use crate::error::{EngineError, TokenizerError};

/// Named special tokens of `tokenizer_config.json`, in the order in which `transformers` adds them.
const NAMED: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
/// Vocabularies of other libraries, which are not read.
const OTHERS: [&str; 6] =
    ["tokenizer.model", "spiece.model", "tiktoken.model", "tekken.json", "vocab.txt", "sentencepiece.bpe.model"];
/// Qwen2's words (transformers' `Qwen2Tokenizer`).
const QWEN2_WORDS: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// How to write a `tokenizer.json`.
const SAVE: &str = "upload it too: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(OTHER) writes it";

/// The files that describe a tokenizer, where the folder has them.
#[derive(Default)]
pub(super) struct TokenizerFiles {
    pub(super) tokenizer: Option<Value>,
    pub(super) vocab: Option<Value>,
    pub(super) merges: Option<String>,
    /// `tokenizer_config.json`; null where there is none.
    pub(super) config: Value,
    /// `special_tokens_map.json`; null where there is none.
    pub(super) special: Value,
    /// `added_tokens.json`; null where there is none.
    pub(super) added: Value,
    /// Names of all files of the folder.
    pub(super) names: Vec<String>,
}

/// A tokenizer, the file to store where it is not a built-in one, and what to report of it.
pub(super) struct Read {
    pub(super) tokenizer: Tokenizer,
    pub(super) file: Option<Vec<u8>>,
    pub(super) notes: Vec<String>,
}

/// Reads the tokenizer of a model of `vocab` tokens.
///
/// # Errors
/// No tokenizer, one of a library that is not read, or a setting that would be computed otherwise, with its name.
pub(super) fn read(
    files: &TokenizerFiles,
    shape: Shape,
    vocab: usize,
    generation: &Generation,
) -> Result<Read, EngineError> {
    let Some(base) = base(files, shape)? else { return gpt2_without_files(files, shape, vocab) };
    let (tree, unknown) = with_config(base, files, vocab)?;
    let mut notes = vec![];
    if !unknown.is_empty() {
        let names: Vec<&str> = unknown.iter().map(String::as_str).collect();
        notes.push(format!("tokens without a row in the model are left out: {}", names.join(", ")));
    }
    let Generation { bos, eos } = generation.clone();
    if let Some(built_in) = built_in(&tree, vocab, &eos) {
        return Ok(Read { tokenizer: built_in, file: None, notes });
    }
    if let Some(file) = ours(&tree, vocab, &eos) {
        return Ok(Read { tokenizer: imported_kind(&file), file: Some(file), notes });
    }
    let file = ImportedFile::new(tree, vocab, bos, eos);
    let bytes = file.to_bytes();
    let opened = file.open().map_err(unfit)?;
    notes.extend(without_effect(&files.config, opened.frame()));
    Ok(Read { tokenizer: imported_kind(&bytes), file: Some(bytes), notes })
}

/// Settings of `tokenizer_config.json` that the post-processor of `tokenizer.json` contradicts.
fn without_effect(config: &Value, (before, after): (&[u32], &[u32])) -> Vec<String> {
    let flags = [("add_bos_token", before), ("add_eos_token", after)];
    let differs = |(key, added): &(&str, &[u32])| config[*key].as_bool().is_some_and(|asked| asked == added.is_empty());
    let note = |(key, _)| {
        format!(
            "{key} of {TOKENIZER_CONFIG} has no effect: the post_processor of {TOKENIZER} decides, as in transformers"
        )
    };
    flags.into_iter().filter(differs).map(note).collect()
}

fn unfit(source: TokenizerError) -> EngineError {
    failed(
        TOKENIZER,
        source,
        "a tokenizer that is computed otherwise would give other tokens than the model was trained with",
    )
}

/// The `tokenizer.json`, or what `transformers` makes of `vocab.json` and `merges.txt`.
fn base(files: &TokenizerFiles, shape: Shape) -> Result<Option<Value>, EngineError> {
    match (&files.tokenizer, &files.vocab, &files.merges) {
        (Some(tokenizer), ..) => Ok(Some(tokenizer.clone())),
        (None, Some(vocab), Some(merges)) => Ok(Some(from_vocab(files, shape, vocab, merges)?)),
        (None, Some(_), None) => Err(refused("merges.txt", "it is missing, and vocab.json is there", SAVE)),
        (None, None, Some(_)) => Err(refused("vocab.json", "it is missing, and merges.txt is there", SAVE)),
        (None, None, None) => Ok(None),
    }
}

/// Only GPT-2's own tokenizer may be left out.
fn gpt2_without_files(files: &TokenizerFiles, shape: Shape, vocab: usize) -> Result<Read, EngineError> {
    if let Some(name) = files.names.iter().find(|name| OTHERS.contains(&name.as_str())) {
        return Err(refused(name, "this kind of vocabulary is not read, and there is no tokenizer.json", SAVE));
    }
    if shape == Shape::Gpt2 && vocab == 50_257 {
        let notes = vec!["the folder has no tokenizer: GPT-2's own is used".to_owned()];
        return Ok(Read { tokenizer: Tokenizer::Gpt2, file: None, notes });
    }
    let message =
        format!("it is missing, and only GPT-2's own may be left out (this model has {vocab} tokens, GPT-2 50257)");
    Err(refused(TOKENIZER, message, SAVE))
}

/// `GPT2Tokenizer` and `Qwen2Tokenizer` of `transformers`, which need no `tokenizer.json`.
fn from_vocab(files: &TokenizerFiles, shape: Shape, vocab: &Value, merges: &str) -> Result<Value, EngineError> {
    let named = files.config["tokenizer_class"].as_str().map(|class| class.trim_end_matches("Fast"));
    let class = named.unwrap_or(match shape {
        Shape::Gpt2 => "GPT2Tokenizer",
        Shape::Qwen2 => "Qwen2Tokenizer",
        Shape::Llama => "LlamaTokenizer",
    });
    let prefix = files.config["add_prefix_space"] == json!(true);
    let bytes = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": use_regex});
    let (normalizer, words) = match class {
        "GPT2Tokenizer" => (Value::Null, bytes(true)),
        "Qwen2Tokenizer" => {
            let split =
                json!({"type": "Split", "pattern": {"Regex": QWEN2_WORDS}, "behavior": "Isolated", "invert": false});
            (json!({"type": "NFC"}), json!({"type": "Sequence", "pretokenizers": [split, bytes(false)]}))
        }
        other => {
            let message =
                format!("{other} is not built from vocab.json and merges.txt; GPT2Tokenizer and Qwen2Tokenizer are");
            return Err(refused("vocab.json", message, SAVE));
        }
    };
    let tokens =
        vocab.as_object().ok_or_else(|| refused("vocab.json", "it is not an object of tokens and ids", SAVE))?;
    let default = tokens.get(EOT_PIECE).and_then(Value::as_u64).filter(|_| !files.config["eos_token"].is_string());
    let end = |id: u64| json!({"id": id, "content": EOT_PIECE, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": default.map(end).into_iter().collect::<Vec<_>>(),
        "normalizer": normalizer, "pre_tokenizer": words, "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "",
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": pairs(merges)?,
        },
    }))
}

/// The pairs of a `merges.txt`, one a line, in the order in which they are merged.
fn pairs(merges: &str) -> Result<Vec<Value>, EngineError> {
    let lines = merges.lines().enumerate().filter(|(_, line)| !line.starts_with("#version") && !line.trim().is_empty());
    let pair = |(place, line): (usize, &str)| {
        let two = line.split_once(' ').filter(|(_, right)| !right.contains(' '));
        two.map(|(left, right)| json!([left, right])).ok_or_else(|| {
            refused("merges.txt", format!("line {} is not a pair: {line:.40?}", place + 1), "save the tokenizer again")
        })
    };
    lines.map(pair).collect()
}

/// Adds what the other files say about added tokens, and about BOS and EOS; also returns added tokens that the model has no row for.
fn with_config(
    mut tree: Value,
    files: &TokenizerFiles,
    vocab: usize,
) -> Result<(Value, BTreeSet<String>), EngineError> {
    check_config(&tree, &files.config)?;
    let beyond = drop_added_beyond(&mut tree, vocab);
    let mut tokenizer = imported::load(&tree).map_err(unfit)?;
    imported::check_added(&tokenizer, &tree).map_err(unfit)?;
    for (id, token) in listed(files)? {
        let content = token.content.clone();
        tokenizer.add_tokens(&[token]);
        let given = tokenizer.token_to_id(&content);
        if given != Some(id) && (id as usize) < vocab {
            let message = format!("it gives {content:?} the id {id}, and {TOKENIZER} gives {given:?}");
            return Err(refused(TOKENIZER_CONFIG, message, "save the tokenizer again"));
        }
    }
    for token in special(files) {
        let is_added = tokenizer.get_added_tokens_decoder().values().any(|added| added.content == token);
        if !is_added {
            tokenizer.add_tokens(&[AddedToken::from(token, true)]);
        }
    }
    let (added, mut unknown) = imported::added_tokens(&tokenizer, vocab);
    unknown.extend(beyond);
    tree["added_tokens"] = added;
    // A tokenizer.json has its own post-processor, which `transformers` prefers.
    if files.tokenizer.is_none()
        && let Some(template) = template(&files.config, &tokenizer)?
    {
        tree["post_processor"] = template;
    }
    Ok((tree, unknown))
}

/// Takes out added tokens whose ids the model does not have, so that the library does not give them other ones.
fn drop_added_beyond(tree: &mut Value, vocab: usize) -> Vec<String> {
    let Some(added) = tree["added_tokens"].as_array_mut() else { return vec![] };
    let is_beyond = |token: &Value| token["id"].as_u64().is_some_and(|id| id >= vocab as u64);
    let beyond =
        added.iter().filter(|token| is_beyond(token)).filter_map(|token| Some(token["content"].as_str()?.to_owned()));
    let beyond = beyond.collect();
    added.retain(|token| !is_beyond(token));
    beyond
}

/// Settings that change ids and are not computed here.
fn check_config(tree: &Value, config: &Value) -> Result<(), EngineError> {
    let unfit =
        |message: String| refused(TOKENIZER_CONFIG, message, "a tokenizer with another value gives other tokens");
    if config["split_special_tokens"] == json!(true) {
        return Err(unfit("split_special_tokens is true, and special tokens are found in a text here".to_owned()));
    }
    let (asked, found) = (&config["add_prefix_space"], &tree["pre_tokenizer"]["add_prefix_space"]);
    if asked.is_boolean() && found.is_boolean() && asked != found {
        return Err(unfit(format!("add_prefix_space is {asked}, and {found} in the pre_tokenizer of {TOKENIZER}")));
    }
    Ok(())
}

/// Added tokens with their ids, of `tokenizer_config.json` or else of `added_tokens.json`, by id.
fn listed(files: &TokenizerFiles) -> Result<Vec<(u32, AddedToken)>, EngineError> {
    let mut listed = vec![];
    if let Some(tokens) = files.config["added_tokens_decoder"].as_object() {
        for (id, token) in tokens {
            let known = id.parse().ok().zip(added(token));
            listed.push(known.ok_or_else(|| {
                let message = format!("added_tokens_decoder has {id} {token}, and an id and an added token are needed");
                refused(TOKENIZER_CONFIG, message, "save the tokenizer again")
            })?);
        }
    } else if let Some(tokens) = files.added.as_object() {
        let specials = special(files);
        for (content, id) in tokens {
            let id = id.as_u64().and_then(|id| u32::try_from(id).ok()).ok_or_else(|| {
                refused("added_tokens.json", format!("{content:?} has the id {id}"), "save the tokenizer again")
            })?;
            listed.push((id, AddedToken::from(content.clone(), specials.contains(content))));
        }
    }
    listed.sort_by_key(|(id, _)| *id);
    Ok(listed)
}

/// An added token as it is written in JSON.
fn added(token: &Value) -> Option<AddedToken> {
    let is = |key: &str, usual: bool| token[key].as_bool().unwrap_or(usual);
    let special = is("special", false);
    let made = AddedToken::from(token["content"].as_str()?, special);
    let made = made.single_word(is("single_word", false)).lstrip(is("lstrip", false)).rstrip(is("rstrip", false));
    Some(made.normalized(is("normalized", !special)))
}

/// The contents of named and additional special tokens.
fn special(files: &TokenizerFiles) -> Vec<String> {
    let content = |value: &Value| value.as_str().or(value["content"].as_str()).map(str::to_owned);
    let older = if files.config["added_tokens_decoder"].is_object() { &Value::Null } else { &files.special };
    let named = NAMED.iter().filter_map(|key| content(&older[*key]).or_else(|| content(&files.config[*key])));
    let own = files.config.as_object().into_iter().flatten();
    let own = own.filter(|(key, _)| key.ends_with("_token") && !NAMED.contains(&key.as_str()));
    let own = own.filter_map(|(_, value)| content(value));
    let others = [older, &files.config].into_iter().flat_map(|tree| {
        let lists = [&tree["additional_special_tokens"], &tree["extra_special_tokens"]];
        lists.into_iter().flat_map(|list| match list {
            Value::Array(items) => items.iter().collect::<Vec<_>>(),
            Value::Object(items) => items.values().collect(),
            _ => vec![],
        })
    });
    named.chain(own).chain(others.filter_map(content)).collect()
}

/// The post-processor that `add_bos_token` and `add_eos_token` ask for; `None` where neither is set.
fn template(config: &Value, tokenizer: &tokenizers::Tokenizer) -> Result<Option<Value>, EngineError> {
    let flag = |key: &str| config[key].as_bool();
    if flag("add_bos_token").is_none() && flag("add_eos_token").is_none() {
        return Ok(None);
    }
    let mut specials = serde_json::Map::new();
    let mut piece = |flag: Option<bool>, key: &str| -> Result<Option<Value>, EngineError> {
        let token = config[key].as_str().or(config[key]["content"].as_str());
        let (Some(true), Some(token)) = (flag, token) else { return Ok(None) };
        let id = tokenizer.token_to_id(token).ok_or_else(|| {
            refused(TOKENIZER_CONFIG, format!("{key} {token:?} is not a token"), "save the tokenizer again")
        })?;
        specials.insert(token.to_owned(), json!({"id": token, "ids": [id], "tokens": [token]}));
        Ok(Some(json!({"SpecialToken": {"id": token, "type_id": 0}})))
    };
    let (bos, eos) = (piece(flag("add_bos_token"), "bos_token")?, piece(flag("add_eos_token"), "eos_token")?);
    let sequence = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let single: Vec<Value> = bos.into_iter().chain([sequence("A")]).chain(eos).collect();
    let pair: Vec<Value> = single.iter().cloned().chain([sequence("B")]).collect();
    Ok(Some(json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": specials})))
}

/// Bytes, or GPT-2's own.
fn built_in(tree: &Value, vocab: usize, eos: &[u32]) -> Option<Tokenizer> {
    let own = hugging_face::read(tree, vocab, eos.first().copied()).ok()?;
    let is_plain = is_plain(&tree["post_processor"]) && own.eot().as_slice() == eos;
    match () {
        () if is_plain && own.is_same(&TextTokenizer::byte()) => Some(Tokenizer::Byte),
        () if is_plain && vocab == 50_257 && own.is_same(&TextTokenizer::gpt2()) => Some(Tokenizer::Gpt2),
        () => None,
    }
}

/// The file of a tokenizer that a lab exported: it is exactly what would be written.
fn ours(tree: &Value, vocab: usize, eos: &[u32]) -> Option<Vec<u8>> {
    let own = hugging_face::read(tree, vocab, eos.first().copied()).ok()?;
    let file = hugging_face::write(&own);
    let written: Value = serde_json::from_slice(&file).ok()?;
    let parts = ["added_tokens", "normalizer", "pre_tokenizer", "decoder", "model"];
    let is_same = parts.iter().all(|part| written[*part] == tree[*part]) && is_plain(&tree["post_processor"]);
    (is_same && own.eot().as_slice() == eos).then_some(file)
}

/// Whether a post-processor adds no token.
fn is_plain(post_processor: &Value) -> bool {
    match post_processor["type"].as_str() {
        Some("ByteLevel") => true,
        Some("TemplateProcessing") => {
            post_processor["special_tokens"].as_object().is_some_and(serde_json::Map::is_empty)
        }
        _ => post_processor.is_null(),
    }
}
