//! IsoFLOP profiles: loss over model size for each amount of compute, the parabola through them with its band, the best size with its interval,
//! and the best size for a compute that a person types.

use figure::number::in_unit;
use figure::scene::{Fill, Role, Shape, Size, Stroke};
use figure::{Scale, ScaleKind};
use leptos::prelude::*;
use research::fits::isoflop::{Isoflop, Profile};
use research::fits::report::FittedRun;

use super::super::plot::{Plot, extent};
use super::table::RunTable;
use super::words::{LOSS, TargetField, compute, count_with_interval, with_interval};
use crate::components::number::counted;
use crate::components::{Canvas, TypedNumber, says};

#[component]
pub(super) fn IsoflopView(fit: Isoflop, runs: Vec<FittedRun>, flops: TypedNumber) -> impl IntoView {
    let rows = (0..).zip(&fit.profiles).map(|(at, profile)| view! { <ProfileRow at profile=profile.clone() /> });
    let rows = rows.collect_view();
    let law = fit
        .exponent
        .map(|exponent| format!("Best size = k C^a for C training FLOPs, with a = {}.", with_interval(exponent, "")));
    let single = "A law of the best size needs two amounts of compute: train these sizes with another amount.";
    let law = law.unwrap_or_else(|| single.to_owned());
    let most = fit.profiles.iter().map(|profile| profile.flops).fold(0.0, f64::max);
    let amounts = counted(fit.profiles.len() as u64, "amount");
    let label = format!("Validation loss over model size for {amounts} of compute");
    let has_law = fit.best_size.is_some();
    let fit = StoredValue::new(fit);
    let usual = 4.0 * most;
    let said = says(move || {
        let wanted = flops.number().unwrap_or(usual);
        let best = fit.with_value(|fit| fit.best_size.as_ref().map(|best| best.parameters(wanted)));
        let size = best.map(|best| count_with_interval(best, "parameters")).unwrap_or_default();
        format!("The best size for {} is {size}.", compute(wanted))
    });
    let draw = move |size: Size, _: bool| fit.with_value(|fit| shapes(fit, size));
    view! {
        <Canvas class="plot" file="isoflop" label draw />
        <p>{law}</p>
        {has_law.then(|| view! {
            <div class="fields">
                <TargetField label="Training FLOPs" meaning="Compute for which the best size is extrapolated. Default: 4 times the largest amount of a profile" number=flops usual />
            </div>
            <p role="status">{said}</p>
        })}
        <div class="scroll" role="region" tabindex="0" aria-label="Profiles">
            <table class="profiles">
                <thead>
                    <tr>
                        <th scope="col">"Compute"</th>
                        <th scope="col" class="right">"Runs"</th>
                        <th scope="col">"Best size"</th>
                        <th scope="col" class="right">{format!("Loss, {LOSS}")}</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        <RunTable runs law=None />
    }
}

#[component]
fn ProfileRow(at: u8, profile: Profile) -> impl IntoView {
    let swatch = format!("--tone: var(--run-{})", at % 8);
    view! {
        <tr>
            <th scope="row"><span class="swatch" style=swatch></span>" "{compute(profile.flops)}</th>
            <td class="right mono">{profile.points.len()}</td>
            <td>{count_with_interval(profile.best_parameters, "parameters")}</td>
            <td class="right mono">{in_unit(profile.best_loss, LOSS)}</td>
        </tr>
    }
}

fn shapes(fit: &Isoflop, size: Size) -> Vec<Shape> {
    let points = || fit.profiles.iter().flat_map(|profile| &profile.points);
    let sizes = extent(points().map(|point| point.parameters).filter(|size| *size > 0.0));
    let fitted = fit.profiles.iter().flat_map(|profile| &profile.curve).map(|at| at.loss.value);
    let losses = extent(points().map(|point| point.loss).chain(fitted));
    let (Some((left, right)), Some((low, high))) = (sizes, losses) else { return vec![] };
    let (x, y) = (Scale::new(ScaleKind::Log, left, right), Scale::new(ScaleKind::Linear, low, high));
    let plot = Plot::new(x.padded(0.04), y.padded(0.06), size);
    // Ticks of tokens write 1e9 as 1 B, as for parameters.
    let mut shapes = plot.frame(("parameters without embeddings", "tokens"), ("validation loss, nats/token", LOSS));
    let inside = (0..).zip(&fit.profiles).flat_map(|(at, profile)| of_profile(profile, &plot, Role::Run(at)));
    shapes.push(plot.clipped(inside.collect()));
    shapes
}

fn of_profile(profile: &Profile, plot: &Plot, role: Role) -> Vec<Shape> {
    let band: Vec<(f64, f64, f64)> =
        profile.curve.iter().map(|at| (at.parameters, at.loss.low, at.loss.high)).collect();
    let curve = profile.curve.iter().map(|at| (at.parameters, at.loss.value));
    let (best, loss) = (profile.best_parameters, profile.best_loss);
    let mut shapes: Vec<Shape> = plot.band(&band, Fill::faint(role, 0.16)).into_iter().collect();
    shapes.extend(plot.line(curve, Stroke::solid(role, 1.5)));
    shapes.extend(profile.points.iter().filter_map(|at| plot.dot(at.parameters, at.loss, 3.0, Fill::solid(role))));
    shapes.extend(plot.line([(best.low, loss), (best.high, loss)].into_iter(), Stroke::solid(Role::Ink, 2.0)));
    shapes.extend(plot.dot(best.value, loss, 4.5, Fill::solid(Role::Ink)));
    shapes
}
