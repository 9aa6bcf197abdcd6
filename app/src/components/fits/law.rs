//! A scaling law: the loss of each run over its training tokens, the law at each size with its band, and the extrapolation to a size and a number
//! of tokens that a person types. The page computes it from the fits of drawn residuals in the answer, so typing sends no request.

use figure::number::{THIN, fixed, short};
use figure::scene::{Dash, Fill, Point, Role, Shape, Size, Stroke, Text};
use figure::{Scale, ScaleKind};
use leptos::prelude::*;
use research::fits::Estimate;
use research::fits::report::{Extrapolation, FittedRun, ScalingLawFit};
use research::fits::scaling_law::ScalingLaw;

use super::super::plot::{Plot, extent};
use super::table::RunTable;
use super::words::{LOSS, TargetField, Targets, compute, count, count_with_interval, with_interval};
use crate::components::number::counted;
use crate::components::{Canvas, says};

/// Number of positions at which a curve is computed.
const CURVE: usize = 24;
/// Maximum number of sizes with a curve; if the runs have more sizes, some have none.
const CURVES: usize = 8;
/// Width of the labels at the ends of the curves, pixels.
const LABELS: f64 = 58.0;

/// The law at a size, from the least to the greatest number of tokens.
#[derive(Debug, Clone, PartialEq)]
struct LawCurve {
    parameters: f64,
    points: Vec<(f64, Estimate)>,
    /// Colour; `None` for the size of the extrapolation.
    colour: Option<u8>,
}

/// Curves and extrapolation, computed again when a target changes and not when the chart is drawn.
#[derive(Debug, Clone, PartialEq)]
struct Drawn {
    curves: Vec<LawCurve>,
    extrapolation: Extrapolation,
}

#[component]
pub(super) fn LawView(fit: ScalingLawFit, runs: Vec<FittedRun>, targets: Targets) -> impl IntoView {
    let usual = fit.extrapolation;
    let sentences = quality(&fit);
    let equation = equation(&fit);
    let values = [("E", fit.irreducible), ("A", fit.a), ("alpha", fit.alpha), ("B", fit.b), ("beta", fit.beta)];
    let values = values.map(|(name, estimate)| {
        let unit = if name == "E" { LOSS } else { "" };
        view! { <div><dt>{name}</dt><dd>{with_interval(estimate, unit)}</dd></div> }
    });
    let table_law = fit.law.clone();
    let table_runs = runs.clone();
    let (law, runs) = (StoredValue::new(fit.law), StoredValue::new(runs));
    let parameters = Memo::new(move |_| targets.parameters.number().unwrap_or(usual.parameters));
    let tokens = Memo::new(move |_| targets.tokens.number().unwrap_or(usual.tokens));
    let flops = Memo::new(move |_| targets.flops.number().unwrap_or(6.0 * parameters.get() * tokens.get()));
    let drawn = Memo::new(move |_| {
        let extrapolation = law.with_value(|law| Extrapolation::of(law, parameters.get(), tokens.get(), flops.get()));
        let curves = law.with_value(|law| runs.with_value(|runs| curves(law, runs, &extrapolation)));
        Drawn { curves, extrapolation }
    });
    let draw = move |size: Size, _: bool| runs.with_value(|runs| shapes(&drawn.read(), runs, size));
    let said = says(move || extrapolated(&drawn.read().extrapolation));
    let label = Signal::derive(move || {
        let count = runs.with_value(|runs| counted(runs.len() as u64, "run"));
        format!("Validation loss of {count} over training tokens, with the law at each model size. {}", said.get())
    });
    let reach = says(move || runs.with_value(|runs| reach(&drawn.read().extrapolation, runs)));
    view! {
        <p class="mono equation">{equation}</p>
        <Canvas class="plot" file="scaling-law" label draw />
        <div class="fields">
            <TargetField label="Parameters" meaning="Without embeddings. Default: 4 times the largest run" number=targets.parameters usual=usual.parameters />
            <TargetField label="Training tokens" meaning="Default: 4 times the largest number of a run" number=targets.tokens usual=usual.tokens />
            <TargetField label="Training FLOPs for the best size" meaning="Default: 6 times parameters times tokens" number=targets.flops usual=Signal::derive(move || 6.0 * parameters.get() * tokens.get()) />
        </div>
        <p role="status">{said}" "<span class="dim">{reach}</span></p>
        <dl class="figures across">{values.into_iter().collect_view()}</dl>
        <p class="small dim">{sentences}</p>
        <RunTable runs=table_runs law=Some(table_law) />
    }
}

/// `L(N, D) = 1.20 + 0.4 / (N / 1e6)^0.5 + 0.1 / (D / 1e9)^0.4`
fn equation(fit: &ScalingLawFit) -> String {
    let [e, a, alpha, b, beta] =
        [fit.irreducible, fit.a, fit.alpha, fit.b, fit.beta].map(|estimate| short(estimate.value));
    format!("L(N, D) = {e} + {a} / (N / 1e6)^{alpha} + {b} / (D / 1e9)^{beta}")
}

/// How well the law describes the runs, and the error on runs that it did not see.
fn quality(fit: &ScalingLawFit) -> String {
    let residual =
        format!("The standard deviation of the residuals is {}{THIN}% of the loss.", short(100.0 * fit.residual));
    let held_out = match fit.held_out {
        Some(held_out) => format!(
            "A fit without the {} with the most compute predicts their loss with an error of {}{THIN}% (root mean square).",
            counted(held_out.runs as u64, "run"),
            short(100.0 * held_out.error),
        ),
        None => "There are too few runs to hold some out and measure the error of an extrapolation.".to_owned(),
    };
    format!("{residual} {held_out}")
}

/// The loss at the target and the best size for its compute, as sentences.
fn extrapolated(at: &Extrapolation) -> String {
    let loss = format!(
        "{} parameters and {} tokens: a loss of {}.",
        count(at.parameters),
        count(at.tokens),
        with_interval(at.loss, LOSS)
    );
    let best = match at.best_parameters {
        Some(best) => {
            let tokens = at.flops / (6.0 * best.value);
            let size = count_with_interval(best, "parameters");
            format!("The best size for {} is {size}, with {} tokens.", compute(at.flops), count(tokens))
        }
        None => format!("The law has no best size for {}.", compute(at.flops)),
    };
    format!("{loss} {best}")
}

/// How far the extrapolation is from the runs.
fn reach(at: &Extrapolation, runs: &[FittedRun]) -> String {
    let most = runs.iter().map(|run| run.parameters * run.tokens).fold(0.0, f64::max);
    let factor = at.parameters * at.tokens / most.max(f64::MIN_POSITIVE);
    if factor <= 1.0 {
        return "This is within the compute of the runs.".to_owned();
    }
    let decimals = if factor < 10.0 { 1 } else { 0 };
    format!("This is {} times the compute of the largest run.", fixed(factor, decimals))
}

/// The sizes of the runs, in increasing order, at most [`CURVES`] of them at equal distances in their list.
fn sizes(runs: &[FittedRun]) -> Vec<f64> {
    let mut sizes: Vec<f64> = runs.iter().map(|run| run.parameters).filter(|size| *size > 0.0).collect();
    sizes.sort_unstable_by(f64::total_cmp);
    sizes.dedup();
    if sizes.len() <= CURVES {
        return sizes;
    }
    let last = sizes.len() - 1;
    (0..CURVES).map(|at| sizes[at * last / (CURVES - 1)]).collect()
}

/// The law at each size over the tokens of the runs, and at the size of the extrapolation up to its tokens.
fn curves(law: &ScalingLaw, runs: &[FittedRun], at: &Extrapolation) -> Vec<LawCurve> {
    let Some((least, most)) = extent(runs.iter().map(|run| run.tokens).filter(|tokens| *tokens > 0.0)) else {
        return vec![];
    };
    let curve = |parameters: f64, to: f64, colour| {
        let place = |at: usize| least * (to / least).powf(at as f64 / (CURVE - 1) as f64);
        let points = (0..CURVE).map(place).map(|tokens| (tokens, law.loss(parameters, tokens))).collect();
        LawCurve { parameters, points, colour }
    };
    let of_sizes = (0..).zip(sizes(runs)).map(|(colour, size)| curve(size, most, Some(colour)));
    of_sizes.chain([curve(at.parameters, at.tokens.max(least * 1.01), None)]).collect()
}

fn shapes(drawn: &Drawn, runs: &[FittedRun], size: Size) -> Vec<Shape> {
    let at = drawn.extrapolation;
    let tokens = runs.iter().map(|run| run.tokens).filter(|tokens| *tokens > 0.0).chain([at.tokens]);
    let bands = drawn.curves.iter().flat_map(|curve| &curve.points).flat_map(|(_, loss)| [loss.low, loss.high]);
    let losses = runs.iter().map(|run| run.loss).chain(bands);
    let (Some((left, right)), Some((low, high))) = (extent(tokens), extent(losses)) else { return vec![] };
    let (x, y) = (Scale::new(ScaleKind::Log, left, right), Scale::new(ScaleKind::Linear, low, high));
    let plot = Plot::new(x.padded(0.02), y.padded(0.04), size).with_right(LABELS);
    let mut shapes = plot.frame(("training tokens", "tokens"), ("validation loss, nats/token", LOSS));
    let mut inside = vec![];
    for curve in &drawn.curves {
        inside.extend(curve.shapes(&plot));
    }
    let colours = sizes(runs);
    let dots = runs.iter().filter_map(|run| {
        let at = colours.iter().position(|size| *size == run.parameters);
        let role = at.map_or(Role::InkFaint, |at| Role::Run(at as u8));
        plot.dot(run.tokens, run.loss, 3.5, Fill::solid(role))
    });
    inside.extend(dots);
    let target = (at.tokens, at.loss);
    inside.extend(
        plot.line([(target.0, target.1.low), (target.0, target.1.high)].into_iter(), Stroke::solid(Role::Accent, 2.0)),
    );
    inside.extend(plot.dot(target.0, target.1.value, 4.5, Fill::solid(Role::Accent)));
    shapes.push(plot.clipped(inside));
    shapes.extend(names(&drawn.curves, &plot));
    shapes
}

impl LawCurve {
    fn role(&self) -> Role {
        self.colour.map_or(Role::Accent, Role::Run)
    }

    fn shapes(&self, plot: &Plot) -> Vec<Shape> {
        let band: Vec<(f64, f64, f64)> = self.points.iter().map(|(at, loss)| (*at, loss.low, loss.high)).collect();
        let dash = if self.colour.is_some() { Dash::Solid } else { Dash::Dashed };
        let line = self.points.iter().map(|(at, loss)| (*at, loss.value));
        let stroke = Stroke::solid(self.role(), 1.5).dashed(dash);
        plot.band(&band, Fill::faint(self.role(), 0.16)).into_iter().chain(plot.line(line, stroke)).collect()
    }
}

/// The size at the end of each curve, where it does not cover another one.
fn names(curves: &[LawCurve], plot: &Plot) -> Vec<Shape> {
    let mut taken: Vec<f64> = vec![];
    let mut texts = vec![];
    // The extrapolation first, because it is what the reader looks for.
    for curve in curves.iter().rev() {
        let Some((tokens, loss)) = curve.points.last() else { continue };
        let end = plot.at(*tokens, loss.value);
        if end.y.is_finite() && taken.iter().all(|y| (y - end.y).abs() > 12.0) {
            taken.push(end.y);
            let at = Point::new(plot.area().right() + 5.0, end.y + 4.0);
            texts.push(Text::numbers(at, count(curve.parameters), 11.0, curve.role()).into());
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(parameters: f64, tokens: f64) -> FittedRun {
        FittedRun { run: "a".into(), name: "a".into(), parameters, tokens, flops: 1.0, loss: 2.0 }
    }

    #[test]
    fn sizes_are_thinned_and_the_reach_is_a_factor() {
        let runs: Vec<FittedRun> = (1..=20).map(|at| run(f64::from(at), 10.0)).collect();
        let found = sizes(&runs);
        assert_eq!((found.len(), found[0], found[7]), (CURVES, 1.0, 20.0));
        assert_eq!(sizes(&runs[..3]), [1.0, 2.0, 3.0]);
        let loss = Estimate { value: 1.5, low: 1.4, high: 1.6 };
        let at = |parameters: f64| Extrapolation { parameters, tokens: 20.0, loss, flops: 1e18, best_parameters: None };
        assert_eq!(reach(&at(10.0), &runs), "This is within the compute of the runs.");
        assert_eq!(reach(&at(40.0), &runs), "This is 4.0 times the compute of the largest run.");
        let said = extrapolated(&at(2e8)).replace(THIN, " ");
        assert_eq!(
            said,
            "200 M parameters and 20 tokens: a loss of 1.500 nats/token (95 % interval 1.400 to 1.600). The law has no best size for \
             1 EFLOP."
        );
    }
}
