//! The metrics for diagnosis: they agree with a direct computation from the activations of a forward pass, and become series of a run.

use std::cell::RefCell;
use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use engine::model::decoder::Decoder;
use engine::model::gradient;
use engine::model::hook::{Hook, HookPoint};
use wire::inspect::request::is_snapshot_step;
use wire::inspect::result::{HeadStats, InspectionResult};
use wire::series::{Row, name};

use super::SHAPES;
use super::lab::{Lab, Model, Recorder};

/// Copies scores, patterns and MLP outputs to the host, block by block.
#[derive(Default)]
struct Activations {
    scores: RefCell<Vec<Vec<f32>>>,
    patterns: RefCell<Vec<Vec<f32>>>,
    outputs: RefCell<Vec<Vec<f32>>>,
}

impl Hook for Activations {
    fn activation(&self, point: HookPoint, x: Tensor<3>) -> Tensor<3> {
        if let HookPoint::MlpPost(_) = point {
            self.outputs.borrow_mut().push(x.clone().into_data().try_to_vec().unwrap());
        }
        x
    }

    fn attention(&self, point: HookPoint, x: &Tensor<4>) {
        let values = x.clone().into_data().try_to_vec().unwrap();
        match point {
            HookPoint::AttnScores(_) => self.scores.borrow_mut().push(values),
            _ => self.patterns.borrow_mut().push(values),
        }
    }
}

/// The metrics from their definitions, in 64 bits.
fn direct(model: &Model) -> BTreeMap<String, f64> {
    let (plan, window, activations) = (&model.plan.recipe.model, model.window(), Activations::default());
    let weights = model.weights();
    let tokens = gradient::tokens(&window.inputs, 1, window.seq, &Device::flex());
    Decoder::hooked(plan, &weights, &activations).residual(tokens, None);
    let (seq, mut metrics) = (window.seq, BTreeMap::new());
    for block in 0..plan.layers {
        let (scores, patterns) = (&activations.scores.borrow()[block], &activations.patterns.borrow()[block]);
        let mut largest = 0f64;
        for head in 0..plan.heads {
            let mut entropy = 0.0;
            for query in 0..seq {
                let row = (head * seq + query) * seq;
                for key in 0..=query {
                    largest = largest.max(f64::from(scores[row + key]).abs());
                    let p = f64::from(patterns[row + key]);
                    entropy -= if query > 0 && p > 0.0 { p * p.ln() } else { 0.0 };
                }
            }
            metrics.insert(format!("{}{block}.{head}", name::ATTENTION_ENTROPY), entropy / (seq - 1) as f64);
        }
        metrics.insert(format!("{}{block}", name::ATTENTION_LOGIT), largest);
        let outputs = &activations.outputs.borrow()[block];
        let rms = (outputs.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / outputs.len() as f64).sqrt();
        let is_dead =
            |neuron: &usize| (0..seq).all(|at| f64::from(outputs[at * plan.d_ff + neuron]).abs() <= 0.01 * rms);
        let dead = (0..plan.d_ff).filter(is_dead).count() as f64 / plan.d_ff as f64;
        metrics.insert(format!("{}{block}", name::DEAD_NEURONS), dead);
    }
    metrics
}

#[test]
fn metrics_equal_their_direct_computation_for_every_shape() {
    let lab = Lab::new("diagnosis");
    for shape in SHAPES {
        let model = lab.model(shape).biased();
        let (found, expected) = (model.diagnosis(), direct(&model));
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{shape}");
        for (series, value) in &expected {
            assert!((found[series] - value).abs() <= 1e-5 * value.max(1.0), "{shape} {series}: {value}, {found:?}");
        }
    }
}

#[test]
fn the_overview_and_the_metrics_measure_the_same() {
    let lab = Lab::new("alike");
    for shape in SHAPES {
        let model = lab.model(shape).biased();
        let metrics = model.diagnosis();
        let InspectionResult::Overview { tokens, components, .. } = model.result(r#"{"overview":{}}"#) else {
            panic!()
        };
        let near = |series: String, value: f64| {
            assert!(
                (metrics[&series] - value).abs() <= 1e-5 * value.abs().max(1.0),
                "{shape} {series}: {value}, {metrics:?}"
            );
        };
        for block in 0..model.plan.recipe.model.layers {
            let of = |part: &str| components.iter().find(|one| one.name == format!("block.{block}.{part}")).unwrap();
            let heads = &of("attention").heads;
            for (head, stats) in heads.iter().enumerate() {
                near(format!("{}{block}.{head}", name::ATTENTION_ENTROPY), stats.entropy_nats(tokens.len()));
            }
            let largest = heads.iter().map(|stats| stats.top_logit).fold(0.0, f32::max);
            near(format!("{}{block}", name::ATTENTION_LOGIT), largest.into());
            near(format!("{}{block}", name::DEAD_NEURONS), of("mlp").dead.unwrap().into());
        }
    }
}

#[test]
fn a_uniform_pattern_has_the_entropy_of_its_keys_and_an_empty_layer_is_dead() {
    let lab = Lab::new("extremes");
    let model = lab.model("").without("block.0.attention.query").without("block.1.mlp.up");
    let seq = model.window().seq;
    // A query at position i attends to i + 1 keys equally.
    let uniform = (1..seq).map(|query| (query as f64 + 1.0).ln()).sum::<f64>() / (seq - 1) as f64;
    assert!((HeadStats::uniform_entropy(seq) - uniform).abs() < 1e-12 && HeadStats::uniform_entropy(1) == 0.0);
    let found = model.diagnosis();
    for head in 0..2 {
        let entropy = found[&format!("{}0.{head}", name::ATTENTION_ENTROPY)];
        assert!((entropy - uniform).abs() < 1e-5, "head {head}: {entropy}, {uniform}");
    }
    assert_eq!(found[&format!("{}0", name::ATTENTION_LOGIT)], 0.0);
    assert_eq!(found[&format!("{}1", name::DEAD_NEURONS)], 1.0);
    assert!(found[&format!("{}0", name::DEAD_NEURONS)] < 0.5);
}

/// The rows of a run with a metric for diagnosis, by step.
fn rows_of(lab: &Lab, run: &str, more: &str) -> BTreeMap<u64, Row> {
    let mut recorder = Recorder::default();
    lab.train(run, &lab.plan(more), &mut recorder);
    let is_of_diagnosis = |row: &Row| row.values.iter().any(|(series, _)| series.starts_with(name::ATTENTION_ENTROPY));
    let mut rows = BTreeMap::new();
    for row in recorder.rows.into_iter().filter(is_of_diagnosis) {
        let step = row.step;
        assert!(rows.insert(step, row).is_none(), "step {step} is reported once");
    }
    rows
}

#[test]
fn each_snapshot_and_evaluation_reports_the_metrics_once_with_the_same_bits() {
    let lab = Lab::new("series");
    let kept = rows_of(&lab, "kept", r#","intervals.eval_every":7,"retention.snapshots_mb":50"#);
    let is_due = |done: &u64| done.is_multiple_of(7) || is_snapshot_step(*done) || *done == 40;
    let expected: Vec<u64> = (1..=40).filter(is_due).map(|done| done - 1).collect();
    assert_eq!(kept.keys().copied().collect::<Vec<_>>(), expected, "under the step whose update gave the state");
    let evaluated = rows_of(&lab, "evaluated", r#","intervals.eval_every":7,"retention.snapshots_mb":0"#);
    assert_eq!(evaluated.keys().copied().collect::<Vec<_>>(), [6, 13, 20, 27, 34, 39]);
    for (step, row) in &evaluated {
        assert_eq!(row, &kept[step], "with snapshots and without");
        // Two blocks with two heads: four entropies, two logits, two fractions.
        assert!(row.values.len() == 8 && row.values.iter().all(|(_, value)| value.is_finite()), "{row:?}");
    }
}
