//! Hands inside: parts silenced or scaled in a pass of their own, and what that does to loss and completion. The run is not touched, unless
//! someone makes it last ([`super::lasting`]).

use figure::number;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::edit::{Edit, MOST_EDITS, Part};
use wire::frame::Frame;
use wire::look::Look;
use wire::sight::Sight;

use super::Inside;
use super::lasting::Lasting;
use super::text::token_text;
use crate::api::inside;
use crate::parts::{Failure, Icon, Skeleton, clicks, says, shows};
use crate::xray::clock::When;
use crate::xray::tokens::{percent, visible};

/// The kinds of parts, with the names of their numbers.
const KINDS: [(&str, &str, Option<&str>); 6] = [
    ("head", "Head", Some("head")),
    ("unit", "MLP unit", Some("unit")),
    ("attention", "All attention of a block", None),
    ("mlp", "All of a block's MLP", None),
    ("block", "A whole block", None),
    ("position", "Embedding of a token", Some("token")),
];

/// What became of the last question.
#[derive(Clone)]
enum Answer {
    Nothing,
    Waiting,
    Seen { step: u64, sight: Sight },
    Failed(crate::api::ApiFailure),
    Unseen(String),
}

/// The change being put together, and those that were.
#[derive(Clone, Copy)]
struct Hands {
    inside: Inside,
    kind: RwSignal<String>,
    layer: RwSignal<u32>,
    number: RwSignal<u32>,
    factor: RwSignal<f32>,
    edits: RwSignal<Vec<Edit>>,
    answer: RwSignal<Answer>,
}

impl Hands {
    /// What the form names: one part, or the two of a block.
    fn parts(self) -> Vec<Part> {
        let (layer, number) = (self.layer.get(), self.number.get());
        match self.kind.read().as_str() {
            "unit" => vec![Part::Unit { layer, unit: number }],
            "attention" => vec![Part::Attention { layer }],
            "mlp" => vec![Part::Mlp { layer }],
            "block" => vec![Part::Attention { layer }, Part::Mlp { layer }],
            "position" => vec![Part::Position { at: number }],
            _ => vec![Part::Head { layer, head: number }],
        }
    }

    /// The same in words.
    fn named(self) -> String {
        match self.parts().as_slice() {
            [part] => part.to_string(),
            _ => format!("all of block {}", self.layer.get()),
        }
    }

    fn add(self) {
        let (parts, factor) = (untrack(|| self.parts()), self.factor.get_untracked());
        self.edits.update(|edits| {
            edits.retain(|known| !parts.contains(&known.part));
            edits.truncate(MOST_EDITS - parts.len());
            edits.extend(parts.into_iter().map(|part| Edit { part, factor }));
        });
        self.ask();
    }

    fn ask(self) {
        let edits = self.edits.get_untracked();
        if edits.is_empty() {
            self.answer.set(Answer::Nothing);
            return;
        }
        let look = Look::Hands { passage: self.inside.passage.get_untracked(), edits };
        if let Err(message) = look.check() {
            self.answer.set(Answer::Unseen(message));
            return;
        }
        self.answer.set(Answer::Waiting);
        spawn_local(async move {
            let answer = match inside::look(&self.inside.run.get_value(), &look, None).await {
                Ok(Frame::Seen { step, sight, .. }) => Answer::Seen { step, sight },
                Ok(Frame::Unseen { message, .. }) => Answer::Unseen(message),
                Ok(Frame::Tensors { .. }) => Answer::Nothing,
                Err(failure) => Answer::Failed(failure),
            };
            self.answer.try_set(answer);
        });
    }
}

/// The view. It works on the newest weights, whatever step is seen.
pub(super) fn view(inside: Inside, _: Signal<When>) -> AnyView {
    let hands = Hands {
        inside,
        kind: RwSignal::new("head".into()),
        layer: RwSignal::new(0),
        number: RwSignal::new(0),
        factor: RwSignal::new(0.0),
        edits: RwSignal::new(vec![]),
        answer: RwSignal::new(Answer::Nothing),
    };
    let on_applied = Callback::new(move |()| {
        hands.edits.set(vec![]);
        hands.ask();
    });
    // Another text is another question.
    Effect::new(move |before: Option<()>| {
        inside.passage.track();
        if before.is_some() {
            hands.ask();
        }
    });
    view! {
        <p class="note calm">"These hands work on a copy of the newest weights. They do not touch the training run unless you apply them."</p>
        <Form hands />
        <ul class="edits" aria-label="Changes">
            {shows(move || hands.edits.get().into_iter().enumerate().map(|(at, edit)| view! {
                <li>{edit.to_string()}<button class="quiet icon-only" aria-label=format!("Take back: {edit}") on:click=clicks(move |_| { hands.edits.update(|edits| drop(edits.remove(at))); hands.ask() })><Icon name="close" /></button></li>
            }).collect_view())}
        </ul>
        {shows(move || match hands.answer.get() {
            Answer::Nothing => view! { <p class="dim">"Silence a part to see what it is good for: the loss on this text and on held-out text, and what the model would write, with and without it."</p> }.into_any(),
            Answer::Waiting => view! { <Skeleton rows=1 class="tall" /> }.into_any(),
            Answer::Failed(failure) => view! { <Failure what="The change could not be tried" failure retry=move |()| hands.ask() /> }.into_any(),
            Answer::Unseen(message) => view! { <div class="note" role="status">{message}</div> }.into_any(),
            Answer::Seen { step, sight } => seen(inside, step, sight),
        })}
        <Lasting inside edits=hands.edits on_applied />
    }
    .into_any()
}

#[component]
fn Form(hands: Hands) -> impl IntoView {
    let inside = hands.inside;
    let number_word =
        move || KINDS.iter().find(|(kind, ..)| *kind == *hands.kind.read()).and_then(|(_, _, number)| *number);
    let has_layer = move || *hands.kind.read() != "position";
    let most = move || {
        inside.model.with_value(|model| match hands.kind.read().as_str() {
            "unit" => model.d_ff,
            "position" => model.seq,
            _ => model.heads,
        }) - 1
    };
    let read = |to: RwSignal<u32>| {
        move |text: String| {
            if let Ok(number) = text.parse() {
                to.set(number)
            }
        }
    };
    let (read_layer, read_number) = (read(hands.layer), read(hands.number));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        hands.add();
    };
    view! {
        <form class="row hands-form" on:submit=submit>
            <label class="field"><span class="label">"Part"</span>
                <select on:change:target=move |event| hands.kind.set(event.target().value())>
                    {KINDS.map(|(kind, word, _)| view! { <option value=kind>{word}</option> })}
                </select>
            </label>
            {shows(move || has_layer().then(|| view! { <label class="field"><span class="label">"Block"</span>
                <input type="number" min="0" max=(inside.layers() - 1).to_string() prop:value=hands.layer.get_untracked().to_string() on:input:target=move |event| read_layer(event.target().value()) /></label> }))}
            {shows(move || number_word().map(|word| view! { <label class="field"><span class="label">{format!("Which {word}")}</span>
                <input type="number" min="0" max=most().to_string() prop:value=hands.number.get_untracked().to_string() on:input:target=move |event| read_number(event.target().value()) /></label> }))}
            <label class="field"><span class="label">{shows(move || if hands.factor.get() == 0.0 { "Silenced".to_owned() } else { format!("Times {}", number::short(f64::from(hands.factor.get()))) })}</span>
                <input type="range" min="0" max="3" step="0.1" prop:value=says(move || hands.factor.get().to_string()) on:input:target=move |event| hands.factor.set(event.target().value().parse().unwrap_or(0.0)) />
            </label>
            <button class="primary" type="submit">{shows(move || format!("{} {}", if hands.factor.get() == 0.0 { "Silence" } else { "Scale" }, hands.named()))}</button>
        </form>
    }
}

fn seen(inside: Inside, step: u64, sight: Sight) -> AnyView {
    let Sight::Hands { tokens, before, after, valid_before, valid_after, said_before, said_after } = sight else {
        return ().into_any();
    };
    let mean = |losses: &[f32]| crate::xray::tokens::mean(losses.iter().copied()).unwrap_or(f64::NAN);
    let (own_before, own_after) = (mean(&before), mean(&after));
    // A token is painted by how much harder it has become to say.
    let harder: Vec<f32> = std::iter::once(f32::NAN)
        .chain(before.iter().zip(&after).map(|(before, after)| after - before))
        .take(tokens.len())
        .collect();
    let most = harder.iter().copied().filter(|loss| loss.is_finite()).fold(0.5f32, f32::max);
    let tints: Vec<f32> = harder.iter().map(|loss| (loss / most).clamp(0.0, 1.0)).collect();
    let hardest = harder.iter().enumerate().filter(|(_, loss)| loss.is_finite()).max_by(|a, b| a.1.total_cmp(b.1));
    let hardest = hardest.map(|(at, loss)| {
        format!("Hit hardest: “{}” ({at}), {} nats more", visible(&tokens[at]), number::short(f64::from(*loss)))
    });
    let row = |what: &'static str, before: f64, after: f64| {
        let more = after - before;
        let sign = if more >= 0.0 { "+" } else { "" };
        view! {
            <tr><th scope="row">{what}</th><td class="right mono">{number::fixed(before, 3)}</td><td class="right mono">{number::fixed(after, 3)}</td>
            <td class="right mono">{format!("{sign}{} ({sign}{})", number::fixed(more, 3), percent(more / before))}</td></tr>
        }
    };
    let words = StoredValue::new(tokens);
    view! {
        <p class="provenance small dim">{format!("on the weights of step {}", number::whole(step))}</p>
        <div class="scroll"><table class="dense hands-table">
            <thead><tr><th scope="col">"loss, nats / token"</th><th scope="col" class="right">"as it is"</th><th scope="col" class="right">"changed"</th><th scope="col" class="right">"difference"</th></tr></thead>
            <tbody>{row("this text", own_before, own_after)}{row("held-out text", f64::from(valid_before), f64::from(valid_after))}</tbody>
        </table></div>
        <h3>"Tokens that became harder to say"</h3>
        {token_text(inside, "The text, painted by how much harder it became", Signal::derive(move || words.get_value()), Signal::stored(tints))}
        <p class="small dim">{hardest}</p>
        <div class="said">
            <div><h3>"It goes on, as it is"</h3><p class="token-text">{said_before}</p></div>
            <div><h3>"It goes on, changed"</h3><p class="token-text">{said_after}</p></div>
        </div>
    }
    .into_any()
}
