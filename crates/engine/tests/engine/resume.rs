//! Resuming: a resumed run equals an uninterrupted one, bit for bit; a fork repeats its parent; damaged checkpoints are detected.

mod scenario;

use std::collections::BTreeSet;

use engine::data::online_mixing::next_weights;
use scenario::{Lab, Reports, Script, TINY, bits, edit, set_rate};
use wire::control::checkpoint::CheckpointId;
use wire::control::command::{Command, ScheduleChange};
use wire::control::event::Event;
use wire::control::intervention::Component;
use wire::hyperparameters::mix::MixPoint;
use wire::run::RunState;
use wire::run::plan::Origin;
use wire::series::name;

fn spec(more: &str) -> String {
    TINY.replace("OVERRIDES", more)
}

/// All changes in one run: accumulation, dropout, a changed mix, a changed learning rate, weight edits.
fn spec_with_changes(optimizer: &str) -> (String, Script) {
    let spec = spec(&format!(
        r#""batch.accumulation":2,"model.dropout":0.1,"optimizer.kind":"{optimizer}","intervals.stats_every":2,"intervals.checkpoint_every":15,"retention.best":false"#
    ))
    .replace(r#""corpus":"rhyme""#, r#""mix":{"rhyme":0.7,"count":0.3}"#);
    let mix = ScheduleChange::Mix { points: vec![MixPoint { step: 40, weights: vec![0.2, 0.8] }] };
    let accumulation = ScheduleChange::Accumulation { changes: vec![(50, 1)] };
    let script = vec![
        (20, vec![set_rate(0.004)]),
        (24, vec![edit(Component::Head { layer: 0, head: 1 }, 0.0)]),
        // The second edit of one step is refused, also by the resumed run.
        (26, vec![edit(Component::Mlp { layer: 0 }, 0.5), edit(Component::Mlp { layer: 0 }, 3.0)]),
        (31, vec![Command::SetSchedule { schedule: mix, reason: None }]),
        (33, vec![Command::SetSchedule { schedule: accumulation, reason: None }]),
    ];
    (spec, script)
}

fn a_resumed_run_equals_an_uninterrupted_one(optimizer: &str) {
    let lab = Lab::new(&format!("resume-{optimizer}"));
    let (spec, script) = spec_with_changes(optimizer);
    let plan = lab.plan(&spec);
    let whole = lab.train("whole", &plan, script.clone(), None);
    assert_eq!(whole.state(), Some(RunState::Finished));
    let edits = whole.reports.iter().filter(|report| matches!(report.event, Event::WeightsEdited { .. })).count();
    assert_eq!(edits, 2, "{:?}", whole.kinds());
    for (nth, killed_at) in [7, 22, 25, 27, 38, 52, 61].into_iter().enumerate() {
        let run = format!("killed-{nth}");
        let killed = lab.train(&run, &plan, script.clone(), Some(killed_at));
        assert!(killed.losses().len() as u64 >= killed_at && killed.losses().len() < whole.losses().len());
        let rest = lab.resume(&run, &plan, &killed, script.clone());
        let all = killed.then(&rest);
        assert_eq!(bits(&all.losses()), bits(&whole.losses()), "{optimizer}, killed at {killed_at}");
        for series in
            [name::VALID, name::DUPLICATE_WINDOWS, name::NOISE_SCALE, "attention_entropy/0.0", "dead_neurons/0"]
        {
            assert!(!whole.series(series).is_empty(), "{series}");
            assert_eq!(bits(&all.series(series)), bits(&whole.series(series)), "{series}, killed at {killed_at}");
        }
        assert_eq!(all.kinds(), whole.kinds(), "no event is reported twice or missing, killed at {killed_at}");
        assert_eq!(lab.weights(&run, &all), lab.weights("whole", &whole), "the last bit of the last weight");
    }
}

#[test]
fn resumed_equals_uninterrupted_with_adamw() {
    a_resumed_run_equals_an_uninterrupted_one("adamw");
}

#[test]
fn resumed_equals_uninterrupted_with_muon() {
    a_resumed_run_equals_an_uninterrupted_one("muon");
}

/// Online data mixing decides at the evaluations after 20, 40 and 60 steps. A run that is killed repeats what it had decided.
#[test]
fn online_data_mixing_resumes_exactly_beside_a_control_run_with_a_static_mix() {
    let lab = Lab::new("odm");
    let of = |rule: &str| {
        let more = format!(
            r#""mixing.rule":"{rule}","mixing.strength":3,"mixing.floor":0.1,"intervals.checkpoint_every":15,"retention.best":false"#
        );
        lab.plan(&spec(&more).replace(r#""corpus":"rhyme""#, r#""mix":{"rhyme":0.7,"count":0.3}"#))
    };
    let (plan, control) = (of("odm"), of("static"));
    let whole = lab.train("whole", &plan, vec![], None);
    let changed = |reports: &Reports| {
        let is_change = |event: &Event| matches!(event, Event::ScheduleChanged { .. });
        reports.reports.iter().filter(|report| is_change(&report.event)).map(|report| report.step).collect::<Vec<_>>()
    };
    assert_eq!((whole.state(), changed(&whole)), (Some(RunState::Finished), vec![20, 40, 60]));
    let weights = whole.series("mix_weight/count");
    assert_eq!((weights.len(), weights[0], weights[1]), (7, 0.3, 0.3), "each 10 steps");
    let losses = ["loss.valid/count", "loss.valid/rhyme"].map(|series| whole.series(series)[0]);
    let expected = next_weights(&[0.3, 0.7], &losses, &plan.recipe.mixing).unwrap();
    assert!((weights[2] - expected[0]).abs() < 1e-9 && weights[2] != 0.3, "{weights:?} {expected:?}");

    let still = lab.train("control", &control, vec![], None);
    assert_eq!((changed(&still), still.series("mix_weight/count")), (vec![], vec![0.3; 7]));
    assert_eq!(
        bits(&still.losses()[..20]),
        bits(&whole.losses()[..20]),
        "the same batches before the first evaluation"
    );
    assert_ne!(bits(&still.losses()), bits(&whole.losses()));

    for (nth, killed_at) in [12, 22, 38, 41, 66].into_iter().enumerate() {
        let run = format!("killed-{nth}");
        let killed = lab.train(&run, &plan, vec![], Some(killed_at));
        let rest = lab.resume(&run, &plan, &killed, vec![]);
        let all = killed.then(&rest);
        assert_eq!(bits(&all.losses()), bits(&whole.losses()), "killed at {killed_at}");
        assert_eq!(bits(&all.series("mix_weight/count")), bits(&weights), "killed at {killed_at}");
        assert_eq!(all.kinds(), whole.kinds(), "no event is reported twice or missing, killed at {killed_at}");
        assert_eq!(lab.weights(&run, &all), lab.weights("whole", &whole), "the last bit of the last weight");
    }
}

#[test]
fn a_fork_repeats_its_parent_and_a_rollback_skips_like_a_fork() {
    let lab = Lab::new("fork");
    let plan = lab.plan(&spec(r#""intervals.checkpoint_every":20,"retention.latest":9"#));
    let parent = lab.train("parent", &plan, vec![], None);
    let at = CheckpointId { segment: 0, step: 20 };
    let history = parent.history(&plan);
    let mut fork_plan = plan.clone();
    let from = wire::control::checkpoint::CheckpointRef { run: "parent".parse().unwrap(), checkpoint: at };
    fork_plan.origin = Some(Origin { from, hyperparameters: history.hyperparameters_at(at), best_valid: None });
    let child = lab.train_from("child", &fork_plan, &wire::run::history::History::new(&fork_plan), vec![], None, 0);
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
    assert_eq!((skipping.hyperparameters().skipped, skipping.spans().len()), (7, 2));
    fork_plan.origin.as_mut().unwrap().hyperparameters.skipped = 7;
    let skipped = lab.train_from("skipped", &fork_plan, &wire::run::history::History::new(&fork_plan), vec![], None, 0);
    assert_eq!(bits(&skipped.losses()), bits(&again));
}

#[test]
fn a_rollback_continues_the_counts_of_its_checkpoint() {
    let lab = Lab::new("counts");
    let plan = lab.plan(&spec(r#""intervals.stats_every":2,"intervals.checkpoint_every":20,"retention.latest":9"#));
    let parent = lab.train("straight", &plan, vec![], None);
    let at = CheckpointId { segment: 0, step: 40 };
    let back = Command::Rollback { checkpoint: at, skip_batches: 0, reason: None };
    let rolled = lab.train("rolled", &plan, vec![(65, vec![back])], None);
    for series in [name::DUPLICATE_WINDOWS, name::NOISE_SCALE] {
        let again = rolled.series_of(series, 1);
        let from = parent.series(series).len() - again.len();
        assert!(!again.is_empty() && from > 0, "{series}");
        assert_eq!(bits(&again), bits(&parent.series(series)[from..]), "{series}");
    }
    let last = *parent.series(name::DUPLICATE_WINDOWS).last().unwrap();
    assert!(last > 100.0, "the text is one line many times: {last}");
}

#[test]
fn a_weight_edit_of_a_fork_equals_the_same_edit_of_its_parent() {
    let lab = Lab::new("edits");
    let plan = lab.plan(&spec(r#""intervals.checkpoint_every":20,"retention.latest":9"#));
    let alone = lab.train("alone", &plan, vec![], None);
    let ablation = edit(Component::Attention { layer: 0 }, 0.0);
    let edited = lab.train("edited", &plan, vec![(20, vec![ablation])], None);
    assert_eq!(bits(&edited.losses()[..20]), bits(&alone.losses()[..20]));
    assert_ne!(edited.losses()[20].to_bits(), alone.losses()[20].to_bits());
    let record =
        edited.records().into_iter().find(|record| matches!(record.event, Event::WeightsEdited { .. })).unwrap();
    let at = CheckpointId { segment: 0, step: 20 };
    let before = edited.history(&plan).checkpoint_before(record.number, &edited.checkpoints());
    assert_eq!(before, Some(at), "the checkpoint before it is kept");

    let mut fork_plan = plan.clone();
    let from = wire::control::checkpoint::CheckpointRef { run: "alone".parse().unwrap(), checkpoint: at };
    fork_plan.origin =
        Some(Origin { from, hyperparameters: alone.history(&plan).hyperparameters_at(at), best_valid: None });
    let mut history = wire::run::history::History::new(&fork_plan);
    history.append(&record);
    let child = lab.train_from("child", &fork_plan, &history, vec![], None, 0);
    assert_eq!(bits(&child.losses()), bits(&edited.losses()[20..]));
}

#[test]
fn a_run_with_a_rollback_resumes_from_before_it_if_newer_checkpoints_are_damaged() {
    let lab = Lab::new("rolled-and-torn");
    let plan = lab.plan(&spec(r#""intervals.checkpoint_every":10"#));
    let back = Command::Rollback { checkpoint: CheckpointId { segment: 0, step: 20 }, skip_batches: 3, reason: None };
    // Requested, so that it exists even if the disk is busy; periodic checkpoints wait for the writer.
    let ask = Command::Checkpoint { reason: None };
    let script = vec![(15, vec![set_rate(0.003)]), (20, vec![ask]), (34, vec![back])];
    let whole = lab.train("whole", &plan, script.clone(), None);
    let torn = lab.train("torn", &plan, script.clone(), Some(55));
    let before = CheckpointId { segment: 0, step: 15 };
    // A checkpoint that is reported twice is damaged once; a second time would undo the damage.
    let newer: BTreeSet<CheckpointId> = torn.checkpoints().into_iter().filter(|id| *id > before).collect();
    for id in newer {
        lab.damage("torn", &id.to_string());
    }
    let rest = lab.resume("torn", &plan, &torn, vec![]);
    let continued = rest.reports.iter().find_map(|report| match &report.event {
        Event::Continued { checkpoint, damaged, .. } => Some((checkpoint.unwrap().to_string(), damaged.len())),
        _ => None,
    });
    assert!(continued.as_ref().is_some_and(|(id, damaged)| id == "0-15" && *damaged >= 1), "{continued:?}");
    assert_eq!(bits(&torn.then(&rest).losses()), bits(&whole.losses()));
}

#[test]
fn damage_of_any_kind_is_detected() {
    let lab = Lab::new("damage");
    let plan = lab.plan(&spec(r#""intervals.checkpoint_every":30"#));
    lab.train("whole", &plan, vec![], None);
    let folder = lab.checkpoint("whole", "0-30");
    assert!(engine::optim::checkpoint::open(&folder).is_ok());
    let mut random = engine::kernels::random::Counter::new(7, 7);
    for file in [engine::optim::checkpoint::STATE, engine::optim::checkpoint::MANIFEST] {
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
            let opened = engine::optim::checkpoint::open(&folder);
            // A manifest may be altered in a description (a name, a time), not in a value that the state depends on.
            let is_harmless = file == engine::optim::checkpoint::MANIFEST
                && opened.as_ref().is_ok_and(|saved| saved.host_weights().is_ok());
            assert!(opened.is_err() || is_harmless, "round {round} of {file} at {at}");
        }
        std::fs::write(&path, &good).unwrap();
    }
    assert!(engine::optim::checkpoint::open(&folder).is_ok());
}

#[test]
fn a_checkpoint_of_another_format_is_refused_by_its_version_and_left_unchanged() {
    let lab = Lab::new("format");
    let plan = lab.plan(&spec(r#""intervals.checkpoint_every":30"#));
    lab.train("whole", &plan, vec![], None);
    let folder = lab.checkpoint("whole", "0-30");
    let path = folder.join(engine::optim::checkpoint::MANIFEST);
    let check = |manifest: serde_json::Value, expected: &str| {
        let written = serde_json::to_vec(&manifest).unwrap();
        std::fs::write(&path, &written).unwrap();
        let error = engine::optim::checkpoint::open(&folder).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(expected), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), written, "{expected}");
    };
    let newest: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    // Version 1 had other names for most fields, so no other field may be read before the version.
    check(
        serde_json::json!({ "format": 1, "record": { "id": "0-30" }, "dials": {} }),
        "format version 1, written by an earlier",
    );
    let mut later = newest.clone();
    later["format"] = 3.into();
    check(later, "format version 3, and this program reads version 2");
    let mut without = newest.clone();
    without.as_object_mut().unwrap().remove("format");
    check(without, "no format version");
    std::fs::write(&path, serde_json::to_vec(&newest).unwrap()).unwrap();
    assert!(engine::optim::checkpoint::open(&folder).is_ok());
}

#[test]
fn a_burst_of_commands_keeps_its_order_and_every_command_is_answered() {
    let lab = Lab::new("burst");
    let plan = lab.plan(&spec(r#""retention.before_changes":false"#));
    let burst: Vec<Command> = (0..1000)
        .map(|i| Command::Set { path: wire::LivePath::GRAD_CLIP, value: 1.0 + f64::from(i), reason: None })
        .collect();
    let reports = lab.train("burst", &plan, vec![(5, burst)], None);
    let answers: Vec<u64> = reports.reports.iter().filter_map(|report| report.command_id).collect();
    assert_eq!(answers.len(), 1000);
    assert!(answers.is_sorted());
    assert_eq!(reports.history(&plan).hyperparameters().optimizer.grad_clip, 1000.0);
}

#[test]
fn a_replayed_journal_gives_the_hyperparameters_of_the_worker() {
    let lab = Lab::new("replayed");
    let plan = lab.plan(&spec(r#""intervals.checkpoint_every":10,"retention.latest":50"#));
    for seed in testing::seeds(0..6) {
        let script = scenario::random_script(seed, plan.steps);
        let run = format!("random-{seed}");
        let reports = lab.train(&run, &plan, script.clone(), None);
        let newest = reports.newest_checkpoint();
        let saved = engine::optim::checkpoint::manifest(&lab.checkpoint(&run, &newest.to_string())).unwrap();
        assert_eq!(reports.history(&plan).hyperparameters(), saved.hyperparameters, "seed {seed}: {script:?}");
    }
}

#[test]
fn a_budget_ends_a_run_and_a_suspended_run_resumes() {
    let lab = Lab::new("budget");
    let plan = lab.plan(&spec(r#""budget.tokens":2000"#));
    let reports = lab.train("budget", &plan, vec![], None);
    let per_step = plan.tokens_per_step();
    assert_eq!(reports.losses().len() as u64, 2000_u64.div_ceil(per_step));
    assert!(reports.reports.iter().any(|report| matches!(report.event, Event::BudgetReached { .. })));

    let plan = lab.plan(&spec(""));
    let whole = lab.train("whole", &plan, vec![], None);
    let script = vec![(12, vec![Command::Pause { reason: None }, Command::Suspend { reason: None }])];
    let suspended = lab.train("suspended", &plan, script, None);
    assert_eq!((suspended.state(), suspended.losses().len()), (Some(RunState::Suspended), 12));
    let rest = lab.resume("suspended", &plan, &suspended, vec![]);
    assert_eq!(bits(&suspended.then(&rest).losses()), bits(&whole.losses()));
}

#[test]
fn a_run_pauses_at_each_breakpoint_once_per_segment_even_if_it_is_killed() {
    let lab = Lab::new("breakpoints");
    let calm = lab.train("calm", &lab.plan(&spec("")), vec![], None);
    let plan = lab.plan(&spec(r#""breakpoints":[30,0,12]"#));
    let whole = lab.train("whole", &plan, vec![], None);
    let pauses = |reports: &Reports| {
        let paused = reports.reports.iter().filter(|report| report.event == Event::Paused);
        paused.map(|report| (report.segment, report.step)).collect::<Vec<_>>()
    };
    assert_eq!(pauses(&whole), [(0, 0), (0, 12), (0, 30)]);
    assert_eq!(bits(&whole.losses()), bits(&calm.losses()));
    // Killed before it paused, and after it was resumed.
    for killed_at in [12, 13] {
        let run = format!("killed-{killed_at}");
        let first = lab.train(&run, &plan, vec![], Some(killed_at));
        let rest = lab.resume(&run, &plan, &first, vec![]);
        assert_eq!(
            (pauses(&first.then(&rest)), first.then(&rest).kinds()),
            (pauses(&whole), whole.kinds()),
            "{killed_at}"
        );
    }
    // Killed just after it was resumed: it does not pause there again.
    let resumed = whole.reports.iter().position(|report| report.event == Event::Resumed && report.step == 12).unwrap();
    let reports = Reports {
        rows: whole.rows.iter().filter(|row| row.step < 12).cloned().collect(),
        reports: whole.reports[..=resumed].to_vec(),
    };
    let rest = lab.resume("whole", &plan, &reports, vec![]);
    assert_eq!(pauses(&rest), [(0, 30)]);
    // After a rollback the run reaches the breakpoint again.
    let back = Command::Rollback { checkpoint: CheckpointId { segment: 0, step: 10 }, skip_batches: 0, reason: None };
    let plan = lab.plan(&spec(r#""breakpoints":[12],"intervals.checkpoint_every":10,"retention.latest":50"#));
    let reports = lab.train("back", &plan, vec![(20, vec![back])], None);
    assert_eq!(pauses(&reports), [(0, 12), (1, 12)]);
}
