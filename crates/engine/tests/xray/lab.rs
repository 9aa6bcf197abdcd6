//! A lab folder with a text, a model of any shape on it that is not trained but far from its first weights, and runs that are watched.

use std::path::PathBuf;
use std::sync::mpsc;

use engine::dataset::Dataset;
use engine::device::{self, EngineDevice};
use engine::optimizer::State;
use engine::params::{self, ParamSpec};
use engine::train::{Folders, Reporter, Training};
use engine::xray::{self, Scene};
use engine::{EngineError, bench, dataset, lesion};
use wire::command::{Command, CommandOrder};
use wire::dials::Dials;
use wire::edit::Edit;
use wire::event::Author;
use wire::frame::Frame;
use wire::history::Past;
use wire::link::Report;
use wire::look::Look;
use wire::plan::{self, RunPlan};
use wire::series::{Row, name};
use wire::sight::Sight;

pub(crate) struct Lab(PathBuf);

impl Lab {
    pub(crate) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("kindling-xray-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("corpora")).unwrap();
        let text = folder.join("rhyme.txt");
        std::fs::write(&text, "the cat sat on the mat and the dog sat on the log.\n".repeat(200)).unwrap();
        bench::bring_text(&folder.join("corpora"), &"rhyme".parse().unwrap(), &text).unwrap();
        Self(folder)
    }

    pub(crate) fn corpora(&self) -> PathBuf {
        self.0.join("corpora")
    }

    pub(crate) fn checkpoint(&self, run: &str, id: &str) -> PathBuf {
        self.0.join("checkpoints").join(run).join(id)
    }

    /// A tiny plan with some numbers of one's own.
    pub(crate) fn plan(&self, more: &str) -> RunPlan {
        let spec = format!(
            r#"{{"preset":"tiny","corpus":"rhyme","steps":40,"overrides":{{"model.d_model":16,"model.d_ff":32,"model.seq":24,"batch.rows":6,
            "batch.shards":2,"cadence.sample_every":0,"optimizer.rate":0.01{more}}}}}"#
        );
        let corpora = engine::corpus::list(&self.corpora()).unwrap();
        let plan = plan::resolve(&serde_json::from_str(&spec).unwrap(), &corpora, &device::list()).unwrap().plan;
        dataset::prepare(&self.corpora(), &plan.corpora(), plan.tokenizer, &mut |_, _, _| true).unwrap();
        plan
    }

    pub(crate) fn model(&self, more: &str) -> Model {
        Model::new(self, self.plan(more))
    }

    /// Trains to the end; `ear` hears all.
    pub(crate) fn train(&self, run: &str, plan: &RunPlan, ear: &mut Ear) {
        let (send, orders) = mpsc::channel();
        ear.send = Some(send);
        let folders = Folders { corpora: self.corpora(), checkpoints: Some(self.0.join("checkpoints")) };
        let device = device::open(&plan.device).unwrap();
        Training::load(&run.parse().unwrap(), plan, &Past::default(), folders, device)
            .unwrap()
            .run(&orders, ear)
            .unwrap();
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A model on a text, to be looked at.
pub(crate) struct Model {
    pub(crate) plan: RunPlan,
    pub(crate) state: State,
    specs: Vec<ParamSpec>,
    dials: Dials,
    data: Dataset,
    device: EngineDevice,
}

impl Model {
    fn new(lab: &Lab, plan: RunPlan) -> Self {
        let device = EngineDevice::processor();
        let specs = params::layout(&plan.recipe.model);
        // Wider than a run's first weights, so that heads choose and units bend.
        let wide = |values: Vec<f32>| values.into_iter().map(|v| if v == 1.0 { v } else { v * 12.0 }).collect();
        let weights = params::initial(&specs, 5).into_iter().map(|v| params::upload(wide(v), &device.burn)).collect();
        let data = Dataset::open(&lab.corpora(), &plan.corpora(), plan.tokenizer).unwrap();
        Self { dials: Dials::new(&plan), state: State::new(weights), plan, specs, data, device }
    }

    /// Biases begin at zero, where nothing can be told by them.
    pub(crate) fn biased(mut self) -> Self {
        for (spec, weight) in
            self.specs.iter().zip(&mut self.state.weights).filter(|(spec, _)| spec.name.ends_with("bias"))
        {
            *weight = params::upload((0..spec.len()).map(|i| (i % 7) as f32 * 0.3 - 0.8).collect(), &self.device.burn);
        }
        self
    }

    /// Lays hands on the weights themselves.
    pub(crate) fn operate(&mut self, edits: &[Edit]) {
        lesion::apply(&self.plan.recipe.model, &self.specs, &mut self.state.weights, edits);
    }

    pub(crate) fn see(&self, look: &Look) -> Result<Sight, EngineError> {
        let scene = Scene {
            plan: &self.plan,
            dials: &self.dials,
            specs: &self.specs,
            state: &self.state,
            has_moments: true,
            data: &self.data,
            device: &self.device,
            cores: None,
            taps: None,
            stats: None,
        };
        xray::see(&scene, look)
    }

    /// The sight of a look, written as people write it.
    pub(crate) fn look(&self, json: &str) -> Sight {
        self.see(&serde_json::from_str(json).unwrap()).unwrap_or_else(|error| panic!("{json}: {error}"))
    }

    /// Why a look is refused.
    pub(crate) fn refusal(&self, json: &str) -> String {
        match self.see(&serde_json::from_str(json).unwrap()) {
            Err(error) => error.to_string(),
            Ok(sight) => panic!("{json} gave {sight:?}"),
        }
    }

    pub(crate) fn weights(&self) -> params::Weights {
        params::Weights::new(&self.specs, self.state.weights.clone())
    }

    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        self.data.tokenizer().encode(text).unwrap()
    }
}

/// Hears a run, wishes for looks, and gives commands at steps.
#[derive(Default)]
pub(crate) struct Ear {
    pub(crate) rows: Vec<Row>,
    pub(crate) seen: Vec<Frame>,
    pub(crate) kept: Vec<Frame>,
    /// Wishes from the first moment on.
    pub(crate) wishes: Option<Vec<Look>>,
    /// Wishes once this many steps are reported, and commands with them.
    pub(crate) script: Vec<(u64, Vec<Look>, Vec<Command>)>,
    /// A command once this many looks have come.
    pub(crate) after_looks: Option<(usize, Command)>,
    pub(crate) send: Option<mpsc::Sender<CommandOrder>>,
}

impl Ear {
    pub(crate) fn series(&self, series: &str) -> Vec<u64> {
        let values = self.rows.iter().flat_map(|row| &row.values).filter(|(name, _)| name == series);
        values.map(|(_, value)| value.to_bits()).collect()
    }

    pub(crate) fn losses(&self) -> Vec<u64> {
        self.series(name::TRAIN)
    }

    fn order(&self, command: Command) {
        let order = CommandOrder { command_id: 1, author: Author::Person("ada".into()), command };
        self.send.as_ref().unwrap().send(order).unwrap();
    }
}

impl Reporter for Ear {
    fn row(&mut self, row: Row) {
        let is_step = row.values.iter().any(|(name, _)| name == name::TRAIN);
        if is_step && let Some(at) = self.script.iter().position(|(step, ..)| *step == row.step + 1) {
            let (_, wishes, commands) = self.script.remove(at);
            self.wishes = Some(wishes);
            commands.into_iter().for_each(|command| self.order(command));
        }
        self.rows.push(row);
    }

    fn report(&mut self, _: Report) {}

    fn look(&mut self, frame: Frame) {
        if matches!(frame, Frame::Tensors { .. }) {
            return;
        }
        self.seen.push(frame);
        if self.after_looks.as_ref().is_some_and(|(count, _)| *count == self.seen.len()) {
            let (_, command) = self.after_looks.take().unwrap();
            self.order(command);
        }
    }

    fn keep(&mut self, frame: Frame) {
        self.kept.push(frame);
    }

    fn wanted(&mut self) -> Option<Vec<Look>> {
        self.wishes.take()
    }
}
