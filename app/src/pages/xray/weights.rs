//! All matrices, small: a heat map, a histogram and three numbers each; below, how these numbers changed over the
//! snapshots.

mod trends;
pub(super) mod values;

use std::cell::RefCell;

use figure::heat::{describe_histogram, heat, histogram};
use figure::scene::{Rect, Shape, Size};
use figure::{Ramp, number};
use leptos::prelude::*;
use wire::inspect::request::{Inspection, TensorValues};
use wire::inspect::result::{InspectionResult, MatrixSummary};

use super::inspected::inspected;
use super::location::Location;
use super::state::XrayState;
use super::step::StepChoice;
use super::subscription::Subscription;
use crate::components::{Canvas, shows};
use trends::Trends;

const SHAPE: &str = "Rows × columns: inputs × outputs";
const RMS: &str = "Root mean square of the values, √(Σ w² / n)";
const STABLE_RANK: &str = "|W|²_F / |W|²₂: the effective number of directions. It is high in a random matrix and \
    falls as training makes some directions dominant.";

pub(super) fn view(xray: XrayState, step: Signal<StepChoice>) -> AnyView {
    let values = Memo::new(move |_| values::chosen(xray));
    let subscription = xray.subscribe(step, move |_| Some(Inspection::Weights { values: values.get() }));
    let names = Memo::new(move |_| match subscription.result.get().map(|shown| shown.result.clone()) {
        Some(InspectionResult::Weights { matrices }) => {
            matrices.into_iter().map(|matrix| matrix.tensor).collect::<Vec<_>>()
        }
        _ => vec![],
    });
    let cards = move || {
        let names = names.get().into_iter().enumerate();
        names.map(|(index, tensor)| view! { <Card xray subscription index tensor /> }).collect_view()
    };
    view! {
        <h2>"Weights"</h2>
        {values::choice(xray, |values| Location::Weights { values })}
        {inspected(xray, subscription, move || view! { <ul class="matrices">{shows(cards)}</ul> }.into_any())}
        {shows(move || (values.get() == TensorValues::Weight).then(|| view! { <Trends xray /> }))}
    }
    .into_any()
}

/// A matrix of a result. The result is shared; only what is needed is read from it.
#[derive(Clone, Copy)]
struct Summary {
    subscription: Subscription,
    index: usize,
}

impl Summary {
    fn read(self, read: impl FnOnce(&MatrixSummary)) {
        if let Some(shown) = self.subscription.result.get()
            && let InspectionResult::Weights { matrices } = &shown.result
            && let Some(matrix) = matrices.get(self.index)
        {
            read(matrix);
        }
    }

    fn text(self, text: fn(&MatrixSummary) -> String) -> String {
        let written = RefCell::new(String::new());
        self.read(|matrix| *written.borrow_mut() = text(matrix));
        written.into_inner()
    }

    fn shapes(self, draw: impl FnOnce(&MatrixSummary) -> Vec<Shape>) -> Vec<Shape> {
        let drawn = RefCell::new(vec![]);
        self.read(|matrix| *drawn.borrow_mut() = draw(matrix));
        drawn.into_inner()
    }
}

/// The name of a parameter, which may break after its dots.
fn breakable(tensor: &str) -> String {
    tensor.replace('.', ".\u{200b}")
}

fn shape(matrix: &MatrixSummary) -> String {
    format!("{} × {}", matrix.shape[0], matrix.shape[1])
}

fn rms(matrix: &MatrixSummary) -> String {
    number::short(matrix.moments.rms)
}

fn stable_rank(matrix: &MatrixSummary) -> String {
    if matrix.stable_rank.is_nan() { "–".into() } else { number::short(f64::from(matrix.stable_rank)) }
}

/// A matrix; a link to its own view.
#[component]
fn Card(xray: XrayState, subscription: Subscription, index: usize, tensor: String) -> impl IntoView {
    let summary = Summary { subscription, index };
    let whole = |size: Size| Rect::new(0.0, 0.0, size.width, size.height);
    let draw = move |size: Size, is_dark: bool| -> Vec<Shape> {
        let ramp = Ramp::signed(is_dark);
        summary
            .shapes(|matrix| vec![heat(&matrix.mean, whole(size), ramp, ramp.ends(matrix.mean.low, matrix.mean.high))])
    };
    let bars = move |size: Size, _: bool| summary.shapes(|matrix| histogram(&matrix.histogram, whole(size)));
    let name = StoredValue::new(tensor.clone());
    let href = move || xray.path(&Location::Matrix { tensor: name.get_value(), values: values::chosen(xray) });
    let label = Signal::derive(move || format!("Heat map of {}, means of tiles", name.get_value()));
    let sizes = Signal::derive(move || summary.text(|matrix| describe_histogram(&matrix.histogram)));
    view! {
        <li>
            <a class="matrix-card" title="Enlarge this matrix" href=href>
                <b class="small">{breakable(&tensor)}</b>
                <Canvas class="thumb" label draw />
                <Canvas class="mini-bars" label=sizes draw=bars />
                <dl class="pairs small">
                    <div title=SHAPE><dt>"shape"</dt><dd class="mono">{shows(move || summary.text(shape))}</dd></div>
                    <div title=RMS><dt>"RMS"</dt><dd class="mono">{shows(move || summary.text(rms))}</dd></div>
                    <div title=STABLE_RANK>
                        <dt>"stable rank"</dt>
                        <dd class="mono">{shows(move || summary.text(stable_rank))}</dd>
                    </div>
                </dl>
            </a>
        </li>
    }
}
