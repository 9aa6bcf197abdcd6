//! The selected runs: by click, by Shift and click for a range, and by the arrow keys.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wire::RunId;

/// The selected runs, in the context of the Lab page.
#[derive(Clone, Copy)]
pub(super) struct Selection {
    pub(super) runs: RwSignal<Vec<RunId>>,
    /// Ids of the listed runs, in their order.
    pub(super) listed: RwSignal<Vec<RunId>>,
    /// The run that was selected last: a range begins there.
    anchor: StoredValue<Option<RunId>>,
}

impl Selection {
    /// Without a run.
    pub(super) fn new() -> Self {
        Self { runs: RwSignal::default(), listed: RwSignal::default(), anchor: StoredValue::new(None) }
    }

    fn contains(self, run: &RunId) -> bool {
        self.runs.read().contains(run)
    }

    /// Selects a run or removes it; with `is_range`, all runs from the last one to this get the same state.
    fn toggle(self, run: &RunId, is_range: bool) {
        let is_selected = !self.runs.read_untracked().contains(run);
        let anchor = self.anchor.get_value().filter(|_| is_range);
        let changed = range(&self.listed.read_untracked(), anchor.as_ref(), run);
        self.runs.update(|runs| {
            runs.retain(|known| !changed.contains(known));
            if is_selected {
                runs.extend(changed);
            }
        });
        self.anchor.set_value(Some(run.clone()));
    }

    /// Selects all listed runs, or none of them if all are selected.
    pub(super) fn toggle_all(self) {
        let listed = self.listed.get_untracked();
        let has_all = self.has_all(&listed);
        self.runs.update(|runs| {
            runs.retain(|run| !listed.contains(run));
            if !has_all {
                runs.extend(listed);
            }
        });
    }

    /// Whether all of these runs are selected.
    pub(super) fn has_all(self, listed: &[RunId]) -> bool {
        let runs = self.runs.read();
        !listed.is_empty() && listed.iter().all(|run| runs.contains(run))
    }
}

/// The listed runs from one to another, both included, in either direction; the other alone if the first is not listed.
fn range(listed: &[RunId], from: Option<&RunId>, to: &RunId) -> Vec<RunId> {
    let place = |run: &RunId| listed.iter().position(|known| known == run);
    match (from.and_then(place), place(to)) {
        (Some(from), Some(to)) => listed[from.min(to)..=from.max(to)].to_vec(),
        _ => vec![to.clone()],
    }
}

/// Selects one run.
#[component]
pub(super) fn PickBox(id: RunId, name: Memo<String>) -> impl IntoView {
    let selection = expect_context::<Selection>();
    let id = StoredValue::new(id);
    let field = NodeRef::<html::Input>::new();
    let click = move |event: ev::MouseEvent| selection.toggle(&id.read_value(), event.shift_key());
    let key = move |event: ev::KeyboardEvent| {
        let by = match event.key().as_str() {
            "ArrowDown" => 1,
            "ArrowUp" => -1,
            _ => return,
        };
        event.prevent_default();
        if let Some(next) = field.get_untracked().and_then(|field| neighbour(&field, by)) {
            let _ = next.focus();
            if event.shift_key() {
                next.click();
            }
        }
    };
    let is_selected = move || selection.contains(&id.read_value());
    view! {
        <input
            type="checkbox"
            class="pick"
            node_ref=field
            aria-label=move || format!("Select {}", name.get())
            title="Select the run. Shift + click selects a range. Arrow keys move to the next run; Shift + arrow also selects it."
            prop:checked=is_selected
            on:click=click
            on:keydown=key
        />
    }
}

/// The checkbox of the run that is listed before or after.
fn neighbour(field: &web_sys::HtmlInputElement, by: i32) -> Option<web_sys::HtmlInputElement> {
    let all = document().query_selector_all("input.pick").ok()?;
    let place = (0..all.length()).find(|at| all.get(*at).is_some_and(|node| node.is_same_node(Some(field))))?;
    all.get(place.checked_add_signed(by)?)?.dyn_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_both_ends_in_either_direction() {
        let run = |id: &str| id.parse::<RunId>().unwrap();
        let listed = ["a", "b", "c", "d"].map(run);
        for (from, to, expected) in [
            (Some("b"), "d", vec!["b", "c", "d"]),
            (Some("d"), "b", vec!["b", "c", "d"]),
            (Some("a"), "a", vec!["a"]),
            (Some("x"), "c", vec!["c"]),
            (None, "c", vec!["c"]),
        ] {
            let found = range(&listed, from.map(run).as_ref(), &run(to));
            assert_eq!(found, expected.into_iter().map(run).collect::<Vec<_>>(), "{from:?} to {to}");
        }
    }
}
