//! The search space of a sweep: what it accepts, its grid, its constraints, and the places of its values.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wire::RunSpec;
use wire::sweep::space::constraint::Constraint;
use wire::sweep::space::{Point, Space, Values};

fn space(json: Value) -> Space {
    serde_json::from_value(json).unwrap()
}

fn point(values: Value) -> Point {
    Point { values: serde_json::from_value(values).unwrap(), seed: None }
}

#[test]
fn the_example_of_the_documentation() {
    let text = r#"
        seeds = [1, 2, 3]
        constraints = ["model.d_ff <= 4 * model.d_model"]

        [parameters]
        "optimizer.learning_rate" = { log = [1e-4, 1e-2] }
        "optimizer.weight_decay" = { float = [0, 0.2], step = 0.05 }
        "batch.size" = { log_int = [8, 64] }
        "model.d_model" = { choices = [64, 128] }
        "model.d_ff" = { int = [128, 512], step = 128 }
        "model.positions" = { choices = ["learned", "rotary"] }
        "model.rotary_base" = { log = [1e3, 1e6], when = { "model.positions" = ["rotary"] } }
        "mix.tales" = { float = [0, 1] }
    "#;
    let written: Space = toml::from_str(text).unwrap();
    let checked = written.check().unwrap();
    assert_eq!(checked.repeats(), 3);
    assert_eq!(serde_json::from_value::<Space>(serde_json::to_value(&written).unwrap()).unwrap(), written);
    let order: Vec<&str> = checked.dimensions.iter().map(|dimension| dimension.name.as_str()).collect();
    let at = |name: &str| order.iter().position(|one| *one == name).unwrap();
    assert!(at("model.positions") < at("model.rotary_base"), "{order:?}");
}

#[test]
fn a_grid_has_each_combination_once() {
    let checked = space(json!({
        "parameters": {
            "model.positions": {"choices": ["learned", "rotary"]},
            "model.rotary_base": {"log": [1e3, 1e5], "points": 3, "when": {"model.positions": ["rotary"]}},
            "model.layers": {"int": [2, 7], "step": 2},
            "optimizer.weight_decay": {"float": [0, 0.1], "step": 0.05},
        },
        "constraints": ["model.layers * optimizer.weight_decay < 0.35"],
        "seeds": [4, 5],
    }))
    .check()
    .unwrap();
    let grid = checked.grid().unwrap();
    // Layers 2, 4, 6 times 3 weight decays, without the 2 whose product is at least 0.35; learned, or rotary with 3 bases.
    assert_eq!(grid.len(), (3 * 3 - 2) * (1 + 3));
    assert_eq!(checked.grid_trials().unwrap(), 2 * grid.len() as u64);
    assert!(grid.iter().enumerate().all(|(at, values)| !grid[..at].contains(values)));
    for values in grid {
        assert_eq!(values.contains_key("model.rotary_base"), values["model.positions"] == "rotary");
        assert!(checked.contains(&Point { values, seed: Some(4) }));
    }
}

#[test]
fn values_that_a_space_does_not_have() {
    let checked = space(json!({"parameters": {
        "model.positions": {"choices": ["learned", "rotary"]},
        "model.rotary_base": {"log": [1e3, 1e5], "when": {"model.positions": ["rotary"]}},
    }}))
    .check()
    .unwrap();
    assert!(checked.contains(&point(json!({"model.positions": "learned"}))));
    for bad in [
        json!({"model.positions": "learned", "model.rotary_base": 1e4}),
        json!({"model.positions": "rotary"}),
        json!({"model.positions": "rotary", "model.rotary_base": 1e6}),
        json!({"model.positions": "learned", "model.layers": 3}),
    ] {
        assert!(!checked.contains(&point(bad.clone())), "{bad}");
    }
}

#[test]
fn invalid_spaces_name_the_field_and_what_to_do() {
    let cases = [
        (json!({"model.layer": {"int": [1, 2]}}), "parameters.model.layer"),
        (json!({"seed": {"int": [1, 2]}}), "parameters.seed"),
        (json!({"mix.A B": {"float": [0, 1]}}), "parameters.mix.A B"),
        (json!({"mix.tales": {"float": [-1, 1]}}), "parameters.mix.tales"),
        (json!({"model.layers": {}}), "parameters.model.layers"),
        (json!({"model.layers": {"int": [1, 2], "choices": [1]}}), "parameters.model.layers"),
        (json!({"model.layers": {"float": [1, 2]}}), "parameters.model.layers"),
        (json!({"model.layers": {"int": [0, 2]}}), "parameters.model.layers"),
        (json!({"model.layers": {"int": [3, 3]}}), "parameters.model.layers"),
        (json!({"model.layers": {"int": [1, 9], "step": 0.5}}), "parameters.model.layers"),
        (json!({"optimizer.learning_rate": {"log": [0, 1]}}), "parameters.optimizer.learning_rate"),
        (json!({"optimizer.learning_rate": {"float": [0, 11]}}), "parameters.optimizer.learning_rate"),
        (json!({"optimizer.learning_rate": {"log": [0.1, 1], "step": 0.1}}), "parameters.optimizer.learning_rate"),
        (json!({"optimizer.learning_rate": {"float": [0, 1], "points": 1}}), "parameters.optimizer.learning_rate"),
        (json!({"optimizer.kind": {"choices": ["sgd"]}}), "parameters.optimizer.kind"),
        (json!({"optimizer.kind": {"choices": []}}), "parameters.optimizer.kind"),
        (json!({"optimizer.kind": {"choices": ["muon", "muon"]}}), "parameters.optimizer.kind"),
        (json!({"budget.tokens": {"int": [0, 1_000_000]}}), "parameters.budget.tokens"),
        (json!({"steps": {"int": [1, 100_000_001]}}), "parameters.steps"),
        (json!({"depth": {"choices": [2, 65]}}), "parameters.depth"),
        (json!({"model.layers": {"int": [1, 2], "when": {"model.heads": [1]}}}), "parameters.model.layers"),
        (json!({"model.layers": {"int": [1, 2], "when": {"model.layers": [1]}}}), "parameters.model.layers"),
        (json!({}), "parameters"),
    ];
    for (parameters, field) in cases {
        let error = space(json!({"parameters": parameters})).check().unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
    let valid = json!({"model.layers": {"int": [1, 2]}});
    for (constraints, seeds, field) in [
        (json!(["model.layers"]), json!([]), "constraints.0"),
        (json!(["model.layers < 3", "model.heads < 3"]), json!([]), "constraints.1"),
        (json!([]), json!([1, 1]), "seeds"),
    ] {
        let error =
            space(json!({"parameters": valid, "constraints": constraints, "seeds": seeds})).check().unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
    assert!(serde_json::from_value::<Space>(json!({"parameters": {"model.layers": {"ints": [1, 2]}}})).is_err());
    let with_condition = |value: Value| {
        space(json!({"parameters": {
            "model.layers": {"int": [2, 6], "step": 2},
            "optimizer.weight_decay": {"float": [0, 0.1], "when": {"model.layers": [2, value]}},
        }}))
        .check()
    };
    assert!(with_condition(json!(4.0)).is_ok());
    for bad in [json!(3), json!(8), json!("four")] {
        let error = with_condition(bad.clone()).unwrap_err();
        assert_eq!(error.field, "parameters.optimizer.weight_decay");
        let message = format!("the condition of optimizer.weight_decay lists {bad}, which model.layers never is");
        assert_eq!(error.message, message);
    }
    let huge: BTreeMap<String, Value> =
        (0..4).map(|at| (format!("mix.text-{at}"), json!({"float": [0, 1], "points": 100}))).collect();
    assert!(space(json!({"parameters": huge})).check().unwrap().grid().is_err());
}

#[test]
fn constraints_are_read_with_the_usual_precedence() {
    let number = |name: &str| {
        [("a", 2.0), ("mix.my-text", 0.25), ("b.c", 7.0)].into_iter().find(|one| one.0 == name).map(|one| one.1)
    };
    for (text, expected) in [
        ("a + 3 * 2 == 8", true),
        ("(a + 3) * 2 == 10", true),
        ("10 - 3 - a == 5", true),
        ("b.c % a == 1", true),
        ("-a < -1.5e0", true),
        ("mix.my-text - 0.25 >= 0", true),
        ("1 / a > 0.5", false),
        ("a != 2", false),
        ("absent > 1e9", true),
    ] {
        assert_eq!(Constraint::parse(text).unwrap().holds(&number), expected, "{text}");
    }
    let deep = "(".repeat(150);
    for bad in [
        "",
        "a",
        "a <",
        "a < b < c",
        "a = 2",
        "a < 2 $",
        "1..2 < a",
        "(a < 2)",
        "a b < 1",
        "2a < 1",
        &deep,
        &"a+".repeat(101),
    ] {
        assert!(Constraint::parse(bad).is_err(), "{bad}");
    }
}

/// Each value is at a place that gives the value back, equal parts of 0 to 1 give equally many values, and nothing leaves the range.
#[test]
fn places_and_values_are_inverse() {
    let kinds = [
        Values::Numbers { low: 1e-4, high: 1e-2, is_log: true },
        Values::Numbers { low: -1.0, high: 3.0, is_log: false },
        Values::Steps { low: 0.1, step: 0.1, count: 7 },
        Values::Integers { low: 1, high: 64, step: 1, is_log: true },
        Values::Integers { low: 2, high: 11, step: 3, is_log: false },
        Values::Choices(vec![json!("a"), json!(true), json!(3)]),
    ];
    let mut random = testing::Random::new(testing::seed(1));
    for values in kinds {
        for _ in 0..2_000 {
            let value = values.at(random.uniform());
            assert!(values.contains(&value), "{values:?} {value}");
            let back = values.at(values.fraction(&value).unwrap());
            let same = back == value || (back.as_f64().unwrap() / value.as_f64().unwrap() - 1.0).abs() < 1e-9;
            assert!(same, "{values:?}: {value} came back as {back}");
        }
        assert!(values.contains(&values.at(0.0)) && values.contains(&values.at(1.0)));
        if let Some(count) = values.count().filter(|_| !matches!(values, Values::Integers { is_log: true, .. })) {
            let found: Vec<Value> = (0..count).map(|at| values.at((at as f64 + 0.5) / count as f64)).collect();
            assert!(found.iter().enumerate().all(|(at, value)| !found[..at].contains(value)), "{found:?}");
        }
    }
}

#[test]
fn a_point_changes_the_base_specification() {
    let base: RunSpec =
        serde_json::from_value(json!({"corpus": "tales", "steps": 100, "seed": 9, "overrides": {"model.layers": 2}}))
            .unwrap();
    let mut trial = point(json!({"model.layers": 4, "mix.sums": 0.5, "steps": 50}));
    trial.seed = Some(3);
    let spec = trial.spec(&base).unwrap();
    let expected =
        json!({"mix": {"tales": 1.0, "sums": 0.5}, "steps": 50, "seed": 3, "overrides": {"model.layers": 4}});
    assert_eq!(serde_json::to_value(&spec).unwrap(), expected);
    assert_eq!(point(json!({})).spec(&base).unwrap(), base);
    assert!(point(json!({"mix.sums": "much"})).spec(&base).is_err());
}
