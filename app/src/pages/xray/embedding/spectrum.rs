//! The Fourier spectrum of the numbers' embedding on modular arithmetic, at one step and over the snapshots (Nanda et
//! al. 2023).

use figure::Ramp;
use figure::heat::heat;
use figure::scene::{Anchor, Fill, Point, Rect, Role, Shape, Size, Text};
use leptos::prelude::*;
use wire::inspect::result::{HeatMap, InspectionResult};

use crate::components::{Canvas, shows};
use crate::pages::xray::inspections::result::Inspected;
use crate::pages::xray::subscription::Subscription;
use crate::pages::xray::tokens::percent;

/// Frequencies that are named.
const NAMED: usize = 5;
/// Height of the labels below the bars, pixels.
const FOOT: f64 = 14.0;

/// The spectrum of a result; empty if the text is not modular arithmetic.
fn spectrum(shown: &Inspected) -> &[f32] {
    match &shown.result {
        InspectionResult::Embedding { spectrum, .. } => spectrum,
        _ => &[],
    }
}

/// The spectrum of one step.
#[component]
pub(super) fn Spectrum(subscription: Subscription) -> impl IntoView {
    let is_known = Memo::new(move |_| subscription.result.get().is_some_and(|shown| !spectrum(&shown).is_empty()));
    let draw = move |size: Size, _: bool| -> Vec<Shape> {
        subscription.result.get().map_or(vec![], |shown| bars(spectrum(&shown), size))
    };
    let label =
        Signal::derive(move || subscription.result.get().map_or(String::new(), |shown| strongest(spectrum(&shown))));
    shows(move || {
        is_known.get().then(|| {
            view! {
                <figure class="histogram">
                    <figcaption class="small">
                        <b>"Fourier spectrum of the numbers' embedding"</b>
                        <span class="dim">
                            " Norm of the component at each frequency 2πk/p. A few high bars show that the model adds \
                             by rotation."
                        </span>
                    </figcaption>
                    <Canvas class="bars" label draw />
                    <p class="small dim">{label}</p>
                </figure>
            }
        })
    })
}

fn bars(values: &[f32], size: Size) -> Vec<Shape> {
    let most = values.iter().copied().fold(1e-9, f32::max);
    let width = size.width / values.len().max(1) as f64;
    let bar = |(at, value): (usize, &f32)| {
        let height = f64::from(value / most) * (size.height - FOOT - 2.0);
        let top = size.height - FOOT - height;
        let rect = Rect::new(at as f64 * width + 0.5, top, (width - 1.0).max(0.5), height);
        Shape::Rect { rect, radius: 0.0, fill: Fill::solid(Role::Run(0)) }
    };
    let label = |at: usize| {
        let at_point = Point::new((at as f64 + 0.5) * width, size.height - 2.0);
        Shape::from(Text::numbers(at_point, at.to_string(), 10.0, Role::InkSoft).anchored(Anchor::Middle))
    };
    let labels = (0..values.len()).step_by((values.len() / 8).max(1)).map(label);
    values.iter().enumerate().map(bar).chain(labels).collect()
}

/// The strongest frequencies and their fraction of the energy, without the constant component.
fn strongest(values: &[f32]) -> String {
    let energy = |value: f32| f64::from(value).powi(2);
    let all: f64 = values.iter().skip(1).map(|value| energy(*value)).sum();
    let mut order: Vec<usize> = (1..values.len()).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    order.truncate(NAMED);
    if order.is_empty() || all <= 0.0 {
        return String::new();
    }
    let share: f64 = order.iter().map(|at| energy(values[*at])).sum::<f64>() / all;
    let named: Vec<String> = order.iter().map(usize::to_string).collect();
    format!(
        "The strongest frequencies, {}, contain {} of the energy, without the constant component.",
        named.join(", "),
        percent(share)
    )
}

/// The spectra of the snapshots: a row for each frequency, a column for each snapshot. Nothing if the text is not
/// modular arithmetic.
pub(in crate::pages::xray) fn over_snapshots(snapshots: Memo<Vec<Inspected>>) -> AnyView {
    let with_spectrum = Memo::new(move |_| {
        let snapshots = snapshots.read();
        snapshots.iter().filter(|shown| !spectrum(shown).is_empty()).cloned().collect::<Vec<_>>()
    });
    let draw = move |size: Size, _: bool| -> Vec<Shape> {
        let field = field(&with_spectrum.read());
        vec![heat(&field, Rect::new(0.0, 0.0, size.width, size.height), Ramp::Viridis, (0.0, 1.0))]
    };
    let label =
        Signal::derive(move || with_spectrum.read().last().map_or(String::new(), |last| strongest(spectrum(last))));
    shows(move || {
        (!with_spectrum.read().is_empty()).then(|| {
            view! {
                <h3>"Fourier spectrum of the numbers' embedding"</h3>
                <Canvas class="spectra" file="fourier" label draw />
                <p class="small dim">
                    "Rows are frequencies, columns are snapshots. When the model groks, a few rows stay bright and the \
                     others become dark. "
                    {label}
                </p>
            }
        })
    })
}

/// The heat map of the spectra. Each column is relative to its own maximum, so that structure is visible from the first
/// step; the constant component is left out.
fn field(snapshots: &[Inspected]) -> HeatMap {
    let rows = snapshots.first().map_or(0, |first| spectrum(first).len());
    let value = |row: usize, shown: &Inspected| {
        let values = spectrum(shown);
        let most = values.iter().skip(1).copied().fold(1e-9, f32::max);
        values.get(row).map_or(f32::NAN, |value| value / most)
    };
    let cells: Vec<f32> =
        (1..rows).rev().flat_map(|row| snapshots.iter().map(move |shown| value(row, shown))).collect();
    HeatMap::within(rows.saturating_sub(1), snapshots.len(), &cells, 0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_frequencies_are_named_without_the_constant() {
        assert_eq!(strongest(&[]), "");
        assert_eq!(strongest(&[5.0, 0.0, 0.0]), "");
        let text = strongest(&[9.0, 1.0, 3.0, 0.0]);
        assert!(text.starts_with("The strongest frequencies, 2, 1, 3, contain 100"), "{text}");
    }
}
