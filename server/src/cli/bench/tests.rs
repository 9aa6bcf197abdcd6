//! A bench of a small model, its document as a baseline, and options that do not fit.

use clap::Parser;
use wire::run::operators::{Operator, Phase};

use super::*;
use crate::cli::{Cli, Subcommand};
use crate::lab::drawing::Format;

const SMALL: &str =
    "--preset tiny --set model.d_model=32 --set model.d_ff=64 --set model.seq=16 --set batch.size=4 --threads 1";

fn args(line: &str) -> BenchArgs {
    let words = format!("kindling bench {line}");
    match Cli::try_parse_from(words.split_whitespace()).unwrap().subcommand {
        Subcommand::Bench(args) => args,
        other => panic!("{other:?}"),
    }
}

/// A text file in a folder that is removed when dropped.
fn text() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rhyme.txt");
    std::fs::write(&file, "the cat sat on the mat and the dog sat on the log.\n".repeat(400)).unwrap();
    let path = file.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn a_bench_measures_every_operator_and_is_a_baseline_for_itself() {
    let (folder, file) = text();
    let args = args(&format!("{SMALL} --text {file} --steps 6 --rounds 2"));
    let settings = args.settings().unwrap();
    let mut lines = vec![];
    let mut print = |line: &str| {
        lines.push(line.to_owned());
        Ok(())
    };
    let document = args.measure(settings.clone(), 1 << 20, &mut print).unwrap();
    assert_eq!(lines.len(), 4, "title, header and two rounds: {lines:?}");
    assert!(lines[0].contains("model.d_model = 32") && lines[0].ends_with("6 steps, float32, 1 thread"), "{lines:?}");

    let times: Vec<_> = document.operators.iter().map(|figures| (figures.time.phase, figures.time.operator)).collect();
    let decoder = [
        Operator::Embedding,
        Operator::Norm,
        Operator::Qkv,
        Operator::Attention,
        Operator::AttentionOutput,
        Operator::Mlp,
        Operator::Activation,
        Operator::Head,
    ];
    for phase in [Phase::Forward, Phase::Backward] {
        for operator in decoder {
            assert!(times.contains(&(phase, operator)), "{phase:?}, {operator:?}: {times:?}");
        }
    }
    for figures in &document.operators {
        let has_speed = figures.flops_per_sec > 0.0 && figures.peak_fraction > 0.0 && figures.bytes_per_sec > 0.0;
        assert!(has_speed || figures.time.phase == Phase::Batch, "{figures:?}");
    }
    assert!(document.other_ms() >= -1e-9 * document.step_ms, "{document:?}");
    let shown = table::summary(&document);
    for words in
        ["ceiling: ", "MLP products", "GFLOP/s", "memory: ", "training time: ", "other, and waiting", "serial share"]
    {
        assert!(shown.contains(words), "{words:?} is not in: {shown}");
    }

    let one = document.scaling.first().unwrap();
    assert!(one.threads == 1 && (one.efficiency - 1.0).abs() < 1e-9 && one.tokens_per_sec > 0.0, "{one:?}");

    let path = folder.path().join("stored.json");
    let printed = |document: &Document| serde_json::to_string(&Printed { document, comparison: None }).unwrap();
    std::fs::write(&path, printed(&document)).unwrap();
    let baseline = read_baseline(&path, &settings).unwrap();
    let compared = baseline::compare(&baseline, &document);
    assert_eq!(compared.len(), 6 + document.operators.len(), "{compared:?}");
    for one in &compared {
        assert!(one.ratio.is_none_or(|ratio| (ratio - 1.0).abs() < 1e-9), "{one:?}");
        assert_ne!(one.is_outside_spread, Some(true), "{one:?}");
    }
    let shown = table::comparison(&compared);
    assert_eq!(shown.trim().lines().count(), 1 + compared.len(), "{shown}");

    let other = Settings { steps: 7, ..settings.clone() };
    let refused = read_baseline(&path, &other).unwrap_err().to_string();
    assert!(refused.contains("it was measured with steps 6, this bench has 7"), "{refused}");
    std::fs::write(&path, printed(&document).replacen("\"format\":2", "\"format\":3", 1)).unwrap();
    let refused = read_baseline(&path, &settings).unwrap_err().to_string();
    assert!(refused.contains("format 3"), "{refused}");
    std::fs::write(&path, "{}").unwrap();
    let refused = read_baseline(&path, &settings).unwrap_err().to_string();
    assert!(refused.contains("not a document that kindling bench --json prints"), "{refused}");
    let refused = read_baseline(&folder.path().join("none.json"), &settings).unwrap_err().to_string();
    assert!(refused.contains("none.json: the file cannot be read"), "{refused}");
}

#[test]
fn variants_train_to_the_losses_of_the_operators() {
    let (_folder, file) = text();
    let args = args(&format!("{SMALL} --text {file} --steps 6 --rounds 2 --against reference,norm"));
    let mut lines = vec![];
    let mut print = |line: &str| {
        lines.push(line.to_owned());
        Ok(())
    };
    let found = args.measure_variants(args.settings().unwrap(), &mut print).unwrap();
    assert_eq!(lines.len(), 2 + 4, "title, header and two pairs of each variant: {lines:?}");
    let names: Vec<_> = found.variants.iter().map(|one| &one.variant[..]).collect();
    assert_eq!(names, ["reference", "norm"]);
    for one in &found.variants {
        for loss in [&one.train_nats, &one.valid_nats] {
            assert!(loss.as_ref().unwrap().difference.abs() < 1e-4, "{one:?}");
        }
    }
}

#[test]
fn options_that_do_not_fit_are_refused_before_anything_is_trained() {
    for (line, named) in [
        ("--threads 4000000000", "--threads 4000000000: this machine has"),
        ("--preset micro", "unknown preset \"micro\""),
        ("--set model.layer=2", "unknown hyperparameter \"model.layer\""),
        ("--set model.layers=many", "model.layers"),
        ("--growth --figure growth.jpeg", "ends neither in .svg nor in .png"),
        ("--largest 0", "--largest 0: give a number of GiB above 0"),
        ("--baseline missing.json", "missing.json: the file cannot be read"),
    ] {
        let refused = args(line).run().unwrap_err().to_string();
        assert!(refused.contains(named), "{line}: {named} is not named in: {refused}");
    }
}

#[test]
fn a_training_that_pauses_is_stopped_with_its_reason() {
    let (_folder, file) = text();
    let args = args(&format!("{SMALL} --text {file} --steps 6 --rounds 1 --set breakpoints=[2]"));
    let refused = args.measure(args.settings().unwrap(), 1 << 20, &mut |_| Ok(())).unwrap_err();
    assert!(matches!(refused, BenchError::Stopped { round: 1, .. }), "{refused}");
    assert!(refused.to_string().contains(wire::control::reason::BREAKPOINT), "{refused}");
}

#[test]
fn the_growth_has_an_exponent_for_each_size_and_is_drawn() {
    let (_folder, file) = text();
    let args = args(&format!("{SMALL} --text {file} --growth --doublings 2 --rounds 1"));
    let growth = args.measure_growth(args.settings().unwrap()).unwrap();
    assert_eq!(growth.series.len(), 5);
    let shown = growth.table();
    for words in ["growth of tiny, batch.size = 4", "width", "context length", "vocabulary", "exponent of", "±"] {
        assert!(shown.contains(words), "{words:?} is not in: {shown}");
    }
    assert!(!shown.contains("not measured"), "{shown}");
    let drawn = String::from_utf8(growth_chart::draw(&growth, Format::Svg).unwrap()).unwrap();
    for words in ["batch size", "layers", "times that of the plan"] {
        assert!(drawn.contains(words), "{words:?} is not in the figure");
    }
}

#[test]
fn the_largest_models_of_a_memory_are_listed() {
    let (room, found) = largest::find(Some(24.0)).unwrap();
    let shown = largest::table(room, &found);
    assert!(shown.starts_with("largest models that train on the CPU in 25.8 GB"), "{shown}");
    assert_eq!(shown.lines().count(), 2 + found.len(), "{shown}");
    assert!(shown.contains("GPT-2") && shown.contains("recomputed") && !shown.contains("none fits"), "{shown}");
}
