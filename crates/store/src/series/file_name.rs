//! Names of series as file names: a-z, 0-9, _, - and . are kept, any other byte and a leading dot become %XX. File systems that ignore case
//! therefore cause no collisions.

/// Longest escaped name; leaves room for `.l12` in the 255 bytes that file systems allow.
pub(super) const MAX_BYTES: usize = 240;

/// The file name of a series; `None` for an empty name and one that is too long.
pub(super) fn escape(name: &str) -> Option<String> {
    let mut escaped = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        let is_plain = byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'_' | b'-')
            || (byte == b'.' && at > 0);
        if is_plain {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02x}"));
        }
    }
    (!escaped.is_empty() && escaped.len() <= MAX_BYTES).then_some(escaped)
}

/// The series of a file name; `None` for a file that is not a series.
pub(super) fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(after.get(..2)?, 16).ok()?);
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    let name = String::from_utf8(bytes).ok()?;
    (escape(&name).as_deref() == Some(escaped)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_survive_the_round_trip_and_stay_in_their_folder() {
        let mut random = testing::Random::new(testing::seed(1));
        let letters: Vec<char> = "abzAZ09_-./\\%: \0\n~éß…😀ll0".chars().collect();
        let mut names: HashSet<String> =
            ["loss.train", "gradient_rms/block.0.attention.query", "..", ".", "a/../b", "A", "a", "%41", "x.l0", "x"]
                .map(String::from)
                .into();
        for _ in 0..20_000 {
            let length = 1 + random.below(20);
            names.insert((0..length).map(|_| letters[random.below(letters.len() as u64) as usize]).collect());
        }
        let mut files = HashSet::new();
        for name in names {
            let file = escape(&name).unwrap();
            assert_eq!(unescape(&file).as_deref(), Some(name.as_str()));
            assert!(
                file.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.%".contains(&b))
                    && !file.starts_with('.'),
                "{file}"
            );
            assert!(files.insert(file), "{name:?} shares its file");
        }
        assert!(escape("").is_none() && escape(&"é".repeat(41)).is_none() && escape(&"a".repeat(240)).is_some());
        for foreign in ["A", "%4", "%zz", "%61", ".hidden", ""] {
            assert!(unescape(foreign).is_none(), "{foreign}");
        }
    }
}
