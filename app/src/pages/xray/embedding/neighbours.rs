//! The nearest neighbours of the chosen token as a table. The list of tokens replaces the scatter plot for keyboard
//! use.

use figure::number;
use leptos::prelude::*;

use super::projection::Projection;
use crate::components::{clicks, shows};

const COSINE: &str =
    "Cosine similarity of the embeddings in all dimensions: 1 for the same direction, 0 for perpendicular ones";

/// The choice of a token and its table.
#[component]
pub(super) fn Neighbours(projection: Projection) -> impl IntoView {
    let words = Memo::new(move |_| projection.words());
    let chosen = projection.chosen;
    let options = move || {
        let option = |(at, word): (usize, String)| {
            view! { <option value=at.to_string() selected=move || chosen.get() == Some(at)>{word}</option> }
        };
        words.get().into_iter().enumerate().map(option).collect_view()
    };
    view! {
        <div class="row">
            <label class="row" title="Choose a token to see its nearest neighbors and its trail">"Token"
                <select on:change:target=move |event| chosen.set(event.target().value().parse().ok())>
                    <option value="">"choose a token"</option>
                    {shows(options)}
                </select>
            </label>
        </div>
        {shows(move || chosen.get().map(|at| table(projection, words, at)))}
    }
}

fn table(projection: Projection, words: Memo<Vec<String>>, at: usize) -> AnyView {
    let row = move |(index, cosine): (usize, f32)| {
        let word = words.read().get(index).cloned().unwrap_or_default();
        view! {
            <tr>
                <td>
                    <button
                        class="quiet mono"
                        title="Choose this token"
                        on:click=clicks(move |_| projection.chosen.set(Some(index)))
                    >
                        {word}
                    </button>
                </td>
                <td class="right mono">{number::fixed(f64::from(cosine), 3)}</td>
            </tr>
        }
    };
    let rows = move || projection.neighbours(at).into_iter().map(row).collect_view();
    view! {
        <table class="dense near">
            <thead><tr>
                <th scope="col" title="The tokens with the largest cosine similarity">"nearest tokens"</th>
                <th scope="col" class="right" title=COSINE>"cosine similarity"</th>
            </tr></thead>
            <tbody>{shows(rows)}</tbody>
        </table>
    }
    .into_any()
}
