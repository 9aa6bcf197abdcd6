//! How matrices change over the kept steps: one line for each block.

use figure::curve::point;
use figure::number;
use leptos::prelude::*;
use wire::look::{Look, Of};
use wire::sight::{Sight, Thumbnail};

use super::Inside;
use super::courses::{Course, Courses, tone};
use crate::parts::{clicks, says, shows};
use crate::xray::frames::Shown;

/// Which number of a matrix is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trend {
    Rank,
    Rms,
}

const TRENDS: [(Trend, &str, &str); 2] = [
    (
        Trend::Rank,
        "stable rank",
        "|W|²_F / |W|²₂: how many directions carry a matrix. It falls as training makes some matter more.",
    ),
    (Trend::Rms, "RMS", "Root mean square of a matrix's values, which is its norm for its size."),
];

impl Trend {
    fn of(self, matrix: &Thumbnail) -> f64 {
        match self {
            Self::Rank => f64::from(matrix.stable_rank),
            Self::Rms => matrix.moments.rms,
        }
    }

    fn word(self) -> &'static str {
        TRENDS.iter().find(|(trend, ..)| *trend == self).map_or("", |(_, word, _)| word)
    }
}

/// What a matrix is in its block, and how a line of it is named.
fn kind(tensor: &str) -> (&str, String) {
    match tensor.strip_prefix("block.").and_then(|rest| rest.split_once('.')) {
        Some((layer, kind)) => (kind, format!("block {layer}")),
        None => (tensor, tensor.to_owned()),
    }
}

fn matrices(shown: &Shown) -> &[Thumbnail] {
    match &shown.sight {
        Sight::Gallery { matrices } => matrices,
        _ => &[],
    }
}

/// The kinds of matrices there are, in the model's order.
fn kinds(kept: &[Shown]) -> Vec<String> {
    let mut kinds: Vec<String> = vec![];
    for matrix in kept.last().map_or(&[][..], matrices) {
        let (kind, _) = kind(&matrix.tensor);
        if !kinds.iter().any(|known| known == kind) {
            kinds.push(kind.to_owned());
        }
    }
    kinds
}

/// The courses of all matrices of a kind.
fn courses(kept: &[Shown], wanted: &str, trend: Trend) -> Vec<Course> {
    let mut courses: Vec<Course> = vec![];
    for shown in kept {
        for matrix in matrices(shown) {
            let (kind, name) = kind(&matrix.tensor);
            if kind != wanted {
                continue;
            }
            let point = point(shown.step, shown.step as f64, trend.of(matrix));
            match courses.iter_mut().find(|course| course.name == name) {
                Some(course) => course.points.push(point),
                None => courses.push(Course { name, points: vec![point] }),
            }
        }
    }
    courses
}

/// From where to where one went.
fn went(course: &Course) -> Option<String> {
    let (first, last) = (course.points.first()?, course.points.last()?);
    // A matrix that is all zero has no rank.
    let short = |value: f64| if value.is_nan() { "–".to_owned() } else { number::short(value) };
    Some(format!("{}: {} → {}", course.name, short(first.mean), short(last.mean)))
}

/// The chart with its choices; nothing until steps are kept.
#[component]
pub(super) fn Trends(inside: Inside) -> impl IntoView {
    let kept = inside.frames.all(Look::Gallery { of: Of::Weight });
    let kinds = Memo::new(move |_| kinds(&kept.read()));
    let (trend, chosen) = (RwSignal::new(Trend::Rank), RwSignal::new(None::<String>));
    let wanted = move || {
        let kinds = kinds.read();
        let usual = || kinds.iter().find(|kind| kind.starts_with("attention.query")).or(kinds.first());
        chosen.get().or_else(|| usual().cloned()).unwrap_or_default()
    };
    let courses = Memo::new(move |_| courses(&kept.read(), &wanted(), trend.get()));
    let label = Signal::derive(move || {
        let all: Vec<String> = courses.read().iter().filter_map(went).collect();
        format!("{} of {} over the kept steps. {}", trend.get().word(), wanted(), all.join(", "))
    });
    let is_empty = Memo::new(move |_| kinds.read().is_empty());
    shows(move || {
        (!is_empty.get()).then(|| {
            view! {
                <div class="row">
                    <h2>"Over the kept steps"</h2>
                    <label class="pick"><span class="unseen">"Which matrix"</span>
                        <select aria-label="Which matrix" on:change:target=move |event| chosen.set(Some(event.target().value()))>
                            {shows(move || kinds.get().into_iter().map(|kind| { let is_chosen = kind == untrack(wanted); view! { <option value=kind.clone() selected=is_chosen>{kind.clone()}</option> } }).collect_view())}
                        </select>
                    </label>
                    <div class="tabs" role="group" aria-label="Which number">
                        {TRENDS.map(|(each, word, meaning)| view! { <button class="tab" title=meaning aria-pressed=says(move || (trend.get() == each).to_string()) on:click=clicks(move |_| trend.set(each))>{word}</button> })}
                    </div>
                </div>
                <Courses inside courses=courses.into() title=Signal::derive(move || trend.get().word()) ends=(None, None) label file="matrices" />
                <ul class="row small legend" aria-label="From the first kept step to the last">
                    {shows(move || courses.get().iter().enumerate().map(|(place, course)| { let tone = tone(place); view! { <li><i class="tone" style:background=tone></i>{went(course)}</li> } }).collect_view())}
                </ul>
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_a_kind_in_a_block() {
        assert_eq!(kind("block.11.mlp.up"), ("mlp.up", "block 11".to_owned()));
        assert_eq!(kind("embedding.token"), ("embedding.token", "embedding.token".to_owned()));
    }
}
