//! The effect of a change: the loss of this run minus that of its control run, which omits the change, on the same
//! batches, with the band of the mean. It is in the part of [`super::details`], and shown by [`super::effects`].

use std::time::Duration;

use figure::scene::Role;
use figure::spec::Reference;
use figure::{Aggregation, ChartSpec, number};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::control::saved_schedule::SavedSchedule;
use wire::run::Parentage;
use wire::series::{Bucket, Comparison, Difference};
use wire::{Event, EventRecord, RunId, RunSummary, RunView};

use super::loss_chart::shared;
use super::{RunContext, phrase};
use crate::components::chart::{Chart, ChartContent, Line};
use crate::components::{Select, difference_in_words, interval, name_of};
use crate::net::api;
use crate::net::live::Live;
use crate::route::run_path;

/// Maximum number of points of the difference.
const POINTS: u32 = 240;
/// Number of later changes that are named.
const NAMED: usize = 3;
/// Interval between requests while either run trains.
const REFRESH: Duration = Duration::from_secs(3);

/// Explanation of the chart.
const SAME_BATCHES: &str = "Training loss of this run minus that of the control run on the same batches. Below 0: the change decreases the \
                            loss. Band: mean ± 2 standard errors.";
/// Explanation of the chart for a change after which the runs train on different batches.
const OTHER_BATCHES: &str = "Training loss of this run minus that of the control run at equal steps. Below 0: the change decreases the \
                             loss. The two runs train on different batches, so the difference of single steps contains the noise of the \
                             batches. Band: mean ± 2 standard errors.";

/// A control run of the open run.
#[derive(Debug, Clone, PartialEq)]
struct ControlRun {
    id: RunId,
    name: String,
    /// The number of the event that it omits.
    event: u64,
    /// The step at which it leaves the path of this run; its own steps begin there.
    from_step: u64,
}

/// Whether a run is a control run of another.
pub(super) fn is_control_run(run: &RunSummary, of: &RunId) -> bool {
    run.deleted_ms.is_none()
        && run.parent.as_ref().is_some_and(|parent| parent.run == *of && parent.control_of.is_some())
}

/// The control runs of the open run, newest first, each with its origin.
fn control_runs(context: RunContext, live: Live) -> Vec<(RunSummary, Parentage)> {
    let id = context.id();
    let lab = live.lab.read();
    let of_this = lab.iter().flat_map(|lab| &lab.runs).filter(|run| is_control_run(run, &id));
    of_this.filter_map(|run| Some((run.clone(), run.parent.clone()?))).collect()
}

/// The effect of the change that the newest control run omits, or that of another one.
#[component]
pub(super) fn ControlRuns() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let live = expect_context::<Live>();
    let known = Memo::new(move |_| {
        let named = |(run, parent): (RunSummary, Parentage)| ControlRun {
            name: name_of(live, &run),
            id: run.id,
            event: parent.control_of.unwrap_or_default(),
            from_step: parent.checkpoint.step,
        };
        control_runs(context, live).into_iter().map(named).collect::<Vec<_>>()
    });
    let picked = RwSignal::new(None::<RunId>);
    let shown = Memo::new(move |_| {
        let known = known.read();
        let picked = picked.get();
        known.iter().find(|run| Some(&run.id) == picked.as_ref()).or(known.first()).cloned()
    });
    move || {
        let shown = shown.get()?;
        Some(view! { <EffectPanel shown known picked /> })
    }
}

#[component]
fn EffectPanel(shown: ControlRun, known: Memo<Vec<ControlRun>>, picked: RwSignal<Option<RunId>>) -> impl IntoView {
    let context = expect_context::<RunContext>();
    let live = expect_context::<Live>();
    let ControlRun { id, name, event, from_step } = shown;
    let path = run_path(&id);
    let other = StoredValue::new(id);
    let compared = RwSignal::new(Comparison::default());
    let control_changes = RwSignal::new(0);
    let fetch = move || {
        spawn_local(async move {
            let (run, control) = (context.id(), other.get_value());
            let (comparison, view) =
                futures_util::future::join(api::series::compare(&run, &control, POINTS), api::run(&control)).await;
            if let Ok(mut comparison) = comparison {
                // After a rollback the steps before are those of the branch that this run abandoned, not of the control run.
                comparison.difference.retain(|part| part.step >= from_step);
                context.run.try_update(|run| run.set_difference(&comparison.difference));
                compared.try_set(comparison);
            }
            if let Ok(view) = view {
                control_changes.try_set(changes_of(&view));
            }
        });
    };
    let is_growing = Memo::new(move |_| {
        let control = control_runs(context, live).into_iter().find(|(run, _)| run.id == other.get_value());
        context.state.get().is_live() || control.is_some_and(|(run, _)| run.state.is_live())
    });
    fetch();
    interval::while_growing(REFRESH, is_growing.into(), fetch);
    on_cleanup(move || {
        context.run.try_update(|run| run.set_difference(&[]));
    });
    // The journal may be fetched after the difference.
    let is_on_others = Memo::new(move |_| {
        context.lines.get();
        let run = context.run.read_untracked();
        run.events.get(&event).is_some_and(|record| changes_batches(&record.event))
    });
    let change = move || {
        context.lines.get();
        context
            .run
            .read_untracked()
            .events
            .get(&event)
            .map_or_else(|| format!("event {event}"), |record| phrase(&record.event))
    };
    // Changes on the path of this run after the one that the control run omits.
    let later = Memo::new(move |_| {
        context.lines.get();
        let history = context.run.read_untracked().history();
        history.path().into_iter().filter(|record| record.number > event).cloned().collect::<Vec<_>>()
    });
    let has_any = Memo::new(move |_| !compared.read().difference.is_empty());
    let which = move || {
        let (path, name) = (path.clone(), name.clone());
        view! {
            <span class="small dim">{change}" · control run "<a href=path>{name}</a></span>
            {move || (known.read().len() > 1).then(|| view! {
                <label class="pick" title="Control run to compare with"><span class="unseen">"Control run"</span>
                    <Select
                        entries=Signal::derive(move || {
                            known.read().iter().map(|run| (run.id.to_string(), run.name.clone())).collect::<Vec<_>>()
                        })
                        chosen=other.get_value().to_string()
                        choose=move |value| picked.set(value.parse().ok())
                    />
                </label>
            })}
        }
    };
    let changed = Signal::derive(move || context.track_charts());
    // Without a common step there is nothing to draw.
    let chart = move || {
        let which = which();
        if has_any.get() {
            let meaning = if is_on_others.get() { OTHER_BATCHES } else { SAME_BATCHES };
            view! {
                <Chart
                    group=expect_context()
                    title="Effect of the change".to_owned()
                    unit="nats/token, this run − control run".to_owned()
                    meaning
                    paint=move || paint(context) changed
                >
                    {which}
                </Chart>
            }
            .into_any()
        } else {
            view! { <p class="row waiting"><strong>"Effect of the change"</strong>{which}</p> }.into_any()
        }
    };
    view! {
        <div class="effect-panel">
            {chart}
            <p class="small dim verdict">{move || verdict(&compared.read(), from_step, &later.read(), control_changes.get())}</p>
        </div>
    }
}

/// Whether the runs with and without a change train on different batches from it on.
fn changes_batches(event: &Event) -> bool {
    match event {
        Event::RolledBack { .. } => true,
        Event::ScheduleChanged { new, .. } => !matches!(new, SavedSchedule::LearningRate { .. }),
        _ => false,
    }
}

/// The difference up to the next change in words, and which other changes are in it. The control run begins at `from_step`.
fn verdict(comparison: &Comparison, from_step: u64, later: &[EventRecord], control_changes: u32) -> String {
    let parts = comparison.difference.as_slice();
    if parts.is_empty() {
        let from = number::whole(from_step);
        return format!(
            "Nothing to compare yet: the control run begins at step {from}, and both runs must train on from there."
        );
    }
    // A change takes effect at its step: the steps before it show the effect of the first change alone.
    let until = later.iter().map(|record| record.step).min().unwrap_or(u64::MAX);
    let alone = &parts[..parts.partition_point(|part| part.last_step < until)];
    let effect = Difference::newest(alone).zip(Difference::over(alone)).map(|(newest, whole)| {
        let next = number::whole(until);
        let over = match (newest.steps() < whole.steps(), later.is_empty()) {
            (true, true) => "Over the newest steps since the change".to_owned(),
            (true, false) => format!("Just before the next change at step {next}"),
            (false, true) => "Over all steps since the change".to_owned(),
            (false, false) => format!("Over the steps up to the next change at step {next}"),
        };
        difference_in_words(&newest, &over, "this run", "the control run")
    });
    let others = (!later.is_empty()).then(|| {
        let named = later
            .iter()
            .take(NAMED)
            .map(|record| format!("{} (step {})", phrase(&record.event), number::whole(record.step)));
        let named = named.collect::<Vec<_>>().join(", ");
        let more = later.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {} more", number::whole(more as u64)) } else { String::new() };
        format!(
            "From step {} on, the difference also contains later changes of this run: {named}{more}.",
            number::whole(until)
        )
    });
    let control = (control_changes > 0).then(|| {
        "The control run was changed too, so the difference is not the effect of this change alone.".to_owned()
    });
    [effect, others, control].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Number of changes of a control run after its start.
fn changes_of(control: &RunView) -> u32 {
    let at_start = control.plan.origin.as_ref().map_or(0, |origin| origin.hyperparameters.changes);
    control.hyperparameters.changes.saturating_sub(at_start)
}

fn paint(context: RunContext) -> ChartContent {
    let run = context.run.read_untracked();
    let content = shared(context, &run);
    let on_axis = |bucket: &Bucket| Bucket {
        x: run.curves.place(bucket.step),
        last_x: run.curves.place(bucket.last_step),
        ..*bucket
    };
    let buckets = run.difference.iter().map(on_axis).collect();
    let line = Line::new("difference", "The band is ± 2 standard errors.", Role::Run(0), buckets);
    let references = vec![Reference { label: "no difference".into(), value: 0.0, role: Role::InkFaint }];
    let spec = ChartSpec {
        title: "effect of the change".into(),
        unit: "nats/token".into(),
        aggregation: Aggregation::StepsWithError,
        references,
        has_zero: true,
        ..content.spec.clone()
    };
    ChartContent { spec, lines: vec![line], ..content }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Author;

    #[test]
    fn the_effect_of_a_change_ends_where_another_change_begins() {
        let part = |step: u64| {
            let mean = if step < 200 { -0.01 } else { 2.43 };
            Difference { step, last_step: step, mean, low: mean, high: mean }
        };
        let comparison = Comparison { difference: (100..300).map(part).collect(), ..Comparison::default() };
        let edit = EventRecord {
            number: 9,
            segment: 0,
            step: 200,
            at_ms: 0,
            author: Author::System,
            command_id: None,
            reason: None,
            event: Event::WeightsEdited { interventions: vec![] },
        };
        let words = verdict(&comparison, 100, std::slice::from_ref(&edit), 0);
        assert!(words.starts_with("Just before the next change at step 200 ("), "{words}");
        assert!(words.contains("to 199") && words.contains("0.01 ±") && words.contains("lower"), "{words}");
        assert!(words.contains("From step 200 on, the difference also contains later changes of this run"), "{words}");
        assert!(verdict(&comparison, 100, &[], 1).ends_with("not the effect of this change alone."));
        assert!(verdict(&comparison, 100, &[], 0).contains("2.43"), "without another change the newest steps count");
        let none = Comparison::default();
        assert!(verdict(&none, 1500, &[], 0).contains("the control run begins at step 1\u{202f}500"));
    }
}
