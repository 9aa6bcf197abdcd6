//! Two of the runs against each other: for how many steps they were identical, and the difference of their training
//! losses with its band.

use std::time::Duration;

use figure::scene::Role;
use figure::spec::Reference;
use figure::{Aggregation, ChartSpec, number};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunId;
use wire::series::{Comparison, Difference};

use super::Choice;
use crate::components::chart::{Chart, ChartContent, ChartGroup, Line, Range};
use crate::components::{Failure, Select, interval, name_of, newest_part};
use crate::curves::difference_buckets;
use crate::net::api::{self, ApiFailure};
use crate::net::live::Live;

/// Maximum number of points of the difference.
const POINTS: u32 = 300;
/// Interval between requests while either run trains.
const REFRESH: Duration = Duration::from_secs(4);

/// Two runs, of which the second is subtracted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    run: RunId,
    with: RunId,
    label: String,
    names: Names,
    is_live: bool,
}

impl Pair {
    /// Its value in the list of pairs.
    fn value(&self) -> String {
        format!("{} {}", self.run, self.with)
    }
}

/// The list of pairs: values and labels.
fn pair_entries(pairs: Memo<Vec<Pair>>) -> Signal<Vec<(String, String)>> {
    Signal::derive(move || pairs.read().iter().map(|pair| (pair.value(), pair.label.clone())).collect())
}

/// The names of the two runs, and where the first was forked from the second, if it was.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Names {
    run: String,
    with: String,
    fork_step: Option<u64>,
}

/// The offered pairs of known runs: each run with its parent, then each of the selected runs with the first.
fn pairs(chosen: &[RunId], live: Live) -> Vec<Pair> {
    let lab = live.lab.read();
    let all = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
    let find = |run: &RunId| all.iter().find(|known| known.id == *run);
    let pair = |run: &RunId, with: &RunId, word: &str| {
        let (one, other) = (find(run)?, find(with)?);
        let (name, other_name) = (name_of(live, one), name_of(live, other));
        let label = format!("{name} − {word}{other_name}");
        let parent = one.parent.as_ref().filter(|parent| parent.run == *with);
        let names = Names { run: name, with: other_name, fork_step: parent.map(|parent| parent.checkpoint.step) };
        Some(Pair {
            run: run.clone(),
            with: with.clone(),
            label,
            names,
            is_live: one.state.is_live() || other.state.is_live(),
        })
    };
    let mut pairs: Vec<Pair> = vec![];
    for run in chosen {
        if let Some(parent) = find(run).and_then(|run| run.parent.clone()) {
            pairs.extend(pair(run, &parent.run, "its parent "));
        }
    }
    if let Some((first, others)) = chosen.split_first() {
        let is_new = |pairs: &[Pair], run: &RunId| {
            !pairs.iter().any(|pair| (&pair.run, &pair.with) == (run, first) || (&pair.run, &pair.with) == (first, run))
        };
        for run in others {
            if is_new(&pairs, run) {
                pairs.extend(pair(run, first, ""));
            }
        }
    }
    pairs
}

/// The panel; nothing while there are fewer than two runs.
#[component]
pub(super) fn DifferencePanel() -> impl IntoView {
    let choice = expect_context::<Choice>();
    let live = expect_context::<Live>();
    let known = Memo::new(move |_| pairs(&choice.known(live), live));
    let picked = RwSignal::new(String::new());
    let shown = Memo::new(move |_| {
        let known = known.read();
        known.iter().find(|pair| pair.value() == *picked.read()).or(known.first()).cloned()
    });
    // A change of state alone does not build the panel again.
    let which =
        Memo::new(move |_| shown.read().as_ref().map(|pair| (pair.run.clone(), pair.with.clone(), pair.names.clone())));
    move || {
        let (run, with, names) = which.get()?;
        let is_growing = Signal::derive(move || shown.read().as_ref().is_some_and(|pair| pair.is_live));
        Some(view! {
            <PairDifference run with names is_growing>
                <label class="pick" title="The two runs whose difference is shown">
                    <span class="unseen">"Pair of runs"</span>
                    <Select
                        entries=pair_entries(known)
                        chosen=Signal::derive(move || shown.read().as_ref().map(Pair::value).unwrap_or_default())
                        choose=move |value| picked.set(value)
                    />
                </label>
            </PairDifference>
        })
    }
}

#[component]
fn PairDifference(
    run: RunId,
    with: RunId,
    names: Names,
    #[prop(into)] is_growing: Signal<bool>,
    children: Children,
) -> impl IntoView {
    let (choice, live) = (expect_context::<Choice>(), expect_context::<Live>());
    let (run, with, names) = (StoredValue::new(run), StoredValue::new(with), StoredValue::new(names));
    let found = RwSignal::new(None::<Result<Comparison, ApiFailure>>);
    let range = RwSignal::new(None::<Range>);
    let fetch = move || {
        spawn_local(async move {
            let (Some(run), Some(with)) = (run.try_get_value(), with.try_get_value()) else { return };
            let answer = api::series::compare(&run, &with, POINTS).await;
            // After a failure the last difference stays; it is fetched again later.
            let keeps = answer.is_err() && found.try_with_untracked(|found| matches!(found, Some(Ok(_)))) == Some(true);
            if !keeps {
                found.try_set(Some(answer));
            }
        });
    };
    fetch();
    interval::while_growing(REFRESH, is_growing, fetch);
    let content = move || content(found.read().as_ref().and_then(|found| found.as_ref().ok()), range.get());
    let show = move |wanted: Option<Range>| {
        let whole = untrack(content).lines.first().and_then(|line| {
            let (first, last) = (line.buckets.first()?, line.buckets.last()?);
            Some(Range { from: first.x, to: last.last_x })
        });
        range.set(wanted.zip(whole).and_then(|(wanted, whole)| wanted.within(whole)));
    };
    let group = ChartGroup {
        crosshair: RwSignal::new(None),
        show: Callback::new(show),
        press: Callback::new(|_| ()),
        describe: Callback::new(|_| None),
    };
    let verdict = move || match &*found.read() {
        None => "Comparing …".to_owned(),
        Some(Ok(comparison)) => {
            let step_of = |id: StoredValue<RunId>| id.with_value(|id| step_of(live, id));
            let is_selected = |id: StoredValue<RunId>| id.with_value(|id| choice.contains(id));
            let are_selected = is_selected(run) && is_selected(with);
            names.with_value(|names| verdict(comparison, names, are_selected, || (step_of(run), step_of(with))))
        }
        Some(Err(_)) => String::new(),
    };
    let failure = move || found.read().as_ref().and_then(|found| found.as_ref().err().cloned());
    let changed = Signal::derive(move || {
        found.track();
        range.track();
    });
    view! {
        <section class="difference">
            <Chart
                group
                title="Difference of the training losses".to_owned()
                unit="nats/token".to_owned()
                meaning="Training loss of the first run minus that of the second at equal steps; below 0 the first run \
                         is better. Where a point is the mean of several steps, the band is ± 2 standard errors of that mean."
                paint=content
                changed
            >
                {children()}
            </Chart>
            <p class="verdict" role="status">{verdict}</p>
            {move || failure().map(|failure| view! {
                <Failure what="The two runs could not be compared" failure retry=move |()| fetch() />
            })}
        </section>
    }
}

/// Steps that a run has trained on its current path; 0 for an unknown run.
fn step_of(live: Live, run: &RunId) -> u64 {
    let lab = live.lab.read();
    lab.iter().flat_map(|lab| &lab.runs).find(|known| known.id == *run).map_or(0, |run| run.step)
}

/// `The losses of steps 1 000 to 1 299 are bitwise identical; from step 1 300 on they differ. Over all steps since then (1 300 to 1 900), the
/// training loss of b is ...`
///
/// `are_selected`: both runs are, so that the fair comparison judges them; the parent of a selected run may not be. `steps` has how far each
/// run has trained on its current path.
fn verdict(comparison: &Comparison, names: &Names, are_selected: bool, steps: impl Fn() -> (u64, u64)) -> String {
    let Some(from) = comparison.common_from else { return nothing_in_common(names, steps()) };
    let last = number::whole((from + comparison.identical_steps).saturating_sub(1));
    let (start, from) = (from, number::whole(from));
    let same = match comparison.identical_steps {
        1 => format!("The loss of step {from} is bitwise identical"),
        2 => format!("The losses of steps {from} and {last} are bitwise identical"),
        _ => format!("The losses of steps {from} to {last} are bitwise identical"),
    };
    let (begun, first) = match (comparison.identical_steps, comparison.first_difference) {
        (_, None) => return format!("{same}: these are all steps that both runs have trained."),
        (0, Some(at)) => (format!("The losses differ from step {from} on."), at),
        (_, Some(at)) => (format!("{same}; from step {} on they differ.", number::whole(at)), at),
    };
    let parts = comparison.difference.as_slice();
    let parts = &parts[parts.partition_point(|part| part.last_step < first)..];
    let Some(whole) = Difference::over(parts) else { return begun };
    // The newest steps alone, where they are a small part of all.
    let newest = Difference::newest(parts).filter(|newest| newest.steps() * 2 <= whole.steps());
    let newest = newest.map(|newest| mean_in_words(&newest, &newest_part(&newest, &whole, "them"), names));
    let newest = newest.map(|words| format!(" {words}")).unwrap_or_default();
    // A part of the difference can begin before the first step that differs.
    let all = match whole.step {
        step if step >= first && step > start => "Over all steps since then",
        step if step <= start => "Over all common steps",
        _ => "Over all steps since shortly before then",
    };
    let noise = match are_selected {
        true => "Fair comparison shows whether that is more than noise.",
        false => "Select both runs; Fair comparison then shows whether that is more than noise.",
    };
    format!("{begun} {}{newest} {noise}", mean_in_words(&whole, all, names))
}

/// `Over all steps since then (7 501 to 7 999), the training loss of owl is on average 0.071 nats/token lower than that of fox.` Losses of
/// neighbouring steps are no independent samples, so that no interval is concluded from them.
fn mean_in_words(difference: &Difference, over: &str, names: &Names) -> String {
    let (first, last) = (number::whole(difference.step), number::whole(difference.last_step));
    let word = if difference.mean < 0.0 { "lower" } else { "higher" };
    let size = number::short(difference.mean.abs());
    let Names { run, with, .. } = names;
    format!(
        "{over} ({first} to {last}), the training loss of {run} is on average {size} nats/token {word} than that of {with}."
    )
}

/// Why there is no difference yet: either run may be the one without steps after the fork, its parent after a rollback.
fn nothing_in_common(names: &Names, (step, with_step): (u64, u64)) -> String {
    let Names { run, with, fork_step } = names;
    match *fork_step {
        Some(fork) if step <= fork => format!(
            "{run} has not trained since the fork at step {}. The difference appears with its first step.",
            number::whole(fork)
        ),
        Some(fork) if with_step <= fork => format!(
            "{with} has no steps after the fork at step {} on its current path, so there is nothing to compare yet. The difference \
             appears with its first step.",
            number::whole(fork)
        ),
        _ => format!("{run} and {with} have no training step in common yet."),
    }
}

fn content(comparison: Option<&Comparison>, range: Option<Range>) -> ChartContent {
    let buckets = comparison.map(|found| difference_buckets(&found.difference)).unwrap_or_default();
    let line = Line::new("difference", "The band is ± 2 standard errors.", Role::InkSoft, buckets);
    let references = vec![Reference { label: "no difference".into(), value: 0.0, role: Role::InkFaint }];
    let spec = ChartSpec {
        title: "difference of two losses".into(),
        unit: "nats/token".into(),
        aggregation: Aggregation::StepsWithError,
        references,
        has_zero: true,
        from: range.map(|range| range.from),
        to: range.map(|range| range.to),
        ..ChartSpec::default()
    };
    ChartContent { spec, lines: vec![line], ..ChartContent::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_names_the_runs() {
        let names = |fork_step| Names { run: "fox".into(), with: "owl".into(), fork_step };
        let none = Comparison { common_from: None, identical_steps: 0, first_difference: None, difference: vec![] };
        let verdict = |fork_step, steps| verdict(&none, &names(fork_step), true, || steps);
        assert!(verdict(Some(200), (200, 900)).starts_with("fox has not trained since the fork at step 200."));
        // The parent was rolled back to the fork: the fork has trained, and its parent has not.
        assert!(verdict(Some(200), (600, 200)).starts_with("owl has no steps after the fork at step 200"));
        assert_eq!(verdict(None, (0, 0)), "fox and owl have no training step in common yet.");
    }

    #[test]
    fn all_steps_since_the_first_difference_are_judged() {
        let names = Names { run: "fork".into(), with: "parent".into(), fork_step: Some(7500) };
        let part = |step: u64| {
            let mean = if step == 7500 { 0.0 } else { -0.07 - 0.01 * (step as f64 * 1.3).sin() };
            Difference { step, last_step: (step + 1).min(7999), mean, low: mean - 0.02, high: mean + 0.02 }
        };
        let parts: Vec<Difference> = (7500..8000).step_by(2).map(part).collect();
        let compared =
            Comparison { common_from: Some(7500), identical_steps: 1, first_difference: Some(7501), difference: parts };
        let words = verdict(&compared, &names, true, || (8000, 30_000));
        let begun = "The loss of step 7\u{202f}500 is bitwise identical; from step 7\u{202f}501 on they differ.";
        assert!(words.starts_with(begun), "{words}");
        assert!(
            words.contains(
                "Over all common steps (7\u{202f}500 to 7\u{202f}999), the training loss of fork is on average 0.0697"
            ),
            "{words}"
        );
        assert!(words.contains("lower than that of parent") && !words.contains("standard error"), "{words}");
        let newest = "Over the last 10\u{202f}% of them (7\u{202f}950 to 7\u{202f}999)";
        assert!(words.contains(newest), "the newest tenth: {words}");
        assert!(words.ends_with(" Fair comparison shows whether that is more than noise."), "{words}");
        let alone = verdict(&compared, &names, false, || (8000, 30_000));
        assert!(alone.contains("Select both runs; Fair comparison"), "only one of the runs is selected: {alone}");
    }
}
