//! Inspections as images: they fit every size, and labels appear only where there is room.

#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails the test")]

use figure::inspection::{Heading, LogitLens, attention, logit_lens, weights};
use figure::scene::{Anchor, Text};
use figure::{Scene, Shape, Size, Theme};
use testing::Random;
use wire::inspect::result::{HeatMap, Histogram, LogitLensCell, MatrixSummary};
use wire::inspect::statistics::Moments;

fn heading() -> Heading {
    Heading { title: "amber-fox: attention, block 1, head 2".into(), note: "step 64, validation window 0".into() }
}

fn tokens(count: usize) -> Vec<String> {
    (0..count).map(|at| ["the", " cat", "\n", "", "<&>"][at % 5].to_owned()).collect()
}

fn pattern(count: usize, random: &mut Random) -> HeatMap {
    let values: Vec<f32> = (0..count * count).map(|_| random.below(1000) as f32 / 1000.0).collect();
    HeatMap::within(count, count, &values, 0.0, 1.0)
}

fn texts(scene: &Scene) -> Vec<Text> {
    let mut found = vec![];
    scene.walk(&mut |shape| {
        if let Shape::Text(text) = shape {
            found.push(text.clone());
        }
    });
    found
}

/// Every shape is inside the image, to the pixel that fonts may differ by.
fn check_inside(scene: &Scene) {
    let Size { width, height } = scene.size;
    scene.walk(&mut |shape| match shape {
        Shape::Rect { rect, .. } | Shape::Cells { rect, .. } => {
            assert!(rect.x >= -0.5 && rect.y >= -0.5 && rect.right() <= width + 0.5, "{rect:?} in {width} × {height}");
        }
        Shape::Text(text) => {
            let right = match text.anchor {
                Anchor::Start => text.at.x + text.width(),
                Anchor::Middle => text.at.x + text.width() / 2.0,
                Anchor::End => text.at.x,
            };
            assert!(right <= width + 8.0, "{:?} ends at {right} of {width}", text.text);
        }
        _ => {}
    });
}

#[test]
fn attention_is_labelled_by_tokens_or_by_positions() {
    let mut random = Random::new(testing::seed(5));
    for (count, size, has_tokens) in [
        (12, Size::new(640.0, 480.0), true),
        (128, Size::new(640.0, 480.0), false),
        (128, Size::new(200.0, 120.0), false),
    ] {
        let tokens = tokens(count);
        let scene = attention(&heading(), &tokens, &pattern(count, &mut random), size);
        check_inside(&scene);
        assert_eq!(texts(&scene).iter().any(|text| text.text == "·cat"), has_tokens, "{count} tokens, {size:?}");
        assert!(scene.summary.starts_with(&format!("Attention over {count} tokens")), "{}", scene.summary);
        assert!(figure::svg(&scene, Theme::Dark).contains("</svg>"));
    }
    attention(&heading(), &[], &HeatMap::default(), Size::new(0.0, 0.0));
}

#[test]
fn the_logit_lens_names_predictions_where_cells_have_room() {
    let tokens = tokens(8);
    let depths: Vec<String> = ["embedding", "block.0", "block.1"].map(String::from).into();
    let cell = |rank| LogitLensCell { top: vec![(7, 0.5)], actual: 0.4, rank };
    let cells = vec![vec![cell(3); 8], vec![cell(2); 8], vec![cell(1); 8]];
    let words = [(7, " dog".to_owned())];
    let lens = LogitLens { tokens: &tokens, depths: &depths, cells: &cells, words: &words };
    let large = logit_lens(&heading(), lens, Size::new(800.0, 400.0));
    check_inside(&large);
    assert_eq!(texts(&large).iter().filter(|text| text.text == "·dog").count(), 24);
    assert!(large.summary.ends_with("most likely one at 8 positions."), "{}", large.summary);
    let small = logit_lens(&heading(), lens, Size::new(300.0, 200.0));
    check_inside(&small);
    assert!(!texts(&small).iter().any(|text| text.text == "·dog"));
    // A damaged result is drawn as far as it goes.
    logit_lens(&heading(), LogitLens { cells: &[], ..lens }, Size::new(300.0, 200.0));
}

#[test]
fn a_matrix_keeps_its_proportions() {
    let mean = HeatMap::of(2, 8, &[0.5; 16]);
    let bins = || vec![1; Histogram::BINS];
    let matrix = MatrixSummary {
        tensor: "block.0.mlp.up".into(),
        shape: [64, 256],
        mean,
        moments: Moments::default(),
        histogram: Histogram { negative: bins(), zeros: 0, positive: bins(), non_finite: 0 },
        stable_rank: 1.0,
    };
    for size in [Size::new(960.0, 480.0), Size::new(300.0, 500.0)] {
        let scene = weights(&heading(), &matrix, size, true);
        check_inside(&scene);
        let mut ratio = None;
        scene.walk(&mut |shape| match shape {
            Shape::Cells { rect, rows: 2, .. } => ratio = Some(rect.width / rect.height),
            _ => {}
        });
        assert!((ratio.unwrap() - 4.0).abs() < 1e-6);
        assert!(scene.summary.contains("64 × 256 values"), "{}", scene.summary);
    }
}
