//! Instructions for the proposer of a research loop: hyperparameters that keep their values (pins), and values to try next.

use leptos::prelude::*;
use wire::research_loop::record::{LoopAction, LoopView, kept_changes};

use super::state::OpenLoop;
use crate::components::{Select, clicks, isolated, shows};
use crate::pages::experiments::form::value_of;

/// A hyperparameter of the goal: its path, its current value, and whether it is pinned.
type Row = (String, String, bool);

#[component]
pub(super) fn Hints() -> impl IntoView {
    let open = expect_context::<OpenLoop>();
    let can_steer = open.can_steer();
    let rows = open.part(hyperparameters);
    let suggested = open.part(|view| view.summary.hints.suggested.clone());
    let line = move |(path, value, is_pinned): Row| {
        let parameter = StoredValue::new(path.clone());
        let turn = move |_| {
            let parameter = parameter.get_value();
            let action = if is_pinned { LoopAction::Unpin { parameter } } else { LoopAction::Pin { parameter } };
            open.act(
                if is_pinned { "The hyperparameter was not unpinned" } else { "The hyperparameter was not pinned" },
                action,
            );
        };
        let label = format!("Pin {path}");
        view! {
            <tr>
                <td class="mono">{path}</td>
                <td class="right mono" data-label="Current value">{value}</td>
                <td>
                    {shows(move || Some(match can_steer.get() {
                        true => view! {
                            <button
                                aria-label=label.clone()
                                aria-pressed=is_pinned.to_string()
                                title="From the next round on, the loop does not change a pinned hyperparameter"
                                disabled=move || open.is_sending.get()
                                on:click=clicks(turn)
                            >
                                {if is_pinned { "Pinned" } else { "Pin" }}
                            </button>
                        }
                        .into_any(),
                        false => if is_pinned { "pinned" } else { "" }.into_any(),
                    }))}
                </td>
            </tr>
        }
    };
    let waiting = move || {
        let suggested = suggested.get().filter(|all| !all.is_empty())?;
        let texts: Vec<String> = suggested.iter().map(|one| format!("{} = {}", one.parameter, one.value)).collect();
        Some(view! { <p class="small dim">"Suggested: "{isolated(&texts.join(", "))}</p> })
    };
    view! {
        <section class="stack" aria-labelledby="hints-title">
            <h2 id="hints-title">"Hyperparameters"</h2>
            <div class="scroll sheet" role="region" tabindex="0" aria-label="Hyperparameters that may change">
                <table class="loop-table hint-table stacked">
                    <thead>
                        <tr>
                            <th title="Path in the table of hyperparameters">"Hyperparameter"</th>
                            <th class="right" title="Value of the best recipe so far">"Current value"</th>
                            <th title="Whether it keeps its current value">"Pin"</th>
                        </tr>
                    </thead>
                    <tbody>{shows(move || rows.get().map(|rows| rows.into_iter().map(line).collect_view()))}</tbody>
                </table>
            </div>
            {shows(waiting)}
            {shows(move || can_steer.get().then(|| view! { <Suggest rows /> }))}
        </section>
    }
}

fn hyperparameters(view: &LoopView) -> Vec<Row> {
    let (summary, kept) = (&view.summary, kept_changes(&view.rounds));
    let row = |path: &String| {
        let value = kept.get(path).or_else(|| summary.start.values.get(path));
        let value = value.map(ToString::to_string).unwrap_or_default();
        (path.clone(), value, summary.hints.pinned.contains(path))
    };
    summary.goal.parameters.keys().map(row).collect()
}

/// A value to try in the next round.
#[component]
fn Suggest(rows: Memo<Option<Vec<Row>>>) -> impl IntoView {
    let open = expect_context::<OpenLoop>();
    let first = rows.get_untracked().and_then(|rows| rows.first().map(|row| row.0.clone())).unwrap_or_default();
    let (parameter, value) = (RwSignal::new(first), RwSignal::new(String::new()));
    let entries = Memo::new(move |_| {
        let rows = rows.get().unwrap_or_default();
        rows.into_iter().map(|(path, ..)| (path.clone(), path)).collect::<Vec<_>>()
    });
    let send = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let parameter = parameter.get_untracked();
        let read = value_of(&parameter, &value.get_untracked());
        value.set(String::new());
        open.act("The value was not suggested", LoopAction::Suggest { parameter, value: read });
    };
    view! {
        <form class="row" on:submit=send>
            <label title="Hyperparameter to try another value of">
                "Try next "
                <Select entries chosen=parameter choose=move |path| parameter.set(path) />
            </label>
            <label title="A value within the range of the goal">
                "Value "
                <input
                    class="mono"
                    type="text"
                    maxlength="60"
                    prop:value=value
                    on:input:target=move |event| value.set(event.target().value())
                />
            </label>
            <button
                type="submit"
                title="Screen this value in the next round"
                disabled=move || open.is_sending.get() || value.read().trim().is_empty()
            >
                "Suggest"
            </button>
        </form>
    }
}
