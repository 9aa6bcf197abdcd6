//! Fits of planted laws: the truth is in the 95 % interval in at least 90 of 100, and what the runs do not determine is refused.

use research::fits::batch_size::batch_size;
use research::fits::data_mix::{MixRun, Order, data_mix};
use research::fits::isoflop::{IsoflopRun, Profile, isoflop};
use research::fits::learning_rate::range_test;
use research::fits::report::{FitReport, FitResult, FittedRun, Target};
use research::fits::scaling_law::{ScalingLaw, ScalingRun, held_out};
use research::fits::{Estimate, Refusal};
use testing::Random;

use super::synthetic::normal;

/// A law of the kind that small models follow.
struct Planted {
    e: f64,
    a: f64,
    alpha: f64,
    b: f64,
    beta: f64,
}

impl Planted {
    fn new(random: &mut Random) -> Self {
        let mut between = |low: f64, high: f64| low + (high - low) * random.uniform();
        Self {
            e: between(0.8, 1.8),
            a: between(0.2, 0.6),
            alpha: between(0.3, 0.7),
            b: between(0.05, 0.15),
            beta: between(0.3, 0.6),
        }
    }

    fn loss(&self, parameters: f64, tokens: f64) -> f64 {
        self.e + self.a * (parameters / 1e6).powf(-self.alpha) + self.b * (tokens / 1e9).powf(-self.beta)
    }

    /// 5 sizes by 5 numbers of tokens, with a noise of 0.3 % over seeds.
    fn runs(&self, sizes: usize, random: &mut Random) -> Vec<ScalingRun> {
        let mut run = |parameters: f64, tokens: f64| {
            let loss = self.loss(parameters, tokens) * (1.0 + 0.003 * normal(random));
            ScalingRun { parameters, tokens, loss }
        };
        let sizes = (0..sizes).map(|at| 1e5 * 4_f64.powi(at as i32));
        sizes.flat_map(|size| (0..5).map(move |at| (size, 2e6 * 4_f64.powi(at)))).map(|(n, d)| run(n, d)).collect()
    }
}

#[test]
fn planted_laws_are_in_the_intervals() {
    let mut random = Random::new(testing::seed(11));
    let (mut fits, mut refused) = (0, 0);
    let mut hits = [("E", 0), ("alpha", 0), ("beta", 0), ("loss at 4 x the size and 4 x the tokens", 0)];
    while fits < 100 {
        let planted = Planted::new(&mut random);
        let Ok(law) = ScalingLaw::fit(&planted.runs(5, &mut random), fits) else {
            refused += 1;
            continue;
        };
        let (parameters, tokens) = (1e8, 2e9);
        let found = [law.irreducible(), law.alpha(), law.beta(), law.loss(parameters, tokens)];
        let truth = [planted.e, planted.alpha, planted.beta, planted.loss(parameters, tokens)];
        for ((_, count), (estimate, truth)) in hits.iter_mut().zip(found.iter().zip(truth)) {
            *count += u32::from(estimate.contains(truth));
        }
        fits += 1;
    }
    println!("{hits:?} of {fits}, {refused} refused");
    assert!(hits.iter().all(|(_, count)| *count >= 90), "{hits:?}");
    assert!(refused <= 30, "{refused} refusals");
}

#[test]
fn an_exact_law_is_found() {
    let planted = Planted { e: 1.2, a: 0.4, alpha: 0.5, b: 0.1, beta: 0.4 };
    let sizes = [1e5, 4e5, 16e5, 64e5];
    let run = |parameters: f64, tokens: f64| ScalingRun { parameters, tokens, loss: planted.loss(parameters, tokens) };
    let runs: Vec<ScalingRun> = sizes.iter().flat_map(|n| [2e6, 8e6, 32e6, 128e6].map(|d| run(*n, d))).collect();
    let law = ScalingLaw::fit(&runs, 1).unwrap();
    let near =
        |estimate: Estimate, truth: f64| assert!((estimate.value / truth - 1.0).abs() < 2e-3, "{estimate:?} {truth}");
    near(law.irreducible(), 1.2);
    near(law.a(), 0.4);
    near(law.alpha(), 0.5);
    near(law.b(), 0.1);
    near(law.beta(), 0.4);
    // The best size for a compute has a lower loss than its neighbours with the same compute.
    let flops = 1e15;
    let best = law.best_parameters(flops).value;
    let at = |parameters: f64| law.loss(parameters, flops / (6.0 * parameters)).value;
    assert!(at(best) < at(1.05 * best) && at(best) < at(best / 1.05));
    assert_eq!(ScalingLaw::fit(&runs, 1), Ok(law), "equal seeds give equal intervals");
    let error = held_out(&runs).unwrap();
    assert_eq!(error.runs, 4, "a fifth of 16, rounded up");
    assert!(error.error < 0.01, "{error:?}");
    assert_eq!(held_out(&runs[..9]), None, "7 runs are too few for a fit");
    a_page_extrapolates_what_it_received(&runs);
}

/// The answer of the server is read back, and gives the loss at another size.
fn a_page_extrapolates_what_it_received(runs: &[ScalingRun]) {
    let fitted = |run: &ScalingRun| FittedRun {
        run: "a".into(),
        name: "a".into(),
        parameters: run.parameters,
        tokens: run.tokens,
        flops: 6.0 * run.parameters * run.tokens,
        loss: run.loss,
    };
    let target = Target { tokens: Some(2e9), ..Target::default() };
    let report = FitReport::scaling_law(runs.iter().map(fitted).collect(), vec![], target, 1);
    let text = serde_json::to_string(&report).unwrap();
    let read: FitReport = serde_json::from_str(&text).unwrap();
    let FitResult::ScalingLaw(fit) = read.result else { panic!("{text}") };
    assert_eq!((fit.extrapolation.parameters, fit.extrapolation.tokens), (4.0 * 64e5, 2e9));
    let (there, here) = (fit.extrapolation.loss.value, fit.law.loss(4.0 * 64e5, 2e9).value);
    assert!((there - here).abs() < 1e-9, "{there} {here}");
}

#[test]
fn laws_that_the_runs_do_not_determine_are_refused() {
    let mut random = Random::new(testing::seed(3));
    let planted = Planted::new(&mut random);
    let runs = planted.runs(5, &mut random);
    let two: Vec<ScalingRun> = runs.iter().filter(|run| run.parameters < 5e5).copied().collect();
    assert_eq!(ScalingLaw::fit(&two, 1), Err(Refusal::TooFew { what: "model sizes", found: 2, needed: 3 }));
    let one: Vec<ScalingRun> = runs.iter().filter(|run| run.tokens < 3e6).copied().collect();
    assert!(matches!(ScalingLaw::fit(&one, 1), Err(Refusal::TooFew { what: "numbers of training tokens", .. })));
    assert!(matches!(ScalingLaw::fit(&[], 1), Err(Refusal::TooFew { .. })));
    // Losses that are noise alone, and losses that do not depend on the size.
    let noise: Vec<ScalingRun> =
        runs.iter().map(|run| ScalingRun { loss: 1.5 + 0.01 * normal(&mut random), ..*run }).collect();
    assert!(matches!(ScalingLaw::fit(&noise, 1), Err(Refusal::TooWide { .. })), "{:?}", ScalingLaw::fit(&noise, 1));
    let broken: Vec<ScalingRun> = runs.iter().map(|run| ScalingRun { loss: f64::NAN, ..*run }).collect();
    assert!(matches!(ScalingLaw::fit(&broken, 1), Err(Refusal::TooFew { .. })));
}

#[test]
fn isoflop_minima_are_in_the_intervals() {
    let mut random = Random::new(testing::seed(5));
    let mut hits = [0, 0];
    for seed in 0..100 {
        let exponent = 0.4 + 0.2 * random.uniform();
        let best = |flops: f64| 1e6 * (flops / 1e15).powf(exponent);
        let mut runs = vec![];
        for flops in [1e14, 4e14, 1.6e15, 6.4e15] {
            for at in -3..=3 {
                let parameters = best(flops) * 2_f64.powf(0.8 * f64::from(at) + 0.3);
                let loss = 2.0 + 0.05 * (parameters / best(flops)).ln().powi(2) + 0.004 * normal(&mut random);
                runs.push(IsoflopRun { parameters, flops: flops * (1.0 + 0.03 * random.uniform()), loss });
            }
        }
        let found = isoflop(&runs, seed).unwrap();
        assert_eq!(found.profiles.len(), 4);
        let Profile { points, curve, .. } = &found.profiles[0];
        assert!((curve[0].parameters / points[0].parameters - 1.0).abs() < 1e-9, "the curve begins at the first size");
        assert!(curve.iter().all(|at| at.loss.contains(at.loss.value)), "{curve:?}");
        let extrapolated = found.best_size.as_ref().unwrap().parameters(2.56e16);
        assert!(extrapolated.is_finite() && extrapolated.low < extrapolated.high, "{extrapolated:?}");
        hits[0] += u32::from(found.profiles[1].best_parameters.contains(best(4e14)));
        hits[1] += u32::from(found.exponent.unwrap().contains(exponent));
    }
    println!("{hits:?} of 100");
    assert!(hits.iter().all(|hits| *hits >= 88), "{hits:?}");
    let falling: Vec<IsoflopRun> = (1..6)
        .map(|at| IsoflopRun { parameters: f64::from(at) * 1e6, flops: 1e15, loss: 3.0 - 0.1 * f64::from(at) })
        .collect();
    assert!(matches!(isoflop(&falling, 1), Err(Refusal::NoOptimum { .. })));
    assert!(matches!(isoflop(&falling[..3], 1), Err(Refusal::TooFew { found: 3, .. })));
}

#[test]
fn a_range_test_finds_where_the_loss_falls_and_rises() {
    let mut random = Random::new(testing::seed(9));
    // Falls fastest at 1e-3 and rises from 0.1 on.
    let point = |at: i32, random: &mut Random| {
        let rate = 1e-5 * 10_f64.powf(5.0 * f64::from(at) / 300.0);
        let fall = 2.0 / (1.0 + (-(rate.ln() - 1e-3_f64.ln()) * 1.5).exp());
        let rise = (3.0 * (rate / 0.1).ln()).max(0.0).powi(2);
        (rate, 4.0 - fall + rise + 0.02 * normal(random))
    };
    let points: Vec<(f64, f64)> = (0..=300).map(|at| point(at, &mut random)).collect();
    let found = range_test(&points).unwrap();
    println!("{found:?}");
    assert!((2.5e-4..4e-3).contains(&found.steepest), "{found:?}");
    assert!((0.1..0.4).contains(&found.diverges.unwrap()), "{found:?}");
    assert!(
        found.suggested <= found.steepest && found.steepest < found.lowest && found.lowest < found.diverges.unwrap()
    );
    assert!(matches!(range_test(&points[..20]), Err(Refusal::TooFew { .. })));
    let constant: Vec<(f64, f64)> = points.iter().map(|(_, loss)| (1e-3, *loss)).collect();
    assert!(matches!(range_test(&constant), Err(Refusal::NoOptimum { .. })));
    let rising: Vec<(f64, f64)> = points.iter().map(|(rate, _)| (*rate, 4.0 + rate)).collect();
    assert!(matches!(range_test(&rising), Err(Refusal::NoOptimum { .. })));
}

#[test]
fn the_noise_scale_suggests_a_batch() {
    let mut random = Random::new(testing::seed(2));
    let mut hits = 0;
    for _ in 0..100 {
        let scales: Vec<f64> = (0..400).map(|_| 8_192.0 * (0.4 * normal(&mut random)).exp()).collect();
        let found = batch_size(&scales, 8_192.0).unwrap();
        hits += u32::from(found.noise_scale.contains(8_192.0));
        assert!((found.progress - 0.5).abs() < 0.05, "{found:?}");
    }
    assert!(hits >= 90, "{hits}");
    assert!(matches!(batch_size(&[1.0; 50], 1.0), Err(Refusal::TooFew { .. })));
    let wild: Vec<f64> = (0..200).map(|at| if at % 20 < 10 { 1.0 } else { 1e9 }).collect();
    assert!(matches!(batch_size(&wild, 1.0), Err(Refusal::TooWide { .. })));
}

/// Runs on uniform mixes of three datasets, whose ln L is least at `best`.
fn mixes(best: [f64; 3], count: usize, noise: f64, random: &mut Random) -> Vec<MixRun> {
    let mut run = || {
        let drawn = [0; 3].map(|_| -(1.0 - random.uniform()).ln());
        let weights: Vec<f64> = drawn.iter().map(|one| one / drawn.iter().sum::<f64>()).collect();
        let distance: f64 = weights.iter().zip(best).map(|(weight, best)| (weight - best).powi(2)).sum();
        MixRun { loss: (0.6 + 0.5 * distance + noise * normal(random)).exp(), weights }
    };
    (0..count).map(|_| run()).collect()
}

#[test]
fn the_planted_best_mix_is_found_and_too_few_mixes_are_refused() {
    let mut random = Random::new(testing::seed(5));
    let mut hits = 0;
    for fit in 0..40 {
        let drawn = [0; 3].map(|_| 0.2 + random.uniform());
        let best = drawn.map(|one| one / drawn.iter().sum::<f64>());
        let found = data_mix(&mixes(best, 24, 0.005, &mut random), fit).unwrap();
        assert_eq!((found.order, found.runs, found.predicted.len()), (Order::Quadratic, 24, 24));
        let sum: f64 = found.weights.iter().map(|weight| weight.value).sum();
        assert!((sum - 1.0).abs() < 1e-9 && found.explained > 0.8 && found.loss.value <= found.uniform_loss.value);
        let errors = found.weights.iter().zip(best).map(|(weight, best)| (weight.value - best).abs());
        assert!(errors.fold(0.0, f64::max) < 0.12, "{best:?} {found:?}");
        hits += u32::from(found.weights.iter().zip(best).all(|(weight, best)| weight.contains(best)));
    }
    // All three intervals of 95 % contain the truth at once.
    assert!(hits >= 30, "{hits} of 40");

    let all = mixes([0.5, 0.3, 0.2], 24, 0.0, &mut random);
    let exact = data_mix(&all, 1).unwrap();
    assert!(
        (exact.weights[0].value - 0.5).abs() < 0.01 && (exact.loss.value / 0.6_f64.exp() - 1.0).abs() < 1e-3,
        "{exact:?}"
    );
    assert_eq!(data_mix(&all, 1), Ok(exact), "equal seeds give equal intervals");
    let few = |runs: &[MixRun]| data_mix(runs, 1).unwrap_err();
    assert_eq!(few(&all[..7]), Refusal::TooFew { what: "runs with different mixes", found: 7, needed: 8 });
    let same = [&all[..7], &all[..7]].concat();
    assert_eq!(
        few(&same),
        Refusal::TooFew { what: "runs with different mixes", found: 7, needed: 8 },
        "seeds are one mix"
    );
    let alone = vec![MixRun { weights: vec![1.0], loss: 2.0 }; 9];
    assert_eq!(few(&alone), Refusal::TooFew { what: "datasets in the mix", found: 1, needed: 2 });
    // Two losses of each mix differ more than the mixes do.
    let opposite = |run: &MixRun| [2.0, 3.0].map(|loss| MixRun { loss, ..run.clone() });
    let noise: Vec<MixRun> = all.iter().flat_map(opposite).collect();
    assert!(matches!(few(&noise), Refusal::NoOptimum { .. }));
}
