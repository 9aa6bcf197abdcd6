//! Scores of every attention head over the snapshots, and on modular arithmetic the spectrum of the numbers' embedding.

use figure::curve::point;
use figure::number;
use leptos::prelude::*;
use wire::inspect::request::{Inspection, InspectionText};
use wire::inspect::result::{ComponentStats, HeadStats, InspectionResult};
use wire::series::{Bucket, definition};

use super::embedding::spectrum;
use super::inspections::result::Inspected;
use super::location::Location;
use super::scroll_table::scroll_table;
use super::series_chart::{COLOURED, ComponentSeries, SeriesChart, colour};
use super::state::XrayState;
use super::tokens::percent;
use crate::components::{Empty, clicks, says, shows};

/// A score above this for the rest of the run counts as formed.
const FORMED: f64 = 0.5;

/// The score that is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Score {
    Induction,
    Previous,
    Entropy,
}

const SCORES: [(Score, &str, &str); 3] = [
    (
        Score::Induction,
        "induction score",
        "Mean attention weight on the token after the previous occurrence of the current token. Shown by default.",
    ),
    (Score::Previous, "previous-token score", "Mean attention weight on the token just before"),
    (Score::Entropy, "attention entropy", definition::ATTENTION_ENTROPY),
];

impl Score {
    /// The score of a head over a text of this many tokens: a fraction, or the entropy in nats.
    fn of(self, head: &HeadStats, tokens: usize) -> f64 {
        match self {
            Self::Induction => head.induction.into(),
            Self::Previous => head.previous.into(),
            Self::Entropy => head.entropy_nats(tokens),
        }
    }

    fn is_fraction(self) -> bool {
        self != Self::Entropy
    }

    fn written(self, value: f64) -> String {
        if self.is_fraction() { percent(value) } else { number::with_unit(value, "nats") }
    }

    /// Ends of the y axis.
    fn ends(self) -> (Option<f64>, Option<f64>) {
        (Some(0.0), self.is_fraction().then_some(100.0))
    }

    /// Label of the y axis.
    fn axis(self) -> &'static str {
        match self {
            Self::Induction => "induction score, %",
            Self::Previous => "previous-token score, %",
            Self::Entropy => "attention entropy, nats",
        }
    }

    fn label(self) -> &'static str {
        SCORES.iter().find(|(score, ..)| *score == self).map_or("", |(_, label, _)| label)
    }
}

/// A point of a score in percent.
fn in_percent(bucket: &Bucket) -> Bucket {
    let percent = |value: f64| value * 100.0;
    Bucket { min: percent(bucket.min), max: percent(bucket.max), mean: percent(bucket.mean), ..*bucket }
}

/// The score of a head over the snapshots.
#[derive(Clone, PartialEq)]
struct HeadSeries {
    layer: u32,
    head: u32,
    points: Vec<Bucket>,
}

impl HeadSeries {
    fn last(&self) -> f64 {
        self.points.iter().rev().map(|bucket| bucket.mean).find(|value| value.is_finite()).unwrap_or(f64::NAN)
    }

    /// The first step from which on the score stays above [`FORMED`].
    fn formed_at(&self) -> Option<u64> {
        let high = self.points.iter().rev().take_while(|bucket| bucket.mean >= FORMED);
        high.last().map(|bucket| bucket.step)
    }
}

/// The series of every head, highest last score first.
fn series(snapshots: &[Inspected], score: Score) -> Vec<HeadSeries> {
    let mut all: Vec<HeadSeries> = vec![];
    for snapshot in snapshots {
        if let InspectionResult::Overview { components, tokens, .. } = &snapshot.result {
            for (layer, head, stats) in heads(components) {
                let point = point(snapshot.step, snapshot.step as f64, score.of(stats, tokens.len()));
                match all.iter_mut().find(|series| (series.layer, series.head) == (layer, head)) {
                    Some(series) => series.points.push(point),
                    None => all.push(HeadSeries { layer, head, points: vec![point] }),
                }
            }
        }
    }
    all.sort_by(|a, b| b.last().total_cmp(&a.last()));
    all
}

/// All heads with their block and number.
fn heads(components: &[ComponentStats]) -> impl Iterator<Item = (u32, u32, &HeadStats)> {
    let blocks = components.iter().filter(|component| !component.heads.is_empty()).enumerate();
    blocks.flat_map(|(layer, component)| {
        component.heads.iter().enumerate().map(move |(head, stats)| (layer as u32, head as u32, stats))
    })
}

pub(super) fn view(xray: XrayState) -> AnyView {
    let overviews = xray.inspections.all(Inspection::Overview { text: InspectionText::default() });
    let embeddings = xray.inspections.all(Inspection::Embedding {});
    let score = RwSignal::new(Score::Induction);
    let series = Memo::new(move |_| series(&overviews.read(), score.get()));
    let is_empty = Memo::new(move |_| series.read().is_empty());
    let button = move |(each, label, meaning): (Score, &'static str, &'static str)| {
        view! {
            <button
                class="tab"
                title=meaning
                aria-pressed=says(move || (score.get() == each).to_string())
                on:click=clicks(move |_| score.set(each))
            >
                {label}
            </button>
        }
    };
    view! {
        <div class="row">
            <h2>"Scores of the attention heads over the snapshots"</h2>
            <div class="tabs" role="group" aria-label="Score">{SCORES.map(button).collect_view()}</div>
        </div>
        {shows(move || if is_empty.get() { no_snapshots() } else { view! {
            <Chart xray series score />
            <Table xray series score />
        }.into_any() })}
        {spectrum::over_snapshots(embeddings)}
    }
    .into_any()
}

fn no_snapshots() -> AnyView {
    view! {
        <Empty
            title="No snapshots yet"
            text="Every step below 16 has a snapshot, then 16 steps between 16 and 32, 16 between 32 and 64, and so on. The \
                  scores of the heads appear here as the run trains."
        />
    }
    .into_any()
}

#[component]
fn Chart(xray: XrayState, series: Memo<Vec<HeadSeries>>, score: RwSignal<Score>) -> impl IntoView {
    let named = move |series: &HeadSeries| ComponentSeries {
        name: format!("{}.{}", series.layer, series.head),
        points: match score.get().is_fraction() {
            true => series.points.iter().map(in_percent).collect(),
            false => series.points.clone(),
        },
    };
    let drawn = Signal::derive(move || series.read().iter().map(named).collect());
    let label = Signal::derive(move || summary(&series.read(), score.get(), xray.summary.read().state.is_over()));
    view! {
        <SeriesChart
            xray
            series=drawn
            title=Signal::derive(move || score.get().axis())
            ends=Signal::derive(move || score.get().ends())
            label
            file="emergence"
        />
        <p role="status"><b>{label}</b></p>
    }
}

/// What the chart shows at its last snapshot; a run that is over has no "yet".
fn summary(series: &[HeadSeries], score: Score, is_over: bool) -> String {
    let Some(best) = series.iter().find(|series| series.last().is_finite()) else {
        return "No token occurs twice in this text, so the induction score is undefined.".into();
    };
    let (head, last) = (format!("head {} of block {}", best.head, best.layer), score.written(best.last()));
    match (score, best.formed_at()) {
        (Score::Induction, Some(step)) => {
            let step = number::whole(step);
            format!("An induction head has formed: {head} scores {last} and has been above 50 % since step {step}.")
        }
        (Score::Induction, None) => {
            let yet = if is_over { "" } else { " yet" };
            format!("No induction head{yet}: at the last snapshot, the highest score is {last}, of {head}.")
        }
        _ => format!("At the last snapshot, the highest {} is {last}, of {head}.", score.label()),
    }
}

#[component]
fn Table(xray: XrayState, series: Memo<Vec<HeadSeries>>, score: RwSignal<Score>) -> impl IntoView {
    let rows = move || {
        let highest = series.get().into_iter().take(COLOURED).enumerate();
        highest.map(|(index, series)| row(xray, score.get(), index, &series)).collect_view()
    };
    let table = view! {
        <table class="dense near">
            <thead><tr>
                <th scope="col" title="The heads with the highest score at the last snapshot">"head"</th>
                <th scope="col" class="right" title="Score at the last snapshot">
                    {shows(move || format!("{} (last snapshot)", score.get().label()))}
                </th>
                <th
                    scope="col"
                    class="right"
                    title="First step from which on the score stays above 50 %"
                    hidden=move || !score.get().is_fraction()
                >
                    "first step above 50 %"
                </th>
            </tr></thead>
            <tbody>{shows(rows)}</tbody>
        </table>
    };
    view! {
        <p class="small dim">{shows(move || shown_heads(series.read().len()))}</p>
        {scroll_table("Heads with the highest scores", table)}
    }
}

/// Which heads the table has; the curves of the others are grey.
fn shown_heads(count: usize) -> String {
    match count > COLOURED {
        true => {
            format!("{COLOURED} of {count} heads, those with the highest score. The curves of the others are gray.")
        }
        false => String::new(),
    }
}

fn row(xray: XrayState, score: Score, index: usize, series: &HeadSeries) -> AnyView {
    let since = series.formed_at().map_or("–".to_owned(), number::whole);
    let location = Location::Attention { layer: series.layer, head: series.head };
    let name = format!("block {}, head {}", series.layer, series.head);
    view! {
        <tr>
            <th scope="row">
                <a title="Show the attention pattern of this head" href=xray.path(&location)>
                    <i class="tone" style:background=colour(index)></i>
                    {name}
                </a>
            </th>
            <td class="right mono">{score.written(series.last())}</td>
            <td class="right mono" hidden=!score.is_fraction()>{since}</td>
        </tr>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(scores: &[f64]) -> HeadSeries {
        let points = scores.iter().enumerate().map(|(step, score)| point(step as u64, step as f64, *score)).collect();
        HeadSeries { layer: 1, head: 2, points }
    }

    #[test]
    fn a_head_has_formed_from_where_its_score_stays_high() {
        assert_eq!(of(&[0.1, 0.9, 0.2, 0.6, 0.8]).formed_at(), Some(3));
        assert_eq!(of(&[0.9, 0.4]).formed_at(), None);
        assert_eq!(of(&[0.9, f64::NAN]).last(), 0.9);
        assert!(summary(&[of(&[0.1, 0.7])], Score::Induction, true).contains("above 50 % since step 1"));
        let fallen = |is_over| summary(&[of(&[0.27, 0.192])], Score::Induction, is_over);
        assert!(fallen(false).starts_with("No induction head yet: at the last snapshot"), "{}", fallen(false));
        assert!(fallen(true).starts_with("No induction head: "), "{}", fallen(true));
        assert!(summary(&[of(&[f64::NAN])], Score::Induction, false).contains("undefined"));
    }
}
