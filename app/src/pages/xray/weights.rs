//! All matrices in little: a thumbnail, the sizes of their values, and what is to be known of them in three numbers; below, how these went
//! over the kept steps.

use figure::heat::{describe_histogram, heat, histogram};
use figure::scene::{Rect, Shape, Size};
use figure::{Ramp, number};
use leptos::prelude::*;
use wire::look::{Look, Of};
use wire::sight::{Sight, Thumbnail};

use super::Inside;
use super::seat::{Seat, stand};
use super::trends::Trends;
use crate::parts::{Plate, clicks, says, shows};
use crate::xray::clock::When;
use crate::xray::place::{OF, Place};

/// What of a parameter is shown.
pub(super) fn of(inside: Inside) -> Of {
    match *inside.place.read() {
        Place::Weights { of } | Place::Matrix { of, .. } => of,
        _ => Of::Weight,
    }
}

/// The choice of what is shown; `to` says where a choice leads.
pub(super) fn choice(inside: Inside, to: impl Fn(Of) -> Place + Copy + Send + Sync + 'static) -> AnyView {
    let meaning = |of: Of| match of {
        Of::Weight => "Its values",
        Of::Gradient => "The gradient of the loss on the held-out window",
        Of::Update => {
            "What the optimizer would change it by now: first moment over the root of the second, times the rate"
        }
    };
    view! {
        <div class="tabs" role="group" aria-label="What is shown">
            {OF.map(|(each, word)| view! { <button class="tab" title=meaning(each) aria-pressed=says(move || (of(inside) == each).to_string()) on:click=clicks(move |_| inside.go(&to(each)))>{word}</button> })}
        </div>
    }
    .into_any()
}

/// The view.
pub(super) fn view(inside: Inside, when: Signal<When>) -> AnyView {
    let of = Memo::new(move |_| of(inside));
    let seat = inside.seat(when, move |_| Some(Look::Gallery { of: of.get() }));
    let names = Memo::new(move |_| match seat.shown.get().map(|shown| shown.sight.clone()) {
        Some(Sight::Gallery { matrices }) => matrices.into_iter().map(|matrix| matrix.tensor).collect::<Vec<_>>(),
        _ => vec![],
    });
    view! {
        {choice(inside, |of| Place::Weights { of })}
        {stand(inside, seat, move || view! {
            <ul class="gallery">
                {shows(move || names.get().into_iter().enumerate().map(|(at, tensor)| view! { <Card inside seat at tensor /> }).collect_view())}
            </ul>
        }.into_any())}
        {shows(move || (of.get() == Of::Weight).then(|| view! { <Trends inside /> }))}
    }
    .into_any()
}

/// A matrix in little: a link to it.
#[component]
fn Card(inside: Inside, seat: Seat, at: usize, tensor: String) -> impl IntoView {
    // The sight is shared: only what a card needs is read of it.
    let read = move |with: &dyn Fn(&Thumbnail)| {
        if let Some(shown) = seat.shown.get()
            && let Sight::Gallery { matrices } = &shown.sight
            && let Some(matrix) = matrices.get(at)
        {
            with(matrix);
        }
    };
    let draw = move |size: Size, is_dark: bool| -> Vec<Shape> {
        let shapes = std::cell::RefCell::new(vec![]);
        let ramp = Ramp::signed(is_dark);
        read(&|matrix| {
            let whole = Rect::new(0.0, 0.0, size.width, size.height);
            *shapes.borrow_mut() = vec![heat(&matrix.mean, whole, ramp, ramp.ends(matrix.mean.low, matrix.mean.high))];
        });
        shapes.into_inner()
    };
    let bars = move |size: Size, _: bool| -> Vec<Shape> {
        let shapes = std::cell::RefCell::new(vec![]);
        read(&|matrix| {
            *shapes.borrow_mut() = histogram(&matrix.histogram, Rect::new(0.0, 0.0, size.width, size.height))
        });
        shapes.into_inner()
    };
    let told = move |tell: fn(&Thumbnail) -> String| {
        let text = std::cell::RefCell::new(String::new());
        read(&|matrix| *text.borrow_mut() = tell(matrix));
        text.into_inner()
    };
    let shape = move || told(|matrix| format!("{} × {}", matrix.shape[0], matrix.shape[1]));
    let rank = move || {
        told(
            |matrix| {
                if matrix.stable_rank.is_nan() { "–".into() } else { number::short(f64::from(matrix.stable_rank)) }
            },
        )
    };
    let place = StoredValue::new(tensor.clone());
    let href = move || inside.path(&Place::Matrix { tensor: place.get_value(), of: of(inside) });
    let label = Signal::derive(move || format!("Means of tiles of {}", place.get_value()));
    view! {
        <li>
            <a class="matrix-card" href=href>
                <b class="small">{tensor}</b>
                <Plate class="thumb" label draw />
                <Plate class="mini-bars" label=Signal::derive(move || told(|matrix| describe_histogram(&matrix.histogram))) draw=bars />
                <dl class="pairs small">
                    <div title="Rows and columns"><dt>"shape"</dt><dd class="mono">{shape}</dd></div>
                    <div title="Root mean square of its values"><dt>"RMS"</dt><dd class="mono">{shows(move || told(|matrix| number::short(matrix.moments.rms)))}</dd></div>
                    <div title="|W|²_F / |W|²₂: how many directions carry it. A fresh matrix has many; training makes some matter more."><dt>"stable rank"</dt><dd class="mono">{rank}</dd></div>
                </dl>
            </a>
        </li>
    }
}
