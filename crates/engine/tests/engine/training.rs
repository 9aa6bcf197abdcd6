//! The training loop: the loss falls, commands take effect between steps, and the same seed gives the same losses.

use std::path::PathBuf;
use std::sync::mpsc;

use engine::data::dataset;
use engine::device;
use engine::device::replicas::ThreadLimit;
use engine::model::variant::{Part, Variant};
use engine::train::bench;
use engine::train::{Folders, Reporter, Session};
use wire::LivePath;
use wire::control::author::Author;
use wire::control::command::{Command, NumberedCommand};
use wire::control::event::Event;
use wire::inspect::update::InspectionUpdate;
use wire::run::RunState;
use wire::run::history::Past;
use wire::run::operators::{self, Operator, Phase, StepWork};
use wire::run::plan::{self, RunPlan};
use wire::series::{Row, name};
use wire::transport::link::Report;

#[derive(Default)]
struct Recorder {
    rows: Vec<Row>,
    reports: Vec<Report>,
    inspections: Vec<InspectionUpdate>,
    activities: Vec<Option<String>>,
    /// Commands that are sent once this many steps have been reported.
    script: Vec<(u64, Vec<Command>)>,
    send: Option<mpsc::Sender<NumberedCommand>>,
    /// Numbers of threads that are set in turn, one after each step.
    threads: Option<(ThreadLimit, Vec<Option<usize>>)>,
}

impl Recorder {
    fn series(&self, series: &str) -> Vec<f64> {
        self.rows
            .iter()
            .flat_map(|row| &row.values)
            .filter(|(name, _)| name == series)
            .map(|(_, value)| *value)
            .collect()
    }

    fn response(&self, command_id: u64) -> &Report {
        self.reports.iter().find(|report| report.command_id == Some(command_id)).expect("every command is answered")
    }
}

impl Reporter for Recorder {
    fn row(&mut self, row: Row) {
        let due = row.values.iter().any(|(name, _)| name == name::TRAIN);
        if due && let Some(at) = self.script.iter().position(|(step, _)| *step == row.step + 1) {
            let (_, commands) = self.script.remove(at);
            let first = 100 * (row.step + 1);
            for (i, command) in commands.into_iter().enumerate() {
                let command =
                    NumberedCommand { command_id: first + i as u64, author: Author::Person("ada".into()), command };
                self.send.as_ref().unwrap().send(command).unwrap();
            }
        }
        if let Some((limit, numbers)) = &self.threads {
            limit.set(numbers[row.step as usize % numbers.len()]);
        }
        self.rows.push(row);
    }
    fn report(&mut self, report: Report) {
        self.reports.push(report);
    }
    fn inspection(&mut self, update: InspectionUpdate) {
        self.inspections.push(update);
    }
    fn activity(&mut self, what: Option<String>) {
        self.activities.push(what);
    }
}

/// A data folder with one dataset, removed when dropped.
struct Lab(PathBuf);

impl Lab {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("kindling-engine-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let text = folder.join("rhyme.txt");
        std::fs::write(&text, "the cat sat on the mat and the dog sat on the log.\n".repeat(400)).unwrap();
        bench::import_text(&folder, &"rhyme".parse().unwrap(), &text).unwrap();
        Self(folder)
    }

    fn plan(&self, spec: &str) -> RunPlan {
        let corpora = engine::data::corpus::list(&self.0).unwrap();
        plan::resolve(&serde_json::from_str(spec).unwrap(), &corpora, &device::list()).unwrap().plan
    }

    fn train(&self, spec: &str, script: Vec<(u64, Vec<Command>)>) -> Recorder {
        let plan = self.plan(spec);
        dataset::prepare(&self.0, &plan.corpora(), plan.tokenizer, &mut |_, _, _| true).unwrap();
        let (send, commands) = mpsc::channel();
        let mut recorder = Recorder { script, send: Some(send), ..Recorder::default() };
        load(&plan, &self.0, ThreadLimit::default()).run(&commands, &mut recorder).unwrap();
        recorder
    }

    /// Trains with this number of threads before each step, in turn.
    fn train_with_threads(&self, spec: &str, threads: &[Option<usize>]) -> Recorder {
        let plan = self.plan(spec);
        dataset::prepare(&self.0, &plan.corpora(), plan.tokenizer, &mut |_, _, _| true).unwrap();
        let limit = ThreadLimit::default();
        let mut recorder = Recorder { threads: Some((limit.clone(), threads.to_vec())), ..Recorder::default() };
        load(&plan, &self.0, limit).run(&mpsc::channel().1, &mut recorder).unwrap();
        recorder
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const TINY: &str = r#"{"preset":"tiny","corpus":"rhyme","steps":60,"overrides":
    {"model.d_model":32,"model.d_ff":64,"model.seq":16,"intervals.eval_every":20,"intervals.sample_every":30,"intervals.sample_tokens":20,"optimizer.learning_rate":0.01}}"#;

#[test]
fn a_run_learns_evaluates_samples_and_ends() {
    let recorder = Lab::new("learns").train(TINY, vec![]);
    let losses = recorder.series(name::TRAIN);
    assert_eq!(losses.len(), 60);
    assert!((losses[0] - (18f64).ln()).abs() < 0.3, "the first loss is near ln vocab: {}", losses[0]);
    assert!(losses[59] < 1.0, "the text is easy to predict: {}", losses[59]);
    assert_eq!(recorder.series(name::VALID).len(), 3, "at 20, 40 and the end");
    assert!(recorder.inspections.len() >= 6, "statistics every 10 steps");
    let has_cost = |update: &InspectionUpdate| matches!(update, InspectionUpdate::ParameterStats { cost_ms, .. } if *cost_ms > 1e-3);
    assert!(
        recorder.inspections.iter().all(has_cost),
        "each update has its cost, and no other inspection was requested"
    );
    let kinds: Vec<_> = recorder.reports.iter().map(|report| report.state).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&Some(RunState::Running)), Some(&Some(RunState::Finished))));
    assert!(
        recorder.reports.iter().any(|report| matches!(&report.event, Event::Sampled { text, .. } if !text.is_empty()))
    );
}

#[test]
fn each_evaluation_reports_its_progress_up_to_the_last_batch() {
    let recorder = Lab::new("progress").train(TINY, vec![]);
    let evaluations: Vec<&[Option<String>]> = recorder.activities.split_inclusive(Option::is_none).collect();
    assert_eq!(evaluations.len(), 3, "at 20, 40 and the end: {:?}", recorder.activities);
    for evaluation in evaluations {
        let count = evaluation.len() - 1;
        assert!(count >= 1 && evaluation[count].is_none(), "{evaluation:?}");
        for (number, what) in (1..).zip(&evaluation[..count]) {
            assert_eq!(what.as_deref(), Some(format!("evaluating: batch {number} of {count}").as_str()));
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let lab = Lab::new("seed");
    let (a, b) = (lab.train(TINY, vec![]), lab.train(TINY, vec![]));
    let bits = |recorder: &Recorder| recorder.series(name::TRAIN).iter().map(|loss| loss.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&a), bits(&b));
    let other = lab.train(&TINY.replace("\"steps\":60", "\"steps\":60,\"seed\":2"), vec![]);
    assert_ne!(bits(&a), bits(&other));
}

#[test]
fn the_replicas_of_the_plan_decide_the_bits_and_not_the_threads_that_compute_them() {
    let lab = Lab::new("threads");
    let spec = |replicas: usize| {
        let changes = format!("\"batch.size\":6,\"batch.replicas\":{replicas},\"model.dropout\":0.1,\"model.seq\":16");
        TINY.replace("\"model.seq\":16", &changes)
    };
    let bits = |recorder: Recorder| {
        let of = |series| recorder.series(series).iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        [name::TRAIN, name::VALID, name::GRAD_NORM].map(of)
    };
    let unlimited = bits(lab.train_with_threads(&spec(3), &[None]));
    for threads in [vec![Some(1)], vec![Some(2)], vec![None, Some(1), Some(2)]] {
        assert_eq!(bits(lab.train_with_threads(&spec(3), &threads)), unlimited, "{threads:?}");
    }
    assert_ne!(bits(lab.train_with_threads(&spec(2), &[None])), unlimited, "other sums, rounded otherwise");
}

#[test]
fn dropout_and_accumulation_are_reproducible() {
    let lab = Lab::new("dropout");
    let spec = TINY.replace("\"model.seq\":16", "\"model.seq\":16,\"model.dropout\":0.2,\"batch.accumulation\":2");
    let bits = |recorder: Recorder| recorder.series(name::TRAIN).iter().map(|loss| loss.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(lab.train(&spec, vec![])), bits(lab.train(&spec, vec![])));
}

#[test]
fn a_run_that_is_paused_after_its_last_step_trains_no_further_step() {
    let commands = vec![Command::Pause { reason: None }, Command::Step { steps: 1 }, Command::Resume { reason: None }];
    let recorder = Lab::new("last-step").train(TINY, vec![(60, commands)]);
    assert!(matches!(&recorder.response(6001).event, Event::Refused { message, .. } if message.contains("all steps")));
    assert_eq!(recorder.response(6002).event, Event::Resumed);
    assert_eq!(recorder.series(name::TRAIN).len(), 60);
    assert!(recorder.reports.iter().any(|report| report.event == Event::Finished));
}

#[test]
fn every_evaluation_reads_the_same_windows_and_the_last_one_more() {
    let commands = vec![Command::Pause { reason: None }, Command::Evaluate, Command::Resume { reason: None }];
    let spec = TINY.replace("\"model.seq\":16", "\"model.seq\":16,\"intervals.eval_batches\":3");
    let recorder = Lab::new("windows").train(&spec, vec![(60, commands)]);
    let losses = |report: &Report| match &report.event {
        Event::Evaluated { loss_nats, windows: Some(windows), .. } => (*loss_nats, *windows.clone()),
        event => panic!("{event:?}"),
    };
    let (loss, requested) = losses(recorder.response(6001));
    let evaluations = recorder.reports.iter().filter(|report| matches!(report.event, Event::Evaluated { .. }));
    let (last_loss, last) = losses(evaluations.last().unwrap());
    let (few, all) = (&requested.datasets[0], &last.datasets[0]);
    let mean = |nats: &[f32]| nats.iter().map(|nats| f64::from(*nats)).sum::<f64>() / nats.len() as f64;
    assert!((mean(&few.nats) - loss).abs() < 1e-6, "windows have equal weights: {} {loss}", mean(&few.nats));
    assert_eq!((requested.seq, requested.is_last, last.is_last), (16, false, true));
    assert_eq!((few.split, few.whole), (all.split, None));
    assert!(few.nats.len() < all.nats.len() && all.nats.len() as u64 == all.split);
    assert_eq!(all.whole, Some(last_loss), "the whole split, with the rest of the text");
    let apart = few.nats.iter().zip(&all.nats).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-4, "the same weights on the same windows in the same order: {apart}");
}

#[test]
fn every_command_works_while_the_run_is_paused() {
    let set = |field, value| Command::Set { path: field, value, reason: Some("to see".into()) };
    let script = vec![
        (
            10,
            vec![
                Command::Pause { reason: None },
                Command::Evaluate,
                Command::Sample { prompt: Some("the dog".into()), tokens: Some(5), temperature: Some(0.0) },
                set(LivePath::LEARNING_RATE, 0.005),
                set(LivePath::GRAD_CLIP, f64::NAN),
                Command::Annotate { text: "half the rate".into() },
                Command::Sample { prompt: Some("the Ω".into()), tokens: None, temperature: None },
                Command::Step { steps: 3 },
            ],
        ),
        (13, vec![Command::Resume { reason: None }]),
        (20, vec![Command::Stop { reason: Some("enough".into()) }]),
    ];
    let recorder = Lab::new("paused").train(TINY, script);
    let at = |id| (recorder.response(id).step, &recorder.response(id).event);
    assert_eq!(at(1000), (10, &Event::Paused));
    assert!(matches!(at(1001), (10, Event::Evaluated { .. })));
    assert!(matches!(at(1002), (10, Event::Sampled { prompt, .. }) if prompt == "the dog"));
    assert!(matches!(at(1003), (10, Event::Changed { path: LivePath::LEARNING_RATE, new, .. }) if *new == 0.005));
    assert!(matches!(at(1004), (10, Event::Refused { .. })), "a NaN clip changes nothing");
    assert!(
        matches!(at(1006), (10, Event::Refused { message, .. }) if message.contains('Ω')),
        "the message names the unknown character"
    );
    assert_eq!(at(1007), (10, &Event::Stepping { steps: 3 }));
    assert!(
        recorder.reports.iter().any(|report| report.step == 13 && report.event == Event::Paused),
        "the run pauses again after three steps"
    );
    assert_eq!(at(2000), (20, &Event::Stopped));
    assert_eq!(recorder.response(1003).reason.as_deref(), Some("to see"));
    assert_eq!(recorder.series(name::TRAIN).len(), 20);
    let rates = recorder.series(name::LEARNING_RATE);
    assert!((rates[10] - 0.005).abs() < 1e-12, "the new learning rate applies from the next step on: {}", rates[10]);
}

#[test]
fn a_non_finite_loss_pauses_the_run_and_keeps_the_weights() {
    let recorder = Lab::new("nan").train(
        TINY,
        vec![
            (
                10,
                vec![
                    Command::Set { path: LivePath::GRAD_CLIP, value: 0.0, reason: None },
                    Command::Set { path: LivePath::LEARNING_RATE, value: 10.0, reason: None },
                ],
            ),
            (30, vec![Command::Stop { reason: None }]),
        ],
    );
    assert!(
        recorder.series(name::TRAIN).iter().all(|loss| loss.is_finite()),
        "no non-finite number is recorded as a loss"
    );
}

fn load(plan: &RunPlan, corpora: &std::path::Path, threads: ThreadLimit) -> Session {
    let folders = Folders { corpora: corpora.to_owned(), checkpoints: None };
    let device = device::EngineDevice { threads, ..device::open(&plan.device).unwrap() };
    Session::load(&"run".parse().unwrap(), plan, &Past::default(), folders, device).unwrap()
}

#[test]
fn operators_and_their_references_train_alike() {
    let lab = Lab::new("variants");
    let spec = r#"{"preset":"tiny","corpus":"rhyme","steps":30,"device":"cpu","overrides":{"model.d_model":32,
        "model.d_ff":64,"model.seq":16,"batch.size":4,"batch.replicas":2,"model.dropout":0.1}}"#;
    let view = bench::resolve(&serde_json::from_str(spec).unwrap(), &lab.0, 2).unwrap();
    let losses = |variant: Variant| {
        let figures = bench::train_variant(&view.plan, &lab.0, 2, variant).unwrap();
        [figures.train_nats.unwrap(), figures.valid_nats.unwrap()]
    };
    let operators = losses(Variant::default());
    for variant in [Variant::reference(), Variant::without(&Part::ALL)] {
        let found = losses(variant);
        let is_close = found.iter().zip(&operators).all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(is_close, "{variant:?}: {found:?}, and {operators:?} with the operators");
    }
    let kept = losses(Variant::without(&[Part::Buffers]));
    assert_eq!(kept, operators, "new buffers change no bit");
}

#[test]
fn each_operator_of_a_plan_has_a_time_and_all_are_within_the_step() {
    let lab = Lab::new("operators");
    let small = r#""model.d_model":32,"model.d_ff":64,"model.seq":16,"batch.size":4"#;
    let gpt = r#""model.dropout":0.1,"model.bias":true"#;
    let llama = r#""model.positions":"rotary","model.norm":"rms","model.mlp":"swiglu","model.kv_heads":1,"model.qk_norm":true,
        "model.tied_head":false,"optimizer.kind":"muon""#;
    for (overrides, threads) in [(gpt, 1), (gpt, 2), (llama, 2)] {
        let spec = format!(
            r#"{{"preset":"tiny","corpus":"rhyme","steps":6,"device":"cpu","overrides":{{{small},"batch.replicas":2,{overrides}}}}}"#
        );
        let view = bench::resolve(&serde_json::from_str(&spec).unwrap(), &lab.0, threads).unwrap();
        let work = StepWork::new(&view.plan);
        let expected: Vec<_> = Phase::ALL
            .into_iter()
            .flat_map(|phase| Operator::ALL.map(|operator| (phase, operator)))
            .filter(|(phase, operator)| {
                (*phase, *operator) == (Phase::Batch, Operator::Batch) || work.of(*phase, *operator).bytes > 0.0
            })
            .collect();
        let figures = bench::train(&view.plan, &lab.0, threads).unwrap();
        let found: Vec<_> = figures.operators.iter().map(|time| (time.phase, time.operator)).collect();
        assert_eq!(found, expected, "{spec}");
        let sum: f64 = figures.operators.iter().map(|time| time.ms).sum();
        assert!(sum <= figures.step_ms * (1.0 + 1e-9), "{sum} ms of {} ms: {spec}", figures.step_ms);
        assert!(figures.tokens_per_sec > 0.0 && figures.valid_nats.is_some() && figures.stopped_by.is_none());
        let recorder = lab.train(&spec, vec![]);
        for (phase, operator) in expected {
            let series = operators::series(phase, operator);
            assert_eq!(recorder.series(&series).len(), 1, "{series} at the first step of six");
        }
    }
}
