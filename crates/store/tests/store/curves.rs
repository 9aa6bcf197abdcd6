//! Series: every window equals that computed from all points in memory, for any values and any batches.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use store::{SeriesQuery, Store};
use testing::Random;
use wire::series::{Axis, Bucket, SeriesWindow, name};
use wire::{RunId, RunState};

use crate::setup::{new_run, row, store_with_run};

/// A point in memory.
#[derive(Clone, Copy)]
struct Known {
    step: u64,
    value: f64,
    secs: f64,
}

fn query(axis: Axis, from: Option<f64>, to: Option<f64>, points: usize) -> SeriesQuery {
    SeriesQuery { names: vec![name::TRAIN.to_owned()], axis, from, to, points }
}

/// Compares a window with the points in memory.
async fn check(store: &Store, run: &RunId, known: &[Known], query: SeriesQuery) {
    let plan = new_run("x", "cpu").plan;
    let per_step = plan.tokens_per_step() as f64;
    let x = |point: &Known| match query.axis {
        Axis::Step => point.step as f64,
        Axis::Secs => point.secs,
        Axis::Tokens => (point.step + 1) as f64 * per_step,
        Axis::Flops => (point.step + 1) as f64 * per_step * plan.recipe.model.flops_per_token(),
    };
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()));
    let inside: Vec<Known> = known
        .iter()
        .copied()
        .filter(|point| query.from.is_none_or(|from| x(point) >= from) && query.to.is_none_or(|to| x(point) <= to))
        .collect();
    let windows = store.series(run, query.clone()).await.unwrap();
    let SeriesWindow { buckets, total, is_exact, .. } = &windows[0];
    let context = format!("{query:?} over {} points", known.len());
    assert_eq!(*total, inside.len() as u64, "{context}");
    assert_eq!(*is_exact, inside.len() <= query.points, "{context}");
    assert!(
        buckets.len() <= query.points && (!is_exact || buckets.len() == inside.len()),
        "{} buckets: {context}",
        buckets.len()
    );
    let mut rest = inside.as_slice();
    for Bucket { step, last_step, x: first_x, last_x, min, max, mean, count } in buckets {
        let (part, after) = rest.split_at(rest.partition_point(|point| point.step <= *last_step));
        let (first, last) = (part.first().expect("no bucket is empty"), &part[part.len() - 1]);
        assert_eq!((*step, *last_step), (first.step, last.step), "{context}");
        assert!(near(*first_x, x(first)) && near(*last_x, x(last)), "{first_x} {last_x}: {context}");
        let finite: Vec<f64> = part.iter().map(|point| point.value).filter(|value| value.is_finite()).collect();
        assert_eq!(*count, finite.len() as u64, "{context}");
        if !finite.is_empty() {
            assert_eq!(
                (*min, *max),
                (finite.iter().copied().fold(f64::MAX, f64::min), finite.iter().copied().fold(f64::MIN, f64::max)),
                "{context}"
            );
            assert!(near(*mean, finite.iter().map(|value| value / finite.len() as f64).sum()), "{context}");
        }
        assert!([min, max, mean].iter().all(|value| value.is_finite()), "JSON cannot encode it: {context}");
        rest = after;
    }
    assert!(rest.is_empty(), "points after the last bucket: {context}");
}

async fn check_everywhere(store: &Store, run: &RunId, known: &[Known], random: &mut Random, windows: usize) {
    let last = known.last().copied().unwrap_or(Known { step: 1, value: 0.0, secs: 1.0 });
    let plan = new_run("x", "cpu").plan;
    for _ in 0..windows {
        let (axis, end) = match random.below(4) {
            0 => (Axis::Tokens, (last.step + 1) as f64 * plan.tokens_per_step() as f64),
            1 => (
                Axis::Flops,
                (last.step + 1) as f64 * plan.tokens_per_step() as f64 * plan.recipe.model.flops_per_token(),
            ),
            2 => (Axis::Secs, last.secs),
            _ => (Axis::Step, last.step as f64),
        };
        let mut edge = || (random.below(4) > 0).then(|| (random.uniform() * 1.2 - 0.1) * end);
        let (from, to) = (edge(), edge());
        let points = [1, 2, 3, 7, 50, 333, 1000, 5000][random.below(8) as usize];
        check(store, run, known, query(axis, from, to, points)).await;
    }
}

#[tokio::test]
async fn every_window_equals_one_computed_from_all_points() {
    for seed in testing::seeds(0..12) {
        let mut random = Random::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let (mut store, run) = store_with_run(dir.path()).await;
        let (mut known, mut seq, mut step, mut secs) = (vec![], 1, random.below(3) * 1000, 0.0);
        // The points of a run that trains are in memory until a series has some dozens of them.
        if random.below(2) == 0 {
            store.set_state(&run, RunState::Running, None).await.unwrap();
        }
        let widest_gap = 1 + random.below(4) * random.below(50);
        for _ in 0..12 {
            let mut items = vec![];
            let most = [3, 40, 3000][random.below(3) as usize];
            for _ in 0..random.below(most) {
                let value = match random.below(200) {
                    0 => f64::NAN,
                    1 => f64::INFINITY,
                    2 => 1e6,
                    _ => random.uniform() - 0.5,
                };
                known.push(Known { step, value, secs });
                items.push(row(step, &[(name::SECS, secs), (name::TRAIN, value)]));
                step += 1 + random.below(widest_gap);
                secs += random.uniform();
            }
            let count = items.len() as u64;
            store.ingest(&run, seq, items).await.unwrap();
            seq += count;
            if random.below(3) == 0 {
                store.close().await;
                store = Store::open(dir.path()).await.unwrap();
            }
            if !known.is_empty() {
                check_everywhere(&store, &run, &known, &mut random, 12).await;
            }
        }
    }
}

#[tokio::test]
async fn torn_and_missing_files_are_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let mut known: Vec<Known> =
        (0..5000).map(|step| Known { step, value: (step % 97) as f64, secs: step as f64 }).collect();
    let items = |points: &[Known]| {
        points
            .iter()
            .map(|point| row(point.step, &[(name::TRAIN, point.value), (name::SECS, point.secs)]))
            .collect::<Vec<_>>()
    };
    store.ingest(&run, 1, items(&known)).await.unwrap();
    store.close().await;

    let file = |level: usize| dir.path().join(format!("series/{run}/0/{}.l{level}", name::TRAIN));
    let add = |path: &Path, bytes: &[u8]| OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
    let size = |level: usize| std::fs::metadata(file(level)).unwrap().len();
    let sizes = [size(0), size(1), size(2), size(3)];
    add(&file(0), &[7; 5]);
    add(&file(1), &[0; 48 * 3 + 11]);
    OpenOptions::new().write(true).open(file(2)).unwrap().set_len(48 * 4 + 1).unwrap();
    std::fs::remove_file(file(3)).unwrap();

    let store = Store::open(dir.path()).await.unwrap();
    check_everywhere(&store, &run, &known, &mut Random::new(testing::seed(1)), 40).await;
    assert_eq!([size(0), size(1), size(2), size(3)], sizes);
    store.close().await;

    // A power cut may leave zeros, and buckets of points that were lost.
    add(&file(0), &[0; 16 * 40]);
    let store = Store::open(dir.path()).await.unwrap();
    check_everywhere(&store, &run, &known, &mut Random::new(testing::seed(2)), 20).await;
    let more: Vec<Known> = (5000..9000).map(|step| Known { step, value: -(step as f64), secs: step as f64 }).collect();
    store.ingest(&run, 5001, items(&more)).await.unwrap();
    known.extend(more);
    check_everywhere(&store, &run, &known, &mut Random::new(testing::seed(3)), 40).await;
}

#[tokio::test]
async fn segments_are_separate_and_any_name_is_possible() {
    let dir = tempfile::tempdir().unwrap();
    let (store, run) = store_with_run(dir.path()).await;
    let odd = "gradient_rms/block.0/../../É.l0";
    let item = |segment, step| {
        wire::transport::link::Item::Row(wire::series::Row {
            segment,
            step,
            values: vec![(odd.to_owned(), step as f64)],
        })
    };
    store.ingest(&run, 1, vec![item(0, 0), item(0, 1), item(1, 1), item(1, 2), item(0, 2)]).await.unwrap();
    assert_eq!(store.series_names(&run).await.unwrap(), [odd]);
    let ask = SeriesQuery { names: vec!["none".into(), odd.into()], axis: Axis::Secs, from: None, to: None, points: 0 };
    let windows = store.series(&run, ask).await.unwrap();
    let seen: Vec<_> = windows.iter().map(|window| (window.segment, window.total, window.buckets.len())).collect();
    assert_eq!(seen, [(0, 3, 1), (1, 2, 1)]);
}
