//! Trains nanoGPT's CPU recipe on a text file for some seeds and prints validation loss and speed as JSON lines.
//!
//! `cargo run --release -p engine --example recipe -- FILE [STEPS] [SEEDS]`

use std::path::PathBuf;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let file = PathBuf::from(args.next().ok_or("which text file?")?);
    let steps: u64 = args.next().map_or(Ok(2000), |text| text.parse())?;
    let seeds: u64 = args.next().map_or(Ok(1), |text| text.parse())?;
    let corpora = std::env::temp_dir().join(format!("kindling-recipe-{}", std::process::id()));
    std::fs::create_dir_all(&corpora)?;
    engine::bench::bring_text(&corpora, &"text".parse()?, &file)?;
    for seed in 1..=seeds {
        let spec = format!(r#"{{"preset":"nanogpt-cpu","corpus":"text","steps":{steps},"seed":{seed},"overrides":{{"cadence.sample_every":0}}}}"#);
        let figures = engine::bench::train(&serde_json::from_str(&spec)?, &corpora)?;
        println!("{figures:?}");
    }
    std::fs::remove_dir_all(&corpora)?;
    Ok(())
}
