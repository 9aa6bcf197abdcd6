//! Tests of plans: what a spec resolves to, what is refused, and what is noted.

use super::*;
use crate::device::OperatorRates;

pub(crate) fn lab() -> (Vec<CorpusInfo>, Vec<DeviceInfo>) {
    let tales = CorpusInfo {
        id: "tales".parse().unwrap(),
        name: "Tales".into(),
        source: Source::Generated { generator: "tales".into(), seed: 1 },
        documents: 1000,
        text_bytes: 1_000_000,
        chars: 1_000_000,
        alphabet: "abc".into(),
        sample: "Once upon a time".into(),
        valid_share: 0.1,
        content_hash: "00".into(),
        entropy_nats: Some(1.0),
        created_ms: 0,
        datasets: vec![],
        import: None,
        project: None,
    };
    let cpu = DeviceInfo {
        id: "cpu".parse().unwrap(),
        name: "cpu".into(),
        kind: DeviceKind::Cpu,
        backend: "flex".into(),
        cores: 2,
        memory_bytes: 8_000_000_000,
        flops_per_sec: 1e11,
        rates: None,
    };
    (vec![tales], vec![cpu])
}

pub(crate) fn rates() -> OperatorRates {
    OperatorRates {
        product_flops_per_sec: 1e11,
        attention_flops_per_sec: 2e10,
        elementwise_bytes_per_sec: 2e10,
        memory_bytes_per_sec: 1e10,
    }
}

fn plan(text: &str) -> Result<PlanView, PlanError> {
    let (corpora, devices) = lab();
    resolve(&serde_json::from_str(text).unwrap(), &corpora, &devices)
}

pub(crate) fn plan_of(text: &str) -> RunPlan {
    plan(text).unwrap().plan
}

#[test]
fn a_decay_longer_than_the_run_is_noted() {
    let (corpora, devices) = lab();
    for (decay_steps, is_noted) in [(50, false), (90, false), (91, true), (5000, true)] {
        let spec = format!(
            r#"{{"corpus":"tales","steps":100,"overrides":{{"schedule.shape":{{"wsd":{{"decay_steps":{decay_steps}}}}},"schedule.warmup_steps":10}}}}"#
        );
        let view = resolve(&serde_json::from_str(&spec).unwrap(), &corpora, &devices).unwrap();
        assert_eq!(view.notes.iter().any(|note| note.contains("decay of")), is_noted, "{decay_steps} {:?}", view.notes);
    }
}

#[test]
fn the_warm_up_of_a_preset_is_at_most_a_tenth_of_the_run_and_a_given_one_is_used() {
    let warm_up = |text: &str| plan_of(text).recipe.schedule.warmup_steps;
    for (steps, expected) in [(150, 15), (1000, 100), (4000, 100)] {
        let shown = preset::find("tiny", None).unwrap().recipe_for(steps).schedule.warmup_steps;
        let used = warm_up(&format!(r#"{{"preset":"tiny","corpus":"tales","steps":{steps}}}"#));
        assert_eq!((shown, used), (expected, expected), "{steps} steps");
    }
    let given = r#"{"preset":"tiny","corpus":"tales","steps":150,"overrides":{"schedule.warmup_steps":100}}"#;
    assert_eq!(warm_up(given), 100);
    let error = plan(&given.replace(":100}", ":151}")).unwrap_err();
    assert_eq!(error.field, "schedule.warmup_steps");
}

#[test]
fn a_preset_for_another_dataset_is_noted() {
    for (preset, is_noted) in [("tiny", false), ("induction", true), ("grokking", true)] {
        let view = plan(&format!(r#"{{"preset":"{preset}","corpus":"tales"}}"#)).unwrap();
        assert_eq!(view.notes.iter().any(|note| note.ends_with("; Tales is selected.")), is_noted, "{:?}", view.notes);
    }
}

/// A size of any magnitude.
fn any_size(random: &mut testing::Random) -> usize {
    match random.below(4) {
        0 => 1 + random.below(8) as usize,
        1 => 1 + random.below(100_000) as usize,
        2 => usize::MAX >> random.below(64),
        _ => usize::MAX,
    }
}

#[test]
fn the_cost_of_a_plan_of_any_size_is_exact_or_the_largest_number() {
    let (corpora, devices) = lab();
    for seed in testing::seeds(0..2000) {
        let random = &mut testing::Random::new(seed);
        let mut plan = plan_of(r#"{"preset":"nanogpt-cpu","corpus":"tales"}"#);
        plan.steps = any_size(random) as u64;
        let Recipe { batch, model, .. } = &mut plan.recipe;
        for size in [
            &mut batch.size,
            &mut batch.accumulation,
            &mut batch.replicas,
            &mut model.seq,
            &mut model.layers,
            &mut model.heads,
            &mut model.kv_heads,
            &mut model.d_model,
            &mut model.d_ff,
            &mut model.vocab,
        ] {
            *size = any_size(random);
        }
        let exact =
            |factors: &[usize]| factors.iter().fold(1u128, |product, size| product.saturating_mul(*size as u128));
        let largest = |value: u128| u64::try_from(value).unwrap_or(u64::MAX);
        let measured = DeviceInfo { rates: Some(rates()), ..devices[0].clone() };
        let estimate = plan.estimate(if random.below(2) == 0 { &measured } else { &devices[0] }, &corpora);
        let Recipe { batch, model, .. } = &plan.recipe;
        let steps = plan.steps as usize;
        assert_eq!(estimate.tokens, largest(exact(&[batch.size, batch.accumulation, model.seq, steps])), "{plan:?}");
        let embedding = largest(exact(&[model.vocab, model.d_model]));
        assert!(estimate.parameters >= embedding && estimate.memory_bytes >= estimate.parameters, "{plan:?}");
        assert!(
            estimate.flops.is_finite() && estimate.flops > 0.0 && estimate.secs.is_some_and(f64::is_finite),
            "{plan:?}"
        );
    }
}

#[test]
fn a_short_spec_resolves_to_a_complete_plan() {
    let view = plan(
        r#"{"preset":"nanogpt-cpu","corpus":"tales","overrides":{"optimizer.learning_rate":0.002,"model.layers":2.0}}"#,
    )
    .unwrap();
    assert_eq!((view.plan.recipe.optimizer.learning_rate, view.plan.recipe.model.layers), (0.002, 2));
    assert_eq!((view.plan.recipe.model.vocab, view.plan.recipe.batch.replicas), (4, 2));
    assert_eq!(view.plan.prompt, "Once");
    let text = serde_json::to_string(&view).unwrap();
    assert_eq!(serde_json::from_str::<PlanView>(&text).unwrap(), view);
}

#[test]
fn an_override_of_another_kind_is_refused_in_the_words_of_the_table() {
    for (text, field, message, hint) in [
        (
            r#"{"corpus":"tales","overrides":{"model.layers":"many"}}"#,
            "overrides.model.layers",
            r#"layers cannot be "many""#,
            "enter a whole number from 1 to 256",
        ),
        (
            r#"{"corpus":"tales","overrides":{"optimizer.learning_rate":null}}"#,
            "overrides.optimizer.learning_rate",
            "learning rate cannot be null",
            "enter a number from 0 to 10",
        ),
        (
            r#"{"corpus":"tales","overrides":{"breakpoints":["soon"]}}"#,
            "overrides.breakpoints",
            "[\"soon\"] does not fit (expected a whole number from 0 to 18446744073709551615, not the text \"soon\")",
            "it was []",
        ),
    ] {
        let error = plan(text).expect_err(text);
        assert_eq!((error.field.as_str(), error.message.as_str(), error.hint.as_deref()), (field, message, Some(hint)));
    }
}

#[test]
fn a_seed_keeps_all_of_its_bits() {
    for seed in [u64::MAX, (1 << 53) + 1, 0] {
        let text = format!(r#"{{"corpus":"tales","seed":{seed},"overrides":{{"budget.tokens":{seed}}}}}"#);
        let view = plan(&text).unwrap();
        assert_eq!((view.plan.seed, view.plan.recipe.budget.tokens), (seed, seed));
        assert!(serde_json::to_string(&view).unwrap().contains(&format!(r#""seed":{seed}"#)));
    }
}

#[test]
fn invalid_specs_name_the_field_and_a_hint() {
    let check = |text: &str, field: &str| {
        let error = plan(text).expect_err(text);
        assert_eq!(error.field, field, "{text}: {error}");
    };
    check(r#"{"corpus":"nope"}"#, "corpus");
    check(r#"{}"#, "corpus");
    check(r#"{"corpus":"tales","preset":"huge"}"#, "preset");
    check(r#"{"corpus":"tales","steps":0}"#, "steps");
    check(r#"{"corpus":"tales","device":"gpu-9"}"#, "device");
    check(r#"{"mix":{"tales":0.0}}"#, "mix");
    check(r#"{"corpus":"tales","overrides":{"model.layerz":3}}"#, "overrides.model.layerz");
    check(r#"{"corpus":"tales","overrides":{"model.layers":-3}}"#, "overrides.model.layers");
    check(r#"{"corpus":"tales","overrides":{"model.layers":"many"}}"#, "overrides.model.layers");
    check(r#"{"corpus":"tales","overrides":{"model.vocab":9}}"#, "overrides.model.vocab");
    check(r#"{"corpus":"tales","overrides":{"model.heads":3}}"#, "model.heads");
    check(r#"{"corpus":"tales","overrides":{"model.seq":120000}}"#, "corpus");
    check(r#"{"corpus":"tales","overrides":{"batch.size":60000}}"#, "batch.size");
    check(r#"{"corpus":"tales","steps":90,"overrides":{"breakpoints":[0,91]}}"#, "breakpoints");
    check(r#"{"corpus":"tales","overrides":{"breakpoints":["soon"]}}"#, "overrides.breakpoints");
    check(r#"{"corpus":"tales","overrides":{"mixing.rule":"odm"}}"#, "mixing.rule");
    check(r#"{"corpus":"tales","overrides":{"mixing.rule":"doremi"}}"#, "overrides.mixing.rule");
    check(r#"{"corpus":"tales","overrides":{"compute.precision":"float16"}}"#, "compute.precision");
    check(r#"{"corpus":"tales","overrides":{"compute.precision":"float8"}}"#, "overrides.compute.precision");
    assert_eq!(
        plan(r#"{"corpus":"tales","steps":90,"overrides":{"breakpoints":[0,90]}}"#)
            .map(|view| view.plan.recipe.breakpoints),
        Ok(vec![0, 90])
    );
}

#[test]
fn a_plan_that_does_not_fit_names_one_that_does() {
    // One sequence does not fit, so a smaller batch does not help, but without the activations of all 32 blocks it does.
    let sizes = r#"{"corpus":"tales","preset":"tiny","overrides":{"model.seq":100000,"model.layers":32,"#;
    let deep = plan(&format!(r#"{sizes}"batch.size":2}}}}"#)).unwrap_err();
    assert_eq!(deep.field, "compute.recompute", "{deep}");
    assert!(plan(&format!(r#"{sizes}"batch.size":1,"compute.recompute":true}}}}"#)).is_ok(), "{deep}");
    let long = plan(
        r#"{"corpus":"tales","preset":"tiny","overrides":{"model.seq":100000,"model.layers":32,"model.d_model":512}}"#,
    )
    .unwrap_err();
    assert_eq!(long.field, "model.seq", "{long}");
    let hint = long.hint.as_deref().unwrap();
    let seq: String =
        hint.split(" with").next().into_iter().flat_map(str::chars).filter(char::is_ascii_digit).collect();
    let short = format!(
        r#"{{"corpus":"tales","preset":"tiny","overrides":{{"model.seq":{seq},"model.layers":32,"model.d_model":512,"batch.size":1}}}}"#
    );
    assert!(plan(&short).is_ok(), "{long}");
    let wide = plan(r#"{"corpus":"tales","preset":"tiny","overrides":{"model.seq":100000}}"#).unwrap_err();
    assert_eq!(wide.field, "batch.size", "attention needs no matrix of all tokens, so four sequences fit: {wide}");
    let error = plan(r#"{"corpus":"tales","overrides":{"batch.size":60000}}"#).unwrap_err();
    let rows: u64 = error.hint.unwrap().split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!(plan(&format!(r#"{{"corpus":"tales","overrides":{{"batch.size":{rows}}}}}"#)).is_ok());
    assert!(
        plan(&format!(r#"{{"corpus":"tales","overrides":{{"batch.size":{}}}}}"#, rows + 1)).is_err(),
        "the smallest change"
    );
}
