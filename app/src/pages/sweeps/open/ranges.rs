//! Fields for the chosen ranges of the axes: everything that dragging does, with the keyboard.

use leptos::prelude::*;
use wire::hyperparameters::table::Values;

use super::quantity::{AxisValues, Quantity, QuantityAxis};
use super::state::OpenSweep;
use crate::components::hyperparameters::with_comma;
use crate::components::{NumberField, TypedNumber};

const ANY: Values = Values::Number { min: -1e300, max: 1e300 };

#[component]
pub(super) fn RangeFields() -> impl IntoView {
    let open = expect_context::<OpenSweep>();
    view! {
        <details>
            <summary class="small">"Ranges as numbers"</summary>
            <div class="fields ranges">
                <For each=move || open.axes.get() key=key_of let(axis)>
                    <AxisRange axis />
                </For>
            </div>
        </details>
    }
}

/// What the fields of an axis are built for. Those of numbers stay while the axis grows with the values of new trials.
fn key_of(axis: &QuantityAxis) -> (Quantity, Vec<String>) {
    let choices = match &axis.values {
        AxisValues::Choices(choices) => choices.iter().map(|choice| axis.text(choice)).collect(),
        AxisValues::Numbers(_) => vec![],
    };
    (axis.quantity.clone(), choices)
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
    let (label, unit, quantity) = (axis.label.clone(), with_comma(axis.unit), axis.quantity.clone());
    let axis = Memo::new(move |_| {
        let axes = open.axes.read();
        axes.iter().find(|now| now.quantity == axis.quantity).unwrap_or(&axis).clone()
    });
    let (low, high) = (TypedNumber::optional(ANY), TypedNumber::optional(ANY));
    let of = StoredValue::new(quantity);
    let range = Memo::new(move |_| of.with_value(|of| open.brushes.read().get(of).copied()));
    // A text that gives the end of the range already stays as it is typed, also a number beyond the end of the axis.
    let show = move |typed: TypedNumber, place: Option<f64>, end: f64| {
        let is_same = match (untrack(|| place_of(axis, typed)), place) {
            (Some(shown), Some(place)) => (shown - place).abs() < 1e-6,
            // While one end is empty, the range reaches to the end of the axis.
            (None, place) => place.is_none_or(|place| place == end),
            (Some(_), None) => false,
        };
        if !is_same {
            let text = |place: f64| axis.with_untracked(|axis| axis.at(place).as_f64().map(plain).unwrap_or_default());
            typed.set(place.filter(|place| *place != end).map(text).unwrap_or_default());
        }
    };
    Effect::new(move || {
        let range = range.get();
        show(low, range.map(|(low, _)| low), 0.0);
        show(high, range.map(|(_, high)| high), 1.0);
    });
    let take = move |()| {
        let (from, to) = untrack(|| (place_of(axis, low), place_of(axis, high)));
        let is_readable = untrack(|| low.is_readable() && high.is_readable());
        open.brushes.update(|brushes| match (from, to) {
            _ if !is_readable => {}
            (None, None) => drop(brushes.remove(&of.get_value())),
            (from, to) => drop(brushes.insert(of.get_value(), (from.unwrap_or(0.0), to.unwrap_or(1.0)))),
        });
    };
    // The numbers stay, and have other places on an axis that has grown.
    Effect::new(move |was: Option<()>| {
        axis.track();
        if was.is_some() && range.get_untracked().is_some() {
            take(());
        }
    });
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
fn place_of(axis: Memo<QuantityAxis>, typed: TypedNumber) -> Option<f64> {
    let number = typed.number()?;
    axis.with_untracked(|axis| axis.place(&number.into()))
}

/// Five significant digits, as a person types them.
fn plain(number: f64) -> String {
    let rounded: f64 = format!("{number:.4e}").parse().unwrap_or(number);
    if rounded != 0.0 && rounded.abs() < 1e-3 { format!("{rounded:e}") } else { rounded.to_string() }
}

#[cfg(test)]
mod tests {
    use wire::sweep::spec::SweepSpec;

    use super::super::quantity::axes;
    use super::super::quantity::tests::trial;
    use super::*;

    #[test]
    fn the_fields_of_an_axis_stay_while_it_grows() {
        let space = serde_json::json!({ "parameters": { "model.positions": { "choices": ["learned", "rotary"] } } });
        let spec: SweepSpec =
            serde_json::from_value(serde_json::json!({ "name": "rates", "trials": 9, "space": space })).unwrap();
        let few = axes(&spec, &[trial(0, &[], Some(1.0))]);
        let more = axes(&spec, &[trial(0, &[], Some(1.0)), trial(1, &[], Some(9.0))]);
        assert_ne!(few, more, "the axis of the values has grown");
        let keys = |axes: &[QuantityAxis]| axes.iter().map(key_of).collect::<Vec<_>>();
        assert_eq!(keys(&few), keys(&more));
        assert_eq!(keys(&few)[0].1, ["learned", "RoPE"]);
    }

    #[test]
    fn numbers_are_typed_short() {
        for (number, text) in [(0.000_123_456_7, "1.2346e-4"), (2.5, "2.5"), (0.0, "0"), (123_456.0, "123460")] {
            assert_eq!(plain(number), text);
        }
    }
}
