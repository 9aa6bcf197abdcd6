//! The abandoned branches of a run in one entry, where there are too many to name each on the chart.

use figure::curve::NAMED_BRANCHES;
use figure::number;
use leptos::prelude::*;

use super::RunContext;
use super::viewport::Viewport;
use crate::components::Menu;
use crate::components::chart::Range;

/// Branches that the menu lists at a time.
const LISTED: usize = 50;

/// An abandoned branch: its segment, and the steps from its first to where it was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Branch {
    segment: u32,
    from_step: u64,
    left_at: Option<u64>,
}

impl Branch {
    fn text(self) -> String {
        let from = number::whole(self.from_step);
        match self.left_at {
            Some(left) => format!("left at step {}, from step {from}", number::whole(left)),
            None => format!("from step {from}"),
        }
    }
}

/// The number of abandoned branches; it opens to a list, from which one is brought into view.
#[component]
pub(super) fn BranchesMenu() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let branches = Memo::new(move |_| {
        context.version.get();
        let run = context.run.read_untracked();
        let spans = run.curves.lineage().abandoned.iter();
        let mut branches: Vec<Branch> = spans
            .map(|span| Branch { segment: span.key.segment, from_step: span.from_step, left_at: span.to_step })
            .collect();
        branches.sort_by_key(|branch| std::cmp::Reverse(branch.segment));
        branches
    });
    let count = Memo::new(move |_| branches.read().len());
    let shown = RwSignal::new(LISTED);
    move || {
        let count = count.get();
        (count > NAMED_BRANCHES).then(|| view! {
            <Menu label="Abandoned branches of the run" word=format!("{count} abandoned branches")>
                {move || branches.get().into_iter().take(shown.get()).map(|branch| view! { <BranchButton branch /> }).collect_view()}
                {move || (count > shown.get()).then(|| view! {
                    <button
                        title="List more branches"
                        on:click=move |event| {
                            event.stop_propagation();
                            shown.update(|shown| *shown += LISTED);
                        }
                    >
                        {format!("and {} more", count - shown.get_untracked())}
                    </button>
                })}
            </Menu>
        })
    }
}

#[component]
fn BranchButton(branch: Branch) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let show = move |_| {
        let viewport = {
            let run = context.run.read_untracked();
            let (from, to) = (branch.from_step, branch.left_at.unwrap_or(branch.from_step + 1));
            let margin = (to.saturating_sub(from) / 4).max(10);
            let place = |step| run.curves.place_before(step);
            let range = Range { from: place(from.saturating_sub(margin)), to: place(to + margin) };
            Viewport::of_range(range, run.end(), run.planned_end(), run.is_growing())
        };
        context.viewport.set(viewport);
    };
    view! { <button title="Bring the steps of this branch into view" on:click=show>{branch.text()}</button> }
}
