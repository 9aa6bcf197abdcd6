//! A data folder with one dataset, a model of any shape with large random weights, and runs with requested inspections.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc;

use engine::EngineError;
use engine::data::batch::Batch;
use engine::data::dataset;
use engine::data::dataset::Dataset;
use engine::device::{self, EngineDevice};
use engine::inspect::{self, Inspector, Subject};
use engine::model::params::{self, ParamSpec};
use engine::model::weight_edit;
use engine::optim::optimizer::State;
use engine::train::bench;
use engine::train::{Folders, Reporter, Session};
use wire::control::author::Author;
use wire::control::command::{Command, NumberedCommand};
use wire::control::intervention::Intervention;
use wire::control::live::LiveHyperparameters;
use wire::inspect::request::Inspection;
use wire::inspect::result::InspectionResult;
use wire::inspect::update::InspectionUpdate;
use wire::run::history::Past;
use wire::run::plan::{self, RunPlan};
use wire::series::{Row, name};
use wire::transport::link::Report;

pub(crate) struct Lab(PathBuf);

impl Lab {
    pub(crate) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("kindling-xray-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("corpora")).unwrap();
        let text = folder.join("rhyme.txt");
        std::fs::write(&text, "the cat sat on the mat and the dog sat on the log.\n".repeat(200)).unwrap();
        bench::import_text(&folder.join("corpora"), &"rhyme".parse().unwrap(), &text).unwrap();
        Self(folder)
    }

    pub(crate) fn corpora(&self) -> PathBuf {
        self.0.join("corpora")
    }

    pub(crate) fn checkpoint(&self, run: &str, id: &str) -> PathBuf {
        self.0.join("checkpoints").join(run).join(id)
    }

    /// A tiny plan with further overrides.
    pub(crate) fn plan(&self, more: &str) -> RunPlan {
        let spec = format!(
            r#"{{"preset":"tiny","corpus":"rhyme","steps":40,"overrides":{{"model.d_model":16,"model.d_ff":32,"model.seq":24,"batch.size":6,
            "batch.replicas":2,"intervals.sample_every":0,"optimizer.learning_rate":0.01{more}}}}}"#
        );
        let corpora = engine::data::corpus::list(&self.corpora()).unwrap();
        let plan = plan::resolve(&serde_json::from_str(&spec).unwrap(), &corpora, &device::list()).unwrap().plan;
        dataset::prepare(&self.corpora(), &plan.corpora(), plan.tokenizer, &mut |_, _, _| true).unwrap();
        plan
    }

    pub(crate) fn model(&self, more: &str) -> Model {
        Model::new(self, self.plan(more))
    }

    /// Trains to the end; `recorder` receives the reports.
    pub(crate) fn train(&self, run: &str, plan: &RunPlan, recorder: &mut Recorder) {
        let (send, commands) = mpsc::channel();
        recorder.commands = Some(send);
        let folders = Folders { corpora: self.corpora(), checkpoints: Some(self.0.join("checkpoints")) };
        let device = device::open(&plan.device).unwrap();
        Session::load(&run.parse().unwrap(), plan, &Past::default(), folders, device)
            .unwrap()
            .run(&commands, recorder)
            .unwrap();
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A model on a dataset, to be inspected.
pub(crate) struct Model {
    pub(crate) plan: RunPlan,
    pub(crate) state: State,
    specs: Vec<ParamSpec>,
    hyperparameters: LiveHyperparameters,
    data: Dataset,
    device: EngineDevice,
}

impl Model {
    fn new(lab: &Lab, plan: RunPlan) -> Self {
        let device = EngineDevice::processor();
        let specs = params::layout(&plan.recipe.model);
        // Larger than initial weights, so that attention and neurons are far from linear.
        let wide = |values: Vec<f32>| values.into_iter().map(|v| if v == 1.0 { v } else { v * 12.0 }).collect();
        let weights = params::initial(&specs, 5).into_iter().map(|v| params::upload(wide(v), &device.burn)).collect();
        let data = Dataset::open(&lab.corpora(), &plan.corpora(), plan.tokenizer).unwrap();
        Self { hyperparameters: plan.live(), state: State::new(weights), plan, specs, data, device }
    }

    /// Sets the biases, which are 0 initially and then change nothing.
    pub(crate) fn biased(mut self) -> Self {
        for (spec, weight) in
            self.specs.iter().zip(&mut self.state.weights).filter(|(spec, _)| spec.name.ends_with("bias"))
        {
            *weight = params::upload((0..spec.len()).map(|i| (i % 7) as f32 * 0.3 - 0.8).collect(), &self.device.burn);
        }
        self
    }

    pub(crate) fn edit_weights(&mut self, interventions: &[Intervention]) {
        weight_edit::apply(&self.plan.recipe.model, &self.specs, &mut self.state.weights, interventions);
    }

    /// Sets all values of a parameter to zero.
    pub(crate) fn without(mut self, name: &str) -> Self {
        let at = self.specs.iter().position(|spec| spec.name == name).unwrap();
        self.state.weights[at] = self.state.weights[at].zeros_like();
        self
    }

    pub(crate) fn inspect(&self, inspection: &Inspection) -> Result<InspectionResult, EngineError> {
        inspect::inspect(&self.subject(), inspection)
    }

    /// The metrics for diagnosis by series.
    pub(crate) fn diagnosis(&self) -> BTreeMap<String, f64> {
        Inspector::new(self.subject()).diagnosis().unwrap().into_iter().collect()
    }

    /// Validation window 0.
    pub(crate) fn window(&self) -> Batch {
        self.data.valid_batch(0, 1, self.plan.recipe.model.seq, &[1.0]).unwrap()
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            plan: &self.plan,
            hyperparameters: &self.hyperparameters,
            specs: &self.specs,
            state: &self.state,
            has_moments: true,
            data: &self.data,
            device: &self.device,
            replicas: None,
            kernels: None,
            stats: None,
        }
    }

    /// The result of an inspection in JSON.
    pub(crate) fn result(&self, json: &str) -> InspectionResult {
        self.inspect(&serde_json::from_str(json).unwrap()).unwrap_or_else(|error| panic!("{json}: {error}"))
    }

    /// The error of a refused inspection.
    pub(crate) fn refusal(&self, json: &str) -> String {
        match self.inspect(&serde_json::from_str(json).unwrap()) {
            Err(error) => error.to_string(),
            Ok(result) => panic!("{json} gave {result:?}"),
        }
    }

    pub(crate) fn weights(&self) -> params::Weights {
        params::Weights::new(&self.specs, self.state.weights.clone())
    }

    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        self.data.tokenizer().encode(text).unwrap()
    }
}

/// Receives the reports of a run, requests inspections, and sends commands at given steps.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) rows: Vec<Row>,
    pub(crate) results: Vec<InspectionUpdate>,
    pub(crate) snapshots: Vec<InspectionUpdate>,
    /// Inspections requested from the start.
    pub(crate) requests: Option<Vec<Inspection>>,
    /// Inspections requested once this many steps are reported, and commands with them.
    pub(crate) script: Vec<(u64, Vec<Inspection>, Vec<Command>)>,
    /// A command that is sent after this many results.
    pub(crate) after_results: Option<(usize, Command)>,
    pub(crate) commands: Option<mpsc::Sender<NumberedCommand>>,
}

impl Recorder {
    pub(crate) fn series(&self, series: &str) -> Vec<u64> {
        let values = self.rows.iter().flat_map(|row| &row.values).filter(|(name, _)| name == series);
        values.map(|(_, value)| value.to_bits()).collect()
    }

    pub(crate) fn losses(&self) -> Vec<u64> {
        self.series(name::TRAIN)
    }

    fn send(&self, command: Command) {
        let numbered = NumberedCommand { command_id: 1, author: Author::Person("ada".into()), command };
        self.commands.as_ref().unwrap().send(numbered).unwrap();
    }
}

impl Reporter for Recorder {
    fn row(&mut self, row: Row) {
        let is_step = row.values.iter().any(|(name, _)| name == name::TRAIN);
        if is_step && let Some(at) = self.script.iter().position(|(step, ..)| *step == row.step + 1) {
            let (_, requests, commands) = self.script.remove(at);
            self.requests = Some(requests);
            commands.into_iter().for_each(|command| self.send(command));
        }
        self.rows.push(row);
    }

    fn report(&mut self, _: Report) {}

    fn inspection(&mut self, update: InspectionUpdate) {
        if matches!(update, InspectionUpdate::ParameterStats { .. }) {
            return;
        }
        self.results.push(update);
        if self.after_results.as_ref().is_some_and(|(count, _)| *count == self.results.len()) {
            let (_, command) = self.after_results.take().unwrap();
            self.send(command);
        }
    }

    fn snapshot(&mut self, update: InspectionUpdate) {
        self.snapshots.push(update);
    }

    fn requested_inspections(&mut self) -> Option<Vec<Inspection>> {
        self.requests.take()
    }
}
