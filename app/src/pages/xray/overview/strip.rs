//! The strip of components, with the choice of the quantity and its colour scale.

use figure::Ramp;
use leptos::prelude::*;
use wire::inspect::request::UNKNOWN_CHARACTERS;

use super::component::Component;
use super::measurements::Measurements;
use crate::components::{Icon, shows};
use crate::net::api::sentence;
use crate::pages::xray::inspected::{other_step, overhead_text, substitution};
use crate::pages::xray::inspections::result::Status;
use crate::pages::xray::quantity::{QUANTITIES, Quantity};
use crate::pages::xray::state::XrayState;

/// The names of a model's components in the order of the forward pass.
fn names(layers: u32) -> Vec<String> {
    let blocks = (0..layers).flat_map(|layer| [format!("block.{layer}.attention"), format!("block.{layer}.mlp")]);
    std::iter::once("embedding".to_owned()).chain(blocks).chain(["norm".into(), "head".into()]).collect()
}

/// The block of a component.
fn block(name: &str) -> Option<u32> {
    name.strip_prefix("block.")?.split('.').next()?.parse().ok()
}

/// Components that are drawn in one frame: those of a block, or a single one.
struct Group {
    block: Option<u32>,
    /// Index in the order of the forward pass, and name.
    components: Vec<(usize, String)>,
}

fn grouped(names: Vec<String>) -> Vec<Group> {
    let mut groups: Vec<Group> = vec![];
    for (index, name) in names.into_iter().enumerate() {
        let block = block(&name);
        match groups.last_mut() {
            Some(last) if block.is_some() && last.block == block => last.components.push((index, name)),
            _ => groups.push(Group { block, components: vec![(index, name)] }),
        }
    }
    groups
}

/// The strip.
#[component]
pub(crate) fn Overview() -> impl IntoView {
    let xray = expect_context::<XrayState>();
    let measurements = Measurements::new(xray, Signal::derive(move || xray.step.get()));
    let coloured = Memo::new(move |_| measurements.coloured(xray.quantity.get()));
    let problems = Memo::new(move |_| measurements.problems());
    Effect::new(move || xray.prompt_problem.set(prompt_problem(&measurements.forward.status.get())));
    let group = move |Group { block, components }: Group| {
        let forward = measurements.forward;
        let components =
            components.into_iter().map(|(index, name)| view! { <Component index name coloured problems forward /> });
        framed(block, components.collect_view().into_any())
    };
    let has_no_values = move || measurements.forward.result.read().is_none();
    // The colors are those of an inspection, or of the statistics of a training step.
    let other = Memo::new(move |_| match xray.quantity.get().is_measured_by_steps() {
        true => other_step(xray, measurements.training),
        false => other_step(xray, measurements.forward),
    });
    view! {
        <section class="sheet model" aria-label="Overview of the model">
            <div class="row model-tools">
                <QuantityChoice xray />
                {shows(move || colour_scale(xray.quantity.get()))}
                <span class="grow"></span>
                {shows(move || problem_count(&problems.read()))}
                <span
                    class="small dim overhead"
                    title="Fraction of the training time that all live inspections take together. Their interval is \
                           lengthened to keep it below 5 %, and they end when no page shows them."
                >
                    {shows(move || overhead_text(&measurements.forward.status.get(), xray.summary.read().state))}
                </span>
            </div>
            {shows(move || other.get().map(|(shown, wanted)| view! {
                <p class="row in-place" role="status"><Icon name="warning" /><span>{substitution(shown, wanted)}</span></p>
            }))}
            <div class="flow" class:no-values=has_no_values>
                {grouped(names(xray.layers())).into_iter().map(group).collect_view()}
            </div>
            {shows(move || note(xray, measurements).map(|note| view! { <p class="small dim model-note">{note}</p> }))}
        </section>
    }
}

/// The components of a block in a frame; others without.
fn framed(block: Option<u32>, components: AnyView) -> AnyView {
    match block {
        Some(layer) => view! {
            <div class="block" role="group" aria-label=format!("Block {layer}")>
                <span class="small dim">{format!("block {layer}")}</span>
                <div class="pair">{components}</div>
            </div>
        }
        .into_any(),
        None => components,
    }
}

#[component]
fn QuantityChoice(xray: XrayState) -> impl IntoView {
    let choose = move |label: String| {
        if let Some(about) = QUANTITIES.iter().find(|about| about.label == label) {
            xray.quantity.set(about.quantity);
        }
    };
    let options = QUANTITIES.iter().map(|about| {
        view! {
            <option value=about.label title=about.meaning selected=move || xray.quantity.get() == about.quantity>
                {about.label}
            </option>
        }
    });
    view! {
        <label class="colour-by" title="The quantity that colors the components. Default: activation RMS">"color by "
            <select aria-label="Color by" on:change:target=move |event| choose(event.target().value())>
                {options.collect_view()}
            </select>
        </label>
    }
}

fn colour_scale(quantity: Quantity) -> AnyView {
    let about = quantity.about();
    let stops: Vec<String> = (0..=8).map(|at| Ramp::Viridis.css(f64::from(at) / 8.0)).collect();
    let [low, high] = quantity.end_labels();
    view! {
        <span class="scale small dim" title=about.tooltip()>
            <span class="mono">{low}</span>
            <i style:background=format!("linear-gradient(90deg, {})", stops.join(", "))></i>
            <span class="mono">{high}</span>
            {about.unit}
            {if about.is_log { " (log scale)" } else { "" }}
        </span>
    }
    .into_any()
}

fn problem_count(problems: &[Option<String>]) -> Option<AnyView> {
    let text = match problems.iter().flatten().count() {
        0 => return None,
        1 => "1 component has a problem".to_owned(),
        many => format!("{many} components have a problem"),
    };
    let title = "The components marked in red; their tooltips and the table of the Overview tab say what is wrong";
    Some(view! { <span class="problems" title=title><Icon name="warning" />{text}</span> }.into_any())
}

/// Whether a message is about the inspected text, so that all views have the same.
fn is_of_text(message: &str) -> bool {
    message.starts_with(UNKNOWN_CHARACTERS) || message.starts_with(UNKNOWN_WINDOW)
}

/// The beginning of the message about a window that the dataset does not have.
const UNKNOWN_WINDOW: &str = "unknown validation window";

/// The message of an inspection that failed because of its text: characters that are not in the vocabulary, or a window that
/// does not exist.
fn prompt_problem(status: &Status) -> Option<String> {
    match status {
        Status::Failed(message) if is_of_text(&message.to_lowercase()) => Some(sentence(message)),
        _ => None,
    }
}

/// The reason why components have no colour; `None` if they have one.
fn note(xray: XrayState, measurements: Measurements) -> Option<String> {
    if xray.is_waiting() {
        return Some("The run has not started: no values of the components have been measured yet.".into());
    }
    let missing = || matches!(measurements.training.status.get(), Status::Failed(_) | Status::NoSnapshot);
    match measurements.forward.status.get() {
        Status::Failed(_) if xray.prompt_problem.read().is_some() => None,
        Status::Failed(message) => Some(sentence(&message)),
        _ if xray.quantity.get().is_measured_by_steps() && missing() => {
            Some("Training steps measure this quantity at intervals; there is no measurement for this step.".into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_components_of_a_block_stand_together() {
        let groups = grouped(names(2));
        let sizes: Vec<(Option<u32>, usize)> =
            groups.iter().map(|group| (group.block, group.components.len())).collect();
        assert_eq!(sizes, [(None, 1), (Some(0), 2), (Some(1), 2), (None, 1), (None, 1)]);
        assert_eq!(groups[2].components[1], (4, "block.1.mlp".to_owned()));
    }
}
