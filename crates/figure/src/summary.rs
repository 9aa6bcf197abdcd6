//! A chart in words: sentences for screen readers, and a table.

use wire::series::{Axis, Bucket};

use crate::curve::{Curve, Style, extent, has_value, middle};
use crate::layout::nearest;
use crate::number;
use crate::spec::{Aggregation, ChartSpec};

/// What a chart shows, a sentence for each named curve, reference and marker.
pub fn describe(spec: &ChartSpec, curves: &[Curve]) -> String {
    let mut told: Vec<String> = Vec::new();
    // A curve without values is left out where another of its name has some: the planned part of a series that has ended.
    let is_told = |curve: &&Curve| {
        let same = || curves.iter().filter(|other| other.name == curve.name);
        !curve.name.is_empty() && (curve.last().is_some() || same().all(|other| other.last().is_none()))
    };
    for curve in curves.iter().filter(is_told).take(12) {
        told.push(sentence(spec, curve));
    }
    if curves.len() > 12 {
        told.push(format!("And {} more curves.", curves.len() - 12));
    }
    for reference in &spec.references {
        told.push(format!("Reference {}: {}.", reference.label, number::with_unit(reference.value, &spec.unit)));
    }
    for marker in spec.markers.iter().take(20) {
        // A phrase that a person wrote may be a sentence.
        told.push(format!("At {}: {}.", position(spec, marker.x), marker.phrase.trim_end_matches('.')));
    }
    if spec.markers.len() > 20 {
        told.push(format!("And {} more markers.", spec.markers.len() - 20));
    }
    if told.is_empty() { "No values yet.".to_owned() } else { told.join(" ") }
}

fn sentence(spec: &ChartSpec, curve: &Curve) -> String {
    let valued = || curve.buckets.iter().filter(|bucket| has_value(bucket));
    let (Some(first), Some(last)) = (valued().next(), curve.last()) else {
        return format!("{}: no values yet.", curve.name);
    };
    // The ends of a band of standard errors are no values of the curve.
    let ends = |bucket: &Bucket| match spec.aggregation {
        Aggregation::StepsWithError => (bucket.mean, bucket.mean),
        Aggregation::Steps | Aggregation::Time => extent(bucket),
    };
    let lowest = valued().min_by(|one, two| ends(one).0.total_cmp(&ends(two).0)).unwrap_or(first);
    let highest = valued().max_by(|one, two| ends(one).1.total_cmp(&ends(two).1)).unwrap_or(first);
    let value = |value: f64| number::with_unit(value, &spec.unit);
    let position = |x: f64| position(spec, x);
    let kind = match curve.style {
        Style::Abandoned => ", abandoned",
        Style::Planned => ", planned",
        Style::Band => ", mean of a range",
        Style::Measured | Style::Stacked => "",
    };
    let gaps = match gaps(spec, curve.buckets) {
        0 => String::new(),
        1 => "; one gap without numbers".to_owned(),
        gaps => format!("; {gaps} gaps without numbers"),
    };
    format!(
        "{}{kind}: {} at {}, {} at {}; lowest {} at {}, highest {} at {}{gaps}.",
        curve.name,
        value(first.mean),
        position(first.x),
        value(last.mean),
        position(last.last_x),
        value(ends(lowest).0),
        position(middle(lowest)),
        value(ends(highest).1),
        position(middle(highest)),
    )
}

/// The number of places where values are missing.
fn gaps(spec: &ChartSpec, buckets: &[Bucket]) -> usize {
    let (mut count, mut before) = (0, None);
    for part in buckets.chunk_by(|one, two| has_value(one) == has_value(two)) {
        let is_gap = part.iter().any(|bucket| !has_value(bucket));
        count += usize::from(is_gap && !is_abandoned_time(spec, before, part));
        before = part.last();
    }
    count
}

/// Whether a part without values is the time in which the run trained a branch that was abandoned: it begins where the value before it
/// ends. No value is missing there.
fn is_abandoned_time(spec: &ChartSpec, before: Option<&Bucket>, part: &[Bucket]) -> bool {
    match (before, part) {
        (Some(before), [from, to]) => spec.axis == Axis::Secs && from.x <= before.last_x && from.x < to.x,
        _ => false,
    }
}

/// A position on the x axis in words: `step 4 120`, `1 h 12 min`.
pub(crate) fn position(spec: &ChartSpec, x: f64) -> String {
    match spec.axis {
        Axis::Step => format!("step {}", number::fixed(x, 0)),
        _ => number::with_unit(x, spec.x_unit()),
    }
}

/// A curve with at most so many values has all of them in the table.
const SPARSE: usize = 200;

/// Rows of text under a line of headings; the first column is the x axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns, with their units.
    pub headings: Vec<String>,
    /// Number of rows and of all positions, if the rows are a selection, and what a row aggregates; empty if there is nothing to say.
    pub caption: String,
    /// A row for each position: as many cells as headings; empty if a curve has no value near.
    pub rows: Vec<Vec<String>>,
}

/// The named curves at no more than `most` positions, evenly along all positions at which one of them has a value; with extremes in
/// brackets if a bucket aggregates several values.
pub fn table(spec: &ChartSpec, curves: &[Curve], most: usize) -> Table {
    let named: Vec<&Curve> = curves.iter().filter(|curve| !curve.name.is_empty()).collect();
    let unit = if spec.unit.is_empty() { String::new() } else { format!(" ({})", spec.unit) };
    let x_heading = match spec.axis {
        Axis::Step => "step",
        Axis::Secs => "time",
        Axis::Tokens | Axis::Flops => spec.x_unit(),
    };
    let mut headings = vec![x_heading.to_owned()];
    headings.extend(named.iter().map(|curve| format!("{}{unit}", curve.name)));
    let all = positions(&named);
    let chosen = spread(all.len(), most);
    let caption = caption(spec, &named, &all, &chosen);
    let rows = rows_of(&named, &all, &chosen);
    let rows = rows.into_iter().map(|at| row(spec, &named, at)).collect();
    Table { headings, caption, rows }
}

/// The positions of all curves, in the order of the x axis: those of the curve with the most, and of each other one those that none before
/// it has. After a rollback no curve has all of them.
fn positions<'a>(named: &[&Curve<'a>]) -> Vec<&'a Bucket> {
    let mut curves = named.to_vec();
    curves.sort_by_key(|curve| std::cmp::Reverse(curve.buckets.len()));
    let mut all: Vec<&Bucket> = Vec::new();
    for curve in curves {
        let missing: Vec<&Bucket> = curve.buckets.iter().filter(|bucket| covering(&all, bucket).is_none()).collect();
        if !missing.is_empty() {
            all.extend(missing);
            all.sort_by(|one, two| one.x.total_cmp(&two.x));
        }
    }
    all
}

/// The first of some positions that overlaps a bucket.
fn covering<'a>(all: &[&'a Bucket], bucket: &Bucket) -> Option<&'a Bucket> {
    let next = all.partition_point(|at| at.last_x < bucket.x);
    all.get(next).copied().filter(|at| at.x <= bucket.last_x)
}

/// Whether a curve has a value at few of the positions.
fn is_sparse(curve: &Curve, positions: usize) -> bool {
    curve.style != Style::Abandoned && curve.buckets.len() <= SPARSE && curve.buckets.len() < positions
}

/// The chosen positions, and those of the curves that have a value at few positions: validation losses must not be left out.
fn rows_of<'a>(named: &[&Curve<'a>], all: &[&'a Bucket], chosen: &[usize]) -> Vec<&'a Bucket> {
    let sparse = named.iter().filter(|curve| is_sparse(curve, all.len()));
    let mut rows: Vec<&Bucket> = chosen.iter().map(|at| all[*at]).collect();
    rows.extend(sparse.flat_map(|curve| curve.buckets).filter_map(|bucket| covering(all, bucket)));
    rows.sort_by(|one, two| one.x.total_cmp(&two.x));
    rows.dedup_by(|one, two| std::ptr::eq(*one, *two));
    rows
}

/// Why the step of an evaluation in a table is one less than in the journal.
const COUNTING: &str =
    "Steps are counted from 0: the evaluation after 100 steps, at step 100 in the journal, is in the row of step 99. ";

/// How many of the positions the table has, and what its rows aggregate.
fn caption(spec: &ChartSpec, named: &[&Curve], positions: &[&Bucket], chosen: &[usize]) -> String {
    let is_folded = named.iter().flat_map(|curve| curve.buckets).any(|bucket| bucket.count > 1);
    let folded = match (is_folded, spec.aggregation) {
        (false, _) => "",
        (true, Aggregation::Steps) => {
            "A row can be the mean over several steps; the lowest and the highest value are in brackets."
        }
        (true, Aggregation::StepsWithError) => {
            "A row can be the mean over several steps; mean ± 2 standard errors is in brackets."
        }
        (true, Aggregation::Time) => {
            "A row is the mean over an interval; the lowest and the highest value are in brackets."
        }
    };
    if chosen.len() == positions.len() {
        return folded.to_owned();
    }
    let unit = match spec.axis {
        Axis::Step if positions.iter().all(|bucket| bucket.count <= 1) => "steps",
        _ => "points",
    };
    let (shown, all) = (number::whole(chosen.len() as u64), number::whole(positions.len() as u64));
    let has_sparse = named.iter().any(|curve| is_sparse(curve, positions.len()));
    let also = if has_sparse { ", and every evaluation" } else { "" };
    let counting = if has_sparse && spec.axis == Axis::Step { COUNTING } else { "" };
    format!("{shown} of {all} {unit}, evenly spaced{also}. {counting}{folded}").trim_end().to_owned()
}

/// At most `most` indices below `length`, evenly, the first and the last among them.
fn spread(length: usize, most: usize) -> Vec<usize> {
    if length <= most || most < 2 {
        return (0..length.min(most)).collect();
    }
    (0..most).map(|row| row * (length - 1) / (most - 1)).collect()
}

fn row(spec: &ChartSpec, named: &[&Curve], at: &Bucket) -> Vec<String> {
    let x = middle(at);
    let mut cells = vec![match spec.axis {
        Axis::Step => number::fixed(x, 0),
        _ => number::with_unit(x.round(), spec.x_unit()),
    }];
    cells.extend(named.iter().map(|curve| match nearest(curve.buckets, x) {
        Some(bucket) if bucket.x <= at.last_x && at.x <= bucket.last_x => cell(bucket, &spec.unit),
        _ => String::new(),
    }));
    cells
}

fn cell(bucket: &Bucket, unit: &str) -> String {
    let (low, high) = extent(bucket);
    let value = |value: f64| number::in_unit(value, unit);
    if bucket.count > 1 {
        format!("{} ({} to {})", value(bucket.mean), value(low), value(high))
    } else {
        value(bucket.mean)
    }
}

#[cfg(test)]
mod tests {
    use wire::control::author::Author;

    use super::*;
    use crate::curve::point;
    use crate::scene::Role;
    use crate::spec::Marker;

    #[test]
    fn a_chart_is_described_in_words() {
        let buckets = [point(0, 0.0, 4.17), point(1, 1.0, f64::NAN), point(2, 2.0, 2.0), point(3, 3.0, 2.5)];
        let spec = ChartSpec { title: "loss".into(), unit: "nats".into(), ..ChartSpec::default() };
        let curves = [Curve::new("train", Role::Accent, &buckets)];
        let said = describe(&spec, &curves).replace(number::THIN, " ");
        assert_eq!(
            said,
            "train: 4.17 nats at step 0, 2.5 nats at step 3; lowest 2 nats at step 2, highest 4.17 nats at step 0; one gap without numbers."
        );
        assert_eq!(describe(&spec, &[]), "No values yet.");
        let table = table(&spec, &curves, 3);
        assert_eq!(table.headings, ["step", "train (nats)"]);
        assert_eq!(table.rows.len(), 3);
        assert_eq!(table.rows[2], ["3", "2.5"]);
        assert_eq!(table.rows[1][1], "", "a gap stays empty");
    }

    #[test]
    fn a_marker_that_is_a_sentence_ends_with_one_period() {
        let marker = |phrase: &str| Marker {
            x: 0.0,
            phrase: phrase.into(),
            author: Author::System,
            is_alarm: false,
            is_change: false,
        };
        let markers = vec![marker("started"), marker("The learning rate was halved.")];
        let said = describe(&ChartSpec { markers, ..ChartSpec::default() }, &[]);
        assert_eq!(said.replace(number::THIN, " "), "At step 0: started. At step 0: The learning rate was halved.");
    }

    #[test]
    fn a_table_of_some_positions_says_so_and_has_every_value_of_a_sparse_curve() {
        let train: Vec<Bucket> = (0..1000).map(|step| point(step, step as f64, 2.0)).collect();
        let val = [point(250, 250.0, 3.0), point(333, 333.0, 2.9)];
        let curves = [Curve::new("train", Role::Accent, &train), Curve::new("val", Role::InkSoft, &val)];
        let table = table(&ChartSpec::default(), &curves, 11);
        let caption = table.caption.replace(number::THIN, " ");
        assert!(
            caption.starts_with("11 of 1 000 steps, evenly spaced, and every evaluation. Steps are counted from 0"),
            "{caption}"
        );
        assert_eq!(table.rows.iter().filter(|row| !row[2].is_empty()).count(), 2);
        assert_eq!(table.rows.len(), 13);
        assert!(super::table(&ChartSpec::default(), &curves[1..], 11).caption.is_empty());
    }

    #[test]
    fn a_table_has_the_steps_of_the_path_and_of_an_abandoned_branch() {
        let steps = |from: u64, to: u64| (from..to).map(|step| point(step, step as f64, 2.0)).collect::<Vec<Bucket>>();
        for (path, branch) in [((0, 860), (800, 1793)), ((0, 500), (500, 900)), ((0, 500), (450, 900))] {
            let (train, left) = (steps(path.0, path.1), steps(branch.0, branch.1));
            let abandoned = Curve { style: Style::Abandoned, ..Curve::new("left", Role::Abandoned, &left) };
            let table = table(&ChartSpec::default(), &[abandoned, Curve::new("train", Role::Accent, &train)], 60);
            let ends = [&table.rows[0], &table.rows[59]].map(|row| row[0].replace(number::THIN, ""));
            assert_eq!(ends, ["0".to_owned(), (branch.1 - 1).to_string()], "{}", table.caption);
            assert!(table.caption.replace(number::THIN, "").contains(&format!("60 of {} steps", branch.1)));
            assert!(table.rows.iter().all(|row| row[1..].iter().any(|cell| !cell.is_empty())));
        }
    }

    #[test]
    fn a_band_of_standard_errors_is_no_range_of_values() {
        let bucket = |step: u64, mean: f64| Bucket {
            min: mean - 0.5,
            max: mean + 0.5,
            last_step: step + 4,
            last_x: step as f64 + 4.0,
            count: 5,
            ..point(step, step as f64, mean)
        };
        let buckets = [bucket(0, -1.0), bucket(5, -2.0)];
        let curves = [Curve::new("difference", Role::InkSoft, &buckets)];
        let spec = ChartSpec { aggregation: Aggregation::StepsWithError, ..ChartSpec::default() };
        let said = describe(&spec, &curves);
        assert!(said.contains("lowest −2 at step 7, highest −1 at step 2"), "{said}");
        assert!(table(&spec, &curves, 9).caption.ends_with("mean ± 2 standard errors is in brackets."));
        let caption = table(&ChartSpec::default(), &curves, 9).caption;
        assert!(caption.ends_with("the lowest and the highest value are in brackets."), "{caption}");
    }

    #[test]
    fn the_time_of_an_abandoned_branch_is_no_missing_value() {
        let at = |step: u64, x: f64, value: f64| point(step, x, value);
        let buckets = [at(0, 0.0, 3.0), at(0, 0.0, f64::NAN), at(1, 60.0, f64::NAN), at(1, 60.0, 2.0)];
        let curves = [Curve::new("train", Role::Accent, &buckets)];
        let spec = ChartSpec { axis: Axis::Secs, ..ChartSpec::default() };
        assert!(!describe(&spec, &curves).contains("gap"), "{}", describe(&spec, &curves));
        let lost = [at(0, 0.0, 3.0), at(1, 1.0, f64::NAN), at(2, 2.0, 2.0)];
        let curves = [Curve::new("train", Role::Accent, &lost)];
        assert!(describe(&spec, &curves).contains("one gap without numbers"));
    }
}
