//! Small texts from a seed, with enough structure that a small model learns it in seconds.

const WORDS: [&str; 16] = [
    "the", "river", "runs", "over", "stones", "and", "under", "old", "bridges", "while", "swallows", "turn", "in",
    "evening", "light", "again",
];

/// Sentences of about `bytes` bytes.
pub fn sentences(seed: u64, bytes: usize) -> String {
    let mut text = String::new();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while text.len() < bytes {
        // Each word mostly determines the next, so that there is something to learn.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let start = (state >> 60) as usize;
        let length = 4 + (state >> 40) as usize % 6;
        let words: Vec<&str> = (start..start + length).map(|at| WORDS[at % WORDS.len()]).collect();
        text.push_str(&words.join(" "));
        text.push_str(".\n");
    }
    text
}

/// The same as JSON Lines with the text in `field`, one sentence per line.
pub fn json_lines(seed: u64, bytes: usize, field: &str) -> String {
    let lines = sentences(seed, bytes);
    lines
        .lines()
        .enumerate()
        .map(|(number, line)| serde_json::json!({ "id": number, field: line }).to_string() + "\n")
        .collect()
}
