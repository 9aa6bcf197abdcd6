use wire::LivePath;
use wire::control::author::Author;
use wire::run::Cursor;
use wire::run::history::{Segment, Span};
use wire::series::{Row, SeriesWindow, name};

use super::*;
use crate::components::chart::Range;
use crate::curves::OWN;
use crate::curves::fixture::view;
use crate::pages::run::viewport::Viewport;
fn row(step: u64) -> Row {
    Row {
        segment: 0,
        step,
        values: vec![(name::TRAIN.into(), step as f64), (name::SECS.into(), 0.5 * (step + 1) as f64)],
    }
}

fn tick(run: &OpenRun, rows: Vec<Row>, events: Vec<EventRecord>) -> Tick {
    Tick {
        run: run.view.summary.id.clone(),
        cursor: Cursor::default(),
        summary: run.view.summary.clone(),
        rows,
        events,
        updates: vec![],
        findings: vec![],
    }
}

fn record(number: u64, step: u64, event: Event) -> EventRecord {
    EventRecord { number, segment: 0, step, at_ms: 0, author: Author::System, command_id: None, reason: None, event }
}

/// Steps `from..to` as the server would answer, in buckets of `size`.
fn window(series: &str, from: u64, to: u64, size: u64) -> SeriesWindow {
    let bucket = |first: u64| {
        let last = (first + size - 1).min(to - 1);
        Bucket {
            step: first,
            last_step: last,
            x: first as f64,
            last_x: last as f64,
            min: first as f64,
            max: last as f64,
            mean: (first + last) as f64 / 2.0,
            count: last - first + 1,
        }
    };
    SeriesWindow {
        name: series.into(),
        segment: 0,
        buckets: (from..to).step_by(size as usize).map(bucket).collect(),
        total: to - from,
        is_exact: size == 1,
    }
}

fn fetched(is_whole: bool, window: SeriesWindow) -> Fetched {
    Fetched { axis: Axis::Step, source: OWN, is_whole, windows: vec![window] }
}

/// Every step up to `end` lies in exactly one bucket, in order.
fn assert_whole(curves: &Curves, end: u64) {
    let shown = curves.shown(name::TRAIN);
    let mut next = 0;
    for bucket in &shown {
        assert_eq!(bucket.step, next, "{shown:?}");
        assert_eq!(bucket.count, bucket.last_step - bucket.step + 1);
        next = bucket.last_step + 1;
    }
    assert_eq!(next, end);
}

#[test]
fn live_rows_join_fetched_series_without_gap_or_duplicate() {
    let mut run = OpenRun::new(view());
    // Rows 90..110 come live while the answer, which has 0..100, is on its way.
    let rows = (90..110).map(row).collect();
    run.tick(tick(&run, rows, vec![]));
    run.add_fetched(fetched(true, window(name::TRAIN, 0, 100, 10)));
    assert_whole(&run.curves, 110);
    // The same rows again, and new ones.
    let rows = (100..120).map(row).collect();
    run.tick(tick(&run, rows, vec![]));
    assert_whole(&run.curves, 120);
}

#[test]
fn detail_lies_over_the_overview() {
    let mut run = OpenRun::new(view());
    run.add_fetched(fetched(true, window(name::TRAIN, 0, 1000, 100)));
    run.add_fetched(fetched(false, window(name::TRAIN, 200, 400, 1)));
    assert_whole(&run.curves, 1000);
    assert_eq!(run.curves.shown(name::TRAIN).len(), 8 + 200);
    let rows = (1000..1500).map(row).collect();
    run.tick(tick(&run, rows, vec![]));
    // A range that begins and ends among the live values.
    run.add_fetched(fetched(false, window(name::TRAIN, 1200, 1300, 1)));
    assert_whole(&run.curves, 1500);
    run.add_fetched(fetched(true, window(name::TRAIN, 0, 1400, 100)));
    assert_whole(&run.curves, 1500);
    run.add_fetched(Fetched {
        axis: Axis::Tokens,
        source: OWN,
        is_whole: true,
        windows: vec![window(name::TRAIN, 0, 9, 1)],
    });
    assert_whole(&run.curves, 1500);
}

#[test]
fn a_long_tail_is_fetched_again() {
    let mut run = OpenRun::new(view());
    let rows = (0..2100).map(row).collect();
    run.tick(tick(&run, rows, vec![]));
    assert!(run.curves.is_long());
    run.add_fetched(fetched(true, window(name::TRAIN, 0, 2100, 10)));
    run.add_fetched(fetched(true, window(name::SECS, 0, 2100, 10)));
    assert!(!run.curves.is_long());
    assert_whole(&run.curves, 2100);
}

#[test]
fn steps_have_a_place_on_every_axis() {
    let mut run = OpenRun::new(view());
    let tokens = run.view.plan.tokens_per_step() as f64;
    let rows = [0, 1, 2, 3, 10].map(row).to_vec();
    run.tick(tick(&run, rows, vec![]));
    assert_eq!(run.curves.place(3), 3.0);
    run.curves.set_axis(Axis::Tokens);
    assert_eq!(run.curves.place(3), 4.0 * tokens);
    run.curves.set_axis(Axis::Secs);
    assert_eq!([run.curves.place(2), run.curves.place(5), run.curves.place(99)], [1.5, 3.0, 5.5]);
    assert!(run.curves.shown(name::TRAIN).is_empty(), "x values of the old axis are dropped");
}

#[test]
fn hyperparameters_change_once_and_in_order() {
    let mut run = OpenRun::new(view());
    let changed =
        |number, step, new| record(number, step, Event::Changed { path: LivePath::LEARNING_RATE, old: 0.0, new });
    let events = vec![changed(5, 100, 1e-4), changed(6, 200, 2e-4)];
    run.tick(tick(&run, vec![], events));
    assert_eq!(
        (
            run.view.hyperparameters.get(LivePath::LEARNING_RATE, 100),
            run.view.hyperparameters.get(LivePath::LEARNING_RATE, 200)
        ),
        (1e-4, 2e-4)
    );
    // The journal, fetched later, has the same lines and older ones: the hyperparameters stay.
    run.add_events(vec![changed(4, 50, 9e-4), changed(5, 100, 1e-4)]);
    assert_eq!(run.view.hyperparameters.get(LivePath::LEARNING_RATE, 200), 2e-4);
    assert_eq!(run.events.keys().copied().collect::<Vec<_>>(), [4, 5, 6]);
}

#[test]
fn time_left_follows_the_speed() {
    let mut run = OpenRun::new(view());
    let summary = &mut run.view.summary;
    assert_eq!(summary.secs_left(), None);
    summary.secs_per_step = Some(0.1);
    summary.step = 400;
    assert_eq!(summary.secs_left().map(f64::round), Some(60.0));
    summary.state = RunState::Stopped;
    assert_eq!(summary.secs_left(), None);
    assert!((run.bits_per_byte().unwrap() - 0.721).abs() < 1e-3);
}

#[test]
fn a_viewport_follows_the_run_until_it_is_dragged_back() {
    let whole = Viewport::Whole.range(1000.0, Some(2000.0), true);
    assert_eq!((whole.from, whole.to), (0.0, 1040.0));
    let of = |from, to| Viewport::of_range(Range { from, to }, 1000.0, Some(2000.0), true);
    assert_eq!(of(800.0, 1010.0), Viewport::Newest { length: 210.0 });
    assert_eq!(of(100.0, 300.0), Viewport::Fixed(Range { from: 100.0, to: 300.0 }));
    assert_eq!(of(-50.0, 990.0), Viewport::Whole, "a little less than the whole is the whole");
    assert_eq!(of(f64::NAN, 3.0), Viewport::Whole);
    assert_eq!(of(500.0, 500.0001), Viewport::Fixed(Range { from: 500.0, to: 504.0 }));
    let Range { from, to } = Viewport::Newest { length: 100.0 }.range(1000.0, None, true);
    assert_eq!((from, to), (904.0, 1004.0));
    assert_eq!(Viewport::Plan.range(1000.0, Some(1999.0), true).to, 1999.0);
    assert_eq!(Viewport::Whole.range(0.0, None, false).to, 1.0);
}

/// What a rollback to `checkpoint` writes into the journal.
fn rolled_back(number: u64, segment: u32, checkpoint: (u32, u64), from: (u32, u64)) -> EventRecord {
    let checkpoint = wire::CheckpointId { segment: checkpoint.0, step: checkpoint.1 };
    let (from_segment, from_step) = from;
    let event = Event::RolledBack { checkpoint, from_segment, from_step, skip_batches: 0, best_valid: None };
    EventRecord { segment, ..record(number, checkpoint.step, event) }
}

#[test]
fn a_rollback_leaves_an_abandoned_branch_and_the_curve_continues_from_the_checkpoint() {
    let mut open = view();
    open.segments = vec![Segment { segment: 0, from_step: 0, parent: None, opened_by: None }];
    let mut run = OpenRun::new(open);
    run.add_fetched(fetched(true, window(name::TRAIN, 0, 100, 10)));
    run.tick(tick(&run, vec![], vec![rolled_back(1, 1, (0, 40), (0, 100))]));
    let rows = (40..60).map(|step| Row { segment: 1, ..row(step) }).collect();
    run.tick(tick(&run, rows, vec![]));
    assert_whole(&run.curves, 60);
    let abandoned = run.curves.abandoned(name::TRAIN);
    assert_eq!(abandoned.len(), 1);
    let (left, buckets) = &abandoned[0];
    assert_eq!((*left, buckets[0].step, buckets.last().map(|last| last.last_step)), (100, 30, Some(99)));
    assert_eq!((run.curves.end(), run.reach()), (59.0, 99.0));
    // Undone: back to where it was left; the newer segment is now the abandoned one.
    run.tick(tick(&run, vec![], vec![rolled_back(2, 2, (0, 100), (1, 60))]));
    let rows = (100..110).map(|step| Row { segment: 2, ..row(step) }).collect();
    run.tick(tick(&run, rows, vec![]));
    assert_whole(&run.curves, 110);
    assert_eq!(run.curves.abandoned(name::TRAIN)[0].0, 60);
    assert!(run.curves.lineage().contains(0, 70) && !run.curves.lineage().contains(1, 50));
}

#[test]
fn a_checkpoint_of_an_abandoned_branch_keeps_the_sample_of_its_branch() {
    let mut open = view();
    open.segments = vec![Segment { segment: 0, from_step: 0, parent: None, opened_by: None }];
    let mut run = OpenRun::new(open);
    let sampled = |number, segment, step| {
        let event = Event::Sampled { prompt: "On".into(), text: "ce".into(), temperature: 0.0 };
        EventRecord { segment, ..record(number, step, event) }
    };
    let events = vec![sampled(1, 0, 50), sampled(2, 0, 90), rolled_back(3, 1, (0, 75), (0, 90)), sampled(4, 1, 80)];
    run.tick(tick(&run, vec![], events));
    let step = |segment, step| run.sampled_before(CheckpointId { segment, step });
    assert_eq!(step(0, 90), Some(90), "generated on the branch that was left");
    assert_eq!((step(0, 75), step(1, 79), step(1, 85), step(0, 40)), (Some(50), Some(50), Some(80), None));
}

#[test]
fn what_was_done_because_of_a_step_came_after_it_on_its_path() {
    let mut open = view();
    open.segments = vec![Segment { segment: 0, from_step: 0, parent: None, opened_by: None }];
    let mut run = OpenRun::new(open);
    // The same finding at step 459, before and after a rollback from step 463 to step 450.
    let back = rolled_back(1, 1, (0, 450), (0, 463));
    let evaluated = Event::Evaluated { loss_nats: 1.0, bits_per_byte: 1.0, windows: None };
    let later = EventRecord { segment: 1, ..record(2, 462, evaluated) };
    run.tick(tick(&run, vec![], vec![back.clone(), later.clone()]));
    let is_after = |record, segment| run.is_after(record, segment, 459);
    assert_eq!((is_after(&back, 0), is_after(&back, 1)), (true, false));
    assert_eq!((is_after(&later, 0), is_after(&later, 1)), (false, true));
    assert!(run.is_after(&later, 0, 440) && !run.is_after(&later, 1, 463), "a later step");
}

#[test]
fn on_the_time_axis_an_abandoned_branch_leaves_a_gap_and_keeps_its_events() {
    let mut open = view();
    open.segments = vec![Segment { segment: 0, from_step: 0, parent: None, opened_by: None }];
    let mut run = OpenRun::new(open);
    run.curves.set_axis(Axis::Secs);
    run.tick(tick(&run, (0..100).map(row).collect(), vec![]));
    run.tick(tick(&run, vec![], vec![rolled_back(1, 1, (0, 40), (0, 100))]));
    // Steps 0 to 99 took 50 s; the path goes on from step 40 after them.
    let later = |step: u64| Row {
        segment: 1,
        values: vec![(name::TRAIN.into(), 1.0), (name::SECS.into(), 50.0 + 0.5 * (step - 39) as f64)],
        ..row(step)
    };
    run.tick(tick(&run, (40..60).map(later).collect(), vec![]));
    let path = run.curves.shown(name::TRAIN);
    let gaps: Vec<f64> = path.iter().filter(|bucket| bucket.count == 0).map(|bucket| bucket.x).collect();
    assert_eq!(gaps, [20.0, 50.5], "no line over the time of the abandoned branch");
    assert!(path.is_sorted_by_key(|bucket| bucket.x));
    let place = |segment, step| run.curves.place_event(segment, step);
    assert_eq!((place(0, 80), place(0, 100), place(0, 30)), (40.0, 50.0, 15.0), "on the time of its own branch");
    assert_eq!((place(1, 40), place(1, 50)), (50.5, 55.0));
    run.curves.set_axis(Axis::Step);
    assert_eq!(run.curves.place_event(0, 80), 80.0);
}

#[test]
fn a_fork_shows_its_parents_past_before_its_own() {
    let mut open = view();
    let parent: wire::RunId = "ivory-owl-2345".parse().unwrap();
    open.segments = vec![Segment { segment: 0, from_step: 50, parent: None, opened_by: None }];
    let span = |run: &wire::RunId, segment, from_step, to_step| Span { run: run.clone(), segment, from_step, to_step };
    open.lineage = vec![span(&parent, 1, 0, Some(50)), span(&open.summary.id.clone(), 0, 50, None)];
    let mut run = OpenRun::new(open);
    assert_eq!(run.curves.lineage().parents, [parent]);
    let past = SeriesWindow { segment: 1, ..window(name::TRAIN, 0, 90, 10) };
    run.add_fetched(Fetched { source: 1, ..fetched(true, past) });
    assert!(!run.curves.has_overview(), "the run's own curves are still to come");
    run.add_fetched(fetched(true, window(name::TRAIN, 50, 80, 10)));
    assert_eq!(run.curves.past(name::TRAIN).last().map(|last| last.last_step), Some(49));
    assert_eq!(run.curves.shown(name::TRAIN)[0].step, 50);
    assert!(run.curves.abandoned(name::TRAIN).is_empty());
}

#[test]
fn tokens_follow_the_micro_batches_of_each_step() {
    let mut run = OpenRun::new(view());
    let micro_batch = run.view.plan.tokens_per_micro_batch() as f64;
    let planned = run.view.hyperparameters.accumulation.at(0) as f64;
    let new = wire::control::saved_schedule::SavedSchedule::Accumulation(vec![(10, 3)]);
    run.tick(tick(&run, vec![], vec![record(1, 10, Event::ScheduleChanged { old: new.clone(), new })]));
    assert_eq!(run.curves.tokens_before(12), micro_batch * (10.0 * planned + 2.0 * 3.0));
}
