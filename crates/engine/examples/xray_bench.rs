//! What looking inside costs a training: `cargo run --release -p engine --example xray_bench [-- STEPS]`.
//!
//! One run of nanoGPT's CPU recipe on Tales, in turns of twenty steps with nobody watching and with the map watched twice a second, so that
//! both see the same machine; then each look by itself. A step's time is that from one report to the next, looks and all. Then a second run
//! that nobody watches, as long, for what it keeps of itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use engine::train::{Folders, Reporter, Training};
use engine::{corpus, dataset, device};
use wire::command::{Command, CommandOrder};
use wire::edit::{Edit, Part};
use wire::event::Author;
use wire::frame::{Frame, Pace};
use wire::history::Past;
use wire::link::Report;
use wire::look::{self, Look, Of, Passage};
use wire::plan;
use wire::series::{Row, name};

/// Steps of a turn.
const TURN: u64 = 20;
/// Steps before anything is measured.
const WARM: u64 = 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let steps: u64 = std::env::args().nth(1).map_or(Ok(400), |steps| steps.parse())?;
    let folder = std::env::temp_dir().join(format!("kindling-xray-bench-{}", std::process::id()));
    let measured = measure(&folder, steps);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &Path, steps: u64) -> Result<(), Box<dyn std::error::Error>> {
    corpus::generate(folder, &"tales".parse()?, "tales", 1, &mut |_, _, _| true)?;
    let spec = serde_json::json!({
        "preset": "nanogpt-cpu", "corpus": "tales", "steps": 1_000_000, "device": "cpu",
        "overrides": {"cadence.sample_every": 0, "cadence.eval_every": 0, "keep.frames_mb": 0, "keep.every": 0}
    });
    let plan = plan::resolve(&serde_json::from_value(spec)?, &corpus::list(folder)?, &device::list())?.plan;
    dataset::prepare(folder, &plan.corpora(), plan.tokenizer, &mut |_, _, _| true)?;
    let folders = Folders { corpora: folder.to_owned(), checkpoints: None };
    let mut training =
        Training::load(&"bench".parse()?, &plan, &Past::default(), folders, device::open(&plan.device)?)?;
    let (send, orders) = mpsc::channel();
    let mut watch = Watch::new(send, steps);
    training.run(&orders, &mut watch)?;
    watch.print();
    drop(training);

    let mut plan = plan;
    (plan.steps, plan.recipe.keep.frames_mb) = (steps, 200);
    let folders = Folders { corpora: folder.to_owned(), checkpoints: None };
    let mut training =
        Training::load(&"keeps".parse()?, &plan, &Past::default(), folders, device::open(&plan.device)?)?;
    let mut shelf = Shelf::default();
    let began = Instant::now();
    training.run(&mpsc::channel().1, &mut shelf)?;
    shelf.print(began.elapsed().as_secs_f64() * 1000.0);
    Ok(())
}

/// What a run keeps of itself, and what that took by its own clock.
#[derive(Default)]
struct Shelf {
    states: BTreeSet<u64>,
    looks_ms: f64,
}

impl Shelf {
    fn print(&self, all_ms: f64) {
        let (count, looks_ms) = (self.states.len(), self.looks_ms);
        let each = looks_ms / count.max(1) as f64;
        println!("kept: {count} states, {each:.1} ms each, {:.2} % of the run", looks_ms / all_ms * 100.0);
    }
}

impl Reporter for Shelf {
    fn row(&mut self, row: Row) {
        self.looks_ms += row.values.iter().filter(|(name, _)| name == name::LOOKS_MS).map(|(_, ms)| ms).sum::<f64>();
    }

    fn report(&mut self, _report: Report) {}

    fn look(&mut self, _frame: Frame) {}

    fn keep(&mut self, frame: Frame) {
        self.states.insert(frame.step());
    }
}

struct Watch {
    orders: mpsc::Sender<CommandOrder>,
    steps: u64,
    last: Instant,
    wishes: Option<Vec<Look>>,
    is_watched: bool,
    alone_ms: Vec<f64>,
    watched_ms: Vec<f64>,
    /// Looks to be taken one after the other at the end.
    left: Vec<Look>,
    costs: Vec<(String, Vec<Pace>)>,
}

impl Watch {
    fn new(orders: mpsc::Sender<CommandOrder>, steps: u64) -> Self {
        let passage = Passage::default();
        let mut left = look::kept_looks(1);
        let edits = vec![Edit { part: Part::Head { layer: 0, head: 0 }, factor: 0.0 }];
        left.extend([
            Look::Units { passage: passage.clone(), layer: 0 },
            Look::Unit { layer: 0, unit: 0 },
            Look::Gallery { of: Of::Gradient },
            Look::Gallery { of: Of::Update },
            Look::Matrix { tensor: "block.0.mlp.up".into(), of: Of::Weight, window: None },
            Look::Batch { step: 1 },
            Look::Hands { passage, edits },
        ]);
        left.reverse();
        let (alone_ms, watched_ms, costs) = (vec![], vec![], vec![]);
        Self { orders, steps, last: Instant::now(), wishes: None, is_watched: false, alone_ms, watched_ms, left, costs }
    }

    fn step_is_done(&mut self, step: u64) {
        let ms = self.last.elapsed().as_secs_f64() * 1000.0;
        self.last = Instant::now();
        if step < WARM {
            return;
        }
        if step < self.steps {
            if self.is_watched {
                self.watched_ms.push(ms)
            } else {
                self.alone_ms.push(ms)
            }
            if step % TURN == TURN - 1 {
                self.is_watched = !self.is_watched;
                let passage = Passage::default();
                self.wishes = Some(if self.is_watched { vec![Look::Map { passage }] } else { vec![] });
            }
        } else if step == self.steps {
            let command = Command::Pause { reason: None };
            let _ = self.orders.send(CommandOrder { command_id: 1, author: Author::Lab, command });
            self.wish_next();
        }
    }

    /// Five times each, while the run holds.
    fn wish_next(&mut self) {
        let is_enough = self.costs.last().is_none_or(|(_, paces)| paces.len() >= 5);
        if is_enough {
            let Some(look) = self.left.pop() else {
                let command = Command::Stop { reason: None };
                let _ = self.orders.send(CommandOrder { command_id: 2, author: Author::Lab, command });
                return;
            };
            self.costs.push((look.key(), vec![]));
            self.wishes = Some(vec![look]);
        } else if let Some((key, _)) = self.costs.last() {
            self.wishes = serde_json::from_str(key).ok().map(|look| vec![look]);
        }
    }

    fn print(mut self) {
        let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len().max(1) as f64;
        let (alone, watched) = (mean(&self.alone_ms), mean(&self.watched_ms));
        println!("nobody watches: {alone:.1} ms a step over {} steps", self.alone_ms.len());
        println!("the map watched: {watched:.1} ms a step over {}: {:.3} x", self.watched_ms.len(), watched / alone);
        println!("{:>9}  one look, median of 5, ms", "");
        for (key, paces) in &mut self.costs {
            paces.sort_by(|a, b| a.cost_ms.total_cmp(&b.cost_ms));
            println!("{:>9.2}  {key}", paces.get(paces.len() / 2).map_or(f64::NAN, |pace| pace.cost_ms));
        }
    }
}

impl Reporter for Watch {
    fn row(&mut self, row: Row) {
        if row.values.iter().any(|(name, _)| name == name::TRAIN) {
            self.step_is_done(row.step);
        }
    }

    fn report(&mut self, _report: Report) {}

    fn look(&mut self, frame: Frame) {
        let Frame::Seen { pace, step, .. } = frame else { return };
        if step > self.steps {
            if let Some((_, paces)) = self.costs.last_mut() {
                paces.push(pace);
            }
            self.wish_next();
        }
    }

    fn wanted(&mut self) -> Option<Vec<Look>> {
        self.wishes.take()
    }
}
