//! What forms over the steps: each head's induction score, and on modular arithmetic the frequencies of the numbers.

use figure::curve::point;
use figure::number;
use leptos::prelude::*;
use wire::look::{Look, Passage};
use wire::series::Bucket;
use wire::sight::{HeadStats, Sight};

use super::courses::{self, Courses, NAMED, tone};
use super::{Inside, embedding};
use crate::parts::{Empty, clicks, says, shows};
use crate::xray::frames::Shown;
use crate::xray::place::Place;
use crate::xray::tokens::percent;

/// Which number of a head is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Score {
    Induction,
    Previous,
    Entropy,
}

const SCORES: [(Score, &str); 3] =
    [(Score::Induction, "induction"), (Score::Previous, "previous token"), (Score::Entropy, "entropy")];

impl Score {
    fn of(self, head: &HeadStats) -> f64 {
        f64::from(match self {
            Self::Induction => head.induction,
            Self::Previous => head.previous,
            Self::Entropy => head.entropy,
        })
    }
}

/// A head's course.
#[derive(Clone, PartialEq)]
struct Course {
    layer: u32,
    head: u32,
    points: Vec<Bucket>,
}

impl Course {
    fn last(&self) -> f64 {
        self.points.iter().rev().map(|bucket| bucket.mean).find(|value| value.is_finite()).unwrap_or(f64::NAN)
    }

    /// The first step from which on it stays above a half.
    fn since(&self) -> Option<u64> {
        let high = self.points.iter().rev().take_while(|bucket| bucket.mean >= 0.5);
        high.last().map(|bucket| bucket.step)
    }
}

/// Every head's course, highest at the end first.
fn all(kept: &[Shown], score: Score) -> Vec<Course> {
    let mut courses: Vec<Course> = vec![];
    for shown in kept {
        let Sight::Map { parts, .. } = &shown.sight else {
            continue;
        };
        let blocks = parts.iter().filter(|part| !part.heads.is_empty());
        for (layer, part) in blocks.enumerate() {
            for (head, stats) in part.heads.iter().enumerate() {
                let (layer, head) = (layer as u32, head as u32);
                let place = courses
                    .iter()
                    .position(|course| (course.layer, course.head) == (layer, head))
                    .unwrap_or_else(|| {
                        courses.push(Course { layer, head, points: vec![] });
                        courses.len() - 1
                    });
                courses[place].points.push(point(shown.step, shown.step as f64, score.of(stats)));
            }
        }
    }
    courses.sort_by(|a, b| b.last().total_cmp(&a.last()));
    courses
}

/// The view.
pub(super) fn view(inside: Inside) -> AnyView {
    let maps = inside.frames.all(Look::Map { passage: Passage::default() });
    let embeddings = inside.frames.all(Look::Embedding {});
    let score = RwSignal::new(Score::Induction);
    let courses = Memo::new(move |_| all(&maps.read(), score.get()));
    let is_empty = Memo::new(move |_| courses.read().is_empty());
    view! {
        <div class="row">
            <h2>"Scores of every head over the kept steps"</h2>
            <div class="tabs" role="group" aria-label="Which score">
                {SCORES.map(|(each, word)| view! { <button class="tab" aria-pressed=says(move || (score.get() == each).to_string()) on:click=clicks(move |_| score.set(each))>{word}</button> })}
            </div>
        </div>
        {shows(move || if is_empty.get() {
            view! { <Empty title="Nothing kept yet" text="Scores of heads are kept at every step below 16 and then sixteen times for each doubling; they appear here as the run goes on." /> }.into_any()
        } else {
            view! { <Chart inside courses score /><Table inside courses score /> }.into_any()
        })}
        {embedding::spectra(embeddings)}
    }
    .into_any()
}

#[component]
fn Chart(inside: Inside, courses: Memo<Vec<Course>>, score: RwSignal<Score>) -> impl IntoView {
    let named = |course: &Course| courses::Course {
        name: format!("{}.{}", course.layer, course.head),
        points: course.points.clone(),
    };
    let drawn = Signal::derive(move || courses.read().iter().map(named).collect());
    let label = Signal::derive(move || verdict(&courses.read(), score.get()));
    view! {
        <Courses inside courses=drawn title=Signal::stored("score") ends=(Some(0.0), Some(1.0)) label file="emergence" />
        <p role="status"><b>{label}</b></p>
    }
}

fn verdict(courses: &[Course], score: Score) -> String {
    let Some(best) = courses.iter().find(|course| course.last().is_finite()) else {
        return "The text has no token twice: no induction can be seen on it.".into();
    };
    let name = format!("head {} of block {}", best.head, best.layer);
    match (score, best.since()) {
        (Score::Induction, Some(step)) => {
            format!(
                "An induction head has formed: {name} scores {}, above a half since step {}",
                percent(best.last()),
                number::whole(step)
            )
        }
        (Score::Induction, None) => {
            format!("No induction head yet: the highest, {name}, scores {}", percent(best.last()))
        }
        _ => format!("Highest: {name}, {}", percent(best.last())),
    }
}

#[component]
fn Table(inside: Inside, courses: Memo<Vec<Course>>, score: RwSignal<Score>) -> impl IntoView {
    let rows = move || {
        let courses = courses.get();
        courses
            .into_iter()
            .take(NAMED)
            .enumerate()
            .map(|(place, course)| {
                let since = course.since().map_or("–".to_owned(), number::whole);
                let to = Place::Attention { layer: course.layer, head: course.head };
                view! {
                    <tr>
                        <th scope="row"><a href=inside.path(&to)><i class="tone" style:background=tone(place)></i>{format!("block {}, head {}", course.layer, course.head)}</a></th>
                        <td class="right mono">{percent(course.last())}</td>
                        <td class="right mono">{since}</td>
                    </tr>
                }
            })
            .collect_view()
    };
    view! {
        <div class="scroll"><table class="dense near">
            <thead><tr><th scope="col">{shows(move || format!("highest {}", SCORES.iter().find(|(each, _)| *each == score.get()).map_or("", |(_, word)| word)))}</th><th scope="col" class="right">"at the end"</th><th scope="col" class="right" title="First step from which on it stays above a half">"above ½ since step"</th></tr></thead>
            <tbody>{rows}</tbody>
        </table></div>
    }
}
