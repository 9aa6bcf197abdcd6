//! Fields for the chosen ranges of the axes: everything that dragging does, with the keyboard.

use leptos::prelude::*;
use wire::hyperparameters::table::Values;

use super::quantity::{AxisValues, QuantityAxis};
use super::state::OpenSweep;
use crate::components::hyperparameters::with_comma;
use crate::components::{NumberField, TypedNumber, shows};

const ANY: Values = Values::Number { min: -1e300, max: 1e300 };

#[component]
pub(super) fn RangeFields() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    view! {
        <details>
            <summary class="small">"Ranges as numbers"</summary>
            {shows(move || {
                let fields = open.axes.get().into_iter().map(|axis| view! { <AxisRange axis /> });
                view! { <div class="fields ranges">{fields.collect_view()}</div> }
            })}
        </details>
    }
}

#[component]
fn AxisRange(axis: QuantityAxis) -> impl IntoView {
    match &axis.values {
        AxisValues::Choices(_) => view! { <ChoiceRange axis /> }.into_any(),
        AxisValues::Numbers(_) => view! { <NumberRange axis /> }.into_any(),
    }
}

/// One of the choices.
#[component]
fn ChoiceRange(axis: QuantityAxis) -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let AxisValues::Choices(choices) = &axis.values else { return ().into_any() };
    let count = choices.len() as f64;
    let texts: Vec<String> = choices.iter().map(|choice| axis.text(choice)).collect();
    let of = StoredValue::new(axis.quantity.clone());
    let chosen = move || of.with_value(|of| open.brushes.read().get(of).map(|(low, _)| (low * count).floor() as usize));
    let choose = move |value: String| {
        open.brushes.update(|brushes| match value.parse::<f64>() {
            // A little inside, so that the neighbours are not in the range.
            Ok(at) => drop(brushes.insert(of.get_value(), ((at + 0.01) / count, (at + 0.99) / count))),
            Err(_) => drop(brushes.remove(&of.get_value())),
        });
    };
    view! {
        <label class="field" title="Trials with this value">
            <span class="label">{axis.label}</span>
            <select on:change:target=move |event| choose(event.target().value())>
                <option value="" selected=move || chosen().is_none()>"any"</option>
                {texts.into_iter().enumerate().map(|(at, text)| view! {
                    <option value=at.to_string() selected=move || chosen() == Some(at)>{text}</option>
                }).collect_view()}
            </select>
        </label>
    }
    .into_any()
}

/// The lowest and the highest value.
#[component]
fn NumberRange(axis: QuantityAxis) -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    let (label, unit) = (axis.label.clone(), with_comma(axis.unit));
    let axis = StoredValue::new(axis);
    let (low, high) = (TypedNumber::optional(ANY), TypedNumber::optional(ANY));
    let of = move || axis.with_value(|axis| axis.quantity.clone());
    let range = Memo::new(move |_| open.brushes.read().get(&of()).copied());
    // A text that gives the end of the range already stays as it is typed.
    let show = move |typed: TypedNumber, place: Option<f64>| {
        let shown = untrack(|| place_of(axis, typed));
        let is_same = shown == place || shown.zip(place).is_some_and(|(a, b)| (a - b).abs() < 1e-6);
        if !is_same {
            let text = |place: f64| axis.with_value(|axis| axis.at(place).as_f64().map(plain).unwrap_or_default());
            typed.set(place.map(text).unwrap_or_default());
        }
    };
    Effect::new(move || {
        let range = range.get();
        // While one end is empty, the range reaches to the end of the axis.
        show(low, range.map(|(low, _)| low).filter(|low| *low > 0.0));
        show(high, range.map(|(_, high)| high).filter(|high| *high < 1.0));
    });
    let take = move |()| {
        let (from, to) = untrack(|| (place_of(axis, low), place_of(axis, high)));
        let is_readable = untrack(|| low.is_readable() && high.is_readable());
        open.brushes.update(|brushes| match (from, to) {
            _ if !is_readable => {}
            (None, None) => drop(brushes.remove(&of())),
            (from, to) => drop(brushes.insert(of(), (from.unwrap_or(0.0), to.unwrap_or(1.0)))),
        });
    };
    let (from, to) = (format!("{label}, lowest"), format!("{label}, highest"));
    view! {
        <fieldset class="range">
            <legend class="label">{label}<span class="unit">{unit}</span></legend>
            <div class="row nowrap">
                <label class="grow" title=from.clone()>
                    <span class="unseen">{from.clone()}</span>
                    <NumberField number=low placeholder="from" on_typed=take />
                </label>
                <label class="grow" title=to.clone()>
                    <span class="unseen">{to.clone()}</span>
                    <NumberField number=high placeholder="to" on_typed=take />
                </label>
            </div>
        </fieldset>
    }
}

/// The place of a typed number on the axis.
fn place_of(axis: StoredValue<QuantityAxis>, typed: TypedNumber) -> Option<f64> {
    let number = typed.number()?;
    axis.with_value(|axis| axis.place(&number.into()))
}

/// Five significant digits, as a person types them.
fn plain(number: f64) -> String {
    let rounded: f64 = format!("{number:.4e}").parse().unwrap_or(number);
    if rounded != 0.0 && rounded.abs() < 1e-3 { format!("{rounded:e}") } else { rounded.to_string() }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn numbers_are_typed_short() {
        for (number, text) in [(0.000_123_456_7, "1.2346e-4"), (2.5, "2.5"), (0.0, "0"), (123_456.0, "123460")] {
            assert_eq!(plain(number), text);
        }
    }
}
