//! Chance, for stories in which things go wrong at any moment.

/// How often each of the stories that kill at random does so: 3 times, or what `KINDLING_KILLS` says.
pub(crate) fn kills() -> u64 {
    std::env::var("KINDLING_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// Numbers that differ from run to run, and are told when a story fails.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seed = now.map_or(1, |since| since.as_nanos() as u64);
        eprintln!("seed {seed}");
        Self(seed)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}
