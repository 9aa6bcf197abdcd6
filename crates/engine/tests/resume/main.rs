//! Stories of going on: a resumed run equals the one that never stopped, bit for bit; a fork repeats its parent; damage is found.

mod story;

use std::collections::BTreeSet;

use story::{Heard, Lab, Script, TINY, bits, edit, set_rate};
use wire::checkpoint::CheckpointId;
use wire::command::{Command, Redraw};
use wire::course::MixPoint;
use wire::edit::Part;
use wire::event::Event;
use wire::history::Origin;
use wire::run::RunState;
use wire::series::name;

fn spec(more: &str) -> String {
    TINY.replace("OVERRIDES", more)
}

/// Everything at once: passes, dropout, a mix redrawn half-way, a turned rate, hands laid on the weights.
fn eventful(optimizer: &str) -> (String, Script) {
    let spec = spec(&format!(
        r#""batch.accumulation":2,"model.dropout":0.1,"optimizer.kind":"{optimizer}","keep.every":15,"keep.best":false"#
    ))
    .replace(r#""corpus":"rhyme""#, r#""mix":{"rhyme":0.7,"count":0.3}"#);
    let mix = Redraw::Mix { points: vec![MixPoint { step: 40, weights: vec![0.2, 0.8] }] };
    let passes = Redraw::Passes { stairs: vec![(50, 1)] };
    let script = vec![
        (20, vec![set_rate(0.004)]),
        (24, vec![edit(Part::Head { layer: 0, head: 1 }, 0.0)]),
        // The second of one step is refused, and so it is by the run that goes on.
        (26, vec![edit(Part::Mlp { layer: 0 }, 0.5), edit(Part::Mlp { layer: 0 }, 3.0)]),
        (31, vec![Command::Redraw { course: mix, reason: None }]),
        (33, vec![Command::Redraw { course: passes, reason: None }]),
    ];
    (spec, script)
}

fn a_resumed_run_equals_one_that_never_stopped(optimizer: &str) {
    let lab = Lab::new(&format!("resume-{optimizer}"));
    let (spec, script) = eventful(optimizer);
    let plan = lab.plan(&spec);
    let whole = lab.train("whole", &plan, script.clone(), None);
    assert_eq!(whole.state(), Some(RunState::Finished));
    let hands = whole.reports.iter().filter(|report| matches!(report.event, Event::Edited { .. })).count();
    assert_eq!(hands, 2, "{:?}", whole.kinds());
    for (nth, killed_at) in [7, 22, 25, 27, 38, 52, 61].into_iter().enumerate() {
        let run = format!("torn-{nth}");
        let torn = lab.train(&run, &plan, script.clone(), Some(killed_at));
        assert!(torn.losses().len() as u64 >= killed_at && torn.losses().len() < whole.losses().len());
        let rest = lab.go_on(&run, &plan, &torn, script.clone());
        let all = torn.then(&rest);
        assert_eq!(bits(&all.losses()), bits(&whole.losses()), "{optimizer}, killed at {killed_at}");
        assert_eq!(bits(&all.series(name::VALID)), bits(&whole.series(name::VALID)));
        assert_eq!(all.kinds(), whole.kinds(), "nothing is told twice or left out, killed at {killed_at}");
        assert_eq!(lab.weights(&run, &all), lab.weights("whole", &whole), "the last bit of the last weight");
    }
}

#[test]
fn resumed_equals_never_stopped_with_adamw() {
    a_resumed_run_equals_one_that_never_stopped("adamw");
}

#[test]
fn resumed_equals_never_stopped_with_muon() {
    a_resumed_run_equals_one_that_never_stopped("muon");
}

#[test]
fn a_fork_repeats_its_parent_and_a_rollback_skips_like_a_fork() {
    let lab = Lab::new("fork");
    let plan = lab.plan(&spec(r#""keep.every":20,"keep.latest":9"#));
    let parent = lab.train("parent", &plan, vec![], None);
    let at = CheckpointId { segment: 0, step: 20 };
    let history = parent.history(&plan);
    let mut fork_plan = plan.clone();
    let from = wire::checkpoint::CheckpointRef { run: "parent".parse().unwrap(), checkpoint: at };
    fork_plan.origin = Some(Origin { from, dials: history.dials_at(at), best_valid: None });
    let child = lab.train_from("child", &fork_plan, &wire::history::History::new(&fork_plan), vec![], None, 0);
    assert_eq!(bits(&child.losses()), bits(&parent.losses()[20..]));
    assert!(child.reports.iter().any(|report| matches!(report.event, Event::Started { .. })));

    let back = Command::Rollback { checkpoint: at, skip_batches: 7, reason: None };
    let rolled = lab.train("rolled", &plan, vec![(45, vec![back])], None);
    assert_eq!(rolled.state(), Some(RunState::Finished));
    let event = rolled.answer_to_first();
    assert!(matches!(event.event, Event::RolledBack { from_step: 45, skip_batches: 7, .. }), "{event:?}");
    assert_eq!((event.segment, event.step), (1, 20));
    let again: Vec<f64> = rolled.losses_of(1);
    assert_eq!(bits(&rolled.losses_of(0)), bits(&parent.losses()[..45]));
    assert_eq!(again.len(), plan.steps as usize - 20);
    assert_ne!(again[0].to_bits(), parent.losses()[20].to_bits(), "other batches");
    let skipping = rolled.history(&plan);
    assert_eq!((skipping.dials().skipped, skipping.spans().len()), (7, 2));
    fork_plan.origin.as_mut().unwrap().dials.skipped = 7;
    let skipped = lab.train_from("skipped", &fork_plan, &wire::history::History::new(&fork_plan), vec![], None, 0);
    assert_eq!(bits(&skipped.losses()), bits(&again));
}

#[test]
fn hands_on_a_fork_do_what_hands_on_its_parent_would() {
    let lab = Lab::new("hands");
    let plan = lab.plan(&spec(r#""keep.every":20,"keep.latest":9"#));
    let alone = lab.train("alone", &plan, vec![], None);
    let hands = edit(Part::Attention { layer: 0 }, 0.0);
    let edited = lab.train("edited", &plan, vec![(20, vec![hands])], None);
    assert_eq!(bits(&edited.losses()[..20]), bits(&alone.losses()[..20]));
    assert_ne!(edited.losses()[20].to_bits(), alone.losses()[20].to_bits());
    let record = edited.records().into_iter().find(|record| matches!(record.event, Event::Edited { .. })).unwrap();
    let at = CheckpointId { segment: 0, step: 20 };
    let before = edited.history(&plan).checkpoint_before(record.number, &edited.checkpoints());
    assert_eq!(before, Some(at), "the state before it is kept");

    let mut fork_plan = plan.clone();
    let from = wire::checkpoint::CheckpointRef { run: "alone".parse().unwrap(), checkpoint: at };
    fork_plan.origin = Some(Origin { from, dials: alone.history(&plan).dials_at(at), best_valid: None });
    let mut history = wire::history::History::new(&fork_plan);
    history.take(&record);
    let child = lab.train_from("child", &fork_plan, &history, vec![], None, 0);
    assert_eq!(bits(&child.losses()), bits(&edited.losses()[20..]));
}

#[test]
fn a_run_that_went_back_goes_on_from_before_it_where_the_newer_are_damaged() {
    let lab = Lab::new("rolled-and-torn");
    let plan = lab.plan(&spec(r#""keep.every":10"#));
    let back = Command::Rollback { checkpoint: CheckpointId { segment: 0, step: 20 }, skip_batches: 3, reason: None };
    // Asked for, so that it is there however busy the disk is; those on the cadence wait for the writer.
    let ask = Command::Checkpoint { reason: None };
    let script = vec![(15, vec![set_rate(0.003)]), (20, vec![ask]), (34, vec![back])];
    let whole = lab.train("whole", &plan, script.clone(), None);
    let torn = lab.train("torn", &plan, script.clone(), Some(55));
    let before = CheckpointId { segment: 0, step: 15 };
    // One told of twice is damaged once, or the second time would mend it.
    let newer: BTreeSet<CheckpointId> = torn.checkpoints().into_iter().filter(|id| *id > before).collect();
    for id in newer {
        lab.damage("torn", &id.to_string());
    }
    let rest = lab.go_on("torn", &plan, &torn, vec![]);
    let continued = rest.reports.iter().find_map(|report| match &report.event {
        Event::Continued { checkpoint, damaged, .. } => Some((checkpoint.unwrap().to_string(), damaged.len())),
        _ => None,
    });
    assert!(continued.as_ref().is_some_and(|(id, damaged)| id == "0-15" && *damaged >= 1), "{continued:?}");
    assert_eq!(bits(&torn.then(&rest).losses()), bits(&whole.losses()));
}

#[test]
fn damage_of_any_kind_is_found() {
    let lab = Lab::new("damage");
    let plan = lab.plan(&spec(r#""keep.every":30"#));
    lab.train("whole", &plan, vec![], None);
    let folder = lab.checkpoint("whole", "0-30");
    assert!(engine::checkpoint::open(&folder).is_ok());
    let mut random = engine::random::Counter::new(7, 7);
    for file in [engine::checkpoint::STATE, engine::checkpoint::MANIFEST] {
        let path = folder.join(file);
        let good = std::fs::read(&path).unwrap();
        for round in 0..60 {
            let mut bad = good.clone();
            let at = random.below(good.len() as u64) as usize;
            match round % 4 {
                0 => bad.truncate(at),
                1 => bad[at..].fill(0),
                2 => bad[at] ^= 1 << random.below(8),
                _ => bad.extend_from_slice(&good[..at.min(64)]),
            }
            if bad == good {
                continue;
            }
            std::fs::write(&path, &bad).unwrap();
            let opened = engine::checkpoint::open(&folder);
            // A manifest may be altered where it only tells (a name, a time); what the state is made of may not.
            let is_harmless =
                file == engine::checkpoint::MANIFEST && opened.as_ref().is_ok_and(|saved| saved.host_weights().is_ok());
            assert!(opened.is_err() || is_harmless, "round {round} of {file} at {at}");
        }
        std::fs::write(&path, &good).unwrap();
    }
    assert!(engine::checkpoint::open(&folder).is_ok());
}

#[test]
fn a_burst_of_commands_keeps_its_order_and_every_one_is_answered() {
    let lab = Lab::new("burst");
    let plan = lab.plan(&spec(r#""keep.before_changes":false"#));
    let burst: Vec<Command> = (0..1000)
        .map(|i| Command::Set { field: wire::SetField::Clip, value: 1.0 + f64::from(i), reason: None })
        .collect();
    let heard = lab.train("burst", &plan, vec![(5, burst)], None);
    let answers: Vec<u64> = heard.reports.iter().filter_map(|report| report.command_id).collect();
    assert_eq!(answers.len(), 1000);
    assert!(answers.is_sorted());
    assert_eq!(heard.history(&plan).dials().clip, 1000.0);
}

#[test]
fn a_journal_replayed_gives_the_dials_that_the_worker_holds() {
    let lab = Lab::new("replayed");
    let plan = lab.plan(&spec(r#""keep.every":10,"keep.latest":50"#));
    for seed in 0..6 {
        let script = story::random_script(seed, plan.steps);
        let run = format!("random-{seed}");
        let heard = lab.train(&run, &plan, script.clone(), None);
        let newest = heard.newest_checkpoint();
        let saved = engine::checkpoint::manifest(&lab.checkpoint(&run, &newest.to_string())).unwrap();
        assert_eq!(heard.history(&plan).dials(), saved.dials, "seed {seed}: {script:?}");
    }
}

#[test]
fn a_budget_ends_a_run_and_a_paused_run_lets_go_and_comes_back() {
    let lab = Lab::new("budget");
    let plan = lab.plan(&spec(r#""budget.tokens":2000"#));
    let heard = lab.train("budget", &plan, vec![], None);
    let per_step = plan.tokens_per_step();
    assert_eq!(heard.losses().len() as u64, 2000_u64.div_ceil(per_step));
    assert!(heard.reports.iter().any(|report| matches!(report.event, Event::BudgetReached { .. })));

    let plan = lab.plan(&spec(""));
    let whole = lab.train("whole", &plan, vec![], None);
    let script = vec![(12, vec![Command::Pause { reason: None }, Command::Release { reason: None }])];
    let parked = lab.train("parked", &plan, script, None);
    assert_eq!((parked.state(), parked.losses().len()), (Some(RunState::Parked), 12));
    let rest = lab.go_on("parked", &plan, &parked, vec![]);
    assert_eq!(bits(&parked.then(&rest).losses()), bits(&whole.losses()));
}

#[test]
fn a_plan_holds_where_it_says_once_on_each_way_however_often_it_is_killed() {
    let lab = Lab::new("holds");
    let calm = lab.train("calm", &lab.plan(&spec("")), vec![], None);
    let plan = lab.plan(&spec(r#""cadence.hold_at":[30,0,12]"#));
    let whole = lab.train("whole", &plan, vec![], None);
    let holds = |heard: &Heard| {
        let paused = heard.reports.iter().filter(|report| report.event == Event::Paused);
        paused.map(|report| (report.segment, report.step)).collect::<Vec<_>>()
    };
    assert_eq!(holds(&whole), [(0, 0), (0, 12), (0, 30)]);
    assert_eq!(bits(&whole.losses()), bits(&calm.losses()));
    // Killed before it held, and after it was sent on.
    for killed_at in [12, 13] {
        let run = format!("killed-{killed_at}");
        let first = lab.train(&run, &plan, vec![], Some(killed_at));
        let rest = lab.go_on(&run, &plan, &first, vec![]);
        assert_eq!(
            (holds(&first.then(&rest)), first.then(&rest).kinds()),
            (holds(&whole), whole.kinds()),
            "{killed_at}"
        );
    }
    // Killed just as it was sent on: it does not hold there again.
    let sent_on = whole.reports.iter().position(|report| report.event == Event::Resumed && report.step == 12).unwrap();
    let heard = Heard {
        rows: whole.rows.iter().filter(|row| row.step < 12).cloned().collect(),
        reports: whole.reports[..=sent_on].to_vec(),
    };
    let rest = lab.go_on("whole", &plan, &heard, vec![]);
    assert_eq!(holds(&rest), [(0, 30)]);
    // A way back leads there once more.
    let back = Command::Rollback { checkpoint: CheckpointId { segment: 0, step: 10 }, skip_batches: 0, reason: None };
    let plan = lab.plan(&spec(r#""cadence.hold_at":[12],"keep.every":10,"keep.latest":50"#));
    let heard = lab.train("back", &plan, vec![(20, vec![back])], None);
    assert_eq!(holds(&heard), [(0, 12), (1, 12)]);
}
