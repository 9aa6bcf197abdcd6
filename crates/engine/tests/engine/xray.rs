//! Inspections: they agree with independent computations, give errors for invalid requests, and do not change a run.

mod diagnosis;
mod lab;

use engine::inspect;
use engine::model::sample::TokenContext;
use lab::{Lab, Model, Recorder};
use wire::control::command::Command;
use wire::control::intervention::{Component, Intervention};
use wire::inspect::request::{self, Inspection, InspectionText};
use wire::inspect::result::{HeatMap, InspectionResult};
use wire::inspect::update::InspectionUpdate;
use wire::series::name;

const SHAPES: [&str; 4] = [
    "",
    r#","model.mlp":"swiglu","model.norm":"rms","model.positions":"rotary","model.heads":4,"model.kv_heads":2,"model.tied_head":false"#,
    r#","model.bias":true,"model.logit_softcap":20,"model.layers":3"#,
    r#","model.qk_norm":true,"model.positions":"rotary","model.heads":1,"model.kv_heads":1"#,
];

struct Effect {
    before: Vec<f32>,
    after: Vec<f32>,
    valid: (f32, f32),
    completions: (String, String),
}

fn intervene(model: &Model, edits: &[(Component, f32)]) -> Effect {
    let interventions =
        edits.iter().map(|(component, factor)| Intervention { component: *component, factor: *factor }).collect();
    match model
        .inspect(&Inspection::Interventions {
            text: InspectionText::Prompt("the cat sat on the".into()),
            interventions,
        })
        .unwrap()
    {
        InspectionResult::Interventions {
            before,
            after,
            valid_before,
            valid_after,
            completion_before,
            completion_after,
            ..
        } => Effect {
            before,
            after,
            valid: (valid_before, valid_after),
            completions: (completion_before, completion_after),
        },
        other => panic!("{other:?}"),
    }
}

/// Every position except the last has a loss.
fn are_near(a: &[f32], b: &[f32]) -> bool {
    let known = a.len() - 1;
    a.len() == b.len() && a[..known].iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(1.0))
}

#[test]
fn interventions_with_factor_one_change_nothing() {
    let lab = Lab::new("still");
    for shape in SHAPES {
        let model = lab.model(shape);
        let effect = intervene(
            &model,
            &[
                (Component::Head { layer: 0, head: 0 }, 1.0),
                (Component::Neuron { layer: 1, neuron: 3 }, 1.0),
                (Component::Mlp { layer: 0 }, 1.0),
                (Component::Attention { layer: 1 }, 2.0),
                (Component::Attention { layer: 1 }, 0.5),
                (Component::Position { at: 4 }, 1.0),
            ],
        );
        assert_eq!(effect.before[..17], effect.after[..17], "{shape}");
        assert!(
            effect.before[17].is_nan()
                && effect.valid.0 == effect.valid.1
                && effect.completions.0 == effect.completions.1
        );
        assert!(!effect.completions.0.is_empty());
    }
}

#[test]
fn ablating_all_heads_or_neurons_equals_ablating_the_component() {
    let lab = Lab::new("ablation");
    let check = |shape: &str, parts: Vec<Component>, whole: Component| {
        let model = lab.model(shape);
        let parts: Vec<(Component, f32)> = parts.into_iter().map(|part| (part, 0.0)).collect();
        let (a, b) = (intervene(&model, &parts), intervene(&model, &[(whole, 0.0)]));
        assert!(are_near(&a.after, &b.after) && !are_near(&a.before, &a.after), "{shape}: {:?} {:?}", a.after, b.after);
        assert!((a.valid.1 - b.valid.1).abs() < 1e-5 && a.completions.1 == b.completions.1);
    };
    for shape in [SHAPES[0], SHAPES[1], SHAPES[3]] {
        let heads = lab.plan(shape).recipe.model.heads as u32;
        let heads = (0..heads).map(|head| Component::Head { layer: 1, head }).collect();
        check(shape, heads, Component::Attention { layer: 1 });
        check(
            shape,
            (0..32).map(|neuron| Component::Neuron { layer: 0, neuron }).collect(),
            Component::Mlp { layer: 0 },
        );
    }
}

#[test]
fn a_weight_edit_equals_the_intervention() {
    let lab = Lab::new("lasting");
    for shape in SHAPES {
        let mut model = lab.model(shape).biased();
        let edits = [
            (Component::Head { layer: 1, head: 0 }, 0.0),
            (Component::Neuron { layer: 0, neuron: 5 }, -3.0),
            (Component::Attention { layer: 0 }, 0.5),
            (Component::Mlp { layer: 1 }, 1.5),
            (Component::Neuron { layer: 1, neuron: 31 }, 2.0),
        ];
        let intervened = intervene(&model, &edits);
        model.edit_weights(&edits.map(|(component, factor)| Intervention { component, factor }));
        let edited = intervene(&model, &[(Component::Mlp { layer: 0 }, 1.0)]);
        assert!(
            are_near(&edited.before, &intervened.after) && !are_near(&intervened.before, &intervened.after),
            "{shape}"
        );
        assert!(
            (edited.valid.0 - intervened.valid.1).abs() < 1e-5 && edited.completions.0 == intervened.completions.1,
            "{shape}"
        );
    }
}

#[test]
fn an_ablated_token_changes_nothing_before_it() {
    let lab = Lab::new("causal");
    for shape in SHAPES {
        let effect = intervene(&lab.model(shape), &[(Component::Position { at: 7 }, 0.0)]);
        assert_eq!(effect.before[..7], effect.after[..7], "{shape}");
        assert!(effect.before[7..17] != effect.after[7..17], "{shape}");
    }
}

#[test]
fn the_last_depth_of_the_logit_lens_is_the_prediction_of_the_model() {
    let lab = Lab::new("lens");
    for shape in SHAPES {
        let model = lab.model(shape);
        let text = "the dog sat on";
        let InspectionResult::LogitLens { tokens, losses, depths, cells, words } =
            model.result(&format!(r#"{{"logit_lens":{{"text":{{"prompt":"{text}"}}}}}}"#))
        else {
            panic!()
        };
        let layers = model.plan.recipe.model.layers;
        assert_eq!((tokens.len(), depths.len(), cells.len()), (14, layers + 1, layers + 1));
        assert_eq!((depths[0].as_str(), depths[layers].as_str()), ("embedding", &*format!("block.{}", layers - 1)));
        let ids = model.encode(text);
        let weights = model.weights();
        for position in 0..ids.len() {
            let device = burn::tensor::Device::flex();
            let logits = TokenContext::new(&model.plan.recipe.model, &weights, &ids[..=position], None, &device)
                .without_cache()
                .next_logits()
                .unwrap();
            let odds: Vec<f64> = logits.iter().map(|logit| f64::from(*logit).exp()).collect();
            let all: f64 = odds.iter().sum();
            let cell = &cells[layers][position];
            for (token, probability) in &cell.top {
                assert!((f64::from(*probability) - odds[*token as usize] / all).abs() < 1e-5, "{shape} at {position}");
                assert!(words.iter().any(|(named, _)| named == token));
            }
            match ids.get(position + 1) {
                Some(next) => {
                    let p = odds[*next as usize] / all;
                    assert!(
                        (f64::from(cell.actual) - p).abs() < 1e-5
                            && (f64::from(losses[position]) + p.ln()).abs() < 1e-4
                    );
                    let rank = odds.iter().filter(|other| **other > odds[*next as usize]).count() as u32 + 1;
                    assert_eq!(cell.rank, rank);
                }
                None => assert!(cell.actual.is_nan() && cell.rank == 0 && losses[position].is_nan()),
            }
        }
        for cell in cells.iter().flatten() {
            let sum: f32 = cell.top.iter().map(|(_, probability)| probability).sum();
            assert!(
                cell.top.len() == 3 && sum <= 1.0 + 1e-6 && cell.top.iter().all(|(_, probability)| *probability >= 0.0)
            );
        }
    }
}

#[test]
fn attention_patterns_sum_to_one_and_are_causal() {
    let lab = Lab::new("heads");
    for shape in SHAPES {
        let model = lab.model(shape);
        let InspectionResult::Attention { tokens, patterns, heads } = model.result(r#"{"attention":{"layer":1}}"#)
        else {
            panic!()
        };
        assert_eq!((tokens.len(), patterns.len(), heads.len()), (24, model.plan.recipe.model.heads, patterns.len()));
        for (pattern, stats) in patterns.iter().zip(&heads) {
            let probability = |query: usize, key: usize| pattern.value(query, key).unwrap();
            for query in 0..24 {
                let sum: f32 = (0..24).map(|key| probability(query, key)).sum();
                assert!((sum - 1.0).abs() < 24.0 / 508.0, "{sum}");
                assert!((query + 1..24).all(|key| probability(query, key) == 0.0));
            }
            let mean = |of: &dyn Fn(usize) -> f32| (1..24).map(of).sum::<f32>() / 23.0;
            let distance = mean(&|query| (0..=query).map(|key| probability(query, key) * (query - key) as f32).sum());
            assert!((stats.distance - distance).abs() < 0.6, "{} {distance}", stats.distance);
            assert!((stats.previous - mean(&|query| probability(query, query - 1))).abs() < 0.003);
            assert!((0.0..=1.0).contains(&stats.entropy) && (0.0..=1.0).contains(&stats.induction));
            assert!(stats.top_logit.is_finite());
        }
        let InspectionResult::Overview { components, loss, .. } = model.result(r#"{"overview":{}}"#) else { panic!() };
        let attention = components.iter().find(|component| component.name == "block.1.attention").unwrap();
        assert_eq!(attention.heads, heads, "the overview has the same heads");
        assert_eq!(components.len(), 2 * model.plan.recipe.model.layers + 3);
        assert!(loss > 0.0 && components.iter().all(|component| component.rms > 0.0 && component.non_finite == 0));
    }
    let model = lab.model("");
    let InspectionResult::Attention { heads, patterns, .. } =
        model.result(r#"{"attention":{"layer":0,"text":{"prompt":"t"}}}"#)
    else {
        panic!()
    };
    assert!(heads[0].induction.is_nan() && heads[0].distance == 0.0 && patterns[0].value(0, 0) == Some(1.0));
}

#[test]
fn every_inspection_is_answered_for_every_shape() {
    let lab = Lab::new("all");
    for shape in SHAPES {
        let mut model = lab.model(shape);
        for inspection in [
            r#"{"neurons":{"layer":0}}"#,
            r#"{"neuron":{"layer":1,"neuron":31}}"#,
            r#"{"weights":{}}"#,
            r#"{"weights":{"values":"gradient"}}"#,
            r#"{"matrix":{"tensor":"block.1.mlp.down","values":"gradient"}}"#,
            r#"{"embedding":{}}"#,
            r#"{"batch":{"step":3}}"#,
        ] {
            let result = model.result(inspection);
            assert!(!serde_json::to_string(&result).unwrap().contains("null"), "{inspection}, {shape}: {result:?}");
        }
        assert!(model.refusal(r#"{"weights":{"values":"update"}}"#).contains("first"), "no step was taken");
        model.state.steps = 3;
        let InspectionResult::Weights { matrices } = model.result(r#"{"weights":{"values":"update"}}"#) else {
            panic!()
        };
        assert!(matrices.iter().all(|matrix| matrix.moments.max == 0.0 && matrix.stable_rank.is_nan()));
    }
}

#[test]
fn matrix_results_have_the_values_of_the_weights() {
    let lab = Lab::new("matrices");
    let model = lab.model("");
    let InspectionResult::Weights { matrices } = model.result(r#"{"weights":{}}"#) else { panic!() };
    assert_eq!(matrices.len(), 2 + 2 * 6);
    for matrix in &matrices {
        let rank = matrix.shape[0].min(matrix.shape[1]) as f32;
        assert!((1.0 - 1e-4..=rank).contains(&matrix.stable_rank), "{}: {}", matrix.tensor, matrix.stable_rank);
    }
    let index = 3; // after the two embeddings and a gain
    let weights = engine::device::read(model.state.weights[index].clone()).unwrap();
    let whole = r#"{"matrix":{"tensor":"block.0.attention.query"}}"#;
    let InspectionResult::Matrix { shape, mean, min, max, moments, histogram, .. } = model.result(whole) else {
        panic!()
    };
    assert_eq!((shape, mean.clone(), min, max), ([16, 16], HeatMap::of(16, 16, &weights), mean.clone(), mean));
    assert_eq!(moments.count, 256);
    assert_eq!(histogram.negative.iter().chain(&histogram.positive).sum::<u64>() + histogram.zeros, 256);
    let part = r#"{"matrix":{"tensor":"block.0.attention.query","window":{"row":14,"column":3,"rows":9,"columns":2}}}"#;
    let InspectionResult::Matrix { window, mean, .. } = model.result(part) else { panic!() };
    assert_eq!((window.rows, window.columns), (2, 2), "clipped to the matrix");
    let values: Vec<f32> = [14, 15].iter().flat_map(|row| [weights[row * 16 + 3], weights[row * 16 + 4]]).collect();
    assert_eq!(mean, HeatMap::of(2, 2, &values));
    let InspectionResult::Matrix { shape, .. } = model.result(r#"{"matrix":{"tensor":"norm"}}"#) else { panic!() };
    assert_eq!(shape, [1, 16]);
}

#[test]
fn an_unknown_component_gives_an_error_with_its_name() {
    let lab = Lab::new("refused");
    let model = lab.model("");
    let check = |inspection: &str, words: &[&str]| {
        let message = model.refusal(inspection);
        assert!(words.iter().all(|word| message.contains(word)), "{inspection}: {message}");
    };
    check(r#"{"attention":{"layer":2}}"#, &["block 2", "0 to 1"]);
    check(r#"{"neurons":{"layer":9}}"#, &["block 9"]);
    check(r#"{"neuron":{"layer":0,"neuron":32}}"#, &["neuron 32", "32", "0 to 31"]);
    check(r#"{"matrix":{"tensor":"block.7.mlp.up"}}"#, &["block.7.mlp.up", "block.0.attention.query"]);
    check(
        r#"{"matrix":{"tensor":"norm","window":{"row":1,"column":0,"rows":1,"columns":1}}}"#,
        &["norm", "1 × 16", "row 1"],
    );
    check(
        r#"{"overview":{"text":{"prompt":"the cat sat on the mat and so on"}}}"#,
        &["32 tokens", "24", "shorten it by 8"],
    );
    check(r#"{"logit_lens":{"text":{"prompt":"the Ω"}}}"#, &["Ω", "remove"]);
    check(r#"{"logit_lens":{"text":{"prompt":""}}}"#, &["empty"]);
    check(r#"{"overview":{"text":{"validation":100000}}}"#, &["100\u{202f}000", "24 tokens"]);
    check(r#"{"batch":{"step":40}}"#, &["step 40", "0 to 39"]);
    let intervention = |component: &str| {
        format!(
            r#"{{"interventions":{{"text":{{"prompt":"the"}},"interventions":[{{"component":{component},"factor":0}}]}}}}"#
        )
    };
    check(&intervention(r#"{"head":{"layer":0,"head":2}}"#), &["head 2", "0 to 1"]);
    check(&intervention(r#"{"neuron":{"layer":5,"neuron":0}}"#), &["block 5"]);
    check(&intervention(r#"{"position":{"at":3}}"#), &["position 3", "3 tokens"]);
}

/// A run of 40 steps with these inspections requested.
fn run_with(lab: &Lab, run: &str, requests: Option<Vec<Inspection>>) -> Recorder {
    let plan = lab.plan(r#","intervals.checkpoint_every":10"#);
    let mut recorder = Recorder { requests, ..Recorder::default() };
    lab.train(run, &plan, &mut recorder);
    recorder
}

#[test]
fn inspections_do_not_change_a_run() {
    let lab = Lab::new("inspected");
    let alone = run_with(&lab, "alone", None);
    let mut all = request::snapshot_inspections(2);
    all.extend([
        Inspection::Batch { step: 2 },
        Inspection::Neuron { layer: 0, neuron: 1 },
        Inspection::Weights { values: request::TensorValues::Gradient },
    ]);
    let interventions = vec![Intervention { component: Component::Mlp { layer: 0 }, factor: 0.0 }];
    all.extend([
        Inspection::Interventions { text: InspectionText::Validation(1), interventions },
        Inspection::Attention { text: InspectionText::Validation(0), layer: 7 },
    ]);
    let inspected = run_with(&lab, "inspected", Some(all));
    assert_eq!(alone.losses(), inspected.losses());
    assert_eq!(alone.series(name::VALID), inspected.series(name::VALID));
    assert!(alone.results.is_empty() && !inspected.results.is_empty());

    let snapshots = |recorder: &Recorder| -> Vec<(u64, String, InspectionResult)> {
        let of = |update: &InspectionUpdate| match update {
            InspectionUpdate::Result { step, inspection, result, .. } => (*step, inspection.key(), result.clone()),
            other => panic!("{other:?}"),
        };
        recorder.snapshots.iter().map(of).collect()
    };
    let (a, b) = (snapshots(&alone), snapshots(&inspected));
    // NaN is not equal to itself, so the encoded messages are compared.
    let encoded = |snapshots: &[(u64, String, InspectionResult)]| postcard::to_allocvec(snapshots).unwrap();
    assert_eq!(encoded(&a), encoded(&b), "snapshots do not depend on requests");
    let steps: Vec<u64> = a.iter().filter(|(_, key, _)| key.contains("overview")).map(|(step, ..)| *step).collect();
    let mut expected: Vec<u64> = (0..=40).filter(|step| request::is_snapshot_step(*step)).collect();
    assert_eq!(steps, expected, "the first and the last state among them");
    expected.dedup();
    assert_eq!(
        a.len(),
        steps.len() * request::snapshot_inspections(2).len() - 1,
        "before the first step there are no statistics"
    );
    let measured = a.iter().find(|(at, key, _)| *at == 20 && key.contains("parameter_stats"));
    let Some((.., InspectionResult::ParameterStats { step: 10, tensors })) = measured else { panic!("{measured:?}") };
    let rms = |recorder: &Recorder| recorder.series(&format!("{}{}", name::GRADIENT_RMS, tensors[3].name))[1];
    assert_eq!(tensors[3].gradient.rms.to_bits(), rms(&alone), "the value of the series");

    let (step, result) = inspect::inspect_checkpoint(
        &lab.checkpoint("alone", "0-20"),
        &lab.corpora(),
        &Inspection::Overview { text: InspectionText::default() },
        None,
    )
    .unwrap();
    let then = a.iter().find(|(at, key, _)| *at == 20 && key.contains("overview")).unwrap();
    assert_eq!((step, &result), (20, &then.2), "a checkpoint gives the same result");
}

#[test]
fn the_batch_inspection_has_the_batch_of_the_step() {
    let lab = Lab::new("batch");
    let recorder = run_with(&lab, "run", None);
    let value = |series: &str, step: usize| f64::from_bits(recorder.series(series)[step]);
    for step in [10, 30] {
        let dir = lab.checkpoint("run", &format!("0-{step}"));
        let inspection = Inspection::Batch { step };
        let (_, result) = inspect::inspect_checkpoint(&dir, &lab.corpora(), &inspection, None).unwrap();
        let InspectionResult::Batch { rows, total, gradients } = result else { panic!() };
        assert_eq!((rows.len(), total), (6, 6));
        assert!(rows.windows(2).all(|pair| pair[0].mean >= pair[1].mean), "highest loss first");
        assert!(rows.iter().all(|row| row.corpus == "rhyme" && row.losses.len() == 24));
        let loss = rows.iter().map(|row| f64::from(row.mean)).sum::<f64>() / 6.0;
        let norm = gradients.iter().map(|(_, norm)| f64::from(*norm).powi(2)).sum::<f64>().sqrt();
        let (was, norm_was) = (value(name::TRAIN, step as usize), value(name::GRAD_NORM, step as usize));
        assert!(
            (loss - was).abs() < 1e-5 * was && (norm - norm_was).abs() < 1e-5 * norm_was,
            "{loss} {was} {norm} {norm_was}"
        );
    }
}

#[test]
fn a_paused_run_inspects_each_state_once_and_reports_a_failure_once() {
    let lab = Lab::new("paused");
    let overview = Inspection::Overview { text: InspectionText::default() };
    let missing = Inspection::Attention { text: InspectionText::default(), layer: 5 };
    let pause = || Command::Pause { reason: None };
    let mut recorder = Recorder {
        script: vec![(10, vec![overview.clone(), missing], vec![pause()])],
        after_results: Some((2, Command::Step { steps: 2 })),
        ..Recorder::default()
    };
    // The overview of the second state is the third result: then the run ends.
    recorder.script.push((12, vec![overview], vec![Command::Stop { reason: None }]));
    lab.train("run", &lab.plan(""), &mut recorder);
    let reported: Vec<(u64, bool)> = recorder
        .results
        .iter()
        .map(|update| (update.step(), matches!(update, InspectionUpdate::Result { .. })))
        .collect();
    assert_eq!(reported[..2], [(10, true), (10, false)], "{reported:?}");
    let InspectionUpdate::Failed { message, .. } = &recorder.results[1] else { panic!() };
    assert!(message.contains("block 5"), "{message}");
    assert!(
        reported[2..].iter().all(|(step, is_result)| *step > 10 && *is_result),
        "a failure is reported once: {reported:?}"
    );
}
