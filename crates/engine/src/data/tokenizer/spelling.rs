//! How a `tokenizer.json` spells tokens, by its decoder. The text of a token does not depend on its neighbours here, so that it can be written
//! as soon as it is generated; decoders that strip the first space of a text differ in that space.

use std::collections::HashMap;

use serde_json::Value;

use super::byte_of_letter;

/// The steps from the spelling of a token to its text.
pub(super) struct Spelling {
    /// Byte of each letter, where tokens are spelled by bytes.
    bytes: Option<HashMap<char, u8>>,
    /// Replaced texts: Metaspace's `▁` by a space.
    replaced: Vec<(String, String)>,
    /// Whether `<0x0A>` is a byte.
    has_byte_fallback: bool,
    /// Mark of a token that continues a word; other tokens begin with a space.
    continuing: Option<String>,
    /// Mark of the last token of a word, which a space follows.
    word_end: Option<String>,
    /// Without a decoder every token is a word.
    are_words: bool,
}

impl Spelling {
    /// The spelling of a decoder.
    pub(super) fn of(decoder: &Value) -> Self {
        let one = std::slice::from_ref(decoder);
        let steps = decoder["decoders"].as_array().map_or(one, Vec::as_slice);
        let step = |kind: &str| steps.iter().find(|step| step["type"] == kind);
        let text = |value: &Value, usual: &str| value.as_str().unwrap_or(usual).to_owned();
        let metaspace = steps.iter().filter(|step| step["type"] == "Metaspace");
        let metaspace = metaspace.map(|step| (text(&step["replacement"], "▁"), " ".to_owned()));
        let replace = steps.iter().filter(|step| step["type"] == "Replace");
        let replace = replace
            .filter_map(|step| Some((step["pattern"]["String"].as_str()?.to_owned(), text(&step["content"], ""))));
        Self {
            bytes: step("ByteLevel").map(|_| byte_of_letter()),
            replaced: metaspace.chain(replace).collect(),
            has_byte_fallback: step("ByteFallback").is_some(),
            continuing: step("WordPiece").map(|step| text(&step["prefix"], "##")),
            word_end: step("BPEDecoder").map(|step| text(&step["suffix"], "</w>")),
            are_words: decoder.is_null(),
        }
    }

    /// The bytes of a token.
    pub(super) fn bytes(&self, token: &str) -> Vec<u8> {
        if let Some(bytes) = &self.bytes {
            let spelled: Option<Vec<u8>> = token.chars().map(|letter| bytes.get(&letter).copied()).collect();
            return spelled.unwrap_or_else(|| token.as_bytes().to_vec());
        }
        if let Some(byte) = self.fallback_byte(token) {
            return vec![byte];
        }
        let mut text = token.to_owned();
        for (from, to) in &self.replaced {
            text = text.replace(from, to);
        }
        if let Some(mark) = &self.word_end {
            text = text.replace(mark, " ");
        }
        match &self.continuing {
            Some(mark) => text.strip_prefix(mark).map_or_else(|| format!(" {text}"), str::to_owned).into_bytes(),
            None if self.are_words => format!(" {text}").into_bytes(),
            None => text.into_bytes(),
        }
    }

    /// Whether a token is the spelling of one byte.
    pub(super) fn is_byte(&self, token: &str) -> bool {
        self.fallback_byte(token).is_some()
    }

    fn fallback_byte(&self, token: &str) -> Option<u8> {
        let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
        u8::from_str_radix(digits, 16).ok().filter(|_| self.has_byte_fallback && digits.len() == 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tokens_have_the_text_that_their_decoder_gives() {
        let check = |decoder: Value, token: &str, expected: &[u8]| {
            assert_eq!(Spelling::of(&decoder).bytes(token), expected, "{decoder} {token}");
        };
        check(json!({"type": "ByteLevel"}), "Ġthe", b" the");
        check(json!({"type": "ByteLevel"}), "<|im_start|>\u{2603}", "<|im_start|>\u{2603}".as_bytes());
        check(json!({"type": "Metaspace", "replacement": "▁"}), "▁the", b" the");
        let llama = json!({"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]});
        check(llama.clone(), "▁a▁b", b" a b");
        check(llama.clone(), "<0xE9>", &[0xe9]);
        check(llama, "<0xE9E>", b"<0xE9E>");
        check(json!({"type": "WordPiece", "prefix": "##"}), "##ing", b"ing");
        check(json!({"type": "WordPiece", "prefix": "##"}), "go", b" go");
        check(json!({"type": "BPEDecoder", "suffix": "</w>"}), "cat</w>", b"cat ");
        check(Value::Null, "cat", b" cat");
        check(json!({"type": "Fuse"}), "cat", b"cat");
    }
}
