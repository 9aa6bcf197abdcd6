//! One component of the strip: a link to its view, coloured, with its value and its problem.

use figure::Ramp;
use leptos::prelude::*;

use super::measurements::components;
use crate::components::{Icon, shows};
use crate::pages::xray::hook_point;
use crate::pages::xray::location::Location;
use crate::pages::xray::quantity::{Coloured, Quantity};
use crate::pages::xray::state::XrayState;
use crate::pages::xray::subscription::Subscription;

/// The label of a component: `MLP` for `block.0.mlp`.
fn label(name: &str) -> String {
    match name.rsplit('.').next().unwrap_or(name) {
        "mlp" => "MLP".into(),
        word => word.to_owned(),
    }
}

/// The component at an index of the strip.
#[component]
pub(super) fn Component(
    index: usize,
    name: String,
    coloured: Memo<Vec<Coloured>>,
    problems: Memo<Vec<Option<String>>>,
    forward: Subscription,
) -> impl IntoView {
    let xray = expect_context::<XrayState>();
    let location = Location::of_component(&name);
    let own = move || coloured.read().get(index).copied();
    let value = move || own().and_then(|own| own.value).map(|value| xray.quantity.get().written(value));
    let heat = move || own().filter(|own| own.value.is_some()).map(|own| Ramp::Viridis.css(own.position));
    let problem = Memo::new(move |_| problems.read().get(index).cloned().flatten());
    let title = tooltip(xray, name.clone(), value, problem);
    let is_attention = name.ends_with(".attention");
    let shows_heads = move || is_attention && xray.quantity.get() == Quantity::AttentionEntropy;
    view! {
        <a
            class="component"
            class:has-problem=move || problem.read().is_some()
            href=move || xray.path(&location)
            title=title
        >
            <b>{label(&name)}</b>
            <span class="colour" style:--heat=heat>{shows(move || shows_heads().then(|| heads(forward, index)))}</span>
            <span class="mono small">{shows(move || value().unwrap_or_else(|| "–".into()))}</span>
            {shows(move || problem.read().is_some().then(|| view! { <Icon name="warning" /> }))}
        </a>
    }
}

/// Name, value, problem and hook point.
fn tooltip(
    xray: XrayState,
    name: String,
    value: impl Fn() -> Option<String> + Clone + Send + Sync + 'static,
    problem: Memo<Option<String>>,
) -> impl Fn() -> String + Clone + Send + Sync + 'static {
    let hook_point = xray.model.with_value(|model| hook_point::of_component(&name, model));
    move || {
        let about = xray.quantity.get().about();
        let value = value().map_or("no value".into(), |value| format!("{value} {}", about.unit));
        let problem = problem.get().map(|problem| format!(" · {problem}")).unwrap_or_default();
        format!("{name}: {} {}{problem} · hook point {hook_point}", about.label, value.trim_end())
    }
}

/// A square for each head, so that single sharp heads are visible.
fn heads(forward: Subscription, index: usize) -> AnyView {
    let result = forward.result.get();
    let about = Quantity::AttentionEntropy.about();
    let heads = components(result.as_ref()).get(index).map(|component| component.heads.clone()).unwrap_or_default();
    let square = |entropy: f32| {
        view! { <i style:background=Ramp::Viridis.css(about.position(f64::from(entropy)))></i> }
    };
    heads.into_iter().map(|head| square(head.entropy)).collect_view().into_any()
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn components_have_short_labels() {
        let labels = ["embedding", "block.1.attention", "block.1.mlp", "norm"].map(label);
        assert_eq!(labels, ["embedding", "attention", "MLP", "norm"]);
    }
}
