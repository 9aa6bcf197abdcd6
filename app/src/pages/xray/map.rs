//! The model drawn as it is, from embedding to head, lit by a chosen quantity. What is wrong glows and says so, whatever it is lit by.

use figure::Ramp;
use figure::number;
use leptos::prelude::*;
use wire::frame::TensorStats;
use wire::look::Look;
use wire::sight::{PartSight, Sight};

use super::seat::{Seat, cost, stand};
use super::text::loss_text;
use super::{Inside, is_waiting};
use crate::parts::{Icon, shows};
use crate::xray::clock::When;
use crate::xray::frames::{Seeing, Shown};
use crate::xray::place::Place;
use crate::xray::quantity::{LIGHTS, Light, Lit, lit};

/// The parts that a picture of the map holds.
fn parts(shown: Option<&Shown>) -> &[PartSight] {
    match shown.map(|shown| &shown.sight) {
        Some(Sight::Map { parts, .. }) => parts,
        _ => &[],
    }
}

/// What a picture holds that steps measured.
fn tensors(shown: Option<&Shown>) -> &[TensorStats] {
    match shown.map(|shown| &shown.sight) {
        Some(Sight::Tensors { tensors, .. }) => tensors,
        _ => &[],
    }
}

/// What every part is called on the map, and the block it stands in.
fn words(name: &str) -> (Option<u32>, String) {
    let mut pieces = name.split('.');
    match (pieces.next(), pieces.next().and_then(|layer| layer.parse().ok()), pieces.next()) {
        (Some("block"), Some(layer), Some("mlp")) => (Some(layer), "MLP".into()),
        (Some("block"), Some(layer), Some(part)) => (Some(layer), part.to_owned()),
        _ => (None, name.to_owned()),
    }
}

/// The names of a model's parts, in order, before anything was seen of them.
fn names(layers: u32) -> Vec<String> {
    let blocks = (0..layers).flat_map(|layer| [format!("block.{layer}.attention"), format!("block.{layer}.mlp")]);
    std::iter::once("embedding".to_owned()).chain(blocks).chain(["norm".into(), "head".into()]).collect()
}

/// What the map is lit from: a pass over the text, and what the steps measured.
#[derive(Clone, Copy)]
struct Lamps {
    pass: Seat,
    measured: Seat,
}

impl Lamps {
    fn new(inside: Inside, when: Signal<When>) -> Self {
        let pass = inside.seat(when, |passage| Some(Look::Map { passage }));
        Self { pass, measured: inside.seat(when, |_| Some(Look::Tensors {})) }
    }

    /// Every part, lit as chosen.
    fn lit(self, light: Light) -> Vec<Lit> {
        let (shown, measured) = (self.pass.shown.get(), self.measured.shown.get());
        lit(light, parts(shown.as_ref()), tensors(measured.as_ref()))
    }
}

/// The strip on top.
#[component]
pub(super) fn Map() -> impl IntoView {
    let inside = expect_context::<Inside>();
    let when = Signal::derive(move || inside.when.get());
    let lamps = Lamps::new(inside, when);
    let (seat, light) = (lamps.pass, inside.light);
    let lit = Memo::new(move |_| lamps.lit(light.get()));
    let names = names(inside.layers());
    let places: Vec<(usize, String)> = names.iter().cloned().enumerate().collect();
    // A block's two parts stand in one frame.
    let mut groups: Vec<(Option<u32>, Vec<(usize, String)>)> = vec![];
    for (at, name) in places {
        let block = words(&name).0;
        match groups.last_mut() {
            Some((last, group)) if block.is_some() && *last == block => group.push((at, name)),
            _ => groups.push((block, vec![(at, name)])),
        }
    }
    let problems = Memo::new(move |_| lit.read().iter().filter(|lit| lit.problem.is_some()).count());
    let note = move || match seat.seeing.get() {
        Seeing::Unseen(message) if !is_waiting(inside.summary.read().state) => Some(message),
        _ if light.get().is_of_step() && matches!(lamps.measured.seeing.get(), Seeing::Unseen(_) | Seeing::NotKept) => {
            Some("Training steps measure this now and then, and nothing of it is known here.".into())
        }
        _ => None,
    };
    view! {
        <section class="sheet model" aria-label="The model, lit">
            <div class="row model-tools">
                <label class="light-by">"light by "
                    <select aria-label="Light by" on:change:target=move |event| if let Some(about) = LIGHTS.iter().find(|about| about.word == event.target().value()) { light.set(about.light) }>
                        {LIGHTS.iter().map(|about| view! { <option value=about.word title=about.meaning selected=move || light.get() == about.light>{about.word}</option> }).collect_view()}
                    </select>
                </label>
                {shows(move || scale(light.get()))}
                <span class="grow"></span>
                {shows(move || (problems.get() > 0).then(|| view! { <span class="problems"><Icon name="warning" />{match problems.get() { 1 => "one part needs a look".to_owned(), many => format!("{many} parts need a look") }}</span> }))}
                <span class="small dim cost" title="Time that looks take of all time; they are stretched to stay under 5 %, and end when no page is open">{shows(move || cost(&seat.seeing.get()))}</span>
            </div>
            <div class="flow" class:unlit=move || seat.shown.read().is_none()>
                {groups.into_iter().map(|(block, group)| {
                    let parts = group.into_iter().map(|(at, name)| view! { <Part at name lit seat /> }).collect_view();
                    match block {
                        Some(layer) => view! { <div class="block" role="group" aria-label=format!("Block {layer}")><span class="small dim">{format!("block {layer}")}</span><div class="pair">{parts}</div></div> }.into_any(),
                        None => parts.into_any(),
                    }
                }).collect_view()}
            </div>
            {shows(move || note().map(|note| view! { <p class="small dim model-note">{note}</p> }))}
        </section>
    }
}

/// What the colours mean.
fn scale(light: Light) -> AnyView {
    let about = light.about();
    let stops: Vec<String> = (0..=8).map(|at| Ramp::Viridis.css(f64::from(at) / 8.0)).collect();
    let (low, high) = about.ends;
    view! {
        <span class="scale small dim" title=format!("{} {}", about.meaning, about.healthy)>
            <span class="mono">{light.written(low)}</span>
            <i style:background=format!("linear-gradient(90deg, {})", stops.join(", "))></i>
            <span class="mono">{light.written(high)}</span>
            {about.unit}
        </span>
    }
    .into_any()
}

/// One part: a link inside, lit.
#[component]
fn Part(at: usize, name: String, lit: Memo<Vec<Lit>>, seat: Seat) -> impl IntoView {
    let inside = expect_context::<Inside>();
    let place = Place::of_part(&name);
    let (_, word) = words(&name);
    let own = Memo::new(move |_| lit.read().get(at).cloned());
    let value = move || own.get().and_then(|lit| lit.value).map(|value| inside.light.get().written(value));
    let problem = move || own.read().as_ref().and_then(|lit| lit.problem.clone());
    let heat = move || own.read().as_ref().filter(|lit| lit.value.is_some()).map(|lit| Ramp::Viridis.css(lit.share));
    let full = name.clone();
    let title = move || {
        let about = inside.light.get().about();
        let value = value().map_or("not measured here".into(), |value| format!("{value} {}", about.unit));
        let trouble = problem().map(|problem| format!(" · {problem}")).unwrap_or_default();
        format!("{full}: {} {value}{trouble}", about.word)
    };
    // A head is a small square of its own, so that a block shows which of its heads is sharp.
    let heads = move || {
        let shown = seat.shown.get();
        let heads = parts(shown.as_ref()).get(at).map(|part| part.heads.clone()).unwrap_or_default();
        let about = Light::Entropy.about();
        heads
            .into_iter()
            .map(|head| view! { <i style:background=Ramp::Viridis.css(about.share(f64::from(head.entropy)))></i> })
            .collect_view()
    };
    let shows_heads = move || word_is_attention(&name) && inside.light.get() == Light::Entropy;
    view! {
        <a class="part" class:glows=move || problem().is_some() href=move || inside.path(&place) title=title.clone() aria-label=title>
            <b>{word}</b>
            <span class="lamp" style:--heat=heat>{shows(move || shows_heads().then(heads))}</span>
            <span class="mono small">{shows(move || value().unwrap_or_else(|| "–".into()))}</span>
            {shows(move || problem().map(|_| view! { <Icon name="warning" /> }))}
        </a>
    }
}

fn word_is_attention(name: &str) -> bool {
    name.ends_with(".attention")
}

/// The view of the map itself: the text painted by loss, and every quantity of every part as a table.
pub(super) fn view(inside: Inside, when: Signal<When>) -> AnyView {
    let lens = inside.seat(when, |passage| Some(Look::Lens { passage }));
    let lamps = Lamps::new(inside, when);
    view! {
        {stand(inside, lens, move || view! {
            <h2>"The text it reads, painted by loss"</h2>
            {loss_text(inside, lens)}
        }.into_any())}
        {stand(inside, lamps.pass, move || view! { <PartTable lamps /> }.into_any())}
    }
    .into_any()
}

#[component]
fn PartTable(lamps: Lamps) -> impl IntoView {
    let inside = expect_context::<Inside>();
    let rows = move || {
        let shown = lamps.pass.shown.get();
        let columns: Vec<Vec<Lit>> = LIGHTS.iter().map(|about| lamps.lit(about.light)).collect();
        let row = |(at, part): (usize, &PartSight)| {
            let cells = LIGHTS.iter().zip(&columns).map(|(about, lit)| {
                let value = lit.get(at).and_then(|lit| lit.value);
                view! { <td class="right mono">{value.map_or("–".into(), |value| about.light.written(value))}</td> }
            });
            let problem = columns[0].get(at).and_then(|lit| lit.problem.clone());
            let glows = problem.is_some();
            view! {
                <tr class:glows=glows>
                    <th scope="row"><a href=inside.path(&Place::of_part(&part.name))>{part.name.clone()}</a></th>
                    <td class="right mono">{if part.stream_rms > 0.0 { number::short(f64::from(part.stream_rms)) } else { "–".into() }}</td>
                    {cells.collect_view()}
                    <td class="wrap">{problem}</td>
                </tr>
            }
        };
        parts(shown.as_ref()).iter().enumerate().map(row).collect_view()
    };
    view! {
        <h2>"Every part in numbers"</h2>
        <div class="scroll">
            <table class="dense">
                <thead><tr>
                    <th scope="col">"part"</th>
                    <th scope="col" class="right" title="Root mean square of the residual stream after it">"stream"</th>
                    {LIGHTS.iter().map(|about| view! { <th scope="col" class="right" title=format!("{} {}", about.meaning, about.healthy)>{about.word}</th> }).collect_view()}
                    <th scope="col">"what is wrong"</th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}
