//! Looks inside: what they must agree with, what they must refuse, and that a run does not feel them.
#![allow(clippy::unwrap_used)] // a test's own helpers may

mod lab;

use engine::sample::Reader;
use engine::xray;
use lab::{Ear, Lab, Model};
use wire::command::Command;
use wire::edit::{Edit, Part};
use wire::frame::Frame;
use wire::look::{self, Look, Passage};
use wire::series::name;
use wire::sight::{Field, Sight};

const SHAPES: [&str; 4] = [
    "",
    r#","model.mlp":"swiglu","model.norm":"rms","model.positions":"rotary","model.heads":4,"model.kv_heads":2,"model.tied_head":false"#,
    r#","model.bias":true,"model.logit_softcap":20,"model.layers":3"#,
    r#","model.qk_norm":true,"model.positions":"rotary","model.heads":1,"model.kv_heads":1"#,
];

struct Felt {
    before: Vec<f32>,
    after: Vec<f32>,
    valid: (f32, f32),
    said: (String, String),
}

fn lay_hands(model: &Model, edits: &[(Part, f32)]) -> Felt {
    let edits = edits.iter().map(|(part, factor)| Edit { part: *part, factor: *factor }).collect();
    match model.see(&Look::Hands { passage: Passage::Own("the cat sat on the".into()), edits }).unwrap() {
        Sight::Hands { before, after, valid_before, valid_after, said_before, said_after, .. } => {
            Felt { before, after, valid: (valid_before, valid_after), said: (said_before, said_after) }
        }
        other => panic!("{other:?}"),
    }
}

/// Every place but the last has a loss.
fn are_near(a: &[f32], b: &[f32]) -> bool {
    let known = a.len() - 1;
    a.len() == b.len() && a[..known].iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(1.0))
}

#[test]
fn hands_that_change_nothing_change_nothing() {
    let lab = Lab::new("still");
    for shape in SHAPES {
        let model = lab.model(shape);
        let felt = lay_hands(
            &model,
            &[
                (Part::Head { layer: 0, head: 0 }, 1.0),
                (Part::Unit { layer: 1, unit: 3 }, 1.0),
                (Part::Mlp { layer: 0 }, 1.0),
                (Part::Attention { layer: 1 }, 2.0),
                (Part::Attention { layer: 1 }, 0.5),
                (Part::Position { at: 4 }, 1.0),
            ],
        );
        assert_eq!(felt.before[..17], felt.after[..17], "{shape}");
        assert!(felt.before[17].is_nan() && felt.valid.0 == felt.valid.1 && felt.said.0 == felt.said.1);
        assert!(!felt.said.0.is_empty());
    }
}

#[test]
fn silencing_all_of_a_part_is_silencing_the_part() {
    let lab = Lab::new("silence");
    let check = |shape: &str, parts: Vec<Part>, whole: Part| {
        let model = lab.model(shape);
        let parts: Vec<(Part, f32)> = parts.into_iter().map(|part| (part, 0.0)).collect();
        let (a, b) = (lay_hands(&model, &parts), lay_hands(&model, &[(whole, 0.0)]));
        assert!(are_near(&a.after, &b.after) && !are_near(&a.before, &a.after), "{shape}: {:?} {:?}", a.after, b.after);
        assert!((a.valid.1 - b.valid.1).abs() < 1e-5 && a.said.1 == b.said.1);
    };
    for shape in [SHAPES[0], SHAPES[1], SHAPES[3]] {
        let heads = lab.plan(shape).recipe.model.heads as u32;
        let heads = (0..heads).map(|head| Part::Head { layer: 1, head }).collect();
        check(shape, heads, Part::Attention { layer: 1 });
        check(shape, (0..32).map(|unit| Part::Unit { layer: 0, unit }).collect(), Part::Mlp { layer: 0 });
    }
}

#[test]
fn hands_that_last_do_what_hands_try() {
    let lab = Lab::new("lasting");
    for shape in SHAPES {
        let mut model = lab.model(shape).biased();
        let edits = [
            (Part::Head { layer: 1, head: 0 }, 0.0),
            (Part::Unit { layer: 0, unit: 5 }, -3.0),
            (Part::Attention { layer: 0 }, 0.5),
            (Part::Mlp { layer: 1 }, 1.5),
            (Part::Unit { layer: 1, unit: 31 }, 2.0),
        ];
        let tried = lay_hands(&model, &edits);
        model.operate(&edits.map(|(part, factor)| Edit { part, factor }));
        let lasts = lay_hands(&model, &[(Part::Mlp { layer: 0 }, 1.0)]);
        assert!(are_near(&lasts.before, &tried.after) && !are_near(&tried.before, &tried.after), "{shape}");
        assert!((lasts.valid.0 - tried.valid.1).abs() < 1e-5 && lasts.said.0 == tried.said.1, "{shape}");
    }
}

#[test]
fn a_silenced_token_changes_nothing_before_it() {
    let lab = Lab::new("causal");
    for shape in SHAPES {
        let felt = lay_hands(&lab.model(shape), &[(Part::Position { at: 7 }, 0.0)]);
        assert_eq!(felt.before[..7], felt.after[..7], "{shape}");
        assert!(felt.before[7..17] != felt.after[7..17], "{shape}");
    }
}

#[test]
fn the_lens_ends_in_what_the_model_says() {
    let lab = Lab::new("lens");
    for shape in SHAPES {
        let model = lab.model(shape);
        let text = "the dog sat on";
        let Sight::Lens { tokens, losses, depths, cells, words } =
            model.look(&format!(r#"{{"lens":{{"passage":{{"own":"{text}"}}}}}}"#))
        else {
            panic!()
        };
        let layers = model.plan.recipe.model.layers;
        assert_eq!((tokens.len(), depths.len(), cells.len()), (14, layers + 1, layers + 1));
        assert_eq!((depths[0].as_str(), depths[layers].as_str()), ("embedding", &*format!("block.{}", layers - 1)));
        let ids = model.encode(text);
        let weights = model.weights();
        for place in 0..ids.len() {
            let device = burn::tensor::Device::flex();
            let logits = Reader::new(&model.plan.recipe.model, &weights, &ids[..=place], None, &device)
                .without_cache()
                .next_logits()
                .unwrap();
            let odds: Vec<f64> = logits.iter().map(|logit| f64::from(*logit).exp()).collect();
            let all: f64 = odds.iter().sum();
            let cell = &cells[layers][place];
            for (token, share) in &cell.top {
                assert!((f64::from(*share) - odds[*token as usize] / all).abs() < 1e-5, "{shape} at {place}");
                assert!(words.iter().any(|(named, _)| named == token));
            }
            match ids.get(place + 1) {
                Some(next) => {
                    let p = odds[*next as usize] / all;
                    assert!(
                        (f64::from(cell.right) - p).abs() < 1e-5 && (f64::from(losses[place]) + p.ln()).abs() < 1e-4
                    );
                    let rank = odds.iter().filter(|other| **other > odds[*next as usize]).count() as u32 + 1;
                    assert_eq!(cell.rank, rank);
                }
                None => assert!(cell.right.is_nan() && cell.rank == 0 && losses[place].is_nan()),
            }
        }
        for cell in cells.iter().flatten() {
            let sum: f32 = cell.top.iter().map(|(_, share)| share).sum();
            assert!(cell.top.len() == 3 && sum <= 1.0 + 1e-6 && cell.top.iter().all(|(_, share)| *share >= 0.0));
        }
    }
}

#[test]
fn heads_share_out_all_of_their_attention_and_nothing_to_the_future() {
    let lab = Lab::new("heads");
    for shape in SHAPES {
        let model = lab.model(shape);
        let Sight::Attention { tokens, patterns, heads } = model.look(r#"{"attention":{"layer":1}}"#) else { panic!() };
        assert_eq!((tokens.len(), patterns.len(), heads.len()), (24, model.plan.recipe.model.heads, patterns.len()));
        for (pattern, stats) in patterns.iter().zip(&heads) {
            let share = |query: usize, key: usize| pattern.value(query, key).unwrap();
            for query in 0..24 {
                let sum: f32 = (0..24).map(|key| share(query, key)).sum();
                assert!((sum - 1.0).abs() < 24.0 / 508.0, "{sum}");
                assert!((query + 1..24).all(|key| share(query, key) == 0.0));
            }
            let mean = |of: &dyn Fn(usize) -> f32| (1..24).map(of).sum::<f32>() / 23.0;
            let distance = mean(&|query| (0..=query).map(|key| share(query, key) * (query - key) as f32).sum());
            assert!((stats.distance - distance).abs() < 0.6, "{} {distance}", stats.distance);
            assert!((stats.previous - mean(&|query| share(query, query - 1))).abs() < 0.003);
            assert!((0.0..=1.0).contains(&stats.entropy) && (0.0..=1.0).contains(&stats.induction));
            assert!(stats.top_logit.is_finite());
        }
        let Sight::Map { parts, loss, .. } = model.look(r#"{"map":{}}"#) else { panic!() };
        let attention = parts.iter().find(|part| part.name == "block.1.attention").unwrap();
        assert_eq!(attention.heads, heads, "the map shows the same heads");
        assert_eq!(parts.len(), 2 * model.plan.recipe.model.layers + 3);
        assert!(loss > 0.0 && parts.iter().all(|part| part.rms > 0.0 && part.bad == 0));
    }
    let model = lab.model("");
    let Sight::Attention { heads, patterns, .. } = model.look(r#"{"attention":{"layer":0,"passage":{"own":"t"}}}"#)
    else {
        panic!()
    };
    assert!(heads[0].induction.is_nan() && heads[0].distance == 0.0 && patterns[0].value(0, 0) == Some(1.0));
}

#[test]
fn every_look_is_answered_for_every_shape() {
    let lab = Lab::new("all");
    for shape in SHAPES {
        let mut model = lab.model(shape);
        for look in [
            r#"{"units":{"layer":0}}"#,
            r#"{"unit":{"layer":1,"unit":31}}"#,
            r#"{"gallery":{}}"#,
            r#"{"gallery":{"of":"gradient"}}"#,
            r#"{"matrix":{"tensor":"block.1.mlp.down","of":"gradient"}}"#,
            r#"{"embedding":{}}"#,
            r#"{"batch":{"step":3}}"#,
        ] {
            let sight = model.look(look);
            assert!(!serde_json::to_string(&sight).unwrap().contains("null"), "{look}, {shape}: {sight:?}");
        }
        assert!(model.refusal(r#"{"gallery":{"of":"update"}}"#).contains("first"), "no step was taken");
        model.state.steps = 3;
        let Sight::Gallery { matrices } = model.look(r#"{"gallery":{"of":"update"}}"#) else { panic!() };
        assert!(matrices.iter().all(|matrix| matrix.moments.max == 0.0 && matrix.stable_rank.is_nan()));
    }
}

#[test]
fn matrices_are_shown_as_they_are() {
    let lab = Lab::new("matrices");
    let model = lab.model("");
    let Sight::Gallery { matrices } = model.look(r#"{"gallery":{}}"#) else { panic!() };
    assert_eq!(matrices.len(), 2 + 2 * 6);
    for matrix in &matrices {
        let rank = matrix.shape[0].min(matrix.shape[1]) as f32;
        assert!((1.0 - 1e-4..=rank).contains(&matrix.stable_rank), "{}: {}", matrix.tensor, matrix.stable_rank);
    }
    let place = 3; // after the two embeddings and a gain
    let weights = engine::device::read(model.state.weights[place].clone()).unwrap();
    let whole = r#"{"matrix":{"tensor":"block.0.attention.query"}}"#;
    let Sight::Matrix { shape, mean, min, max, moments, histogram, .. } = model.look(whole) else { panic!() };
    assert_eq!((shape, mean.clone(), min, max), ([16, 16], Field::of(16, 16, &weights), mean.clone(), mean));
    assert_eq!(moments.count, 256);
    assert_eq!(histogram.negative.iter().chain(&histogram.positive).sum::<u64>() + histogram.zeros, 256);
    let part = r#"{"matrix":{"tensor":"block.0.attention.query","window":{"row":14,"column":3,"rows":9,"columns":2}}}"#;
    let Sight::Matrix { window, mean, .. } = model.look(part) else { panic!() };
    assert_eq!((window.rows, window.columns), (2, 2), "as far as the matrix goes");
    let values: Vec<f32> = [14, 15].iter().flat_map(|row| [weights[row * 16 + 3], weights[row * 16 + 4]]).collect();
    assert_eq!(mean, Field::of(2, 2, &values));
    let Sight::Matrix { shape, .. } = model.look(r#"{"matrix":{"tensor":"norm"}}"#) else { panic!() };
    assert_eq!(shape, [1, 16]);
}

#[test]
fn what_does_not_exist_is_refused_by_name() {
    let lab = Lab::new("refused");
    let model = lab.model("");
    let check = |look: &str, words: &[&str]| {
        let said = model.refusal(look);
        assert!(words.iter().all(|word| said.contains(word)), "{look}: {said}");
    };
    check(r#"{"attention":{"layer":2}}"#, &["block 2", "0 to 1"]);
    check(r#"{"units":{"layer":9}}"#, &["block 9"]);
    check(r#"{"unit":{"layer":0,"unit":32}}"#, &["unit 32", "32", "0 to 31"]);
    check(r#"{"matrix":{"tensor":"block.7.mlp.up"}}"#, &["block.7.mlp.up", "block.0.attention.query"]);
    check(
        r#"{"matrix":{"tensor":"norm","window":{"row":1,"column":0,"rows":1,"columns":1}}}"#,
        &["norm", "1 x 16", "row 1"],
    );
    check(r#"{"map":{"passage":{"own":"the cat sat on the mat and so on"}}}"#, &["32 tokens", "24", "take 8 away"]);
    check(r#"{"lens":{"passage":{"own":"the Ω"}}}"#, &["Ω", "leave"]);
    check(r#"{"lens":{"passage":{"own":""}}}"#, &["empty"]);
    check(r#"{"map":{"passage":{"held":100000}}}"#, &["100000", "24 tokens"]);
    check(r#"{"batch":{"step":40}}"#, &["step 40", "ends"]);
    let hand =
        |part: &str| format!(r#"{{"hands":{{"passage":{{"own":"the"}},"edits":[{{"part":{part},"factor":0}}]}}}}"#);
    check(&hand(r#"{"head":{"layer":0,"head":2}}"#), &["head 2", "0 to 1"]);
    check(&hand(r#"{"unit":{"layer":5,"unit":0}}"#), &["block 5"]);
    check(&hand(r#"{"position":{"at":3}}"#), &["place 3", "3 tokens"]);
}

/// A run of 40 steps; the looks are all kinds.
fn watched(lab: &Lab, run: &str, wishes: Option<Vec<Look>>) -> Ear {
    let plan = lab.plan(r#","keep.every":10"#);
    let mut ear = Ear { wishes, ..Ear::default() };
    lab.train(run, &plan, &mut ear);
    ear
}

#[test]
fn a_run_does_not_feel_that_it_is_watched() {
    let lab = Lab::new("watched");
    let alone = watched(&lab, "alone", None);
    let mut all = look::kept_looks(2);
    all.extend([Look::Batch { step: 2 }, Look::Unit { layer: 0, unit: 1 }, Look::Gallery { of: look::Of::Gradient }]);
    let edits = vec![Edit { part: Part::Mlp { layer: 0 }, factor: 0.0 }];
    all.extend([
        Look::Hands { passage: Passage::Held(1), edits },
        Look::Attention { passage: Passage::Held(0), layer: 7 },
    ]);
    let seen = watched(&lab, "seen", Some(all));
    assert_eq!(alone.losses(), seen.losses());
    assert_eq!(alone.series(name::VALID), seen.series(name::VALID));
    assert!(alone.seen.is_empty() && !seen.seen.is_empty());

    let kept = |ear: &Ear| -> Vec<(u64, String, Sight)> {
        let of = |frame: &Frame| match frame {
            Frame::Seen { step, look, sight, .. } => (*step, look.key(), sight.clone()),
            other => panic!("{other:?}"),
        };
        ear.kept.iter().map(of).collect()
    };
    let (a, b) = (kept(&alone), kept(&seen));
    // NaN is not equal to itself, so what is compared is what is sent.
    let packed = |kept: &[(u64, String, Sight)]| postcard::to_allocvec(kept).unwrap();
    assert_eq!(packed(&a), packed(&b), "what is kept does not depend on who watches");
    let steps: Vec<u64> = a.iter().filter(|(_, key, _)| key.contains("map")).map(|(step, ..)| *step).collect();
    let mut expected: Vec<u64> = (0..=40).filter(|step| look::is_kept(*step)).collect();
    assert_eq!(steps, expected, "the first and the last state among them");
    expected.dedup();
    assert_eq!(a.len(), steps.len() * look::kept_looks(2).len() - 1, "before the first step nothing was measured");
    let measured = a.iter().find(|(at, key, _)| *at == 20 && key.contains("tensors"));
    let Some((.., Sight::Tensors { step: 10, tensors })) = measured else { panic!("{measured:?}") };
    let rms = |ear: &Ear| ear.series(&format!("{}{}", name::GRADIENT_RMS, tensors[3].name))[1];
    assert_eq!(tensors[3].gradient.rms.to_bits(), rms(&alone), "what the curve has");

    let (step, sight) = xray::look_at_checkpoint(
        &lab.checkpoint("alone", "0-20"),
        &lab.corpora(),
        &Look::Map { passage: Passage::default() },
    )
    .unwrap();
    let then = a.iter().find(|(at, key, _)| *at == 20 && key.contains("map")).unwrap();
    assert_eq!((step, &sight), (20, &then.2), "a checkpoint shows what was seen then");
}

#[test]
fn a_batch_is_the_one_that_the_step_read() {
    let lab = Lab::new("batch");
    let ear = watched(&lab, "run", None);
    let value = |series: &str, step: usize| f64::from_bits(ear.series(series)[step]);
    for step in [10, 30] {
        let dir = lab.checkpoint("run", &format!("0-{step}"));
        let look = Look::Batch { step };
        let (_, sight) = xray::look_at_checkpoint(&dir, &lab.corpora(), &look).unwrap();
        let Sight::Batch { rows, of, gradients } = sight else { panic!() };
        assert_eq!((rows.len(), of), (6, 6));
        assert!(rows.windows(2).all(|pair| pair[0].mean >= pair[1].mean), "most surprising first");
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
fn a_run_that_holds_shows_each_state_once_and_says_why_not_once() {
    let lab = Lab::new("holds");
    let map = Look::Map { passage: Passage::default() };
    let missing = Look::Attention { passage: Passage::default(), layer: 5 };
    let pause = || Command::Pause { reason: None };
    let mut ear = Ear {
        script: vec![(10, vec![map.clone(), missing], vec![pause()])],
        after_looks: Some((2, Command::Step { steps: 2 })),
        ..Ear::default()
    };
    // The second state's map is the third look: then it ends.
    ear.script.push((12, vec![map], vec![Command::Stop { reason: None }]));
    lab.train("run", &lab.plan(""), &mut ear);
    let told: Vec<(u64, bool)> =
        ear.seen.iter().map(|frame| (frame.step(), matches!(frame, Frame::Seen { .. }))).collect();
    assert_eq!(told[..2], [(10, true), (10, false)], "{told:?}");
    let Frame::Unseen { message, .. } = &ear.seen[1] else { panic!() };
    assert!(message.contains("block 5"), "{message}");
    assert!(told[2..].iter().all(|(step, is_seen)| *step > 10 && *is_seen), "a refusal is said once: {told:?}");
}
