//! One parameter as a heat map, down to single values. While new tiles load, the previous ones stay visible.

mod heat_map;
mod viewport;
mod window;

use std::time::Duration;

use figure::number;
use leptos::prelude::*;
use wire::inspect::request::{Inspection, TensorValues, Window};
use wire::inspect::result::{Histogram, InspectionResult};

use super::histogram;
use super::inspected::inspected;
use super::location::Location;
use super::state::XrayState;
use super::step::StepChoice;
use super::weights::values;
use crate::components::{Number, shows};
use heat_map::MatrixHeatMap;
use viewport::Viewport;

/// From the last change of the viewport until its tiles are requested.
const SETTLED: Duration = Duration::from_millis(160);
const NO_VALUE: &str = "Tap or point at the matrix to read values; the wheel zooms, dragging moves";

pub(super) fn view(xray: XrayState, step: Signal<StepChoice>) -> AnyView {
    let chosen = Memo::new(move |_| match xray.location.get() {
        Location::Matrix { tensor, values } => (tensor, values),
        _ => (String::new(), TensorValues::Weight),
    });
    let window = RwSignal::new(None::<Window>);
    let requested = settled(window, Signal::derive(move || chosen.get().0));
    let subscription = xray.subscribe(step, move |_| {
        let (tensor, values) = chosen.get();
        (!tensor.is_empty()).then(|| Inspection::Matrix { tensor, values, window: requested.get() })
    });
    let viewport = Viewport::new(subscription, window);
    let to = move |values| Location::Matrix { tensor: chosen.with_untracked(|(tensor, _)| tensor.clone()), values };
    let sizes = Signal::derive(move || match subscription.result.get().map(|shown| shown.result.clone()) {
        Some(InspectionResult::Matrix { histogram, .. }) => histogram,
        _ => Histogram::default(),
    });
    let content = move || {
        view! {
            <Facts viewport />
            <MatrixHeatMap viewport />
            <PointedValue viewport />
            {histogram::figure(sizes, "Histogram of the values in view")}
        }
        .into_any()
    };
    view! {
        <h2 class="mono">{shows(move || chosen.get().0)}</h2>
        {values::choice(xray, to)}
        {inspected(xray, subscription, content)}
    }
    .into_any()
}

/// The window to request: that of the viewport once it rests, and the whole of another tensor at once.
fn settled(window: RwSignal<Option<Window>>, tensor: Signal<String>) -> RwSignal<Option<Window>> {
    let requested = RwSignal::new(None::<Window>);
    Effect::new(move |before: Option<String>| {
        let tensor = tensor.get();
        if before.is_some_and(|before| before != tensor) {
            window.set(None);
            requested.set(None);
        }
        tensor
    });
    let mut request = leptos::leptos_dom::helpers::debounce(SETTLED, move |wanted: Option<Window>| {
        requested.try_set(wanted);
    });
    Effect::new(move || request(window.get()));
    requested
}

#[component]
fn Facts(viewport: Viewport) -> impl IntoView {
    let fact = |label: &'static str, value: f64, meaning: &'static str| {
        view! {
            <div>
                <dt>{label}</dt>
                <dd><Number text=number::short(value) meaning=format!("{meaning}: {value}") /></dd>
            </div>
        }
    };
    shows(move || {
        let result = viewport.subscription.result.get()?;
        let InspectionResult::Matrix { shape, moments, .. } = &result.result else {
            return None;
        };
        let non_finite = (moments.non_finite > 0).then(|| {
            view! {
                <div class="over" title="NaN and infinite values in view">
                    <dt>"not finite"</dt>
                    <dd>{number::whole(moments.non_finite)}</dd>
                </div>
            }
        });
        Some(view! {
            <dl class="figures across">
                <div title="Rows × columns: inputs × outputs">
                    <dt>"shape"</dt>
                    <dd class="mono">{format!("{} × {}", shape[0], shape[1])}</dd>
                </div>
                {fact("mean", moments.mean, "Mean of the values in view")}
                {fact("RMS", moments.rms, "Root mean square of the values in view, √(Σ w² / n)")}
                {fact("minimum", moments.min, "Smallest value in view")}
                {fact("maximum", moments.max, "Largest value in view")}
                {non_finite}
            </dl>
        })
    })
}

/// The value pointed at, or the statistics of its tile if values are combined.
#[component]
fn PointedValue(viewport: Viewport) -> impl IntoView {
    let pointed = move || {
        let (row, column) = viewport.cell.get()?;
        let result = viewport.subscription.result.get()?;
        heat_map::value_text(&result.result, row, column)
    };
    view! { <p class="small" role="status">{shows(move || pointed().unwrap_or_else(|| NO_VALUE.into()))}</p> }
}
